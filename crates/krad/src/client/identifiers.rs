//! Which Identifiers are free (RFC 2865 §3, RFC 5080 §2.2.2).

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Identifier;

/// The 256 Identifiers of one socket to one server. Clones share them.
///
/// An Identifier is never given twice while its lease lasts, and the one that has been free for longest is
/// given first: a server remembers answers for some seconds by source port and Identifier.
///
/// ```
/// # use krad::{Identifier, IdentifierPool};
/// let pool = IdentifierPool::new();
/// let first = pool.lease()?;
/// assert_ne!(pool.lease()?.identifier(), first.identifier());
/// assert_eq!(pool.outstanding(), 1, "the second lease has ended");
/// # Ok::<(), krad::IdentifiersExhausted>(())
/// ```
#[derive(Clone)]
pub struct IdentifierPool {
    /// Free for longest first.
    free: Arc<Mutex<VecDeque<Identifier>>>,
}

/// All 256 Identifiers are outstanding: wait for a reply, or use another socket (RFC 2865 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all 256 Identifiers are outstanding")]
pub struct IdentifiersExhausted;

impl IdentifierPool {
    /// A pool of which nothing is outstanding.
    #[must_use]
    pub fn new() -> Self {
        let free = (0..=u8::MAX).map(Identifier).collect();
        Self {
            free: Arc::new(Mutex::new(free)),
        }
    }

    /// Takes the Identifier that has been free for longest, until the lease is dropped.
    ///
    /// # Errors
    ///
    /// [`IdentifiersExhausted`] if there is none.
    pub fn lease(&self) -> Result<IdentifierLease, IdentifiersExhausted> {
        let identifier = self.free().pop_front().ok_or(IdentifiersExhausted)?;
        let pool = self.clone();
        Ok(IdentifierLease { identifier, pool })
    }

    /// How many Identifiers are leased, 0 to 256.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        IDENTIFIERS.saturating_sub(self.free().len())
    }

    /// No code between lock and unlock panics; if it did, the queue would still be whole.
    fn free(&self) -> MutexGuard<'_, VecDeque<Identifier>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for IdentifierPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdentifierPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifierPool")
            .field("outstanding", &self.outstanding())
            .finish()
    }
}

/// An Identifier in use. It is free again when this is dropped.
#[must_use]
pub struct IdentifierLease {
    identifier: Identifier,
    pool: IdentifierPool,
}

impl IdentifierLease {
    /// The Identifier.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        self.identifier
    }
}

impl Drop for IdentifierLease {
    fn drop(&mut self) {
        self.pool.free().push_back(self.identifier);
    }
}

impl fmt::Debug for IdentifierLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentifierLease({})", self.identifier)
    }
}

/// As many as an octet has values.
const IDENTIFIERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_256() {
        let pool = IdentifierPool::new();
        let leases: Vec<_> = (0..256).map(|_| pool.lease().unwrap()).collect();
        let mut identifiers: Vec<_> = leases.iter().map(IdentifierLease::identifier).collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        assert_eq!((identifiers.len(), pool.outstanding()), (256, 256));
        assert_eq!(pool.lease().err(), Some(IdentifiersExhausted));
        drop(leases);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn the_one_that_was_free_for_longest_comes_first() {
        let pool = IdentifierPool::new();
        let (one, other) = (pool.lease().unwrap(), pool.lease().unwrap());
        let (first_free, second_free) = (other.identifier(), one.identifier());
        drop(other);
        drop(one);
        let later: Vec<_> = (0..256).map(|_| pool.lease().unwrap()).collect();
        assert_eq!(later[254].identifier(), first_free);
        assert_eq!(later[255].identifier(), second_free);
    }
}
