//! What the daemon says about its decisions and about the packets that it discards.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use krad::Code;
use krad_tokio::{Discard, HandshakeFailure, Peer};
use otp_service::Outcome;
use otp_validation::UnixTime;
use tracing::{debug, info, warn};

use crate::floods::{self, Floods};

/// Seconds between two warnings about one client and one cause: what anyone on the network can trigger must not fill
/// the log.
const QUIET: u64 = 60;

/// One decided request.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Number of the request, for finding it again.
    pub id: u64,
    /// Where it came from.
    pub peer: &'a Peer,
    /// The client's name.
    pub client: &'a str,
    /// User-Name as it was received.
    pub user_name: &'a [u8],
    /// NAS-Identifier as it was received.
    pub nas_identifier: Option<&'a [u8]>,
    /// Whether Message-Authenticator or TLS kept others from forging it on the way.
    pub is_protected: bool,
    /// What became of it, and why.
    pub outcome: &'a Outcome,
    /// From its receipt to the decision.
    pub elapsed: Duration,
}

/// Who is told about decisions.
pub trait Reporter: Send + Sync + 'static {
    /// A request was decided.
    fn decided(&self, decided: &Decided<'_>);

    /// A reply leaves, this long after the receipt of its request. Does nothing by default.
    fn answered(&self, code: Code, elapsed: Duration) {
        let _ = (code, elapsed);
    }

    /// A packet came again, and got the reply of the first one again. Does nothing by default.
    fn repeated(&self, peer: &Peer, client: &str) {
        let _ = (peer, client);
    }

    /// A connection was opened. Does nothing by default.
    fn opened(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A connection that was opened is closed. Does nothing by default.
    fn closed(&self, peer: &Peer) {
        let _ = peer;
    }
}

/// One `info` line per decision. Text from a peer is quoted and escaped.
#[derive(Debug)]
pub(crate) struct LogReporter;

impl Reporter for LogReporter {
    /// A request was decided.
    fn decided(&self, decided: &Decided<'_>) {
        let Outcome {
            reason,
            user,
            token,
            forwarded,
            ..
        } = decided.outcome;
        info!(
            verdict = decided.outcome.verdict(),
            reason = reason.code(),
            user_name = ?String::from_utf8_lossy(decided.user_name),
            user = user.as_ref().map(|name| name.as_str()),
            token = token.as_deref(),
            upstream = forwarded.as_ref().map(|forwarded| forwarded.upstream.to_string()),
            server = forwarded.as_ref().and_then(|forwarded| forwarded.server.as_deref()),
            client = decided.client,
            nas = decided.nas_identifier.map(String::from_utf8_lossy).as_deref(),
            peer = decided.peer.to_string(),
            id = decided.id,
            micros = u64::try_from(decided.elapsed.as_micros()).unwrap_or(u64::MAX),
            "decided"
        );
    }
}

/// Counts discarded packets by client and cause.
#[derive(Debug, Default)]
pub(crate) struct Discards(Mutex<Discarded>);

#[derive(Debug, Default)]
struct Discarded {
    counts: BTreeMap<(String, &'static str), Count>,
    floods: Floods,
}

#[derive(Debug, Default)]
struct Count {
    packets: u64,
    warned_at: Option<u64>,
}

impl Discards {
    /// Counts one packet; warns, at most once a minute per client and cause, where a person can do something about it.
    pub(crate) fn count(&self, peer: &Peer, client: Option<&str>, cause: &Discard, now: UnixTime) {
        let name = client.unwrap_or("(unknown)");
        let mut discarded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Discarded { counts, floods } = &mut *discarded;
        let count = counts.entry((name.to_owned(), cause.label())).or_default();
        count.packets = count.packets.saturating_add(1);
        let packets = count.packets;
        if floods.count(peer.ip(), cause.label()) {
            debug!(
                peer = peer.to_string(),
                client = name,
                cause = cause.to_string(),
                packets,
                "packet discarded"
            );
        }
        let Some(remedy) = remedy(peer, client, cause) else {
            return;
        };
        let is_due = count.warned_at.is_none_or(|at| now.0.abs_diff(at) >= QUIET);
        if is_due {
            count.warned_at = Some(now.0);
            drop(discarded);
            warn!(
                peer = peer.to_string(),
                client = name,
                cause = cause.to_string(),
                packets,
                remedy,
                "packets of this client are discarded"
            );
        }
    }

    /// Tells each client, cause and number of packets.
    pub(crate) fn each(&self, mut tell: impl FnMut(&str, &str, u64)) {
        let discarded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((client, cause), count) in &discarded.counts {
            tell(client, cause, count.packets);
        }
    }

    /// Says what was discarded since the last time beyond the packets that were named.
    pub(crate) fn tell_floods(&self) {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).floods.end();
        floods::tell(ended);
    }

    /// Says what was discarded altogether.
    pub(crate) fn summarise(&self) {
        self.tell_floods();
        let discarded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((client, cause), count) in &discarded.counts {
            info!(client, cause, packets = count.packets, "discarded since start");
        }
    }
}

/// What an administrator can do about packets that are discarded for `cause`.
fn remedy(peer: &Peer, client: Option<&str>, cause: &Discard) -> Option<String> {
    use krad::VerifyError;
    match (cause, client, peer) {
        (Discard::UnknownClient, _, peer) => peer.ip().map(|address| {
            format!("if this is a client of yours: otpctl client add NAME --address {address}")
        }),
        (
            Discard::WrongCertificate,
            Some(client),
            Peer::Tls {
                certificate: Some(certificate),
                ..
            },
        ) => Some(format!(
            "the certificate is that of {certificate} (sha256:{}); if it is one of this client, name it in [tls.clients] of the \
             configuration: {client:?} = [\"NAME\"]",
            certificate.fingerprint()
        )),
        (Discard::Handshake(failure), Some(_), _) => handshake_remedy(*failure).map(str::to_owned),
        (Discard::Verify(VerifyError::MissingMessageAuthenticator), Some(client), _) => Some(format!(
            "update the client so that it sends Message-Authenticator; if it cannot, and its network is trusted: \
             otpctl client set {client} --dangerous-allow-missing-message-authenticator"
        )),
        (Discard::Verify(VerifyError::WrongMessageAuthenticator), _, Peer::Unix { .. }) => Some(
            "whoever asks has a shared secret, and at this socket there is none: remove `secret` of the token type from [otp] in kdc.conf"
                .to_owned(),
        ),
        (Discard::Verify(VerifyError::WrongMessageAuthenticator), _, Peer::Tls { .. }) => Some(
            "over TLS the shared secret is the word radsec (RFC 6614); give the client that one".to_owned(),
        ),
        (Discard::Verify(VerifyError::WrongMessageAuthenticator), Some(client), _) => Some(format!(
            "the shared secrets differ; compare with: otpctl client show {client} --reveal-secret"
        )),
        _ => None,
    }
}

/// What an administrator can do about handshakes that fail.
fn handshake_remedy(failure: HandshakeFailure) -> Option<&'static str> {
    match failure {
        HandshakeFailure::NoCertificate => {
            Some("give the client a certificate of an authority in `client_ca`")
        }
        HandshakeFailure::UnknownIssuer => {
            Some("give the client a certificate of an authority in `client_ca`, or add its authority there")
        }
        HandshakeFailure::Expired => {
            Some("renew the client's certificate, and look at the clocks of both machines")
        }
        HandshakeFailure::Revoked => {
            Some("give the client another certificate; somebody may have the old one and its key")
        }
        HandshakeFailure::BadCertificate => {
            Some("compare: openssl verify -purpose sslclient -CAfile CLIENT_CA CERTIFICATE")
        }
        HandshakeFailure::UnknownRevocation => Some(
            "renew the lists in `crl`: one of each authority between `client_ca` and the client, none out of date",
        ),
        HandshakeFailure::RefusedByClient => Some(
            "let the client trust the authority of this server's certificate, and look at the name it expects there",
        ),
        HandshakeFailure::NoCommonVersion => {
            Some("compare `radius_1_1` and `min_version` in [tls] with the client's settings")
        }
        HandshakeFailure::Incompatible => Some("compare `min_version` in [tls] with what the client speaks"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use krad::VerifyError;

    use super::*;

    #[test]
    fn where_there_is_no_secret_nobody_is_sent_to_compare_any() {
        let wrong = Discard::Verify(VerifyError::WrongMessageAuthenticator);
        let says = |peer: &Peer| remedy(peer, Some("kdc"), &wrong).unwrap();
        let socket = Peer::Unix {
            listener: "kdc".into(),
            connection: 1,
        };
        assert!(says(&socket).contains("kdc.conf"), "{}", says(&socket));
        assert!(!says(&socket).contains("--reveal-secret"));
        let network = Peer::Udp("192.0.2.1:1812".parse().unwrap());
        assert!(says(&network).contains("otpctl client show kdc --reveal-secret"));
    }
}
