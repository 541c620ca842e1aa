//! The audit trail: what was decided and what was done, appended in the transaction that it tells of.
//!
//! Records stand in chains. Each has a number in its chain and a link: a keyed digest of itself and of the link before
//! it, so that no record can be changed, left out, moved or put in unnoticed by whoever has the database but not the
//! sealing key. What a chain cannot show by itself is that its end was cut off, together with what tells of it: for that
//! its head is noted elsewhere ([`Head`]).
//!
//! SQLite has one writer at a time and one chain. On PostgreSQL every transaction takes a chain that nobody else
//! writes to, so that writers do not wait for one another; there are as many chains as ever wrote at once.

mod chain;
mod deed;
mod line;
mod read;
mod record;
mod verify;
mod waiting;

pub(crate) use chain::Tail;
pub use chain::{ChainId, Head, HeadError, Link};
pub(crate) use deed::{Actor, Deed, append};
pub use read::AuditEntry;
pub use record::{DecisionFacts, FailureFacts, LONGEST_RECORD, Record, Spent, UpstreamAnswer, UpstreamFacts};
pub use verify::{Break, Broken, Verification};
pub(crate) use waiting::{Batch, Trail, WAIT};
