//! On what terms a client speaks TLS: whose certificates it takes, which one it shows, which versions it offers.

use std::{
    fmt, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use krad::radius11::{Version, Versions};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        client::{Resumption, WebPkiServerVerifier},
        crypto::aws_lc_rs,
        pki_types::{CertificateRevocationListDer, ServerName},
        version::{TLS12, TLS13},
    },
};

use crate::{
    MinTls, TlsError,
    tls::{certificates, names, private_key, read, sections},
};

/// Where the terms of a client are read from, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// The authorities that sign the certificates of servers.
    pub ca: PathBuf,
    /// The lists of what these authorities have revoked, if any are to be held against a server.
    pub crl: Option<PathBuf>,
    /// The certificate that the client shows, and after it those between it and the root.
    pub certificate: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
    /// Which versions of RADIUS are offered.
    pub versions: Versions,
    /// The oldest version of TLS that is spoken.
    pub min_tls: MinTls,
}

/// The terms on which servers are spoken to over TLS.
///
/// A server's certificate is always verified: signed by one of the authorities, valid now, and with the name or address that
/// the server was asked under (RFC 6614 §2.3).
pub struct ClientTls {
    config: Arc<ClientConfig>,
    versions: Versions,
    /// Of everything that was read.
    digest: [u8; 32],
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the file.
    pub fn read(files: &ClientTlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca)? {
            roots.add(authority).map_err(|source| TlsError::Authority {
                path: files.ca.clone(),
                source,
            })?;
        }
        let mut verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        if let Some(path) = &files.crl {
            let lists: Vec<CertificateRevocationListDer<'static>> =
                sections(path, "list of revoked certificates")?;
            verifier = verifier.with_crls(lists).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(|source| TlsError::Verifier {
            client_ca: files.ca.clone(),
            crl: files.crl.clone(),
            source,
        })?;
        // RADIUS/1.1 is for TLS 1.3 alone (RFC 9765 §3.4).
        let protocols: &[&SupportedProtocolVersion] = match (files.min_tls, files.versions) {
            (MinTls::Tls13, _) | (_, Versions::Radius11) => &[&TLS13],
            (MinTls::Tls12, _) => &[&TLS13, &TLS12],
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(protocols)
            .map_err(TlsError::Library)?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(certificates(&files.certificate)?, private_key(&files.key)?)
            .map_err(|source| TlsError::Certificate {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                source,
            })?;
        // Each connection proves anew that the certificates are still good. They are few, and long.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = names(files.versions.offer());
        Ok(Self {
            config: Arc::new(config),
            versions: files.versions,
            digest: digest(files)?,
        })
    }

    /// Whether both were read from the same octets for the same versions, so that connections made on one are as good as those
    /// made on the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest && self.versions == other.versions
    }

    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Version)> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let version = self.versions.conclude(session.alpn_protocol());
        let version = version.map_err(io::Error::other)?;
        if version == Version::Radius11 && session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(io::Error::other(
                "the server has chosen RADIUS/1.1 on an older TLS than 1.3",
            ));
        }
        Ok((stream, version))
    }
}

/// Shows nothing of the key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

fn digest(files: &ClientTlsFiles) -> Result<[u8; 32], TlsError> {
    let mut digest = Sha256::new();
    digest.update([u8::from(files.min_tls == MinTls::Tls13)]);
    let all: [Option<&Path>; 4] = [
        Some(&files.ca),
        files.crl.as_deref(),
        Some(&files.certificate),
        Some(&files.key),
    ];
    for path in all {
        let octets = path.map(read).transpose()?;
        // Each behind its length, so that no two sets of files look the same.
        let length = octets.as_ref().map_or(0, |octets| octets.len());
        digest.update(length.to_be_bytes());
        digest.update(
            octets
                .map(zeroize::Zeroizing::new)
                .as_deref()
                .map_or(&[][..], |octets| octets),
        );
    }
    Ok(digest.finalize().into())
}

/// The name that a server's certificate has to have: that of its host, or its address.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::from(address)),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}
