//! Fuzzes `fuzz_checks::pskc_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::pskc_decode::check(input));
