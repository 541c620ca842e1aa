//! Token (RFC 9765 §4.2).

use std::fmt;

use rand::CryptoRng;

/// Matches a reply to its request on one connection, and tells duplicates. It has no meaning of its own; every
/// value is as good as any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 4]);

/// Lower-case hexadecimal.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// The Tokens of one connection: a counter that begins at random, as RFC 9765 §4.2.1 recommends. A Token comes
/// again after 2³² others.
#[derive(Debug, Clone)]
pub struct TokenCounter(u32);

impl TokenCounter {
    /// The counter of a new connection.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u32())
    }

    /// The Token of the next packet.
    pub const fn next_token(&mut self) -> Token {
        let token = Token(self.0.to_be_bytes());
        self.0 = self.0.wrapping_add(1);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_wraps() {
        let mut tokens = TokenCounter(u32::MAX);
        assert_eq!(tokens.next_token(), Token([255; 4]));
        assert_eq!(tokens.next_token(), Token([0; 4]));
        assert_eq!(tokens.next_token().to_string(), "00000001");
    }
}
