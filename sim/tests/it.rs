//! The simulation repeats itself, and notices what is put in to be noticed. The many seeds are `cargo xtask sim`'s.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use otp_sim::{Checked, Control, run};

#[test]
fn a_seed_stands_for_one_run() {
    for seed in 0..40 {
        let (one, other) = (
            run(seed, Control::Sound).unwrap(),
            run(seed, Control::Sound).unwrap(),
        );
        assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
        assert_eq!(one.verdict, other.verdict, "seed {seed}");
    }
    let fingerprint = |seed| run(seed, Control::Sound).unwrap().fingerprint;
    assert_ne!(fingerprint(1), fingerprint(2));
}

#[test]
fn every_invariant_is_looked_at_and_holds() {
    let mut checked = Checked::default();
    for seed in 0..200 {
        checked += run(seed, Control::Sound)
            .unwrap()
            .verdict
            .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    let Checked {
        runs,
        packets,
        accepts,
        crashes,
        never_twice,
        durable_first,
        never_lost,
        twins,
        monotone,
        counted,
        honest,
    } = checked;
    assert_eq!((runs, durable_first), (200, accepts));
    for count in [
        packets,
        accepts,
        crashes,
        never_twice,
        never_lost,
        twins,
        monotone,
        counted,
        honest,
    ] {
        assert!(count > 20, "{checked:?}");
    }
}

#[test]
fn each_defect_is_noticed() {
    for control in Control::DEFECTS {
        let noticed = (0..200).any(|seed| run(seed, control).unwrap().verdict.is_err());
        assert!(noticed, "{}", control.name());
    }
}
