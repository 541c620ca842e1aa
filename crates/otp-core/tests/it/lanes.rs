//! Searches give the same verdict for every number of lanes.

use otp_core::{Hotp, HotpState, Lanes, Prepared, TimeStep, TokenKey, Totp, TotpState, Verdict, Window};
use proptest::prelude::*;

use crate::rfc_key;

const LIMITS: [Lanes; 3] = [Lanes::One, Lanes::Eight, Lanes::Sixteen];

fn limited<P: Copy>(prepare: impl Fn() -> Prepared<P>) -> [Prepared<P>; 3] {
    LIMITS.map(|limit| prepare().limit_lanes(limit))
}

/// Every remainder of the window and every offset of its first counter, with a hit at every place.
#[test]
fn every_window_is_searched_to_its_ends() {
    let (hotp, key) = (Hotp::default(), rfc_key());
    let tokens = limited(|| hotp.prepare(&key));
    let codes: Vec<_> = (0..80).map(|counter| tokens[0].generate(counter)).collect();
    for next in 10..26_u64 {
        let state = HotpState { next };
        for look_ahead in 0..17_u32 {
            let last = next + u64::from(look_ahead);
            for counter in [
                next - 10,
                next - 1,
                next,
                next + u64::from(look_ahead / 2),
                last,
                last + 1,
            ] {
                let code = &codes[usize::try_from(counter).unwrap()];
                let verdicts = tokens
                    .each_ref()
                    .map(|token| token.verify(code, state, look_ahead));
                match verdicts[0] {
                    Verdict::Fresh(matched) => assert_eq!(matched.counter, counter),
                    Verdict::Replayed(matched) => assert!(counter < next && matched.counter == counter),
                    Verdict::Unmatched => assert!(counter > last),
                }
                assert_eq!(verdicts, [verdicts[0]; 3], "{next} {look_ahead} {counter}");
            }
        }
    }
}

fn factors() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..100_u64,
        any::<u64>(),
        (any::<u32>(), 0..200_u64).prop_map(|(high, below)| (u64::from(high) << 32).wrapping_sub(below)),
        (0..200_u64).prop_map(|below| u64::MAX - below)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn totp_verdicts_do_not_depend_on_the_lanes(
        key in any::<[u8; 20]>().prop_map(TokenKey::from),
        now in factors(),
        spent in -30..30_i64,
        shift in -60..60_i64,
        (past, future) in (0..50_u32, 0..50_u32),
        drift in -5..5_i64,
    ) {
        let totp = Totp::default();
        let tokens = limited(|| totp.prepare(&key));
        let state = TotpState { next: now.saturating_add_signed(spent), drift };
        let window = Window { past, future };
        let step = now.saturating_add_signed(shift);
        let codes = [step.saturating_sub(1), step].map(|step| totp.generate(&key, step.into()));
        let now = TimeStep::from(now);
        let verdicts = tokens.each_ref().map(|token| token.verify(&codes[1], now, state, window));
        prop_assert_eq!(verdicts, [verdicts[0]; 3]);
        let verdicts = tokens
            .each_ref()
            .map(|token| token.resynchronize(&codes[0], &codes[1], now, state, window));
        prop_assert_eq!(verdicts, [verdicts[0]; 3]);
    }

    /// A pair may lie across two registers: the first code in one, the second in the next.
    #[test]
    fn pairs_are_found_at_every_place(next in factors(), ahead in 0..100_u64) {
        let (hotp, key) = (Hotp::default(), rfc_key());
        let first = next.saturating_add(ahead).min(u64::MAX - 3);
        let codes = [first, first + 1].map(|counter| hotp.generate(&key, counter));
        let state = HotpState { next: next.min(first) };
        for token in limited(|| hotp.prepare(&key)) {
            let verdict = token.resynchronize(&codes[0], &codes[1], state, 100);
            prop_assert_eq!(verdict.fresh().map(|matched| matched.counter), Some(first + 1));
        }
    }
}

#[test]
fn other_algorithms_have_one_lane() {
    let token = Hotp {
        algorithm: otp_core::Algorithm::Sha256,
        ..Hotp::default()
    }
    .prepare(&rfc_key());
    assert_eq!(token.lanes(), Lanes::One);
    assert_eq!(Hotp::default().prepare(&rfc_key()).lanes(), Lanes::detect());
}
