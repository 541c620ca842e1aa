//! Beside other implementations: `pskctool` and libpskc (which know nothing of encryption), python-pskc (which does).
//!
//! Nothing is skipped: what is missing is an error.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use pskc::{Container, Credential, Decoder, KeyPackage, Passphrase, PreSharedKey, Protection};

use crate::harness::{SplitMix, hex};
use crate::properties::{containers, show};

/// Containers with texts that every program can show on one line, each of a single key.
fn plain_containers(count: usize) -> Vec<Container> {
    let mut runner = TestRunner::deterministic();
    let mut next = || containers().new_tree(&mut runner).unwrap().current();
    let single = |mut container: Container| {
        container.keys.truncate(1);
        simple(container)
    };
    (0..count).map(|_| single(next())).collect()
}

fn simple(mut container: Container) -> Container {
    let clean = |text: &mut Option<String>| {
        if let Some(text) = text {
            text.retain(|character| character.is_ascii_alphanumeric() || "-&<>\"'".contains(character));
        }
        if text.as_ref().is_some_and(String::is_empty) {
            *text = None;
        }
    };
    for package in &mut container.keys {
        let key = &mut package.key;
        for text in [
            &mut key.issuer,
            &mut key.key_profile_id,
            &mut key.key_reference,
            &mut key.friendly_name,
            &mut key.user_id,
        ] {
            clean(text);
        }
        key.id.retain(|character| character.is_ascii_alphanumeric());
        key.id.push('1');
        key.policy.pin = None;
        clean(&mut package.crypto_module_id);
        if let Some(device) = &mut package.device {
            for text in [
                &mut device.manufacturer,
                &mut device.serial_no,
                &mut device.model,
                &mut device.issue_no,
                &mut device.device_binding,
                &mut device.user_id,
            ] {
                clean(text);
            }
        }
    }
    container
}

/// Runs a program with `input` and returns its standard output.
fn run(command: &mut Command, package: &str, input: &str) -> String {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}: apt-get install {package}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {stderr} (apt-get install {package})"
    );
    written.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pskctool_validates_and_shows_what_is_written() {
    for (number, container) in (0..60).zip(plain_containers(60)) {
        let mut rng = SplitMix(number);
        let xml = container.encode(&Protection::Plain, &mut rng).unwrap();
        let validated = run(Command::new("pskctool").arg("--validate"), "pskctool", &xml);
        assert_eq!(validated.trim_end(), "OK", "{}", *xml);
        let shown = run(Command::new("pskctool").arg("--info"), "pskctool", &xml);
        let lines: Vec<_> = shown.lines().map(str::trim).collect();
        for fact in facts(&container.keys[0]) {
            assert!(lines.contains(&fact.as_str()), "{fact}\n{shown}");
        }

        // The schema, and all that pskctool can say about encryption.
        let key = PreSharedKey::new(&[7; 24]).unwrap();
        let passphrase = Passphrase::new(b"x").unwrap();
        for protection in [
            Protection::PreSharedKey { name: "k", key: &key },
            Protection::Passphrase {
                name: Some("p"),
                passphrase: &passphrase,
                iterations: 1000,
            },
        ] {
            let xml = container.encode(&protection, &mut rng).unwrap();
            let validated = run(Command::new("pskctool").arg("--validate"), "pskctool", &xml);
            assert_eq!(validated.trim_end(), "OK", "{}", *xml);
        }
    }
}

/// Lines that pskctool prints about a key.
fn facts(package: &KeyPackage) -> Vec<String> {
    let key = &package.key;
    let mut facts = vec![format!("Id: {}", key.id)];
    let mut fact =
        |name: &str, value: Option<String>| facts.extend(value.map(|value| format!("{name}: {value}")));
    fact("Issuer", key.issuer.clone());
    fact("FriendlyName", key.friendly_name.clone());
    if let Some(device) = &package.device {
        fact("SerialNo", device.serial_no.clone());
        fact("Model", device.model.clone());
    }
    let secret = match &key.credential {
        Credential::Hotp { key, hotp, state } => {
            fact("Key Counter", Some(state.next.to_string()));
            fact(
                "Algorithm Parameters Suite",
                Some(format!("HMAC-{}", hotp.algorithm)),
            );
            fact("Response Format Length", Some(hotp.digits.to_string()));
            key.as_bytes()
        }
        Credential::Totp { key, totp, state } => {
            fact("Key Time", state.next.checked_sub(1).map(|time| time.to_string()));
            fact("Key TimeInterval", Some(totp.step().to_string()));
            key.as_bytes()
        }
        Credential::Pin(pin) => pin.as_bytes(),
        _ => panic!("another credential"),
    };
    use base64ct::{Base64, Encoding};
    fact("Key Secret (base64)", Some(Base64::encode_string(secret)));
    facts
}

#[test]
fn what_libpskc_writes_is_read() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle/libpskc_writer.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libpskc_writer");
    run(
        Command::new("gcc")
            .arg(source)
            .arg("-o")
            .arg(&program)
            .arg("-lpskc"),
        "gcc libc6-dev libpskc-dev",
        "",
    );
    let containers: Vec<_> = plain_containers(400).into_iter().map(for_libpskc).collect();
    let input: String = containers
        .iter()
        .map(|container| describe(&container.keys[0]))
        .collect();
    let output = run(&mut Command::new(program), "libpskc0", &input);
    assert_eq!(output.lines().count(), containers.len());
    for (line, container) in output.lines().zip(&containers) {
        let xml = hex(line);
        let decoder = Decoder::new().dangerous_allow_short_keys();
        let read = decoder
            .decode(&xml, None)
            .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&xml)));
        assert_eq!(show(&read), show(container));
    }
}

/// What libpskc can write: drifts that are not negative, modern dates, every key usage once and in order.
fn for_libpskc(mut container: Container) -> Container {
    container.id = None;
    let package = &mut container.keys[0];
    let mut device = package.device.take().unwrap_or_default();
    device.manufacturer = Some("oath.UNKNOWN".into());
    let modern = |date: &mut Option<pskc::DateTime>| *date = date.filter(|date| date.unix_seconds() >= 0);
    modern(&mut device.start_date);
    modern(&mut device.expiry_date);
    package.device = Some(device);
    let policy = &mut package.key.policy;
    modern(&mut policy.start_date);
    modern(&mut policy.expiry_date);
    policy
        .key_usage
        .sort_by_key(|usage| pskc::KeyUsage::ALL.iter().position(|known| known == usage));
    policy.key_usage.dedup();
    // A policy of a number of transactions alone is left out.
    if policy.start_date.is_none() && policy.expiry_date.is_none() && policy.key_usage.is_empty() {
        policy.number_of_transactions = None;
    }
    if let Credential::Totp { state, .. } = &mut package.key.credential {
        state.drift = state.drift.abs().min(i32::MAX.into());
    }
    container
}

/// The lines that the C program reads.
fn describe(package: &KeyPackage) -> String {
    let key = &package.key;
    let mut lines = String::new();
    let mut line = |name: &str, value: Option<Vec<u8>>| {
        if let Some(value) = value {
            let value: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
            lines.push_str(&format!("{name} {value}\n"));
        }
    };
    let text = |text: &Option<String>| text.clone().map(String::into_bytes);
    let date = |date: Option<pskc::DateTime>| date.map(|date| date.unix_seconds().to_string().into_bytes());
    let number = |number: u64| Some(number.to_string().into_bytes());
    let device = package.device.as_ref().unwrap();
    line("device_manufacturer", text(&device.manufacturer));
    line("device_serialno", text(&device.serial_no));
    line("device_model", text(&device.model));
    line("device_issueno", text(&device.issue_no));
    line("device_devicebinding", text(&device.device_binding));
    line("device_startdate", date(device.start_date));
    line("device_expirydate", date(device.expiry_date));
    line("device_userid", text(&device.user_id));
    line("cryptomodule_id", text(&package.crypto_module_id));
    line("key_id", Some(key.id.clone().into_bytes()));
    line("key_issuer", text(&key.issuer));
    line("key_profileid", text(&key.key_profile_id));
    line("key_reference", text(&key.key_reference));
    line("key_friendlyname", text(&key.friendly_name));
    line("key_userid", text(&key.user_id));
    line("key_policy_startdate", date(key.policy.start_date));
    line("key_policy_expirydate", date(key.policy.expiry_date));
    let usages = key.policy.key_usage.iter().map(|usage| {
        1_u64
            << pskc::KeyUsage::ALL
                .iter()
                .position(|known| known == usage)
                .unwrap()
    });
    let usages: u64 = usages.sum();
    line(
        "key_policy_keyusages",
        (usages > 0).then(|| number(usages)).flatten(),
    );
    line(
        "key_policy_numberoftransactions",
        key.policy.number_of_transactions.and_then(number),
    );
    if key.check_digit {
        line("key_algparm_resp_checkdigits", number(1));
    }
    let (name, suite, length, secret) = match &key.credential {
        Credential::Hotp { key, hotp, state } => {
            line("key_data_counter", number(state.next));
            (
                "hotp",
                Some(hotp.algorithm),
                hotp.digits.get().into(),
                key.as_bytes(),
            )
        }
        Credential::Totp { key, totp, state } => {
            line("key_data_time", state.next.checked_sub(1).and_then(number));
            line("key_data_timeinterval", number(totp.step().get()));
            line("key_data_timedrift", Some(state.drift.to_string().into_bytes()));
            (
                "totp",
                Some(totp.algorithm()),
                totp.digits().get().into(),
                key.as_bytes(),
            )
        }
        Credential::Pin(pin) => ("pin", None, pin.as_bytes().len() as u64, pin.as_bytes()),
        _ => panic!("another credential"),
    };
    line(
        "key_algorithm",
        Some(format!("urn:ietf:params:xml:ns:keyprov:pskc:{name}").into_bytes()),
    );
    line(
        "key_algparm_suite",
        suite.map(|suite| format!("HMAC-{suite}").into_bytes()),
    );
    line("key_algparm_resp_length", number(length));
    line("secret", Some(secret.to_vec()));
    lines + "end\n"
}

fn python(input: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle/python_pskc.py");
    // Debian's own interpreter has Debian's packages.
    let output = run(
        Command::new("/usr/bin/python3").arg(script),
        "python3-pskc",
        input,
    );
    output.lines().map(str::to_owned).collect()
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn python_pskc_opens_what_is_sealed() {
    let mut runner = TestRunner::deterministic();
    let (mut input, mut expected) = (String::new(), Vec::new());
    for (number, len) in (0..60_u64).zip([16, 24, 32].into_iter().cycle()) {
        let container = simple(containers().new_tree(&mut runner).unwrap().current());
        let mut rng = SplitMix(number);
        let secret = to_hex(&number.to_be_bytes().repeat(4)[..len]);
        let (kind, xml) = if number % 2 == 0 {
            let key = PreSharedKey::new(&hex(&secret)).unwrap();
            (
                "key",
                container.encode(&Protection::PreSharedKey { name: "k", key: &key }, &mut rng),
            )
        } else {
            let passphrase = Passphrase::new(&hex(&secret)).unwrap();
            let protection = Protection::Passphrase {
                name: None,
                passphrase: &passphrase,
                iterations: 1000,
            };
            ("passphrase", container.encode(&protection, &mut rng))
        };
        input.push_str(&format!(
            "read {kind} {secret} {}\n",
            to_hex(xml.unwrap().as_bytes())
        ));
        let secrets = container
            .keys
            .iter()
            .map(|package| match &package.key.credential {
                Credential::Hotp { key, .. } | Credential::Totp { key, .. } => to_hex(key.as_bytes()),
                Credential::Pin(pin) => to_hex(pin.as_bytes()),
                _ => panic!("another credential"),
            });
        expected.push(secrets.collect::<Vec<_>>().join(" "));
    }
    assert_eq!(python(&input), expected);
}

#[test]
fn what_python_pskc_seals_is_opened() {
    let hmacs = [
        "hmac-sha1",
        "hmac-sha224",
        "hmac-sha256",
        "hmac-sha384",
        "hmac-sha512",
    ];
    let (mut input, mut rows) = (String::new(), Vec::new());
    for (len, cipher) in [(16, "aes128-cbc"), (24, "aes192-cbc"), (32, "aes256-cbc")] {
        for hmac in hmacs {
            for kind in ["key", "passphrase"] {
                for secret_len in [16, 20, 31, 32, 64] {
                    let (key, secret) = (
                        vec![len; usize::from(len)],
                        vec![secret_len; usize::from(secret_len)],
                    );
                    input.push_str(&format!(
                        "write {kind} {} {} {} {}\n",
                        to_hex(&key),
                        to_hex(cipher.as_bytes()),
                        to_hex(hmac.as_bytes()),
                        to_hex(&secret)
                    ));
                    rows.push((kind, key, secret));
                }
            }
        }
    }
    let output = python(&input);
    assert_eq!(output.len(), rows.len());
    for (line, (kind, key, secret)) in output.iter().zip(rows) {
        let xml = hex(line);
        let source = match kind {
            "key" => PreSharedKey::new(&key).unwrap().into(),
            _ => Passphrase::new(&key).unwrap().into(),
        };
        let read = Container::decode(&xml, Some(&source));
        let read = read.unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&xml)));
        let Credential::Totp { key, totp, .. } = &read.keys[0].key.credential else {
            panic!("a TOTP key")
        };
        assert_eq!((key.as_bytes(), totp.step().get()), (secret.as_slice(), 60));
        assert_eq!(
            (totp.algorithm(), totp.digits().get()),
            (otp_core::Algorithm::Sha256, 8)
        );
    }
}
