//! Threads for long computations, which give way to everything else that the process does.

use std::{num::NonZeroUsize, sync::Once, time::Duration};

use rustix::process::nice;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much nicer the threads are than others (`nice(2)`): beside a thread of the process' priority they get a tenth of a core, and
/// all of it while nobody else wants it.
const NICENESS: i32 = 10;
/// How long a thread without work stays.
const STAYS: Duration = Duration::from_secs(60);

/// Threads that are started when there is work for them. Dropping this lets them finish what they do.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// At most `at_once` threads.
    pub(crate) fn new(at_once: NonZeroUsize) -> Self {
        // Nothing drives this runtime: its threads for blocking calls are all that is used.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(at_once.get())
            .thread_keep_alive(STAYS)
            .thread_name("password")
            .on_thread_start(give_way)
            .build();
        Self(runtime.ok())
    }

    /// Runs `work`, and tells its result to whoever waits for it; an error if it panicked. It runs to its end also if nobody
    /// waits any more.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn_blocking(work),
            // Without timers and sockets, nothing keeps a runtime from being made. If it were so, whoever asks has one.
            None => tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for it would block a runtime's thread, which tokio refuses.
            runtime.shutdown_background();
        }
    }
}

/// Lowers the priority of the calling thread.
fn give_way() {
    static WARNED: Once = Once::new();
    if let Err(error) = nice(NICENESS) {
        WARNED.call_once(|| {
            tracing::warn!(
                %error,
                "password checks have the priority of everything else: requests without passwords may become slow beside them"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    #[tokio::test]
    async fn they_give_way_and_nobody_else_does() {
        let threads = Threads::new(ONE);
        let before = getpriority_process(None).unwrap();
        let lowered = threads.run(|| getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(lowered, (before + NICENESS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
        let usual = tokio::task::spawn_blocking(|| getpriority_process(None).unwrap());
        assert_eq!(usual.await.unwrap(), before);
    }

    #[tokio::test]
    async fn they_may_be_dropped_in_a_runtime_while_they_work() {
        let threads = Threads::new(ONE);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let work = threads.run(move || wait.recv().is_ok());
        drop(threads);
        go.send(()).unwrap();
        assert!(work.await.unwrap(), "it runs to its end");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_ends_no_thread_for_good() {
        let threads = Threads::new(ONE);
        assert!(threads.run(|| panic!("as a library might")).await.is_err());
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
    }
}
