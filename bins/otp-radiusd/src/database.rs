//! The table `[postgresql]`: a database that several machines share.

use std::{fmt, path::PathBuf};

use otp_store::{Postgres, StoreError};
use serde::Deserialize;

/// Which database, if not the one in the state directory.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresqlConfig {
    /// Where it is, without a password, e.g. `postgresql://otp@127.0.0.1/otp`.
    pub url: Option<DatabaseUrl>,
    /// A file whose first line is such a URL, which may hold a password; only its owner may read it.
    pub url_file: Option<PathBuf>,
    /// Whether to work on a cluster that may lose acknowledged commits when it fails over: codes that were accepted may
    /// then be accepted again.
    pub accept_lost_commits: bool,
}

/// A connection URL that nobody has looked at yet: it may hold a password, whatever it should.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(..)")
    }
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Both keys are there.
    #[error("`url` and `url_file` are both set; keep one")]
    Twice,
    /// Nothing says which.
    #[error(
        "`accept_lost_commits` is set, but no database is named; set `url` or `url_file` in [postgresql]"
    )]
    None,
    /// A password where others may read it: in the configuration, or in the list of processes.
    #[error(
        "`url` holds a password; write the URL into a file of the daemon's user (mode 0600) and name that with `url_file`"
    )]
    Password,
    /// No database URL, or a file that cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PostgresqlConfig {
    /// Whether both tables say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let url = |table: &Self| table.url.as_ref().map(|DatabaseUrl(url)| url.clone());
        url(self) == url(other)
            && self.url_file == other.url_file
            && self.accept_lost_commits == other.accept_lost_commits
    }

    /// The database, if one is named.
    pub(crate) fn database(&self) -> Result<Option<Postgres>, DatabaseError> {
        let mut database = match (&self.url, &self.url_file) {
            (Some(_), Some(_)) => return Err(DatabaseError::Twice),
            (None, None) if self.accept_lost_commits => return Err(DatabaseError::None),
            (None, None) => return Ok(None),
            (Some(DatabaseUrl(url)), None) => {
                let database: Postgres = url.parse()?;
                if database.has_password() {
                    return Err(DatabaseError::Password);
                }
                database
            }
            (None, Some(file)) => Postgres::read(file)?,
        };
        database.accept_lost_commits = self.accept_lost_commits;
        Ok(Some(database))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::Config;

    fn database(table: &str) -> Result<Option<Postgres>, DatabaseError> {
        let config = Config::parse(&format!("[postgresql]\n{table}"), "x.toml".as_ref()).unwrap();
        config.postgresql.database()
    }

    #[test]
    fn a_url_or_a_file_names_the_database() {
        assert!(database("").unwrap().is_none());
        let named = database("url = \"postgresql://otp@127.0.0.1/otp\"\naccept_lost_commits = true");
        let named = named.unwrap().unwrap();
        assert_eq!(named.to_string(), "postgresql://127.0.0.1:5432/otp");
        assert!(named.accept_lost_commits);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("database");
        fs::write(&path, "postgresql://otp:geheim@127.0.0.1/otp\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let named = database(&format!("url_file = {path:?}")).unwrap().unwrap();
        assert!(named.has_password() && !named.accept_lost_commits);
    }

    #[test]
    fn what_names_none_is_refused_without_a_word_of_the_password() {
        for (table, part) in [
            (
                "url = \"postgresql://otp@localhost/otp\"\nurl_file = \"/x\"",
                "keep one",
            ),
            ("accept_lost_commits = true", "no database is named"),
            ("url = \"postgresql://otp:geheim@localhost/otp\"", "url_file"),
            ("url = \"postgresql://otp:geheim@192.0.2.1/otp\"", "TLS"),
            (
                "url = \"postgresql://otp:geheim@localhost:port/otp\"",
                "cannot be used",
            ),
            ("url_file = \"/nonexistent\"", "/nonexistent"),
        ] {
            let refused = database(table).unwrap_err();
            let shown = format!("{refused:#} {refused:?}");
            assert!(shown.contains(part), "{table}: {shown}");
            assert!(!shown.contains("geheim"), "{shown}");
        }
        let config = Config::parse("[postgresql]\nurl = \"geheim\"", "x".as_ref()).unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
