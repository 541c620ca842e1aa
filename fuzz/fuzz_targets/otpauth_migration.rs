//! Fuzzes `fuzz_checks::otpauth_migration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::otpauth_migration::check(input));
