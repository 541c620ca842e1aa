//! Threads for long computations, which give way to everything else that the process does.

use std::{
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, Once, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use rustix::process::nice;
use tokio::sync::oneshot;

/// How much nicer the threads are than others (`nice(2)`): beside a thread of the process' priority they get a tenth of a core, and
/// all of it while nobody else wants it.
const NICENESS: i32 = 10;

/// A fixed number of threads, which are there from the start: none has to be made when there is work for it. Dropping this lets
/// them finish what they were given.
pub(crate) struct Threads(Option<Sender<Work>>);

type Work = Box<dyn FnOnce() + Send>;

impl Threads {
    /// So many threads, or as many as the system gives.
    pub(crate) fn new(wanted: NonZeroUsize) -> Self {
        let (sender, works) = channel();
        let works = Arc::new(Mutex::new(works));
        let started: Result<Vec<()>, _> = (0..wanted.get()).map(|_| start(Arc::clone(&works))).collect();
        if let Err(error) = started {
            tracing::warn!(%error, "not all threads for password checks could be started; see TasksMax= of the service");
        }
        // Those that were started have a share in it.
        Self((Arc::strong_count(&works) > 1).then_some(sender))
    }

    /// Runs `work`, and tells its result to whoever waits for it; an error if it panicked. It runs to its end also if nobody
    /// waits any more.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (tell, result) = oneshot::channel();
        let work = move || {
            // Whoever waits for the result hears of a panic, and nobody else sees what it left half done.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                let _nobody_waits = tell.send(done);
            }
        };
        match &self.0 {
            Some(sender) => {
                let _sent = sender.send(Box::new(work));
            }
            None => {
                tokio::task::spawn_blocking(work);
            }
        }
        result
    }
}

fn start(works: Arc<Mutex<Receiver<Work>>>) -> io::Result<()> {
    let thread = thread::Builder::new().name("password".to_owned());
    thread.spawn(move || {
        give_way();
        loop {
            let next = works.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match next {
                Ok(work) => work(),
                Err(_dropped) => return,
            }
        }
    })?;
    Ok(())
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
