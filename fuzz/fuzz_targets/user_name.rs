//! Fuzzes `fuzz_checks::user_name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::user_name::check(input));
