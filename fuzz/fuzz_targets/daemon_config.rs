//! Fuzzes `fuzz_checks::daemon_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::daemon_config::check(input));
