//! RADIUS over TLS (RFC 6614, RFC 9765).

pub mod authority;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use krad::{
    Code,
    radius11::{ALPN_RADIUS_1_0, ALPN_RADIUS_1_1, Packet, PacketBuilder, Token, Versions},
};
use krad_tokio::{
    ClientCertificate, ClientTerms, Discard, HandshakeFailure, MinTls, Settings, TlsError, TlsTerms,
    bind_tcp, serve_tls,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, ProtocolVersion, SupportedProtocolVersion, version},
};
use tokio_util::sync::CancellationToken;

use self::authority::{Authority, Identity};
use crate::support::{Kdc, Observed, STRANGER, TestService, request, service};

struct Server {
    address: SocketAddr,
    service: Arc<TestService>,
    observed: Observed,
    authority: Authority,
    terms: Arc<TlsTerms>,
    directory: TempDir,
    shutdown: CancellationToken,
    _task: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        Self::speaking(Versions::default(), MinTls::default())
    }

    fn speaking(versions: Versions, min_tls: MinTls) -> Self {
        Self::with(versions, min_tls, Settings::default())
    }

    fn with(versions: Versions, min_tls: MinTls, settings: Settings) -> Self {
        let authority = Authority::new("clients");
        let directory = tempfile::tempdir().unwrap();
        let files = authority.server_files(directory.path(), versions, min_tls);
        let terms = Arc::new(TlsTerms::read(&files).unwrap());
        let (service, observed) = service(Some(ClientTerms::tls()));
        let shutdown = CancellationToken::new();
        let listener = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let task = serve_tls(
            listener,
            Arc::clone(&terms),
            Arc::clone(&service),
            settings,
            shutdown.clone(),
        );
        Self {
            address,
            service,
            observed,
            authority,
            terms,
            directory,
            shutdown,
            _task: tokio::spawn(task),
        }
    }

    async fn connect(&self, config: ClientConfig) -> std::io::Result<Kdc<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect("radius.example".try_into().unwrap(), stream)
            .await?;
        Ok(Kdc(stream))
    }

    /// A client with a certificate of this name, signed by the server's authority.
    fn client(&self, name: &str) -> ClientConfig {
        self.authority.client(Some(&self.authority.issue(name)), TLS)
    }

    async fn connect_as(&self, name: &str) -> Kdc<TlsStream<TcpStream>> {
        self.connect(self.client(name)).await.unwrap()
    }

    /// Why the handshake with this client fails.
    async fn refusal(&mut self, config: ClientConfig) -> HandshakeFailure {
        // In TLS 1.3 the client may learn it only when it reads.
        if let Ok(mut client) = self.connect(config).await {
            assert!(ends(&mut client).await);
        }
        match self.observed.discard().await {
            (Discard::Handshake(failure), true) => failure,
            other => panic!("{other:?}"),
        }
    }
}

async fn ends(client: &mut Kdc<TlsStream<TcpStream>>) -> bool {
    let mut octet = [0];
    !matches!(
        tokio::io::AsyncReadExt::read(&mut client.0, &mut octet).await,
        Ok(1..)
    )
}

const TLS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

fn offering(mut config: ClientConfig, names: &[&[u8]]) -> ClientConfig {
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    config
}

#[tokio::test]
async fn historic_radius_with_and_without_alpn() {
    let server = Server::start();
    for names in [&[][..], &[ALPN_RADIUS_1_0]] {
        let mut client = server
            .connect(offering(server.client("nas"), names))
            .await
            .unwrap();
        assert_eq!(client.0.get_ref().1.alpn_protocol(), names.first().copied());
        for identifier in 0..3 {
            let pending = request(b"radsec", "accept", identifier, identifier);
            client.send(pending.octets()).await;
            assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);
        }
    }
}

/// Nothing of RADIUS/1.1 has a secret, and 500 requests are in flight on one connection.
#[tokio::test]
async fn radius_1_1() {
    let settings = Settings {
        connection_in_flight: 500,
        ..Settings::default()
    };
    let mut server = Server::with(Versions::Both, MinTls::Tls12, settings);
    let names = [ALPN_RADIUS_1_1, ALPN_RADIUS_1_0];
    let mut client = server
        .connect(offering(server.client("nas"), &names))
        .await
        .unwrap();
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(ALPN_RADIUS_1_1));
    for number in 0..500_u32 {
        let octets = PacketBuilder::access_request(Token(number.to_be_bytes()))
            .user_name(format!("hold{number}").as_bytes())
            .and_then(|b| b.user_password(b"755224"))
            .and_then(PacketBuilder::build)
            .unwrap();
        client.send(&octets).await;
        server.observed.begun.recv().await.unwrap();
    }
    for number in (0..500_u32).rev() {
        server.service.release(format!("hold{number}").as_bytes());
        let octets = client.receive().await.unwrap();
        let reply = Packet::decode(&octets).unwrap();
        assert_eq!(
            (reply.code(), reply.token()),
            (Code::ACCESS_ACCEPT, Token(number.to_be_bytes()))
        );
        assert_eq!(octets.len(), 20, "no Message-Authenticator");
    }
    let status = PacketBuilder::status_server(Token([9; 4])).build().unwrap();
    client.send(&status).await;
    let octets = client.receive().await.unwrap();
    assert_eq!(Packet::decode(&octets).unwrap().token(), Token([9; 4]));
}

/// What either end is configured to, and what becomes of the connection (RFC 9765 §3.3).
#[tokio::test]
async fn versions_are_negotiated_as_the_rfc_says() {
    let both = &[ALPN_RADIUS_1_1, ALPN_RADIUS_1_0][..];
    let (only_1_0, only_1_1) = (&[ALPN_RADIUS_1_0][..], &[ALPN_RADIUS_1_1][..]);
    let mut forbids = Server::speaking(Versions::Historic, MinTls::Tls12);
    let mut requires = Server::speaking(Versions::Radius11, MinTls::Tls12);
    let client = forbids
        .connect(offering(forbids.client("nas"), both))
        .await
        .unwrap();
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(ALPN_RADIUS_1_0));
    let client = requires
        .connect(offering(requires.client("nas"), both))
        .await
        .unwrap();
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(ALPN_RADIUS_1_1));
    let config = offering(forbids.client("nas"), only_1_1);
    assert_eq!(forbids.refusal(config).await, HandshakeFailure::NoCommonVersion);
    for offer in [only_1_0, &[], &[b"h2"]] {
        let config = offering(requires.client("nas"), offer);
        assert_eq!(requires.refusal(config).await, HandshakeFailure::NoCommonVersion);
    }
}

/// RADIUS/1.1 is not spoken over TLS 1.2 (RFC 9765 §3.4).
#[tokio::test]
async fn tls_1_2_has_historic_radius_or_nothing() {
    let both = [ALPN_RADIUS_1_1, ALPN_RADIUS_1_0];
    let old = |server: &Server| server.authority.client_of_tls12(&server.authority.issue("nas"));
    let mut server = Server::start();
    let mut client = server.connect(offering(old(&server), &both)).await.unwrap();
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(ALPN_RADIUS_1_0));
    assert_eq!(
        client.0.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    let pending = request(b"radsec", "accept", 1, 1);
    client.send(pending.octets()).await;
    assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);

    // This one lists suites of TLS 1.3, and then does not speak it.
    let identity = server.authority.issue("nas");
    let pretender = server.authority.client(Some(&identity), &[&version::TLS12]);
    let failure = server.refusal(offering(pretender, &both)).await;
    assert_eq!(failure, HandshakeFailure::NoCommonVersion);

    let mut modern = Server::speaking(Versions::Both, MinTls::Tls13);
    let config = old(&modern);
    assert_eq!(modern.refusal(config).await, HandshakeFailure::Incompatible);
}

#[tokio::test]
async fn certificates_that_are_not_taken() {
    let mut server = Server::start();
    let client = |server: &Server, identity: Option<&Identity>| server.authority.client(identity, TLS);
    let config = client(&server, None);
    assert_eq!(server.refusal(config).await, HandshakeFailure::NoCertificate);
    let config = client(&server, Some(&Authority::new("others").issue("nas")));
    assert_eq!(server.refusal(config).await, HandshakeFailure::UnknownIssuer);
    let config = client(&server, Some(&server.authority.issue_expired("nas")));
    assert_eq!(server.refusal(config).await, HandshakeFailure::Expired);

    // A valid one of somebody whom the service does not know.
    let mut stranger = server.connect_as(STRANGER).await;
    assert!(ends(&mut stranger).await);
    assert_eq!(server.observed.discard().await, (Discard::WrongCertificate, true));
    assert_eq!(server.service.open.load(Ordering::SeqCst), 0);
}

/// With other files, the next connection is another one; those that are open go on.
#[tokio::test]
async fn revocation_holds_from_the_next_connection_on() {
    let mut server = Server::start();
    let (lost, kept) = (server.authority.issue("lost"), server.authority.issue("kept"));
    let config = |server: &Server, identity| server.authority.client(Some(identity), TLS);
    let mut open = server.connect(config(&server, &lost)).await.unwrap();

    let mut files = server
        .authority
        .server_files(server.directory.path(), Versions::Both, MinTls::Tls12);
    files.crl = Some(server.authority.revoke(&lost, server.directory.path()));
    server.terms.replace(&TlsTerms::read(&files).unwrap());
    let refused = config(&server, &lost);
    assert_eq!(server.refusal(refused).await, HandshakeFailure::Revoked);
    for client in [
        &mut open,
        &mut server.connect(config(&server, &kept)).await.unwrap(),
    ] {
        let pending = request(b"radsec", "accept", 1, 1);
        client.send(pending.octets()).await;
        assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);
    }

    files.crl = Some(server.authority.outdated_list(server.directory.path()));
    server.terms.replace(&TlsTerms::read(&files).unwrap());
    let refused = config(&server, &kept);
    assert_eq!(server.refusal(refused).await, HandshakeFailure::UnknownRevocation);
}

#[tokio::test]
async fn what_is_not_tls_or_does_not_go_on() {
    let mut server = Server::with(
        Versions::Both,
        MinTls::Tls12,
        Settings {
            handshake: Duration::from_millis(300),
            ..Settings::default()
        },
    );
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain
        .write_all(request(b"radsec", "accept", 1, 1).octets())
        .await
        .unwrap();
    let broken = Discard::Handshake(HandshakeFailure::Broken);
    assert_eq!(server.observed.discard().await, (broken, true));

    let begun = Instant::now();
    let silent = TcpStream::connect(server.address).await.unwrap();
    let late = Discard::Handshake(HandshakeFailure::TimedOut);
    assert_eq!(server.observed.discard().await, (late, true));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    drop(silent);
}

/// The end is said, so that nobody takes a cut for it, and what is in flight is answered before.
#[tokio::test]
async fn shutdown_answers_and_says_goodbye() {
    let mut server = Server::start();
    let mut client = server.connect_as("nas").await;
    let pending = request(b"radsec", "hold", 1, 1);
    client.send(pending.octets()).await;
    server.observed.begun.recv().await.unwrap();
    server.shutdown.cancel();
    sleep(Duration::from_millis(20)).await;
    server.service.release(b"hold");
    assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);
    let mut rest = Vec::new();
    // rustls makes an end without close_notify an error.
    let read = tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest).await;
    assert_eq!(read.unwrap(), 0);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("clients");
    let good = authority.server_files(directory.path(), Versions::Both, MinTls::Tls12);
    let written = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let read = |change: &dyn Fn(&mut krad_tokio::TlsFiles)| {
        let mut files = good.clone();
        change(&mut files);
        TlsTerms::read(&files).unwrap_err()
    };
    let error = read(&|files| files.key = directory.path().join("absent.key"));
    assert!(
        matches!(&error, TlsError::Read { path, .. } if path.ends_with("absent.key")),
        "{error}"
    );
    let (text, other) = (written("text.pem", "no PEM at all\n"), authority.issue("other"));
    let error = read(&|files| files.certificate = text.clone());
    assert!(
        matches!(
            &error,
            TlsError::Pem {
                wanted: "certificate",
                ..
            }
        ),
        "{error}"
    );
    let error = read(&|files| files.key = good.certificate.clone());
    assert!(error.to_string().contains("private key"), "{error}");
    let other_key = written("other.key", &other.key.serialize_pem());
    let error = read(&|files| files.key = other_key.clone());
    assert!(matches!(&error, TlsError::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("other.key"), "{error}");
    let error = read(&|files| files.crl = Some(good.client_ca.clone()));
    assert!(matches!(&error, TlsError::Pem { .. }), "{error}");
    assert!(TlsTerms::read(&good).unwrap().expires() > Some(Duration::from_secs(1_700_000_000)));
}

/// A certificate is read whole or not at all.
#[test]
fn certificates_are_read_or_refused() {
    let authority = Authority::new("clients");
    let identity = authority.issue("NAS.example");
    let der = identity.certificate.der();
    let certificate = ClientCertificate::from_der(der).unwrap();
    assert_eq!(
        certificate.names(),
        ["NAS.example"],
        "the common name does not count beside a DNS name"
    );
    assert!(certificate.has_name("nas.example") && !certificate.has_name("example"));
    for (identity, name) in [
        (authority.issue("192.0.2.7"), "192.0.2.7"),
        (authority.issue("2001:db8::7"), "2001:db8::7"),
        (authority.issue_by_common_name("gate 7"), "gate 7"),
    ] {
        let certificate = ClientCertificate::from_der(identity.certificate.der()).unwrap();
        assert!(certificate.has_name(name), "{certificate}");
    }
    for length in 0..der.len() {
        assert!(
            ClientCertificate::from_der(&der[..length]).is_err(),
            "{length} octets"
        );
    }
    for index in 0..der.len() {
        let mut altered = der.to_vec();
        altered[index] ^= 0xff;
        // Whatever it says now: another fingerprint, if it is a certificate at all.
        if let Ok(altered) = ClientCertificate::from_der(&altered) {
            assert_ne!(altered.fingerprint(), certificate.fingerprint());
        }
    }
}
