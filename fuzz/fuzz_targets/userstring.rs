//! Fuzzes `fuzz_checks::userstring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::userstring::check(input));
