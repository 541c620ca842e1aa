//! Where passwords are checked: on threads that give way to all others, a bounded number at once, behind a queue with an end.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use otp_validation::PasswordHash;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Clock, pace::Pace, threads::Threads};

/// Compares a password with a stored hash, and takes its time.
pub(crate) type Verify = fn(&[u8], &PasswordHash) -> bool;

/// How many checks may be in the queue, those that run among them.
const LONGEST_QUEUE: u32 = 1024;
/// How long a check takes as far as anybody knows before the first one.
const ASSUMED: Duration = Duration::from_millis(30);

/// The check was refused: by the time it could be made, nobody would wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Checks passwords.
#[derive(Clone)]
pub(crate) struct Checker {
    verify: Verify,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Pool(Pool),
    /// In the task that asks.
    Here,
}

#[derive(Clone)]
struct Pool {
    at_once: NonZeroUsize,
    permits: Arc<Semaphore>,
    threads: Arc<Threads>,
    queued: Arc<AtomicU32>,
    pace: Arc<Pace>,
    clock: Arc<dyn Clock>,
}

impl Checker {
    /// On threads of its own, at most `at_once` at a time.
    pub(crate) fn pool(verify: Verify, at_once: NonZeroUsize, clock: Arc<dyn Clock>) -> Self {
        Self {
            verify,
            place: Place::Pool(Pool {
                at_once,
                permits: Arc::new(Semaphore::new(at_once.get())),
                threads: Arc::new(Threads::new(at_once)),
                queued: Arc::default(),
                pace: Arc::new(Pace::new(ASSUMED)),
                clock,
            }),
        }
    }

    /// In the task that asks.
    pub(crate) const fn in_place(verify: Verify) -> Self {
        Self {
            verify,
            place: Place::Here,
        }
    }

    /// How many checks run or wait for their turn.
    pub(crate) fn queued(&self) -> u32 {
        match &self.place {
            Place::Pool(pool) => pool.queued.load(Ordering::Relaxed),
            Place::Here => 0,
        }
    }

    /// Whether `password` is the one that `hash` was made of. A check that cannot be made is a wrong password.
    ///
    /// Dropping the future leaves the queue; a check that runs already runs to its end.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the check would not be done by `deadline` ([`Clock::elapsed`]): at once if the queue is full or too long for
    /// it, later if those ahead take longer than usual.
    pub(crate) async fn verify(
        &self,
        password: Zeroizing<Vec<u8>>,
        hash: PasswordHash,
        deadline: Duration,
    ) -> Result<bool, Busy> {
        let verify = self.verify;
        let pool = match &self.place {
            Place::Pool(pool) => pool,
            Place::Here => return Ok(verify(&password, &hash)),
        };
        let queued = pool.queue(deadline)?;
        let permit = Arc::clone(&pool.permits).acquire_owned().await;
        let permit = permit.map_err(|_closed| Busy)?;
        pool.ends_in_time(1, deadline)?;
        let (clock, pace) = (Arc::clone(&pool.clock), Arc::clone(&pool.pace));
        let is_right = pool.threads.run(move || {
            // These live as long as the work, even if nobody waits for it any more.
            let _held = (permit, queued);
            let began = clock.elapsed();
            let is_right = verify(&password, &hash);
            pace.saw(clock.elapsed().saturating_sub(began));
            is_right
        });
        Ok(is_right.await.unwrap_or(false))
    }
}

impl Pool {
    fn queue(&self, deadline: Duration) -> Result<Queued, Busy> {
        let ahead = self.queued.fetch_add(1, Ordering::Relaxed);
        // From here on it is counted off again, whatever happens.
        let queued = Queued(Arc::clone(&self.queued));
        if ahead >= LONGEST_QUEUE {
            return Err(Busy);
        }
        let at_once = u32::try_from(self.at_once.get()).unwrap_or(u32::MAX);
        // Those that run are half done on average; counting them whole errs on the side of an answer in time.
        self.ends_in_time(ahead.saturating_add(1).div_ceil(at_once), deadline)?;
        Ok(queued)
    }

    /// Whether so many checks, one after the other, are done by then as far as anybody can tell.
    fn ends_in_time(&self, checks: u32, deadline: Duration) -> Result<(), Busy> {
        let takes = self.pace.median().saturating_mul(checks);
        if self.clock.elapsed().saturating_add(takes) > deadline {
            return Err(Busy);
        }
        Ok(())
    }
}

/// One of those in the queue.
struct Queued(Arc<AtomicU32>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        thread::sleep,
    };

    use super::*;
    use crate::SystemClock;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
    const LONG: Duration = Duration::MAX;

    fn in_ms(millis: u64) -> Duration {
        SystemClock.elapsed() + Duration::from_millis(millis)
    }

    fn password() -> Zeroizing<Vec<u8>> {
        Zeroizing::new(b"correct horse".to_vec())
    }

    fn hash() -> PasswordHash {
        PasswordHash::new("$argon2id$".into())
    }

    fn pool(verify: Verify) -> Checker {
        Checker::pool(verify, TWO, Arc::new(SystemClock))
    }

    fn queued(checker: &Checker) -> u32 {
        checker.queued()
    }

    #[tokio::test]
    async fn so_many_run_at_once_and_no_more() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let checker = pool(|_, _| {
            MOST.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(Duration::from_millis(10));
            RUNNING.fetch_sub(1, SeqCst);
            true
        });
        let checks: Vec<_> = (0..20)
            .map(|_| {
                let checker = checker.clone();
                tokio::spawn(async move { checker.verify(password(), hash(), LONG).await })
            })
            .collect();
        for check in checks {
            assert_eq!(check.await.unwrap(), Ok(true));
        }
        assert_eq!(MOST.load(SeqCst), 2);
        assert_eq!(queued(&checker), 0);
    }

    #[tokio::test]
    async fn what_could_not_be_done_in_time_is_refused_at_once() {
        static DONE: AtomicUsize = AtomicUsize::new(0);
        let checker = pool(|_, _| {
            sleep(Duration::from_millis(50));
            DONE.fetch_add(1, SeqCst);
            true
        });
        assert_eq!(checker.verify(password(), hash(), LONG).await, Ok(true));
        // Two at once, 50 ms each at least, 320 ms of patience: twelve of them have a chance at most.
        let checks: Vec<_> = (0..100)
            .map(|_| {
                let checker = checker.clone();
                tokio::spawn(async move { checker.verify(password(), hash(), in_ms(320)).await })
            })
            .collect();
        let mut refused = 0;
        for check in checks {
            match check.await.unwrap() {
                Ok(right) => assert!(right),
                Err(Busy) => refused += 1,
            }
        }
        let done = DONE.load(SeqCst) - 1;
        assert!((1..=12).contains(&done), "{done} done");
        assert_eq!(refused, 100 - done);
        assert_eq!(queued(&checker), 0, "those that were refused are gone");
        assert_eq!(
            checker.verify(password(), hash(), LONG).await,
            Ok(true),
            "it recovers"
        );
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        static OPEN: AtomicBool = AtomicBool::new(false);
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        const ALL: u32 = LONGEST_QUEUE + 7;
        let checker = pool(|_, _| {
            while !OPEN.load(SeqCst) {
                sleep(Duration::from_millis(1));
            }
            true
        });
        let checks: Vec<_> = (0..ALL)
            .map(|_| {
                let checker = checker.clone();
                tokio::spawn(async move {
                    BEGUN.fetch_add(1, SeqCst);
                    checker.verify(password(), hash(), LONG).await
                })
            })
            .collect();
        // All of them are in the queue, at work or refused before the first one is done.
        while BEGUN.load(SeqCst) < ALL as usize {
            tokio::task::yield_now().await;
        }
        assert!(queued(&checker) <= LONGEST_QUEUE);
        OPEN.store(true, SeqCst);
        let mut refused = 0;
        for check in checks {
            refused += usize::from(check.await.unwrap() == Err(Busy));
        }
        // Two may have left the queue for their turn before the last ones came.
        assert!((5..=7).contains(&refused), "{refused}");
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let checker = pool(|_, _| {
            sleep(Duration::from_millis(20));
            true
        });
        let checks: Vec<_> = (0..50)
            .map(|_| {
                let checker = checker.clone();
                tokio::spawn(async move { checker.verify(password(), hash(), LONG).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(queued(&checker), 50);
        for check in &checks {
            check.abort();
        }
        for check in checks {
            assert!(check.await.is_err());
        }
        assert!(queued(&checker) <= 2, "two may still run");
        assert_eq!(checker.verify(password(), hash(), LONG).await, Ok(true));
    }

    #[tokio::test]
    async fn a_check_that_panics_is_a_wrong_password() {
        let checker = pool(|_, _| panic!("as a library might"));
        assert_eq!(checker.verify(password(), hash(), LONG).await, Ok(false));
        assert_eq!(queued(&checker), 0);
    }
}
