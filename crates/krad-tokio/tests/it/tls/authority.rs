//! A certification authority for one test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use krad::radius11::Versions;
use krad_tokio::{MinTls, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer},
    version::TLS12,
};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
    serial: u64,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub fn issue(&self, name: &str) -> Identity {
        self.issue_until(name, 2090)
    }

    pub fn issue_expired(&self, name: &str) -> Identity {
        self.issue_until(name, 2020)
    }

    /// A certificate with a common name and no other.
    pub fn issue_by_common_name(&self, name: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params, 2090)
    }

    fn issue_until(&self, name: &str, year: i32) -> Identity {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap(), year)
    }

    fn sign(&self, mut params: CertificateParams, year: i32) -> Identity {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate,
            key,
            serial,
        }
    }

    /// What a server needs to be `radius.example`, and to trust this authority.
    pub fn server_files(&self, directory: &Path, versions: Versions, min_tls: MinTls) -> TlsFiles {
        let identity = self.issue("radius.example");
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            certificate: write("server.pem", identity.certificate.pem()),
            key: write("server.key", identity.key.serialize_pem()),
            client_ca: write("ca.pem", self.issuer.pem()),
            crl: None,
            versions,
            min_tls,
        }
    }

    pub fn client(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client_by(aws_lc_rs::default_provider(), identity, versions)
    }

    /// A client that has never heard of TLS 1.3.
    pub fn client_of_tls12(&self, identity: &Identity) -> ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_none());
        self.client_by(provider, Some(identity), &[&TLS12])
    }

    fn client_by(
        &self,
        provider: CryptoProvider,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let Some(identity) = identity else {
            return builder.with_no_client_auth();
        };
        let chain: Vec<CertificateDer<'static>> = vec![identity.certificate.der().clone()];
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    }

    /// A list of what is revoked, with this certificate on it.
    pub fn revoke(&self, identity: &Identity, directory: &Path) -> PathBuf {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(identity.serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        self.list(vec![revoked], 2090, directory.join("revoked.crl"))
    }

    pub fn outdated_list(&self, directory: &Path) -> PathBuf {
        self.list(Vec::new(), 2020, directory.join("outdated.crl"))
    }

    fn list(&self, revoked_certs: Vec<RevokedCertParams>, until: i32, path: PathBuf) -> PathBuf {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2019, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        fs::write(&path, list.pem().unwrap()).unwrap();
        path
    }
}
