//! PostgreSQL: one database that several machines share.
//!
//! Reading and administration go through the same statements as on SQLite ([`crate::sql`]). Decisions go through
//! [`lanes`], which put many of them into one transaction.

mod batch;
mod clock;
mod driver;
mod file;
mod lanes;
mod rows;
mod schema;
mod servers;
mod session;
mod status;
mod url;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) use rows::{CLAIM_CHAIN, MAKE_CHAIN};
pub(crate) use schema::{migrate, newest, refuse_tables};
pub(crate) use session::{Session, is_of_the_server, is_transient};
pub(crate) use status::status;
pub use url::Postgres;

use otp_validation::UnixTime;

use crate::{
    StoreError,
    activity::Counters,
    audit::Trail,
    commit::Job,
    error::Fault,
    postgres::{
        clock::Clock,
        driver::{Driver, wait},
        lanes::Lanes,
        servers::Servers,
        session::{Committed, PATIENCE, Purpose},
    },
    sql::Sql,
};

/// Connections for everything but the lanes.
const SESSIONS: usize = 8;

/// The database behind a store.
#[derive(Debug)]
pub(crate) struct Engine {
    servers: Arc<Servers>,
    lanes: Lanes,
    clock: Clock,
    pool: Pool,
    driver: Driver,
}

impl Engine {
    /// Begins to use a database; whether it can be used shows with the first look.
    pub(crate) fn open(
        database: &Postgres,
        counters: &Arc<Counters>,
        trail: &Arc<Trail>,
    ) -> Result<Self, StoreError> {
        let driver = Driver::start()
            .map_err(|error| StoreError::io("start the thread for", database.to_string(), error))?;
        let servers = Arc::new(Servers::new(database.clone(), driver.handle().clone()));
        let lanes = Lanes::start(driver.handle(), &servers, counters, trail);
        let clock = Clock::start(driver.handle(), &servers);
        Ok(Self {
            servers,
            lanes,
            clock,
            pool: Pool::default(),
            driver,
        })
    }

    /// The database, without its password.
    pub(crate) fn name(&self) -> String {
        self.servers.name()
    }

    /// Hands a decision over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.lanes.submit(job)
    }

    /// Tells the lanes of records that wait. If they cannot be told, they have work, and take them along.
    pub(crate) fn wake(&self) {
        let _ = self.lanes.wake();
    }

    /// The time by the database's clock.
    pub(crate) async fn now(&self) -> Result<UnixTime, StoreError> {
        self.clock.now().await
    }

    /// Runs `look` on one consistent snapshot.
    pub(crate) fn read<T>(&self, look: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let place = self.pool.enter()?;
        let session = self.begin(Purpose::Read)?;
        let seen = look(Sql::Postgres(&session));
        // Whatever was wrong with the question, the session is sound if it can leave the transaction.
        if session.wait(session.rollback()).is_ok() {
            place.keep(session);
        } else {
            self.servers.abandon(&session);
        }
        seen
    }

    /// Changes something in one transaction, beside which nobody decides. What it wrote is durable when this returns
    /// `Ok`.
    pub(crate) fn administer<T>(&self, change: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let place = self.pool.enter()?;
        let session = self.begin(Purpose::Administer)?;
        let changed = match change(Sql::Postgres(&session)) {
            Ok(changed) => changed,
            Err(fault) => {
                if session.wait(session.rollback()).is_ok() {
                    place.keep(session);
                }
                return Err(fault);
            }
        };
        match session.wait(session.commit()) {
            Committed::Durably => {
                place.keep(session);
                Ok(changed)
            }
            Committed::NotAtAll(fault) => Err(fault),
            Committed::Perhaps(_) => {
                self.servers.abandon(&session);
                Err(StoreError::UnknownOutcome.into())
            }
        }
    }

    /// Makes tables or brings them up to date, by a session that expects nothing of them.
    pub(crate) fn prepare<T>(&self, make: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let session = self.connect()?;
        session.wait(session.begin(Purpose::Administer))?;
        let made = make(Sql::Postgres(&session))?;
        match session.wait(session.commit()) {
            Committed::Durably => Ok(made),
            Committed::NotAtAll(fault) => Err(fault),
            Committed::Perhaps(_) => Err(StoreError::UnknownOutcome.into()),
        }
    }

    fn connect(&self) -> Result<Session, Fault> {
        wait(self.driver.handle(), self.servers.connect())
    }

    /// A session in a transaction, on the server that everybody uses.
    fn begin(&self, purpose: Purpose) -> Result<Session, Fault> {
        while let Some(session) = self.pool.idle() {
            // One that the server has closed meanwhile says so now, and another takes its place.
            if self.servers.is_current(&session) && session.wait(session.begin(purpose)).is_ok() {
                // Whoever only looks fails by himself where other tables are.
                if purpose != Purpose::Read {
                    schema::check(Sql::Postgres(&session), &self.name())?;
                }
                return Ok(session);
            }
        }
        let session = self.connect()?;
        // Looked at before the transaction: a table that is missing would end it.
        schema::check(Sql::Postgres(&session), &self.name())?;
        session.wait(session.begin(purpose))?;
        Ok(session)
    }
}

/// Idle sessions, and how many may be used at once.
#[derive(Debug, Default)]
struct Pool {
    state: Mutex<PoolState>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    idle: Vec<Session>,
    in_use: usize,
}

/// The right to use one session, until it is dropped.
struct Place<'a>(&'a Pool);

impl Pool {
    fn enter(&self) -> Result<Place<'_>, Fault> {
        let waited = self
            .left
            .wait_timeout_while(self.lock(), PATIENCE, |state| state.in_use >= SESSIONS);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.in_use >= SESSIONS {
            return Err(StoreError::Overloaded.into());
        }
        state.in_use = state.in_use.saturating_add(1);
        Ok(Place(self))
    }

    fn idle(&self) -> Option<Session> {
        self.lock().idle.pop()
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // A number and a list: no panic leaves them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    fn keep(&self, session: Session) {
        self.0.lock().idle.push(session);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_use = state.in_use.saturating_sub(1);
        drop(state);
        self.0.left.notify_one();
    }
}
