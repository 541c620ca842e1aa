//! `otpctl kdc check`.

use kdc_otp_config::{Filesystem, Finding, Outcome, Report, Severity, TokenType};
use krb5_profile::text as octets_to_text;
use serde::Serialize;
use serde_json::json;

use super::sources::Sources;
use crate::{
    Exit,
    context::Context,
    failure::Failure,
    text::{Paint, Tone, count, escape, table},
};

/// Read [otp] as a KDC does, and say what is wrong with it.
///
/// Without FILE, the files are those of krb5kdc: KRB5_KDC_PROFILE or else kdc.conf of the KDC's directory, then those of
/// KRB5_CONFIG or else /etc/krb5.conf. Secret files are read; run it as the user who runs the KDC.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl kdc check
  otpctl kdc check --kdc-dir /var/kerberos/krb5kdc        Fedora and RHEL
  otpctl kdc check ./kdc.conf ./krb5.conf

The status is 1 if there is an error, 0 if there are warnings and notes only.")]
pub(crate) struct Check {
    #[command(flatten)]
    sources: Sources,
}

impl Check {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let files = self.sources.files(context)?;
        let report = kdc_otp_config::check(files, &Filesystem, &self.sources.build());
        let text = describe(&report, context.out);
        context.result(&json(&report), &text)?;
        Ok(if report.worst() == Some(Severity::Error) {
            Exit::No
        } else {
            Exit::Ok
        })
    }
}

#[derive(Serialize)]
struct TypeView {
    name: String,
    server: String,
    timeout: i32,
    retries: i32,
    strip_realm: bool,
    indicators: Vec<String>,
    has_secret: bool,
    file: Option<String>,
    line: Option<usize>,
}

impl From<&TokenType> for TypeView {
    fn from(token_type: &TokenType) -> Self {
        let position = token_type.position();
        Self {
            name: octets_to_text(token_type.name()),
            server: token_type.server().to_string(),
            timeout: token_type.timeout(),
            retries: token_type.retries(),
            strip_realm: token_type.strip_realm(),
            indicators: token_type.indicators().map(octets_to_text).collect(),
            has_secret: !token_type.secret().is_empty(),
            file: position.map(|position| position.file().display().to_string()),
            line: position.map(|position| position.line()),
        }
    }
}

fn json(report: &Report) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings()
        .iter()
        .map(|finding| {
            let position = finding.position();
            json!({
                "severity": finding.severity().to_string(),
                "rule": finding.rule().name(),
                "file": position.map(|position| position.file().display().to_string()),
                "line": position.map(|position| position.line()),
                "type": finding.token_type(),
                "key": finding.key(),
                "message": finding.message(),
                "advice": finding.advice(),
            })
        })
        .collect();
    let (outcome, cause) = match report.outcome() {
        Outcome::Ready(_) => ("ready", None),
        Outcome::WithoutOtp(error) => ("without-otp", Some(error.to_string())),
        Outcome::DoesNotStart(error) => ("does-not-start", Some(error.to_string())),
    };
    let types: Vec<_> = report.types().iter().map(TypeView::from).collect();
    json!({ "outcome": outcome, "cause": cause, "types": types, "findings": findings })
}

fn describe(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    for finding in report.findings() {
        text.push_str(&describe_finding(finding, paint));
    }
    if !report.findings().is_empty() {
        text.push('\n');
    }
    match report.outcome() {
        Outcome::Ready(types) => {
            text.push_str(&format!(
                "The KDC holds {}:\n\n",
                count(types.len(), "token type")
            ));
            text.push_str(&types_table(types));
        }
        Outcome::WithoutOtp(error) => {
            let verdict = paint.paint(Tone::Bad, "The KDC runs without OTP");
            text.push_str(&format!("{verdict}: {}\n", escape(&error.to_string())));
        }
        Outcome::DoesNotStart(error) => {
            let verdict = paint.paint(Tone::Bad, "The KDC does not start");
            text.push_str(&format!("{verdict}: {}\n", escape(&error.to_string())));
        }
    }
    text
}

/// `FILE:LINE: severity: type: key: what is wrong [rule]`, and below it what to write instead.
fn describe_finding(finding: &Finding, paint: Paint) -> String {
    let tone = match finding.severity() {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Caution,
        Severity::Note => Tone::Strong,
    };
    let position = finding
        .position()
        .map(|position| format!("{position}: "))
        .unwrap_or_default();
    let subject: String = [finding.token_type(), finding.key()]
        .into_iter()
        .flatten()
        .map(|part| format!("{part}: "))
        .collect();
    format!(
        "{}{}: {}{} [{}]\n    {}\n",
        escape(&position),
        paint.paint(tone, finding.severity()),
        escape(&subject),
        escape(finding.message()),
        finding.rule(),
        escape(finding.advice()),
    )
}

fn types_table(types: &[TokenType]) -> String {
    let rows = types.iter().map(|token_type| {
        let view = TypeView::from(token_type);
        let realm = if view.strip_realm { "stripped" } else { "kept" };
        [
            view.name,
            view.server,
            format!("{} s", view.timeout),
            view.retries.to_string(),
            realm.to_owned(),
            view.indicators.join(", "),
        ]
    });
    table(
        ["TYPE", "SERVER", "TIMEOUT", "RETRIES", "REALM", "INDICATORS"],
        rows,
    )
}
