//! The way back: a new store from a backup, with replay state past anything that may have been used since.

use std::io::{Read, Seek};

use otp_validation::UnixTime;
use rand::CryptoRng;
use tracing::warn;
use zeroize::Zeroizing;

use crate::{
    BackupProgress, BackupSummary, Digests, Location, RestoreOptions, Restored, Store, StoreError,
    audit::{self, Actor, Deed},
    backup::{
        format::{FrameKind, Held},
        rows::{
            REPLAY, insert_client, insert_lockout, insert_replay, insert_rule, insert_token, insert_user,
        },
        verify::{Plan, Source, plan},
    },
    digest::ReplayId,
    error::Fault,
    init,
    keyring::Keyring,
    paths::check_directory,
    seal::{Place, Sealed},
    sql::{Sql, values},
};

impl Store {
    /// Reads a backup to its end, opens everything in it with the keys at `location`, and touches no store.
    ///
    /// # Errors
    ///
    /// [`BackupError`](crate::BackupError) says what is wrong with it; else whatever keeps the key file from being read.
    pub fn check_backup(
        location: impl Into<Location>,
        backup: &mut (impl Read + Seek),
        progress: impl FnMut(BackupProgress),
    ) -> Result<BackupSummary, StoreError> {
        let location = location.into();
        let ring = keys(&location)?;
        let mut source = Source {
            input: backup,
            ring: &ring,
        };
        let plan = plan(&mut source, UnixTime(0), RestoreOptions::default(), progress)?;
        plan.header.summary()
    }

    /// Makes a store from a backup, where there is none; the sealing key of the backup must be there already.
    ///
    /// Nobody knows which codes were accepted since the backup was made, so all that may have been are taken as spent:
    /// counters of HOTP tokens are advanced by their look-ahead and one more (or by more, if `options` say so), and no TOTP
    /// token accepts a step that its window has at `now`. Failures and locks are kept. Verdicts are not: what was accepted
    /// is not said again. All of it or, on an error, nothing.
    ///
    /// # Errors
    ///
    /// [`BackupError`](crate::BackupError) says what is wrong with the backup, before anything is written;
    /// [`StoreError::AlreadyInitialised`] or [`StoreError::DatabaseInUse`] if there is a store; else whatever keeps it
    /// from being made.
    pub fn restore(
        location: impl Into<Location>,
        backup: &mut (impl Read + Seek),
        now: UnixTime,
        options: RestoreOptions,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(BackupProgress),
    ) -> Result<Restored, StoreError> {
        let location = location.into();
        let ring = keys(&location)?;
        let mut source = Source {
            input: backup,
            ring: &ring,
        };
        let mut total = 0;
        let now = init::refuse_store(&location)?.map_or(now, |theirs| theirs.max(now));
        let plan = plan(&mut source, now, options, |seen| {
            total = seen.total;
            // It is read twice.
            progress(BackupProgress {
                done: seen.done,
                total: total.saturating_mul(2),
            });
        })?;
        init::fill(&location, |transaction| {
            let done = |done: u64| {
                progress(BackupProgress {
                    done: total.saturating_add(done),
                    total: total.saturating_mul(2),
                });
            };
            write(transaction, &mut source, &plan, rng, done)
        })?;
        let restored = Restored {
            backup: plan.header.summary()?,
            hotp_tokens: plan.hotp_tokens,
            totp_tokens: plan.totp_tokens,
            totp_from: plan.totp_from,
        };
        warn!(
            store = location.name(),
            made = restored.backup.created_at.0,
            users = restored.backup.users,
            tokens = restored.backup.tokens,
            "a store was restored from a backup; what may have been used since is spent"
        );
        Ok(restored)
    }
}

fn keys(location: &Location) -> Result<Keyring, StoreError> {
    let owner = check_directory(&location.paths.state_dir)?;
    Keyring::read(&location.paths.key_file, owner)
}

/// Writes everything into empty tables. Whoever reads the backup a second time believes it no more than the first time.
fn write(
    transaction: Sql<'_>,
    source: &mut Source<'_, impl Read + Seek>,
    plan: &Plan,
    rng: &mut impl CryptoRng,
    mut progress: impl FnMut(u64),
) -> Result<(), Fault> {
    let mut done = 0_u64;
    let header = source.each::<Fault>(|_, (kind, row)| {
        match kind {
            // A snapshot of another history must never look like one of this.
            FrameKind::User => insert_user(transaction, &row, random_number(rng))?,
            FrameKind::Replay => {
                let id: Option<ReplayId> = REPLAY
                    .get(&row, "id")
                    .and_then(Held::octets)
                    .and_then(|id| id.try_into().ok());
                let next = id.and_then(|id| Some((id, *plan.next.get(&id)?)));
                let (id, next) = next.ok_or_else(changed)?;
                insert_replay(transaction, &id, next)?;
            }
            FrameKind::Token => insert_token(transaction, &row)?,
            FrameKind::Client => insert_client(transaction, &row)?,
            FrameKind::Lockout => insert_lockout(transaction, &row)?,
            FrameKind::Rule => insert_rule(transaction, &row)?,
            FrameKind::Header | FrameKind::End => {}
        }
        done = done.saturating_add(1);
        progress(done);
        Ok(())
    })?;
    transaction.execute(
        "INSERT INTO meta (one, uid, key_id, index_key_sealed, client_epoch, probe, created_at)
         VALUES (1, ?1, ?2, ?3, ?4, 0, ?5)",
        values![
            &header.uid,
            &header.key_id.0,
            &header.index_key_sealed,
            random_number(rng),
            header.made_at,
        ],
    )?;
    // A trail of its own begins here: what the backup's store recorded stays there.
    let place = Place::of(Sealed::IndexKey, &header.uid);
    let opened = source.ring.open(&header.index_key_sealed, place)?;
    let index_key = opened
        .and_then(|octets| <[u8; 32]>::try_from(octets.as_slice()).ok())
        .map(Zeroizing::new)
        .ok_or_else(changed)?;
    let detail = format!("from a backup of {}", header.created_at.0);
    let restored = Deed::of_store("store-restored").with(&detail);
    audit::append(
        transaction,
        &Digests::new(&index_key),
        &Actor::default(),
        &restored,
    )
}

fn changed() -> Fault {
    crate::BackupError::Changed.into()
}

/// A number that comes up in no other history, far from where counting would overflow.
fn random_number(rng: &mut impl CryptoRng) -> i64 {
    (rng.next_u64() >> 2).cast_signed()
}
