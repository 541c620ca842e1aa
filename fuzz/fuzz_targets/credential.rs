//! Fuzzes `fuzz_checks::credential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::credential::check(input));
