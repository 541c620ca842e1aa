//! Fuzzes `fuzz_checks::base32_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::base32_decode::check(input));
