//! `[otp]` of any files: what the reader says of each token type agrees with plain queries of the same profile; it says
//! what is wrong exactly if the KDC would stop there, at its place and in printable words.

use std::path::Path;

use kdc_otp_config::{
    FileAccess as _, FinalRule, KdcBuild, MemoryFiles, Outcome, Rule, Server, Severity, TokenType,
    check as report,
};
use krb5_profile::{Profile, boolean, integer};

use crate::structured;

/// Checks any two files and any file of a secret.
pub fn check(input: &[u8]) {
    structured(input, run);
}

const PATHS: [&str; 2] = ["/k/kdc.conf", "/k/krb5.conf"];

/// What is wrong enough that no token type is left.
const FATAL: [Rule; 5] = [
    Rule::SecretMissing,
    Rule::SecretUnreadable,
    Rule::SecretEmpty,
    Rule::Boolean,
    Rule::Integer,
];

fn run(input: (bool, &[u8], &[u8], &[u8])) {
    let (since_1_22, secret, second, first) = input;
    let rule = if since_1_22 {
        FinalRule::Since1_22
    } else {
        FinalRule::Before1_22
    };
    let build = KdcBuild::new("/k", "/run/k", rule);
    let files = MemoryFiles::from([
        (PATHS[0], first),
        (PATHS[1], second),
        ("/k/secret", secret),
        ("/k/d/empty", b""),
    ]);

    let report = report(PATHS, &files, &build);
    let findings = report.findings();
    assert!(
        findings
            .windows(2)
            .all(|pair| pair[0].position() <= pair[1].position())
    );
    assert_eq!(
        report.worst(),
        findings.iter().map(|finding| finding.severity()).max()
    );
    for finding in findings {
        let shown = finding.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(!finding.message().is_empty() && !finding.advice().is_empty());
    }

    let is_fatal = findings.iter().any(|finding| FATAL.contains(&finding.rule()));
    match (report.outcome(), Profile::load(PATHS, &files, rule)) {
        (Outcome::DoesNotStart(error), Err(same)) => {
            assert_eq!(error.to_string(), same.to_string());
            assert!(findings.iter().any(|finding| finding.rule() == Rule::Profile));
        }
        (Outcome::WithoutOtp(error), Ok(profile)) => {
            assert!(
                is_fatal && report.worst() == Some(Severity::Error),
                "{error}: {findings:?}"
            );
            assert!(plainly(&profile, &files).is_none(), "{error}");
            let place = |finding: &kdc_otp_config::Finding| finding.position() == Some(error.position());
            assert!(findings.iter().any(place), "{error}: {findings:?}");
        }
        (Outcome::Ready(types), Ok(profile)) => {
            assert!(!is_fatal, "{findings:?}");
            let plain = plainly(&profile, &files).expect("nothing stops the KDC");
            assert_eq!(types.iter().map(seen).collect::<Vec<_>>(), plain);
            for token_type in types {
                let found = report.find(token_type.name()).expect("it is there");
                let last = types.iter().rfind(|other| other.name() == token_type.name());
                assert_eq!(last.map(seen), Some(seen(found)));
                schedule(token_type);
            }
        }
        (outcome, profile) => panic!("{outcome:?}, but {profile:?}"),
    }
}

/// Everything about a token type: name, server, secret, timeout, retries, realm, indicators.
type Seen = (Vec<u8>, Vec<u8>, Vec<u8>, [i32; 2], bool, Vec<Vec<u8>>);

fn seen(token_type: &TokenType) -> Seen {
    assert_eq!(
        token_type.server().is_unix(),
        matches!(token_type.server(), Server::Unix(_))
    );
    (
        token_type.name().to_vec(),
        token_type.server().as_octets().to_vec(),
        token_type.secret().expose().to_vec(),
        [token_type.timeout(), token_type.retries()],
        token_type.strip_realm(),
        token_type.indicators().map(<[u8]>::to_vec).collect(),
    )
}

/// The same by queries; `None` if anything is malformed.
fn plainly(profile: &Profile, files: &MemoryFiles) -> Option<Vec<Seen>> {
    let names: Vec<&[u8]> = profile
        .subsections(["otp"])
        .iter()
        .map(|section| section.name())
        .collect();
    let mut types = Vec::new();
    if !names.contains(&&b"DEFAULT"[..]) {
        let socket = b"/run/k/DEFAULT.socket".to_vec();
        types.push((b"DEFAULT".to_vec(), socket, Vec::new(), [5, 3], false, Vec::new()));
    }
    for name in names {
        let all = |key: &str| {
            let relations = profile.relations([b"otp", name, key.as_bytes()]);
            relations
                .iter()
                .map(|relation| relation.value().to_vec())
                .collect::<Vec<_>>()
        };
        let first = |key| all(key).into_iter().next();
        let number = |key, default| first(key).map_or(Some(default), |value| integer(&value));
        let server = first("server").unwrap_or_else(|| [b"/run/k/", name, b".socket"].concat());
        let secret = match first("secret") {
            Some(path) => files
                .read(&Path::new("/k").join(krb5_profile::to_path(&path)))
                .ok()
                .and_then(first_line)?,
            None if server.starts_with(b"/") => Vec::new(),
            None => return None,
        };
        types.push((
            name.to_vec(),
            server,
            secret,
            [number("timeout", 5)?, number("retries", 3)?],
            first("strip_realm").map_or(Some(true), |value| boolean(&value))?,
            all("indicator"),
        ));
    }
    Some(types)
}

/// The first line of a file, as C's `fgets` with room for 1023 octets and `isspace` make a secret of it.
fn first_line(file: Vec<u8>) -> Option<Vec<u8>> {
    let read = &file[..file.len().min(1023)];
    let line = read.split_inclusive(|octet| *octet == b'\n').next()?;
    let line = line.split(|octet| *octet == 0).next()?;
    let is_blank = |octet: &u8| matches!(octet, b' ' | 9..=13);
    let line: Vec<u8> = line.iter().copied().skip_while(is_blank).collect();
    let blanks = line.iter().rev().take_while(|octet| is_blank(octet)).count();
    Some(line[..line.len() - blanks].to_vec())
}

/// What is said of the times holds: the copies fit in the total, and another one would not.
fn schedule(token_type: &TokenType) {
    let total = i64::from(token_type.timeout()) * 1000;
    let tries = if token_type.server().is_unix() {
        1
    } else {
        i64::from(token_type.retries()) + 1
    };
    let is_sound = (1..=i64::from(i32::MAX)).contains(&total) && (1..=total).contains(&tries);
    match token_type.schedule() {
        Ok(schedule) => {
            let (sends, per_try) = (i64::from(schedule.sends), i64::from(schedule.per_try_ms));
            if is_sound {
                assert_eq!((i64::from(schedule.total_ms), sends), (total, tries));
            }
            assert!(per_try > 0 && sends * per_try <= i64::from(schedule.total_ms));
            assert!((sends + 1) * per_try + sends > i64::from(schedule.total_ms));
        }
        Err(_) => assert!(!is_sound),
    }
}
