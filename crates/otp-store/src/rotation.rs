//! Rotating the sealing key while daemons work.
//!
//! 1. The new key stands beside the old one in the key file ([`Store::prepare_key`]).
//! 2. The database names the new key: new records are sealed with it.
//! 3. Every other record is sealed anew, some hundreds in a transaction ([`Store::rotate_key`]). Records name their
//!    key, so whoever reads in between opens them all.
//! 4. When none is left, the old key leaves the file.
//!
//! Each step is durable before the next begins, so that after a crash anywhere the file holds every key that the database
//! needs, and the rotation goes on where it ended.

use std::fs::File;

use rand::CryptoRng;

use crate::{
    Kind, Store, StoreError,
    audit::Deed,
    error::Fault,
    seal::{KeyId, Place, SealKey, Sealed},
    sql::{Row, Sql, values},
    store::present_key,
    value::{Uid, unsigned},
};

/// Records that are sealed anew in one transaction: others wait for it, so it is short.
const BATCH: usize = 200;

/// Which sealing keys there are, and which are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The key that new records are sealed with.
    pub current: KeyId,
    /// The keys in the key file, the older one first.
    pub in_file: Vec<KeyId>,
    /// Records that are sealed with another key than the current one.
    pub other_records: u64,
}

impl KeyStatus {
    /// The key that a rotation would go on to.
    pub fn prepared(&self) -> Option<KeyId> {
        match self.in_file.as_slice() {
            [older, newer] if *older == self.current => Some(*newer),
            _ => None,
        }
    }

    /// Whether a rotation was begun and has not come to its end: on another machine, or before a crash.
    pub fn is_unfinished(&self) -> bool {
        self.other_records > 0 || (self.in_file.len() > 1 && self.prepared().is_none())
    }
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationProgress {
    /// Records that this rotation has sealed anew …
    pub resealed: u64,
    /// … of those that there were to seal.
    pub total: u64,
}

/// What a rotation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The key that everything is sealed with now.
    pub current: KeyId,
    /// The key that has left the key file.
    pub forgotten: Option<KeyId>,
    /// Records that were sealed anew.
    pub resealed: u64,
}

impl Store {
    /// Which sealing keys there are, and which are needed.
    ///
    /// # Errors
    ///
    /// Whatever keeps the key file or the store from being read.
    pub fn key_status(&self) -> Result<KeyStatus, StoreError> {
        let in_file = self.secrets().ring.reload()?;
        self.read("looking at sealing keys", |transaction| {
            let current = present_key(transaction)?;
            Ok(KeyStatus {
                current,
                in_file: in_file.iter().map(SealKey::id).collect(),
                other_records: count_others(transaction, current)?,
            })
        })
    }

    /// Puts a new key beside the present one into the key file, unless there is one already; returns its id.
    ///
    /// Nothing is sealed with it until [`rotate_key`](Self::rotate_key). Of a store that several machines share, this is
    /// the time to give each of them a copy of the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::RotationUnfinished`], or whatever keeps the key file from being written.
    pub fn prepare_key(&self, rng: &mut impl CryptoRng) -> Result<KeyId, StoreError> {
        let _alone = self.lock_keys()?;
        let status = self.key_status()?;
        if status.is_unfinished() {
            return Err(StoreError::RotationUnfinished);
        }
        if let Some(prepared) = status.prepared() {
            return Ok(prepared);
        }
        let ring = &self.secrets().ring;
        let (present, new) = (ring.key(status.current)?, SealKey::generate(rng));
        let id = new.id();
        if id == present.id() {
            // Ids have 32 bits: once in four thousand million rotations.
            return Err(StoreError::Invalid {
                what: "the new sealing key",
                why: "has the same id as the present one; try again",
            });
        }
        ring.replace(vec![present, new])?;
        Ok(id)
    }

    /// Seals everything with the prepared key, or goes on with a rotation that has begun, and takes the old key out of the
    /// key file.
    ///
    /// `progress` is told after each transaction. Daemons work on: those that meet the new key read their key file again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoPreparedKey`] if there is nothing to do; [`StoreError::WrongKey`] if the rotation was begun with a
    /// key that this machine's file does not hold; [`StoreError::Unsealable`] for a record that cannot be opened; else
    /// whatever keeps the store or the key file from being written. Whatever the error, both keys stay in the file, and
    /// the next attempt goes on.
    pub fn rotate_key(
        &self,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(RotationProgress),
    ) -> Result<Rotation, StoreError> {
        let _alone = self.lock_keys()?;
        let ring = &self.secrets().ring;
        let status = self.key_status()?;
        let current = match status.prepared() {
            Some(prepared) => {
                self.choose_key(status.current, prepared, rng)?;
                prepared
            }
            None if status.is_unfinished() => status.current,
            None => return Err(StoreError::NoPreparedKey),
        };
        let total = self.read("counting sealed records", |transaction| {
            count_others(transaction, current)
        })?;
        let mut resealed = 0_u64;
        progress(RotationProgress { resealed, total });
        for table in TABLES {
            let mut after = 0;
            while let Some((last, count)) = self.reseal_some(table, current, after, rng)? {
                after = last;
                resealed = resealed.saturating_add(count);
                progress(RotationProgress { resealed, total });
            }
        }
        // The engine's log may hold records of before; who has the old key shall not find them there.
        self.scrub()?;
        let kept = ring.key(current)?;
        let others = self.read("counting sealed records", |transaction| {
            count_others(transaction, current)
        })?;
        if others > 0 {
            return Err(StoreError::RotationUnfinished);
        }
        let forgotten = ring.reload()?.iter().map(SealKey::id).find(|id| *id != current);
        if forgotten.is_some() {
            ring.replace(vec![kept])?;
        }
        Ok(Rotation {
            current,
            forgotten,
            resealed,
        })
    }

    /// Lets the database name the new key, and seals with it what the database itself is opened by.
    fn choose_key(&self, from: KeyId, to: KeyId, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        let ring = &self.secrets().ring;
        let new = ring.key(to)?;
        self.administer("choosing the sealing key", |transaction| {
            let (uid, record): (Uid, Vec<u8>) =
                transaction.one("SELECT uid, index_key_sealed FROM meta", values![], |row| {
                    Ok((row.get("uid")?, row.get("index_key_sealed")?))
                })?;
            let place = Place::of(Sealed::IndexKey, &uid);
            let opened = ring.open(&record, place)?;
            let opened = opened.ok_or_else(|| StoreError::Unsealable {
                kind: Kind::IndexKey,
                name: self.location().name(),
            })?;
            let sealed = new.seal(&opened, place, rng)?;
            let changed = transaction.execute(
                "UPDATE meta SET key_id = ?1, index_key_sealed = ?2 WHERE key_id = ?3",
                values![&to.0, &sealed, &from.0],
            )?;
            if changed != 1 {
                // Another machine was quicker, perhaps with a key of its own.
                return Err(StoreError::RotationUnfinished.into());
            }
            let detail = format!("{from} to {to}");
            self.log(transaction, &Deed::of_store("sealing-key-rotated").with(&detail))
        })
    }

    /// Seals some records of `table` behind row `after` anew; returns the last of them and how many they were.
    fn reseal_some(
        &self,
        table: &Table,
        current: KeyId,
        after: i64,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<(i64, u64)>, StoreError> {
        let ring = &self.secrets().ring;
        let key = ring.key(current)?;
        self.administer("sealing anew", |transaction| {
            let mut records = Vec::new();
            transaction.each(&table.select(), values![after, &current.0], |row| {
                records.push(Record::read(row)?);
                Ok(())
            })?;
            let mut last = None;
            let update = table.update();
            for record in &records {
                let place = Place {
                    kind: table.sealed,
                    uid: &record.uid,
                    owner: &record.owner,
                };
                let opened = ring.open(&record.octets, place)?;
                let opened = opened.ok_or_else(|| StoreError::Unsealable {
                    kind: table.kind,
                    name: record.name.clone(),
                })?;
                let sealed = key.seal(&opened, place, rng)?;
                transaction.execute(&update, values![record.id, &sealed])?;
                last = Some(record.id);
            }
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            Ok(last.map(|last| (last, count)))
        })
    }

    /// Of several rotations on this machine, one works.
    fn lock_keys(&self) -> Result<File, StoreError> {
        let directory = &self.paths().state_dir;
        File::open(directory)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| StoreError::io("lock", directory, error))
    }
}

/// Where sealed records stand, besides the one of the store itself.
struct Table {
    kind: Kind,
    sealed: Sealed,
    table: &'static str,
    column: &'static str,
    /// The row, its owner and its name, `r` being the table.
    from: &'static str,
    owner: &'static str,
    name: &'static str,
}

const TABLES: &[Table] = &[
    Table {
        kind: Kind::Token,
        sealed: Sealed::TokenKey,
        table: "tokens",
        column: "key_sealed",
        from: "tokens r JOIN users u ON u.id = r.user_id",
        owner: "u.uid",
        name: "u.name || '/' || r.label",
    },
    Table {
        kind: Kind::Password,
        sealed: Sealed::Password,
        table: "users",
        column: "password_sealed",
        from: "users r",
        owner: "r.uid",
        name: "r.name",
    },
    Table {
        kind: Kind::Client,
        sealed: Sealed::ClientSecret,
        table: "clients",
        column: "secret_sealed",
        from: "clients r",
        owner: "r.uid",
        name: "r.name",
    },
    Table {
        kind: Kind::Client,
        sealed: Sealed::OldClientSecret,
        table: "clients",
        column: "old_secret_sealed",
        from: "clients r",
        owner: "r.uid",
        name: "r.name",
    },
];

impl Table {
    /// Records behind row `?1` that are sealed with another key than `?2`: the id of the key stands behind the first octet.
    fn select(&self) -> String {
        let Self {
            column,
            from,
            owner,
            name,
            ..
        } = self;
        format!(
            "SELECT r.id, r.uid, {owner} AS owner, {name} AS name, r.{column} AS record FROM {from}
             WHERE r.id > ?1 AND r.{column} IS NOT NULL AND substr(r.{column}, 2, 4) <> ?2 ORDER BY r.id LIMIT {BATCH}"
        )
    }

    fn update(&self) -> String {
        format!("UPDATE {} SET {} = ?2 WHERE id = ?1", self.table, self.column)
    }

    fn count(&self) -> String {
        let Self { table, column, .. } = self;
        format!(
            "SELECT count(*) AS total FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 2, 4) <> ?1"
        )
    }
}

struct Record {
    id: i64,
    uid: Uid,
    owner: Uid,
    name: String,
    octets: Vec<u8>,
}

impl Record {
    fn read(row: &Row<'_>) -> Result<Self, Fault> {
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            owner: row.get("owner")?,
            name: row.get("name")?,
            octets: row.get("record")?,
        })
    }
}

/// Records that are sealed with another key than `current`.
fn count_others(transaction: Sql<'_>, current: KeyId) -> Result<u64, Fault> {
    let mut total = 0_u64;
    for table in TABLES {
        let count: i64 = transaction.one(&table.count(), values![&current.0], |row| row.get("total"))?;
        total = total.saturating_add(unsigned("a number of rows", count)?);
    }
    Ok(total)
}
