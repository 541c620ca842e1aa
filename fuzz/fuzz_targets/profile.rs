//! Fuzzes `fuzz_checks::profile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::profile::check(input));
