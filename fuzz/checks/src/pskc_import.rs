//! Tokens of key containers: the keys of the container in its order, none left out; what is wrong is in order and
//! printable; short keys allowed or a user given change nothing else.

use std::collections::HashSet;

use otp_validation::UserName;
use otpctl::csv_import::ShortKeys;
use otpctl::pskc_import::{ImportError, Options, parse};
use pskc::Decoder;

use crate::structured;

/// Checks any file at any time.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (u32, &[u8])) {
    let (now, file) = input;
    let options = |short_keys, user| Options {
        short_keys,
        ignore_signature: true,
        user,
        now: now.into(),
    };
    let strict = parse(file, None, &options(ShortKeys::Refuse, None));
    let lenient = parse(file, None, &options(ShortKeys::DangerousAllow, None));
    let user = UserName::parse(b"alice").expect("a name");
    let given = parse(
        file,
        None,
        &options(ShortKeys::DangerousAllow, Some(user.clone())),
    );

    if let Ok(strict) = &strict {
        let lenient = lenient
            .as_ref()
            .expect("a file is refused because short keys are allowed");
        assert_eq!(format!("{strict:?}"), format!("{lenient:?}"));
        assert!(strict.rows.iter().all(|row| row.key.as_bytes().len() >= 16));
    }
    if let Ok(lenient) = &lenient {
        let given = given.as_ref().expect("a user mends what has none");
        assert_eq!(lenient.expiring, given.expiring);
        assert!(
            lenient
                .rows
                .iter()
                .zip(&given.rows)
                .all(|(a, b)| a.kind == b.kind && b.user == user)
        );
    }
    for errors in [
        strict.as_ref().err(),
        lenient.as_ref().err(),
        given.as_ref().err(),
    ]
    .into_iter()
    .flatten()
    {
        assert!(!errors.is_empty());
        assert!(
            errors
                .windows(2)
                .all(|pair| pair[0].position() <= pair[1].position())
        );
        assert!(
            !errors
                .iter()
                .any(|error| error.to_string().contains(char::is_control))
        );
    }

    let decoder = Decoder::new()
        .dangerous_allow_short_keys()
        .dangerous_ignore_signature();
    let container = decoder.decode_all(file, None);
    match (&given, &container) {
        (Ok(tokens), Ok(container)) => {
            let keys = container.keys.iter().map(|package| {
                package
                    .key
                    .credential
                    .token_key()
                    .map(otp_core::TokenKey::as_bytes)
            });
            assert!(tokens.rows.iter().map(|row| Some(row.key.as_bytes())).eq(keys));
            let mut labels = HashSet::new();
            assert!(
                tokens
                    .rows
                    .iter()
                    .filter_map(|row| row.label.as_ref())
                    .all(|label| labels.insert(label))
            );
        }
        // What the container is read as can still be no token, one by one.
        (Err(errors), Ok(container)) => {
            assert!(errors.len() <= container.keys.len());
            assert!(
                errors
                    .iter()
                    .all(|error| matches!(error, ImportError::Key { .. }))
            );
        }
        (Err(errors), Err(_)) => assert!(
            errors
                .iter()
                .all(|error| matches!(error, ImportError::Container(_)))
        ),
        (Ok(_), Err(errors)) => panic!("imported, but {errors:?}"),
    }
}
