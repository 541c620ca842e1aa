//! Fuzzes `fuzz_checks::pskc_date`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::pskc_date::check(input));
