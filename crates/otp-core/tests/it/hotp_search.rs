//! The searches of HOTP against a naive reference, and at the edges of the counter.

use otp_core::{Algorithm, Digits, Hotp, HotpMatch, HotpState, Otp, TokenKey, Verdict};
use proptest::prelude::*;

use crate::{code_of_none_of, otp, rfc_key, twin_codes};

const BEHIND: u64 = Hotp::LOOK_BEHIND as u64;

/// The counter of a match and the `next` that it commits.
fn parts(verdict: Verdict<HotpMatch>) -> Verdict<(u64, u64)> {
    match verdict {
        Verdict::Fresh(matched) => Verdict::Fresh((matched.counter, matched.state().next)),
        Verdict::Replayed(matched) => Verdict::Replayed((matched.counter, matched.state().next)),
        Verdict::Unmatched => Verdict::Unmatched,
    }
}

/// RFC 4226 §7.2 as one would say it: try one counter after the other, fresh ones first.
fn naive(hotp: Hotp, key: &TokenKey, code: &Otp, next: u64, look_ahead: u64) -> Verdict<(u64, u64)> {
    let is_code = |counter: &u64| hotp.generate(key, *counter).as_str() == code.as_str();
    let last = next.saturating_add(look_ahead).min(u64::MAX - 1);
    if let Some(counter) = (next..=last).find(is_code) {
        return Verdict::Fresh((counter, counter + 1));
    }
    let behind = next.saturating_sub(BEHIND)..next;
    behind
        .rev()
        .find(is_code)
        .map_or(Verdict::Unmatched, |counter| Verdict::Replayed((counter, next)))
}

/// Counters at the beginning, in the middle and at the very end.
fn counters() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..40_u64,
        any::<u64>(),
        (0..40_u64).prop_map(|below| u64::MAX - below)
    ]
}

fn parameters() -> impl Strategy<Value = Hotp> {
    (prop::sample::select(Algorithm::ALL.as_slice()), 6..=8_u8).prop_map(|(algorithm, digits)| Hotp {
        algorithm,
        digits: Digits::try_from(digits).unwrap(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn search_equals_the_naive_reference(
        hotp in parameters(),
        key in any::<[u8; 20]>().prop_map(TokenKey::from),
        next in counters(),
        shift in -15..=25_i64,
        look_ahead in 0..=15_u32,
    ) {
        let code = hotp.generate(&key, next.saturating_add_signed(shift));
        let verdict = hotp.verify(&key, &code, HotpState { next }, look_ahead);
        prop_assert_eq!(parts(verdict), naive(hotp, &key, &code, next, look_ahead.into()));
    }

    #[test]
    fn what_is_fresh_advances_the_state(
        next in counters(),
        shift in -15..=25_i64,
        look_ahead in 0..=15_u32,
    ) {
        let (hotp, key, state) = (Hotp::default(), rfc_key(), HotpState { next });
        let code = hotp.generate(&key, next.saturating_add_signed(shift));
        let verdict = hotp.verify(&key, &code, state, look_ahead);
        if let Some(matched) = verdict.fresh() {
            prop_assert!(matched.counter >= next);
            prop_assert_eq!(Some(matched.next), matched.counter.checked_add(1));
            let again = hotp.verify(&key, &code, matched.state(), look_ahead);
            prop_assert!(again.fresh().is_none_or(|other| other.counter > matched.counter));
        }
    }

    #[test]
    fn two_codes_resynchronize_within_look_ahead(
        next in counters(),
        shift in -15..=25_i64,
        look_ahead in 0..=15_u32,
    ) {
        let (hotp, key) = (Hotp::default(), rfc_key());
        let first = next.saturating_add_signed(shift).min(u64::MAX - 1);
        let codes = [first, first + 1].map(|counter| hotp.generate(&key, counter));
        let verdict = hotp.resynchronize(&key, &codes[0], &codes[1], HotpState { next }, look_ahead);
        let representable = first + 1 < u64::MAX;
        let expected = if first >= next && first - next <= look_ahead.into() && representable {
            Verdict::Fresh((first + 1, first + 2))
        } else if first < next && next - first <= BEHIND && representable {
            Verdict::Replayed((first + 1, next))
        } else {
            Verdict::Unmatched
        };
        prop_assert_eq!(parts(verdict), expected);
    }

    /// One token's life: whatever is tried in whatever order, no counter is accepted twice.
    #[test]
    fn no_counter_is_ever_accepted_twice(
        attempts in prop::collection::vec((any::<bool>(), 0..60_u64), 1..40),
    ) {
        let (hotp, key) = (Hotp::default(), rfc_key());
        let mut state = HotpState::default();
        let mut spent = std::collections::BTreeSet::new();
        for (resynchronizes, counter) in attempts {
            let code = hotp.generate(&key, counter);
            let (verdict, used) = if resynchronizes {
                let second = hotp.generate(&key, counter + 1);
                (hotp.resynchronize(&key, &code, &second, state, 30), vec![counter, counter + 1])
            } else {
                (hotp.verify(&key, &code, state, 10), vec![counter])
            };
            if let Verdict::Fresh(matched) = verdict {
                prop_assert_eq!(Some(&matched.counter), used.last());
                prop_assert!(matched.next > state.next);
                for counter in used {
                    prop_assert!(spent.insert(counter), "counter {} was accepted twice", counter);
                }
                state = matched.state();
            }
        }
    }
}

#[test]
fn the_last_counter_has_no_successor_and_is_never_fresh() {
    let (hotp, key) = (Hotp::default(), rfc_key());
    let last_fresh = HotpState { next: u64::MAX - 1 };
    let code = hotp.generate(&key, u64::MAX - 1);
    let verdict = hotp.verify(&key, &code, last_fresh, u32::MAX);
    assert_eq!(parts(verdict), Verdict::Fresh((u64::MAX - 1, u64::MAX)));

    let exhausted = verdict.fresh().unwrap().state();
    assert_eq!(
        hotp.verify(&key, &hotp.generate(&key, u64::MAX), exhausted, 10),
        Verdict::Unmatched
    );
    assert!(matches!(
        hotp.verify(&key, &code, exhausted, 10),
        Verdict::Replayed(_)
    ));
}

#[test]
fn of_equal_codes_the_fresh_and_then_the_nearest_counter_counts() {
    let (hotp, key) = (Hotp::default(), rfc_key());
    let (earlier, later) = twin_codes(&key, false);
    let code = hotp.generate(&key, earlier);
    let look_ahead = u32::try_from(later - earlier).unwrap();

    let both_fresh = hotp.verify(&key, &code, HotpState { next: earlier }, look_ahead);
    assert_eq!(parts(both_fresh), Verdict::Fresh((earlier, earlier + 1)));
    let one_spent = hotp.verify(&key, &code, HotpState { next: earlier + 1 }, look_ahead);
    assert_eq!(parts(one_spent), Verdict::Fresh((later, later + 1)));
    let out_of_reach = hotp.verify(&key, &code, HotpState { next: earlier + 1 }, look_ahead - 2);
    assert_eq!(parts(out_of_reach), Verdict::Replayed((earlier, earlier + 1)));
}

#[test]
fn a_code_of_another_length_is_unmatched() {
    let (key, state) = (rfc_key(), HotpState::default());
    let eight = Hotp {
        digits: Digits::EIGHT,
        ..Hotp::default()
    };
    assert_eq!(
        Hotp::default().verify(&key, &eight.generate(&key, 0), state, 10),
        Verdict::Unmatched
    );
    assert_eq!(
        eight.verify(&key, &Hotp::default().generate(&key, 0), state, 10),
        Verdict::Unmatched
    );
}

#[test]
fn resynchronization_takes_no_pair_but_consecutive_codes_in_order() {
    let (hotp, key, state) = (Hotp::default(), rfc_key(), HotpState { next: 3 });
    let code = |counter| hotp.generate(&key, counter);
    let wrong = code_of_none_of(&key, 0..200);
    let rows = [
        ("in order", code(50), code(51), Verdict::Fresh((51, 52))),
        ("reversed", code(51), code(50), Verdict::Unmatched),
        ("the same code twice", code(50), code(50), Verdict::Unmatched),
        ("one between them", code(50), code(52), Verdict::Unmatched),
        ("wrong first", wrong, code(51), Verdict::Unmatched),
        ("wrong second", code(50), wrong, Verdict::Unmatched),
        (
            "the last first code in reach",
            code(103),
            code(104),
            Verdict::Fresh((104, 105)),
        ),
        ("out of reach", code(104), code(105), Verdict::Unmatched),
        ("the first is spent", code(2), code(3), Verdict::Replayed((3, 3))),
        ("both are spent", code(1), code(2), Verdict::Replayed((2, 3))),
        ("the first fresh pair", code(3), code(4), Verdict::Fresh((4, 5))),
    ];
    for (name, first, second, expected) in rows {
        assert_eq!(
            parts(hotp.resynchronize(&key, &first, &second, state, 100)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn rfc4226_appendix_d_is_accepted_once_each() {
    let (hotp, key) = (Hotp::default(), rfc_key());
    let mut state = HotpState::default();
    for code in ["755224", "287082", "359152", "969429", "338314"] {
        state = hotp.verify(&key, &otp(code), state, 0).fresh().unwrap().state();
        assert!(
            matches!(hotp.verify(&key, &otp(code), state, 0), Verdict::Replayed(_)),
            "{code}"
        );
    }
    assert_eq!(state, HotpState { next: 5 });
}
