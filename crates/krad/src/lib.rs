#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | you have | you want | use |
//! | --- | --- | --- |
//! | octets of a datagram | a packet | [`Packet::decode`] |
//! | octets of a stream | the packets in it | [`StreamDecoder`], [`bytes_needed`] |
//! | octets that a KDC would take | a packet | [`Packet::decode_with`] and a [`LengthPolicy`] |
//! | a [`Packet`] from a client | a [`Request`] | [`Packet::authenticate`] with a [`MessageAuthenticatorRule`] |
//! | a [`Packet`] from a TLS connection that negotiated RADIUS/1.1 | a [`Request`] | [`Packet::authenticated_by_tls`] |
//! | a [`Request`] | its user, password, attributes | [`user_name`](Request::user_name), [`user_password`](Request::user_password), [`attributes`](Request::attributes), … |
//! | a [`Request`] with CHAP | whether a code answers it | [`Request::chap`], [`Chap::matches`] |
//! | a Vendor-Specific value | the vendor's attributes | [`VendorSpecific`] with a [`VendorFormat`] |
//! | a tunnel attribute | its tag and value | [`Tagged`] |
//! | an attribute | its name and value as people read them | [`dictionary::Dictionary::display`] |
//! | a name and a value as people write them | an attribute | [`dictionary::Dictionary::encode`], [`Occurrence`] |
//! | FreeRADIUS's dictionaries, or your own | names for numbers, both ways | [`dictionary::Dictionary::load`] |
//! | a [`Request`] to keep | one that owns its octets | [`Request::to_buf`] |
//! | a [`Request`] | the octets of the reply | [`Request::reply`], [`ReplyBuilder::sign`] with a [`ReplyStyle`] |
//! | a user and a password | an outcome, from the first server that replies | [`RequestTemplate`], [`Remote`], [`Transaction`] |
//! | a user and a password | one packet to send | [`RequestBuilder`] |
//! | a [`Packet`] from a server | a [`Reply`] | [`PendingRequest::verify`], as [`Transaction`] does |
//! | a TLS connection with ALPN | RADIUS/1.1: Tokens, no MD5 (RFC 9765) | [`radius11`] |
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
mod occurrence;
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
pub use occurrence::Occurrence;
pub use packet::{MAX_PACKET_LENGTH, MIN_PACKET_LENGTH, Packet};
pub use reply::{ReplyBuilder, ReplyStyle};
pub use request::{Request, RequestBuf};
pub use secret::SharedSecret;
pub use tunnel::{Tag, Tagged};
pub use user_password::{MAX_PASSWORD_LENGTH, hide_user_password, reveal_user_password};
pub use vendor_specific::{VendorAttribute, VendorAttributes, VendorFormat, VendorId, VendorSpecific};
