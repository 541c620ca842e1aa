//! Credentials: a code is cut out exactly if a pattern of the same shape fits, and both parts put together again are
//! the credential; only exact ASCII digits are a code.

use otp_core::Otp;
use otp_validation::Grammar;

use crate::structured;

/// Checks any credential, with any number of digits.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (u8, &[u8])) {
    let (digits, credential) = (usize::from(input.0 % 12), input.1);
    let is_code = |octets: &[u8]| {
        matches!(octets.len(), 6..=8)
            && String::from_utf8_lossy(octets)
                .matches(|c: char| c.is_ascii_digit())
                .count()
                == octets.len()
    };

    let otp = Otp::parse(credential);
    assert_eq!(otp.is_ok(), is_code(credential));
    if let Ok(otp) = otp {
        assert_eq!(otp.as_str().as_bytes(), credential);
        assert_eq!(usize::from(otp.digits().get()), credential.len());
        assert!(otp.matches(&otp));
        // No other code is the same.
        let mut other = credential.to_vec();
        other[digits % credential.len()] ^= 1;
        assert!(!otp.matches(&Otp::parse(&other).unwrap()));
    }

    for grammar in Grammar::ALL {
        let place = match grammar {
            Grammar::PasswordOtp if credential.len() >= digits => Some(credential.len() - digits),
            Grammar::OtpPassword if credential.len() >= digits => Some(0),
            Grammar::Otp if credential.len() == digits => Some(0),
            _ => None,
        };
        let code = place
            .map(|at| &credential[at..at + digits])
            .filter(|code| is_code(code));
        let split = grammar.split(credential, digits);
        assert_eq!(split.is_some(), code.is_some(), "{grammar}");
        let (Some((otp, password)), Some(code)) = (split, code) else {
            continue;
        };
        assert_eq!(otp.as_str().as_bytes(), code);
        assert!(password.is_empty() || grammar.has_password());
        let again = match grammar {
            Grammar::PasswordOtp => [password, code].concat(),
            _ => [code, password].concat(),
        };
        assert_eq!(again, credential, "{grammar}");
    }
}
