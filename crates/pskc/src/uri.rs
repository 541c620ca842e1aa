//! The namespaces and algorithm names of containers.

/// PSKC (RFC 6030 §11.2).
pub(crate) const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
/// XML Encryption 1.0.
pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// XML Encryption 1.1, where `DerivedKey` comes from.
pub(crate) const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// XML Signature.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// More algorithms for XML Signature (RFC 4051).
pub(crate) const DS_MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
/// PKCS #5 2.0, where RFC 6030 takes PBKDF2 from.
pub(crate) const PKCS5: &str = "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#";

/// Algorithms of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Hotp,
    Totp,
    Pin,
}

impl KeyAlgorithm {
    const ALL: [Self; 3] = [Self::Hotp, Self::Totp, Self::Pin];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hotp => "hotp",
            Self::Totp => "totp",
            Self::Pin => "pin",
        }
    }

    /// Reads `urn:ietf:params:xml:ns:keyprov:pskc:hotp` (RFC 6030 §10), and with it the spellings of the drafts before
    /// and after: `#` for the last colon, `http://www.ietf.org/keyprov/pskc#hotp`, and any case.
    pub(crate) fn read(uri: &str) -> Option<Self> {
        let (base, name) = uri.split_at_checked(uri.rfind([':', '#'])?)?;
        let name = name.get(1..)?;
        [PSKC, "http://www.ietf.org/keyprov/pskc"]
            .iter()
            .any(|known| base.eq_ignore_ascii_case(known))
            .then(|| {
                Self::ALL
                    .into_iter()
                    .find(|algorithm| name.eq_ignore_ascii_case(algorithm.name()))
            })
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings() {
        for (uri, expected) in [
            (
                "urn:ietf:params:xml:ns:keyprov:pskc:hotp",
                Some(KeyAlgorithm::Hotp),
            ),
            (
                "urn:ietf:params:xml:ns:keyprov:pskc#hotp",
                Some(KeyAlgorithm::Hotp),
            ),
            (
                "urn:ietf:params:xml:ns:keyprov:pskc#TOTP",
                Some(KeyAlgorithm::Totp),
            ),
            ("http://www.ietf.org/keyprov/pskc#totp", Some(KeyAlgorithm::Totp)),
            ("urn:ietf:params:xml:ns:keyprov:pskc:pin", Some(KeyAlgorithm::Pin)),
            ("urn:ietf:params:xml:ns:keyprov:pskc:ocra-1:1:1", None),
            ("urn:ietf:params:xml:ns:keyprov:pskc:", None),
            ("urn:ietf:params:xml:ns:keyprov:pskc", None),
            ("urn:example:hotp", None),
            ("hotp", None),
            ("", None),
        ] {
            assert_eq!(KeyAlgorithm::read(uri), expected, "{uri}");
        }
    }
}
