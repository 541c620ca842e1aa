//! When libkrad sends, sends again, and gives up.

use crate::token_type::{Server, TokenType};

/// The times of one request to one address.
///
/// ```
/// use kdc_otp_config::{KdcBuild, TokenType};
///
/// let default = TokenType::synthesized_default(&KdcBuild::debian());
/// let schedule = default.schedule().expect("the defaults are sound");
/// assert_eq!((schedule.sends, schedule.per_try_ms, schedule.total_ms), (1, 5000, 5000)); // a UNIX socket knows no retries
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds that the request may take in all, over all addresses of the server.
    pub total_ms: u32,
    /// How often the request is sent.
    pub sends: u32,
    /// Milliseconds from one sending to the next, and from the last one to giving up.
    pub per_try_ms: u32,
}

/// A combination of `timeout` and `retries` that a KDC cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hazard {
    /// `retries = -1`: the number of tries is zero, and the timeout cannot be divided by it. The KDC process ends.
    #[error("there are no tries to divide the timeout by, and the KDC process ends on the first request")]
    NoTries,
    /// The timeout in milliseconds is negative, by its sign or because it overflows a C `int`. The KDC process ends.
    #[error("the timeout in milliseconds is negative for the KDC, and its process ends on the first request")]
    NegativeTimer,
    /// A negative timeout that the division turns into weeks. The request ends when its client gives up.
    #[error(
        "the timeout in milliseconds is negative, and dividing it by the tries makes weeks of it for the KDC"
    )]
    NoEnd,
    /// No time passes between the tries, so that every copy is sent at once and the request fails.
    #[error("no time is left for an answer: every copy is sent at once, and the request fails")]
    NoTime,
}

impl TokenType {
    /// What `timeout` and `retries` amount to, where the server has one address.
    ///
    /// # Errors
    ///
    /// [`Hazard`]: requests of this type cannot succeed, and most of these values end the KDC process.
    pub fn schedule(&self) -> Result<Schedule, Hazard> {
        schedule(&self.server, self.timeout, self.retries)
    }
}

pub(crate) fn schedule(server: &Server, timeout: i32, retries: i32) -> Result<Schedule, Hazard> {
    // The KDC multiplies in a C int, and divides by a C size_t that the number of retries was converted to.
    let total = timeout.wrapping_mul(1000);
    let tries = match server {
        Server::Unix(_) => 1,
        Server::Network(_) => i64::from(retries).cast_unsigned().wrapping_add(1),
    };
    let quotient = i64::from(total)
        .cast_unsigned()
        .checked_div(tries)
        .ok_or(Hazard::NoTries)?;
    let [a, b, c, d, ..] = quotient.to_le_bytes();
    match (total, i32::from_le_bytes([a, b, c, d])) {
        (_, ..0) => Err(Hazard::NegativeTimer),
        (_, 0) => Err(Hazard::NoTime),
        (..0, _) => Err(Hazard::NoEnd),
        (_, per_try) => {
            // A positive quotient of at least one millisecond leaves no more tries than the total has milliseconds.
            let sends = u32::try_from(tries).unwrap_or(u32::MAX);
            Ok(Schedule {
                total_ms: total.unsigned_abs(),
                sends,
                per_try_ms: per_try.unsigned_abs(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        let unix = Server::from_octets("/run/x");
        let network = Server::from_octets("localhost");
        for (server, timeout, retries, expected) in [
            (&network, 5, 3, Ok((5000, 4, 1250))),
            (&network, 4, 3, Ok((4000, 4, 1000))),
            (&network, 3, 1, Ok((3000, 2, 1500))),
            (&network, 1, 0, Ok((1000, 1, 1000))),
            (&network, 1, 2, Ok((1000, 3, 333))),
            (&network, 1, 2000, Err(Hazard::NoTime)),
            (&network, 0, 0, Err(Hazard::NoTime)),
            (&network, 5, -1, Err(Hazard::NoTries)),
            (&network, 5, -2, Err(Hazard::NoTime)),
            (&network, -1, 0, Err(Hazard::NegativeTimer)),
            (&network, -1, 3, Err(Hazard::NegativeTimer)),
            (&network, -1, 2, Err(Hazard::NoEnd)),
            (&network, i32::MIN, i32::MIN, Err(Hazard::NoTime)),
            (&network, 2_147_483, 0, Ok((2_147_483_000, 1, 2_147_483_000))),
            (&network, 2_147_484, 0, Err(Hazard::NegativeTimer)),
            // The product wraps to a positive number again.
            (&network, 4_294_968, 0, Ok((704, 1, 704))),
            (&unix, 5, 3, Ok((5000, 1, 5000))),
            (&unix, 5, -1, Ok((5000, 1, 5000))),
            (&unix, 0, 3, Err(Hazard::NoTime)),
            (&unix, -1, 3, Err(Hazard::NegativeTimer)),
        ] {
            let expected = expected.map(|(total_ms, sends, per_try_ms)| Schedule {
                total_ms,
                sends,
                per_try_ms,
            });
            assert_eq!(
                schedule(server, timeout, retries),
                expected,
                "{server} {timeout} {retries}"
            );
        }
    }
}
