//! Fuzzes `fuzz_checks::csv_import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::csv_import::check(input));
