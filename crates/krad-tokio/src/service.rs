//! What the application supplies, and what it is given.

use std::{fmt, sync::Arc, time::Duration};

use krad::{
    AttributeType, Code, EncodeError, Identifier, MessageAuthenticatorRule, Packet, ReplyStyle, Request,
    RequestAuthenticator, RequestBuf, SharedSecret, UserPasswordError, radius11::Version,
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{Discard, Peer};

/// The application behind the listeners: who the clients are, and what the answers are.
///
/// One service can serve any number of listeners. A panic in any of its methods costs one packet, never the
/// listener.
pub trait RadiusService: Send + Sync + 'static {
    /// The application's own idea of a client.
    type Client: Send + Sync + 'static;

    /// The client at this source, asked when a TCP or TLS connection is accepted, and once more when the certificate of a TLS
    /// client is known: `None` closes the connection. Where there may be several, any of them.
    fn client(&self, peer: &Peer) -> impl Future<Output = Option<(ClientTerms, Arc<Self::Client>)>> + Send;

    /// The client that this packet says it is from, asked once per packet so that a changed configuration holds from the next
    /// packet on. `None`: unknown, discard silently. By default, the [`client`](Self::client) at this source.
    ///
    /// Nothing of the packet is authentic yet: it is so if it verifies by the terms of this client. NAS-Identifier (RFC 2865 §5.32) may
    /// tell apart clients that share an address.
    fn client_of(
        &self,
        peer: &Peer,
        packet: &Packet<'_>,
    ) -> impl Future<Output = Option<(ClientTerms, Arc<Self::Client>)>> + Send {
        let _ = packet;
        self.client(peer)
    }

    /// Decides an authentic Access-Request.
    ///
    /// The driver answers Access-Reject itself when [`AccessRequest::deadline`] passes or the future panics.
    /// It drops the future then: work that must not be cut in the middle belongs to a task of its own.
    fn respond(
        &self,
        request: AccessRequest,
        client: Arc<Self::Client>,
    ) -> impl Future<Output = Answer> + Send;

    /// A packet of `client` is authentic, and this is what proved it. It may be a duplicate or a Status-Server, which
    /// [`respond`](Self::respond) never sees. Does nothing by default.
    fn authenticated(&self, peer: &Peer, client: &Self::Client, request: Request<'_>, proof: Proof) {
        let _ = (peer, client, request, proof);
    }

    /// A packet was discarded, or a connection closed; `client` if it was known by then.
    fn discarded(&self, peer: &Peer, client: Option<&Self::Client>, cause: &Discard);

    /// A duplicate got the answer of its original again. Does nothing by default.
    fn repeated(&self, peer: &Peer, client: &Self::Client) {
        let _ = (peer, client);
    }

    /// A request has its answer, `code`, this long after its receipt: it leaves now. Duplicates are [`repeated`](Self::repeated).
    /// Does nothing by default.
    fn answered(&self, peer: &Peer, client: &Self::Client, code: Code, elapsed: Duration) {
        let _ = (peer, client, code, elapsed);
    }

    /// A connection was opened: on TLS, after its handshake. Does nothing by default.
    fn opened(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A connection that was [`opened`](Self::opened) is closed. Does nothing by default.
    fn closed(&self, peer: &Peer) {
        let _ = peer;
    }

    /// Whether requests can be decided now, for Status-Server (RFC 5997 §4.2). `true` by default.
    fn is_available(&self) -> bool {
        true
    }
}

/// What proved that a packet is authentic, as far as anything did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A Message-Authenticator that was made with [`ClientTerms::secret`].
    Secret,
    /// A Message-Authenticator that was made with [`ClientTerms::old_secret`].
    OldSecret,
    /// Nothing in the packet: its terms ask for no Message-Authenticator, or the connection is the proof (RADIUS/1.1).
    NothingInIt,
}

/// How to treat the packets of a client.
#[derive(Debug, Clone)]
pub struct ClientTerms {
    /// The secret shared with the client.
    pub secret: SharedSecret,
    /// A secret of before, for packets whose Message-Authenticator the present one did not make: while a client is moved to
    /// another secret, both hold. The reply is made with the one that proved the request.
    ///
    /// A request without Message-Authenticator says nothing about its secret. It is read with the present one, so have
    /// [`message_authenticator`](Self::message_authenticator) required along with this.
    pub old_secret: Option<SharedSecret>,
    /// What to require of its requests.
    pub message_authenticator: MessageAuthenticatorRule,
    /// What its replies look like.
    pub reply_style: ReplyStyle,
}

impl ClientTerms {
    /// The terms of a client on a network: Message-Authenticator required, and sent in every reply.
    #[must_use]
    pub const fn network(secret: SharedSecret) -> Self {
        Self {
            secret,
            old_secret: None,
            message_authenticator: MessageAuthenticatorRule::Required,
            reply_style: ReplyStyle::Network,
        }
    }

    /// The terms of a client on TLS: the connection is its proof, so that the secret is the one that everybody knows
    /// (RFC 6614 §2.3), and Message-Authenticator is verified where it is present. RADIUS/1.1 has neither.
    #[must_use]
    pub fn tls() -> Self {
        Self {
            secret: SharedSecret::new(RADSEC),
            old_secret: None,
            message_authenticator: MessageAuthenticatorRule::IfPresent {
                limit_proxy_state: false,
            },
            reply_style: ReplyStyle::Network,
        }
    }

    /// The terms of a KDC on a UNIX socket: no secret, Message-Authenticator only where libkrad has it.
    #[must_use]
    pub fn kdc_socket() -> Self {
        Self {
            secret: SharedSecret::empty(),
            old_secret: None,
            message_authenticator: MessageAuthenticatorRule::IfPresent {
                limit_proxy_state: true,
            },
            reply_style: ReplyStyle::Libkrad,
        }
    }
}

/// The shared secret of historic RADIUS over TLS (RFC 6614 §2.3).
const RADSEC: &[u8] = b"radsec";

/// An authentic Access-Request that owns its octets; they are wiped on drop.
#[derive(Clone)]
pub struct AccessRequest {
    request: RequestBuf,
    peer: Peer,
    received_at: Instant,
    deadline: Instant,
}

impl AccessRequest {
    pub(crate) const fn new(
        request: RequestBuf,
        peer: Peer,
        received_at: Instant,
        deadline: Instant,
    ) -> Self {
        Self {
            request,
            peer,
            received_at,
            deadline,
        }
    }

    /// The request with all that [`Request`] offers.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        self.request.as_request()
    }

    /// Where it came from.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// When it was received.
    #[must_use]
    pub const fn received_at(&self) -> Instant {
        self.received_at
    }

    /// When the driver answers by itself.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Which version of RADIUS it belongs to.
    #[must_use]
    pub fn version(&self) -> Version {
        self.as_request().version()
    }

    /// Identifier.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        self.as_request().identifier()
    }

    /// Request Authenticator.
    #[must_use]
    pub fn authenticator(&self) -> RequestAuthenticator {
        self.as_request().authenticator()
    }

    /// The whole packet, for a digest over it. In historic RADIUS it is never the same as another one, because the
    /// Request Authenticator is drawn by lot; in RADIUS/1.1 it may be.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.as_request().octets()
    }

    /// User-Name: octets that need not be UTF-8.
    #[must_use]
    pub fn user_name(&self) -> Option<&[u8]> {
        self.as_request().user_name()
    }

    /// User-Password in the clear, `None` if the request has none. It can be empty.
    ///
    /// # Errors
    ///
    /// [`UserPasswordError`]: answer with Access-Reject and count it against nobody.
    pub fn user_password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, UserPasswordError> {
        self.as_request().user_password()
    }

    /// NAS-Identifier. A KDC sends its host name.
    #[must_use]
    pub fn nas_identifier(&self) -> Option<&[u8]> {
        self.as_request().nas_identifier()
    }

    /// Service-Type. A KDC sends 8, Authenticate Only.
    #[must_use]
    pub fn service_type(&self) -> Option<u32> {
        self.as_request().service_type()
    }

    /// Whether `answer` can be sent: it fits into one packet, beside the Proxy-State that is echoed, and has no attribute
    /// that nobody may send.
    ///
    /// An answer that cannot be sent becomes a bare Access-Reject: ask this before doing what cannot be undone for the sake of
    /// an Access-Accept.
    #[must_use]
    pub fn has_room_for(&self, answer: &Answer) -> bool {
        answer.encode(self.as_request(), ReplyStyle::Network).is_ok()
    }

    /// State of the Access-Challenge that this request follows.
    #[must_use]
    pub fn state(&self) -> Option<&[u8]> {
        self.as_request().state()
    }
}

impl fmt::Debug for AccessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("peer", &self.peer)
            .field("identifier", &self.identifier())
            .field("attributes", &self.as_request().attributes())
            .finish_non_exhaustive()
    }
}

/// The answer to an [`AccessRequest`].
///
/// ```
/// # use {krad::{AttributeType, Code}, krad_tokio::Answer, std::time::Duration};
/// let answer = Answer::reject()
///     .with(AttributeType::REPLY_MESSAGE, "Try again.")
///     .not_before(Duration::from_secs(1));
/// assert_eq!(answer.code(), Code::ACCESS_REJECT);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "the client waits for it"]
pub struct Answer {
    code: Code,
    attributes: Vec<(AttributeType, Vec<u8>)>,
    not_before: Duration,
}

impl Answer {
    /// Access-Accept.
    pub const fn accept() -> Self {
        Self::new(Code::ACCESS_ACCEPT)
    }

    /// Access-Reject.
    pub const fn reject() -> Self {
        Self::new(Code::ACCESS_REJECT)
    }

    /// Access-Challenge with this State (RFC 2865 §5.24). A KDC takes it for a reject.
    pub fn challenge(state: impl Into<Vec<u8>>) -> Self {
        Self::new(Code::ACCESS_CHALLENGE).with(AttributeType::STATE, state)
    }

    /// Access-Challenge whose State, if it has one, is appended like any other attribute: for proxies.
    pub const fn bare_challenge() -> Self {
        Self::new(Code::ACCESS_CHALLENGE)
    }

    const fn new(code: Code) -> Self {
        Self {
            code,
            attributes: Vec::new(),
            not_before: Duration::ZERO,
        }
    }

    /// Appends an attribute of 1 to 253 octets. Proxy-State and Message-Authenticator are the driver's.
    ///
    /// An answer that cannot be encoded is sent as a bare Access-Reject, and logged as an error.
    pub fn with(mut self, kind: AttributeType, value: impl Into<Vec<u8>>) -> Self {
        self.attributes.push((kind, value.into()));
        self
    }

    /// Holds the answer back until this long after the *receipt* of the request, but never past its deadline:
    /// guesses become slow, and how long the decision took does not show.
    pub const fn not_before(mut self, delay: Duration) -> Self {
        self.not_before = delay;
        self
    }

    /// Code of the reply.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Attributes of the reply, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (AttributeType, &[u8])> {
        self.attributes
            .iter()
            .map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// The octets of the reply to `request`.
    pub(crate) fn encode(&self, request: Request<'_>, style: ReplyStyle) -> Result<Vec<u8>, EncodeError> {
        let reply = request.reply(self.code);
        self.attributes()
            .try_fold(reply, |reply, (kind, value)| reply.with(kind, value))?
            .sign(style)
    }

    pub(crate) const fn delay(&self) -> Duration {
        self.not_before
    }
}

/// Shows types of attributes, not their values.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("code", &self.code)
            .field(
                "attributes",
                &self.attributes.iter().map(|(kind, _)| kind).collect::<Vec<_>>(),
            )
            .field("not_before", &self.not_before)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use krad::RequestBuilder;

    use super::*;

    /// A request over UDP with Proxy-State of `echoed` octets, its header among them.
    fn request(echoed: usize) -> AccessRequest {
        let secret = SharedSecret::new(b"foo");
        let builder = RequestBuilder::access_request(Identifier(1), [7; 16].into(), &secret);
        let pending = builder
            .user_name(b"alice")
            .and_then(|builder| builder.with(AttributeType::PROXY_STATE, &vec![1; echoed - 2]))
            .and_then(RequestBuilder::build)
            .unwrap();
        let packet = Packet::decode(pending.octets()).unwrap();
        let request = packet.authenticate(&secret, MessageAuthenticatorRule::Required);
        let peer = Peer::Udp("127.0.0.1:1024".parse().unwrap());
        AccessRequest::new(request.unwrap().to_buf(), peer, Instant::now(), Instant::now())
    }

    #[test]
    fn there_is_room_for_what_fits_beside_signature_and_proxy_state() {
        // Header and Message-Authenticator take 38 octets, 14 attributes 3,570.
        let all = |last: usize| {
            let answer = (0..14).fold(Answer::accept(), |answer, _| {
                answer.with(AttributeType::CLASS, [0; 253])
            });
            answer.with(AttributeType::CLASS, vec![0; last])
        };
        let left = 4096 - 38 - 14 * 255;
        for (echoed, last, fits) in [
            (255, left - 255 - 2, true),
            (255, left - 255 - 1, false),
            (254, left - 255 - 1, true),
            (100, 253, true),
            (100, 254, false),
            (100, 0, false),
        ] {
            assert_eq!(request(echoed).has_room_for(&all(last)), fits, "{echoed} {last}");
        }
        let reserved = Answer::accept().with(AttributeType::PROXY_STATE, [1]);
        assert!(!request(3).has_room_for(&reserved));
        assert!(request(3).has_room_for(&Answer::accept()));
    }
}
