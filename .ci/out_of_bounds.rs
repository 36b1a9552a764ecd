//! A copy out of bounds, which AddressSanitizer must see: `out_of_bounds LENGTH load|store`.
//!
//! It is `.ci/run`'s proof that the sanitizer sees the loads and the stores of fabric-core's hot loops, whose modules are
//! compiled with it.

use crate::io::streaming;

/// A slice that is said to be as long as that.
fn slice(bytes: &mut [u8], len: usize) -> &mut [u8] {
    // SAFETY: none. It is wrong on purpose.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr(), len) }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let len: usize = arguments[1].parse().expect("a length");
    let is_store = arguments[2] == "store";
    let (mut short, mut long) = (vec![1; len - 1], vec![2; len + 64]);
    if is_store {
        streaming::copy(&long[..len], slice(&mut short, len), &mut streaming::Unsummed);
    } else {
        let from = &*slice(&mut short, len);
        streaming::copy(from, &mut long[..len], &mut streaming::Unsummed);
    }
    println!("a {} out of bounds was not seen", arguments[2]);
}
