//! Shared secrets of clients: generated, or typed.

use otp_core::base32;
use rand::Rng;
use zeroize::Zeroizing;

use crate::{context::Context, failure::Failure};

/// Octets of randomness in a generated secret.
const GENERATED: usize = 32;
/// The fewest octets that a secret should have (RFC 2865 §3).
const ADVISED: usize = 16;
/// The fewest octets that a secret must have: fewer are guessed from one captured packet.
const SHORTEST: usize = 8;

/// A secret that nobody can guess.
pub(super) fn generate_secret(context: &mut Context) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new([0_u8; GENERATED]);
    context.io.rng.fill_bytes(octets.as_mut_slice());
    // Letters and digits alone survive every configuration file.
    Zeroizing::new(base32::encode(octets.as_slice()).as_bytes().to_vec())
}

/// A secret that somebody has chosen.
pub(super) fn ask_secret(context: &mut Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let secret = context.ask_new("Shared secret: ", "Once more: ")?;
    if secret.len() < SHORTEST {
        let cause = format!(
            "the shared secret has {} octets, {SHORTEST} is the least",
            secret.len()
        );
        return Err(Failure::data(cause).with_remedy("leave --secret out, and a strong one is generated"));
    }
    if secret.len() < ADVISED {
        context.warn(&format!(
            "the shared secret has {} octets; RFC 2865 asks for {ADVISED} or more, as one captured packet is enough to try guesses",
            secret.len()
        ));
    }
    if secret.first().is_some_and(u8::is_ascii_whitespace)
        || secret.last().is_some_and(u8::is_ascii_whitespace)
    {
        context.warn(
            "the shared secret begins or ends with a blank, which is part of it; some clients remove blanks",
        );
    }
    Ok(secret)
}
