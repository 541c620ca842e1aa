//! Fuzzes `fuzz_checks::user_password`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::user_password::check(input));
