//! The searches of TOTP against a naive reference, with drift, and when the clock jumps.

use otp_core::{Algorithm, Digits, Otp, TimeStep, TokenKey, Totp, TotpMatch, TotpState, Verdict, Window};
use proptest::prelude::*;

use crate::{code_of_none_of, rfc_key, twin_codes};

/// Step, `next` and drift of a match.
fn parts(verdict: Verdict<TotpMatch>) -> Verdict<(u64, u64, i64)> {
    let parts = |matched: TotpMatch| (matched.step.get(), matched.next, matched.drift);
    match verdict {
        Verdict::Fresh(matched) => Verdict::Fresh(parts(matched)),
        Verdict::Replayed(matched) => Verdict::Replayed(parts(matched)),
        Verdict::Unmatched => Verdict::Unmatched,
    }
}

/// The steps of a window, nearest first, of two equally near the later.
fn nearest_first(center: u64, window: Window) -> impl Iterator<Item = u64> {
    let later = move |distance| {
        center
            .checked_add(distance)
            .filter(|_| distance <= u64::from(window.future))
    };
    let earlier = move |distance| {
        center
            .checked_sub(distance)
            .filter(|_| distance <= u64::from(window.past))
    };
    (0..=u64::from(window.past.max(window.future)))
        .flat_map(move |distance| [later(distance), earlier(distance)])
        .flatten()
        .filter(|step| *step < u64::MAX) // its successor must be a u64 as well
}

fn naive(
    totp: &Totp,
    key: &TokenKey,
    code: &Otp,
    now: u64,
    state: TotpState,
    window: Window,
) -> Verdict<(u64, u64, i64)> {
    let steps = nearest_first(now.saturating_add_signed(state.drift), window);
    let matching = steps.filter(|step| totp.generate(key, TimeStep::from(*step)).as_str() == code.as_str());
    let (fresh, spent): (Vec<u64>, Vec<u64>) = matching.partition(|step| *step >= state.next);
    match (fresh.first(), spent.first()) {
        (Some(step), _) => {
            let drift = i128::from(*step) - i128::from(now);
            let drift = drift.clamp(i64::MIN.into(), i64::MAX.into());
            Verdict::Fresh((*step, step + 1, i64::try_from(drift).unwrap()))
        }
        (None, Some(step)) => Verdict::Replayed((*step, state.next, state.drift)),
        (None, None) => Verdict::Unmatched,
    }
}

fn steps() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..40_u64,
        59_000_000..60_000_000_u64,
        (0..40_u64).prop_map(|below| u64::MAX - below)
    ]
}

fn windows() -> impl Strategy<Value = Window> {
    (0..=6_u32, 0..=6_u32).prop_map(|(past, future)| Window { past, future })
}

fn parameters() -> impl Strategy<Value = Totp> {
    (prop::sample::select(Algorithm::ALL.as_slice()), 6..=8_u8).prop_map(|(algorithm, digits)| {
        Totp::default()
            .with_algorithm(algorithm)
            .with_digits(Digits::try_from(digits).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn search_equals_the_naive_reference(
        totp in parameters(),
        key in any::<[u8; 32]>().prop_map(TokenKey::from),
        now in steps(),
        drift in prop_oneof![Just(0), -20..=20_i64, any::<i64>()],
        next_shift in -8..=8_i64,
        code_shift in -8..=8_i64,
        window in windows(),
    ) {
        let center = now.saturating_add_signed(drift);
        let state = TotpState { next: center.saturating_add_signed(next_shift), drift };
        let code = totp.generate(&key, TimeStep::from(center.saturating_add_signed(code_shift)));
        let verdict = totp.verify(&key, &code, TimeStep::from(now), state, window);
        prop_assert_eq!(parts(verdict), naive(&totp, &key, &code, now, state, window));
    }

    #[test]
    fn two_codes_resynchronize_within_the_window(
        now in steps(),
        shift in -8..=8_i64,
        next_shift in -8..=8_i64,
        drift in -20..=20_i64,
        window in windows(),
    ) {
        let (totp, key) = (Totp::default(), rfc_key());
        let second = now.saturating_add_signed(shift).max(1);
        let state = TotpState { next: now.saturating_add_signed(next_shift), drift };
        let codes = [second - 1, second].map(|step| totp.generate(&key, TimeStep::from(step)));
        let verdict =
            totp.resynchronize(&key, &codes[0], &codes[1], TimeStep::from(now), state, window);
        let expected = if !nearest_first(now, window).any(|step| step == second) {
            Verdict::Unmatched
        } else if second > state.next {
            let drift = i128::from(second) - i128::from(now);
            Verdict::Fresh((second, second + 1, i64::try_from(drift).unwrap()))
        } else {
            Verdict::Replayed((second, state.next, state.drift))
        };
        prop_assert_eq!(parts(verdict), expected);
    }

    /// One token's life, with a clock that jumps both ways: no step is accepted twice, and the state never
    /// goes back.
    #[test]
    fn no_step_is_ever_accepted_twice(
        attempts in prop::collection::vec((any::<bool>(), 100..140_u64, -12..=12_i64), 1..40),
    ) {
        let (totp, key) = (Totp::default(), rfc_key());
        let mut state = TotpState::default();
        let mut spent = std::collections::BTreeSet::new();
        for (resynchronizes, now, shift) in attempts {
            let step = now.saturating_add_signed(shift);
            let code = totp.generate(&key, TimeStep::from(step));
            let now = TimeStep::from(now);
            let (verdict, used) = if resynchronizes {
                let second = totp.generate(&key, TimeStep::from(step + 1));
                let window = Window::symmetric(15);
                (totp.resynchronize(&key, &code, &second, now, state, window), vec![step, step + 1])
            } else {
                (totp.verify(&key, &code, now, state, Window::default()), vec![step])
            };
            if let Verdict::Fresh(matched) = verdict {
                prop_assert_eq!(Some(&matched.step.get()), used.last());
                prop_assert!(matched.next > state.next);
                for step in used {
                    prop_assert!(spent.insert(step), "step {} was accepted twice", step);
                }
                state = matched.state(10);
                prop_assert!(state.drift.abs() <= 10);
            }
        }
    }
}

#[test]
fn of_equal_codes_the_fresh_the_nearest_and_then_the_later_step_counts() {
    let (totp, key) = (Totp::default(), rfc_key());
    let (earlier, later) = twin_codes(&key, true);
    let code = totp.generate(&key, TimeStep::from(earlier));
    let half = (later - earlier) / 2;
    let center = earlier + half;
    let reach = u32::try_from(half).unwrap();
    let fresh_at = |now: u64, next, window| {
        let state = TotpState { next, drift: 0 };
        totp.verify(&key, &code, TimeStep::from(now), state, window)
            .fresh()
            .map(|matched| matched.step.get())
    };

    let tie = Window::symmetric(reach);
    assert_eq!(fresh_at(center, 0, tie), Some(later), "equally near");
    assert_eq!(
        fresh_at(center - 1, 0, Window::symmetric(reach + 1)),
        Some(earlier),
        "the earlier is nearer"
    );
    assert_eq!(
        fresh_at(center + 1, 0, Window::symmetric(reach + 1)),
        Some(later),
        "the later is nearer"
    );
    assert_eq!(
        fresh_at(center - 1, earlier + 1, Window::symmetric(reach + 1)),
        Some(later),
        "the nearer is spent"
    );
    assert_eq!(fresh_at(center, later + 1, tie), None, "both are spent");
}

#[test]
fn the_default_window_is_one_step_on_either_side_of_the_drifted_time() {
    let (totp, key) = (Totp::default(), rfc_key());
    let now = TimeStep::from(1000);
    for drift in [-3_i64, 0, 4] {
        let state = TotpState { next: 0, drift };
        for shift in -3..=3_i64 {
            let step = 1000_u64.saturating_add_signed(drift + shift);
            let code = totp.generate(&key, TimeStep::from(step));
            let verdict = totp.verify(&key, &code, now, state, Window::default());
            let expected = if shift.abs() <= 1 {
                Verdict::Fresh((step, step + 1, drift + shift))
            } else {
                Verdict::Unmatched
            };
            assert_eq!(
                parts(verdict),
                expected,
                "drift {drift}, code {shift} steps from the expected one"
            );
        }
    }
}

#[test]
fn a_clock_set_back_makes_no_spent_step_fresh() {
    let (totp, key) = (Totp::default(), rfc_key());
    let spent = TotpState { next: 1001, drift: 0 };
    for now in 900..=1000_u64 {
        let code = totp.generate(&key, TimeStep::from(now));
        let verdict = totp.verify(&key, &code, TimeStep::from(now), spent, Window::default());
        assert_eq!(parts(verdict), Verdict::Replayed((now, 1001, 0)));
    }
}

#[test]
fn learned_drift_is_bounded() {
    let (totp, key) = (Totp::default(), rfc_key());
    let now = TimeStep::from(1000);
    for (step, expected) in [(995_u64, -3), (999, -1), (1000, 0), (1003, 3), (1005, 3)] {
        let code = totp.generate(&key, TimeStep::from(step));
        let matched = totp
            .verify(&key, &code, now, TotpState::default(), Window::symmetric(5))
            .fresh()
            .unwrap();
        assert_eq!(
            matched.state(3),
            TotpState {
                next: step + 1,
                drift: expected
            }
        );
    }
}

#[test]
fn resynchronization_ignores_the_learned_drift() {
    let (totp, key) = (Totp::default(), rfc_key());
    let state = TotpState { next: 0, drift: 500 };
    let codes = [989_u64, 990].map(|step| totp.generate(&key, TimeStep::from(step)));
    let verdict = totp.resynchronize(
        &key,
        &codes[0],
        &codes[1],
        TimeStep::from(1000),
        state,
        Window::symmetric(10),
    );
    assert_eq!(parts(verdict), Verdict::Fresh((990, 991, -10)));
}

#[test]
fn wrong_codes_and_codes_of_another_length_are_unmatched() {
    let (key, now) = (rfc_key(), TimeStep::from(1000));
    let wrong = code_of_none_of(&key, 980..1020);
    let eight = Totp::default().with_digits(Digits::EIGHT);
    let (state, window) = (TotpState::default(), Window::symmetric(5));
    assert_eq!(
        Totp::default().verify(&key, &wrong, now, state, window),
        Verdict::Unmatched
    );
    assert_eq!(
        Totp::default().verify(&key, &eight.generate(&key, now), now, state, window),
        Verdict::Unmatched
    );
    assert_eq!(
        eight.verify(&key, &Totp::default().generate(&key, now), now, state, window),
        Verdict::Unmatched
    );
}
