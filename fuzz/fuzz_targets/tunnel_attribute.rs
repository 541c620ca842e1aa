//! Fuzzes `fuzz_checks::tunnel_attribute`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::tunnel_attribute::check(input));
