//! The time by the database's clock, asked for once by all who want to know it at the same moment.

use std::sync::Arc;

use otp_validation::UnixTime;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    StoreError,
    error::Fault,
    postgres::{servers::Servers, session::Session},
    value::unix_time,
};

const NOW: &str = "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT) AS now";
/// Questions that may wait at most.
const QUEUE: usize = 4096;

type Question = oneshot::Sender<Result<UnixTime, StoreError>>;

/// The way to the task that asks.
#[derive(Debug)]
pub(crate) struct Clock {
    questions: mpsc::Sender<Question>,
}

impl Clock {
    pub(crate) fn start(driver: &Handle, servers: &Arc<Servers>) -> Self {
        let (questions, waiting) = mpsc::channel(QUEUE);
        // It ends by itself when the last sender is dropped.
        driver.spawn(answer(waiting, Arc::clone(servers)));
        Self { questions }
    }

    /// The time at some moment between the call and its end.
    pub(crate) async fn now(&self) -> Result<UnixTime, StoreError> {
        let (question, answer) = oneshot::channel();
        self.questions
            .try_send(question)
            .map_err(|_| StoreError::Overloaded)?;
        answer.await.unwrap_or(Err(StoreError::ReaderGone))
    }
}

async fn answer(mut waiting: mpsc::Receiver<Question>, servers: Arc<Servers>) {
    let mut session = None;
    let mut questions = Vec::new();
    // Whoever asks while an answer is under way waits for the next one: his time must not be of before he asked.
    while waiting.recv_many(&mut questions, QUEUE).await > 0 {
        let now = ask(&mut session, &servers).await;
        let now = now.map_err(|fault| fault.during("asking for the time"));
        for question in questions.drain(..) {
            // Whoever has gone away does not want to know any more.
            let _ = question.send(now.clone());
        }
    }
}

async fn ask(kept: &mut Option<Session>, servers: &Servers) -> Result<UnixTime, Fault> {
    let session = match kept.take().filter(|session| servers.is_current(session)) {
        Some(session) => session,
        None => servers.connect().await?,
    };
    match session.query(NOW, &[]).await {
        Ok(rows) => {
            let seconds = rows.first().map_or(Ok(-1), |row| row.try_get("now"))?;
            *kept = Some(session);
            Ok(unix_time("the clock of the database", seconds)?)
        }
        Err(fault) => {
            if fault.is_of_the_server() {
                servers.abandon(&session);
            }
            Err(fault)
        }
    }
}
