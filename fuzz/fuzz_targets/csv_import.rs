//! Import files: total, in order, and the same with every short key taken as without, but for the short keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otpctl::csv_import::{Problem, ShortKeys, parse};

fuzz_target!(|file: &[u8]| {
    let strict = parse(file, ShortKeys::Refuse);
    let lenient = parse(file, ShortKeys::DangerousAllow);
    match (&strict, &lenient) {
        (Ok(strict), Ok(lenient)) => {
            assert_eq!(strict.len(), lenient.len());
            assert!(strict.windows(2).all(|pair| pair[0].line < pair[1].line));
            assert!(strict.iter().all(|row| row.key.as_bytes().len() >= 16));
        }
        (Err(strict), Err(_)) => {
            assert!(!strict.is_empty());
            assert!(strict.windows(2).all(|pair| pair[0].line <= pair[1].line));
        }
        // What the stricter rule refuses and the other takes is short keys alone.
        (Err(strict), Ok(_)) => assert!(strict.iter().all(|error| matches!(error.problem, Problem::Secret(_)))),
        (Ok(_), Err(_)) => panic!("a file is refused because short keys are allowed"),
    }
    if let Err(errors) = strict {
        // A message is one printable line, whatever the file holds.
        assert!(errors.iter().all(|error| !error.to_string().chars().any(char::is_control)));
    }
});
