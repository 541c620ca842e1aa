//! The figures of RFC 6030: their keys, values and structure.

use otp_core::{Algorithm, Hotp};
use pskc::{Container, Credential, Decoder, KeyKind, KeyUsage, PinUsageMode, Problem, ValueFormat};

use crate::harness::{KEY, KEY_BASE64, NAMESPACES, container, figure6_key, hex, passphrase};

const HOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";

fn assert_hotp(credential: &Credential, digits: u8, next: u64) {
    let Credential::Hotp { key, hotp, state } = credential else {
        panic!("{credential:?} is no HOTP key");
    };
    assert_eq!(key.as_bytes(), KEY);
    let expected = Hotp {
        algorithm: Algorithm::Sha1,
        digits: digits.try_into().unwrap(),
    };
    assert_eq!((*hotp, state.next), (expected, next));
}

/// Figures 2 and 3: a plain HOTP key, with and without what surrounds it.
#[test]
fn figures_2_and_3_plain_and_supplementary_data() {
    for (device_user, key_user) in [
        ("", ""),
        (
            "<UserId>DC=example-bank,DC=net</UserId>",
            "<UserId>UID=jsmith,DC=example-bank,DC=net</UserId>",
        ),
    ] {
        let xml = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <KeyContainer Version="1.0" Id="exampleID1" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
              <KeyPackage>
                <DeviceInfo><Manufacturer>Manufacturer</Manufacturer><SerialNo>987654321</SerialNo>{device_user}</DeviceInfo>
                <CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>
                <Key Id="12345678" Algorithm="{HOTP}">
                  <Issuer>Issuer</Issuer>
                  <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
                  <Data>
                    <Secret><PlainValue>{KEY_BASE64}
                    </PlainValue></Secret>
                    <Counter><PlainValue>0</PlainValue></Counter>
                  </Data>{key_user}
                </Key>
              </KeyPackage>
            </KeyContainer>"#
        );
        let container = Container::decode(xml.as_bytes(), None).unwrap();
        assert_eq!(container.id.as_deref(), Some("exampleID1"));
        let package = &container.keys[0];
        let device = package.device.as_ref().unwrap();
        assert_eq!((package.position.line, package.position.column), (3, 15));
        assert_eq!(device.manufacturer.as_deref(), Some("Manufacturer"));
        assert_eq!(device.serial_no.as_deref(), Some("987654321"));
        assert_eq!(package.crypto_module_id.as_deref(), Some("CM_ID_001"));
        assert_eq!(
            (package.key.id.as_str(), package.key.issuer.as_deref()),
            ("12345678", Some("Issuer"))
        );
        assert_hotp(&package.key.credential, 8, 0);
        let users = (device.user_id.as_deref(), package.key.user_id.as_deref());
        let expected = (
            Some("DC=example-bank,DC=net"),
            Some("UID=jsmith,DC=example-bank,DC=net"),
        );
        assert_eq!(
            users,
            if key_user.is_empty() {
                (None, None)
            } else {
                expected
            }
        );
    }
}

/// Figure 4: a key that both sides derive from a master key: there is nothing to import.
#[test]
fn figure_4_key_derivation_has_no_secret() {
    let xml = container(&format!(
        r#"<KeyPackage><Key Id="12345678" Algorithm="{HOTP}"><Issuer>Issuer</Issuer>
           <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
           <KeyProfileId>keyProfile1</KeyProfileId><KeyReference>MasterKeyLabel
           </KeyReference>
           <Data><Counter><PlainValue>0</PlainValue></Counter></Data>
           <Policy><KeyUsage>OTP</KeyUsage></Policy></Key></KeyPackage>"#
    ));
    let error = Container::decode(xml.as_bytes(), None).unwrap_err();
    assert_eq!(error.problem, Problem::Missing("Secret"));
    assert_eq!((error.element.as_deref(), error.at.line), (Some("Data"), 5));

    let xml = xml.replace(
        "<Data>",
        &format!("<Data><Secret><PlainValue>{KEY_BASE64}</PlainValue></Secret>"),
    );
    let key = &Container::decode(xml.as_bytes(), None).unwrap().keys[0].key;
    assert_eq!(key.key_profile_id.as_deref(), Some("keyProfile1"));
    assert_eq!(key.key_reference.as_deref(), Some("MasterKeyLabel"));
    assert_eq!(key.policy.key_usage, [KeyUsage::Otp]);
}

/// Figure 5: an HOTP key with a PIN in a key of its own.
#[test]
fn figure_5_pin_policy() {
    let xml = container(&format!(
        r#"<KeyPackage><Key Id="12345678" Algorithm="{HOTP}">
             <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
             <Data><Secret><PlainValue>{KEY_BASE64}</PlainValue></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>
             <Policy><PINPolicy MinLength="4" MaxLength="4" PINKeyId="123456781" PINEncoding="DECIMAL" PINUsageMode="Local"/>
               <KeyUsage>OTP</KeyUsage></Policy></Key></KeyPackage>
           <KeyPackage><Key Id="123456781" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:pin">
             <AlgorithmParameters><ResponseFormat Length="4" Encoding="DECIMAL"/></AlgorithmParameters>
             <Data><Secret><PlainValue>MTIzNA==</PlainValue></Secret></Data></Key></KeyPackage>"#
    ));
    let keys = Container::decode(xml.as_bytes(), None).unwrap().keys;
    let pin_policy = keys[0].key.policy.pin.as_ref().unwrap();
    assert_eq!(pin_policy.key_id.as_deref(), Some("123456781"));
    assert_eq!(pin_policy.usage_mode, Some(PinUsageMode::Local));
    assert_eq!(pin_policy.encoding, Some(ValueFormat::Decimal));
    assert_eq!(
        (
            pin_policy.min_length,
            pin_policy.max_length,
            pin_policy.max_failed_attempts
        ),
        (Some(4), Some(4), None)
    );
    assert_hotp(&keys[0].key.credential, 8, 0);
    let Credential::Pin(pin) = &keys[1].key.credential else {
        panic!("a PIN")
    };
    assert_eq!(pin.as_bytes(), b"1234");
    assert!(keys[1].key.credential.token_key().is_none());

    let other_length = xml.replace("Length=\"4\" Encoding", "Length=\"5\" Encoding");
    assert_eq!(
        Container::decode(other_length.as_bytes(), None)
            .unwrap_err()
            .problem,
        Problem::Pin
    );
}

/// Figure 6: AES-128-CBC under a pre-shared key, with HMAC-SHA-1.
pub fn figure_6() -> String {
    format!(
        r#"<KeyContainer Version="1.0" {NAMESPACES}>
  <EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>
  <MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1">
    <MACKey>
      <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
      <xenc:CipherData><xenc:CipherValue>
        ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX
      </xenc:CipherValue></xenc:CipherData>
    </MACKey>
  </MACMethod>
  <KeyPackage><Key Id="12345678" Algorithm="{HOTP}">
    <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
    <Data>
      <Secret>
        <EncryptedValue>
          <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
          <xenc:CipherData><xenc:CipherValue>
            AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv
          </xenc:CipherValue></xenc:CipherData>
        </EncryptedValue>
        <ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=
        </ValueMAC>
      </Secret>
      <Counter><PlainValue>0</PlainValue></Counter>
    </Data>
  </Key></KeyPackage>
</KeyContainer>"#
    )
}

#[test]
fn figure_6_pre_shared_key() {
    let container = Container::decode(figure_6().as_bytes(), Some(&figure6_key())).unwrap();
    assert_hotp(&container.keys[0].key.credential, 8, 0);

    let error = Container::decode(figure_6().as_bytes(), None).unwrap_err();
    let needed = Problem::KeyNeeded {
        kind: KeyKind::PreSharedKey,
        name: Some("\"Pre-shared-key\"".into()),
    };
    assert_eq!(error.problem, needed);
    assert_eq!(
        error.to_string(),
        "line 2, column 18, element KeyName: the container is encrypted with a pre-shared key called \"Pre-shared-key\"; give it"
    );
    let error = Container::decode(figure_6().as_bytes(), Some(&passphrase("qwerty"))).unwrap_err();
    assert_eq!(error.problem, needed);
}

#[test]
fn figure_6_another_key() {
    for (key, expected) in [
        ("00000000000000000000000000000000", Problem::NotAuthentic),
        ("12345678901234567890123456789013", Problem::NotAuthentic),
        (
            "000000000000000000000000000000000000000000000000",
            Problem::KeyLength {
                found: 24,
                expected: 16,
            },
        ),
    ] {
        let key = pskc::PreSharedKey::new(&hex(key)).unwrap().into();
        let error = Container::decode(figure_6().as_bytes(), Some(&key)).unwrap_err();
        assert_eq!(error.problem, expected);
    }
}

/// Every octet of what is encrypted counts, and every octet of the MAC.
#[test]
fn figure_6_altered() {
    use base64ct::{Base64, Encoding};
    let values = [
        "ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX",
        "AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv",
        "Su+NvtQfmvfJzF6bmQiJqoLRExc=",
    ];
    for value in values {
        let octets = Base64::decode_vec(value).unwrap();
        for bit in 0..octets.len() * 8 {
            let mut altered = octets.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let xml = figure_6().replace(value, &Base64::encode_string(&altered));
            let error = Container::decode(xml.as_bytes(), Some(&figure6_key())).unwrap_err();
            assert_eq!(error.problem, Problem::NotAuthentic, "bit {bit} of {value}");
        }
    }
}

/// Every bit of what is encrypted counts, of the wrapped MAC key, of the MAC, and of the salt.
#[test]
fn figure_7_altered() {
    use base64ct::{Base64, Encoding};
    for value in [
        "2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx",
        "oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f",
        "LP6xMvjtypbfT9PdkJhBZ+D6O4w=",
        "Ej7/PEpyEpw=",
    ] {
        let octets = Base64::decode_vec(value).unwrap();
        for bit in 0..octets.len() * 8 {
            let mut altered = octets.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let xml = figure_7().replace(value, &Base64::encode_string(&altered));
            let error = Container::decode(xml.as_bytes(), Some(&passphrase("qwerty"))).unwrap_err();
            assert_eq!(error.problem, Problem::NotAuthentic, "bit {bit} of {value}");
        }
    }
}

/// Figure 7: AES-128-CBC under a key that PBKDF2 derives from "qwerty"; the prefixes are the figure's.
pub fn figure_7() -> String {
    format!(
        r##"<pskc:KeyContainer xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc"
    xmlns:xenc11="http://www.w3.org/2009/xmlenc11#"
    xmlns:pkcs5="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#"
    xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Version="1.0">
  <pskc:EncryptionKey>
    <xenc11:DerivedKey>
      <xenc11:KeyDerivationMethod Algorithm="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2">
        <pkcs5:PBKDF2-params>
          <Salt><Specified>Ej7/PEpyEpw=</Specified></Salt>
          <IterationCount>1000</IterationCount>
          <KeyLength>16</KeyLength>
          <PRF/>
        </pkcs5:PBKDF2-params>
      </xenc11:KeyDerivationMethod>
      <xenc:ReferenceList><xenc:DataReference URI="#ED"/></xenc:ReferenceList>
      <xenc11:MasterKeyName>My Password 1</xenc11:MasterKeyName>
    </xenc11:DerivedKey>
  </pskc:EncryptionKey>
  <pskc:MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1">
    <pskc:MACKey>
      <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
      <xenc:CipherData><xenc:CipherValue>
        2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx
      </xenc:CipherValue></xenc:CipherData>
    </pskc:MACKey>
  </pskc:MACMethod>
  <pskc:KeyPackage><pskc:Key Algorithm="{HOTP}" Id="123456">
    <pskc:AlgorithmParameters><pskc:ResponseFormat Length="8" Encoding="DECIMAL"/></pskc:AlgorithmParameters>
    <pskc:Data><pskc:Secret>
      <pskc:EncryptedValue Id="ED">
        <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
        <xenc:CipherData><xenc:CipherValue>
          oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f
        </xenc:CipherValue></xenc:CipherData>
      </pskc:EncryptedValue>
      <pskc:ValueMAC>LP6xMvjtypbfT9PdkJhBZ+D6O4w=</pskc:ValueMAC>
    </pskc:Secret></pskc:Data>
  </pskc:Key></pskc:KeyPackage>
</pskc:KeyContainer>"##
    )
}

#[test]
fn figure_7_passphrase() {
    let container = Container::decode(figure_7().as_bytes(), Some(&passphrase("qwerty"))).unwrap();
    assert_hotp(&container.keys[0].key.credential, 8, 0);

    for wrong in ["qwertz", "Qwerty", "qwerty ", "q"] {
        let error = Container::decode(figure_7().as_bytes(), Some(&passphrase(wrong))).unwrap_err();
        assert_eq!(error.problem, Problem::NotAuthentic, "{wrong}");
    }
    // The pseudorandom function in both spellings; another one gives another key.
    for (prf, is_right) in [
        ("<PRF>http://www.w3.org/2000/09/xmldsig#hmac-sha1</PRF>", true),
        (
            "<PRF Algorithm=\"http://www.w3.org/2000/09/xmldsig#hmac-sha1\"/>",
            true,
        ),
        ("", true),
        (
            "<PRF>http://www.w3.org/2001/04/xmldsig-more#hmac-sha256</PRF>",
            false,
        ),
    ] {
        let xml = figure_7().replace("<PRF/>", prf);
        assert_eq!(
            Container::decode(xml.as_bytes(), Some(&passphrase("qwerty"))).is_ok(),
            is_right,
            "{prf}"
        );
    }
    let needed = Problem::KeyNeeded {
        kind: KeyKind::Passphrase,
        name: Some("\"My Password 1\"".into()),
    };
    for source in [None, Some(figure6_key())] {
        let error = Container::decode(figure_7().as_bytes(), source.as_ref()).unwrap_err();
        assert_eq!(error.problem, needed);
    }
    let iterations = Decoder::new().with_max_iterations(999);
    let error = iterations
        .decode(figure_7().as_bytes(), Some(&passphrase("qwerty")))
        .unwrap_err();
    assert!(
        matches!(error.problem, Problem::Number { max: 999, .. }),
        "{error}"
    );
}

/// Figure 8: a secret under the public key of a certificate.
#[test]
fn figure_8_certificates_are_refused() {
    let xml = format!(
        r#"<KeyContainer {NAMESPACES} id="KC0001" Version="1.0">
  <EncryptionKey><ds:X509Data><ds:X509Certificate>MIIB</ds:X509Certificate></ds:X509Data></EncryptionKey>
  <KeyPackage/></KeyContainer>"#
    );
    let error = Container::decode(xml.as_bytes(), Some(&figure6_key())).unwrap_err();
    assert_eq!((error.at.line, error.element.as_deref()), (2, Some("X509Data")));
    assert_eq!(error.problem, Problem::UnsupportedElement);

    let rsa = figure_6().replace("#aes128-cbc", "#rsa_1_5");
    let error = Container::decode(rsa.as_bytes(), Some(&figure6_key())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the cipher \"http://www.w3.org/2001/04/xmlenc#rsa_1_5\" is not supported")
    );
}

/// Figure 9: a signed container. The figure itself has the signature in the namespace of PSKC.
#[test]
fn figure_9_signatures_are_refused_unless_they_shall_be_ignored() {
    for signature in ["Signature", "ds:Signature"] {
        let xml = container(&format!(
            r#"<KeyPackage><DeviceInfo><SerialNo>0755225266</SerialNo></DeviceInfo><Key Id="123" Algorithm="{HOTP}">
               <AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>
               <Data><Secret><PlainValue>{KEY_BASE64}</PlainValue></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>
               </Key></KeyPackage>
               <{signature}><ds:SignedInfo/><ds:SignatureValue>j6lw</ds:SignatureValue></{signature}>"#
        ));
        let error = Container::decode(xml.as_bytes(), None).unwrap_err();
        assert_eq!((error.problem, error.at.line), (Problem::Signature, 5));
        let container = Decoder::new()
            .dangerous_ignore_signature()
            .decode(xml.as_bytes(), None)
            .unwrap();
        assert_hotp(&container.keys[0].key.credential, 6, 0);
    }
}

/// Figure 10: several keys, with their dates.
#[test]
fn figure_10_bulk() {
    let rows = [
        ("1", "654321", "2006-05-01T00:00:00Z", "2006-05-31T00:00:00Z"),
        ("2", "123456", "2006-05-01T00:00:00Z", "2006-05-31T00:00:00Z"),
        ("3", "9999999", "2006-03-01T00:00:00Z", "2006-03-31T00:00:00Z"),
        ("4", "9999999", "2006-04-01T00:00:00Z", "2006-04-30T00:00:00Z"),
    ];
    let packages = rows.map(|(id, serial, start, expiry)| {
        format!(
            r#"<KeyPackage><DeviceInfo><Manufacturer>TokenVendorAcme</Manufacturer><SerialNo>{serial}</SerialNo></DeviceInfo>
               <Key Id="{id}" Algorithm="{HOTP}"><Issuer>Issuer</Issuer>
               <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
               <Data><Secret><PlainValue>
                  {KEY_BASE64}
               </PlainValue></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>
               <Policy><StartDate>{start}</StartDate><ExpiryDate>{expiry}</ExpiryDate></Policy></Key></KeyPackage>"#
        )
    });
    let keys = Container::decode(container(&packages.concat()).as_bytes(), None)
        .unwrap()
        .keys;
    assert_eq!(keys.len(), rows.len());
    for (package, (id, serial, start, expiry)) in keys.iter().zip(rows) {
        assert_eq!(package.key.id, id);
        assert_eq!(
            package.device.as_ref().unwrap().serial_no.as_deref(),
            Some(serial)
        );
        assert_eq!(package.key.policy.start_date.unwrap().to_string(), start);
        assert_eq!(package.key.policy.expiry_date.unwrap().to_string(), expiry);
        assert_hotp(&package.key.credential, 8, 0);
    }
}
