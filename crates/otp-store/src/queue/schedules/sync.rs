//! What the queue is built on, with a clock that may strike at any moment.

use std::{
    sync::{
        Arc, LockResult,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(super) use shuttle::sync::{Mutex, MutexGuard};
use shuttle::thread;

/// [`shuttle::sync::Condvar`], for which no time passes, and a wait that ends after a while.
#[derive(Debug, Default)]
pub(super) struct Condvar(Arc<shuttle::sync::Condvar>);

impl Condvar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(super) fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait_while(guard, condition)
    }

    /// The time is over whenever the clock's thread has its turn, which it has in the end.
    pub(super) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        let [is_over, has_ended] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let clock = {
            let (condvar, is_over, has_ended) = (self.0.clone(), is_over.clone(), has_ended.clone());
            thread::spawn(move || {
                // More than once: the waiting may begin behind the first stroke.
                while !has_ended.load(Ordering::Relaxed) {
                    is_over.store(true, Ordering::Relaxed);
                    condvar.notify_one();
                    thread::yield_now();
                }
            })
        };
        let waited = self.0.wait_while(guard, |state| {
            condition(state) && !is_over.load(Ordering::Relaxed)
        });
        has_ended.store(true, Ordering::Relaxed);
        drop(clock);
        waited
            .map(|guard| (guard, ()))
            .map_err(|_| unreachable!("nothing panics"))
    }
}
