//! One socket or connection to a server: what is in flight on it. A task owns each, so that a request that is given up never
//! leaves half a packet behind.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use krad::{
    AttributeType, Attributes, Code, DecodeError, EncodeError, Identifier, IdentifierLease, IdentifierPool,
    MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator, RequestTemplate, SharedSecret,
    VerifyError,
    radius11::{self, TokenCounter},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

/// An authentic reply of a server. Values are wiped on drop, because a reply can carry keys.
#[derive(Clone)]
pub struct Reply {
    code: Code,
    attributes: Vec<(AttributeType, Zeroizing<Vec<u8>>)>,
}

impl Reply {
    fn new(code: Code, attributes: Attributes<'_>) -> Self {
        let own = |attribute: krad::Attribute<'_>| (attribute.kind, Zeroizing::new(attribute.value.to_vec()));
        Self {
            code,
            attributes: attributes.iter().map(own).collect(),
        }
    }

    /// [`Code::ACCESS_ACCEPT`], [`Code::ACCESS_REJECT`] or [`Code::ACCESS_CHALLENGE`].
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// All attributes, in order, those of this hop among them.
    pub fn attributes(&self) -> impl Iterator<Item = (AttributeType, &[u8])> {
        self.attributes
            .iter()
            .map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// The value of the first attribute of this type.
    #[must_use]
    pub fn first(&self, kind: AttributeType) -> Option<&[u8]> {
        self.attributes()
            .find(|(other, _)| *other == kind)
            .map(|(_, value)| value)
    }
}

/// Shows types and lengths, not values.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = self
            .attributes()
            .map(|(kind, value)| krad::Attribute { kind, value });
        f.debug_struct("Reply")
            .field("code", &self.code)
            .field("attributes", &attributes.collect::<Vec<_>>())
            .finish()
    }
}

/// What becomes of a request on a link.
pub(super) enum Event {
    Answer(Reply),
    /// The server cannot be reached, or the connection broke.
    Unreachable,
}

/// Who is told: the place among those that the request was sent to, and what happened there.
pub(super) type Teller = mpsc::Sender<(usize, Event)>;

/// A request to be sent.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) template: Arc<RequestTemplate>,
    /// From the generator of the operating system, or one seeded from it.
    pub(super) authenticator: RequestAuthenticator,
    /// It is a Status-Server, which has an Identifier of its own (RFC 6613 §2.6.5).
    pub(super) is_probe: bool,
    pub(super) place: usize,
    pub(super) teller: Teller,
}

pub(super) enum Command {
    Ask(u64, Ask),
    /// The same octets again.
    Again(u64),
    /// Nobody waits any more.
    Forget(u64),
}

pub(super) type Commands = mpsc::UnboundedReceiver<Command>;

/// The handle of a link. Its task ends when it is dropped.
pub(super) struct Link {
    commands: mpsc::UnboundedSender<Command>,
    room: Arc<Semaphore>,
    next: AtomicU64,
    _task: AbortOnDropHandle<()>,
}

/// The place of a request on a link: free again when this is dropped.
pub(super) struct Ticket {
    number: u64,
    commands: mpsc::UnboundedSender<Command>,
    // Given back after the task has been told to forget the request: commands stay in order.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Link {
    /// Runs `task`, which has room for `room` requests at a time.
    pub(super) fn spawn<F>(room: usize, task: impl FnOnce(Commands) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (commands, receiver) = mpsc::unbounded_channel();
        Self {
            commands,
            room: Arc::new(Semaphore::new(room)),
            next: AtomicU64::new(0),
            _task: AbortOnDropHandle::new(tokio::spawn(task(receiver))),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    /// Sends a request, if there is room for it and the link has not ended.
    pub(super) fn ask(&self, ask: &Ask) -> Option<Ticket> {
        let permit = if ask.is_probe {
            None
        } else {
            Some(Arc::clone(&self.room).try_acquire_owned().ok()?)
        };
        let number = self.next.fetch_add(1, Relaxed);
        self.commands.send(Command::Ask(number, ask.clone())).ok()?;
        Some(Ticket {
            number,
            commands: self.commands.clone(),
            _permit: permit,
        })
    }
}

impl Ticket {
    /// Sends the same octets again.
    pub(super) fn again(&self) {
        // A link that has ended has told so.
        let _ = self.commands.send(Command::Again(self.number));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Forget(self.number));
    }
}

/// Why a packet from a server was discarded. Whoever waits goes on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyDiscard {
    /// It is not a packet.
    #[error("not a packet")]
    Malformed,
    /// No request in flight has its Identifier or Token: a late answer, or a made-up one.
    #[error("nothing was asked")]
    Unsolicited,
    /// It has no Message-Authenticator, and needs one.
    #[error("Message-Authenticator is missing")]
    MissingMessageAuthenticator,
    /// Its Message-Authenticator is not that of this packet and secret.
    #[error("wrong Message-Authenticator (another shared secret, or an altered packet)")]
    WrongMessageAuthenticator,
    /// Its Response Authenticator is not that of this packet and secret, or its Code is none of a reply.
    #[error("not authentic (another shared secret, or an altered packet)")]
    NotAuthentic,
}

impl ReplyDiscard {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Malformed,
        Self::Unsolicited,
        Self::MissingMessageAuthenticator,
        Self::WrongMessageAuthenticator,
        Self::NotAuthentic,
    ];

    /// A short fixed name, for the label of a counter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsolicited => "unsolicited",
            Self::MissingMessageAuthenticator => "missing_message_authenticator",
            Self::WrongMessageAuthenticator => "wrong_message_authenticator",
            Self::NotAuthentic => "not_authentic",
        }
    }
}

impl From<DecodeError> for ReplyDiscard {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

impl From<VerifyError> for ReplyDiscard {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::MissingMessageAuthenticator
            | VerifyError::EapMessageWithoutMessageAuthenticator
            | VerifyError::ProxyStateWithoutMessageAuthenticator => Self::MissingMessageAuthenticator,
            VerifyError::WrongMessageAuthenticator
            | VerifyError::DuplicateMessageAuthenticator
            | VerifyError::MessageAuthenticatorLength(_) => Self::WrongMessageAuthenticator,
            _ => Self::NotAuthentic,
        }
    }
}

/// How packets of one link are made and what proves their replies.
pub(super) enum Codec {
    /// Historic RADIUS: Identifiers and a shared secret.
    Historic {
        identifiers: IdentifierPool,
        /// Kept for Status-Server, so that the watchdog works while everything else is in use: the first one, 0.
        watchdog: Option<IdentifierLease>,
        secret: SharedSecret,
        rule: MessageAuthenticatorRule,
    },
    /// RADIUS/1.1: Tokens, and the connection as the proof.
    Radius11(TokenCounter),
}

impl Codec {
    pub(super) fn historic(secret: SharedSecret, rule: MessageAuthenticatorRule) -> Self {
        let identifiers = IdentifierPool::new();
        Self::Historic {
            watchdog: identifiers.lease().ok(),
            identifiers,
            secret,
            rule,
        }
    }
}

/// How many requests fit on a link of historic RADIUS beside the watchdog.
pub(super) const HISTORIC_ROOM: usize = 255;

/// A request in flight.
struct InFlight {
    /// Identifier or Token.
    key: u32,
    octets: Zeroizing<Vec<u8>>,
    /// What proves the reply; nothing but the connection in RADIUS/1.1.
    pending: Option<PendingRequest>,
    _lease: Option<IdentifierLease>,
    place: usize,
    teller: Teller,
}

/// Everything in flight on one link.
pub(super) struct Table {
    codec: Codec,
    requests: HashMap<u64, InFlight>,
    by_key: HashMap<u32, u64>,
}

impl Table {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            requests: HashMap::new(),
            by_key: HashMap::new(),
        }
    }

    /// Does what it is told; returns the octets to send, if there are any.
    pub(super) fn command(&mut self, command: Command) -> Option<&[u8]> {
        match command {
            Command::Ask(number, ask) => match self.compose(&ask) {
                Ok(request) => {
                    self.by_key.insert(request.key, number);
                    self.requests.insert(number, request);
                    self.octets(number)
                }
                Err(error) => {
                    tracing::debug!(%error, "a request cannot be sent");
                    let _ = ask.teller.try_send((ask.place, Event::Unreachable));
                    None
                }
            },
            Command::Again(number) => self.octets(number),
            Command::Forget(number) => {
                if let Some(request) = self.requests.remove(&number)
                    && self.by_key.get(&request.key) == Some(&number)
                {
                    self.by_key.remove(&request.key);
                }
                None
            }
        }
    }

    fn octets(&self, number: u64) -> Option<&[u8]> {
        self.requests
            .get(&number)
            .map(|request| request.octets.as_slice())
    }

    fn compose(&mut self, ask: &Ask) -> Result<InFlight, EncodeError> {
        let in_flight = |key, octets, pending, lease| InFlight {
            key,
            octets,
            pending,
            _lease: lease,
            place: ask.place,
            teller: ask.teller.clone(),
        };
        match &mut self.codec {
            Codec::Radius11(tokens) => {
                let token = tokens.next_token();
                let octets = ask.template.compose_radius11(token)?;
                Ok(in_flight(u32::from_be_bytes(token.0), octets, None, None))
            }
            Codec::Historic {
                identifiers,
                watchdog,
                secret,
                ..
            } => {
                let lease = if ask.is_probe {
                    None
                } else {
                    identifiers.lease().ok()
                };
                let kept = watchdog.as_ref().map(IdentifierLease::identifier);
                let identifier = lease.as_ref().map(IdentifierLease::identifier).or(kept);
                let identifier = identifier.unwrap_or(Identifier(0));
                let pending = ask
                    .template
                    .compose(identifier, ask.authenticator, secret, true)?;
                let octets = Zeroizing::new(pending.octets().to_vec());
                Ok(in_flight(identifier.0.into(), octets, Some(pending), lease))
            }
        }
    }

    /// Takes what arrived, and tells whoever waits for it.
    pub(super) fn arrived(&mut self, octets: &[u8]) -> Result<(), ReplyDiscard> {
        let packet = Packet::decode(octets)?;
        let key = match &self.codec {
            Codec::Historic { .. } => packet.identifier().0.into(),
            Codec::Radius11(_) => u32::from_be_bytes(radius11::Packet::decode(octets)?.token().0),
        };
        let number = self.by_key.get(&key).copied();
        let request = number.and_then(|number| self.requests.get(&number));
        let request = request.ok_or(ReplyDiscard::Unsolicited)?;
        let reply = match (&self.codec, &request.pending) {
            (Codec::Historic { rule, .. }, Some(pending)) => {
                let reply = pending.verify(packet, *rule)?;
                Reply::new(reply.code(), reply.attributes())
            }
            _ => match packet.code() {
                Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE => {
                    Reply::new(packet.code(), packet.attributes())
                }
                _ => return Err(ReplyDiscard::NotAuthentic),
            },
        };
        // One who does not listen any more has forgotten the request.
        let _ = request.teller.try_send((request.place, Event::Answer(reply)));
        Ok(())
    }

    /// Tells everyone who waits that the server cannot be reached now.
    pub(super) fn unreachable(&self) {
        for request in self.requests.values() {
            let _ = request.teller.try_send((request.place, Event::Unreachable));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn asked(codec: Codec, teller: Teller) -> (Table, Vec<u8>) {
        let mut table = Table::new(codec);
        let template = RequestTemplate::access_request().user_name(b"alice");
        let ask = Ask {
            template: Arc::new(template.unwrap().user_password(b"755224").unwrap()),
            authenticator: [7; 16].into(),
            is_probe: false,
            place: 0,
            teller,
        };
        let octets = table.command(Command::Ask(1, ask)).unwrap().to_vec();
        (table, octets)
    }

    fn historic(rule: MessageAuthenticatorRule) -> Codec {
        Codec::historic(SharedSecret::new(b"a secret of this proxy alone"), rule)
    }

    proptest! {
        /// Whoever does not know the secret says nothing, whatever he says, and with whatever rule.
        #[test]
        fn no_octets_are_an_answer_by_chance(
            code in prop_oneof![Just(2_u8), Just(3), Just(11), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..600),
            is_lenient: bool,
        ) {
            let rule = if is_lenient {
                MessageAuthenticatorRule::IfPresent { limit_proxy_state: false }
            } else {
                MessageAuthenticatorRule::Required
            };
            let (teller, mut events) = mpsc::channel(4);
            let (mut table, request) = asked(historic(rule), teller);
            let length = u16::try_from(rest.len() + 4).unwrap().to_be_bytes();
            let well_framed = [&[code, request[1]][..], &length, &rest].concat();
            for octets in [&rest, &well_framed] {
                prop_assert!(table.arrived(octets).is_err());
            }
            prop_assert!(events.try_recv().is_err());
        }
    }

    #[test]
    fn a_request_that_was_given_up_is_not_answered() {
        let (teller, mut events) = mpsc::channel(4);
        let tokens = TokenCounter::random(&mut StdRng::seed_from_u64(1));
        let (mut table, request) = asked(Codec::Radius11(tokens), teller);
        let reply = [&[2, 0, 0, 20][..], &request[4..8], &[0; 12]].concat();
        table.arrived(&reply).unwrap();
        assert!(
            matches!(events.try_recv(), Ok((0, Event::Answer(reply))) if reply.code() == Code::ACCESS_ACCEPT)
        );
        assert!(table.command(Command::Again(1)).is_some());
        assert!(table.command(Command::Forget(1)).is_none());
        assert_eq!(table.arrived(&reply), Err(ReplyDiscard::Unsolicited));
        assert!(
            table.command(Command::Again(1)).is_none()
                && table.requests.is_empty()
                && table.by_key.is_empty()
        );
    }
}
