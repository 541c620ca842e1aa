//! Fuzzes `fuzz_checks::hex_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::hex_decode::check(input));
