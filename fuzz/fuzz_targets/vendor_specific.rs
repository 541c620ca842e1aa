//! Fuzzes `fuzz_checks::vendor_specific`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::vendor_specific::check(input));
