//! Which attributes of an upstream's replies may pass.

use std::collections::BTreeSet;

use krad::{Attribute, AttributeType, Code, dictionary::Dictionary};
use serde::Deserialize;

/// What passes unless the configuration says otherwise: what tells of the session and of its user.
///
/// Not what opens doors that the upstream's operators may not know of: no VLANs (Tunnel-*), no Service-Type, nothing of vendors
/// but what MS-CHAPv2 needs.
const DEFAULT: [&str; 14] = [
    "Reply-Message",
    "Class",
    "Filter-Id",
    "Session-Timeout",
    "Idle-Timeout",
    "Termination-Action",
    "Framed-IP-Address",
    "Framed-IP-Netmask",
    "Framed-MTU",
    "Framed-Pool",
    "Acct-Interim-Interval",
    "Chargeable-User-Identity",
    "MS-CHAP2-Success",
    "MS-CHAP-Error",
];

/// What an Access-Challenge may carry besides State (RFC 2865 §5.44, RFC 2869 §5.19).
const IN_CHALLENGE: [AttributeType; 4] = [
    AttributeType::REPLY_MESSAGE,
    AttributeType::SESSION_TIMEOUT,
    AttributeType::IDLE_TIMEOUT,
    AttributeType::PROMPT,
];

/// The attributes of replies that may pass, by their numbers: `[25]`, or `[26, 311, 26]` of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct ReplyFilter(BTreeSet<Vec<u32>>);

impl Default for ReplyFilter {
    fn default() -> Self {
        let dictionary = Dictionary::core();
        let known = DEFAULT.iter().filter_map(|name| dictionary.by_name(name));
        Self(
            known
                .map(|definition| definition.oid.numbers().to_vec())
                .collect(),
        )
    }
}

impl TryFrom<Vec<String>> for ReplyFilter {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        let numbers = names.iter().map(|name| number(name));
        Ok(Self(numbers.collect::<Result<_, _>>()?))
    }
}

fn number(name: &str) -> Result<Vec<u32>, String> {
    let definition = Dictionary::core().by_name(name).ok_or_else(|| {
        format!("no attribute is called {name:?}; \"Vendor-Specific\" stands for all attributes of vendors")
    })?;
    let number = definition.oid.numbers();
    if is_of_one_hop(number) {
        return Err(format!(
            "{name} belongs to one hop, between the upstream and this server: it cannot pass"
        ));
    }
    Ok(number.to_vec())
}

/// Whether an attribute means something between two neighbours alone: it is signed, hidden or answered there.
fn is_of_one_hop(number: &[u32]) -> bool {
    let is_own = matches!(
        number
            .first()
            .and_then(|kind| u8::try_from(*kind).ok())
            .map(AttributeType),
        Some(
            AttributeType::STATE
                | AttributeType::PROXY_STATE
                | AttributeType::MESSAGE_AUTHENTICATOR
                | AttributeType::EAP_MESSAGE
                | AttributeType::USER_PASSWORD
                | AttributeType::CHAP_PASSWORD
        )
    );
    let definition = Dictionary::core().by_oid(number);
    is_own || definition.is_some_and(|definition| definition.flags.encryption.is_some())
}

impl ReplyFilter {
    /// Whether `attribute` may pass in a reply of this code. Where several are packed into one of a vendor's, all of them have to
    /// be allowed.
    pub(crate) fn permits(&self, code: Code, attribute: Attribute<'_>) -> bool {
        let fits = match code {
            Code::ACCESS_ACCEPT => true,
            Code::ACCESS_CHALLENGE => IN_CHALLENGE.contains(&attribute.kind),
            _ => matches!(
                attribute.kind,
                AttributeType::REPLY_MESSAGE | AttributeType::VENDOR_SPECIFIC
            ),
        };
        if !fits || attribute.value.is_empty() {
            return false;
        }
        // Asked for with every question, and harmless.
        if code == Code::ACCESS_CHALLENGE && attribute.kind == AttributeType::PROMPT {
            return true;
        }
        let parts = Dictionary::core().expand(attribute);
        !parts.is_empty()
            && parts.iter().all(|part| {
                let number = part.oid.numbers();
                let is_listed = self.0.iter().any(|listed| number.starts_with(listed));
                is_listed && !is_of_one_hop(number) && is_fit_for(code, number)
            })
    }
}

/// Whether an attribute of a vendor belongs into a reply of this code: into a rejection, only what says why.
fn is_fit_for(code: Code, number: &[u32]) -> bool {
    const MS_CHAP_ERROR: [u32; 3] = [26, 311, 2];
    let is_vendors = number.first() == Some(&u32::from(AttributeType::VENDOR_SPECIFIC.0));
    code != Code::ACCESS_REJECT || !is_vendors || number == MS_CHAP_ERROR
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(names: &[&str]) -> Result<ReplyFilter, String> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.try_into()
    }

    /// What the core dictionary makes of `text`.
    fn permits(filter: &ReplyFilter, code: Code, name: &str, text: &str) -> bool {
        let encoded = Dictionary::core().encode(name, text).unwrap();
        let attribute = Attribute {
            kind: encoded.kind,
            value: &encoded.value,
        };
        filter.permits(code, attribute)
    }

    #[test]
    fn the_default_is_known_and_narrow() {
        let default = ReplyFilter::default();
        assert_eq!(default.0.len(), DEFAULT.len());
        for (name, text, passes) in [
            ("Class", "staff", true),
            ("Session-Timeout", "3600", true),
            ("Reply-Message", "Welcome", true),
            ("Tunnel-Private-Group-ID:1", "20", false),
            ("Service-Type", "Administrative-User", false),
            ("Cisco-AVPair", "shell:priv-lvl=15", false),
        ] {
            assert_eq!(
                permits(&default, Code::ACCESS_ACCEPT, name, text),
                passes,
                "{name}"
            );
        }
    }

    #[test]
    fn what_belongs_to_one_hop_never_passes() {
        for name in [
            "State",
            "Proxy-State",
            "Message-Authenticator",
            "EAP-Message",
            "Tunnel-Password",
            "MS-MPPE-Send-Key",
        ] {
            assert!(filter(&[name]).unwrap_err().contains("one hop"), "{name}");
        }
        assert!(filter(&["Clas"]).unwrap_err().contains("\"Clas\""));
        // Also where everything of vendors may pass.
        let vendors = filter(&["Vendor-Specific"]).unwrap();
        assert!(permits(
            &vendors,
            Code::ACCESS_ACCEPT,
            "Cisco-AVPair",
            "shell:priv-lvl=15"
        ));
        let key = [&[0, 0, 1, 55, 16, 36][..], &[0x80; 34]].concat();
        let key = Attribute {
            kind: AttributeType::VENDOR_SPECIFIC,
            value: &key,
        };
        assert!(!vendors.permits(Code::ACCESS_ACCEPT, key));
    }

    #[test]
    fn several_in_one_pass_together_or_not_at_all() {
        let one = filter(&["Cisco-AVPair"]).unwrap();
        // Type 1 is Cisco-AVPair, type 2 Cisco-NAS-Port.
        for (second, passes) in [(1, true), (2, false)] {
            let value = [0, 0, 0, 9, 1, 3, b'a', second, 3, b'b'];
            let attribute = Attribute {
                kind: AttributeType::VENDOR_SPECIFIC,
                value: &value,
            };
            assert_eq!(one.permits(Code::ACCESS_ACCEPT, attribute), passes, "{second}");
        }
    }

    #[test]
    fn questions_and_rejections_carry_little() {
        let default = ReplyFilter::default();
        for (code, name, text, passes) in [
            (Code::ACCESS_CHALLENGE, "Reply-Message", "Code?", true),
            (Code::ACCESS_CHALLENGE, "Prompt", "No-Echo", true),
            (Code::ACCESS_CHALLENGE, "Class", "staff", false),
            (Code::ACCESS_REJECT, "Reply-Message", "No.", true),
            (Code::ACCESS_REJECT, "MS-CHAP-Error", "E=691", true),
            (Code::ACCESS_REJECT, "Class", "staff", false),
            (Code::ACCESS_REJECT, "Session-Timeout", "1", false),
        ] {
            assert_eq!(permits(&default, code, name, text), passes, "{code:?} {name}");
        }
    }

    proptest! {
        /// Whatever an upstream sends: what is not listed does not pass, and nothing panics.
        #[test]
        fn only_what_is_listed_passes(kind: u8, value in proptest::collection::vec(any::<u8>(), 0..=253)) {
            let filter = filter(&["Class", "Cisco-AVPair"]).unwrap();
            let attribute = Attribute { kind: AttributeType(kind), value: &value };
            if filter.permits(Code::ACCESS_ACCEPT, attribute) && kind != 25 {
                prop_assert_eq!(kind, 26);
                prop_assert_eq!(&value[..4], &[0, 0, 0, 9]);
            }
        }
    }
}
