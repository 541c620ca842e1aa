//! Sections, types and keys: what has a meaning, and what only looks as if it had one.

use krb5_profile::{Profile, Relation, Section, text};

use super::Context;
use crate::decode::key;
use crate::finding::{Finding, Rule};
use crate::kdc::KdcBuild;
use crate::token_type::DEFAULT_TYPE;

/// The keys of a token type; each takes one value, but for the last.
const KEYS: [&str; 6] = [
    "server",
    "secret",
    "timeout",
    "retries",
    "strip_realm",
    "indicator",
];

pub(super) fn lint(profile: &Profile, build: &KdcBuild, findings: &mut Vec<Finding>) {
    let none: [&str; 0] = [];
    let sections = profile.subsections(none);
    let otp: Vec<Section<'_>> = profile
        .trees()
        .iter()
        .filter_map(|tree| tree.root().section(b"otp"))
        .collect();
    let mut report = |rule,
                      position: Option<&krb5_profile::Position>,
                      key: Option<&[u8]>,
                      message: String,
                      advice: &str| {
        findings.push(Finding {
            rule,
            position: position.cloned(),
            token_type: None,
            key: key.map(text),
            message,
            advice: advice.to_owned(),
        });
    };
    for section in sections
        .iter()
        .filter(|section| is_other_case(section.name(), "otp"))
    {
        let message = format!(
            "the section [{}] means nothing to the KDC: case counts",
            text(section.name())
        );
        report(
            Rule::SectionCase,
            Some(section.position()),
            None,
            message,
            "write [otp]",
        );
    }
    if otp.is_empty() {
        let socket = text(&build.default_socket(DEFAULT_TYPE.as_bytes()));
        let message = format!(
            "there is no [otp] section; the only token type is {DEFAULT_TYPE}, on the socket {socket}"
        );
        report(
            Rule::NoSection,
            None,
            None,
            message,
            "let the daemon listen there, or add [otp] with a token type",
        );
    }
    for relation in otp.iter().flat_map(Section::relations) {
        let message = format!(
            "\"{}\" stands in [otp] itself and is ignored",
            text(relation.name())
        );
        let advice = "put it into the braces of a token type: [otp] NAME = { … }";
        report(
            Rule::RelationOutsideType,
            Some(relation.position()),
            Some(relation.name()),
            message,
            advice,
        );
    }
    for section in &otp {
        let subsections: Vec<_> = section.sections().collect();
        let marked = |section: &&Section<'_>| section.is_final();
        let sections = std::iter::once(section)
            .chain(&subsections)
            .filter(marked)
            .map(Section::position);
        let relations = subsections
            .iter()
            .flat_map(Section::relations)
            .filter(|relation| relation.is_final());
        if let Some(position) = sections.chain(relations.map(Relation::position)).min() {
            let message =
                "a final mark (*) hides other files' token types from a KDC since krb5 1.22, and less before";
            report(
                Rule::FinalMark,
                Some(position),
                None,
                message.to_owned(),
                "keep [otp] in one file, without marks",
            );
        }
    }
}

pub(super) fn lint_type(context: &mut Context<'_>) {
    let name = context.section.name();
    let parts: Vec<Section<'_>> = context
        .profile
        .subsections(["otp"])
        .into_iter()
        .filter(|section| section.name() == name)
        .collect();

    if let [_, second, ..] = parts.as_slice() {
        let advice = "configure the type in one file; of two values for a key the first file's counts";
        let message = "the type is configured in more than one file, and their keys are merged";
        context.report(
            Rule::TypeInSeveralFiles,
            Some(second.position()),
            "",
            message,
            advice,
        );
    }
    if is_other_case(name, DEFAULT_TYPE) {
        let message =
            "the type is not the default one: case counts, and the KDC makes up a DEFAULT of its own";
        context.report(
            Rule::DefaultCase,
            None,
            "",
            message,
            "call it DEFAULT, or by a name that is not alike",
        );
    }
    if name == DEFAULT_TYPE.as_bytes() && context.relation("strip_realm").is_none() {
        let message =
            "a configured DEFAULT strips the realm from user names; the one that the KDC makes up does not";
        context.report(
            Rule::DefaultStripRealm,
            None,
            "strip_realm",
            message,
            "write strip_realm = true or false",
        );
    }
    for relation in parts.iter().flat_map(Section::relations) {
        let key = relation.name();
        if !KEYS.iter().any(|known| known.as_bytes() == key) {
            let advice = match KEYS.into_iter().find(|known| are_alike(known.as_bytes(), key)) {
                Some(known) => format!("write {known}"),
                None => format!("remove it; the keys are {}", KEYS.join(", ")),
            };
            let message = "the KDC does not know this key and ignores it";
            context.report(
                Rule::UnknownKey,
                Some(relation.position()),
                &text(key),
                message,
                &advice,
            );
        }
    }
    for section in parts.iter().flat_map(Section::sections) {
        let message = "a subsection inside a token type is ignored";
        let advice = "close the brace of the type first, or write a value after the equals sign";
        context.report(
            Rule::NestedSubsection,
            Some(section.position()),
            &text(section.name()),
            message,
            advice,
        );
    }
    for single in KEYS.into_iter().filter(|known| *known != "indicator") {
        let relations = context.profile.relations(key(name, single));
        let counts = relations
            .first()
            .map(|first| first.position().to_string())
            .unwrap_or_default();
        for relation in relations.iter().skip(1) {
            let message = format!("this value is ignored: the first one counts, at {counts}");
            context.report(
                Rule::RepeatedKey,
                Some(relation.position()),
                single,
                &message,
                "remove one of them",
            );
        }
    }
    for relation in context.profile.relations(key(name, "indicator")) {
        let value = relation.value();
        if value.is_empty() || value.iter().any(|octet| matches!(octet, b' ' | b'\t' | b',')) {
            let message = format!("\"{}\" is one indicator as a whole, not a list", text(value));
            let advice = "write indicator = NAME once for each";
            context.report(
                Rule::Indicator,
                Some(relation.position()),
                "indicator",
                &message,
                advice,
            );
        }
    }
}

fn is_other_case(name: &[u8], expected: &str) -> bool {
    name != expected.as_bytes() && name.eq_ignore_ascii_case(expected.as_bytes())
}

/// Whether someone who wrote `key` meant `known`: other case, hyphens, a plural or a singular.
fn are_alike(known: &[u8], key: &[u8]) -> bool {
    let normal = |name: &[u8]| {
        let letters: Vec<u8> = name
            .iter()
            .filter(|octet| octet.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
            .collect();
        let singular = letters.strip_suffix(b"ies").map(|stem| [stem, b"y"].concat());
        singular
            .or_else(|| letters.strip_suffix(b"s").map(<[u8]>::to_vec))
            .unwrap_or(letters)
    };
    normal(known) == normal(key)
}

#[cfg(test)]
mod tests {
    use super::are_alike;

    #[test]
    fn likeness() {
        for (known, key, expected) in [
            ("indicator", "indicators", true),
            ("retries", "Retry", true),
            ("strip_realm", "strip-realm", true),
            ("server", "servers", true),
            ("server", "secret", false),
            ("timeout", "timeouts", true),
            ("timeout", "time", false),
        ] {
            assert_eq!(are_alike(known.as_bytes(), key.as_bytes()), expected, "{key}");
        }
    }
}
