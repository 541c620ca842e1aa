//! What there is to tell about the servers of a database.

use std::sync::Arc;

use crate::{
    DatabaseEngine, DatabaseStatus, Postgres, Replication, Standby, StoreError,
    error::Fault,
    postgres::{Engine, schema},
    sql::{Sql, values},
    value::unsigned,
};

/// Asks the server that takes writes about itself and its standbys, whatever the state of the tables.
pub(crate) fn status(database: &Postgres) -> Result<DatabaseStatus, StoreError> {
    // Nothing is committed here, so nothing can be lost: a cluster that loses commits is described, not refused.
    let mut database = database.clone();
    database.accept_lost_commits = true;
    let engine = Engine::open(&database, &Arc::default(), &Arc::default())?;
    let looked = engine
        .connect()
        .and_then(|session| look(Sql::Postgres(&session), &database));
    looked.map_err(|fault| fault.during("asking the database about itself"))
}

fn look(sql: Sql<'_>, database: &Postgres) -> Result<DatabaseStatus, Fault> {
    let schema = schema::version(sql)?;
    let (version, server, slots, settings) = sql.one(
        "SELECT current_setting('server_version') AS version,
                coalesce(host(inet_server_addr()) || ':', 'UNIX socket, port ') || current_setting('port') AS server,
                (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary) AS slots,
                current_setting('fsync') AS fsync,
                current_setting('full_page_writes') AS full_page_writes,
                current_setting('synchronous_standby_names') AS waits_for",
        values![],
        |row| {
            let slots: i64 = row.get("slots")?;
            Ok((
                row.get("version")?,
                row.get("server")?,
                unsigned("a number of slots", slots)?,
                [
                    row.get::<String>("fsync")?,
                    row.get("full_page_writes")?,
                    row.get("waits_for")?,
                ],
            ))
        },
    )?;
    let [fsync, full_page_writes, waits_for] = settings;
    let mut standbys = Vec::new();
    sql.each(
        "SELECT application_name, state, sync_state FROM pg_stat_replication
         WHERE application_name NOT LIKE 'pg_basebackup%' ORDER BY application_name",
        values![],
        |row| {
            standbys.push(Standby {
                name: row.get("application_name")?,
                state: row.get("state")?,
                sync_state: row.get("sync_state")?,
            });
            Ok(())
        },
    )?;
    Ok(DatabaseStatus {
        engine: DatabaseEngine::Postgresql,
        version,
        place: database.to_string(),
        server: Some(server),
        schema,
        newest_schema: schema::newest(),
        durability: vec![
            ("fsync", fsync),
            ("full_page_writes", full_page_writes),
            // Every transaction that writes sets it.
            ("synchronous_commit", "on".to_owned()),
        ],
        replication: Some(Replication {
            waits_for,
            slots,
            standbys,
        }),
    })
}
