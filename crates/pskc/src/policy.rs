//! What a key may be used for (RFC 6030 §5).

use crate::DateTime;

/// The `Policy` of a key (RFC 6030 §5). Whoever does not understand a part of it must not use the key at all, which is
/// why the decoder refuses parts that this type has no place for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// When the key begins to be valid.
    pub start_date: Option<DateTime>,
    /// When the key ends to be valid.
    pub expiry_date: Option<DateTime>,
    /// How a PIN goes with the key.
    pub pin: Option<PinPolicy>,
    /// What the key may be used for; empty is everything.
    pub key_usage: Vec<KeyUsage>,
    /// How many times the key may be used; `None` is no limit.
    pub number_of_transactions: Option<u64>,
}

impl Policy {
    /// Whether `usage` is among what the key may be used for.
    #[must_use]
    pub fn permits(&self, usage: KeyUsage) -> bool {
        self.key_usage.is_empty() || self.key_usage.contains(&usage)
    }

    /// Whether the key is valid at `unix_seconds`: from `StartDate` up to, but not at, `ExpiryDate`.
    #[must_use]
    pub fn is_valid_at(&self, unix_seconds: i64) -> bool {
        self.start_date
            .is_none_or(|start| start.unix_seconds() <= unix_seconds)
            && self
                .expiry_date
                .is_none_or(|expiry| unix_seconds < expiry.unix_seconds())
    }
}

/// Defines an enumeration of XML Schema with its spellings.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The spelling in XML.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            pub(crate) fn read(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

spelled! {
    /// What a key may be used for (RFC 6030 §5, `KeyUsage`).
    KeyUsage {
        /// One-time passwords.
        Otp = "OTP",
        /// Challenge and response.
        ChallengeResponse = "CR",
        /// Encrypting data.
        Encrypt = "Encrypt",
        /// Computing a MAC.
        Integrity = "Integrity",
        /// Verifying a MAC.
        Verify = "Verify",
        /// Unlocking a device.
        Unlock = "Unlock",
        /// Decrypting data.
        Decrypt = "Decrypt",
        /// Wrapping keys.
        KeyWrap = "KeyWrap",
        /// Unwrapping keys.
        Unwrap = "Unwrap",
        /// Deriving keys.
        Derive = "Derive",
        /// Generating random numbers or keys.
        Generate = "Generate",
    }
}

spelled! {
    /// Where a PIN is checked (RFC 6030 §5, `PINUsageMode`).
    PinUsageMode {
        /// On the device.
        Local = "Local",
        /// By the server, in front of the OTP.
        Prepend = "Prepend",
        /// By the server, behind the OTP.
        Append = "Append",
        /// Inside the computation of the OTP.
        Algorithmic = "Algorithmic",
    }
}

spelled! {
    /// How a value is written (RFC 6030 §4.3.4, `Encoding`).
    ValueFormat {
        /// Digits 0 to 9.
        Decimal = "DECIMAL",
        /// Hexadecimal digits.
        Hexadecimal = "HEXADECIMAL",
        /// Letters and digits.
        Alphanumeric = "ALPHANUMERIC",
        /// Base64.
        Base64 = "BASE64",
        /// Octets.
        Binary = "BINARY",
    }
}

/// How a PIN goes with a key (RFC 6030 §5, `PINPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinPolicy {
    /// `Id` of the key in this container that holds the PIN.
    pub key_id: Option<String>,
    /// Where the PIN is checked.
    pub usage_mode: Option<PinUsageMode>,
    /// How many wrong PINs in a row lock the key.
    pub max_failed_attempts: Option<u32>,
    /// Fewest characters of a PIN.
    pub min_length: Option<u32>,
    /// Most characters of a PIN.
    pub max_length: Option<u32>,
    /// How the PIN is written.
    pub encoding: Option<ValueFormat>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_policy_permits_everything_at_any_time() {
        let policy = Policy::default();
        assert!(KeyUsage::ALL.iter().all(|usage| policy.permits(*usage)));
        assert!(policy.is_valid_at(i64::MIN) && policy.is_valid_at(i64::MAX));
    }

    #[test]
    fn a_policy_restricts() {
        let policy = Policy {
            start_date: DateTime::from_unix_seconds(10),
            expiry_date: DateTime::from_unix_seconds(20),
            key_usage: vec![KeyUsage::Verify],
            ..Policy::default()
        };
        assert!(policy.permits(KeyUsage::Verify) && !policy.permits(KeyUsage::Otp));
        let valid = [9, 10, 19, 20].map(|second| policy.is_valid_at(second));
        assert_eq!(valid, [false, true, true, false]);
    }

    #[test]
    fn spellings_are_exact() {
        assert_eq!(KeyUsage::read("CR"), Some(KeyUsage::ChallengeResponse));
        assert_eq!(KeyUsage::read("otp"), None);
        assert_eq!(PinUsageMode::read("Local"), Some(PinUsageMode::Local));
        assert_eq!(ValueFormat::read("DECIMAL"), Some(ValueFormat::Decimal));
    }
}
