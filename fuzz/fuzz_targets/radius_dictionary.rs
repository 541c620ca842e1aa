//! Any text is a dictionary or an error; with one, any attribute is one line of a log, and what is in it is not
//! longer than it.
#![no_main]

use krad::{Attribute, AttributeType, dictionary::Dictionary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u8, &[u8])| {
    let (text, kind, value) = input;
    let Ok(dictionary) = Dictionary::parse(text) else { return };
    for definition in dictionary.iter() {
        assert_eq!(dictionary.by_oid(definition.oid.numbers()), Some(definition));
        let named = dictionary.by_name(&definition.name).unwrap();
        assert_eq!(named.oid, definition.oid);
    }
    let attribute = Attribute { kind: AttributeType(kind), value };
    let octets: usize = dictionary.expand(attribute).iter().map(|found| found.value.len()).sum();
    assert!(octets <= value.len());
    let shown = dictionary.display(attribute).to_string();
    assert!(shown.contains(" = ") && !shown.contains(char::is_control), "{shown:?}");
});
