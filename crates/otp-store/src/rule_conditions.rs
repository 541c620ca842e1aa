//! How the conditions of rules are stored.

use otp_validation::{AttributeCondition, Conditions, NamePattern, Pattern, VendorAttribute};

use crate::{
    StoreError,
    reply::{part, push_part, text},
};

/// The first octet: what follows is of this shape.
const SHAPE: u8 = 1;

/// The most conditions of one rule.
const MOST: usize = 100;

const CLIENT: u8 = 1;
const REALM: u8 = 2;
const USER: u8 = 3;
const ATTRIBUTE: u8 = 4;

/// Nothing at all if there are none; else the shape, and one after the other what kind of condition it is (1 octet) and its pattern
/// behind its length (2 octets, big-endian). Of an attribute: its type and whether it is a vendor's (1 octet each), vendor and vendor's
/// type (4 octets each), then, each behind its length, its name, its value as it was written, and all the pieces of its pattern, before
/// which stands how many there are (2 octets).
pub(crate) fn encode(conditions: &Conditions) -> Result<Option<Vec<u8>>, StoreError> {
    let refused = |why| StoreError::Invalid {
        what: "the conditions of a rule",
        why,
    };
    match conditions.count() {
        0 => return Ok(None),
        1..=MOST => {}
        _ => return Err(refused("are more than 100")),
    }
    let mut octets = vec![SHAPE];
    let names = [
        (CLIENT, &conditions.clients),
        (REALM, &conditions.realms),
        (USER, &conditions.users),
    ];
    for (kind, patterns) in names {
        for pattern in patterns {
            octets.push(kind);
            push_part(&mut octets, pattern.as_str().as_bytes())?;
        }
    }
    for attribute in &conditions.attributes {
        let (vendor, kind) = attribute.vendor.map_or((0, 0), |of| (of.vendor, of.kind));
        octets.extend([ATTRIBUTE, attribute.kind, u8::from(attribute.vendor.is_some())]);
        octets.extend(vendor.to_be_bytes());
        octets.extend(kind.to_be_bytes());
        push_part(&mut octets, attribute.name.as_bytes())?;
        push_part(&mut octets, attribute.text.as_bytes())?;
        let pieces = u16::try_from(attribute.pattern.pieces().count());
        octets.extend(pieces.map_err(|_| refused("are too long"))?.to_be_bytes());
        for piece in attribute.pattern.pieces() {
            push_part(&mut octets, piece)?;
        }
    }
    Ok(Some(octets))
}

/// What [`encode`] has written.
pub(crate) fn decode(octets: &[u8]) -> Option<Conditions> {
    let (&SHAPE, mut rest) = octets.split_first()? else {
        return None;
    };
    let mut found = Conditions::default();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        match *kind {
            CLIENT => found.clients.push(name(&mut rest)?),
            REALM => found.realms.push(name(&mut rest)?),
            USER => found.users.push(name(&mut rest)?),
            ATTRIBUTE => found.attributes.push(attribute(&mut rest)?),
            _ => return None,
        }
    }
    Some(found)
}

fn name(rest: &mut &[u8]) -> Option<NamePattern> {
    text(rest)?.parse().ok()
}

fn attribute(rest: &mut &[u8]) -> Option<AttributeCondition> {
    let (&[kind, is_vendors], after) = rest.split_first_chunk()?;
    let (vendor, after) = after.split_first_chunk()?;
    let (vendors_kind, after) = after.split_first_chunk()?;
    *rest = after;
    let vendor = match is_vendors {
        0 => None,
        1 => Some(VendorAttribute {
            vendor: u32::from_be_bytes(*vendor),
            kind: u32::from_be_bytes(*vendors_kind),
        }),
        _ => return None,
    };
    let (name, text) = (text(rest)?, text(rest)?);
    let (count, after) = rest.split_first_chunk()?;
    *rest = after;
    let pieces: Option<Vec<_>> = (0..u16::from_be_bytes(*count)).map(|_| part(rest)).collect();
    Some(AttributeCondition {
        name,
        text,
        kind,
        vendor,
        pattern: Pattern::of_pieces(pieces?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    prop_compose! {
        fn attribute()(
            name in "[A-Z][A-Za-z-]{0,20}",
            text in ".{0,40}",
            kind: u8,
            vendor in prop::option::of((any::<u32>(), any::<u32>())),
            pattern in vec(prop_oneof![Just(b'*'), any::<u8>()], 0..20),
            is_exact: bool,
        ) -> AttributeCondition {
            AttributeCondition {
                name,
                text,
                kind,
                vendor: vendor.map(|(vendor, kind)| VendorAttribute { vendor, kind }),
                pattern: if is_exact { Pattern::exact(pattern) } else { Pattern::glob(&pattern) },
            }
        }
    }

    fn names() -> impl Strategy<Value = Vec<NamePattern>> {
        vec("[a-z*@ä-]{1,20}".prop_map(|text| text.parse().unwrap()), 0..4)
    }

    prop_compose! {
        fn all()(
            clients in names(),
            realms in names(),
            users in names(),
            attributes in vec(attribute(), 0..4),
        ) -> Conditions {
            Conditions { clients, realms, users, attributes }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(conditions in all()) {
            match encode(&conditions).unwrap() {
                None => prop_assert_eq!(conditions, Conditions::default()),
                Some(octets) => {
                    prop_assert_eq!(&decode(&octets).unwrap(), &conditions);
                    // Whatever is missing is missed, but for whole conditions at the end.
                    for end in 0..octets.len() {
                        if let Some(fewer) = decode(&octets[..end]) {
                            prop_assert_eq!(encode(&fewer).unwrap().map_or(1, |all| all.len()), end);
                        }
                    }
                }
            }
        }

        #[test]
        fn anything_is_read_or_refused(octets in vec(0_u8..6, 0..60)) {
            if let Some(conditions) = decode(&[&[SHAPE], octets.as_slice()].concat())
                && let Ok(Some(again)) = encode(&conditions)
            {
                prop_assert_eq!(decode(&again).unwrap(), conditions);
            }
        }
    }

    #[test]
    fn a_rule_has_so_many_conditions_and_no_more() {
        let of = |count: usize| Conditions {
            clients: vec!["vpn".parse().unwrap(); count],
            ..Conditions::default()
        };
        assert!(encode(&of(MOST)).is_ok());
        assert!(matches!(encode(&of(MOST + 1)), Err(StoreError::Invalid { .. })));
    }
}
