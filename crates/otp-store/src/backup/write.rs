//! Making a backup.

use std::io::Write;

use otp_validation::UnixTime;
use tracing::warn;

use crate::{
    BackupProgress, BackupSummary, KeyId, Store, StoreError,
    audit::Deed,
    backup::{
        format::{FrameKind, Held, Writer},
        rows::ALL,
    },
    error::Fault,
    sql::{Sql, values},
    value::{time, unsigned},
};

impl Store {
    /// Writes a backup to `out`: everything as of one moment, while daemons work.
    ///
    /// Secrets stay sealed, and the sealing key is not in it. Names of users, tokens and clients are in clear. What was
    /// accepted in the last minutes is left out; that it was spent is in. The audit trail stays where it is, and gets a record
    /// of this.
    ///
    /// # Errors
    ///
    /// [`BackupError::Write`](crate::BackupError::Write), or whatever keeps the store from reading. What was written so
    /// far is no backup then: [`Store::restore`] refuses it.
    pub fn backup(
        &self,
        now: UnixTime,
        out: impl Write,
        progress: impl FnMut(BackupProgress),
    ) -> Result<BackupSummary, StoreError> {
        let summary = self.read("making a backup", |transaction| {
            self.write_backup(transaction, now, out, progress)
        })?;
        let detail = format!("{} users, {} tokens", summary.users, summary.tokens);
        let recorded = self.administer("recording a backup", |transaction| {
            self.log(transaction, &Deed::of_store("backup-made").with(&detail))
        });
        if let Err(cause) = recorded {
            // A store that takes no writes any more is one that needs its backup.
            warn!(
                error = &cause as &dyn std::error::Error,
                "the audit trail does not take the record of this backup"
            );
        }
        Ok(summary)
    }

    fn write_backup(
        &self,
        transaction: Sql<'_>,
        now: UnixTime,
        out: impl Write,
        mut progress: impl FnMut(BackupProgress),
    ) -> Result<BackupSummary, Fault> {
        let now = transaction.clock()?.unwrap_or(now);
        let mut counts = [0_i64; ALL.len()];
        for (count, rows) in counts.iter_mut().zip(ALL) {
            *count = rows.count(transaction)?;
        }
        let (key, meta) = transaction.one(
            "SELECT uid, key_id, index_key_sealed, created_at FROM meta",
            values![],
            |row| {
                let columns = ["uid", "key_id", "index_key_sealed", "created_at"];
                let meta: Result<Vec<Held>, Fault> = columns.iter().map(|column| row.get(column)).collect();
                Ok((KeyId(row.get("key_id")?), meta?))
            },
        )?;
        let header: Vec<Held> = [Held::Integer(time(now))]
            .into_iter()
            .chain(meta)
            .chain(counts.map(Held::Integer))
            .collect();
        let mut writer = Writer::begin(out, &self.secrets().ring.key(key)?)?;
        writer.frame(FrameKind::Header, &header)?;

        let [users, _, tokens, clients, _, rules] = counts;
        let total = unsigned(
            "a number of rows",
            counts
                .iter()
                .fold(0, |sum: i64, count| sum.saturating_add(*count)),
        )?;
        let mut done = 0_u64;
        for rows in ALL {
            rows.each(transaction, |values| {
                writer.frame(rows.kind, &values)?;
                done = done.saturating_add(1);
                progress(BackupProgress { done, total });
                Ok(())
            })?;
        }
        writer.end()?;
        Ok(BackupSummary {
            created_at: now,
            key,
            users: unsigned("a number of users", users)?,
            tokens: unsigned("a number of tokens", tokens)?,
            clients: unsigned("a number of clients", clients)?,
            rules: unsigned("a number of rules", rules)?,
        })
    }
}
