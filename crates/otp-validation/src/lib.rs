#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod account;
mod decide;
mod effect;
mod enrol;
mod grammar;
mod lockout;
mod name;
mod reason;

pub use account::{
    Acceptance, Account, AccountVersion, Channel, Client, ClientId, CredentialDigest, PacketDigest,
    PasswordHash, Token, TokenId, TokenMode, TokenStatus, Twin, UnixTime, User, UserId,
};
pub use decide::{Attempt, Decision, MAX_TWINS, PasswordCheck, Progress, SAME_PACKET_LIFE, Verdict, decide};
pub use effect::Effect;
pub use enrol::{Proof, ProofError, prove};
pub use grammar::Grammar;
pub use lockout::{Factor, Lockout};
pub use name::{NameError, UserName};
pub use reason::Reason;
