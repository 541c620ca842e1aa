//! Fuzzes `fuzz_checks::radius_attribute`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius_attribute::check(input));
