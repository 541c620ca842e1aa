//! Fuzzes `fuzz_checks::chap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::chap::check(input));
