//! Code and Identifier, the first two octets of a packet (RFC 2865 §3).

use std::fmt;

/// Constants, names and `Display` of an open code space: a value without a name survives a round trip.
macro_rules! code_space {
    ($type:ident, $label:literal { $($constant:ident = $value:literal, $name:literal, $source:literal;)* }) => {
        impl $type {
            $(
                #[doc = concat!($name, " (", $source, ").")]
                pub const $constant: Self = Self($value);
            )*

            /// The registered name, `None` for a value that has none here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }

            /// The value with this registered name, compared exactly.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self($value)),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!($label, " {}"), self.0),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($type), self)
            }
        }

        impl From<u8> for $type {
            fn from(value: u8) -> Self {
                Self(value)
            }
        }
    };
}

pub(crate) use code_space;

/// What kind of packet it is (RFC 2865 §3). Any octet is a value; the named ones are registered.
///
/// ```
/// # use krad::Code;
/// assert_eq!(Code::ACCESS_REJECT.to_string(), "Access-Reject");
/// assert_eq!(Code(99).to_string(), "Code 99");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

code_space!(Code, "Code" {
    ACCESS_REQUEST = 1, "Access-Request", "RFC 2865 §4.1";
    ACCESS_ACCEPT = 2, "Access-Accept", "RFC 2865 §4.2";
    ACCESS_REJECT = 3, "Access-Reject", "RFC 2865 §4.3";
    ACCOUNTING_REQUEST = 4, "Accounting-Request", "RFC 2866 §4.1";
    ACCOUNTING_RESPONSE = 5, "Accounting-Response", "RFC 2866 §4.2";
    ACCESS_CHALLENGE = 11, "Access-Challenge", "RFC 2865 §4.4";
    STATUS_SERVER = 12, "Status-Server", "RFC 5997";
    STATUS_CLIENT = 13, "Status-Client", "RFC 2865 §3";
    DISCONNECT_REQUEST = 40, "Disconnect-Request", "RFC 5176 §2.1";
    DISCONNECT_ACK = 41, "Disconnect-ACK", "RFC 5176 §2.1";
    DISCONNECT_NAK = 42, "Disconnect-NAK", "RFC 5176 §2.1";
    COA_REQUEST = 43, "CoA-Request", "RFC 5176 §2.2";
    COA_ACK = 44, "CoA-ACK", "RFC 5176 §2.2";
    COA_NAK = 45, "CoA-NAK", "RFC 5176 §2.2";
    PROTOCOL_ERROR = 52, "Protocol-Error", "RFC 7930 §4";
});

/// Matches a reply to its request (RFC 2865 §3): unique among a client's outstanding requests from one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(pub u8);

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u8> for Identifier {
    fn from(value: u8) -> Self {
        Self(value)
    }
}
