//! A profile of chosen relations in a chosen spelling reads as these relations, at their lines, under both rules of finality.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/krb5-profile/tests/it/spelling.rs"]
mod spelling;

fuzz_target!(|choices: &[u8]| spelling::check(choices));
