//! Fuzzes `fuzz_checks::userstring_spelling`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::userstring_spelling::check(input));
