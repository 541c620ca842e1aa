//! What a dictionary file can say, and what is refused, with its exact message.

use std::{collections::HashMap, io, path::Path};

use krad::{
    VendorFormat, VendorId,
    dictionary::{DataType, Dictionary, DictionarySource, Encryption, Flags},
};
use proptest::{collection::vec, prelude::*};

/// Files in memory.
struct Files(HashMap<&'static str, String>);

impl DictionarySource for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(|text| text.clone().into_bytes())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Something of everything that a line can say.
const EVERYTHING: &str = "# a comment\n\
    \n\
    VALUE Color Red 0x10 # before its attribute\n\
    attribute Color 200 INTEGER has_tag,array\r\n\
    ATTRIBUTE Key 201 octets[16] encrypt=2,secret\n\
    ATTRIBUTE Extended-Attribute-1 241 extended\n\
    ATTRIBUTE Extended-Vendor-Specific-1 241.26 evs\n\
    ATTRIBUTE Thing 241.0x05 string\n\
    VENDOR Acme 99999 format=2,1\n\
    ATTRIBUTE Acme-Old 300 string Acme\n\
    BEGIN-VENDOR acme\n\
    ATTRIBUTE Acme-Box 1 tlv\n\
    ATTRIBUTE Acme-Lid 1.1 date\n\
    BEGIN-TLV Acme-Box\n\
    ATTRIBUTE Acme-Floor 2 ifid\n\
    END-TLV Acme-Box\n\
    END-VENDOR Acme\n\
    BEGIN-VENDOR Acme format=Extended-Vendor-Specific-1\n\
    ATTRIBUTE Acme-Far 7 ether\n\
    END-VENDOR Acme\n\
    PROTOCOL RADIUS 1\n\
    BEGIN-PROTOCOL RADIUS\n\
    ATTRIBUTE Last 1000 string virtual\n\
    END-PROTOCOL RADIUS";

#[test]
fn what_a_line_can_say() {
    let dictionary = Dictionary::parse(EVERYTHING).unwrap();
    let of = |name| dictionary.by_name(name).unwrap();
    for (name, oid, data_type) in [
        ("Color", "200", DataType::Integer),
        ("Thing", "241.5", DataType::String),
        ("Acme-Old", "26.99999.300", DataType::String),
        ("Acme-Lid", "26.99999.1.1", DataType::Date),
        ("Acme-Floor", "26.99999.1.2", DataType::Ifid),
        ("Acme-Far", "241.26.99999.7", DataType::Ether),
        ("Last", "1000", DataType::String),
    ] {
        assert_eq!(
            (of(name).oid.to_string().as_str(), of(name).data_type),
            (oid, data_type)
        );
    }
    let flags = Flags {
        has_tag: true,
        array: true,
        ..Flags::default()
    };
    assert_eq!(of("color").flags, flags);
    let flags = Flags {
        encryption: Some(Encryption::TunnelPassword),
        secret: true,
        ..Flags::default()
    };
    assert_eq!((of("Key").flags, of("Key").length), (flags, Some(16)));
    assert!(of("Last").flags.is_virtual);
    assert_eq!(dictionary.value_name(of("Color"), 16), Some("Red"));
    assert_eq!(dictionary.value_by_name(of("Color"), "RED"), Some(16));
    assert_eq!(dictionary.value_by_name(of("Color"), "Blue"), None);
    let acme = dictionary.vendor(VendorId(99999)).unwrap();
    assert_eq!(
        (acme.name.as_str(), acme.format),
        ("Acme", VendorFormat::new(2, 1, false).unwrap())
    );
    assert!(dictionary.warnings().is_empty());
}

/// Cut anywhere, a dictionary is refused at the line that was cut or for a block that is open, or says what stands
/// before the cut; of the line that was cut, one attribute at most.
#[test]
fn truncated_at_every_length() {
    let whole = Dictionary::parse(EVERYTHING).unwrap();
    let mut read = 0;
    for length in 0..EVERYTHING.len() {
        let text = &EVERYTHING[..length];
        match Dictionary::parse(text) {
            Ok(dictionary) => {
                read += 1;
                let others = dictionary
                    .iter()
                    .filter(|attribute| whole.by_oid(attribute.oid.numbers()) != Some(*attribute));
                assert!(others.count() <= 1, "{text:?}");
            }
            Err(error) => {
                let last = u64::try_from(text.split('\n').count()).unwrap();
                assert!(error.line().is_none_or(|line| line == last), "{text:?}: {error}");
            }
        }
    }
    assert!(read > EVERYTHING.lines().count(), "{read}");
}

#[test]
fn aliases_and_redefinitions() {
    let dictionary = Dictionary::parse(
        "ATTRIBUTE Old-Name 1 string\nATTRIBUTE User-Name 1 string\nATTRIBUTE User-Name 1 octets\n\
         ATTRIBUTE Port 5 integer\nVALUE Port One 1\nVALUE Port Uno 1\nVALUE Port One 1\nVALUE Nobody Here 1",
    )
    .unwrap();
    assert_eq!(dictionary.by_name("Old-Name").unwrap().oid.numbers(), [1]);
    let last = dictionary.by_oid(&[1]).unwrap();
    assert_eq!(
        (last.name.as_str(), last.data_type),
        ("User-Name", DataType::Octets)
    );
    let port = dictionary.by_name("Port").unwrap();
    assert_eq!(dictionary.value_name(port, 1), Some("One"));
    assert_eq!(dictionary.value_by_name(port, "Uno"), Some(1));
    let warnings: Vec<String> = dictionary.warnings().iter().map(ToString::to_string).collect();
    let missing = "no attribute \"Nobody\"; define it with ATTRIBUTE, or include the dictionary that does";
    assert_eq!(warnings, [format!("dictionary:8: {missing}")]);
}

#[test]
fn what_is_refused() {
    let known =
        "ATTRIBUTE Number 200 integer\nATTRIBUTE Text 201 string\nVENDOR Acme 9\nATTRIBUTE Box 202 tlv\n";
    for (lines, message) in [
        (
            "ATTRIBUT A 1 string",
            ":5: unknown keyword \"ATTRIBUT\"; known are ATTRIBUTE, VALUE, VENDOR, BEGIN-VENDOR, END-VENDOR, BEGIN-TLV, END-TLV, PROTOCOL, BEGIN-PROTOCOL, END-PROTOCOL, $INCLUDE and $INCLUDE-",
        ),
        (
            "ATTRIBUTE A 1",
            ":5: write it as: ATTRIBUTE name number type [flag,flag…]",
        ),
        (
            "ATTRIBUTE A 1 string array concat",
            ":5: write it as: ATTRIBUTE name number type [flag,flag…]",
        ),
        (
            "ATTRIBUTE A=B 1 string",
            ":5: \"A=B\" is not a name: letters, digits and - _ . / : + * are",
        ),
        (
            "ATTRIBUTE A one string",
            ":5: \"one\" is not a number that fits here; write it in decimal or as 0x and hexadecimal",
        ),
        (
            "ATTRIBUTE A 4294967296 string",
            ":5: \"4294967296\" is not a number that fits here; write it in decimal or as 0x and hexadecimal",
        ),
        (
            "ATTRIBUTE A 202. string",
            ":5: \"\" is not a number that fits here; write it in decimal or as 0x and hexadecimal",
        ),
        (
            "ATTRIBUTE A 201.1 string",
            ":5: nothing can be nested in 201: it is not defined before, or not as tlv, vsa, extended, long-extended or evs",
        ),
        (
            "ATTRIBUTE A 241.26.9.1 string",
            ":5: nothing can be nested in 241: it is not defined before, or not as tlv, vsa, extended, long-extended or evs",
        ),
        (
            "ATTRIBUTE A 1 integer[4]",
            ":5: unknown type \"integer[4]\"; known are string, octets, ipaddr, ipv4prefix, ipv6addr, ipv6prefix, combo-ip, integer, integer64, signed, byte, short, date, ifid, ether, abinary, tlv, vsa, extended, long-extended, evs",
        ),
        (
            "ATTRIBUTE A 1 string encrypt=4",
            ":5: unknown flag \"encrypt=4\"; known are has_tag, encrypt=1 to 3, array, concat, secret, virtual and a vendor's name",
        ),
        (
            "ATTRIBUTE text 9 string",
            ":5: text is already attribute 201; choose another name, or remove one of the two",
        ),
        (
            "VENDOR Acme 10",
            ":5: Acme is already vendor 9; choose another name, or remove one of the two",
        ),
        (
            "VENDOR Other 10 format=3,1",
            ":5: unknown layout \"format=3,1\"; write format=T,L or format=1,1,c with T of 1, 2 or 4 and L of 0, 1 or 2",
        ),
        ("VENDOR Other", ":5: write it as: VENDOR name number [format=T,L]"),
        ("VALUE Number One", ":5: write it as: VALUE attribute name number"),
        (
            "VALUE Number One 1\nVALUE Number one 2",
            ":6: one is already the value 1 of Number; choose another name, or remove one of the two",
        ),
        (
            "VALUE Number \u{1b}[1m 1",
            ":5: \"\\u{1b}[1m\" is not a name for a value: printable ASCII is",
        ),
        (
            "VALUE Number Big 0x100000000",
            ":5: \"4294967296\" is not a number that fits here; write it in decimal or as 0x and hexadecimal",
        ),
        (
            "VALUE Text One 1",
            ":5: Text is of type string; only integers and octets have named values",
        ),
        (
            "BEGIN-VENDOR Nobody",
            ":5: no vendor \"Nobody\"; define it with VENDOR, or include the dictionary that does",
        ),
        (
            "BEGIN-VENDOR Acme format=Nothing",
            ":5: no attribute \"Nothing\"; define it with ATTRIBUTE, or include the dictionary that does",
        ),
        (
            "BEGIN-VENDOR Acme format=Box",
            ":5: nothing can be nested in 202: it is not defined before, or not as tlv, vsa, extended, long-extended or evs",
        ),
        (
            "BEGIN-VENDOR Acme",
            ": BEGIN-VENDOR Acme is not ended in this file",
        ),
        (
            "BEGIN-VENDOR Acme\nBEGIN-VENDOR Acme",
            ":6: BEGIN-VENDOR Acme is not ended in this file",
        ),
        ("END-VENDOR Acme", ":5: END-VENDOR Acme does not end any block"),
        (
            "BEGIN-VENDOR Acme\nEND-VENDOR Other",
            ":6: END-VENDOR Other does not end BEGIN-VENDOR Acme",
        ),
        (
            "BEGIN-TLV Box\nEND-TLV Text",
            ":6: END-TLV Text does not end BEGIN-TLV Box",
        ),
        (
            "BEGIN-TLV Text",
            ":5: nothing can be nested in 201: it is not defined before, or not as tlv, vsa, extended, long-extended or evs",
        ),
        (
            "BEGIN-PROTOCOL DHCPv4",
            ":5: protocol \"DHCPv4\": this is a dictionary of RADIUS",
        ),
        ("$INCLUDE", ":5: write it as: $INCLUDE file, or $INCLUDE- file"),
    ] {
        let error = Dictionary::parse(&format!("{known}{lines}\n")).unwrap_err();
        assert_eq!(error.to_string(), format!("dictionary{message}"), "{lines}");
    }
}

#[test]
fn includes() {
    let circle = "$INCLUDE circle".to_owned();
    let files = Files(HashMap::from([
        (
            "/d/main",
            "$INCLUDE sub/one\n$INCLUDE- nowhere\nATTRIBUTE C 3 string\n".to_owned(),
        ),
        ("/d/sub/one", "ATTRIBUTE A 1 string\n$INCLUDE two".to_owned()),
        ("/d/sub/two", "ATTRIBUTE B 2 string".to_owned()),
        ("/d/broken", "\n$INCLUDE sub/one\n$INCLUDE nowhere".to_owned()),
        ("/d/bad", "$INCLUDE worse".to_owned()),
        ("/d/worse", "\n\nATTRIBUTE".to_owned()),
        ("/d/circle", circle),
    ]));
    let mut dictionary = Dictionary::load("/d/main", &files).unwrap();
    assert_eq!(
        dictionary.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(),
        ["A", "B", "C"]
    );
    let load = |path| Dictionary::load(path, &files).unwrap_err();
    assert_eq!(
        load("/d/broken").to_string(),
        "/d/nowhere: cannot be read: entity not found"
    );
    assert_eq!(
        load("/d/circle").to_string(),
        "/d/circle:1: more than 16 files include each other; do they form a circle?"
    );
    let bad = load("/d/bad");
    assert_eq!((bad.file(), bad.line()), (Path::new("/d/worse"), Some(3)));
    // A dictionary that could not be extended is as it was.
    dictionary.include("/d/broken", &files).unwrap_err();
    assert_eq!(dictionary.iter().count(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_words_are_a_dictionary_or_an_error(
        lines in vec(
            vec(prop::sample::select(vec![
                "ATTRIBUTE", "VALUE", "VENDOR", "BEGIN-VENDOR", "END-VENDOR", "BEGIN-TLV", "END-TLV", "$INCLUDE-", "A", "B", "Acme",
                "1", "2", "1.2", "26.1.2", "0xff", "string", "tlv", "integer", "evs", "has_tag", "format=1,1,c", "format=A", "#",
            ]), 0..6),
            0..12,
        ),
    ) {
        let text = lines.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("\n");
        if let Ok(dictionary) = Dictionary::parse(&text) {
            for attribute in dictionary.iter() {
                prop_assert_eq!(dictionary.by_oid(attribute.oid.numbers()), Some(attribute));
                prop_assert_eq!(&dictionary.by_name(&attribute.name).unwrap().oid, &attribute.oid);
            }
        }
    }
}
