//! On any configuration, the findings explain the outcome.

use kdc_otp_config::{Outcome, Rule, Severity, check};
use proptest::prelude::*;

use crate::{files, kdc};

fn otp() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "  server = /run/x\n",
        "  server = 127.0.0.1\n",
        "  server =\n",
        "  server = \"\"\n",
        "  server = [::1]\n",
        "  secret = good\n",
        "  secret = blank\n",
        "  secret = empty\n",
        "  secret = none\n",
        "  timeout = 5\n",
        "  timeout = 0\n",
        "  timeout = -1\n",
        "  timeout = 5s\n",
        "  retries = 1\n",
        "  retries = -1\n",
        "  retries = x\n",
        "  strip_realm = no\n",
        "  strip_realm = f\n",
        "  indicator = a\n",
        "  x = y\n",
        " }\n",
        " t = {\n",
        " DEFAULT = {\n",
        " default = {\n",
        "[otp]\n",
        "  timeout* = 9999999\n",
        "  indicator = a b\n",
    ]);
    prop::collection::vec(line, 0..10).prop_map(|lines| format!("[otp]\n t = {{\n{}", lines.concat()))
}

/// What the findings say must be what the outcome is.
fn explain(kdc_conf: &str, krb5_conf: &str) -> Result<(), TestCaseError> {
    let files = files(&[("kdc.conf", kdc_conf), ("krb5.conf", krb5_conf)]);
    let report = check(["kdc.conf", "krb5.conf"], &files, &kdc());
    let errors = |position: Option<&kdc_otp_config::Position>| {
        report
            .findings()
            .iter()
            .filter(|finding| finding.severity() == Severity::Error && finding.position() == position)
            .count()
    };
    match report.outcome() {
        // The reason is reported as an error, at its place.
        Outcome::DoesNotStart(error) => prop_assert!(errors(error.position()) > 0),
        Outcome::WithoutOtp(error) => prop_assert!(errors(Some(error.position())) > 0, "{error}"),
        // No error is reported that would have kept the KDC from holding the types.
        Outcome::Ready(types) => {
            let fatal = |rule| {
                use Rule::{Boolean, Integer, Profile, SecretEmpty, SecretMissing, SecretUnreadable};
                matches!(
                    rule,
                    Boolean | Integer | Profile | SecretEmpty | SecretMissing | SecretUnreadable
                )
            };
            prop_assert!(!report.findings().iter().any(|finding| fatal(finding.rule())));
            // What no request can survive is reported for each such type, and for no other.
            for held in types {
                let name = String::from_utf8_lossy(held.name()).into_owned();
                let hazards = report.findings().iter().filter(|finding| {
                    finding.token_type() == Some(&name)
                        && matches!(finding.rule(), Rule::Timeout | Rule::Retries | Rule::PerTry)
                });
                prop_assert_eq!(hazards.count() > 0, held.schedule().is_err(), "{}", name);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn findings_explain_the_outcome(kdc_conf in otp(), krb5_conf in otp()) {
        explain(&kdc_conf, &krb5_conf)?;
    }
}

/// Cut anywhere, a sound configuration still is one, or is reported; and what is read is never more than was there.
#[test]
fn truncated_files_are_explained() {
    let whole = "[kdcdefaults]\n kdc_ports = 88\n[otp]\n # VPN\n DEFAULT = {\n  strip_realm = false\n }\n vpn = {\n  \
                 server = 127.0.0.1:1812\n  secret = good\n  timeout = 4\n  retries = 1\n  indicator = otp\n  \
                 indicator = hardened\n }\n";
    let mut ready = 0;
    for length in 0..=whole.len() {
        let text = &whole[..length];
        explain(text, "").unwrap_or_else(|error| panic!("{text:?}: {error}"));
        explain("", text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let report = check(["kdc.conf"], &files(&[("kdc.conf", text)]), &kdc());
        ready += usize::from(!report.types().is_empty());
        for held in report.types() {
            let name = String::from_utf8_lossy(held.name()).into_owned();
            assert!(["DEFAULT", "vpn"].contains(&name.as_str()), "{text:?}: {name}");
            assert!(held.indicators().count() <= 2 && held.timeout() <= 5, "{text:?}");
        }
    }
    assert!((whole.len() / 5..whole.len()).contains(&ready), "{ready}");
}
