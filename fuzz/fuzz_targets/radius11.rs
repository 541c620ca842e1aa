//! Fuzzes `fuzz_checks::radius11`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius11::check(input));
