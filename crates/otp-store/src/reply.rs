//! Attributes of acceptances: how they are stored with users, rules and clients, and their administration.

use otp_validation::{ReplyAttribute, ReplyAttributes, ReplyError, UserName};

use crate::{
    Store, StoreError,
    audit::Deed,
    client::{changed, each, not_found, read_record},
    commit::touch,
    error::Fault,
    sql::{Row, Sql, values},
    user,
};

/// The first octet: what follows is of this shape.
const SHAPE: u8 = 1;

/// Nothing at all if there are none; else the shape, and one after the other type, whether it overrides (1 octet each), name,
/// text and value, each behind its length (2 octets, big-endian).
pub(crate) fn encode(attributes: &ReplyAttributes) -> Result<Option<Vec<u8>>, StoreError> {
    if attributes.is_empty() {
        return Ok(None);
    }
    let mut octets = vec![SHAPE];
    for attribute in attributes.iter() {
        octets.extend([attribute.kind, u8::from(attribute.overrides)]);
        for part in [
            attribute.name.as_bytes(),
            attribute.text.as_bytes(),
            attribute.value.as_slice(),
        ] {
            push_part(&mut octets, part)?;
        }
    }
    Ok(Some(octets))
}

/// Appends a part behind its length.
pub(crate) fn push_part(octets: &mut Vec<u8>, part: &[u8]) -> Result<(), StoreError> {
    let length = u16::try_from(part.len()).map_err(|_| StoreError::Invalid {
        what: "an attribute",
        why: "has a name or a value that is too long",
    })?;
    octets.extend(length.to_be_bytes());
    octets.extend(part);
    Ok(())
}

/// What [`encode`] has written.
pub(crate) fn decode(octets: &[u8]) -> Result<ReplyAttributes, StoreError> {
    let damaged = || StoreError::corrupt("the attributes of replies");
    let Some((&SHAPE, mut rest)) = octets.split_first() else {
        return Err(damaged());
    };
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        attributes.push(attribute(&mut rest).ok_or_else(damaged)?);
    }
    ReplyAttributes::new(attributes).map_err(|_| damaged())
}

fn attribute(rest: &mut &[u8]) -> Option<ReplyAttribute> {
    let (&[kind, overrides], after) = rest.split_first_chunk()?;
    *rest = after;
    let overrides = match overrides {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(ReplyAttribute {
        name: text(rest)?,
        text: text(rest)?,
        kind,
        value: part(rest)?.to_vec(),
        overrides,
    })
}

/// A part that is text.
pub(crate) fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(part(rest)?.to_vec()).ok()
}

/// What [`push_part`] has written.
pub(crate) fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (part, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
    *rest = after;
    Some(part)
}

/// The attributes of the user, rule or client in `row`.
pub(crate) fn read(row: &Row<'_>) -> Result<ReplyAttributes, Fault> {
    match row.get::<Option<Vec<u8>>>("reply_attributes")? {
        None => Ok(ReplyAttributes::default()),
        Some(octets) => Ok(decode(&octets)?),
    }
}

impl From<ReplyError> for StoreError {
    fn from(error: ReplyError) -> Self {
        Self::Invalid {
            what: "the attributes of replies",
            why: match error {
                ReplyError::TooLong(_) => "take more than 1500 octets of a packet",
                _ => "have a value that no packet can carry",
            },
        }
    }
}

impl Store {
    /// Lets `change` make new attributes of those that every acceptance of a user tells the client. They hold from the next
    /// answer on, be it a repetition; verdicts stay as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] if `change` fails; else whatever keeps the store from writing.
    pub fn change_user_reply(
        &self,
        name: &UserName,
        change: impl FnOnce(&ReplyAttributes) -> Result<ReplyAttributes, ReplyError>,
    ) -> Result<(), StoreError> {
        self.administer("changing the attributes of a user's replies", |transaction| {
            let user = user::find(transaction, name)?;
            let before = transaction.one(
                "SELECT reply_attributes FROM users WHERE id = ?1",
                values![user.id.0],
                read,
            )?;
            let after = change(&before).map_err(StoreError::from)?;
            // Whoever remembers the account looks at it again.
            touch(transaction, user.id)?;
            transaction.execute(
                "UPDATE users SET reply_attributes = ?2 WHERE id = ?1",
                values![user.id.0, encode(&after)?.as_ref()],
            )?;
            self.log_reply(transaction, &before, &after, |deed| {
                Deed::on_user(deed, name.as_str())
            })
        })
    }

    /// As [`change_user_reply`](Self::change_user_reply), for what every acceptance through a client tells it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] if `change` fails; else whatever keeps the store from writing.
    pub fn change_client_reply(
        &self,
        name: &str,
        change: impl FnOnce(&ReplyAttributes) -> Result<ReplyAttributes, ReplyError>,
    ) -> Result<(), StoreError> {
        self.administer("changing the attributes of a client's replies", |transaction| {
            let mut found = None;
            each(transaction, Some(name), |row| {
                found = Some(read_record(row)?.reply);
                Ok(())
            })?;
            let before = found.ok_or_else(|| not_found(name))?;
            let after = change(&before).map_err(StoreError::from)?;
            let rows = transaction.execute(
                "UPDATE clients SET reply_attributes = ?2 WHERE name = ?1",
                values![name, encode(&after)?.as_ref()],
            )?;
            changed(transaction, name, rows)?;
            self.log_reply(transaction, &before, &after, |deed| Deed::on_client(deed, name))
        })
    }

    /// Records what was added and what was taken away, each by itself: a record has room for one value.
    pub(crate) fn log_reply<'a>(
        &self,
        transaction: Sql<'_>,
        before: &ReplyAttributes,
        after: &ReplyAttributes,
        deed: impl Fn(&'static str) -> Deed<'a>,
    ) -> Result<(), Fault> {
        let names = ["reply-attribute-removed", "reply-attribute-set"];
        let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
        let text = |one: &&ReplyAttribute| format!("{} = {}", one.name, one.text);
        self.log_changes(transaction, names, [&before, &after], text, deed)
    }

    /// Records under the first of `names` what only the first list has, under the second one what only the second list has.
    pub(crate) fn log_changes<'a, T: PartialEq>(
        &self,
        transaction: Sql<'_>,
        names: [&'static str; 2],
        lists: [&[T]; 2],
        text: impl Fn(&T) -> String,
        deed: impl Fn(&'static str) -> Deed<'a>,
    ) -> Result<(), Fault> {
        let [before, after] = lists;
        let [removed, set] = names;
        for (name, those, others) in [(removed, before, after), (set, after, before)] {
            for one in those.iter().filter(|one| !others.contains(one)) {
                self.log(transaction, &deed(name).with(&text(one)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn attribute()(
            name in "[A-Z][A-Za-z-]{0,20}(:[0-9])?",
            text in ".{0,40}",
            kind: u8,
            value in prop::collection::vec(any::<u8>(), 1..=253),
            overrides: bool,
        ) -> ReplyAttribute {
            ReplyAttribute { name, text, kind, value, overrides }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(attributes in prop::collection::vec(attribute(), 0..5)) {
            let attributes = ReplyAttributes::new(attributes).unwrap();
            match encode(&attributes).unwrap() {
                None => prop_assert!(attributes.is_empty()),
                Some(octets) => {
                    prop_assert_eq!(&decode(&octets).unwrap(), &attributes);
                    // Whatever is missing is missed, but for whole attributes at the end.
                    for end in 0..octets.len() {
                        if let Ok(fewer) = decode(&octets[..end]) {
                            prop_assert_eq!(encode(&fewer).unwrap().map_or(1, |all| all.len()), end);
                        }
                    }
                }
            }
        }

        #[test]
        fn anything_is_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(attributes) = decode(&[&[SHAPE], octets.as_slice()].concat()) {
                prop_assert!(attributes.is_empty() || encode(&attributes).unwrap().unwrap()[1..] == octets);
            }
        }
    }
}
