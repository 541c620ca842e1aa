//! Fuzzes `fuzz_checks::profile_spelling`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::profile_spelling::check(input));
