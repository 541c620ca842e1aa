//! Any text decodes or fails; what decodes has one canonical text, which differs in spelling alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otp_core::base32;

fuzz_target!(|text: &str| {
    let Ok(octets) = base32::decode(text) else { return };
    let symbols = text.chars().filter(|c| !matches!(c, ' ' | '-' | '='));
    let canonical: String = symbols.map(|c| c.to_ascii_uppercase()).collect();
    assert_eq!(*base32::encode(&octets), canonical);
    assert_eq!(base32::decode(&canonical).as_deref(), Ok(&*octets));
});
