//! The queue and its writer in thousands of orders: the same source as the product's, on the locks of `shuttle`, which
//! decides at each use of one which thread goes on.
//!
//! What must hold, whoever goes first:
//!
//! - Who hands a job over is refused, or learns what became of it: nobody waits for ever.
//! - Nothing is answered as durable before it is, and nothing that is refused or answered as failed ever is.
//! - One writer at a time commits, in the order in which jobs were handed over.
//! - What came in while a commit failed is answered as failed, and not committed.
//! - A closed queue is emptied; one whose writer dies tells everybody, and has another writer for the next job.

use std::{io, ops::RangeInclusive, sync::Arc};

use shuttle::{
    sync::{Mutex, mpsc::channel},
    thread::{self, JoinHandle, yield_now},
};

use disk::{Answer, Commits, Disk, Handed, Job};
use group::{Groups, Queue, Refused};

mod disk;
#[expect(clippy::duplicate_mod, reason = "the product's source, on other locks")]
#[path = "group.rs"]
mod group;
mod sync;

/// How many orders of each kind.
const RANDOM: usize = 6000;
const PRIORITIES: usize = 4000;
/// Changes of priority in one order, of those that priorities decide.
const CHANGES: usize = 3;

/// Jobs that may wait.
const CAPACITY: usize = 3;

fn in_many_orders(test: fn()) {
    shuttle::check_random(test, RANDOM);
    shuttle::check_pct(test, PRIORITIES, CHANGES);
}

/// A store of one process: a queue, and a disk to whose writers it leads.
#[derive(Clone)]
struct Store {
    queue: Arc<Queue<Job>>,
    disk: Arc<Disk>,
    writers: Arc<Writers>,
}

/// The writers that are started, one after the other.
struct Writers {
    /// What becomes of the first, of the second, …; all others live.
    fates: Mutex<Vec<Fate>>,
    started: Mutex<Vec<JoinHandle<()>>>,
}

/// What becomes of a writer.
#[derive(Clone, Copy)]
enum Fate {
    Lives,
    /// It takes a group, and ends with it in its hands.
    Dies,
    NeverStarts,
}

impl Store {
    fn new(disk: Disk, mut fates: Vec<Fate>) -> Self {
        fates.reverse();
        let writers = Writers {
            fates: Mutex::new(fates),
            started: Mutex::default(),
        };
        Self {
            queue: Arc::new(Queue::new(CAPACITY)),
            disk: Arc::new(disk),
            writers: Arc::new(writers),
        }
    }

    fn start(&self, groups: Groups<Job>) -> io::Result<()> {
        let fate = self.writers.fates.lock().unwrap().pop();
        let mut commits = Commits::on(&self.disk);
        let writer = match fate.unwrap_or(Fate::Lives) {
            Fate::Lives => thread::spawn(move || groups.serve(&mut commits)),
            Fate::Dies => thread::spawn(move || commits.die_with(groups)),
            Fate::NeverStarts => return Err(io::Error::other("no thread")),
        };
        self.writers.started.lock().unwrap().push(writer);
        Ok(())
    }

    /// Hands a job over; `None` if it is refused.
    fn push(&self, id: u8) -> Option<Handed> {
        let (job, handed) = self.disk.job(id);
        match self.queue.push(job, |groups| self.start(groups)) {
            Ok(()) => {
                self.disk.was_handed_over(id);
                Some(handed)
            }
            Err(refused) => {
                match refused {
                    Refused::Full => {}
                    Refused::NotStarted(error) => assert_eq!(error.to_string(), "no thread"),
                    Refused::Closed => panic!("before the last handle is dropped"),
                }
                self.disk.was_refused(id, handed);
                None
            }
        }
    }

    /// A thread that hands over the jobs `ids`, waits for the answers, and returns them.
    fn submit(&self, ids: RangeInclusive<u8>) -> JoinHandle<Vec<Answer>> {
        let store = self.clone();
        thread::spawn(move || {
            let handed: Vec<_> = ids.filter_map(|id| store.push(id)).collect();
            handed.into_iter().map(Handed::answer).collect()
        })
    }

    /// The last handle is dropped: waits for the writers to end, and looks at what is on the disk.
    fn close(self) {
        self.queue.close();
        // Nothing starts another one any more.
        let writers = std::mem::take(&mut *self.writers.started.lock().unwrap());
        for writer in writers {
            writer.join().unwrap();
        }
        self.disk.check();
    }
}

#[test]
fn everybody_learns_what_became_of_a_job() {
    in_many_orders(|| {
        let store = Store::new(Disk::sometimes_failing(), Vec::new());
        let threads = [
            store.submit(10..=12),
            store.submit(20..=21),
            store.submit(30..=30),
        ];
        for answer in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert_ne!(answer, Answer::Gone, "no writer has died");
        }
        store.close();
    });
}

#[test]
fn what_waits_when_the_queue_is_closed_is_committed() {
    in_many_orders(|| {
        let store = Store::new(Disk::sound(), Vec::new());
        let handed: Vec<_> = (1..=4).filter_map(|id| store.push(id)).collect();
        store.queue.close();
        for handed in handed {
            assert_eq!(handed.answer(), Answer::Durable);
        }
        store.close();
    });
}

#[test]
fn whoever_goes_away_holds_nobody_up() {
    in_many_orders(|| {
        let store = Store::new(Disk::sometimes_failing(), Vec::new());
        let leaving = store.clone();
        let leaves = thread::spawn(move || drop(leaving.push(10)));
        let answers = store.submit(20..=21).join().unwrap();
        assert!(!answers.contains(&Answer::Gone), "{answers:?}");
        leaves.join().unwrap();
        store.close();
    });
}

#[test]
fn a_writer_that_dies_leaves_nobody_waiting() {
    in_many_orders(|| {
        let store = Store::new(Disk::sound(), vec![Fate::Dies, Fate::Dies]);
        let threads = [store.submit(10..=11), store.submit(20..=21)];
        for thread in threads {
            thread.join().unwrap();
        }
        // Whatever became of them: once nobody dies any more, the next one is served. Whoever hears of a death before
        // it is over may hear of it once more.
        let is_served = |id| store.push(id).map(Handed::answer) == Some(Answer::Durable);
        assert!((31..=35).any(is_served));
        store.close();
    });
}

#[test]
fn a_writer_that_cannot_be_started_leaves_nobody_waiting() {
    in_many_orders(|| {
        let store = Store::new(Disk::sound(), vec![Fate::NeverStarts]);
        let threads = [store.submit(10..=10), store.submit(20..=21)];
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(store.push(30).map(Handed::answer), Some(Answer::Durable));
        store.close();
    });
}

#[test]
fn what_nobody_waits_for_is_written_though_nothing_else_comes() {
    in_many_orders(|| {
        let store = Store::new(Disk::sometimes_failing(), Vec::new());
        let jobs = store.submit(10..=11);
        let (written, is_written) = channel();
        let refusing = store.clone();
        let refuses = thread::spawn(move || {
            yield_now();
            if refusing.disk.defer(written) {
                refusing.queue.nudge(|groups| refusing.start(groups)).unwrap();
            }
        });
        is_written.recv().unwrap();
        refuses.join().unwrap();
        jobs.join().unwrap();
        store.close();
    });
}
