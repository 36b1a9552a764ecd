#![no_main]

#[allow(dead_code, reason = "each target runs one case")]
#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::directory_manifest(bytes);
});
