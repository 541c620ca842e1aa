//! Fuzzes `fuzz_checks::radius_client_server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::radius_client_server::check(input));
