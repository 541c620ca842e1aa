//! Which of the servers takes writes, and whether it may be trusted with them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio_postgres::Config;
use tracing::{info, warn};

use crate::{
    StoreError,
    error::{EngineFault, Fault},
    postgres::{Postgres, session::Session},
};

/// The servers of one database.
#[derive(Debug)]
pub(crate) struct Servers {
    database: Postgres,
    configs: Vec<Config>,
    driver: Handle,
    /// Where to begin to look: the server that took writes last.
    preferred: AtomicUsize,
    /// Moves when a server is given up, so that nobody goes on reading from one that is a primary no more.
    generation: AtomicU64,
    /// Whether standbys were ever seen: then a commit that waits for none of them may be lost.
    is_cluster: AtomicBool,
}

impl Servers {
    pub(crate) fn new(database: Postgres, driver: Handle) -> Self {
        Self {
            configs: database.servers(),
            database,
            driver,
            preferred: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            is_cluster: AtomicBool::new(false),
        }
    }

    /// The database, without its password.
    pub(crate) fn name(&self) -> String {
        self.database.to_string()
    }

    /// Connects to the server that takes writes.
    pub(crate) async fn connect(&self) -> Result<Session, Fault> {
        let generation = self.generation.load(Ordering::SeqCst);
        let first = self.preferred.load(Ordering::SeqCst);
        let mut last = Fault::from(EngineFault::Silent);
        for turn in 0..self.configs.len() {
            let index = first
                .wrapping_add(turn)
                .checked_rem(self.configs.len())
                .unwrap_or(0);
            let Some(config) = self.configs.get(index) else {
                break;
            };
            match self.connect_to(config, index, generation).await {
                Ok(session) => {
                    if self.preferred.swap(index, Ordering::SeqCst) != index {
                        info!(
                            database = self.name(),
                            server = index,
                            "the database is served by another server now"
                        );
                    }
                    return Ok(session);
                }
                // What is wrong with the whole database is not better elsewhere.
                Err(fault @ Fault::Store(_)) => return Err(fault),
                Err(fault) => last = fault,
            }
        }
        match last {
            Fault::Engine(fault) => Err(StoreError::Unreachable {
                database: self.name(),
                source: fault.into(),
            }
            .into()),
            other => Err(other),
        }
    }

    async fn connect_to(&self, config: &Config, index: usize, generation: u64) -> Result<Session, Fault> {
        let session = Session::connect(config, &self.driver, index, generation).await?;
        let rows = session
            .query(
                "SELECT pg_is_in_recovery() AS standby, current_setting('fsync') AS fsync,
                        current_setting('full_page_writes') AS full_page_writes,
                        current_setting('synchronous_standby_names') AS waits_for,
                        (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary)
                      + (SELECT count(*) FROM pg_stat_replication WHERE application_name NOT LIKE 'pg_basebackup%')
                        AS standbys",
                &[],
            )
            .await?;
        let row = rows.first().ok_or(EngineFault::Silent)?;
        if row.try_get("standby")? {
            return Err(EngineFault::Standby.into());
        }
        for setting in ["fsync", "full_page_writes"] {
            let found: String = row.try_get(setting)?;
            if found != "on" {
                return Err(StoreError::NotDurable {
                    setting: if setting == "fsync" {
                        "fsync"
                    } else {
                        "full_page_writes"
                    },
                    found,
                    remedy: "set it to on in postgresql.conf and reload",
                }
                .into());
            }
        }
        let (waits_for, standbys): (String, i64) = (row.try_get("waits_for")?, row.try_get("standbys")?);
        if standbys > 0 || !waits_for.is_empty() {
            self.is_cluster.store(true, Ordering::SeqCst);
        }
        self.check_replication(&waits_for)?;
        Ok(session)
    }

    /// Refuses a cluster whose commits wait for no standby, unless that is wanted. `waits_for` is what its
    /// `synchronous_standby_names` are.
    pub(crate) fn check_replication(&self, waits_for: &str) -> Result<(), StoreError> {
        let may_lose = waits_for.is_empty() && self.is_cluster.load(Ordering::SeqCst);
        if !may_lose || self.database.accept_lost_commits {
            return Ok(());
        }
        Err(StoreError::LosesCommits {
            database: self.name(),
            why: "there are standbys, but synchronous_standby_names is empty".into(),
        })
    }

    /// Whether `session` still leads to the server that everybody uses.
    pub(crate) fn is_current(&self, session: &Session) -> bool {
        !session.is_closed() && session.generation == self.generation.load(Ordering::SeqCst)
    }

    /// Gives up the server of `session`: the next one is tried first.
    pub(crate) fn abandon(&self, session: &Session) {
        let next = session.generation.wrapping_add(1);
        let moved =
            self.generation
                .compare_exchange(session.generation, next, Ordering::SeqCst, Ordering::SeqCst);
        if moved.is_ok() {
            self.preferred
                .store(session.server.wrapping_add(1), Ordering::SeqCst);
            warn!(
                database = self.name(),
                server = session.server,
                "a server of the database does not do its work; the next one is tried"
            );
        }
    }
}
