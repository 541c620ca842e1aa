//! Fuzzes `fuzz_checks::radius_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius_stream::check(input));
