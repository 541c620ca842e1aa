#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attribute;
mod authenticator;
mod chap;
mod client;
mod code;
pub mod dictionary;
mod error;
mod frame;
mod length_policy;
mod message_authenticator;
mod packet;
pub mod radius11;
mod reply;
mod request;
mod secret;
mod tunnel;
mod user_password;
mod vendor_specific;

pub use attribute::{Attribute, AttributeType, Attributes, AttributesIter};
pub use authenticator::RequestAuthenticator;
pub use chap::{Chap, chap_password};
pub use client::{
    IdentifierLease, IdentifierPool, IdentifiersExhausted, NoReply, PendingRequest, Remote, Reply, ReplyBuf,
    ReplyError, RequestBuilder, RequestTemplate, RetrySchedule, Transaction, Transmit, Transport,
};
pub use code::{Code, Identifier};
pub use error::{ChapError, DecodeError, EncodeError, FramingError, UserPasswordError, VerifyError};
pub use frame::{StreamDecoder, bytes_needed};
pub use length_policy::LengthPolicy;
pub use message_authenticator::MessageAuthenticatorRule;
pub use packet::{MAX_PACKET_LENGTH, MIN_PACKET_LENGTH, Packet};
pub use reply::{ReplyBuilder, ReplyStyle};
pub use request::{Request, RequestBuf};
pub use secret::SharedSecret;
pub use tunnel::{Tag, Tagged};
pub use user_password::{MAX_PASSWORD_LENGTH, hide_user_password, reveal_user_password};
pub use vendor_specific::{VendorAttribute, VendorAttributes, VendorFormat, VendorId, VendorSpecific};
