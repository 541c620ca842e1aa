//! The client's side: requests to send, replies that are authentic, and when to send what to which server.

mod builder;
mod identifiers;
mod pending;
mod remote;
mod schedule;
mod template;
mod transaction;

pub use builder::RequestBuilder;
pub use identifiers::{IdentifierLease, IdentifierPool, IdentifiersExhausted};
pub use pending::{PendingRequest, Reply, ReplyBuf};
pub use remote::{Remote, Transport};
pub use schedule::RetrySchedule;
pub use template::RequestTemplate;
pub use transaction::{NoReply, ReplyError, Transaction, Transmit};
