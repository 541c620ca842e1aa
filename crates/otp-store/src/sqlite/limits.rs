//! Limits that tests make tight.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How large database and log may become.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Pages of the database; 0 is the engine's own limit. A small one is a full disk.
    pages: AtomicU32,
    /// Octets of the write-ahead log above which the writer empties it. Checkpoints that happen along the way let it grow as
    /// long as somebody writes without a pause.
    log_octets: AtomicU64,
}

impl Limits {
    pub(crate) fn pages(&self) -> Option<u32> {
        Some(self.pages.load(Ordering::Relaxed)).filter(|pages| *pages > 0)
    }

    pub(crate) fn log_octets(&self) -> u64 {
        self.log_octets.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set_pages(&self, pages: u32) {
        self.pages.store(pages, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn set_log_octets(&self, octets: u64) {
        self.log_octets.store(octets, Ordering::Relaxed);
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: AtomicU32::new(0),
            log_octets: AtomicU64::new(64 * 1024 * 1024),
        }
    }
}
