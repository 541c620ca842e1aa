//! Secrets that occur twice: in the file, or in the file and in the store.
//!
//! Nothing is unsafe about two tokens of one secret, as they share what was spent. But it is hardly ever meant: a file was
//! imported before, or somebody made a token for all of a department.

use std::collections::HashMap;

use otp_store::Store;
use otp_validation::UserName;

use crate::{context::Context, csv_import::Row, failure::Failure, progress::Progress, text::count};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    /// Rows whose secret an earlier row has, and the first of them with that row.
    in_file: usize,
    first_in_file: Option<(u64, u64)>,
    /// Rows whose secret a token of the same user has, and the first of them with the token.
    in_store: usize,
    first_in_store: Option<(u64, String)>,
    rows: usize,
}

impl Repeated {
    /// Looks at the secrets of `rows`, which are in the order of the file.
    pub(super) fn find(rows: &[Row], store: &Store, progress: &Progress) -> Result<Self, Failure> {
        let mut found = Self {
            rows: rows.len(),
            ..Self::default()
        };
        let mut lines: HashMap<&[u8], u64> = HashMap::with_capacity(rows.len());
        let mut by_user: HashMap<&UserName, Vec<&Row>> = HashMap::new();
        for row in rows {
            by_user.entry(&row.user).or_default().push(row);
            let first = *lines.entry(row.key.as_bytes()).or_insert(row.line);
            if first != row.line {
                found.in_file = found.in_file.saturating_add(1);
                found.first_in_file.get_or_insert((first, row.line));
            }
        }
        // An empty store, as most have that a million tokens are imported into, is asked only once.
        if store.stats()?.tokens > 0 {
            for (user, rows) in by_user {
                found.compare(user, &rows, store)?;
                rows.iter().for_each(|_| progress.step());
            }
        }
        Ok(found)
    }

    fn compare(&mut self, user: &UserName, rows: &[&Row], store: &Store) -> Result<(), Failure> {
        // Another user may be found in place of one who does not exist, by a name without realm.
        let account = store.account(user)?.filter(|account| account.user.name == *user);
        let Some(account) = account else {
            return Ok(());
        };
        for row in rows {
            let same = |token: &&otp_validation::Token| token.key.as_bytes() == row.key.as_bytes();
            if let Some(token) = account.tokens.iter().find(same) {
                self.in_store = self.in_store.saturating_add(1);
                if self
                    .first_in_store
                    .as_ref()
                    .is_none_or(|(line, _)| row.line < *line)
                {
                    self.first_in_store = Some((row.line, format!("{user}/{}", token.label)));
                }
            }
        }
        Ok(())
    }

    /// Tells of it.
    pub(super) fn warn(&self, context: &mut Context) {
        if let Some((line, token)) = &self.first_in_store {
            context.warn(&format!(
                "{} of {} {} a secret that the same user has a token of already (line {line}: {token}). Was the file \
                 imported before? Both tokens show the same codes, and each code counts once for both. To be rid of \
                 one: otpctl token rm USER/LABEL",
                self.in_store,
                count(self.rows, "token"),
                if self.in_store == 1 { "has" } else { "have" },
            ));
        }
        if let Some((first, second)) = self.first_in_file {
            context.warn(&format!(
                "{} of {} {} a secret that an earlier line has (line {second} that of line {first}): whoever holds one of \
                 such tokens knows the codes of the others",
                self.in_file,
                count(self.rows, "token"),
                if self.in_file == 1 { "has" } else { "have" },
            ));
        }
    }
}
