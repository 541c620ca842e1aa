//! What is written reads back, under every protection; what is damaged does not.

use otp_core::{Algorithm, Digits, Hotp, HotpState, TokenKey, Totp, TotpState};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use pskc::{
    Container, Credential, DateTime, Decoder, DeviceInfo, EncodeError, Key, KeyPackage, KeySource, KeyUsage,
    Passphrase, Pin, PinPolicy, PinUsageMode, Policy, PreSharedKey, Problem, Protection, ValueFormat,
};

use crate::figures::{figure_6, figure_7};
use crate::harness::{KEY, SplitMix, figure6_key, passphrase};

/// Text that survives: no control characters but those that can be escaped, no white space at the ends.
fn text() -> impl Strategy<Value = String> {
    "[ -~äß漢\u{85}\t\n\r<>&\"'\u{10ffff}]{0,12}"
        .prop_map(|text| text.trim_matches([' ', '\t', '\r', '\n']).to_owned())
}

fn name() -> impl Strategy<Value = String> {
    text().prop_filter("not empty", |text| !text.is_empty())
}

fn date() -> impl Strategy<Value = DateTime> {
    (-62_135_596_800_i64..=253_402_300_799).prop_map(|seconds| DateTime::from_unix_seconds(seconds).unwrap())
}

fn credential() -> impl Strategy<Value = Credential> {
    let key =
        || vec(any::<u8>(), 1..=128).prop_map(|octets| TokenKey::dangerous_allow_short(&octets).unwrap());
    let algorithm = || proptest::sample::select(&Algorithm::ALL[..]);
    let digits = || (6_u8..=8).prop_map(|digits| Digits::try_from(digits).unwrap());
    let hotp =
        (key(), algorithm(), digits(), 0..=i64::MAX as u64).prop_map(|(key, algorithm, digits, next)| {
            Credential::Hotp {
                key,
                hotp: Hotp { algorithm, digits },
                state: HotpState { next },
            }
        });
    let totp = (
        key(),
        algorithm(),
        digits(),
        1..=i32::MAX as u64,
        0..=1_u64 << 31,
        i64::from(i32::MIN)..=i64::from(i32::MAX),
    )
        .prop_map(|(key, algorithm, digits, step, next, drift)| Credential::Totp {
            key,
            totp: Totp::default()
                .with_algorithm(algorithm)
                .with_digits(digits)
                .with_step(step.try_into().unwrap()),
            state: TotpState { next, drift },
        });
    let pin =
        vec(b'0'..=b'9', 1..=Pin::MAX_LEN).prop_map(|digits| Credential::Pin(Pin::new(&digits).unwrap()));
    prop_oneof![3 => hotp, 3 => totp, 1 => pin]
}

fn pin_policy() -> impl Strategy<Value = PinPolicy> {
    let mode = option::of(proptest::sample::select(PinUsageMode::ALL));
    let format = option::of(proptest::sample::select(ValueFormat::ALL));
    (option::of(text()), mode, any::<[Option<u32>; 3]>(), format).prop_map(
        |(key_id, mode, [failed, min, max], format)| {
            let mut policy = PinPolicy::default();
            policy.key_id = key_id;
            policy.usage_mode = mode;
            (policy.max_failed_attempts, policy.min_length, policy.max_length) = (failed, min, max);
            policy.encoding = format;
            policy
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let usage = vec(proptest::sample::select(KeyUsage::ALL), 0..4);
    let count = option::of(0..=i64::MAX as u64);
    (
        option::of(date()),
        option::of(date()),
        option::of(pin_policy()),
        usage,
        count,
    )
        .prop_map(|(start, expiry, pin, usage, count)| {
            let mut policy = Policy::default();
            (policy.start_date, policy.expiry_date, policy.pin) = (start, expiry, pin);
            (policy.key_usage, policy.number_of_transactions) = (usage, count);
            policy
        })
}

fn device() -> impl Strategy<Value = DeviceInfo> {
    (vec(option::of(text()), 6), option::of(date()), option::of(date())).prop_map(|(texts, start, expiry)| {
        let mut texts = texts.into_iter();
        let mut device = DeviceInfo::default();
        for slot in [
            &mut device.manufacturer,
            &mut device.serial_no,
            &mut device.model,
            &mut device.issue_no,
            &mut device.device_binding,
            &mut device.user_id,
        ] {
            *slot = texts.next().unwrap();
        }
        (device.start_date, device.expiry_date) = (start, expiry);
        device
    })
}

fn package() -> impl Strategy<Value = KeyPackage> {
    let key = (
        name(),
        vec(option::of(text()), 5),
        credential(),
        any::<bool>(),
        policy(),
    )
        .prop_map(|(id, texts, credential, check_digit, policy)| {
            let mut key = Key::new(id, credential);
            let mut texts = texts.into_iter();
            for slot in [
                &mut key.issuer,
                &mut key.key_profile_id,
                &mut key.key_reference,
                &mut key.friendly_name,
                &mut key.user_id,
            ] {
                *slot = texts.next().unwrap();
            }
            (key.check_digit, key.policy) = (check_digit, policy);
            key
        });
    (key, option::of(device()), option::of(text())).prop_map(|(key, device, module)| {
        let mut package = KeyPackage::new(key);
        (package.device, package.crypto_module_id) = (device, module);
        package
    })
}

pub fn containers() -> impl Strategy<Value = Container> {
    (option::of("[A-Za-z_][A-Za-z0-9_.-]{0,8}"), vec(package(), 1..4)).prop_map(|(id, keys)| {
        let mut container = Container::new(keys);
        container.id = id;
        container
    })
}

/// Everything of a container in one text, secrets too; places, which a file alone has, are left out.
pub fn show(container: &Container) -> String {
    let mut text = format!("{:?}", container.id);
    for package in &container.keys {
        let key = &package.key;
        let secret = match &key.credential {
            Credential::Hotp { key, .. } | Credential::Totp { key, .. } => key.as_bytes(),
            Credential::Pin(pin) => pin.as_bytes(),
            _ => panic!("another credential"),
        };
        text.push_str(&format!(
            "\n{:?} {:?} {key:?} {secret:?}",
            package.device, package.crypto_module_id
        ));
    }
    text
}

#[derive(Clone, Debug)]
enum Seal {
    Plain,
    Key(Vec<u8>),
    Passphrase(Vec<u8>),
}

fn seal() -> impl Strategy<Value = Seal> {
    prop_oneof![
        Just(Seal::Plain),
        proptest::sample::select(vec![16_usize, 24, 32])
            .prop_flat_map(|len| vec(any::<u8>(), len))
            .prop_map(Seal::Key),
        vec(any::<u8>(), 1..20).prop_map(Seal::Passphrase),
    ]
}

fn encode(container: &Container, seal: &Seal, name: &str, seed: u64) -> (String, Option<KeySource>) {
    let mut rng = SplitMix(seed);
    let (xml, source) = match seal {
        Seal::Plain => (container.encode(&Protection::Plain, &mut rng), None),
        Seal::Key(octets) => {
            let key = PreSharedKey::new(octets).unwrap();
            (
                container.encode(&Protection::PreSharedKey { name, key: &key }, &mut rng),
                Some(key.into()),
            )
        }
        Seal::Passphrase(octets) => {
            let passphrase = Passphrase::new(octets).unwrap();
            let protection = Protection::Passphrase {
                name: Some(name),
                passphrase: &passphrase,
                iterations: Protection::MIN_ITERATIONS,
            };
            (container.encode(&protection, &mut rng), Some(passphrase.into()))
        }
    };
    (xml.unwrap().to_string(), source)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_reads_back(container in containers(), seal in seal(), name in text(), seed: u64) {
        let (xml, source) = encode(&container, &seal, &name, seed);
        let decoder = Decoder::new().dangerous_allow_short_keys();
        let again = decoder.decode(xml.as_bytes(), source.as_ref()).map_err(|error| TestCaseError::fail(format!("{error}\n{xml}")))?;
        prop_assert_eq!(show(&again), show(&container));
        if source.is_some() {
            let secret = container.keys[0].key.credential.token_key().map(|key| base64(key.as_bytes()));
            prop_assert!(secret.is_none_or(|secret| secret.len() < 16 || !xml.contains(&secret)));
            let error = decoder.decode(xml.as_bytes(), None).unwrap_err();
            prop_assert!(matches!(error.problem, Problem::KeyNeeded { .. }), "{}", error);
        }
    }

    /// One changed octet of a sealed secret, of its MAC or of the MAC key is always noticed.
    #[test]
    fn what_is_altered_is_not_authentic(container in containers(), key: [u8; 16], seed: u64, place: prop::sample::Index, change in 1_u8..) {
        let (xml, source) = encode(&container, &Seal::Key(key.to_vec()), "k", seed);
        let values: Vec<_> = ["<xenc:CipherValue>", "<pskc:ValueMAC>"]
            .iter()
            .flat_map(|tag| xml.match_indices(tag).map(|(at, tag)| at + tag.len()))
            .collect();
        let start = values[place.index(values.len())];
        let end = start + xml[start..].find('<').unwrap();
        let mut octets = unbase64(&xml[start..end]);
        let len = octets.len();
        octets[place.index(len)] ^= change;
        let altered = format!("{}{}{}", &xml[..start], base64(&octets), &xml[end..]);
        let decoder = Decoder::new().dangerous_allow_short_keys();
        let error = decoder.decode(altered.as_bytes(), source.as_ref()).unwrap_err();
        prop_assert_eq!(error.problem, Problem::NotAuthentic);
    }

    #[test]
    fn anything_is_a_container_or_an_error(octets in vec(any::<u8>(), 0..200)) {
        let _ = Container::decode(&octets, None);
    }

    /// Damage anywhere is an error with a printable text, or changes nothing that matters to the parser.
    #[test]
    fn damaged_figures_are_read_or_refused(place: prop::sample::Index, with in "[ -~é\u{0}\u{2028}]{0,3}", cut in 0_usize..4) {
        let decoder = Decoder::new().with_max_iterations(2000);
        for (xml, source) in [(figure_6(), figure6_key()), (figure_7(), passphrase("qwerty"))] {
            let start = place.index(xml.len());
            let end = (start + cut).min(xml.len());
            let damaged = format!("{}{with}{}", &xml[..start], &xml[end..]);
            match decoder.decode(damaged.as_bytes(), Some(&source)) {
                Ok(container) => prop_assert_eq!(container.keys[0].key.credential.token_key().map(TokenKey::as_bytes), Some(KEY)),
                Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control), "{:?}", error),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// No container is whole before its last octet, whatever is in it.
    #[test]
    fn no_prefix_of_what_is_written_is_a_container(package in package(), key: [u8; 16], seed: u64) {
        let container = Container::new(vec![package]);
        for seal in [Seal::Plain, Seal::Key(key.to_vec())] {
            let (xml, source) = encode(&container, &seal, "k", seed);
            let (decoder, octets) = (Decoder::new().dangerous_allow_short_keys(), xml.trim_end().as_bytes());
            prop_assert!(decoder.decode(octets, source.as_ref()).is_ok());
            for len in 0..octets.len() {
                let error = decoder.decode(&octets[..len], source.as_ref()).unwrap_err();
                // A character may be cut, too.
                prop_assert!(matches!(error.problem, Problem::Xml(_) | Problem::NotUtf8), "{}: {}", len, error);
            }
        }
    }
}

#[test]
fn no_prefix_is_a_container() {
    for (xml, source) in [(figure_6(), figure6_key()), (figure_7(), passphrase("qwerty"))] {
        assert!(Container::decode(xml.as_bytes(), Some(&source)).is_ok());
        for len in 0..xml.len() {
            let error = Container::decode(&xml.as_bytes()[..len], Some(&source)).unwrap_err();
            assert!(matches!(error.problem, Problem::Xml(_)), "{len}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_expressed_is_not_written() {
    let key = || TokenKey::new(KEY).unwrap();
    let hotp = |next| Credential::Hotp {
        key: key(),
        hotp: Hotp::default(),
        state: HotpState { next },
    };
    let totp = |totp, next, drift| Credential::Totp {
        key: key(),
        totp,
        state: TotpState { next, drift },
    };
    let write = |container: &Container| container.encode(&Protection::Plain, &mut SplitMix(1)).map(|_| ());
    let of = |credential| Container::new(vec![KeyPackage::new(Key::new("1", credential))]);
    let step = |seconds: u64| Totp::default().with_step(seconds.try_into().unwrap());
    for (container, expected) in [
        (Container::default(), EncodeError::NoKey),
        (of(hotp(1 << 63)), EncodeError::Range("Counter")),
        (
            of(totp(Totp::default(), (1 << 31) + 1, 0)),
            EncodeError::Range("Time"),
        ),
        (
            of(totp(Totp::default(), 0, 1 << 31)),
            EncodeError::Range("TimeDrift"),
        ),
        (of(totp(step(1 << 31), 0, 0)), EncodeError::Range("TimeInterval")),
        (of(totp(Totp::default().with_t0(1), 0, 0)), EncodeError::T0),
        (
            Container::new(vec![KeyPackage::new(Key::new("", hotp(0)))]),
            EncodeError::Empty("the key's Id"),
        ),
        (
            Container::new(vec![KeyPackage::new(Key::new("a ", hotp(0)))]),
            EncodeError::Text("the key's Id"),
        ),
        (
            Container::new(vec![KeyPackage::new(Key::new("a\u{1}", hotp(0)))]),
            EncodeError::Text("the key's Id"),
        ),
    ] {
        assert_eq!(write(&container).unwrap_err(), expected);
    }
    for id in ["", "1", "a b", "a:b", "-"] {
        let mut container = of(hotp(0));
        container.id = Some(id.into());
        assert_eq!(write(&container).unwrap_err(), EncodeError::Id);
    }
    let passphrase = Passphrase::new(b"x").unwrap();
    for iterations in [0, 999, 10_000_001] {
        let protection = Protection::Passphrase {
            name: None,
            passphrase: &passphrase,
            iterations,
        };
        let error = of(hotp(0)).encode(&protection, &mut SplitMix(1)).unwrap_err();
        assert_eq!(error, EncodeError::Iterations(iterations));
    }
}

fn base64(octets: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(octets)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    Base64::decode_vec(text).unwrap()
}
