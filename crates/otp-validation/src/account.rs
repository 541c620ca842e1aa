//! What a decision looks at: one consistent snapshot of a user, the tokens, the replay state and the lock-out.

use std::fmt;

use otp_core::{Hotp, HotpState, TokenKey, Totp, TotpState, Window};
use zeroize::ZeroizeOnDrop;

use crate::{EndedDialogue, Grammar, Lockouts, ReplyAttributes, Upstream, UserName};

/// Seconds since the Unix epoch, from the service's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Seconds between two instants, whichever is the later.
    pub fn distance(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
    };
}

id! {
    /// The store's number of a user.
    UserId
}
id! {
    /// The store's number of a token.
    TokenId
}
id! {
    /// The store's number of a client.
    ClientId
}
id! {
    /// Number of changes that an account has seen.
    ///
    /// Effects are committed only on the version that they were decided on; whatever changes an account, be it an
    /// acceptance, a counted failure or an administrator, moves it.
    AccountVersion
}

/// Keyed digest of one packet: client, octets, nothing else. The same packet again has the same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketDigest(pub [u8; 32]);

/// Keyed digest of a complete credential of one user, so that a twin can be told from another attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialDigest(pub [u8; 32]);

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest(..)")
    }
}

/// A stored password: a PHC string (Argon2id). It is checked by the driver, never here.
#[derive(Clone, ZeroizeOnDrop)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string as the store holds it.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Who logs in.
#[derive(Clone, Debug)]
pub struct User {
    /// The store's number.
    pub id: UserId,
    /// The name under which the user is stored.
    pub name: UserName,
    /// A disabled user is refused.
    pub enabled: bool,
    /// The first moment at which the user is refused.
    pub expires_at: Option<UnixTime>,
    /// The local password, if there is one.
    pub password: Option<PasswordHash>,
    /// How this user's credentials are composed; `None` lets it follow from `password`.
    pub grammar: Option<Grammar>,
    /// What every acceptance of the user tells the client.
    pub reply: ReplyAttributes,
    /// Who decides on the user in place of here.
    pub upstream: Option<Upstream>,
}

/// Whether a token has shown a code yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// Enrolled, but no code has been proven: not a candidate.
    Pending,
    /// One code has been proven, or an administrator vouched for it.
    Active,
}

/// The algorithm of a token together with its replay state.
#[derive(Clone, Copy, Debug)]
pub enum TokenMode {
    /// Event based (RFC 4226).
    Hotp {
        /// Hash and digits.
        hotp: Hotp,
        /// The smallest counter that may still be accepted.
        state: HotpState,
        /// How many counters ahead of it are searched.
        look_ahead: u32,
    },
    /// Time based (RFC 6238).
    Totp {
        /// Hash, digits, step and T0.
        totp: Totp,
        /// The smallest step that may still be accepted.
        state: TotpState,
        /// Steps searched around the present.
        window: Window,
    },
}

impl TokenMode {
    /// Number of digits of this token's codes.
    pub fn digits(&self) -> usize {
        usize::from(match self {
            Self::Hotp { hotp, .. } => hotp.digits.get(),
            Self::Totp { totp, .. } => totp.digits().get(),
        })
    }
}

/// Something that shows one-time passwords.
#[derive(Clone, Debug)]
pub struct Token {
    /// The store's number.
    pub id: TokenId,
    /// Its name among the user's tokens.
    pub label: String,
    /// A disabled token is no candidate.
    pub enabled: bool,
    /// Whether a code was ever proven.
    pub status: TokenStatus,
    /// The secret K.
    pub key: TokenKey,
    /// What turns K into codes.
    pub mode: TokenMode,
}

/// One channel of a client, such as a connection of one KDC process.
///
/// Whoever sits behind a channel remembers what it has asked: an MIT KDC process answers a repetition of a login by
/// itself. A twin therefore comes through another channel than the first packet; a second packet through the same one is
/// a second login. Numbers are unique among running daemons and their predecessors, so that a restart does not make two
/// channels one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channel(pub u64);

/// Another packet that got the verdict of an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The packet.
    pub packet: PacketDigest,
    /// What it came through, if that tells anything.
    pub channel: Option<Channel>,
}

/// One acceptance that may still be asked for again.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The packet that was accepted.
    pub packet: PacketDigest,
    /// The credential that was proven.
    pub credential: CredentialDigest,
    /// Which client sent it.
    pub client: ClientId,
    /// Which token's code was spent.
    pub token: TokenId,
    /// When.
    pub at: UnixTime,
    /// What the packet came through, if that tells anything.
    pub channel: Option<Channel>,
    /// Who has had the same verdict since.
    pub twins: Vec<Twin>,
}

impl Acceptance {
    /// Whether `packet` has had this verdict.
    pub fn was_given_to(&self, packet: PacketDigest) -> bool {
        self.packet == packet || self.twins.iter().any(|twin| twin.packet == packet)
    }

    /// Takes the verdict back from `packet`, which has another one now; `false` if it was the first packet's, so that there is
    /// nothing left to repeat.
    pub fn take_back(&mut self, packet: PacketDigest) -> bool {
        self.twins.retain(|twin| twin.packet != packet);
        self.packet != packet
    }

    /// Whether somebody has had this verdict through `channel`.
    pub fn was_given_through(&self, channel: Channel) -> bool {
        self.channel == Some(channel) || self.twins.iter().any(|twin| twin.channel == Some(channel))
    }
}

/// Everything about one user that a decision may depend on, as of one moment.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// All tokens, in the order in which they were added.
    pub tokens: Vec<Token>,
    /// Failures and locks.
    pub lockouts: Lockouts,
    /// Acceptances of the last [`SAME_PACKET_LIFE`](crate::SAME_PACKET_LIFE) seconds or more, in the order in which they were
    /// committed; no more than the latest [`ACCEPTANCES_KEPT`](crate::ACCEPTANCES_KEPT).
    pub acceptances: Vec<Acceptance>,
    /// Dialogues that are not answered again; no more than [`ENDED_DIALOGUES`](crate::ENDED_DIALOGUES).
    pub ended_dialogues: Vec<EndedDialogue>,
    /// The version that effects are committed on.
    pub version: AccountVersion,
}

/// The rules of the client that a request came through (a NAS, or the KDC listener).
#[derive(Clone, Debug)]
pub struct Client {
    /// The store's number.
    pub id: ClientId,
    /// Its name in logs.
    pub name: String,
    /// A disabled client gets Reject for everything.
    pub enabled: bool,
    /// How credentials through this client are composed, whatever the user's own setting is.
    pub grammar: Option<Grammar>,
    /// For how many seconds a twin (another packet, same user, client and credential) gets the first one's Accept.
    pub repeat_grace: u32,
    /// Whether it can ask its user a question (Access-Challenge). A KDC cannot; with [`Grammar::Auto`], neither can a client that has
    /// never answered one ([`can_be_asked`](crate::can_be_asked)).
    pub can_challenge: bool,
}
