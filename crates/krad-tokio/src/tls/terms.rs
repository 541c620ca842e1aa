//! On what terms a server speaks TLS: its certificate, whose certificates it takes, which versions.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use krad::radius11::{Version, Versions};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem, pem::PemObject},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use x509_cert::{Certificate, der::Decode as _};

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MinTls {
    /// TLS 1.2, as RFC 6614's successors ask of everybody.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Where the terms are read from, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and after it those of authorities between it and the root.
    pub certificate: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
    /// The authorities whose certificates clients have.
    pub client_ca: PathBuf,
    /// The lists of what these authorities, and those between them and a client, have revoked. Without it nothing is revoked;
    /// with it, a list that is missing or out of date keeps the clients out that it should tell about.
    pub crl: Option<PathBuf>,
    /// Which versions of RADIUS are spoken.
    pub versions: Versions,
    /// The oldest version of TLS that is spoken.
    pub min_tls: MinTls,
}

/// Why there are no terms to speak TLS on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or something else is in it.
    #[error("{} holds no {wanted} in PEM (\"-----BEGIN …\")", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What is wrong; nothing if there is only something else in the file.
        source: Option<pem::Error>,
    },
    /// The certificate cannot be used, or is not that of the key.
    #[error("{} and {} are not a certificate and its key", certificate.display(), key.display())]
    Certificate {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate authority cannot be used.
    #[error("{} holds a certificate that cannot be an authority's", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities, or the lists of what they revoked, cannot be used.
    #[error("cannot verify clients by {}{}", client_ca.display(), crl.as_ref().map(|crl| format!(" and {}", crl.display())).unwrap_or_default())]
    Verifier {
        /// The file of the authorities.
        client_ca: PathBuf,
        /// The file of the lists.
        crl: Option<PathBuf>,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The TLS library does not have what is asked of it.
    #[error("the TLS library cannot be used so")]
    Library(#[source] rustls::Error),
}

/// The terms of a listener, which can be replaced while it serves.
#[derive(Debug)]
pub struct TlsTerms(RwLock<Arc<Current>>);

/// What holds for the next connection.
#[derive(Debug)]
pub(super) struct Current {
    /// For clients that offer TLS 1.3.
    pub(super) config: Arc<ServerConfig>,
    /// For others, to which RADIUS/1.1 is not offered.
    pub(super) config_before_tls13: Arc<ServerConfig>,
    versions: Versions,
    expires: Option<Duration>,
}

impl TlsTerms {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the file.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(Arc::new(Current::read(files)?))))
    }

    /// Lets the terms of `other` hold from the next connection on. Connections that are open stay as they are.
    pub fn replace(&self, other: &Self) {
        let current = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// When the server's certificate expires, since the Unix epoch; `None` if it does not say so in a way that can be
    /// understood.
    #[must_use]
    pub fn expires(&self) -> Option<Duration> {
        self.current().expires
    }

    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Current {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = certificates(&files.certificate)?;
        let expires = chain.first().and_then(|certificate| not_after(certificate));
        let key = private_key(&files.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = verifier(files, &provider)?;

        let protocols: &[&SupportedProtocolVersion] = match files.min_tls {
            MinTls::Tls12 => &[&TLS13, &TLS12],
            MinTls::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(protocols)
            .map_err(TlsError::Library)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|source| TlsError::Certificate {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                source,
            })?;
        // No session is resumed: each connection proves anew that its certificate is still good. They are few, and long.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = names(files.versions.offer());
        let mut config_before_tls13 = config.clone();
        config_before_tls13.alpn_protocols = match files.versions {
            Versions::Both => names(Versions::Historic.offer()),
            // Without a name in common there is no connection, as there should be.
            other => names(other.offer()),
        };
        Ok(Self {
            config: Arc::new(config),
            config_before_tls13: Arc::new(config_before_tls13),
            versions: files.versions,
            expires,
        })
    }

    /// The version of a connection that agreed on this name by ALPN; `None` if the client should have known one.
    pub(super) fn version(&self, alpn: Option<&[u8]>) -> Option<Version> {
        let selected = self.versions.select(alpn).ok()?;
        Some(selected.version)
    }
}

pub(crate) fn names(offer: &[&[u8]]) -> Vec<Vec<u8>> {
    offer.iter().map(|name| name.to_vec()).collect()
}

fn verifier(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.client_ca)? {
        roots.add(authority).map_err(|source| TlsError::Authority {
            path: files.client_ca.clone(),
            source,
        })?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &files.crl {
        let lists: Vec<CertificateRevocationListDer<'static>> =
            sections(path, "list of revoked certificates")?;
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    builder.build().map_err(|source| TlsError::Verifier {
        client_ca: files.client_ca.clone(),
        crl: files.crl.clone(),
        source,
    })
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    sections(path, "certificate")
}

/// All sections of one kind, at least one.
pub(crate) fn sections<T: PemObject>(path: &Path, wanted: &'static str) -> Result<Vec<T>, TlsError> {
    let octets = read(path)?;
    let wrong = |source| TlsError::Pem {
        path: path.to_owned(),
        wanted,
        source,
    };
    let sections: Result<Vec<T>, pem::Error> = T::pem_slice_iter(&octets).collect();
    let sections = sections.map_err(|error| wrong(Some(error)))?;
    if sections.is_empty() {
        return Err(wrong(None));
    }
    Ok(sections)
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let octets = zeroize::Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| TlsError::Pem {
        path: path.to_owned(),
        wanted: "private key without a passphrase",
        source: (!matches!(error, pem::Error::NoItemsFound)).then_some(error),
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(
        certificate
            .tbs_certificate()
            .validity()
            .not_after
            .to_unix_duration(),
    )
}
