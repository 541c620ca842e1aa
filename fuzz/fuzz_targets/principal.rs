//! Fuzzes `fuzz_checks::principal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::principal::check(input));
