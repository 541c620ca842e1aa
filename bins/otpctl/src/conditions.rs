//! Options that say which logins a rule is about, and attributes of requests by name.

use krad::{
    Attribute, AttributeType, VendorFormat, VendorId,
    dictionary::{DataType, Dictionary, EncodedAttribute},
};
use otp_validation::{
    AttributeCondition, Conditions, NamePattern, Pattern, PatternError, RequestAttribute, VendorAttribute,
};

use crate::{
    failure::Failure,
    reply::{encoded, full_name, shown},
};

/// `--client`, `--realm`, `--user`, `--attribute`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConditionOptions {
    /// The client is called so. In patterns, * stands for whatever is there; an option that is given again is another possibility.
    #[arg(long, group = "change", value_name = "PATTERN")]
    client: Vec<NamePattern>,
    /// The name that comes in has this realm: what follows its last @, or precedes its first \; in upper or lower case.
    #[arg(long, group = "change", value_name = "PATTERN", value_parser = parse_realm)]
    realm: Vec<NamePattern>,
    /// The user is called so here; users of whom only an upstream knows, as they come in.
    #[arg(long, group = "change", value_name = "PATTERN")]
    user: Vec<NamePattern>,
    /// The request has this attribute. Text is a pattern, unless it stands in double quotes; each NAME that is given has to be there.
    #[arg(long, groups = ["change", "named"], value_name = "NAME=VALUE")]
    attribute: Vec<String>,
}

fn parse_realm(text: &str) -> Result<NamePattern, PatternError> {
    NamePattern::of_realms(text)
}

impl ConditionOptions {
    /// What is given.
    pub(crate) fn read(&self, dictionary: &Dictionary) -> Result<Conditions, Failure> {
        let parse = |text: &String| parse_condition(dictionary, text);
        Ok(Conditions {
            clients: self.client.clone(),
            realms: self.realm.clone(),
            users: self.user.clone(),
            attributes: self.attribute.iter().map(parse).collect::<Result<_, _>>()?,
        })
    }
}

/// Lets what is given take the place of what `conditions` have of its kind, of attributes of the same name.
pub(crate) fn put(given: Conditions, conditions: &mut Conditions) {
    let kinds = [
        (given.clients, &mut conditions.clients),
        (given.realms, &mut conditions.realms),
        (given.users, &mut conditions.users),
    ];
    for (given, patterns) in kinds {
        if !given.is_empty() {
            *patterns = given;
        }
    }
    let given = given.attributes;
    conditions
        .attributes
        .retain(|old| !given.iter().any(|new| new.name == old.name));
    conditions.attributes.extend(given);
}

/// Reads `NAME=VALUE`, where text may be a pattern.
fn parse_condition(dictionary: &Dictionary, written: &str) -> Result<AttributeCondition, Failure> {
    let (encoded, text) = encoded_of_request(dictionary, written)?;
    let (vendor, value) = place(dictionary, &encoded)?;
    let is_quoted = text.strip_prefix('"').is_some_and(|rest| rest.ends_with('"'));
    let (is_text, is_glob) = match encoded.definition.data_type {
        DataType::String => (true, text.contains('*') && !is_quoted),
        DataType::Octets => (true, text.contains('*') && !is_quoted && !text.starts_with("0x")),
        _ => (false, false),
    };
    let pattern = match value.strip_suffix(text.as_bytes()).filter(|_| is_glob) {
        // Before the text, the tag of a tunnel or the number of an extended type.
        Some(before) => Pattern::glob(text.as_bytes()).behind(before),
        None => Pattern::exact(value),
    };
    Ok(AttributeCondition {
        name: full_name(&encoded),
        text: if is_text {
            text.to_owned()
        } else {
            shown(dictionary, &encoded, text)
        },
        kind: encoded.kind.0,
        vendor,
        pattern,
    })
}

/// Reads an attribute that a request may have.
fn encoded_of_request<'d, 'w>(
    dictionary: &'d Dictionary,
    written: &'w str,
) -> Result<(EncodedAttribute<'d>, &'w str), Failure> {
    let (encoded, text) = encoded(dictionary, written)?;
    match encoded.kind {
        AttributeType::STATE
        | AttributeType::PROXY_STATE
        | AttributeType::MESSAGE_AUTHENTICATOR
        | AttributeType::EAP_MESSAGE
        | AttributeType::CHAP_CHALLENGE => Err(Failure::data(format!(
            "{} is another one in each request",
            encoded.definition.name
        ))
        .with_remedy("rules look at what requests of a kind have in common, such as NAS-Identifier or Called-Station-Id")),
        _ => Ok((encoded, text)),
    }
}

/// Where an attribute stands in a packet, and its value there.
fn place<'e>(
    dictionary: &Dictionary,
    encoded: &'e EncodedAttribute<'_>,
) -> Result<(Option<VendorAttribute>, &'e [u8]), Failure> {
    let attribute = Attribute {
        kind: encoded.kind,
        value: &encoded.value,
    };
    let is_usual = |vendor: VendorId| {
        dictionary
            .vendor(vendor)
            .is_some_and(|vendor| vendor.format == VendorFormat::default())
    };
    match attribute.values().next() {
        Some((None, value)) if encoded.kind != AttributeType::VENDOR_SPECIFIC => Ok((None, value)),
        Some((Some((vendor, kind)), value)) if is_usual(vendor) => {
            let vendor = vendor.0;
            Ok((Some(VendorAttribute { vendor, kind }), value))
        }
        _ => Err(Failure::data(format!(
            "{} is not laid out as RFC 2865 §5.26 recommends, and not looked for in requests",
            encoded.definition.name
        ))
        .with_remedy("attributes of RFCs and of vendors that use the recommended layout can be looked for")),
    }
}

/// The attributes of a request that `--attribute` describes.
#[derive(Debug)]
pub(crate) struct Described<'d>(Vec<EncodedAttribute<'d>>);

impl<'d> Described<'d> {
    /// Reads `NAME=VALUE`s.
    pub(crate) fn new(dictionary: &'d Dictionary, written: &[String]) -> Result<Self, Failure> {
        let all = written
            .iter()
            .map(|text| encoded_of_request(dictionary, text).map(|(encoded, _)| encoded));
        all.collect::<Result<_, _>>().map(Self)
    }

    /// As rules look at them, with User-Name.
    pub(crate) fn attributes<'a>(&'a self, user_name: &'a str) -> Vec<RequestAttribute<'a>> {
        let user_name = Attribute {
            kind: AttributeType::USER_NAME,
            value: user_name.as_bytes(),
        };
        let described = self.0.iter().map(|encoded| Attribute {
            kind: encoded.kind,
            value: &encoded.value,
        });
        let all = std::iter::once(user_name).chain(described);
        all.flat_map(|attribute| {
            attribute.values().map(move |(vendor, value)| RequestAttribute {
                kind: attribute.kind.0,
                vendor: vendor.map(|(vendor, kind)| VendorAttribute {
                    vendor: vendor.0,
                    kind,
                }),
                value,
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> AttributeCondition {
        parse_condition(Dictionary::core(), text).unwrap()
    }

    /// Whether a condition holds for a request with these attributes.
    fn holds(conditions: &[&str], request: &[&str]) -> bool {
        let conditions = Conditions {
            attributes: conditions.iter().map(|text| condition(text)).collect(),
            ..Conditions::default()
        };
        let request: Vec<_> = request.iter().map(ToString::to_string).collect();
        let described = Described::new(Dictionary::core(), &request).unwrap();
        conditions.hold(&otp_validation::Login {
            client: "vpn",
            name: None,
            user: None,
            attributes: described.attributes("alice"),
        })
    }

    #[test]
    fn attributes_of_requests_are_compared_by_their_octets() {
        for (conditions, request, expected) in [
            (
                &["Called-Station-Id=*:guest"][..],
                &["Called-Station-Id=00-11:guest"][..],
                true,
            ),
            (
                &["Called-Station-Id=*:guest"],
                &["Called-Station-Id=00-11:staff"],
                false,
            ),
            (
                &["Called-Station-Id=*:guest"],
                &["Calling-Station-Id=00-11:guest"],
                false,
            ),
            (&["Called-Station-Id=\"a*\""], &["Called-Station-Id=a*"], true),
            (&["Called-Station-Id=\"a*\""], &["Called-Station-Id=ab"], false),
            (&["Called-Station-Id=\"a*"], &["Called-Station-Id=\"ab"], true),
            (&["Called-Station-Id=*"], &[], false),
            (&["User-Name=al*"], &[], true),
            (&["NAS-Port-Type=Wireless-802.11"], &["NAS-Port-Type=19"], true),
            (&["NAS-IP-Address=192.0.2.7"], &["NAS-IP-Address=192.0.2.7"], true),
            (
                &["NAS-IP-Address=192.0.2.7"],
                &["NAS-IP-Address=192.0.2.8"],
                false,
            ),
            (&["Cisco-AVPair=ssid=*"], &["Cisco-AVPair=ssid=guest"], true),
            (&["Cisco-AVPair=ssid=*"], &["Mikrotik-Group=ssid=guest"], false),
            (
                &["Tunnel-Private-Group-ID:1=2*"],
                &["Tunnel-Private-Group-ID:1=20"],
                true,
            ),
            (
                &["Tunnel-Private-Group-ID:1=2*"],
                &["Tunnel-Private-Group-ID:2=20"],
                false,
            ),
            (&["Class=0x2a"], &["Class=*"], true),
            (&["Class=0x2a"], &["Class=x"], false),
            (
                &[
                    "Called-Station-Id=*:a",
                    "Called-Station-Id=*:b",
                    "NAS-Port-Type=Ethernet",
                ],
                &["Called-Station-Id=0:b", "NAS-Port-Type=15"],
                true,
            ),
        ] {
            assert_eq!(holds(conditions, request), expected, "{conditions:?} {request:?}");
        }
        assert_eq!(
            condition("nas-port-type = 15").to_string(),
            "NAS-Port-Type=Ethernet"
        );
        assert_eq!(
            condition("called-station-id=\"a*\"").to_string(),
            "Called-Station-Id=\"a*\""
        );
    }

    #[test]
    fn what_no_rule_can_look_for_is_refused() {
        for (text, cause) in [
            ("Called-Station-Id", "is not NAME=VALUE"),
            ("Nonsense=1", "no attribute is called Nonsense"),
            ("NAS-IP-Address=192.0.2.*", "NAS-IP-Address takes an IPv4 address"),
            ("User-Password=x", "is a secret"),
            ("CHAP-Password=x", "is a secret"),
            ("State=x", "is another one in each request"),
            ("Proxy-State=x", "is another one in each request"),
        ] {
            let refused = parse_condition(Dictionary::core(), text).unwrap_err();
            let message = refused.cause.to_string();
            assert!(message.contains(cause), "{text}: {message}");
        }
        let wide = Dictionary::parse(
            "ATTRIBUTE Vendor-Specific 26 vsa\nVENDOR Wide 5555 format=2,2\nBEGIN-VENDOR Wide\nATTRIBUTE Wide-Name 1 string\nEND-VENDOR Wide\n",
        )
        .unwrap();
        let refused = parse_condition(&wide, "Wide-Name=x")
            .unwrap_err()
            .cause
            .to_string();
        assert!(
            refused.contains("not laid out as RFC 2865 §5.26 recommends"),
            "{refused}"
        );
    }
}
