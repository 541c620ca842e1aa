//! Chosen tokens in a chosen spelling read as these tokens, and no part of the text is a user string.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/otp-userstring/tests/it/spelling.rs"]
mod spelling;

fuzz_target!(|choices: &[u8]| spelling::check(choices));
