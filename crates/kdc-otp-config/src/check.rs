//! The whole check: files in, what the KDC would hold and what is wrong with it out.

use std::path::Path;

use krb5_profile::{ConfigError, FileAccess, Profile};

use crate::decode::{InitError, decode};
use crate::finding::{Finding, Rule, Severity};
use crate::kdc::KdcBuild;
use crate::lint;
use crate::token_type::TokenType;

/// What a KDC does with the files when it starts.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It runs with these token types, in its order; a user string finds the **last** of a name.
    Ready(Vec<TokenType>),
    /// It runs, but its OTP module does not: nobody can log in with an OTP.
    WithoutOtp(InitError),
    /// It does not start at all.
    DoesNotStart(ConfigError),
}

/// The result of [`check`].
#[derive(Clone, Debug)]
pub struct Report {
    findings: Vec<Finding>,
    outcome: Outcome,
}

impl Report {
    /// What an admin should know, sorted by file and line.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the KDC does with the files.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The token types that the KDC holds; none if it does not get that far.
    #[must_use]
    pub fn types(&self) -> &[TokenType] {
        match &self.outcome {
            Outcome::Ready(types) => types,
            Outcome::WithoutOtp(_) | Outcome::DoesNotStart(_) => &[],
        }
    }

    /// The type that a user string means by `name`, if the KDC holds one.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&TokenType> {
        self.types()
            .iter()
            .rev()
            .find(|token_type| token_type.name() == name)
    }

    /// The worst severity found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(Finding::severity).max()
    }
}

/// Reads the files as the KDC of `build` would, in the order of its search path
/// ([`krb5_profile::kdc_search_path`]), and reports what comes of it.
///
/// ```
/// use kdc_otp_config::{FinalRule, KdcBuild, MemoryFiles, Outcome, Rule, check};
///
/// let files = MemoryFiles::from([("kdc.conf", "[otp]\n vpn = {\n  server = localhost:1812\n  timeout = 5s\n }\n")]);
/// let report = check(["kdc.conf"], &files, &KdcBuild::debian());
///
/// assert!(matches!(report.outcome(), Outcome::WithoutOtp(_)));
/// let rules: Vec<Rule> = report.findings().iter().map(|finding| finding.rule()).collect();
/// assert_eq!(rules, [Rule::SecretMissing, Rule::ServerLookup, Rule::Integer]);
/// ```
pub fn check<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    files: &impl FileAccess,
    build: &KdcBuild,
) -> Report {
    let recorder = lint::Recorder::new(files);
    let mut findings = Vec::new();
    let outcome = match Profile::load(paths, &recorder, build.final_rule()) {
        Ok(profile) => {
            lint::profile(&profile, files, build, &mut findings);
            match decode(&profile, files, build) {
                Ok(types) => Outcome::Ready(types),
                Err(error) => Outcome::WithoutOtp(error),
            }
        }
        Err(error) => {
            findings.push(Finding {
                rule: Rule::Profile,
                position: error.position().cloned(),
                token_type: None,
                key: None,
                message: format!("the KDC does not start: {error}"),
                advice: "mend the file; every Kerberos program of this machine that reads it is affected"
                    .to_owned(),
            });
            Outcome::DoesNotStart(error)
        }
    };
    recorder.lint(&mut findings);
    findings.sort_by(|a, b| (&a.position, b.severity()).cmp(&(&b.position, a.severity())));
    Report { findings, outcome }
}
