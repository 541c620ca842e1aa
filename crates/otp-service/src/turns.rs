//! One password check per user at a time.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use otp_validation::UserId;
use tokio::sync::OwnedMutexGuard;

/// How many requests of one user may be in line, the one whose turn it is among them.
const LONGEST_LINE: usize = 8;

/// Lets requests of one user pass one after the other.
///
/// A hundred wrong passwords at once, each with the right code, would otherwise all be hashed before the first of them
/// is counted. One after the other, the fourth finds the user locked, and a twin finds the acceptance of the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<UserId, Line>>>);

/// Those of one user.
#[derive(Debug, Default)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    places: usize,
}

/// The line is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineIsFull;

/// It is this request's turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Whether others came first, so that what is known of the account may be out of date.
    pub(crate) has_waited: bool,
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in the line of a user; whoever leaves last takes the line away.
#[derive(Debug)]
struct Place {
    turns: Turns,
    user: UserId,
}

impl Turns {
    /// Waits for the turn of a request of `user`. Dropping the future leaves the line.
    ///
    /// # Errors
    ///
    /// [`LineIsFull`] at once if too many wait already.
    pub(crate) async fn next(&self, user: UserId) -> Result<Turn, LineIsFull> {
        let (place, turn) = self.queue(user)?;
        let (guard, has_waited) = match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => (guard, false),
            Err(_) => (turn.lock_owned().await, true),
        };
        Ok(Turn {
            has_waited,
            _guard: guard,
            _place: place,
        })
    }

    fn queue(&self, user: UserId) -> Result<(Place, Arc<tokio::sync::Mutex<()>>), LineIsFull> {
        let mut lines = self.lock();
        let line = lines.entry(user).or_default();
        if line.places >= LONGEST_LINE {
            return Err(LineIsFull);
        }
        line.places = line.places.saturating_add(1);
        let turn = Arc::clone(&line.turn);
        let turns = self.clone();
        Ok((Place { turns, user }, turn))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Line>> {
        // Numbers alone change under the lock: no panic leaves them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut line) = self.turns.lock().entry(self.user) {
            let left = line.get().places.saturating_sub(1);
            line.get_mut().places = left;
            if left == 0 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn requests_of_one_user_pass_one_after_the_other() {
        let turns = Turns::default();
        let first = turns.next(ALICE).await.unwrap();
        assert!(!first.has_waited);
        assert!(timeout(SOON, turns.next(ALICE)).await.is_err(), "one at a time");
        assert!(!turns.next(BOB).await.unwrap().has_waited, "others do not wait");
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.next(ALICE).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap().unwrap().has_waited);
    }

    #[tokio::test]
    async fn a_line_has_an_end_and_leaves_nothing() {
        let turns = Turns::default();
        let first = turns.next(ALICE).await.unwrap();
        let waiting: Vec<_> = (1..LONGEST_LINE)
            .map(|_| {
                let turns = turns.clone();
                tokio::spawn(async move { turns.next(ALICE).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(turns.next(ALICE).await.unwrap_err(), LineIsFull);
        // Whoever gives up makes room.
        waiting[0].abort();
        let mut waiting = waiting.into_iter();
        assert!(waiting.next().unwrap().await.is_err());
        assert!(timeout(SOON, turns.next(ALICE)).await.is_err(), "waits again");
        drop(first);
        for others in waiting {
            others.await.unwrap().unwrap();
        }
        assert!(turns.lock().is_empty());
    }
}
