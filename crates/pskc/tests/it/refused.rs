//! What is refused: the exact problem, in the right line and element.

use otp_core::KeyError;
use pskc::{Container, Credential, Decoder, Problem};

use crate::figures::{figure_6, figure_7};
use crate::harness::{FORMAT, NAMESPACES, SECRET, container, figure6_key, hotp, passphrase, totp};

fn problem(xml: &str) -> (Option<String>, Problem) {
    let error = Container::decode(xml.as_bytes(), Some(&figure6_key())).unwrap_err();
    (error.element, error.problem)
}

fn assert_refused(xml: &str, element: Option<&str>, expected: Problem) {
    let (found, problem) = problem(xml);
    assert_eq!((found.as_deref(), problem), (element, expected), "{xml}");
}

fn number(value: &str, min: i64, max: i64) -> Problem {
    Problem::Number {
        value: value.into(),
        min,
        max,
    }
}

#[test]
fn documents() {
    let root = "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" Version=\"1.0\"";
    for (xml, element, expected) in [
        (
            "<KeyContainer Version=\"1.0\"/>",
            Some("KeyContainer"),
            Problem::NotPskc,
        ),
        (
            "<x xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"/>",
            Some("x"),
            Problem::NotPskc,
        ),
        (
            "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc:1.0\" Version=\"1.0\"/>",
            Some("KeyContainer"),
            Problem::NotPskc,
        ),
        (
            "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"/>",
            Some("KeyContainer"),
            Problem::Missing("Version"),
        ),
        (
            "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" Version=\"2.0\"/>",
            Some("KeyContainer"),
            Problem::Version("\"2.0\"".into()),
        ),
        (
            &format!("{root}/>"),
            Some("KeyContainer"),
            Problem::Missing("KeyPackage"),
        ),
        (
            &format!("{root} x=\"\"/>"),
            Some("KeyContainer"),
            Problem::UnsupportedAttribute("\"x\"".into()),
        ),
        (
            &format!("{root}>text</KeyContainer>"),
            Some("KeyContainer"),
            Problem::Text,
        ),
        (
            &format!("{root}><Extensions/></KeyContainer>"),
            Some("Extensions"),
            Problem::UnsupportedElement,
        ),
        (
            &format!("{root} xmlns:v=\"urn:v\"><v:KeyPackage/></KeyContainer>"),
            Some("KeyPackage"),
            Problem::UnsupportedElement,
        ),
        (
            &format!("{root}><EncryptionKey/><EncryptionKey/></KeyContainer>"),
            Some("EncryptionKey"),
            Problem::Repeated,
        ),
        (
            "<?xml version=\"1.0\"?><?pi x?><a/>",
            None,
            Problem::ProcessingInstruction,
        ),
        (
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            None,
            Problem::DocumentType,
        ),
        ("<a>&x;</a>", None, Problem::Entity("\"x\"".into())),
        ("<a>&#0;</a>", None, Problem::Entity("\"#0\"".into())),
        ("<a>&#xFFFF;</a>", None, Problem::Entity("\"#xFFFF\"".into())),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>",
            None,
            Problem::NotUtf8,
        ),
        (&"<a>".repeat(17), None, Problem::TooDeep),
    ] {
        assert_refused(xml, element, expected);
    }
    for xml in [
        "",
        " ",
        "text",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>text",
        "<a b/>",
        "<a b=\"\" b=\"\"/>",
        "<p:a/>",
        "<a>\u{1}</a>",
        "<a>\u{ffff}</a>",
        "<a b=\"&x;\"/>",
        "<a b=\"&#1;\"/>",
        "<a>&amp</a>",
        "<a>&</a>",
        "<?xml version=\"1.1\"?><a/>",
        "<a><!-- -->",
        "<a><![CDATA[</a>",
    ] {
        let (_, problem) = problem(xml);
        assert!(matches!(problem, Problem::Xml(_)), "{xml:?}: {problem:?}");
    }
    let tag = format!("<a {}/>", "b ".repeat(10_000));
    assert!(matches!(problem(&tag), (None, Problem::Xml(_))));
}

#[test]
fn octets() {
    let error = Container::decode(b"<a>\n<b>\xff</b></a>", None).unwrap_err();
    assert_eq!(
        (error.at.line, error.at.column, error.problem),
        (2, 4, Problem::NotUtf8)
    );
    let long = vec![b' '; Decoder::MAX_LEN + 1];
    assert_eq!(
        Container::decode(&long, None).unwrap_err().problem,
        Problem::TooLong
    );
    // UTF-16 is neither UTF-8 nor taken for anything else.
    let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(
        Container::decode(&utf16, None).unwrap_err().problem,
        Problem::Xml(_)
    ));
}

#[test]
fn keys() {
    let data = format!("<Data>{SECRET}</Data>");
    for (inside, element, expected) in [
        (String::new(), "Key", Problem::Missing("Data")),
        (FORMAT.to_owned(), "Key", Problem::Missing("Data")),
        (data.clone(), "Key", Problem::Missing("ResponseFormat")),
        (
            format!("{FORMAT}{FORMAT}{data}"),
            "AlgorithmParameters",
            Problem::Repeated,
        ),
        (
            format!("{FORMAT}{data}<Issuer/><Issuer/>"),
            "Issuer",
            Problem::Repeated,
        ),
        (
            format!("{FORMAT}{data}<Issuer><b/></Issuer>"),
            "b",
            Problem::UnsupportedElement,
        ),
        (
            format!("{FORMAT}{data}<Extensions/>"),
            "Extensions",
            Problem::UnsupportedElement,
        ),
        (format!("{FORMAT}<Data/>"), "Data", Problem::Missing("Secret")),
        (
            format!("{FORMAT}<Data><Secret/></Data>"),
            "Secret",
            Problem::Missing("PlainValue or EncryptedValue"),
        ),
        (
            format!("{FORMAT}<Data>{SECRET}{SECRET}</Data>"),
            "Secret",
            Problem::Repeated,
        ),
        (
            format!("{FORMAT}<Data>{SECRET}<x xmlns=\"urn:v\"/></Data>"),
            "x",
            Problem::UnsupportedElement,
        ),
        (
            format!("{FORMAT}<Data>{SECRET}<Time><PlainValue>0</PlainValue></Time></Data>"),
            "Time",
            Problem::Inapplicable("an HOTP key"),
        ),
        (
            data.replace("</Secret>", "<ValueMAC>AAAA</ValueMAC></Secret>"),
            "ValueMAC",
            Problem::UnsupportedElement,
        ),
    ] {
        assert_refused(&hotp(&inside), Some(element), expected);
    }
    for secret in ["!", "MTIz NDU", "MTI", "=", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTB="] {
        let xml = hotp(&format!(
            "{FORMAT}<Data><Secret><PlainValue>{secret}</PlainValue></Secret></Data>"
        ));
        assert_refused(&xml, Some("PlainValue"), Problem::Base64);
    }
    for (secret, len) in [("", 0), ("MTIzNDU2Nzg5MA==", 10)] {
        let xml = hotp(&format!(
            "{FORMAT}<Data><Secret><PlainValue>{secret}</PlainValue></Secret></Data>"
        ));
        assert_refused(
            &xml,
            Some("Secret"),
            Problem::Key(KeyError::Length { len, min: 16 }),
        );
        let lenient = Decoder::new()
            .dangerous_allow_short_keys()
            .decode(xml.as_bytes(), None);
        assert_eq!(lenient.is_ok(), len == 10);
    }
    for (key, expected) in [
        (
            "<Key Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\"/>",
            Problem::Missing("Id"),
        ),
        (
            "<Key Id=\" \" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\"/>",
            Problem::Empty,
        ),
        ("<Key Id=\"1\"/>", Problem::Missing("Algorithm")),
        (
            "<Key Id=\"1\" Algorithm=\"urn:x\"/>",
            Problem::Algorithm {
                what: "key algorithm",
                value: "\"urn:x\"".into(),
            },
        ),
    ] {
        assert_refused(
            &container(&format!("<KeyPackage>{key}</KeyPackage>")),
            Some("Key"),
            expected,
        );
    }
    assert_refused(
        &container("<KeyPackage/>"),
        Some("KeyPackage"),
        Problem::Missing("Key"),
    );
    assert_refused(
        &container("<KeyPackage><CryptoModuleInfo/></KeyPackage>"),
        Some("CryptoModuleInfo"),
        Problem::Missing("Id"),
    );
}

#[test]
fn parameters() {
    let with = |parameters: &str| {
        hotp(&format!(
            "<AlgorithmParameters>{parameters}</AlgorithmParameters><Data>{SECRET}</Data>"
        ))
    };
    let format = "ResponseFormat";
    for (parameters, element, expected) in [
        (
            "<ResponseFormat Length=\"6\"/>",
            format,
            Problem::Missing("Encoding"),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\"/>",
            format,
            Problem::Missing("Length"),
        ),
        (
            "<ResponseFormat Encoding=\"BASE64\" Length=\"6\"/>",
            format,
            Problem::Encoding("\"BASE64\"".into()),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"5\"/>",
            format,
            number("5", 6, 8),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"9\"/>",
            format,
            number("9", 6, 8),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"262\"/>",
            format,
            number("\"262\"", 1, 255),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"+6\"/>",
            format,
            number("\"+6\"", 1, 255),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"\"/>",
            format,
            number("\"\"", 1, 255),
        ),
        (
            "<ResponseFormat Encoding=\"DECIMAL\" Length=\"6\" CheckDigits=\"yes\"/>",
            format,
            Problem::Value {
                value: "\"yes\"".into(),
                expected: "true and false",
            },
        ),
        (
            "<Suite>HMAC-MD5</Suite>",
            "Suite",
            Problem::Algorithm {
                what: "suite",
                value: "\"HMAC-MD5\"".into(),
            },
        ),
        (
            "<ChallengeFormat Encoding=\"DECIMAL\" Min=\"1\" Max=\"2\"/>",
            "ChallengeFormat",
            Problem::UnsupportedElement,
        ),
    ] {
        assert_refused(&with(parameters), Some(element), expected);
    }
    for (digits, expected) in [
        ("", false),
        ("CheckDigits=\"0\"", false),
        ("CheckDigits=\"true\"", true),
    ] {
        let xml = with(&format!(
            "<Suite>hmac-sha-512</Suite><ResponseFormat Encoding=\"DECIMAL\" Length=\" 8 \" {digits}/>"
        ));
        let container = Container::decode(xml.as_bytes(), None).unwrap();
        assert_eq!(container.keys[0].key.check_digit, expected);
        assert!(
            matches!(&container.keys[0].key.credential, Credential::Hotp { hotp, .. } if hotp.algorithm == otp_core::Algorithm::Sha512)
        );
    }
}

#[test]
fn moving_factors() {
    let plain = |name: &str, value: &str| format!("<{name}><PlainValue>{value}</PlainValue></{name}>");
    let int = i64::from(i32::MAX);
    for (name, value, min, max) in [
        ("Time", "-1", 0, int),
        ("Time", "2147483648", 0, int),
        ("Time", "0x1", 0, int),
        ("TimeInterval", "0", 1, int),
        ("TimeInterval", "", 1, int),
        ("TimeDrift", "--1", i64::from(i32::MIN), int),
        ("TimeDrift", "-2147483649", i64::from(i32::MIN), int),
        ("TimeDrift", "-", i64::from(i32::MIN), int),
    ] {
        assert_refused(
            &totp(&plain(name, value)),
            Some("PlainValue"),
            number(&format!("\"{value}\""), min, max),
        );
    }
    for value in ["9223372036854775808", "99999999999999999999", "-1", "1 2"] {
        let xml = hotp(&format!(
            "{FORMAT}<Data>{SECRET}{}</Data>",
            plain("Counter", value)
        ));
        assert_refused(
            &xml,
            Some("PlainValue"),
            number(&format!("\"{value}\""), 0, i64::MAX),
        );
    }
    assert_refused(
        &totp(&plain("Counter", "1")),
        Some("Counter"),
        Problem::Inapplicable("a TOTP key"),
    );

    for (data, next, drift, step) in [
        (String::new(), 0, 0, 30),
        (plain("Time", "0"), 1, 0, 30),
        (
            format!(
                "{}{}{}",
                plain("TimeDrift", "-3"),
                plain("TimeInterval", "60"),
                plain("Time", "2147483647")
            ),
            1 << 31,
            -3,
            60,
        ),
    ] {
        let container = Container::decode(totp(&data).as_bytes(), None).unwrap();
        let Credential::Totp { totp, state, .. } = &container.keys[0].key.credential else {
            panic!("a TOTP key")
        };
        assert_eq!(
            (state.next, state.drift, totp.step().get(), totp.t0()),
            (next, drift, step, 0)
        );
    }
}

#[test]
fn policies() {
    let with = |policy: &str| hotp(&format!("{FORMAT}<Data>{SECRET}</Data><Policy>{policy}</Policy>"));
    let usages = "OTP, CR, Encrypt, Integrity, Verify, Unlock, Decrypt, KeyWrap, Unwrap, Derive and Generate";
    for (policy, element, expected) in [
        (
            "<StartDate>today</StartDate>",
            "StartDate",
            Problem::Date("\"today\"".into()),
        ),
        (
            "<KeyUsage>Sign</KeyUsage>",
            "KeyUsage",
            Problem::Value {
                value: "\"Sign\"".into(),
                expected: usages,
            },
        ),
        (
            "<NumberOfTransactions>-1</NumberOfTransactions>",
            "NumberOfTransactions",
            number("\"-1\"", 0, i64::MAX),
        ),
        (
            "<PINPolicy MinLength=\"x\"/>",
            "PINPolicy",
            number("\"x\"", 0, i64::from(u32::MAX)),
        ),
        (
            "<PINPolicy Other=\"1\"/>",
            "PINPolicy",
            Problem::UnsupportedAttribute("\"Other\"".into()),
        ),
        ("<Other/>", "Other", Problem::UnsupportedElement),
        (
            "<v:Other xmlns:v=\"urn:v\"/>",
            "Other",
            Problem::UnsupportedElement,
        ),
    ] {
        assert_refused(&with(policy), Some(element), expected);
    }
}

#[test]
fn encrypted_values() {
    let figure = figure_6();
    let cut = |from: &str, to: &str| {
        let start = figure.find(from).unwrap();
        let end = figure[start..].find(to).unwrap() + start + to.len();
        format!("{}{}", &figure[..start], &figure[end..])
    };
    for (xml, element, expected) in [
        (
            cut("<MACMethod", "</MACMethod>"),
            "EncryptedValue",
            Problem::Unauthenticated("MACMethod"),
        ),
        (
            cut("<ValueMAC", "</ValueMAC>"),
            "EncryptedValue",
            Problem::Unauthenticated("ValueMAC"),
        ),
        (
            cut("<ds:KeyName", "</ds:KeyName>"),
            "EncryptionKey",
            Problem::Missing("KeyName or DerivedKey"),
        ),
        (
            figure.replace("hmac-sha1", "hmac-md5"),
            "MACMethod",
            Problem::Algorithm {
                what: "MAC algorithm",
                value: "\"http://www.w3.org/2000/09/xmldsig#hmac-md5\"".into(),
            },
        ),
        (
            figure.replace("Su+NvtQfmvfJzF6bmQiJqoLRExc=", "Su+NvtQfmvfJzF6b"),
            "ValueMAC",
            Problem::NotAuthentic,
        ),
        (
            figure.replace("Su+NvtQfmvfJzF6bmQiJqoLRExc=", ""),
            "ValueMAC",
            Problem::NotAuthentic,
        ),
        (
            figure.replace("Su+NvtQfmvfJzF6bmQiJqoLRExc=", "?"),
            "ValueMAC",
            Problem::Base64,
        ),
        (
            figure.replace(
                "AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv",
                "AAEC",
            ),
            "CipherValue",
            Problem::Ciphertext(3),
        ),
        (
            figure.replace("xenc:CipherValue", "xenc:CipherReference"),
            "CipherReference",
            Problem::UnsupportedElement,
        ),
        (
            figure.replace("#aes128-cbc", "#kw-aes128"),
            "EncryptionMethod",
            Problem::Algorithm {
                what: "cipher",
                value: "\"http://www.w3.org/2001/04/xmlenc#kw-aes128\"".into(),
            },
        ),
    ] {
        assert_refused(&xml, Some(element), expected);
    }
    // Without EncryptionKey the pre-shared key is taken; without any key, one is asked for.
    let unnamed = cut("<EncryptionKey", "</EncryptionKey>");
    assert!(Container::decode(unnamed.as_bytes(), Some(&figure6_key())).is_ok());
    for source in [None, Some(passphrase("x"))] {
        let error = Container::decode(unnamed.as_bytes(), source.as_ref()).unwrap_err();
        assert!(matches!(error.problem, Problem::KeyNeeded { name: None, .. }));
    }
}

#[test]
fn key_derivation() {
    let open = |xml: String| {
        let error = Container::decode(xml.as_bytes(), Some(&passphrase("qwerty"))).unwrap_err();
        (error.element.unwrap(), error.problem)
    };
    let figure = figure_7();
    for (from, to, element, expected) in [
        (
            "<IterationCount>1000",
            "<IterationCount>0",
            "IterationCount",
            number("\"0\"", 1, 10_000_000),
        ),
        (
            "<IterationCount>1000",
            "<IterationCount>10000001",
            "IterationCount",
            number("\"10000001\"", 1, 10_000_000),
        ),
        (
            "<IterationCount>1000</IterationCount>",
            "",
            "PBKDF2-params",
            Problem::Missing("IterationCount"),
        ),
        (
            "<KeyLength>16",
            "<KeyLength>20",
            "KeyLength",
            Problem::Value {
                value: "\"20\"".into(),
                expected: "16, 24 and 32",
            },
        ),
        (
            "<KeyLength>16",
            "<KeyLength>32",
            "MACKey",
            Problem::KeyLength {
                found: 32,
                expected: 16,
            },
        ),
        ("Ej7/PEpyEpw=", "", "Specified", Problem::Empty),
        ("Ej7/PEpyEpw=", "Ej7/PEpyEp", "Specified", Problem::Base64),
        (
            "<Specified>Ej7/PEpyEpw=</Specified>",
            "<OtherSource/>",
            "OtherSource",
            Problem::UnsupportedElement,
        ),
        (
            "schemas/pkcs-5v2-0#pbkdf2",
            "schemas/pkcs-5v2-0#scrypt",
            "KeyDerivationMethod",
            Problem::Algorithm {
                what: "key derivation",
                value: "\"http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#scrypt\"".into(),
            },
        ),
        (
            "<PRF/>",
            "<PRF Algorithm=\"urn:x\"/>",
            "PRF",
            Problem::Algorithm {
                what: "MAC algorithm",
                value: "\"urn:x\"".into(),
            },
        ),
    ] {
        let (found, problem) = open(figure.replacen(from, to, 1));
        assert_eq!((found.as_str(), problem), (element, expected), "{to}");
    }
}

#[test]
fn every_wrong_key_is_reported_and_the_right_ones_do_not_help() {
    let key = |id: &str, length: &str| {
        format!(
            "\n<KeyPackage><Key Id=\"{id}\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\">{}<Data>{SECRET}</Data></Key></KeyPackage>",
            FORMAT.replace("\"6\"", &format!("\"{length}\""))
        )
    };
    let xml = container(&[key("1", "6"), key("2", "9"), key("3", "6"), key("4", "4")].concat());
    let errors = Decoder::new().decode_all(xml.as_bytes(), None).unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| error.at.line).collect();
    assert_eq!(lines, [3, 5]);
    assert_eq!(
        Decoder::new().decode(xml.as_bytes(), None).unwrap_err(),
        errors[0]
    );

    let many = container(&key("1", "9").repeat(Decoder::MAX_ERRORS + 5));
    assert_eq!(
        Decoder::new()
            .decode_all(many.as_bytes(), None)
            .unwrap_err()
            .len(),
        Decoder::MAX_ERRORS
    );
    // What concerns every value is said once.
    let twice = figure_6().replace(
        "<KeyPackage>",
        "<KeyPackage><Key Id=\"x\" Algorithm=\"x\"/></KeyPackage><KeyPackage>",
    );
    let errors = Decoder::new().decode_all(twice.as_bytes(), None).unwrap_err();
    assert!(matches!(errors[..], [ref error] if matches!(error.problem, Problem::KeyNeeded { .. })));
}

#[test]
fn what_changes_nothing_is_read() {
    // Comments, CDATA, references, CRLF, a byte order mark, hints for editors, and white space around values.
    let xml = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- c --><KeyContainer Version=\"1.0\" {NAMESPACES} \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\">\r\n<KeyPackage><Key Id=\"&lt;1&#x3e;\" \
         Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\"><Issuer> A&amp;<![CDATA[<B>]]>\r\nC<!-- c -->&#233; </Issuer>\
         <FriendlyName xml:lang=\"de\">n</FriendlyName>{FORMAT}<Data>{SECRET}</Data></Key></KeyPackage></KeyContainer>\r\n"
    );
    let container = Container::decode(xml.as_bytes(), None).unwrap();
    let key = &container.keys[0].key;
    assert_eq!(key.id, "<1>");
    assert_eq!(key.issuer.as_deref(), Some("A&<B>\nCé"));
    assert_eq!(key.friendly_name.as_deref(), Some("n"));
}
