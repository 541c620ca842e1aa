//! Threads that work beside each other until it is over, or until one of them has failed: a test that fails ends, too.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Whether it is over, for all of them.
#[derive(Default)]
pub struct Together(AtomicBool);

/// Held by each of the threads.
pub struct Member<'a>(&'a Together);

impl Together {
    pub fn member(&self) -> Member<'_> {
        Member(self)
    }

    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}
