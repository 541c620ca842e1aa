//! What goes into a service and what comes out.

use std::{fmt, time::Duration};

use otp_core::Otp;
use otp_store::{Accept, UpstreamAnswer};
use otp_validation::{Channel, PacketDigest, Reason, ReplyAttributes, Upstream, UserName};
use subtle::Choice;
use zeroize::Zeroizing;

/// One attempt to log in, however it came in.
#[derive(Debug)]
pub struct Request<'a> {
    /// User-Name as received.
    pub user_name: Vec<u8>,
    /// What it shows; `None` if that is nothing.
    pub credential: Option<Credential>,
    /// State as received: what the request answers, if it answers a question.
    pub state: Option<Vec<u8>>,
    /// Digest of the packet ([`otp_store::Digests::packet`]); something unique where there is no packet.
    pub packet: PacketDigest,
    /// What it came through, where that tells a twin from a second login.
    pub channel: Option<Channel>,
    /// Who decides in the realm of the name that came in, if that is not this service. Whoever is disabled here, or has an
    /// upstream of their own, does not get that far.
    pub realm: Option<Upstream>,
    /// How long somebody waits for the verdict: a password that cannot be checked within it is refused at once.
    pub patience: Duration,
    /// Whether an acceptance can be told: a code is not spent on one that cannot.
    pub room: Room<'a>,
    /// Where it came from, for the audit trail.
    pub origin: Origin,
}

/// Tells whether an acceptance fits into what carries it, before anything is spent on it.
#[derive(Clone, Copy)]
pub struct Room<'a>(Option<&'a Fits<'a>>);

/// Whether there is room for the acceptance of a user, by the stored name, with what the user brings into it.
type Fits<'a> = dyn Fn(&UserName, &ReplyAttributes) -> bool + Sync + 'a;

impl<'a> Room<'a> {
    /// Room for whatever there is to tell.
    pub const UNLIMITED: Self = Self(None);

    /// Room for what `fits`: it is asked with the stored name of the user and what the user brings into an Access-Accept.
    pub const fn of(fits: &'a Fits<'a>) -> Self {
        Self(Some(fits))
    }

    pub(crate) fn has(self, user: &UserName, reply: &ReplyAttributes) -> bool {
        self.0.is_none_or(|fits| fits(user, reply))
    }
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "Room::UNLIMITED",
            Some(_) => "Room(..)",
        })
    }
}

/// What a request shows for its user.
pub enum Credential {
    /// User-Password, unhidden.
    Password(Zeroizing<Vec<u8>>),
    /// The response of CHAP to a challenge.
    Chap(ChapResponse),
}

impl From<Zeroizing<Vec<u8>>> for Credential {
    fn from(password: Zeroizing<Vec<u8>>) -> Self {
        Self::Password(password)
    }
}

impl From<Vec<u8>> for Credential {
    fn from(password: Vec<u8>) -> Self {
        Self::Password(Zeroizing::new(password))
    }
}

/// Shows the method alone.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Chap(_) => "Chap(..)",
        })
    }
}

/// What a client has answered to a challenge by CHAP (RFC 2865 §5.3, §5.40).
pub struct ChapResponse {
    proves: Box<Proves>,
}

/// Whether a code is the one that was answered with.
type Proves = dyn Fn(&[u8]) -> Choice + Send + Sync;

impl ChapResponse {
    /// Takes what tells whether a code is the one that the client has answered with, in a time that depends on lengths alone.
    pub fn new(proves: impl Fn(&[u8]) -> Choice + Send + Sync + 'static) -> Self {
        Self {
            proves: Box::new(proves),
        }
    }

    /// Whether this is the code of `otp`.
    pub(crate) fn proves(&self, otp: &Otp) -> Choice {
        (self.proves)(otp.as_str().as_bytes())
    }
}

/// Where a request came from, as far as the audit trail tells of it; nothing of this is decided on.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The number of the request in the log, by which `otpctl why` finds it.
    pub request: Option<u64>,
    /// The address or connection of the peer.
    pub peer: Option<String>,
    /// NAS-Identifier as received.
    pub nas_identifier: Option<Vec<u8>>,
}

/// What the caller may answer.
#[derive(Debug)]
pub enum Answer {
    /// Let in: the proof that the acceptance is durable.
    Accept(Accept),
    /// Refuse.
    Reject,
    /// Ask (Access-Challenge): the answer brings back the State.
    Challenge(Challenge),
    /// Let this upstream decide, and then tell [`Service::forwarded`](crate::Service::forwarded) what it said.
    Forward(Upstream),
    /// What an upstream has decided. Its acceptance is none of this service's.
    Upstream(UpstreamAnswer),
}

/// What became of a request that was forwarded, as the audit trail and the log tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Who was to decide.
    pub upstream: Upstream,
    /// The server that has answered, or was asked last.
    pub server: Option<String>,
    /// What the client is answered.
    pub answer: UpstreamAnswer,
    /// Why.
    pub reason: Reason,
}

/// A question to the user.
#[derive(Debug)]
pub struct Challenge {
    /// For Reply-Message: what is asked for.
    pub prompt: &'static str,
    /// State (RFC 2865 §5.24).
    pub state: Vec<u8>,
    /// Whether it rests on a password that was right. Whoever has typed that one wants to answer; whoever guesses need not.
    pub is_earned: bool,
}

/// A verdict, and what there is to say about it in a log.
#[derive(Debug)]
pub struct Outcome {
    /// What may be answered.
    pub answer: Answer,
    /// Why. Never for the wire.
    pub reason: Reason,
    /// The stored name of the user, if there is one.
    pub user: Option<UserName>,
    /// The label of the token whose code was recognised.
    pub token: Option<String>,
    /// Who decided in place of this service, if somebody did.
    pub forwarded: Option<Box<Forwarded>>,
    /// What the user brings into an Access-Accept, of this service's or of an upstream's; nothing if the answer is another.
    pub reply: ReplyAttributes,
    /// Whether the request answered a question, be it rightly or not: its client passes State on.
    pub answers: bool,
    /// How long after its receipt a rejected request is answered at the earliest, so that its time does not tell whether
    /// the code was right and a password was checked. Counts beside any delay that a client has anyway.
    pub hold: Duration,
}

impl Outcome {
    /// A rejection before anybody was looked up.
    pub const fn reject(reason: Reason) -> Self {
        Self {
            answer: Answer::Reject,
            reason,
            user: None,
            token: None,
            forwarded: None,
            reply: ReplyAttributes::none(),
            answers: false,
            hold: Duration::ZERO,
        }
    }

    /// Whether the user is let in by this service.
    pub const fn is_accept(&self) -> bool {
        matches!(self.answer, Answer::Accept(_))
    }

    /// One word for the verdict: `accept`, `reject` or `challenge`; `forward` if it is left to others.
    pub const fn verdict(&self) -> &'static str {
        match self.answer {
            Answer::Accept(_) | Answer::Upstream(UpstreamAnswer::Accept) => "accept",
            Answer::Reject | Answer::Upstream(UpstreamAnswer::Reject) => "reject",
            Answer::Challenge(_) | Answer::Upstream(UpstreamAnswer::Challenge) => "challenge",
            Answer::Forward(_) => "forward",
        }
    }
}
