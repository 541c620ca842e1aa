//! Fuzzes `fuzz_checks::otpauth_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::otpauth_uri::check(input));
