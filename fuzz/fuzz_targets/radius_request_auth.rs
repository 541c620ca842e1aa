//! Fuzzes `fuzz_checks::radius_request_auth`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius_request_auth::check(input));
