//! TOTP: a time step as the moving factor (RFC 6238).

use core::fmt;
use core::num::NonZeroU64;

use subtle::Choice;

use crate::prepared::Prepared;
use crate::search::{LAST, Selection};
use crate::{Algorithm, Digits, Otp, TokenKey, Verdict, Window};

/// Moving factor `T` of TOTP (RFC 6238 §4.2). Unit: whole time steps of `X` seconds since `T0`.
///
/// ```
/// # use otp_core::{TimeStep, Totp};
/// let totp = Totp::default(); // X = 30 s, T0 = 0
/// assert_eq!(totp.time_step(59)?, TimeStep::from(1)); // RFC 6238 Appendix B, first row
/// # Ok::<(), otp_core::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStep(u64);

impl TimeStep {
    /// The number of steps since `T0`.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for TimeStep {
    fn from(step: u64) -> Self {
        Self(step)
    }
}

impl From<TimeStep> for u64 {
    fn from(step: TimeStep) -> Self {
        step.0
    }
}

impl fmt::Display for TimeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The parameters of a TOTP token (RFC 6238 §4).
///
/// The default is what every authenticator app computes: SHA-1, 6 digits, `X` = 30 s, `T0` = 0. Some apps
/// ignore other parameters without a word; [`Totp::diagnose`] finds out.
///
/// ```
/// # use otp_core::{Algorithm, Digits, TokenKey, Totp};
/// let totp = Totp::default().with_algorithm(Algorithm::Sha256).with_digits(Digits::EIGHT);
/// let key = TokenKey::from(*b"12345678901234567890123456789012");
/// assert_eq!(totp.at(&key, 59)?.as_str(), "46119246"); // RFC 6238 Appendix B, second row
/// # Ok::<(), otp_core::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Totp {
    algorithm: Algorithm,
    digits: Digits,
    step: NonZeroU64,
    t0: u64,
}

impl Totp {
    /// Default `X`: 30 seconds (RFC 6238 §5.2).
    pub const DEFAULT_STEP: NonZeroU64 = NonZeroU64::new(30).unwrap();

    /// Sets the hash function.
    #[must_use]
    pub const fn with_algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Sets the number of digits.
    #[must_use]
    pub const fn with_digits(self, digits: Digits) -> Self {
        Self { digits, ..self }
    }

    /// Sets the time step `X`, in seconds.
    #[must_use]
    pub const fn with_step(self, step: NonZeroU64) -> Self {
        Self { step, ..self }
    }

    /// Sets `T0`, in seconds since the Unix epoch.
    #[must_use]
    pub const fn with_t0(self, t0: u64) -> Self {
        Self { t0, ..self }
    }

    /// Hash function.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Digits of each value.
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.digits
    }

    /// Time step `X`, in seconds: the period of otpauth:// URIs.
    #[must_use]
    pub const fn step(&self) -> NonZeroU64 {
        self.step
    }

    /// `T0`, in seconds since the Unix epoch.
    #[must_use]
    pub const fn t0(&self) -> u64 {
        self.t0
    }

    /// Returns the time step that contains `unix_time`, in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`TimeError::BeforeT0`] if `unix_time` precedes `T0`.
    pub fn time_step(&self, unix_time: u64) -> Result<TimeStep, TimeError> {
        let elapsed = unix_time.checked_sub(self.t0).ok_or(TimeError::BeforeT0)?;
        Ok(TimeStep(elapsed / self.step)) // `step` is NonZeroU64: the division is total
    }

    /// Returns the second at which `step` begins, since the Unix epoch; `None` past the last second of a
    /// `u64`.
    #[must_use]
    pub fn start_of(&self, step: TimeStep) -> Option<u64> {
        step.0.checked_mul(self.step.get())?.checked_add(self.t0)
    }

    /// Does what only depends on the key, for a server that needs more than one code of it.
    #[must_use]
    pub fn prepare(&self, key: &TokenKey) -> Prepared<Self> {
        Prepared::new(*self, self.algorithm, key)
    }

    /// Computes the value of one time step.
    #[must_use]
    pub fn generate(&self, key: &TokenKey, step: TimeStep) -> Otp {
        self.prepare(key).generate(step)
    }

    /// Computes the value that a device shows at `unix_time`, in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`TimeError::BeforeT0`] if `unix_time` precedes `T0`.
    pub fn at(&self, key: &TokenKey, unix_time: u64) -> Result<Otp, TimeError> {
        Ok(self.generate(key, self.time_step(unix_time)?))
    }

    /// Looks for `otp` among the steps of `window` around `now` plus the learned drift: nearest first, of two
    /// equally near the later.
    ///
    /// A step below [`TotpState::next`] matches as [`Verdict::Replayed`], never as fresh. If the value
    /// belongs to a fresh and to a spent step alike it is [`Verdict::Fresh`] at the fresh one. All values are
    /// computed and compared in constant time, also when `otp` has another number of digits.
    pub fn verify(
        &self,
        key: &TokenKey,
        otp: &Otp,
        now: TimeStep,
        state: TotpState,
        window: Window,
    ) -> Verdict<TotpMatch> {
        self.prepare(key).verify(otp, now, state, window)
    }

    /// Finds the drift of a device whose clock has left the window by two consecutive codes (RFC 6238 §6).
    ///
    /// `second` is looked for among the steps of `window` around `now`, without regard to the learned drift,
    /// so that no series of resynchronizations leads further away than the window. `first` must be the code
    /// of the step before. The match is that of `second`; both codes are spent with it. A pair of which a
    /// code has been spent before is [`Verdict::Replayed`].
    pub fn resynchronize(
        &self,
        key: &TokenKey,
        first: &Otp,
        second: &Otp,
        now: TimeStep,
        state: TotpState,
        window: Window,
    ) -> Verdict<TotpMatch> {
        self.prepare(key).resynchronize(first, second, now, state, window)
    }
}

/// A token that has absorbed its key.
impl Prepared<Totp> {
    /// Computes the value of one time step.
    #[must_use]
    pub fn generate(&self, step: TimeStep) -> Otp {
        self.otp(step.0, self.parameters().digits)
    }

    /// As [`Totp::verify`].
    pub fn verify(&self, otp: &Otp, now: TimeStep, state: TotpState, window: Window) -> Verdict<TotpMatch> {
        let centre = now.0.saturating_add_signed(state.drift);
        let first = centre.saturating_sub(window.past.into());
        let candidates = (first, last_step(centre, window));
        let selection = self.search(otp, self.parameters().digits, candidates, state.next, centre);
        verdict(selection, now, state)
    }

    /// The code of a step that [`verify`](Self::verify) would look at, fresh or spent, to which `proves` says yes: for methods such as CHAP
    /// (RFC 2865 §2.2) that show a digest of the code in its place. `None` if there is none.
    ///
    /// It is asked about every step, and its answers are selected from in constant time; which step it was, `verify` tells.
    pub fn find(
        &self,
        now: TimeStep,
        state: TotpState,
        window: Window,
        proves: impl FnMut(&Otp) -> Choice,
    ) -> Option<Otp> {
        let centre = now.0.saturating_add_signed(state.drift);
        let candidates = (
            centre.saturating_sub(window.past.into()),
            last_step(centre, window),
        );
        self.find_among(self.parameters().digits, candidates, proves)
    }

    /// As [`Totp::resynchronize`].
    pub fn resynchronize(
        &self,
        first: &Otp,
        second: &Otp,
        now: TimeStep,
        state: TotpState,
        window: Window,
    ) -> Verdict<TotpMatch> {
        let reach = u64::from(window.past).saturating_add(1);
        let candidates = (now.0.saturating_sub(reach), last_step(now.0, window));
        let digits = self.parameters().digits;
        let selection = self.search_pair([first, second], digits, candidates, state.next, now.0);
        verdict(selection, now, state)
    }
}

fn last_step(center: u64, window: Window) -> u64 {
    center.saturating_add(window.future.into()).min(LAST)
}

fn verdict(selection: Selection, now: TimeStep, state: TotpState) -> Verdict<TotpMatch> {
    selection.verdict(
        |step| TotpMatch {
            step: TimeStep(step),
            next: step.saturating_add(1), // `step <= LAST`: the sum does not saturate
            drift: drift(step, now.0),
        },
        |step| TotpMatch {
            step: TimeStep(step),
            next: state.next,
            drift: state.drift,
        },
    )
}

fn drift(step: u64, now: u64) -> i64 {
    let furthest = if step < now { i64::MIN } else { i64::MAX };
    step.checked_signed_diff(now).unwrap_or(furthest)
}

impl Default for Totp {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Sha1,
            digits: Digits::SIX,
            step: Self::DEFAULT_STEP,
            t0: 0,
        }
    }
}

/// Replay state of a TOTP token: what must survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TotpState {
    /// Smallest time step that may still be accepted. It only ever grows, whatever the clock does.
    pub next: u64,
    /// Steps that the device's clock is ahead of ours (RFC 6238 §6); negative if it is behind.
    pub drift: i64,
}

/// A time step whose code was given. Only a search makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TotpMatch {
    /// The step of the code.
    pub step: TimeStep,
    /// [`TotpState::next`] once the code is spent: `step + 1`. Of a replay: as it was.
    pub next: u64,
    /// Steps that the device's clock is ahead of ours, as this code shows. Of a replay: as it was known.
    pub drift: i64,
}

impl TotpMatch {
    /// The state to commit before the code is accepted.
    ///
    /// The drift is learned up to `max_drift` steps on either side: without a bound, a window that follows
    /// the device could be led away from the true time step by step.
    #[must_use]
    pub fn state(self, max_drift: u32) -> TotpState {
        let max_drift = i64::from(max_drift);
        TotpState {
            next: self.next,
            drift: self.drift.clamp(max_drift.saturating_neg(), max_drift),
        }
    }
}

/// Why a time has no time step. The fault is the clock's or the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The time precedes `T0` (RFC 6238 §4.2): the clock is wrong, or `T0` is.
    #[error("the time precedes T0")]
    BeforeT0,
}
