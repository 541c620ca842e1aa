//! Documents, keys and randomness for the tests.

use std::convert::Infallible;

use pskc::{KeySource, Passphrase, PreSharedKey};

/// The key of RFC 4226 Appendix D, which the figures of RFC 6030 use.
pub const KEY: &[u8] = b"12345678901234567890";
pub const KEY_BASE64: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=";

/// The pre-shared key of figure 6.
pub fn figure6_key() -> KeySource {
    PreSharedKey::new(&hex("12345678901234567890123456789012"))
        .unwrap()
        .into()
}

pub fn passphrase(text: &str) -> KeySource {
    Passphrase::new(text.as_bytes()).unwrap().into()
}

pub fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half an octet");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A container of one key whose inside is `key`.
pub fn hotp(key: &str) -> String {
    container(&format!(
        "<KeyPackage><Key Id=\"1\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\">{key}</Key></KeyPackage>"
    ))
}

pub fn totp(data: &str) -> String {
    container(&format!(
        "<KeyPackage><Key Id=\"1\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:totp\">{FORMAT}<Data>{SECRET}{data}</Data></Key></KeyPackage>"
    ))
}

pub fn container(inside: &str) -> String {
    format!("<KeyContainer Version=\"1.0\" {NAMESPACES}>{inside}</KeyContainer>")
}

pub const NAMESPACES: &str = "xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
     xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" xmlns:xenc11=\"http://www.w3.org/2009/xmlenc11#\" \
     xmlns:pkcs5=\"http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#\"";

pub const FORMAT: &str =
    "<AlgorithmParameters><ResponseFormat Encoding=\"DECIMAL\" Length=\"6\"/></AlgorithmParameters>";
pub const SECRET: &str = "<Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>";

/// SplitMix64: the tests' randomness, the same in every run.
pub struct SplitMix(pub u64);

impl rand::TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| (number >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        for chunk in octets.chunks_mut(8) {
            let number = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand::TryCryptoRng for SplitMix {}
