//! Enrolment: a new token proves that the app or device computes the codes that it should.

use otp_core::{Mistake, Otp, Verdict as CodeVerdict};

use crate::{Effect, Token, TokenMode, TokenStatus, UnixTime, decide::verify};

/// A proven code and what follows from it.
#[derive(Clone, Debug)]
#[must_use = "the proof counts once its effects are committed"]
pub struct Proof {
    /// Spend the code, activate the token.
    pub effects: Vec<Effect>,
}

/// Why a code proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not digits, or not as many as the token shows.
    #[error("a code of this token has exactly {digits} digits and nothing else")]
    NotACode {
        /// Digits of this token.
        digits: usize,
    },
    /// Right, but used before.
    #[error("this code was used before; wait for the next one")]
    Replayed,
    /// Wrong, and we recognise what the app did instead.
    #[error("the code is not right: {0}")]
    Mistaken(Mistake),
    /// Wrong, and no common mistake explains it.
    #[error("the code is not right, and no common mistake explains it: was another secret scanned?")]
    Wrong,
}

/// Judges the code that a person read from a new token (`pending` or not).
///
/// # Errors
///
/// [`ProofError`], which names the mistake that the app made where it is a known one.
pub fn prove(token: &Token, code: &[u8], now: UnixTime) -> Result<Proof, ProofError> {
    let digits = token.mode.digits();
    let otp = Otp::parse(code).map_err(|_| ProofError::NotACode { digits })?;
    match verify(token, &otp, now) {
        CodeVerdict::Fresh((matched, next)) => {
            let mut effects = vec![Effect::Consume {
                token: token.id,
                matched,
                next,
            }];
            if token.status == TokenStatus::Pending {
                effects.push(Effect::Activate { token: token.id });
            }
            Ok(Proof { effects })
        }
        CodeVerdict::Replayed(_) => Err(ProofError::Replayed),
        CodeVerdict::Unmatched => Err(explain(token, &otp, now, digits)),
    }
}

fn explain(token: &Token, otp: &Otp, now: UnixTime, digits: usize) -> ProofError {
    let mistake = match &token.mode {
        TokenMode::Hotp {
            hotp,
            state,
            look_ahead,
        } => hotp.diagnose(&token.key, otp, *state, *look_ahead),
        TokenMode::Totp { totp, .. } => totp.diagnose(&token.key, otp, now.0),
    };
    match mistake {
        Some(mistake) => ProofError::Mistaken(mistake),
        None if otp.as_str().len() != digits => ProofError::NotACode { digits },
        None => ProofError::Wrong,
    }
}
