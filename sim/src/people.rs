//! Who logs in, and what they hold in their hands.

use std::sync::OnceLock;

use argon2::{Argon2, PasswordHasher as _};
use otp_core::{Hotp, HotpState, TokenKey, Totp, TotpState, Window};
use otp_store::model::Model;
use otp_validation::{PasswordHash, TokenMode, UserId, UserName};

use crate::history::Genuine;

/// What somebody logs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Hotp,
    /// On two tokens with one seed.
    Totp,
    PasswordHotp,
    PasswordTotp,
}

impl Habit {
    const ALL: [Self; 4] = [Self::Hotp, Self::Totp, Self::PasswordHotp, Self::PasswordTotp];

    const fn counts(self) -> bool {
        matches!(self, Self::Hotp | Self::PasswordHotp)
    }

    const fn has_password(self) -> bool {
        matches!(self, Self::PasswordHotp | Self::PasswordTotp)
    }
}

/// Somebody with a device.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user: UserId,
    seed: usize,
    habit: Habit,
    key: TokenKey,
    /// The next counter that the device shows, or the step after the last one that was used.
    next: u64,
}

const PASSWORD: &str = "correct horse ";
/// Seconds in a time step.
pub(crate) const STEP: u64 = 30;

impl Person {
    /// Enrols the person of this number.
    pub(crate) fn enrol(model: &mut Model, number: usize) -> Option<Self> {
        let habit = *Habit::ALL.get(number % Habit::ALL.len())?;
        let name = format!("person{number}");
        let password = habit.has_password().then(|| password_hash().clone());
        let user = model.add_user(UserName::parse(name.as_bytes()).ok()?, password);
        let key = || key_of(number);
        if habit.counts() {
            let mode = TokenMode::Hotp {
                hotp: Hotp::default(),
                state: HotpState { next: 0 },
                look_ahead: 10,
            };
            model.add_token(user, "ring", key(), mode);
        } else {
            let mode = TokenMode::Totp {
                totp: Totp::default(),
                state: TotpState::default(),
                window: Window::default(),
            };
            model.add_token(user, "phone", key(), mode);
            model.add_token(user, "tablet", key(), mode);
        }
        Some(Self {
            name,
            user,
            seed: number,
            habit,
            key: key(),
            next: 0,
        })
    }

    /// Seconds until the device shows a code that was not used, at the time of a clock that is right.
    pub(crate) fn waits(&self, now: u64) -> u64 {
        if self.habit.counts() || now / STEP >= self.next {
            return 0;
        }
        self.next.saturating_mul(STEP).saturating_sub(now)
    }

    /// What the person types at `now`, and what is in it.
    pub(crate) fn types(&mut self, now: u64) -> (String, Genuine) {
        let moment = if self.habit.counts() {
            self.next
        } else {
            now / STEP
        };
        self.next = moment.saturating_add(1);
        let genuine = Genuine {
            seed: self.seed,
            moment,
        };
        (self.credential(moment), genuine)
    }

    fn credential(&self, moment: u64) -> String {
        let code = Hotp::default().generate(&self.key, moment);
        let password = if self.habit.has_password() { PASSWORD } else { "" };
        format!("{password}{}", code.as_str())
    }

    /// A guess: the password is known, the code is not.
    pub(crate) fn guess(&self, code: u32) -> String {
        let password = if self.habit.has_password() { PASSWORD } else { "" };
        format!("{password}{code:06}")
    }
}

fn key_of(number: usize) -> TokenKey {
    TokenKey::from([u8::try_from(number).unwrap_or(u8::MAX) ^ 0x5a; 20])
}

/// Whether the code in `credential` is the one that somebody's device shows at `moment`: in many runs, a guess is right.
pub(crate) fn is_right(user: UserId, credential: &str, moment: u64) -> bool {
    // Users are numbered from 1 on, in the order in which they are enrolled.
    let number = usize::try_from(user.0).unwrap_or_default().saturating_sub(1);
    let code = Hotp::default().generate(&key_of(number), moment);
    credential.ends_with(code.as_str())
}

/// Of the weakest parameters there are: what is simulated is not the hash.
fn password_hash() -> &'static PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(|| {
        let params = argon2::Params::new(8, 1, 1, None).unwrap_or_default();
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let phc = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"salt of all runs");
        PasswordHash::new(phc.map(|phc| phc.to_string()).unwrap_or_default())
    })
}
