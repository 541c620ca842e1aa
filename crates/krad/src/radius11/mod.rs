//! RADIUS/1.1: RADIUS inside TLS without MD5 (RFC 9765).
//!
//! TLS protects the packets, so there is no shared secret, no authenticator and nothing hidden: a packet is as
//! authentic as the connection that it came on. A Token takes the place of the Identifier, so that 2³² requests
//! can be outstanding on one connection. Length stands where it always stood, so
//! [`StreamDecoder`](crate::StreamDecoder) cuts these streams too; [`Attributes`](crate::Attributes) are the same.
//!
//! The two ends agree on it by ALPN: [`Versions`] has the rules for both.
//!
//! ```
//! use krad::{AttributeType, Code, radius11::{Packet, PacketBuilder, TokenCounter}};
//!
//! let mut tokens = TokenCounter::random(&mut rand::rng()); // one for each connection
//! let token = tokens.next_token();
//! let octets = PacketBuilder::access_request(token).user_name(b"alice")?.user_password(b"755224")?.build()?;
//!
//! let request = Packet::decode(&octets)?; // at the server
//! let granted = request.user_password()? == Some(&b"755224"[..]);
//! let code = if granted { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
//! let octets = request.reply(code).with(AttributeType::REPLY_MESSAGE, b"Welcome.")?.build()?;
//!
//! let reply = Packet::decode(&octets)?;
//! assert_eq!((reply.token(), reply.code()), (token, Code::ACCESS_ACCEPT));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alpn;
mod builder;
mod packet;
mod token;

pub use alpn::{
    ALPN_RADIUS_1_0, ALPN_RADIUS_1_1, NO_APPLICATION_PROTOCOL, Negotiated, NegotiationError, Selected,
    Version, Versions, negotiate,
};
pub use builder::PacketBuilder;
pub use packet::Packet;
pub use token::{Token, TokenCounter};

use crate::{Attribute, AttributeType};

/// Whether an attribute has no meaning here, so that it is neither sent nor read (RFC 9765 §5.2, §5.5):
/// Message-Authenticator, and Original-Packet-Code (241.4, RFC 7930 §4).
fn is_meaningless(attribute: &Attribute<'_>) -> bool {
    match attribute.kind {
        AttributeType::MESSAGE_AUTHENTICATOR => true,
        EXTENDED_ATTRIBUTE_1 => attribute.value.first() == Some(&ORIGINAL_PACKET_CODE),
        _ => false,
    }
}

/// Extended-Attribute-1 (RFC 6929 §3.1): the first octet of the value is the extended type.
const EXTENDED_ATTRIBUTE_1: AttributeType = AttributeType(241);

const ORIGINAL_PACKET_CODE: u8 = 4;
