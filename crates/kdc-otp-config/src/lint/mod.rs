//! Everything that the KDC accepts in silence, ignores, or cannot use.

mod numbers;
mod secrets;
mod sections;
mod servers;
mod sources;

use krb5_profile::{FileAccess, Position, Profile, Section, text};

pub(crate) use sources::Recorder;

use crate::decode::{key, server};
use crate::finding::{Finding, Rule};
use crate::kdc::KdcBuild;
use crate::token_type::Server;

/// Looks at `[otp]` and at each token type once.
pub(crate) fn profile(
    profile: &Profile,
    files: &impl FileAccess,
    build: &KdcBuild,
    findings: &mut Vec<Finding>,
) {
    sections::lint(profile, build, findings);
    let mut seen = Vec::new();
    for section in profile.subsections(["otp"]) {
        if seen.contains(&section.name()) {
            continue;
        }
        seen.push(section.name());
        let server = server(profile, section.name(), build);
        let mut context = Context {
            profile,
            section,
            server,
            findings,
        };
        sections::lint_type(&mut context);
        servers::lint(&mut context);
        secrets::lint(&mut context, files, build);
        numbers::lint(&mut context);
    }
}

/// One token type, and where to report what is found.
struct Context<'a> {
    profile: &'a Profile,
    section: Section<'a>,
    server: Server,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Context<'a> {
    /// The relation that counts for `name`.
    fn relation(&self, name: &str) -> Option<&'a krb5_profile::Relation> {
        self.profile.relation(key(self.section.name(), name))
    }

    /// Reports a finding about a key, at `position` or where the type begins.
    fn report(&mut self, rule: Rule, position: Option<&Position>, key: &str, message: &str, advice: &str) {
        let position = position.unwrap_or_else(|| self.section.position()).clone();
        self.findings.push(Finding {
            rule,
            position: Some(position),
            token_type: Some(text(self.section.name())),
            key: (!key.is_empty()).then(|| key.to_owned()),
            message: message.to_owned(),
            advice: advice.to_owned(),
        });
    }
}
