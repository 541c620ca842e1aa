//! Fuzzes `fuzz_checks::profile_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::profile_value::check(input));
