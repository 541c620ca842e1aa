//! What there is to tell about the database file.

use std::path::Path;

use crate::{
    DatabaseEngine, DatabaseStatus,
    error::Fault,
    sqlite::{Limits, Role, open, schema},
};

/// Looks at the file; opening it has made sure of what durability rests on.
pub(crate) fn status(path: &Path) -> Result<DatabaseStatus, Fault> {
    let connection = open(path, Role::Reader, &Limits::default())?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(DatabaseStatus {
        engine: DatabaseEngine::Sqlite,
        version: rusqlite::version().to_owned(),
        place: path.display().to_string(),
        server: None,
        schema: Some(schema::version(&connection)?),
        newest_schema: schema::newest(),
        durability: vec![
            ("journal_mode", journal),
            (
                "synchronous",
                if synchronous == 2 {
                    "FULL".to_owned()
                } else {
                    synchronous.to_string()
                },
            ),
        ],
        replication: None,
    })
}
