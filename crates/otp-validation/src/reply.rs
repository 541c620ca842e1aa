//! What an acceptance tells the client besides yes: attributes for the session, as an administrator has set them.
//!
//! Whoever sets them knows the names; from then on an attribute is a type and octets, so that nothing depends on a dictionary
//! when somebody logs in.

use std::{collections::HashMap, fmt, sync::Arc};

/// The most octets that the attributes of one user, one rule or one client may take in a packet. A user's and a client's, with what
/// a proxy wants echoed, fit into the 4096 of a packet (RFC 2865 §3).
pub const MAX_REPLY_OCTETS: usize = 1500;

/// One attribute of an Access-Accept (RFC 2865 §5).
#[derive(Clone, PartialEq, Eq)]
pub struct ReplyAttribute {
    /// Its name as dictionaries spell it, with the tag of a tunnel: `Session-Timeout`, `Tunnel-Type:1`.
    pub name: String,
    /// Its value as people read it.
    pub text: String,
    /// Type in the packet.
    pub kind: u8,
    /// Value in the packet: 1 to 253 octets.
    pub value: Vec<u8>,
    /// Whether a user's takes the place of a rule's or a client's of the same name ([`merged`]). If not, all are sent.
    pub overrides: bool,
}

impl ReplyAttribute {
    /// Octets in a packet: Type, Length and Value.
    pub fn octets(&self) -> usize {
        self.value.len().saturating_add(2)
    }
}

/// Shows the name: a value may tell of a person.
impl fmt::Debug for ReplyAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} octets)", self.name, self.value.len())
    }
}

/// Why attributes are not those of a user, a rule or a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A value that no packet can carry.
    #[error("the value of {0} is not 1 to 253 octets long")]
    Value(String),
    /// More than [`MAX_REPLY_OCTETS`].
    #[error("the attributes take {0} octets in a packet, {MAX_REPLY_OCTETS} is the most")]
    TooLong(usize),
}

/// The attributes that a user, a rule or a client brings into an Access-Accept, in their order. None cost nothing, and copies are
/// the same ones.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReplyAttributes(Option<Arc<[ReplyAttribute]>>);

impl ReplyAttributes {
    /// No attributes.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Takes the attributes.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if a packet has no room for them.
    pub fn new(attributes: Vec<ReplyAttribute>) -> Result<Self, ReplyError> {
        if let Some(wrong) = attributes
            .iter()
            .find(|one| !(1..=253).contains(&one.value.len()))
        {
            return Err(ReplyError::Value(wrong.name.clone()));
        }
        let octets = attributes
            .iter()
            .map(ReplyAttribute::octets)
            .fold(0, usize::saturating_add);
        if octets > MAX_REPLY_OCTETS {
            return Err(ReplyError::TooLong(octets));
        }
        Ok(Self((!attributes.is_empty()).then(|| attributes.into())))
    }

    /// The attributes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &ReplyAttribute> + Clone {
        self.0.iter().flat_map(|all| all.iter())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// What an Access-Accept carries of the attributes of several sources, each with its source: those of the first, then those of the
/// second but for what an earlier one takes the place of, and so on.
///
/// An attribute that [overrides](ReplyAttribute::overrides) counts where it is named first, with all the values that it has there.
pub fn merged<'a, S: Copy>(
    sources: impl IntoIterator<Item = (S, &'a ReplyAttributes)>,
) -> Vec<(S, &'a ReplyAttribute)> {
    let mut named_by = HashMap::new();
    let mut all = Vec::new();
    for (number, (source, attributes)) in sources.into_iter().enumerate() {
        for attribute in attributes.iter() {
            let first = *named_by.entry(attribute.name.as_str()).or_insert(number);
            if first == number || !attribute.overrides {
                all.push((source, attribute));
            }
        }
    }
    all
}

/// Shows the names: values may tell of a person.
impl fmt::Debug for ReplyAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(name: &str, text: &str, overrides: bool) -> ReplyAttribute {
        ReplyAttribute {
            name: name.to_owned(),
            text: text.to_owned(),
            kind: 25,
            value: text.as_bytes().to_vec(),
            overrides,
        }
    }

    fn attributes(all: &[(&str, &str, bool)]) -> ReplyAttributes {
        let all = all
            .iter()
            .map(|(name, text, overrides)| attribute(name, text, *overrides));
        ReplyAttributes::new(all.collect()).unwrap()
    }

    fn sent(sources: &[&ReplyAttributes]) -> Vec<String> {
        merged((0..).zip(sources.iter().copied()))
            .iter()
            .map(|(source, one)| format!("{source} {}={}", one.name, one.text))
            .collect()
    }

    #[test]
    fn earlier_sources_come_first_and_take_the_place_of_later_ones() {
        let user = attributes(&[
            ("Session-Timeout", "60", true),
            ("Class", "staff", false),
            ("Tunnel-Type:1", "VLAN", true),
            ("Cisco-AVPair", "a", true),
            ("Cisco-AVPair", "b", true),
        ]);
        let client = attributes(&[
            ("Class", "vpn", false),
            ("Session-Timeout", "3600", true),
            ("Idle-Timeout", "300", true),
            ("Tunnel-Type:1", "L2TP", true),
            ("Tunnel-Type:2", "VLAN", true),
            ("Cisco-AVPair", "c", true),
        ]);
        assert_eq!(
            sent(&[&user, &client]),
            [
                "0 Session-Timeout=60",
                "0 Class=staff",
                "0 Tunnel-Type:1=VLAN",
                "0 Cisco-AVPair=a",
                "0 Cisco-AVPair=b",
                "1 Class=vpn",
                "1 Idle-Timeout=300",
                "1 Tunnel-Type:2=VLAN",
            ]
        );
        let rule = attributes(&[
            ("Idle-Timeout", "20", true),
            ("Mikrotik-Group", "a", true),
            ("Mikrotik-Group", "b", true),
            ("Class", "rule", false),
            ("Session-Timeout", "5", true),
        ]);
        assert_eq!(
            sent(&[&user, &rule, &client, &rule]),
            [
                "0 Session-Timeout=60",
                "0 Class=staff",
                "0 Tunnel-Type:1=VLAN",
                "0 Cisco-AVPair=a",
                "0 Cisco-AVPair=b",
                "1 Idle-Timeout=20",
                "1 Mikrotik-Group=a",
                "1 Mikrotik-Group=b",
                "1 Class=rule",
                "2 Class=vpn",
                "2 Tunnel-Type:2=VLAN",
                "3 Class=rule",
            ]
        );
        let none = ReplyAttributes::default();
        assert_eq!(sent(&[&none, &client]).len(), 6);
        assert_eq!(sent(&[&user, &none]).len(), 5);
        assert_eq!(sent(&[&none, &none]).len(), 0);
    }

    proptest! {
        /// What is sent of a name is what its first source has, or all of it where it may occur several times; order is kept.
        #[test]
        fn one_source_speaks_for_each_name(
            sources in prop::collection::vec(prop::collection::vec((0_usize..4, "[a-z]"), 0..5), 0..5)
        ) {
            const NAMES: [(&str, bool); 4] =
                [("Class", false), ("Idle-Timeout", true), ("Tunnel-Type:1", true), ("Reply-Message", false)];
            let sources: Vec<_> = sources
                .iter()
                .map(|source| {
                    let of = |(name, text): &(usize, String)| attribute(NAMES[*name].0, text, NAMES[*name].1);
                    ReplyAttributes::new(source.iter().map(of).collect()).unwrap()
                })
                .collect();
            let all: Vec<(usize, &ReplyAttribute)> = sources
                .iter()
                .enumerate()
                .flat_map(|(number, source)| source.iter().map(move |one| (number, one)))
                .collect();
            let expected: Vec<_> = all
                .iter()
                .filter(|(number, one)| {
                    let first = all.iter().find(|(_, other)| other.name == one.name).unwrap().0;
                    !one.overrides || first == *number
                })
                .copied()
                .collect();
            prop_assert_eq!(merged(sources.iter().enumerate()), expected);
        }
    }

    #[test]
    fn what_a_packet_has_no_room_for_is_refused() {
        let long = |length: usize| attribute("Class", &"x".repeat(length), false);
        for length in [0, 254] {
            assert_eq!(
                ReplyAttributes::new(vec![long(length)]),
                Err(ReplyError::Value("Class".into()))
            );
        }
        // 5 × 255 + 225 = 1500.
        let mut most = vec![long(253); 5];
        most.push(long(223));
        assert!(ReplyAttributes::new(most.clone()).is_ok());
        most.push(long(1));
        assert_eq!(ReplyAttributes::new(most), Err(ReplyError::TooLong(1503)));
        assert!(ReplyAttributes::new(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn values_stay_out_of_logs() {
        let all = attributes(&[("Framed-IP-Address", "192.0.2.7", true)]);
        assert_eq!(format!("{all:?}"), "[Framed-IP-Address (9 octets)]");
    }
}
