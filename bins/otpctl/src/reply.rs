//! Options that change what an Access-Accept carries, of a user's, a rule's and a client's.

use std::path::{Path, PathBuf};

use krad::{
    Attribute, AttributeType, Occurrence,
    dictionary::{DataType, Dictionary, DictionaryFiles, EncodedAttribute, ValueError},
};
use otp_validation::{ReplyAttribute, ReplyAttributes, ReplyError};
use serde::Serialize;

use crate::{failure::Failure, text};

/// `--reply`, `--no-reply` and where names come from.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplyOptions {
    /// Add an attribute to every Access-Accept, in the place of those of this name: NAME=VALUE, or NAME:TAG=VALUE for a tunnel's.
    /// Give the option again for more.
    #[arg(long, groups = ["change", "named"], value_name = "NAME=VALUE")]
    reply: Vec<String>,
    /// Remove an attribute from every Access-Accept; without TAG, whatever tag it has.
    #[arg(long, group = "change", value_name = "NAME[:TAG]")]
    no_reply: Vec<String>,
    /// Take more names of attributes from a dictionary in the format of FreeRADIUS.
    #[arg(long, value_name = "FILE", requires = "named")]
    dictionary: Option<PathBuf>,
}

/// What the options ask for, checked.
#[derive(Debug, Default)]
pub(crate) struct ReplyChanges {
    set: Vec<ReplyAttribute>,
    removed: Vec<String>,
}

impl ReplyOptions {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.reply.is_empty() && self.no_reply.is_empty()
    }

    /// Those of an object that has no attributes yet.
    pub(crate) fn new(reply: Vec<String>, dictionary: Option<PathBuf>) -> Self {
        Self {
            reply,
            no_reply: Vec::new(),
            dictionary,
        }
    }

    /// The names that there are.
    pub(crate) fn names(&self) -> Result<Dictionary, Failure> {
        dictionary(self.dictionary.as_deref())
    }

    /// Checks the options against what `present` has, which belongs to `owner`, before anything is changed.
    pub(crate) fn changes(&self, owner: &str, present: &ReplyAttributes) -> Result<ReplyChanges, Failure> {
        let dictionary = self.names()?;
        let mut changes = ReplyChanges::default();
        for text in &self.reply {
            let (attribute, occurrence) = parse(&dictionary, text)?;
            let is_there = changes.set.iter().any(|other| other.name == attribute.name);
            if is_there && occurrence != Occurrence::Many {
                let cause = format!(
                    "{} is given twice, and may occur once in an Access-Accept",
                    attribute.name
                );
                return Err(Failure::usage(cause));
            }
            changes.set.push(attribute);
        }
        for name in &self.no_reply {
            if !present.iter().any(|attribute| is_called(attribute, name)) {
                return Err(Failure::object(format!("{owner} has no reply attribute {name}")));
            }
            changes.removed.push(name.clone());
        }
        changes.applied_to(present).map_err(Failure::data)?;
        Ok(changes)
    }
}

/// The names of attributes, with those of `file`.
pub(crate) fn dictionary(file: Option<&Path>) -> Result<Dictionary, Failure> {
    let mut dictionary = Dictionary::core().clone();
    if let Some(file) = file {
        dictionary
            .include(file, &DictionaryFiles)
            .map_err(Failure::data)?;
    }
    Ok(dictionary)
}

impl ReplyChanges {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// What becomes of `before`: what was set takes the place of what had its name.
    pub(crate) fn applied_to(&self, before: &ReplyAttributes) -> Result<ReplyAttributes, ReplyError> {
        let stays = |attribute: &&ReplyAttribute| {
            let is_replaced = self.set.iter().any(|new| new.name == attribute.name);
            let is_removed = self.removed.iter().any(|name| is_called(attribute, name));
            !(is_replaced || is_removed)
        };
        let kept = before.iter().filter(stays).cloned();
        ReplyAttributes::new(kept.chain(self.set.iter().cloned()).collect())
    }
}

/// Whether `name` is the attribute's, with its tag or without.
fn is_called(attribute: &ReplyAttribute, name: &str) -> bool {
    let untagged = attribute.name.rsplit_once(':').map(|(name, _)| name);
    attribute.name.eq_ignore_ascii_case(name) || untagged.is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// Reads `NAME=VALUE`: the attribute, and the value as it was written.
pub(crate) fn encoded<'d, 'w>(
    dictionary: &'d Dictionary,
    written: &'w str,
) -> Result<(EncodedAttribute<'d>, &'w str), Failure> {
    let Some((name, value)) = written.split_once('=') else {
        let cause = format!("{written:?} is not NAME=VALUE, such as Session-Timeout=3600");
        return Err(Failure::usage(cause));
    };
    let (name, value) = (name.trim(), value.trim());
    let encoded = dictionary.encode(name, value).map_err(|error| match error {
        ValueError::UnknownAttribute(_) => Failure::data(error).with_remedy(
            "take its name from the vendor's dictionary: --dictionary FILE, for example one of /usr/share/freeradius",
        ),
        other => Failure::data(other),
    })?;
    Ok((encoded, value))
}

/// Its name as dictionaries spell it, with the tag of a tunnel.
pub(crate) fn full_name(encoded: &EncodedAttribute<'_>) -> String {
    match encoded.tag {
        Some(tag) => format!("{}:{}", encoded.definition.name, tag.get()),
        None => encoded.definition.name.clone(),
    }
}

/// Reads `NAME=VALUE`: the attribute, and how often it may occur under its name.
fn parse(dictionary: &Dictionary, written: &str) -> Result<(ReplyAttribute, Occurrence), Failure> {
    let (encoded, value) = encoded(dictionary, written)?;
    let occurrence = occurrence(&encoded)?;
    let is_vendors = encoded.kind == AttributeType::VENDOR_SPECIFIC;
    let attribute = ReplyAttribute {
        name: full_name(&encoded),
        text: shown(dictionary, &encoded, value),
        kind: encoded.kind.0,
        // What of a vendor's attributes may occur twice, no table says; a user's own are for this user.
        overrides: is_vendors || occurrence == Occurrence::Once,
        value: encoded.value,
    };
    Ok((attribute, occurrence))
}

/// How often the attribute may occur under its name and tag.
fn occurrence(encoded: &EncodedAttribute<'_>) -> Result<Occurrence, Failure> {
    const EAP_KEY_NAME: AttributeType = AttributeType(102);
    let name = &encoded.definition.name;
    match encoded.kind {
        AttributeType::STATE
        | AttributeType::PROXY_STATE
        | AttributeType::MESSAGE_AUTHENTICATOR
        | AttributeType::EAP_MESSAGE
        | EAP_KEY_NAME => Err(Failure::data(format!(
            "{name} is written by the server itself, where it belongs"
        ))),
        // One tunnel has one of each (RFC 2868 §3).
        _ if encoded.definition.flags.has_tag => Ok(Occurrence::Once),
        kind => match Occurrence::in_access_accept(kind) {
            Occurrence::Never => Err(Failure::data(format!(
                "{name} must not be in an Access-Accept (RFC 2865 §5.44, RFC 2869 §5.19)"
            ))),
            other => Ok(other),
        },
    }
}

/// Text as it was written, anything else in the form of its type.
pub(crate) fn shown(dictionary: &Dictionary, encoded: &EncodedAttribute<'_>, written: &str) -> String {
    if matches!(
        encoded.definition.data_type,
        DataType::String | DataType::Octets | DataType::Abinary
    ) {
        let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        return inner.unwrap_or(written).to_owned();
    }
    let attribute = Attribute {
        kind: encoded.kind,
        value: &encoded.value,
    };
    let line = dictionary.display(attribute).to_string();
    line.split_once(" = ")
        .map_or(line.clone(), |(_, value)| value.to_owned())
}

/// An attribute as `--json` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ReplyView {
    /// Name, with the tag of a tunnel.
    attribute: String,
    value: String,
}

impl ReplyView {
    pub(crate) fn new(attribute: &ReplyAttribute) -> Self {
        Self {
            attribute: attribute.name.clone(),
            value: attribute.text.clone(),
        }
    }

    pub(crate) fn all<'a>(attributes: impl IntoIterator<Item = &'a ReplyAttribute>) -> Vec<Self> {
        attributes.into_iter().map(Self::new).collect()
    }

    /// `Session-Timeout = 3600`.
    pub(crate) fn line(&self) -> String {
        format!("{} = {}", self.attribute, text::escape(&self.value))
    }
}

/// For people: all of them on one line.
pub(crate) fn listed(attributes: &[ReplyView]) -> String {
    if attributes.is_empty() {
        return "none".to_owned();
    }
    let lines: Vec<_> = attributes.iter().map(ReplyView::line).collect();
    lines.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(reply: &[&str], no_reply: &[&str]) -> ReplyOptions {
        ReplyOptions {
            reply: reply.iter().map(ToString::to_string).collect(),
            no_reply: no_reply.iter().map(ToString::to_string).collect(),
            dictionary: None,
        }
    }

    fn after(present: &ReplyAttributes, reply: &[&str], no_reply: &[&str]) -> ReplyAttributes {
        let changes = options(reply, no_reply).changes("alice", present).unwrap();
        changes.applied_to(present).unwrap()
    }

    fn lines(attributes: &ReplyAttributes) -> Vec<String> {
        ReplyView::all(attributes.iter())
            .iter()
            .map(ReplyView::line)
            .collect()
    }

    #[test]
    fn what_is_set_takes_the_place_of_what_had_its_name() {
        let none = ReplyAttributes::none();
        let first = after(
            &none,
            &[
                "session-timeout = 3600",
                "Tunnel-Type:1=vlan",
                "Tunnel-Medium-Type:1=6",
                "Tunnel-Private-Group-ID:1=20",
                "Tunnel-Private-Group-ID:2=30",
                "Cisco-AVPair=shell:priv-lvl=15",
                "Cisco-AVPair=\"ip:dns-servers=192.0.2.1\"",
                "Class=0x6f75",
                "Reply-Message=Welcome, alice",
            ],
            &[],
        );
        assert_eq!(
            lines(&first),
            [
                "Session-Timeout = 3600",
                "Tunnel-Type:1 = VLAN",
                "Tunnel-Medium-Type:1 = IEEE-802",
                "Tunnel-Private-Group-ID:1 = 20",
                "Tunnel-Private-Group-ID:2 = 30",
                "Cisco-AVPair = shell:priv-lvl=15",
                "Cisco-AVPair = ip:dns-servers=192.0.2.1",
                "Class = 0x6f75",
                "Reply-Message = Welcome, alice",
            ]
        );
        let overrides: Vec<_> = first.iter().map(|one| one.overrides).collect();
        assert_eq!(
            overrides,
            [true, true, true, true, true, true, true, false, false]
        );
        let second = after(
            &first,
            &["Session-Timeout=60", "Cisco-AVPair=shell:priv-lvl=1"],
            &["tunnel-private-group-id", "Tunnel-Type:1", "Class"],
        );
        assert_eq!(
            lines(&second),
            [
                "Tunnel-Medium-Type:1 = IEEE-802",
                "Reply-Message = Welcome, alice",
                "Session-Timeout = 60",
                "Cisco-AVPair = shell:priv-lvl=1",
            ]
        );
    }

    #[test]
    fn what_does_not_belong_into_an_acceptance_is_refused() {
        let long = format!("Reply-Message={}", "x".repeat(253));
        for (reply, no_reply, cause) in [
            (vec!["Session-Timeout"], vec![], "is not NAME=VALUE"),
            (vec!["Nonsense=1"], vec![], "no attribute is called Nonsense"),
            (
                vec!["Session-Timeout=soon"],
                vec![],
                "Session-Timeout takes a whole number",
            ),
            (vec!["Session-Timeout:1=5"], vec![], "takes no tag"),
            (vec!["NAS-Port=5"], vec![], "must not be in an Access-Accept"),
            (vec!["User-Password=x"], vec![], "is a secret"),
            (vec!["Tunnel-Password:1=x"], vec![], "is a secret"),
            (vec!["MS-MPPE-Send-Key=x"], vec![], "is a secret"),
            (vec!["State=x"], vec![], "is written by the server itself"),
            (vec!["Proxy-State=x"], vec![], "is written by the server itself"),
            (
                vec!["Message-Authenticator=0x00"],
                vec![],
                "is written by the server itself",
            ),
            (vec!["EAP-Message=x"], vec![], "is written by the server itself"),
            (
                vec!["Idle-Timeout=1", "idle-timeout=2"],
                vec![],
                "Idle-Timeout is given twice",
            ),
            (
                vec!["Tunnel-Type:1=VLAN", "Tunnel-Type:1=GRE"],
                vec![],
                "Tunnel-Type:1 is given twice",
            ),
            (vec![], vec!["Class"], "alice has no reply attribute Class"),
            (vec![long.as_str(); 6], vec![], "the attributes take 1530 octets"),
        ] {
            let refused = options(&reply, &no_reply).changes("alice", &ReplyAttributes::none());
            let message = refused.unwrap_err().cause.to_string();
            assert!(message.contains(cause), "{reply:?}: {message}");
        }
    }
}
