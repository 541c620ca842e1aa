//! Published test vectors, and rows beyond their reach.

use otp_core::{Algorithm, Digits, Hotp, TimeError, TimeStep, TokenKey, Totp, hotp};

use crate::rfc_key;

/// RFC 4226 Appendix D, second table: count, truncated value, HOTP. Key "12345678901234567890", Digit = 6.
const RFC_4226_APPENDIX_D: [(u64, u32, &str); 10] = [
    (0, 1_284_755_224, "755224"),
    (1, 1_094_287_082, "287082"),
    (2, 137_359_152, "359152"),
    (3, 1_726_969_429, "969429"),
    (4, 1_640_338_314, "338314"),
    (5, 868_254_676, "254676"),
    (6, 1_918_287_922, "287922"),
    (7, 82_162_583, "162583"),
    (8, 673_399_871, "399871"),
    (9, 645_520_489, "520489"),
];

#[test]
fn hotp_matches_rfc4226_appendix_d() {
    for (count, truncated, expected) in RFC_4226_APPENDIX_D {
        assert_eq!(
            hotp(&rfc_key(), count, Digits::SIX).as_str(),
            expected,
            "Count = {count}"
        );
        for digits in [Digits::SIX, Digits::SEVEN, Digits::EIGHT] {
            let width = usize::from(digits.get());
            let expected = format!("{:0width$}", truncated % 10_u32.pow(digits.get().into()));
            assert_eq!(
                hotp(&rfc_key(), count, digits).as_str(),
                expected,
                "Count = {count}"
            );
        }
    }
}

/// RFC 6238 Appendix B: time, T, TOTP of SHA-1, SHA-256, SHA-512. Eight digits, X = 30 s.
const RFC_6238_APPENDIX_B: [(u64, u64, [&str; 3]); 6] = [
    (59, 0x1, ["94287082", "46119246", "90693936"]),
    (1_111_111_109, 0x23523EC, ["07081804", "68084774", "25091201"]),
    (1_111_111_111, 0x23523ED, ["14050471", "67062674", "99943326"]),
    (1_234_567_890, 0x273EF07, ["89005924", "91819424", "93441116"]),
    (2_000_000_000, 0x3F940AA, ["69279037", "90698825", "38618901"]),
    (20_000_000_000, 0x27BC86AA, ["65353130", "77737706", "47863826"]),
];

#[test]
fn totp_matches_rfc6238_appendix_b() {
    // The text of the RFC names one key; its reference code uses one of the hash's length for each algorithm.
    let seed = b"1234567890123456789012345678901234567890123456789012345678901234";
    let keys = [20, 32, 64].map(|len| TokenKey::new(&seed[..len]).unwrap());
    for (time, step, expected) in RFC_6238_APPENDIX_B {
        for ((algorithm, key), expected) in Algorithm::ALL.into_iter().zip(&keys).zip(expected) {
            let totp = Totp::default()
                .with_algorithm(algorithm)
                .with_digits(Digits::EIGHT);
            assert_eq!(totp.time_step(time), Ok(TimeStep::from(step)), "{time} s");
            assert_eq!(
                totp.at(key, time).unwrap().as_str(),
                expected,
                "{algorithm} at {time} s"
            );
            assert_eq!(
                totp.generate(key, TimeStep::from(step)).as_str(),
                expected,
                "{algorithm} at {time} s"
            );
        }
    }
}

/// Algorithm, octets of the key (octet i is 7 i + 1 mod 256), counter, digits, value; computed with Python's
/// `hmac`. The lengths stand on both sides of the hashes' block sizes, the counters on both sides of 2^32 and
/// 2^63.
const OTHER_KEYS_AND_COUNTERS: [(Algorithm, usize, u64, u8, &str); 24] = [
    (Algorithm::Sha1, 1, 0x0001_0000_0000, 7, "0568883"),
    (Algorithm::Sha1, 10, 0x8000_0000_0000_0005, 8, "56305905"),
    (Algorithm::Sha1, 16, 0x0, 6, "559010"),
    (Algorithm::Sha1, 63, 0x0, 6, "902515"),
    (Algorithm::Sha1, 64, 0x0001_0000_0000, 8, "98515667"),
    (Algorithm::Sha1, 65, 0x8000_0000_0000_0005, 7, "5122724"),
    (Algorithm::Sha1, 127, 0x0001_0000_0000, 7, "8205309"),
    (Algorithm::Sha1, 128, 0x8000_0000_0000_0005, 6, "225309"),
    (Algorithm::Sha256, 1, 0xffff_ffff_ffff_ffff, 6, "605510"),
    (Algorithm::Sha256, 10, 0x0001_0000_0000, 7, "3392949"),
    (Algorithm::Sha256, 16, 0xffff_ffff_ffff_ffff, 8, "81001774"),
    (Algorithm::Sha256, 63, 0x8000_0000_0000_0005, 8, "64839140"),
    (Algorithm::Sha256, 64, 0x0, 7, "0638714"),
    (Algorithm::Sha256, 65, 0x0001_0000_0000, 6, "277560"),
    (Algorithm::Sha256, 127, 0xffff_ffff_ffff_ffff, 6, "026538"),
    (Algorithm::Sha256, 128, 0x0001_0000_0000, 8, "76481317"),
    (Algorithm::Sha512, 1, 0x8000_0000_0000_0005, 8, "21300540"),
    (Algorithm::Sha512, 10, 0xffff_ffff_ffff_ffff, 6, "921556"),
    (Algorithm::Sha512, 16, 0x8000_0000_0000_0005, 7, "7505515"),
    (Algorithm::Sha512, 63, 0x0001_0000_0000, 7, "0796602"),
    (Algorithm::Sha512, 64, 0x8000_0000_0000_0005, 6, "868812"),
    (Algorithm::Sha512, 65, 0x0, 8, "31892551"),
    (Algorithm::Sha512, 127, 0x8000_0000_0000_0005, 8, "37531202"),
    (Algorithm::Sha512, 128, 0xffff_ffff_ffff_ffff, 7, "0645944"),
];

#[test]
fn values_match_an_independent_implementation() {
    for (algorithm, len, counter, digits, expected) in OTHER_KEYS_AND_COUNTERS {
        let octets: Vec<u8> = (0..len)
            .map(|i| u8::try_from((i * 7 + 1) % 256).unwrap())
            .collect();
        let key = TokenKey::dangerous_allow_short(&octets).unwrap();
        let hotp = Hotp {
            algorithm,
            digits: Digits::try_from(digits).unwrap(),
        };
        assert_eq!(
            hotp.generate(&key, counter).as_str(),
            expected,
            "{algorithm}, {len} octets, {counter}"
        );
    }
}

#[test]
fn time_steps_count_from_t0() {
    let totp = Totp::default().with_t0(1000).with_step(60.try_into().unwrap());
    let rows = [
        (999, Err(TimeError::BeforeT0)),
        (1000, Ok(0)),
        (1059, Ok(0)),
        (1060, Ok(1)),
        (u64::MAX, Ok((u64::MAX - 1000) / 60)),
    ];
    for (time, expected) in rows {
        assert_eq!(totp.time_step(time).map(TimeStep::get), expected, "{time} s");
        assert_eq!(totp.at(&rfc_key(), time).is_ok(), expected.is_ok(), "{time} s");
    }
    let step = TimeStep::from(7);
    assert_eq!(
        (step.get(), u64::from(step), step.to_string()),
        (7, 7, "7".to_owned())
    );
    assert_eq!(totp.start_of(TimeStep::from(1)), Some(1060));
    assert_eq!(totp.start_of(TimeStep::from(u64::MAX)), None);
}
