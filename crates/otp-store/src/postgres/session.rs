//! One connection to a server: statements prepared once, every wait bounded, every warning counted.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls, Row, Statement,
    error::SqlState,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};
use tracing::{debug, warn};

use crate::{
    error::{EngineFault, Fault},
    postgres::driver::wait,
    sql::Value,
};

/// How long a statement may take, a commit included. Whoever waits for an answer has given up by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// Begins a transaction that changes something, in its turn: administrators one at a time, decisions beside each other.
///
/// Whatever the role's or the database's own settings are, the commit waits for the disk and for the standbys, and nobody
/// is waited for without end.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL synchronous_commit = 'on';
    SET LOCAL lock_timeout = '3s';
    SET LOCAL idle_in_transaction_session_timeout = '10s';";

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Looks at one consistent snapshot.
    Read,
    /// Makes decisions durable.
    Decide,
    /// Changes what decisions rest on: nobody decides meanwhile.
    Administer,
}

impl Purpose {
    fn begin(self) -> String {
        // "OTPs": other programs on the same database have other locks.
        const TURN: i64 = crate::sqlite::APPLICATION_ID;
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned(),
            Self::Decide => format!("{BEGIN} SELECT pg_advisory_xact_lock_shared({TURN});"),
            Self::Administer => format!("{BEGIN} SELECT pg_advisory_xact_lock({TURN});"),
        }
    }
}

/// What is known of a commit that was asked for.
#[derive(Debug)]
pub(crate) enum Committed {
    /// It is durable wherever the server's settings ask for.
    Durably,
    /// Nothing of the transaction will ever be seen.
    NotAtAll(Fault),
    /// It may be durable, or be seen for a while and then be lost, or not have happened.
    Perhaps(Fault),
}

/// A connection.
pub(crate) struct Session {
    client: Client,
    driver: Handle,
    statements: Mutex<HashMap<String, Statement>>,
    /// Warnings that the server has sent.
    warnings: Arc<AtomicU64>,
    /// Which of the servers it leads to, and since which change of servers.
    pub(crate) server: usize,
    pub(crate) generation: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects to the one server of `config`. To be called in the driver's runtime.
    pub(crate) async fn connect(
        config: &Config,
        driver: &Handle,
        server: usize,
        generation: u64,
    ) -> Result<Self, Fault> {
        let (client, mut connection) = bounded(config.connect(NoTls)).await?;
        let warnings = Arc::<AtomicU64>::default();
        let count = Arc::clone(&warnings);
        driver.spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    // The answer to the statement that was warned of comes later on the same connection.
                    Ok(AsyncMessage::Notice(notice)) if notice.severity() == "WARNING" => {
                        count.fetch_add(1, Ordering::SeqCst);
                        warn!(
                            warning = notice.message(),
                            detail = notice.detail(),
                            "the database warns"
                        );
                    }
                    Ok(_) => {}
                    Err(error) => {
                        debug!(
                            error = &error as &dyn std::error::Error,
                            "a connection to the database ended"
                        );
                        break;
                    }
                }
            }
        });
        Ok(Self {
            client,
            driver: driver.clone(),
            statements: Mutex::default(),
            warnings,
            server,
            generation,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs `text`, which may be several statements, without parameters.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Fault> {
        bounded(self.client.batch_execute(text)).await
    }

    pub(crate) async fn begin(&self, purpose: Purpose) -> Result<(), Fault> {
        self.batch(&purpose.begin()).await
    }

    /// Takes back whatever was done since [`begin`](Self::begin).
    pub(crate) async fn rollback(&self) -> Result<(), Fault> {
        self.batch("ROLLBACK").await
    }

    /// Asks for the commit, and believes only what leaves no doubt.
    pub(crate) async fn commit(&self) -> Committed {
        let warned = self.warnings.load(Ordering::SeqCst);
        match self.batch("COMMIT").await {
            // A wait for standbys that was cancelled ends in success and a warning.
            Ok(()) if self.warnings.load(Ordering::SeqCst) == warned => Committed::Durably,
            Ok(()) => Committed::Perhaps(EngineFault::Warned.into()),
            Err(fault) if fault.takes_back() => Committed::NotAtAll(fault),
            Err(fault) => Committed::Perhaps(fault),
        }
    }

    pub(crate) async fn execute(
        &self,
        statement: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Fault> {
        let prepared = self.prepared(statement).await?;
        bounded(self.client.execute(&prepared, values)).await
    }

    pub(crate) async fn query(
        &self,
        statement: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let prepared = self.prepared(statement).await?;
        bounded(self.client.query(&prepared, values)).await
    }

    /// Makes statements known, so that they are sent at once when they are needed.
    pub(crate) async fn prepare(&self, statements: &[&str]) -> Result<(), Fault> {
        for statement in statements {
            self.prepared(statement).await?;
        }
        Ok(())
    }

    async fn prepared(&self, statement: &str) -> Result<Statement, Fault> {
        if let Some(known) = self.statements().get(statement) {
            return Ok(known.clone());
        }
        // The engines differ in how parameters are written; no statement of ours has a question mark otherwise.
        let text = statement.replace('?', "$");
        let prepared = bounded(self.client.prepare(&text)).await?;
        self.statements().insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`execute`](Self::execute), waiting in this thread.
    pub(crate) fn execute_blocking(&self, statement: &str, values: &[Value<'_>]) -> Result<u64, Fault> {
        self.wait(self.execute(statement, &parameters(values)))
    }

    /// As [`query`](Self::query), waiting in this thread.
    pub(crate) fn query_blocking(&self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        self.wait(self.query(statement, &parameters(values)))
    }

    /// Waits in this thread.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        wait(&self.driver, future)
    }
}

fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// The answer, if it comes in time. Nothing is cancelled: a statement without an answer may still be carried out.
async fn bounded<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(EngineFault::Silent.into()),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Self::Integer(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Octets(octets) => octets.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT4 | Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::TEXT => Self::Text(<&str>::from_sql(kind, raw)?),
            _ => Self::Octets(<&[u8]>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT4 | Type::INT8 | Type::TEXT | Type::BYTEA)
    }
}

/// Whether another attempt may do better: nothing was wrong with what was asked.
pub(crate) fn is_transient(error: &tokio_postgres::Error) -> bool {
    const PASSING: [SqlState; 4] = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    is_of_the_server(error) || error.code().is_some_and(|state| PASSING.contains(state))
}

/// Whether the server, or the way to it, is at fault.
pub(crate) fn is_of_the_server(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else {
        return error.is_closed()
            || error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    };
    // Class 08, connection exception; class 57, operator intervention: it shuts down, or does not serve yet.
    let class = state.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "57") || *state == SqlState::READ_ONLY_SQL_TRANSACTION
}
