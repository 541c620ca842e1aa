//! Which mistake an authenticator app made, told from a code that does not match.
//!
//! Some apps ignore the algorithm, the digits or the period of an otpauth:// URI without a word. At enrolment
//! the first code shows it. This is no part of a login: the work depends on what is found.

use core::fmt;
use core::num::NonZeroU64;

use crate::{Algorithm, Digits, Hotp, HotpState, Otp, TokenKey, Totp, TotpState, Window};

/// What the app or device did instead of what it was told.
///
/// `Display` completes the sentence "the code does not match: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mistake {
    /// It computes with this algorithm.
    Algorithm(Algorithm),
    /// It shows this number of digits.
    Digits(Digits),
    /// It computes with this period, in seconds.
    Period(NonZeroU64),
    /// More than one parameter differs: those that do.
    Parameters {
        /// The algorithm it computes with.
        algorithm: Option<Algorithm>,
        /// The number of digits it shows.
        digits: Option<Digits>,
        /// The period it computes with, in seconds.
        period: Option<NonZeroU64>,
    },
    /// Its clock is this many time steps ahead; behind, if negative.
    Clock {
        /// Time steps of the token's own period.
        steps: i64,
    },
    /// Its counter is this far ahead of the expected one: codes were made that nobody used.
    Counter {
        /// Counters ahead of [`HotpState::next`].
        ahead: u64,
    },
}

impl Mistake {
    /// The differences between the parameters of the token and the app's; `None` if there are none.
    fn in_parameters(
        algorithm: Option<Algorithm>,
        digits: Option<Digits>,
        period: Option<NonZeroU64>,
    ) -> Option<Self> {
        match (algorithm, digits, period) {
            (None, None, None) => None,
            (Some(algorithm), None, None) => Some(Self::Algorithm(algorithm)),
            (None, Some(digits), None) => Some(Self::Digits(digits)),
            (None, None, Some(period)) => Some(Self::Period(period)),
            _ => Some(Self::Parameters {
                algorithm,
                digits,
                period,
            }),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Algorithm(algorithm) => write!(f, "the app computes with {algorithm}"),
            Self::Digits(digits) => write!(f, "the app shows {digits} digits"),
            Self::Period(period) => write!(f, "the app computes with a period of {period} s"),
            Self::Parameters {
                algorithm,
                digits,
                period,
            } => {
                f.write_str("the app ignores parameters of the token:")?;
                let mut separator = "";
                if let Some(algorithm) = algorithm {
                    write!(f, " it computes with {algorithm}")?;
                    separator = ",";
                }
                if let Some(digits) = digits {
                    write!(f, "{separator} it shows {digits} digits")?;
                    separator = ",";
                }
                period.map_or(Ok(()), |period| write!(f, "{separator} its period is {period} s"))
            }
            Self::Clock { steps } => {
                let direction = if steps < 0 { "behind" } else { "ahead" };
                let (count, unit) = match steps.unsigned_abs() {
                    1 => (1, "step"),
                    count => (count, "steps"),
                };
                write!(f, "the device's clock is {count} time {unit} {direction}")
            }
            Self::Counter { ahead } => write!(f, "the device's counter is {ahead} ahead"),
        }
    }
}

/// Periods that apps fall back to or offer, in seconds.
const COMMON_PERIODS: [NonZeroU64; 2] = [Totp::DEFAULT_STEP, NonZeroU64::new(60).unwrap()];
/// How far off a clock is looked for: a day of steps of 30 s. Wrong time zones show as up to 14 hours.
const CLOCK_REACH: u32 = 2880;
/// How far ahead a counter is looked for. Of a thousand wrong codes of six digits one is taken for a counter
/// ahead.
const COUNTER_REACH: u32 = 1000;

impl Totp {
    /// Explains a code that [`Totp::verify`] found [`Unmatched`](crate::Verdict::Unmatched) at enrolment.
    ///
    /// Tried in this order: the token's own parameters one step from `unix_time`; other parameters there,
    /// those with the fewest differences first; other times of a day. `None` means that the code is none of
    /// these, or is that of `unix_time`. A wrong code of six digits is taken for a clock that is off with a
    /// chance of 0.6 %.
    ///
    /// ```
    /// # use otp_core::{Algorithm, Mistake, TokenKey, Totp};
    /// let (key, now) = (TokenKey::from([7; 32]), 1_800_000_000);
    /// let told = Totp::default().with_algorithm(Algorithm::Sha256);
    /// let shown = Totp::default().at(&key, now)?; // by an app that ignores the algorithm
    /// assert_eq!(told.diagnose(&key, &shown, now), Some(Mistake::Algorithm(Algorithm::Sha1)));
    /// # Ok::<(), otp_core::TimeError>(())
    /// ```
    #[must_use]
    pub fn diagnose(&self, key: &TokenKey, otp: &Otp, unix_time: u64) -> Option<Mistake> {
        let matches = |totp: &Self, window| {
            let now = totp.time_step(unix_time).ok()?;
            totp.verify(key, otp, now, TotpState::default(), window).fresh()
        };
        if let Some(matched) = matches(self, Window::default()) {
            return (matched.drift != 0).then_some(Mistake::Clock { steps: matched.drift });
        }
        let digits = differs(otp.digits(), self.digits());
        let periods = core::iter::once(self.step())
            .chain(COMMON_PERIODS.into_iter().filter(|period| *period != self.step()));
        let variants = periods.flat_map(|period| Algorithm::ALL.map(|algorithm| (algorithm, period)));
        let found = variants
            .filter(|&(algorithm, period)| {
                let variant = self
                    .with_algorithm(algorithm)
                    .with_step(period)
                    .with_digits(otp.digits());
                matches(&variant, Window::default()).is_some()
            })
            .map(|(algorithm, period)| (differs(algorithm, self.algorithm()), differs(period, self.step())))
            .min_by_key(|(algorithm, period)| {
                u8::from(algorithm.is_some()).saturating_add(u8::from(period.is_some()))
            });
        if let Some((algorithm, period)) = found {
            return Mistake::in_parameters(algorithm, digits, period);
        }
        let matched = matches(self, Window::symmetric(CLOCK_REACH))?;
        Some(Mistake::Clock { steps: matched.drift })
    }
}

impl Hotp {
    /// Explains a code that [`Hotp::verify`] found [`Unmatched`](crate::Verdict::Unmatched) at enrolment.
    ///
    /// Tried in this order: the code as a value of other parameters within `look_ahead`, then as that of a
    /// counter up to a thousand ahead. `None` means that the code is none of these, or matches as it is.
    #[must_use]
    pub fn diagnose(&self, key: &TokenKey, otp: &Otp, state: HotpState, look_ahead: u32) -> Option<Mistake> {
        let matches = |hotp: Self, look_ahead| hotp.verify(key, otp, state, look_ahead).fresh();
        if matches(*self, look_ahead).is_some() {
            return None;
        }
        let own_first = core::iter::once(self.algorithm).chain(
            Algorithm::ALL
                .into_iter()
                .filter(|algorithm| *algorithm != self.algorithm),
        );
        let found = own_first.into_iter().find(|&algorithm| {
            matches(
                Self {
                    algorithm,
                    digits: otp.digits(),
                },
                look_ahead,
            )
            .is_some()
        });
        if let Some(algorithm) = found {
            let digits = differs(otp.digits(), self.digits);
            return Mistake::in_parameters(differs(algorithm, self.algorithm), digits, None);
        }
        let matched = matches(*self, COUNTER_REACH)?;
        Some(Mistake::Counter {
            ahead: matched.counter.saturating_sub(state.next),
        })
    }
}

fn differs<T: PartialEq>(found: T, expected: T) -> Option<T> {
    (found != expected).then_some(found)
}
