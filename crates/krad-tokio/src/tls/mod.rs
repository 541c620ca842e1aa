//! RADIUS over TLS: RadSec (RFC 6614) and RADIUS/1.1 (RFC 9765).

mod certificate;
mod terms;

use std::{io, sync::Arc};

use krad::radius11::Version;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    LazyConfigAcceptor,
    rustls::{self, AlertDescription, CertificateError, CipherSuite, ProtocolVersion, server::ClientHello},
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::terms::{certificates, names, private_key, read, sections};
pub use self::{
    certificate::{CertificateUnreadable, ClientCertificate, Fingerprint, FingerprintError},
    terms::{MinTls, TlsError, TlsFiles, TlsTerms},
};
use crate::{
    Discard, HandshakeFailure, LiveSettings, Peer, RadiusService,
    acceptor::{Accepted, Acceptor, Listen, admit},
    connection::{Connection, next_number},
    exchange::discard,
    tcp::{accept, name},
};

/// Serves RADIUS on TLS until `shutdown`, then stops listening, lets the requests in flight finish within
/// [`Settings::drain`](crate::Settings::drain), and closes the connections.
///
/// Each client has a certificate. A connection from an address of no client is closed before the handshake, one whose
/// certificate is not that of the client after it: [`RadiusService::client`] is asked both times.
///
/// What `terms` says holds from the next connection on; see [`TlsTerms::replace`].
pub fn serve_tls<S: RadiusService>(
    listener: TcpListener,
    terms: Arc<TlsTerms>,
    service: Arc<S>,
    settings: impl Into<LiveSettings>,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let acceptor = Acceptor::new(name("tls", &listener), service, settings, shutdown);
    acceptor.run(Tls(listener), move |accepted, service, settings, shutdown| {
        serve(accepted, Arc::clone(&terms), service, settings, shutdown)
    })
}

struct Tls(TcpListener);

impl Listen for Tls {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Accepted<TcpStream>> {
        let (stream, address) = accept(&self.0).await?;
        let peer = Peer::Tls {
            address,
            connection: next_number(),
            certificate: None,
        };
        Ok(Accepted { stream, peer })
    }
}

async fn serve<S: RadiusService>(
    accepted: Accepted<TcpStream>,
    terms: Arc<TlsTerms>,
    service: Arc<S>,
    settings: LiveSettings,
    shutdown: CancellationToken,
) {
    let Accepted { stream, mut peer } = accepted;
    let Some(client) = admit(&*service, &peer, &settings, None, Discard::UnknownClient).await else {
        return;
    };
    let handshake = timeout(settings.get().handshake, handshake(stream, &terms));
    let Some(finished) = shutdown.run_until_cancelled(handshake).await else {
        return;
    };
    let session = finished.unwrap_or(Err(HandshakeFailure::TimedOut));
    let session = match session {
        Ok(session) => session,
        Err(failure) => return discard(&*service, &peer, Some(&client), Discard::Handshake(failure)),
    };
    if let Peer::Tls { certificate, .. } = &mut peer {
        *certificate = Some(Arc::new(session.certificate));
    }
    let wrong = Discard::WrongCertificate;
    if admit(&*service, &peer, &settings, Some(&client), wrong)
        .await
        .is_none()
    {
        return;
    }
    let (reader, writer) = tokio::io::split(session.stream);
    let connection = Connection::new(peer, session.version, service, settings);
    connection.serve(reader, writer, shutdown).await;
}

/// A finished handshake.
struct Session {
    stream: TlsStream<TcpStream>,
    version: Version,
    certificate: ClientCertificate,
}

async fn handshake(stream: TcpStream, terms: &TlsTerms) -> Result<Session, HandshakeFailure> {
    let accepting = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let begun = accepting.await.map_err(|error| failure(&error))?;
    let current = terms.current();
    let config = if speaks_tls13(&begun.client_hello()) {
        Arc::clone(&current.config)
    } else {
        Arc::clone(&current.config_before_tls13)
    };
    let stream = begun.into_stream(config).await.map_err(|error| failure(&error))?;
    let (_, session) = stream.get_ref();
    let version = current
        .version(session.alpn_protocol())
        .ok_or(HandshakeFailure::NoCommonVersion)?;
    let is_tls13 = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    if version == Version::Radius11 && !is_tls13 {
        return Err(HandshakeFailure::NoCommonVersion);
    }
    let certificate = session
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or(HandshakeFailure::NoCertificate)?;
    let certificate =
        ClientCertificate::from_der(certificate).map_err(|_| HandshakeFailure::BadCertificate)?;
    Ok(Session {
        stream,
        version,
        certificate,
    })
}

/// Whether a client offers TLS 1.3, as far as its cipher suites say: RADIUS/1.1 is for no older one (RFC 9765 §3.4), so
/// that it had better not be agreed on with others.
fn speaks_tls13(hello: &ClientHello<'_>) -> bool {
    hello.cipher_suites().iter().any(|suite| {
        matches!(
            suite,
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS13_AES_256_GCM_SHA384
                | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        )
    })
}

fn failure(error: &io::Error) -> HandshakeFailure {
    use CertificateError as Bad;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        None => HandshakeFailure::Broken,
        Some(rustls::Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
        Some(rustls::Error::InvalidCertificate(bad)) => match bad {
            // An authority of the same name signs with another key.
            Bad::UnknownIssuer | Bad::BadSignature => HandshakeFailure::UnknownIssuer,
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                HandshakeFailure::Expired
            }
            Bad::Revoked => HandshakeFailure::Revoked,
            Bad::UnknownRevocationStatus
            | Bad::ExpiredRevocationList
            | Bad::ExpiredRevocationListContext { .. } => HandshakeFailure::UnknownRevocation,
            _ => HandshakeFailure::BadCertificate,
        },
        Some(rustls::Error::NoApplicationProtocol) => HandshakeFailure::NoCommonVersion,
        Some(rustls::Error::AlertReceived(alert)) if *alert != AlertDescription::ProtocolVersion => {
            HandshakeFailure::RefusedByClient
        }
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_)) => {
            HandshakeFailure::Incompatible
        }
        Some(_) => HandshakeFailure::Broken,
    }
}
