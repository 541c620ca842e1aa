//! Why a login fails although no server said no.

use std::io;

use kdc_otp_config::Hazard;
use krad::NoReply;
use otp_userstring::DecodeError;

/// Why the KDC refuses an OTP before it asks any server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The principal has no `otp` string: the KDC offers no OTP, and refuses one that is sent all the same.
    #[error("the principal has no \"otp\" string attribute")]
    NotOffered,
    /// No User-Password can carry the OTP: it has 1 to 128 octets (RFC 2865 §5.2).
    #[error("an OTP of {0} octets: a request carries 1 to 128")]
    OtpLength(usize),
    /// The `otp` string is of no use.
    #[error("the user string is of no use to a KDC: {0}")]
    UserString(#[from] DecodeError),
    /// A token names a type that `[otp]` does not have. It need not be the first token.
    #[error("token {} names the type \"{}\", which [otp] does not have", .token.saturating_add(1), .name.escape_ascii())]
    UnknownType {
        /// Index of the token, counted from 0.
        token: usize,
        /// The type.
        name: Vec<u8>,
    },
}

/// Why a request about one token failed. The KDC then gives up: later tokens are not tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No User-Name can carry the name: it has 1 to 253 octets (RFC 2865 §5).
    #[error("a User-Name of {0} octets: a request carries 1 to 253")]
    UserNameLength(usize),
    /// The OTP is nothing but NULs, which are what a User-Password is padded with (RFC 2865 §5.2).
    #[error("the OTP is nothing but NULs")]
    OtpOfNuls,
    /// A KDC cannot use this combination of `timeout` and `retries`.
    #[error("timeout and retries of the type: {0}")]
    Schedule(#[from] Hazard),
    /// The server was not found, or could not be connected to.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// No authentic reply came in time.
    #[error("no authentic reply in time")]
    TimedOut,
    /// The request could not be made or kept.
    #[error(transparent)]
    Request(NoReply),
}

/// Why a server cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The UNIX socket cannot be connected to, or the first datagram cannot be sent.
    #[error("cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// The host has no address, or its name cannot be looked up.
    #[error("the host cannot be found: {0}")]
    Lookup(String),
}

impl RequestError {
    /// What krb5kdc logs after `preauth (otp) verify failure: `.
    #[must_use]
    pub fn logged_as(&self) -> &'static str {
        match self {
            Self::NotOffered => PREAUTH_FAILED,
            Self::OtpLength(_) => MESSAGE_SIZE,
            Self::UserString(_) | Self::UnknownType { .. } => INVALID,
        }
    }
}

impl Failure {
    /// What krb5kdc logs after `preauth (otp) verify failure: `; `None` where that depends on the system, or where
    /// the process ends instead.
    #[must_use]
    pub fn logged_as(&self) -> Option<&'static str> {
        match self {
            Self::UserNameLength(_) | Self::OtpOfNuls => Some(MESSAGE_SIZE),
            Self::TimedOut | Self::Schedule(Hazard::NoTime) => Some(TIMED_OUT),
            Self::Unreachable(Unreachable::Connect(io::ErrorKind::NotFound)) => {
                Some("No such file or directory")
            }
            Self::Unreachable(Unreachable::Connect(io::ErrorKind::ConnectionRefused)) => {
                Some("Connection refused")
            }
            Self::Unreachable(Unreachable::Connect(io::ErrorKind::PermissionDenied)) => {
                Some("Permission denied")
            }
            _ => None,
        }
    }
}

/// `KRB5_PREAUTH_FAILED`, which is also how the KDC says that no server accepted.
pub(crate) const PREAUTH_FAILED: &str = "Generic preauthentication failure";
const INVALID: &str = "Invalid argument";
const MESSAGE_SIZE: &str = "Message too long";
const TIMED_OUT: &str = "Connection timed out";
