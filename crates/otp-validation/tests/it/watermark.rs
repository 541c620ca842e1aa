//! A clock or a device that runs ahead locks nobody out: no watermark is written further ahead than the window reaches.

use otp_core::{Totp, TotpState, Window};
use otp_validation::{Effect, Reason, TokenMode, TokenStatus, UnixTime, Verdict, prove};
use proptest::prelude::*;

use crate::support::{account, client, decided, key, token};

/// A device that is `ahead` steps ahead, at a server with this window and this learned drift.
#[derive(Clone, Copy, Debug)]
struct Device {
    now: u64,
    ahead: i64,
    drift: i64,
    window: Window,
    spent: u64,
}

impl Device {
    fn mode(self) -> TokenMode {
        TokenMode::Totp {
            totp: Totp::default(),
            state: TotpState {
                next: self.spent,
                drift: self.drift,
            },
            window: self.window,
        }
    }

    /// The step that the device shows, and its code.
    fn shows(self) -> (u64, String) {
        let step = (self.now / 30).saturating_add_signed(self.ahead);
        (
            step,
            Totp::default().generate(&key(), step.into()).as_str().to_owned(),
        )
    }

    /// Whether the step is in the window and not spent.
    fn reaches(self, step: u64) -> bool {
        let expected = (self.now / 30).saturating_add_signed(self.drift);
        let first = expected.saturating_sub(self.window.past.into());
        (first.max(self.spent)..self.limit()).contains(&step)
    }

    /// The first step that no acceptance may go beyond.
    fn limit(self) -> u64 {
        let expected = (self.now / 30).saturating_add_signed(self.drift);
        expected.saturating_add(u64::from(self.window.future)) + 1
    }
}

fn device() -> impl Strategy<Value = Device> {
    let now = prop_oneof![0..4_000_u64, 1_700_000_000..1_700_100_000_u64, 0..u64::MAX / 2];
    let drift = prop_oneof![Just(0_i64), -3..=3_i64, -2880..=2880_i64];
    let steps = || prop_oneof![4 => Just(1_u32), 1 => 0..=20_u32];
    (now, -25..=25_i64, drift, steps(), steps(), 0..=40_u64).prop_map(
        |(now, off, drift, past, future, spent)| {
            let expected = (now / 30).saturating_add_signed(drift);
            Device {
                now,
                ahead: drift + off,
                drift,
                window: Window { past, future },
                spent: expected.saturating_sub(20).saturating_add(spent),
            }
        },
    )
}

/// What may be accepted next after these effects.
fn written(effects: &[Effect]) -> Option<(u64, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Consume { matched, next, .. } => Some((*matched, *next)),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_watermark_is_written_beyond_the_window(device in device()) {
        let (step, code) = device.shows();
        let account = account(token(device.mode(), TokenStatus::Active));
        let decision = decided(&account, &client(1), &code, UnixTime(device.now));
        prop_assert_eq!(decision.verdict == Verdict::Accept, written(&decision.effects).is_some());
        if let Some((matched, next)) = written(&decision.effects) {
            prop_assert!(device.spent <= matched && next == matched + 1 && next <= device.limit());
        }
        if device.reaches(step) {
            prop_assert_eq!(decision.reason, Reason::Accepted, "step {}", step);
        }
    }
}

proptest! {
    // A code that is wrong is looked for in many places, which takes its time.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn enrolment_writes_no_further(device in device()) {
        let (_, code) = device.shows();
        let pending = token(device.mode(), TokenStatus::Pending);
        if let Ok(proof) = prove(&pending, code.as_bytes(), UnixTime(device.now)) {
            let (matched, next) = written(&proof.effects).unwrap();
            prop_assert!(device.spent <= matched && next == matched + 1 && next <= device.limit());
        }
    }

    /// Whatever was accepted while the clock or the device was ahead, the right code is taken again soon after: at the latest
    /// when its clock shows what it showed then, and by default within two steps.
    #[test]
    fn nobody_is_locked_out_for_more_than_two_steps(now in 1_700_000_000..1_700_100_000_u64, ahead in -1..=1_i64) {
        let device = Device { now, ahead, drift: 0, window: Window::default(), spent: 0 };
        let mut account = account(token(device.mode(), TokenStatus::Active));
        let decision = decided(&account, &client(1), &device.shows().1, UnixTime(now));
        prop_assert_eq!(decision.verdict, Verdict::Accept);
        let (_, next) = written(&decision.effects).unwrap();
        if let TokenMode::Totp { state, .. } = &mut account.tokens[0].mode {
            state.next = next;
        }
        let later = Device { now: now + 60, ahead: 0, ..device };
        let decision = decided(&account, &client(1), &later.shows().1, UnixTime(later.now));
        prop_assert_eq!(decision.reason, Reason::Accepted);
    }
}

#[test]
fn one_step_ahead_is_the_default_and_more_an_explicit_choice() {
    const NOW: u64 = 1_700_000_010;
    let rows = [
        (Window::default(), 1, Reason::Accepted),
        (Window::default(), 2, Reason::WrongCode),
        (Window { past: 1, future: 0 }, 1, Reason::WrongCode),
        (Window { past: 1, future: 3 }, 3, Reason::Accepted),
        (Window { past: 1, future: 3 }, 4, Reason::WrongCode),
    ];
    for (window, ahead, reason) in rows {
        let device = Device {
            now: NOW,
            ahead,
            drift: 0,
            window,
            spent: 0,
        };
        let account = account(token(device.mode(), TokenStatus::Active));
        let decision = decided(&account, &client(1), &device.shows().1, UnixTime(NOW));
        assert_eq!(decision.reason, reason, "{window:?}, {ahead} ahead");
    }
}
