//! Fuzzes `fuzz_checks::radius_dictionary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius_dictionary::check(input));
