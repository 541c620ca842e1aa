//! CHAP (RFC 2865 §2.2, §5.3, §5.40; RFC 1994): the client proves that it knows a password without sending it.

use std::fmt;

use md5::{Digest, Md5};
use subtle::{Choice, ConstantTimeEq};

use crate::{AttributeType, ChapError, Request, radius11::Version};

/// Octets of a CHAP-Password: CHAP identifier and MD5.
const LENGTH: usize = 17;

/// What the client sent to prove a password: CHAP-Password and the challenge that it answers.
///
/// A one-time password is one of several codes, so all of them are tried, each as long as the others:
///
/// ```
/// # use krad::*;
/// # let secret = SharedSecret::new(b"a secret of this client alone");
/// # let value = chap_password(7, b"755224", &[9; 16]);
/// # let pending = RequestBuilder::access_request(Identifier(1), [9; 16].into(), &secret)
/// #     .with(AttributeType::CHAP_PASSWORD, &value)?.build()?;
/// # let request = Packet::decode(pending.octets())?.authenticate(&secret, MessageAuthenticatorRule::Required)?;
/// let chap = request.chap()?.ok_or("not CHAP")?;
/// let codes = [b"287082", b"755224", b"359152"];
/// let matching = codes.iter().fold(subtle::Choice::from(0), |any, code| any | chap.matches(*code));
/// assert!(bool::from(matching));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Chap<'a> {
    identifier: u8,
    response: &'a [u8; 16],
    challenge: &'a [u8],
}

impl<'a> Chap<'a> {
    /// Takes the value of a CHAP-Password and the challenge that it answers.
    ///
    /// # Errors
    ///
    /// [`ChapError::Length`] unless `chap_password` has 17 octets.
    pub fn new(chap_password: &'a [u8], challenge: &'a [u8]) -> Result<Self, ChapError> {
        let wrong = ChapError::Length(chap_password.len());
        let (&identifier, response) = chap_password.split_first().ok_or(wrong)?;
        Ok(Self {
            identifier,
            response: response.try_into().map_err(|_| wrong)?,
            challenge,
        })
    }

    /// Whether `candidate` is the password that the client knows.
    ///
    /// Its time depends on lengths alone. Over several candidates, combine the results with `|` before looking at
    /// them: then nobody learns from the time which one it was.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> Choice {
        response(self.identifier, candidate, self.challenge).ct_eq(self.response)
    }
}

/// Redacted: a response is enough to try passwords on.
impl fmt::Debug for Chap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chap(..)")
    }
}

/// The value of a CHAP-Password, as a client sends it for a password and a challenge.
#[must_use]
pub fn chap_password(identifier: u8, password: &[u8], challenge: &[u8]) -> [u8; LENGTH] {
    let mut value = [identifier; LENGTH];
    let digest = response(identifier, password, challenge);
    value
        .iter_mut()
        .skip(1)
        .zip(digest)
        .for_each(|(octet, digest)| *octet = digest);
    value
}

/// `MD5(identifier + password + challenge)` (RFC 1994 §4.1).
fn response(identifier: u8, password: &[u8], challenge: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update([identifier]);
    md5.update(password);
    md5.update(challenge);
    md5.finalize().into()
}

impl<'a> Request<'a> {
    /// CHAP-Password with its challenge: CHAP-Challenge, or else the Request Authenticator (RFC 2865 §2.2), which
    /// RADIUS/1.1 does not have. `None` if the request has no CHAP-Password.
    ///
    /// # Errors
    ///
    /// [`ChapError`]: answer with Access-Reject and count it against nobody.
    pub fn chap(&self) -> Result<Option<Chap<'a>>, ChapError> {
        let Some(chap_password) = self.only(AttributeType::CHAP_PASSWORD)? else {
            return Ok(None);
        };
        if self.attributes().first(AttributeType::USER_PASSWORD).is_some() {
            return Err(ChapError::WithUserPassword);
        }
        let challenge = match self.only(AttributeType::CHAP_CHALLENGE)? {
            Some(challenge) if challenge.len() < 5 => {
                return Err(ChapError::ChallengeLength(challenge.len()));
            }
            Some(challenge) => challenge,
            // No authenticator stands in for it (RFC 9765 §5.1.2).
            None if self.version() == Version::Radius11 => return Err(ChapError::MissingChallenge),
            None => self.authenticator_octets(),
        };
        Chap::new(chap_password, challenge).map(Some)
    }

    /// The one value of this type.
    fn only(&self, kind: AttributeType) -> Result<Option<&'a [u8]>, ChapError> {
        let mut values = self.attributes().all(kind);
        let value = values.next();
        match values.next() {
            Some(_) => Err(ChapError::Repeated(kind)),
            None => Ok(value),
        }
    }
}
