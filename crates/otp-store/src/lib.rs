#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Store`] | the handle; clones share connections and the writer |
//! | [`Location`], [`Paths`], [`Postgres`] | where a store is: state directory and key file, and a database that machines share |
//! | [`Commit`], [`Accept`] | what became of a decision; the right to send an Access-Accept, which nothing but a commit makes |
//! | [`Digests`] | keyed digests of packets and credentials; State |
//! | [`Ask`], [`Basis`] | what a State says |
//! | [`NewUser`], [`UserRecord`] | users |
//! | [`NewToken`], [`TokenRecord`], [`MissingUsers`] | tokens |
//! | [`NewClient`], [`ClientRecord`], [`ClientSource`], [`ClientSecret`], [`OldSecret`], [`ClientSettings`], [`MessageAuthenticatorRule`], [`Source`] | who may ask, and how they are found |
//! | [`NewRule`], [`RuleRecord`], [`RuleSettings`] | what acceptances of logins of a kind carry |
//! | [`ClientUsage`], [`UsageReport`], [`Seen`] | what has come from clients |
//! | [`DatabaseStatus`], [`DatabaseEngine`], [`Replication`], [`Standby`] | what keeps the rows, and how well |
//! | [`AccountStore`], [`Snapshot`], [`Freshness`] | what a service asks of a store: of this one, or of another |
//! | [`Record`], [`DecisionFacts`], [`Spent`], [`FailureFacts`] | what the audit trail keeps of a decision |
//! | [`AuditEntry`], [`Head`], [`ChainId`], [`Link`], [`Verification`], [`Broken`], [`Break`] | the audit trail, and whether it is whole |
//! | [`KeyStatus`], [`Rotation`], [`RotationProgress`] | a new sealing key in the place of the old one |
//! | [`BackupSummary`], [`BackupProgress`], [`RestoreOptions`], [`Restored`], [`BackupError`] | everything in one file, and the way back |
//! | [`Stats`] | figures |
//! | [`Activity`], [`Histogram`], [`Distribution`] | what a store is doing, at no cost |
//! | [`StoreError`], [`Kind`], [`EngineError`], [`KeyId`] | what went wrong, and what to do about it |
#![forbid(unsafe_code)]

mod acceptances;
mod account;
mod account_store;
mod activity;
mod apply;
mod audit;
mod backup;
#[cfg_attr(
    not(feature = "model"),
    expect(unreachable_pub, reason = "simulations have it with the model")
)]
mod cache;
mod client;
mod client_secret;
mod client_settings;
mod client_usage;
mod commit;
mod digest;
mod engine;
mod error;
mod init;
mod keyfile;
mod keyring;
mod location;
mod lockout;
#[cfg(feature = "model")]
pub mod model;
mod paths;
mod postgres;
mod queue;
mod reply;
mod rotation;
mod route;
mod rule;
mod rule_conditions;
mod seal;
mod secret_file;
mod sql;
mod sqlite;
mod state;
mod status;
mod store;
mod token;
mod user;
mod value;

pub use account_store::{AccountStore, Freshness, Snapshot};
pub use activity::{Activity, Distribution, Histogram};
pub use audit::{
    AuditEntry, Break, Broken, ChainId, DecisionFacts, FailureFacts, Head, HeadError, LONGEST_RECORD, Link,
    Record, Spent, UpstreamAnswer, UpstreamFacts, Verification,
};
pub use backup::{BackupError, BackupProgress, BackupSummary, RestoreOptions, Restored};
pub use client::{ClientRecord, ClientSource, MessageAuthenticatorRule, NewClient};
pub use client_secret::{ClientSecret, OldSecret};
pub use client_settings::ClientSettings;
pub use client_usage::{ClientUsage, Seen, UsageReport};
pub use commit::{Accept, Commit};
pub use digest::Digests;
pub use error::{EngineError, Kind, StoreError};
pub use location::Location;
pub use paths::Paths;
pub use postgres::Postgres;
pub use rotation::{KeyStatus, Rotation, RotationProgress};
pub use route::Source;
pub use rule::{NewRule, RuleRecord, RuleSettings};
pub use seal::KeyId;
pub use secret_file::{SecretFileError, read_secret_file};
pub use state::{Ask, Basis};
pub use status::{DatabaseEngine, DatabaseStatus, Replication, Standby};
pub use store::{Stats, Store};
pub use token::{MissingUsers, NewToken, TokenRecord};
pub use user::{NewUser, UserRecord};
