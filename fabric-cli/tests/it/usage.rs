//! Wrong usage, help and the version.

use crate::support::run;

#[test]
fn wrong_usage_ends_with_64_and_help_with_0() {
    let here = std::env::temp_dir();
    for wrong in [&["no-such-command"][..], &["completions", "--no-such-option"], &[]] {
        let said = run(&here, wrong);
        assert_eq!((said.status, said.out.as_str()), (64, ""), "{wrong:?}: {}", said.error);
        assert!(said.error.contains("Usage"), "{}", said.error);
    }
    for right in ["--help", "--version", "help"] {
        let said = run(&here, &[right]);
        assert_eq!((said.status, said.error.as_str()), (0, ""), "{right}");
    }
}
