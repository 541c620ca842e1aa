//! Which mistake an app made, by the code it shows.

use std::num::NonZeroU64;

use otp_core::{Algorithm, Digits, Hotp, HotpState, Mistake, TokenKey, Totp};

use crate::{code_of_none_of, rfc_key};

const NOW: u64 = 1_800_000_000;

fn seconds(period: u64) -> NonZeroU64 {
    NonZeroU64::new(period).unwrap()
}

#[test]
fn parameters_that_an_app_ignores_are_named() {
    let key = TokenKey::from([7; 32]);
    let app = Totp::default();
    let sha256 = app.with_algorithm(Algorithm::Sha256);
    let rows = [
        (app, app, None, ""),
        (
            sha256,
            app,
            Some(Mistake::Algorithm(Algorithm::Sha1)),
            "the app computes with SHA1",
        ),
        (
            app.with_algorithm(Algorithm::Sha512),
            sha256,
            Some(Mistake::Algorithm(Algorithm::Sha256)),
            "the app computes with SHA256",
        ),
        (
            app.with_digits(Digits::EIGHT),
            app,
            Some(Mistake::Digits(Digits::SIX)),
            "the app shows 6 digits",
        ),
        (
            app.with_step(seconds(60)),
            app,
            Some(Mistake::Period(seconds(30))),
            "the app computes with a period of 30 s",
        ),
        (
            app,
            app.with_step(seconds(60)),
            Some(Mistake::Period(seconds(60))),
            "the app computes with a period of 60 s",
        ),
        (
            sha256.with_digits(Digits::EIGHT).with_step(seconds(60)),
            app,
            Some(Mistake::Parameters {
                algorithm: Some(Algorithm::Sha1),
                digits: Some(Digits::SIX),
                period: Some(seconds(30)),
            }),
            "the app ignores parameters of the token: it computes with SHA1, it shows 6 digits, its period is 30 s",
        ),
        (
            app.with_digits(Digits::EIGHT).with_step(seconds(90)),
            app,
            Some(Mistake::Parameters {
                algorithm: None,
                digits: Some(Digits::SIX),
                period: Some(seconds(30)),
            }),
            "the app ignores parameters of the token: it shows 6 digits, its period is 30 s",
        ),
    ];
    for (told, does, expected, text) in rows {
        let shown = does.at(&key, NOW).unwrap();
        let mistake = told.diagnose(&key, &shown, NOW);
        assert_eq!(mistake, expected, "{told:?}, {does:?}");
        assert_eq!(
            mistake.map(|mistake| mistake.to_string()).unwrap_or_default(),
            text
        );
    }
}

#[test]
fn a_clock_that_is_off_is_measured() {
    let (totp, key) = (Totp::default(), rfc_key());
    for (steps, text) in [
        (-2880, Some("the device's clock is 2880 time steps behind")), // a day
        (-2, Some("the device's clock is 2 time steps behind")),
        (-1, Some("the device's clock is 1 time step behind")),
        (0, None),
        (1, Some("the device's clock is 1 time step ahead")),
        (120, Some("the device's clock is 120 time steps ahead")), // a time zone
        (2881, None),
    ] {
        let shown = totp.at(&key, NOW.saturating_add_signed(steps * 30)).unwrap();
        let mistake = totp.diagnose(&key, &shown, NOW);
        assert_eq!(mistake, text.map(|_| Mistake::Clock { steps }), "{steps} steps");
        assert_eq!(mistake.map(|mistake| mistake.to_string()).as_deref(), text);
    }
}

#[test]
fn a_wrong_code_has_no_diagnosis() {
    let key = rfc_key();
    let step = NOW / 30;
    let wrong = code_of_none_of(&key, step - 3000..step + 3000);
    assert_eq!(Totp::default().diagnose(&key, &wrong, NOW), None);
    let before_t0 = Totp::default().with_t0(NOW + 1);
    assert_eq!(before_t0.diagnose(&key, &wrong, NOW), None);
}

#[test]
fn hotp_mistakes_are_named() {
    let (key, state) = (rfc_key(), HotpState { next: 5 });
    let told = Hotp {
        algorithm: Algorithm::Sha256,
        digits: Digits::EIGHT,
    };
    let rows = [
        (
            Hotp {
                algorithm: Algorithm::Sha1,
                ..told
            },
            6,
            Some(Mistake::Algorithm(Algorithm::Sha1)),
        ),
        (
            Hotp {
                digits: Digits::SIX,
                ..told
            },
            5,
            Some(Mistake::Digits(Digits::SIX)),
        ),
        (
            Hotp::default(),
            7,
            Some(Mistake::Parameters {
                algorithm: Some(Algorithm::Sha1),
                digits: Some(Digits::SIX),
                period: None,
            }),
        ),
        (told, 15, None),
        (told, 16, Some(Mistake::Counter { ahead: 11 })),
        (told, 1005, Some(Mistake::Counter { ahead: 1000 })),
        (told, 1006, None),
        (told, 4, None), // spent
    ];
    for (does, counter, expected) in rows {
        let shown = does.generate(&key, counter);
        assert_eq!(
            told.diagnose(&key, &shown, state, 10),
            expected,
            "{does:?} at {counter}"
        );
    }
    assert_eq!(
        Mistake::Counter { ahead: 11 }.to_string(),
        "the device's counter is 11 ahead"
    );
}
