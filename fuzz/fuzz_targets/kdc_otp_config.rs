//! Fuzzes `fuzz_checks::kdc_otp_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::kdc_otp_config::check(input));
