//! What a client's certificate says of it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::ObjectIdentifier},
    ext::pkix::{
        SubjectAltName,
        name::{DirectoryString, GeneralName},
    },
};

/// SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

/// Pairs of upper-case hexadecimal digits, with colons between them.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, octet)| {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Text that is not a SHA-256 fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits")]
pub struct FingerprintError;

/// Takes what [`Display`](fmt::Display) writes, also in lower case and without colons.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digits = text.chars().filter(|digit| *digit != ':');
        let mut digit = || {
            digits
                .next()?
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let mut octets = [0; 32];
        for octet in &mut octets {
            let (high, low) = digit().zip(digit()).ok_or(FingerprintError)?;
            *octet = high << 4 | low;
        }
        digits
            .next()
            .is_none()
            .then_some(Self(octets))
            .ok_or(FingerprintError)
    }
}

/// What a client proved to be: the certificate whose key it has, signed by an authority that is trusted here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    names: Vec<String>,
    fingerprint: Fingerprint,
}

/// A certificate that TLS has taken and this cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read: {0}")]
pub struct CertificateUnreadable(x509_cert::der::Error);

impl ClientCertificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateUnreadable`] if it is none as RFC 5280 describes them.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateUnreadable> {
        let names = names(der).map_err(CertificateUnreadable)?;
        Ok(Self {
            names,
            fingerprint: Fingerprint::of(der),
        })
    }

    /// The names in its subjectAltName: DNS names, addresses, mail addresses, URIs. The common names of its subject too, if
    /// there is neither DNS name nor address (RFC 6614 §2.3, RFC 6125 §6.4.4).
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it has this name, whatever the case of the letters. `*` stands for itself.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// SHA-256 of the whole.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// For logs: the names, or else the fingerprint.
impl fmt::Display for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return write!(f, "sha256:{}", self.fingerprint);
        }
        write!(f, "{}", self.names.join(", ").escape_debug())
    }
}

fn names(der: &[u8]) -> x509_cert::der::Result<Vec<String>> {
    let certificate = Certificate::from_der(der)?;
    let certificate = certificate.tbs_certificate();
    let mut names = Vec::new();
    let mut has_host = false;
    if let Some((_, SubjectAltName(alternatives))) = certificate.get_extension::<SubjectAltName>()? {
        for alternative in &alternatives {
            has_host |= matches!(alternative, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
            names.extend(text(alternative));
        }
    }
    if has_host {
        return Ok(names);
    }
    for attribute in certificate.subject().iter() {
        if attribute.oid == COMMON_NAME {
            let name: DirectoryString = attribute.value.decode_as()?;
            names.push(name.value().into_owned());
        }
    }
    Ok(names)
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
            let v6 = || <[u8; 16]>::try_from(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// commonName (RFC 4519 §2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_as_openssl_shows_them() {
        let shown = "03:F2:0A:".to_owned() + &"7C:".repeat(28) + "FF";
        let fingerprint: Fingerprint = shown.parse().unwrap();
        assert_eq!(fingerprint.to_string(), shown);
        let plain = shown.replace(':', "").to_lowercase();
        assert_eq!(plain.parse(), Ok(fingerprint));
        for wrong in [
            "",
            "03",
            &plain[1..],
            &format!("{plain}0"),
            &plain.replace('f', "g"),
        ] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
        }
    }
}
