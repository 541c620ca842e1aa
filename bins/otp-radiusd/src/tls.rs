//! The table `[tls]`: certificates, versions, and whose certificate is whose.

use std::{collections::BTreeMap, path::PathBuf};

use krad::radius11::Versions;
use krad_tokio::{ClientCertificate, Fingerprint, FingerprintError, MinTls, TlsError, TlsFiles, TlsTerms};
use serde::Deserialize;

/// TLS, for the listeners that speak it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and those between it and the root, in PEM.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM, without a passphrase.
    pub key: Option<PathBuf>,
    /// The authorities that sign the certificates of clients, in PEM.
    pub client_ca: Option<PathBuf>,
    /// Lists of what these authorities have revoked, in PEM.
    pub crl: Option<PathBuf>,
    /// Whether RADIUS/1.1 is spoken.
    pub radius_1_1: Radius11,
    /// The oldest version of TLS.
    pub min_version: MinVersion,
    /// Names and fingerprints of the certificates of clients. A client without an entry may have any certificate of the
    /// authorities.
    pub clients: CertificateRules,
}

/// Whether RADIUS/1.1 (RFC 9765) is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Radius11 {
    /// Not at all.
    Forbid,
    /// With whoever speaks it.
    #[default]
    Allow,
    /// With everybody; others are not served.
    Require,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Which certificates the clients of some names may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CertificateRules(BTreeMap<String, Vec<CertificateRule>>);

/// A certificate that a client may have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum CertificateRule {
    /// Any with this name.
    Name(String),
    /// This one.
    Fingerprint(Fingerprint),
}

/// Text that describes no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRuleError {
    /// No name has no characters.
    #[error(
        "a certificate is described by a name in it, such as \"vpn.example.com\", or by \"sha256:\" and its fingerprint"
    )]
    Empty,
    /// Not a fingerprint.
    #[error("{0:?}: {FingerprintError}, as `openssl x509 -noout -fingerprint -sha256 -in FILE` shows them")]
    Fingerprint(String),
}

impl TryFrom<String> for CertificateRule {
    type Error = CertificateRuleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix("sha256:") {
            Some(fingerprint) => match fingerprint.parse() {
                Ok(fingerprint) => Ok(Self::Fingerprint(fingerprint)),
                Err(FingerprintError) => Err(CertificateRuleError::Fingerprint(text)),
            },
            None if text.trim().is_empty() => Err(CertificateRuleError::Empty),
            None => Ok(Self::Name(text)),
        }
    }
}

impl CertificateRules {
    /// Whether the client of this name may have this certificate.
    pub(crate) fn permit(&self, client: &str, certificate: &ClientCertificate) -> bool {
        self.0.get(client).is_none_or(|rules| {
            rules.iter().any(|rule| match rule {
                CertificateRule::Name(name) => certificate.has_name(name),
                CertificateRule::Fingerprint(fingerprint) => certificate.fingerprint() == *fingerprint,
            })
        })
    }

    /// The names of the clients that have an entry.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A listener speaks TLS, and a key is missing.
    #[error(
        "`{listener}` speaks TLS, and `[tls]` has no `{key}`; write it, e.g. {key} = {example:?} (docs/radsec.md shows how to make the files)"
    )]
    Missing {
        /// The listener.
        listener: String,
        /// The key.
        key: &'static str,
        /// What it may look like.
        example: &'static str,
    },
    /// A file cannot be used.
    #[error("`[tls]`{}", remedy(.0).map(|remedy| format!(": {remedy}")).unwrap_or_default())]
    Unusable(#[from] TlsError),
}

/// What to do about it, where the cause alone does not say.
fn remedy(error: &TlsError) -> Option<&'static str> {
    match error {
        TlsError::Read { .. } => {
            Some("the file must be there, and the user of the daemon must be able to read it")
        }
        TlsError::Pem {
            wanted: "private key without a passphrase",
            ..
        } => Some("`openssl pkey -in FILE -out NEW` takes the passphrase away"),
        TlsError::Certificate { .. } => Some(
            "compare `openssl x509 -noout -pubkey -in CERTIFICATE` with `openssl pkey -pubout -in KEY`; the certificate comes \
             first in its file",
        ),
        _ => None,
    }
}

impl TlsConfig {
    /// Reads the files, for `listener`.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`], which names the key or the file.
    pub(crate) fn terms(&self, listener: &impl ToString) -> Result<TlsTerms, TlsConfigError> {
        let needed = |value: &Option<PathBuf>, key, example| {
            value.clone().ok_or_else(|| TlsConfigError::Missing {
                listener: listener.to_string(),
                key,
                example,
            })
        };
        let files = TlsFiles {
            certificate: needed(
                &self.certificate,
                "certificate",
                "/etc/otp-radiusd/tls/server.pem",
            )?,
            key: needed(&self.key, "key", "/etc/otp-radiusd/tls/server.key")?,
            client_ca: needed(&self.client_ca, "client_ca", "/etc/otp-radiusd/tls/clients.pem")?,
            crl: self.crl.clone(),
            versions: match self.radius_1_1 {
                Radius11::Forbid => Versions::Historic,
                Radius11::Allow => Versions::Both,
                Radius11::Require => Versions::Radius11,
            },
            min_tls: match self.min_version {
                MinVersion::Tls12 => MinTls::Tls12,
                MinVersion::Tls13 => MinTls::Tls13,
            },
        };
        Ok(TlsTerms::read(&files)?)
    }
}
