//! What administrators do, as the trail keeps it: what was done, to whom or what, and by whom.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::{OnceLock, PoisonError, RwLock},
};

use otp_validation::UnixTime;

use super::{Record, Tail, line::Line};
use crate::{Digests, Store, StoreError, error::Fault, sql::Sql};

/// Octets that are kept of each text of a deed, escapes included.
const TEXT: usize = 192;

/// Something that an administrator has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    /// Its name: lower case, words joined by hyphens.
    pub(crate) name: &'static str,
    /// Whom or what it was done to: which kind of object, and its name.
    pub(crate) object: Option<(&'static str, &'a str)>,
    /// What else there is to say.
    pub(crate) detail: Option<&'a str>,
}

impl<'a> Deed<'a> {
    /// A deed about the store as a whole.
    pub(crate) fn of_store(name: &'static str) -> Self {
        Self {
            name,
            object: None,
            detail: None,
        }
    }

    pub(crate) fn on_user(name: &'static str, user: &'a str) -> Self {
        Self {
            object: Some(("user", user)),
            ..Self::of_store(name)
        }
    }

    /// `token` is `user/label`.
    pub(crate) fn on_token(name: &'static str, token: &'a str) -> Self {
        Self {
            object: Some(("token", token)),
            ..Self::of_store(name)
        }
    }

    pub(crate) fn on_client(name: &'static str, client: &'a str) -> Self {
        Self {
            object: Some(("client", client)),
            ..Self::of_store(name)
        }
    }

    pub(crate) fn on_rule(name: &'static str, rule: &'a str) -> Self {
        Self {
            object: Some(("rule", rule)),
            ..Self::of_store(name)
        }
    }

    pub(crate) fn with(self, detail: &'a str) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    fn record(&self, at: UnixTime, actor: &Actor) -> Record {
        let mut line = Line::new();
        line.word("deed", self.name);
        if let Some((kind, name)) = self.object {
            line.text(kind, name, TEXT);
        }
        if let Some(detail) = self.detail {
            line.text("detail", detail, TEXT);
        }
        if let Some(uid) = actor.uid() {
            line.plain("uid", uid);
        }
        if let Some(person) = &*actor.person.read().unwrap_or_else(PoisonError::into_inner) {
            line.text("for", person, TEXT);
        }
        Record {
            at,
            request: None,
            accepts: false,
            text: line.end(),
        }
    }
}

/// Who does what is done with a store.
#[derive(Debug, Default)]
pub(crate) struct Actor {
    uid: OnceLock<Option<u32>>,
    person: RwLock<Option<String>>,
}

impl Actor {
    /// The effective user id of this process, where the kernel says it.
    fn uid(&self) -> Option<u32> {
        *self
            .uid
            .get_or_init(|| fs::metadata("/proc/self").ok().map(|process| process.uid()))
    }
}

/// Appends a deed, alone.
pub(crate) fn append(
    transaction: Sql<'_>,
    digests: &Digests,
    actor: &Actor,
    deed: &Deed<'_>,
) -> Result<(), Fault> {
    let record = deed.record(transaction.time()?, actor);
    let mut tail = Tail::claim(transaction)?;
    tail.append(transaction, digests, &record)?;
    tail.release(transaction)
}

impl Store {
    /// Names the person for whom this handle and its clones do what they do, where the user of the process is another: the
    /// trail keeps both.
    pub fn on_behalf_of(&self, person: impl Into<String>) {
        let mut kept = self
            .actor()
            .person
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Some(person.into());
    }

    /// Records that an older version's tables were brought up to this one.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing.
    pub(crate) fn record_migration(&self, from: i64, to: i64) -> Result<(), StoreError> {
        let detail = format!("schema {from} to {to}");
        self.administer("recording a migration", |transaction| {
            self.log(transaction, &Deed::of_store("tables-migrated").with(&detail))
        })
    }

    /// Records a deed in the transaction that does it.
    pub(crate) fn log(&self, transaction: Sql<'_>, deed: &Deed<'_>) -> Result<(), Fault> {
        append(transaction, &self.secrets().digests, self.actor(), deed)
    }

    /// Records several deeds in the transaction that does them.
    pub(crate) fn log_all<'a>(
        &self,
        transaction: Sql<'_>,
        deeds: impl Iterator<Item = Deed<'a>>,
    ) -> Result<(), Fault> {
        let at = transaction.time()?;
        let mut tail = Tail::claim(transaction)?;
        for deed in deeds {
            let record = deed.record(at, self.actor());
            tail.append(transaction, &self.secrets().digests, &record)?;
        }
        tail.release(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_says_what_to_whom_and_by_whom() {
        let actor = Actor::default();
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let deed = Deed::on_token("token-added", "alice/phone").with("totp, pending");
        assert_eq!(
            deed.record(UnixTime(5), &actor).text(),
            format!(r#"{{"deed":"token-added","token":"alice/phone","detail":"totp, pending","uid":{uid}}}"#)
        );
        *actor.person.write().unwrap() = Some("root \"admin\"".into());
        assert_eq!(
            Deed::of_store("store-made").record(UnixTime(5), &actor).text(),
            format!(r#"{{"deed":"store-made","uid":{uid},"for":"root \"admin\""}}"#)
        );
    }

    #[test]
    fn a_deed_is_bounded() {
        let actor = Actor::default();
        let long = "\u{7}".repeat(500);
        *actor.person.write().unwrap() = Some(long.clone());
        let record = Deed::on_client("client-changed", &long)
            .with(&long)
            .record(UnixTime(5), &actor);
        assert!(record.text().len() <= super::super::LONGEST_RECORD, "{record:?}");
    }
}
