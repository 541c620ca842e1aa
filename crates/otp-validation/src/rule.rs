//! Rules: attributes of acceptances for all logins of a kind, whoever the user and whichever the client is.

use std::{collections::HashSet, fmt, str::FromStr, sync::Arc};

use crate::{Pattern, ReplyAttribute, ReplyAttributes, UserName, merged};

/// The longest pattern of a name in octets, as the longest name (RFC 2865 §5).
const LONGEST: usize = 253;

/// A pattern of names, as somebody wrote it: a name, in which `*` stands for whatever is there.
#[derive(Clone, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    pattern: Pattern,
}

/// Why a text is no pattern of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all, or longer than a name can be.
    #[error("a pattern has 1 to {LONGEST} octets")]
    Length,
    /// No name has control characters.
    #[error("a pattern must not contain control characters")]
    Control,
}

impl NamePattern {
    /// A pattern of realms. They are names of domains (RFC 7542 §2.4), so it is in lower case, whatever its letters look like.
    ///
    /// # Errors
    ///
    /// [`PatternError`], as for other names.
    pub fn of_realms(text: &str) -> Result<Self, PatternError> {
        text.to_lowercase().parse()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one name alone, which is then [`as_str`](Self::as_str).
    pub fn is_exact(&self) -> bool {
        !self.text.contains('*')
    }

    /// Whether it stands for this name, among others perhaps.
    pub fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name.as_bytes())
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if !(1..=LONGEST).contains(&text.len()) {
            return Err(PatternError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(PatternError::Control);
        }
        Ok(Self {
            text: text.to_owned(),
            pattern: Pattern::glob(text.as_bytes()),
        })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Which of a vendor's attributes one is (RFC 2865 §5.26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorAttribute {
    /// Private Enterprise Number of the vendor.
    pub vendor: u32,
    /// The vendor's own type.
    pub kind: u32,
}

/// What an attribute of a request has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeCondition {
    /// Its name as dictionaries spell it.
    pub name: String,
    /// The value as it was written.
    pub text: String,
    /// Type in the packet.
    pub kind: u8,
    /// Which one it is inside of Vendor-Specific, if it is a vendor's.
    pub vendor: Option<VendorAttribute>,
    /// The octets of its value.
    pub pattern: Pattern,
}

impl AttributeCondition {
    fn holds(&self, attributes: &[RequestAttribute<'_>]) -> bool {
        attributes.iter().any(|attribute| {
            attribute.kind == self.kind
                && attribute.vendor == self.vendor
                && self.pattern.matches(attribute.value)
        })
    }
}

impl fmt::Display for AttributeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.text)
    }
}

/// Which logins a rule is about. Each kind of condition that is there has to hold; none is about every login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The client is called like one of these.
    pub clients: Vec<NamePattern>,
    /// The name that came in has a realm like one of these, from [`NamePattern::of_realms`].
    pub realms: Vec<NamePattern>,
    /// The user is called like one of these.
    pub users: Vec<NamePattern>,
    /// The request has an attribute like one of these, for each of their names.
    pub attributes: Vec<AttributeCondition>,
}

impl Conditions {
    /// How many there are, of all kinds.
    pub fn count(&self) -> usize {
        let names = [&self.clients, &self.realms, &self.users];
        names.iter().fold(self.attributes.len(), |count, patterns| {
            count.saturating_add(patterns.len())
        })
    }

    /// Each of them as people write it: `client=switch-*`, `Called-Station-Id=*:guest`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("client", &self.clients),
            ("realm", &self.realms),
            ("user", &self.users),
        ];
        let names = kinds
            .into_iter()
            .flat_map(|(kind, patterns)| patterns.iter().map(move |pattern| format!("{kind}={pattern}")));
        names.chain(self.attributes.iter().map(ToString::to_string))
    }

    /// Whether they are about this login.
    pub fn hold(&self, login: &Login<'_>) -> bool {
        let alike = |patterns: &[NamePattern], name: Option<&str>| {
            patterns.is_empty()
                || name.is_some_and(|name| patterns.iter().any(|pattern| pattern.matches(name)))
        };
        alike(&self.clients, Some(login.client))
            && alike(&self.users, login.user())
            && (self.realms.is_empty() || alike(&self.realms, login.realm().as_deref()))
            && self.attributes_hold(&login.attributes)
    }

    fn attributes_hold(&self, attributes: &[RequestAttribute<'_>]) -> bool {
        // Each name once: there may be many alternatives.
        let mut names = HashSet::new();
        let mut each_name = self.attributes.iter().filter(|wanted| names.insert(&wanted.name));
        each_name.all(|wanted| {
            let mut alternatives = self.attributes.iter().filter(|other| other.name == wanted.name);
            alternatives.any(|one| one.holds(attributes))
        })
    }
}

/// `client=switch-*, realm=corp.example, Called-Station-Id=*:guest`; `every login` if there are none.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 0 {
            return f.write_str("every login");
        }
        f.write_str(&self.texts().collect::<Vec<_>>().join(", "))
    }
}

/// One attribute of a request, or one inside of Vendor-Specific.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestAttribute<'a> {
    /// Type in the packet.
    pub kind: u8,
    /// Which one it is inside of Vendor-Specific, if it is a vendor's.
    pub vendor: Option<VendorAttribute>,
    /// Value.
    pub value: &'a [u8],
}

/// Shows the type: a value can be a password or name a person.
impl fmt::Debug for RequestAttribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ({} octets)", self.kind, self.vendor, self.value.len())
    }
}

/// What rules look at of a login that was accepted.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// Name of the client.
    pub client: &'a str,
    /// The name that came in, if it can name anybody.
    pub name: Option<UserName>,
    /// The stored name of the user; `None` for one whom others know.
    pub user: Option<&'a UserName>,
    /// The attributes of the request.
    pub attributes: Vec<RequestAttribute<'a>>,
}

impl Login<'_> {
    /// The name of the user: the stored one or else what came in.
    fn user(&self) -> Option<&str> {
        self.user.or(self.name.as_ref()).map(UserName::as_str)
    }

    /// The realm of the name that came in, in lower case.
    fn realm(&self) -> Option<String> {
        let (_, realm) = self.name.as_ref()?.split_realm()?;
        Some(realm.to_lowercase())
    }
}

/// A rule: what the acceptances of some logins carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRule {
    /// Its name.
    pub name: String,
    /// Which logins.
    pub conditions: Conditions,
    /// What their acceptances carry.
    pub reply: ReplyAttributes,
}

/// The rules that hold, in their order. None cost nothing, and copies are the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyRules(Option<Arc<[ReplyRule]>>);

impl ReplyRules {
    /// No rules.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those that are about this login, in their order.
    pub fn about<'a>(&'a self, login: &Login<'_>) -> Vec<&'a ReplyRule> {
        let rules = self.0.iter().flat_map(|rules| rules.iter());
        rules.filter(|rule| rule.conditions.hold(login)).collect()
    }

    /// What the Access-Accept of `login` carries, each with where it comes from: what the user has, then what the rules about the
    /// login say, in their order, then what the client has, [`merged`].
    pub fn sent<'a>(
        &'a self,
        login: &Login<'_>,
        users: &'a ReplyAttributes,
        clients: &'a ReplyAttributes,
    ) -> Vec<(ReplySource<'a>, &'a ReplyAttribute)> {
        let rules = self.about(login).into_iter();
        let rules = rules.map(|rule| (ReplySource::Rule(&rule.name), &rule.reply));
        let sources = [(ReplySource::User, users)].into_iter().chain(rules);
        merged(sources.chain([(ReplySource::Client, clients)]))
    }
}

/// Where an attribute of an Access-Accept comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySource<'a> {
    /// The user has it.
    User,
    /// The rule of this name says so.
    Rule(&'a str),
    /// The client has it.
    Client,
}

impl FromIterator<ReplyRule> for ReplyRules {
    fn from_iter<I: IntoIterator<Item = ReplyRule>>(rules: I) -> Self {
        let rules: Vec<_> = rules.into_iter().collect();
        Self((!rules.is_empty()).then(|| rules.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED_STATION_ID: u8 = 30;
    const CISCO: VendorAttribute = VendorAttribute { vendor: 9, kind: 1 };

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn realm_patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts
            .iter()
            .map(|text| NamePattern::of_realms(text).unwrap())
            .collect()
    }

    fn condition(name: &str, text: &str, vendor: Option<VendorAttribute>) -> AttributeCondition {
        AttributeCondition {
            name: name.to_owned(),
            text: text.to_owned(),
            kind: if vendor.is_some() { 26 } else { CALLED_STATION_ID },
            vendor,
            pattern: Pattern::glob(text.as_bytes()),
        }
    }

    fn login<'a>(client: &'a str, name: &str, user: Option<&'a UserName>) -> Login<'a> {
        Login {
            client,
            name: UserName::parse(name.as_bytes()).ok(),
            user,
            attributes: vec![
                RequestAttribute {
                    kind: 1,
                    vendor: None,
                    value: b"00-11:guest",
                },
                RequestAttribute {
                    kind: CALLED_STATION_ID,
                    vendor: None,
                    value: b"00-11:guest",
                },
                RequestAttribute {
                    kind: 26,
                    vendor: Some(CISCO),
                    value: b"ssid=guest",
                },
            ],
        }
    }

    #[test]
    fn every_kind_of_condition_has_to_hold_by_one_of_its_alternatives() {
        let alice = UserName::parse(b"alice").unwrap();
        let through = login("switch-7", "alice@Corp.Example", Some(&alice));
        let clients = |texts: &[&str]| Conditions {
            clients: patterns(texts),
            ..Conditions::default()
        };
        let realms = |texts: &[&str]| Conditions {
            realms: realm_patterns(texts),
            ..Conditions::default()
        };
        let users = |texts: &[&str]| Conditions {
            users: patterns(texts),
            ..Conditions::default()
        };
        let attributes = |all: &[AttributeCondition]| Conditions {
            attributes: all.to_vec(),
            ..Conditions::default()
        };
        let called = |text| condition("Called-Station-Id", text, None);
        let cisco = |text| condition("Cisco-AVPair", text, Some(CISCO));
        for (conditions, expected) in [
            (Conditions::default(), true),
            (clients(&["switch-*"]), true),
            (clients(&["vpn", "switch-7"]), true),
            (clients(&["vpn", "SWITCH-7"]), false),
            (realms(&["corp.example"]), true),
            (realms(&["CORP.EXAMPLE"]), true),
            (realms(&["*.Example"]), true),
            (realms(&["corp"]), false),
            (users(&["alice"]), true),
            (users(&["a*"]), true),
            (users(&["Alice", "bob"]), false),
            // The name that the store has counts, not the one that came in.
            (users(&["alice@Corp.Example"]), false),
            (attributes(&[called("*:guest")]), true),
            (attributes(&[called("*:staff")]), false),
            (attributes(&[called("*:staff"), called("*:guest")]), true),
            (attributes(&[called("*:guest"), cisco("ssid=*")]), true),
            (attributes(&[called("*:guest"), cisco("vlan=*")]), false),
            (
                attributes(&[condition(
                    "Other",
                    "ssid=*",
                    Some(VendorAttribute { kind: 2, ..CISCO }),
                )]),
                false,
            ),
            (
                Conditions {
                    clients: patterns(&["switch-*"]),
                    realms: patterns(&["corp.example"]),
                    users: patterns(&["alice"]),
                    attributes: vec![called("*:guest")],
                },
                true,
            ),
            (
                Conditions {
                    realms: patterns(&["other.example"]),
                    ..clients(&["switch-*"])
                },
                false,
            ),
        ] {
            assert_eq!(conditions.hold(&through), expected, "{conditions}");
        }

        let elsewhere = login("vpn", "bob@corp.example", None);
        assert!(users(&["bob@corp.example"]).hold(&elsewhere));
        assert!(!users(&["bob"]).hold(&elsewhere));
        let nobody = login("vpn", "", None);
        assert!(!users(&["*"]).hold(&nobody) && !realms(&["*"]).hold(&nobody));
        assert!(!realms(&["*"]).hold(&login("vpn", "alice", None)));
        assert_eq!(realms(&["DOMAIN"]).to_string(), "realm=domain");
        assert!(realms(&["DOMAIN"]).hold(&login("vpn", r"domain\alice", None)));
    }

    /// Looking at all alternatives for each of them would take a thousand million steps here.
    #[test]
    fn time_grows_with_the_alternatives_and_no_faster() {
        let mut attributes: Vec<_> = (0..30_000)
            .map(|_| condition("Called-Station-Id", "other", None))
            .collect();
        attributes.push(condition("Called-Station-Id", "*:guest", None));
        let conditions = Conditions {
            attributes,
            ..Conditions::default()
        };
        assert!(conditions.hold(&login("vpn", "alice", None)));
    }

    #[test]
    fn rules_that_hold_keep_their_order() {
        let rule = |name: &str, client: &str| ReplyRule {
            name: name.to_owned(),
            conditions: Conditions {
                clients: patterns(&[client]),
                ..Conditions::default()
            },
            reply: ReplyAttributes::none(),
        };
        let rules: ReplyRules = [rule("b", "v*"), rule("x", "w*"), rule("a", "*")]
            .into_iter()
            .collect();
        let login = login("vpn", "alice", None);
        let names: Vec<_> = rules
            .about(&login)
            .iter()
            .map(|rule| rule.name.as_str())
            .collect();
        assert_eq!(names, ["b", "a"]);
        assert!(ReplyRules::none().is_empty() && ReplyRules::none().about(&login).is_empty());
        assert_eq!([].into_iter().collect::<ReplyRules>(), ReplyRules::none());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let parsed = |text: &str| text.parse::<NamePattern>();
        assert_eq!(parsed(""), Err(PatternError::Length));
        assert_eq!(parsed(&"x".repeat(254)), Err(PatternError::Length));
        assert_eq!(parsed("a\nb"), Err(PatternError::Control));
        assert!(!parsed("a*").unwrap().is_exact() && parsed("a").unwrap().is_exact());
    }

    #[test]
    fn conditions_are_shown_as_they_are_written() {
        assert_eq!(Conditions::default().to_string(), "every login");
        let all = Conditions {
            clients: patterns(&["switch-*", "ap"]),
            realms: patterns(&["corp.example"]),
            users: Vec::new(),
            attributes: vec![condition("Called-Station-Id", "*:guest", None)],
        };
        assert_eq!(
            all.to_string(),
            "client=switch-*, client=ap, realm=corp.example, Called-Station-Id=*:guest"
        );
        assert_eq!(all.count(), 4);
    }
}
