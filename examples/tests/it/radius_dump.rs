//! `radius_dump` beside MIT libkrad itself: the same line for the same packet, or both refuse.

use std::{path::PathBuf, process::Command, sync::LazyLock};

use krad::{RequestAuthenticator, SharedSecret, hide_user_password};
use rand::{
    RngExt, SeedableRng,
    rngs::{StdRng, SysRng},
};

use crate::programs::{compile, example, run};

/// Packets a run.
const PACKETS: usize = 20_000;

#[test]
fn libkrad_decodes_the_same() {
    let seed = StdRng::try_from_rng(&mut SysRng).unwrap().random();
    let mut rng = StdRng::seed_from_u64(seed);
    let lines: Vec<String> = (0..PACKETS).map(|_| line(&mut rng)).collect();
    let (ours, theirs) = (dump(&lines), libkrad(&lines));
    for (line, (ours, theirs)) in lines.iter().zip(ours.iter().zip(&theirs)) {
        let same = ours == theirs || (ours.starts_with("err ") && theirs.starts_with("err "));
        assert!(
            same,
            "seed {seed}\n   line {line}\n   ours {ours}\nlibkrad {theirs}"
        );
    }
    let decoded = theirs.iter().filter(|line| line.starts_with("ok ")).count();
    let share = decoded * 100 / PACKETS;
    assert!(
        (20..=80).contains(&share),
        "{share} % decoded: too few cases of one kind"
    );
}

/// The rows that random packets may miss.
#[test]
fn format() {
    let packet = |code: u8, attributes: &str| {
        let length = 20 + attributes.len() / 2;
        format!("foo {code:02x}2a{length:04x}ac9dc16208c4c78ba12f250ac41d3641{attributes}")
    };
    // 16 octets that reveal nothing but padding.
    let authenticator = RequestAuthenticator::from([0; 16]);
    let hidden = hide_user_password(b"", &SharedSecret::empty(), &authenticator).unwrap();
    let reveals_nothing = format!("- 01010026{}0212{}", "00".repeat(16), hex(&hidden));
    let rows = [
        (packet(1, ""), "ok 1"),
        (packet(0, ""), "ok 0"),
        (
            packet(99, "0103610103622003630103640512"),
            "ok 99 1:0=61 1:1=62 1:2=64 32:0=63",
        ),
        (
            packet(1, "0212bafced50e1eba6c3c17520e910cec2cb"),
            "ok 1 2:0=616363657074",
        ),
        (packet(1, "c802010361"), "ok 1 1:0=61 200:0="),
        (packet(1, "010361c802"), "ok 1 1:0=61"),
        (packet(1, "0103610102"), "ok 1 1:0=61"),
        (packet(1, "01036105"), "ok 1 1:0=61"),
        (packet(1, "010361") + "ffff", "ok 1 1:0=61"),
        (
            packet(1, "010361000000"),
            "err malformed attribute at octet 23 of the packet",
        ),
        (
            packet(1, "0002010361"),
            "err Attribute 0 with a value of 0 octets",
        ),
        (packet(1, "c80300"), "err Attribute 200 with a value of 1 octets"),
        (
            packet(1, "501200000000000000000000000000000000"),
            "err Message-Authenticator with a value of 16 octets",
        ),
        ("foo ".to_owned(), "err 0 octets are fewer than a header has (20)"),
        ("foo".to_owned(), "err not SECRET HEX"),
        ("foo 012".to_owned(), "err the packet is not hexadecimal"),
        ("foo 0g".to_owned(), "err the packet is not hexadecimal"),
        (reveals_nothing, "err User-Password is empty"),
    ];
    let (lines, expected): (Vec<String>, Vec<&str>) = rows.into_iter().unzip();
    assert_eq!(dump(&lines), expected);
    // The rows of hexadecimal are the library's as well.
    let decoded = |line: &&String| line.rsplit(' ').next().is_some_and(|digits| digits.len() >= 40);
    let packets: Vec<String> = lines.iter().filter(decoded).cloned().collect();
    let verdict = |lines: Vec<String>| {
        lines
            .into_iter()
            .map(|line| line[..2].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(verdict(dump(&packets)), verdict(libkrad(&packets)));
}

/// What the program prints for these lines.
fn dump(lines: &[String]) -> Vec<String> {
    lines_of(example("radius_dump"), lines)
}

/// What the real library prints for these lines.
fn libkrad(lines: &[String]) -> Vec<String> {
    // Debian has the library in libkrad0, which krb5-otp depends on, and no package with its header.
    static HELPER: LazyLock<PathBuf> = LazyLock::new(|| compile("libkrad_dump", &["-l:libkrad.so.0"]));
    lines_of(Command::new(&*HELPER), lines)
}

fn lines_of(program: Command, lines: &[String]) -> Vec<String> {
    let output = run(program, (lines.join("\n") + "\n").as_bytes());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(printed.len(), lines.len(), "one line per line");
    printed
}

/// A secret and a packet that libkrad takes, or nearly.
fn line(rng: &mut StdRng) -> String {
    let secret = ["-", "foo", "testing123", "a secret of thirty-two octets..."][rng.random_range(0..4)];
    let octets = if rng.random_ratio(1, 50) {
        let length = rng.random_range(0..60);
        (0..length).map(|_| rng.random()).collect()
    } else {
        packet(rng, if secret == "-" { "" } else { secret })
    };
    format!("{secret} {}", hex(&octets))
}

fn packet(rng: &mut StdRng, secret: &str) -> Vec<u8> {
    let authenticator: [u8; 16] = rng.random();
    let mut attributes = Vec::new();
    let count = if rng.random_ratio(1, 100) {
        40
    } else {
        rng.random_range(0..8)
    };
    for _ in 0..count {
        let (kind, value) = attribute(rng, secret, authenticator);
        attributes.extend([kind, u8::try_from(value.len() + 2).unwrap()]);
        attributes.extend(value);
    }
    if rng.random_ratio(1, 10) {
        let kinds = [0, 1, 2, 80, 200, rng.random()];
        let stray = [
            kinds[rng.random_range(0..6)],
            [0, 2, 3][rng.random_range(0..3)],
            rng.random(),
        ];
        attributes.extend(&stray[..rng.random_range(1..=3)]);
    }
    let mut octets: Vec<u8> = vec![if rng.random() { 1 } else { rng.random() }, rng.random(), 0, 0];
    octets.extend(authenticator);
    octets.extend(attributes);
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    mutate(rng, octets)
}

fn mutate(rng: &mut StdRng, mut octets: Vec<u8>) -> Vec<u8> {
    let at = rng.random_range(0..octets.len());
    match rng.random_range(0..24) {
        0 => octets[at] ^= 1 << rng.random_range(0..8),
        1 => octets[at] = rng.random(),
        2 => octets.truncate(at),
        3 => drop(octets.remove(at)),
        4 => octets.insert(at, rng.random()),
        5 => octets.extend((0..rng.random_range(1..30)).map(|_| rng.random::<u8>())),
        6 => octets[3] = octets[3].wrapping_sub(rng.random_range(1..6)),
        7 => octets[3] = octets[3].wrapping_add(rng.random_range(1..6)),
        8 => octets[2] = rng.random_range(0..=16),
        _ => {}
    }
    octets
}

/// Type and value, mostly of a length that libkrad takes.
fn attribute(rng: &mut StdRng, secret: &str, authenticator: [u8; 16]) -> (u8, Vec<u8>) {
    const TEXT: [u8; 16] = [1, 11, 18, 19, 20, 22, 24, 25, 30, 31, 32, 33, 34, 35, 39, 63];
    const FOUR: [u8; 19] = [
        4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 23, 27, 28, 29, 37, 38, 61,
    ];
    let (kind, length) = match rng.random_range(0..60) {
        0..=7 => return (2, hidden(rng, secret, authenticator)),
        8..=29 => (TEXT[rng.random_range(0..16)], rng.random_range(1..=40)),
        30..=44 => (FOUR[rng.random_range(0..19)], 4),
        45..=46 => (3, 17),
        47..=48 => ([26, 60][rng.random_range(0..2)], rng.random_range(5..30)),
        49 => (36, 32),
        50..=56 => (rng.random(), 0),
        57 => (1, rng.random_range(120..=253)),
        58 => (80, 16),
        _ => (rng.random(), rng.random_range(0..20)),
    };
    (kind, (0..length).map(|_| rng.random()).collect())
}

/// A hidden password; now and then an empty one, one with NULs inside, one that is too long, or noise.
fn hidden(rng: &mut StdRng, secret: &str, authenticator: [u8; 16]) -> Vec<u8> {
    let (secret, authenticator) = (SharedSecret::new(secret.as_bytes()), authenticator.into());
    match rng.random_range(0..12) {
        0 => hide_user_password(&[0; 20], &secret, &authenticator)
            .unwrap()
            .to_vec(),
        1 => hide_user_password(b"a\0b\0\0", &secret, &authenticator)
            .unwrap()
            .to_vec(),
        2 => (0..rng.random_range(0..=200)).map(|_| rng.random()).collect(),
        _ => {
            let length = rng.random_range(1..=128);
            let password: Vec<u8> = (0..length).map(|_| rng.random_range(1..=255)).collect();
            hide_user_password(&password, &secret, &authenticator)
                .unwrap()
                .to_vec()
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
