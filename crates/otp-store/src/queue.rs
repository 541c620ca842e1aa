//! The queue of a group commit: many hand jobs over without waiting, one thread takes whatever has come in, commits it in
//! one go and answers all of it.
//!
//! How threads meet there is explored: `schedules` compiles the very same source on locks whose every use is a point at
//! which threads may take turns.

mod group;

#[cfg(test)]
mod schedules;

/// What the queue is built on.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
}

pub(crate) use group::{GroupCommit, Groups, Queue, Refused};

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use super::*;

    /// Keeps what was committed, and never fails.
    #[derive(Default)]
    struct Kept {
        groups: Vec<Vec<u8>>,
        has_records: bool,
    }

    impl GroupCommit<u8> for Kept {
        type Outcome = ();
        type Failure = ();

        fn patience(&self) -> Option<Duration> {
            self.has_records.then_some(Duration::from_millis(1))
        }

        fn commit(&mut self, group: &mut Vec<u8>, groups: &Groups<u8>) -> Result<Vec<()>, ()> {
            groups.take_more(group, 3);
            self.has_records = false;
            Ok(vec![(); group.len()])
        }

        fn succeeded(&mut self, group: Vec<u8>, _: Vec<()>) {
            self.groups.push(group);
        }

        fn failed(&mut self, _: Vec<u8>, (): ()) {
            panic!("no commit fails");
        }
    }

    /// The groups of a queue to which `jobs` were handed over.
    fn holding(queue: &Arc<Queue<u8>>, jobs: impl IntoIterator<Item = u8>) -> Groups<u8> {
        let mut started = None;
        for job in jobs {
            let start = |groups| {
                started = Some(groups);
                Ok(())
            };
            queue.push(job, start).unwrap();
        }
        started.unwrap()
    }

    fn nobody(_: Groups<u8>) -> io::Result<()> {
        panic!("there is a writer");
    }

    #[test]
    fn jobs_come_out_in_order_and_in_groups_of_bounded_length() {
        let queue = Arc::new(Queue::new(8));
        let groups = holding(&queue, 1..=8);
        queue.close();
        let mut kept = Kept::default();
        groups.serve(&mut kept);
        assert_eq!(kept.groups, [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8]]);
    }

    #[test]
    fn more_than_it_holds_is_refused_until_there_is_room() {
        let queue = Arc::new(Queue::new(2));
        let groups = holding(&queue, [1, 2]);
        assert!(matches!(queue.push(3, nobody), Err(Refused::Full)));
        queue.nudge(nobody).unwrap();
        let mut group = Vec::new();
        groups.take_more(&mut group, 1);
        queue.push(4, nobody).unwrap();
        groups.take_more(&mut group, 3);
        assert_eq!(group, [1, 2, 4]);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_gives_what_it_has() {
        let queue = Arc::new(Queue::new(8));
        let groups = holding(&queue, [1]);
        queue.close();
        assert!(matches!(queue.push(2, nobody), Err(Refused::Closed)));
        assert!(matches!(queue.nudge(nobody), Err(Refused::Closed)));
        let mut kept = Kept::default();
        groups.serve(&mut kept);
        assert_eq!(kept.groups, [[1]]);
        assert!(matches!(queue.push(3, nobody), Err(Refused::Closed)));
    }

    #[test]
    fn what_nobody_waits_for_is_written_before_the_end() {
        let queue = Arc::new(Queue::<u8>::new(8));
        let mut started = None;
        let start = |groups| {
            started = Some(groups);
            Ok(())
        };
        queue.nudge(start).unwrap();
        queue.close();
        let mut kept = Kept {
            has_records: true,
            ..Kept::default()
        };
        started.unwrap().serve(&mut kept);
        assert_eq!(kept.groups, [[0_u8; 0]]);
    }

    #[test]
    fn a_writer_that_could_not_be_started_is_tried_again() {
        let queue = Arc::new(Queue::new(8));
        let fails = |_: Groups<u8>| Err(io::Error::other("no thread"));
        let refused = queue.push(1, fails).unwrap_err();
        assert!(matches!(&refused, Refused::NotStarted(error) if error.to_string() == "no thread"));
        let groups = holding(&queue, [2]);
        queue.close();
        let mut kept = Kept::default();
        groups.serve(&mut kept);
        assert_eq!(kept.groups, [[2]], "what was refused is gone");
    }
}
