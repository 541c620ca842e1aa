//! Any octets are a user string or an error; a user string survives its canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otp_userstring::{UserString, json};

fuzz_target!(|octets: &[u8]| {
    if let Ok(node) = json::decode(octets) {
        let canonical = node.value.to_string();
        let again = json::decode(canonical.as_bytes()).expect("canonical JSON decodes").value;
        assert_eq!(again.to_string(), canonical);
    }
    let Ok(decoded) = UserString::decode(octets) else {
        return;
    };
    assert!(decoded.warnings.iter().all(|warning| warning.at <= octets.len()));
    let canonical = decoded.user_string.to_json();
    if canonical.len() <= UserString::MAX_LENGTH {
        let again = UserString::decode(canonical.as_bytes()).expect("canonical form decodes");
        assert_eq!(again.user_string, decoded.user_string);
    }
    // A prefix of the canonical form is never a user string.
    if let Some(prefix) = canonical.as_bytes().get(..octets.len() % canonical.len()) {
        assert!(UserString::decode(prefix).is_err());
    }
});
