#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Account`] | snapshot of a user: tokens, replay state, [`Lockouts`], recent [`Acceptance`]s, version |
//! | [`Client`] | the rules of the NAS or KDC listener that asks |
//! | [`Attempt`] | the credential, with the digests that tell a repetition from an attempt |
//! | [`decide`] → [`Progress`] | a [`Decision`], or a [`PasswordCheck`] to be concluded by whoever can hash or bind |
//! | [`Dialogue`], [`Stage`] | how far a login in several steps has come |
//! | [`destination`] → [`Destination`] | whether other servers decide, and which ([`Upstream`]) |
//! | [`Effect`] | what must be durable before the answer leaves |
//! | [`Reason`] | why; for logs and people, never for the wire |
//! | [`ReplyAttributes`], [`merged`] | what an acceptance tells the client about the session |
//! | [`ReplyRules`], [`Conditions`], [`Login`], [`Pattern`] | attributes for all logins of a kind |
//! | [`Grammar`] | how a credential is composed of password and code |
//! | [`decide_chap`], [`proven_code`] | the same for a login by CHAP |
//! | [`UserName`] | the one normaliser of names |
//! | [`prove`] | enrolment: the first code of a new token, or which mistake the app made |
#![forbid(unsafe_code)]

mod account;
mod advance;
mod answer;
mod chap;
mod decide;
mod dialogue;
mod effect;
mod enrol;
mod forward;
mod grammar;
mod lockout;
mod name;
mod pattern;
mod reason;
mod reply;
mod rule;

pub use account::{
    Acceptance, Account, AccountVersion, Channel, Client, ClientId, CredentialDigest, PacketDigest,
    PasswordHash, Token, TokenId, TokenMode, TokenStatus, Twin, UnixTime, User, UserId,
};
pub use advance::{ACCEPTANCES_KEPT, ACCEPTANCES_LIVE};
pub use chap::{decide_chap, proven_code};
pub use decide::{
    Attempt, Decision, MAX_TWINS, PasswordCheck, Progress, Question, SAME_PACKET_LIFE, Verdict, decide,
};
pub use dialogue::{
    DIALOGUE_LIFE, Dialogue, DialogueId, ENDED_DIALOGUES, EndedDialogue, Stage, UNANSWERED_QUESTIONS,
    can_be_asked,
};
pub use effect::Effect;
pub use enrol::{Proof, ProofError, prove};
pub use forward::{Destination, Upstream, UpstreamName, UpstreamNameError, destination};
pub use grammar::Grammar;
pub use lockout::{Factor, Lockout, Lockouts};
pub use name::{NameError, UserName};
pub use pattern::Pattern;
pub use reason::Reason;
pub use reply::{MAX_REPLY_OCTETS, ReplyAttribute, ReplyAttributes, ReplyError, merged};
pub use rule::{
    AttributeCondition, Conditions, Login, NamePattern, PatternError, ReplyRule, ReplyRules, ReplySource,
    RequestAttribute, VendorAttribute,
};
