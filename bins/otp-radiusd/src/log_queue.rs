//! Lines of the log on their way out: decisions do not wait for whoever reads the log.
//!
//! A thread writes whatever has come since it wrote last, in one call, and then pauses for a moment: under load, it is
//! woken a thousand times a second at most, and writes many lines at once; at rest, a line leaves within microseconds. A
//! process that is killed loses the lines of its last millisecond. Where the reader stops reading, lines are kept up to a
//! limit, then counted, and the count is told once there is a reader again.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Octets that wait for a reader at most: some ten thousand lines.
const CAPACITY: usize = 4 * 1024 * 1024;

/// After writing, before looking for more.
const PAUSE: Duration = Duration::from_millis(1);

/// Takes lines. Its clones share one queue.
#[derive(Clone, Debug)]
pub(crate) struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    octets: Vec<u8>,
    /// Lines that there was no room for.
    lost: u64,
    /// The thread has nothing to do, and has to be told when that changes.
    is_asleep: bool,
    is_closed: bool,
}

/// The thread that writes. Dropping it writes what waits, and ends it.
#[derive(Debug)]
#[must_use = "the log ends with it"]
pub(crate) struct LogThread {
    queue: LogQueue,
    thread: Option<JoinHandle<()>>,
}

impl LogQueue {
    /// Starts the thread, which writes to `out`; `tell_lost` is told how many lines it could not write.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        tell_lost: impl Fn(u64) + Send + 'static,
    ) -> io::Result<(Self, LogThread)> {
        let queue = Self(Arc::default());
        let shared = Arc::clone(&queue.0);
        let thread = thread::Builder::new()
            .name("log".into())
            .spawn(move || shared.write_to(out, tell_lost))?;
        let thread = LogThread {
            queue: queue.clone(),
            thread: Some(thread),
        };
        Ok((queue, thread))
    }
}

/// One call is one line: so are events written.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.octets.len().saturating_add(line.len()) > CAPACITY {
            waiting.lost = waiting.lost.saturating_add(1);
        } else {
            waiting.octets.extend_from_slice(line);
        }
        if mem::take(&mut waiting.is_asleep) {
            drop(waiting);
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_to(&self, mut out: impl Write, tell_lost: impl Fn(u64)) {
        let mut batch = Vec::new();
        loop {
            let lost = {
                let mut waiting = self.lock();
                while waiting.octets.is_empty() && waiting.lost == 0 {
                    if waiting.is_closed {
                        return;
                    }
                    waiting.is_asleep = true;
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                mem::swap(&mut waiting.octets, &mut batch);
                mem::take(&mut waiting.lost)
            };
            // Where nobody reads any more there is nobody to tell.
            let _ = out.write_all(&batch);
            batch.clear();
            if lost > 0 {
                tell_lost(lost);
            }
            thread::sleep(PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whole lines are in it whenever the lock is free.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.queue.0.lock().is_closed = true;
        self.queue.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, the log is what it is.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Writes when it is let; tells what.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            // Nobody is at the gate any more: it stays open.
            let _ = self.open.recv();
            self.written.send(octets.to_vec()).unwrap();
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Gate, Sender<()>, Receiver<Vec<u8>>) {
        let ((opener, open), (written, seen)) = (channel(), channel());
        (Gate { open, written }, opener, seen)
    }

    #[test]
    fn lines_leave_in_order_and_in_batches() {
        let (gate, opener, seen) = gate();
        let (mut queue, thread) = LogQueue::start(gate, |lost| panic!("{lost} lines lost")).unwrap();
        queue.write_all(b"0\n").unwrap();
        opener.send(()).unwrap();
        assert_eq!(
            seen.recv().unwrap(),
            b"0\n",
            "a line does not wait for a second one"
        );
        let mut expected = Vec::new();
        for number in 1..1000 {
            let line = format!("{number}\n");
            queue.clone().write_all(line.as_bytes()).unwrap();
            expected.extend_from_slice(line.as_bytes());
        }
        drop(opener);
        drop(thread);
        let batches: Vec<Vec<u8>> = seen.iter().collect();
        assert!(
            batches.len() <= 2,
            "{} calls for lines that were there",
            batches.len()
        );
        assert_eq!(batches.concat(), expected, "what waited at the end was written");
    }

    #[test]
    fn what_has_no_room_is_counted_and_told() {
        let (gate, opener, seen) = gate();
        let (lost, told) = channel();
        let (mut queue, thread) = LogQueue::start(gate, move |lines| lost.send(lines).unwrap()).unwrap();
        let line = [b'x'; 1024];
        // The reader holds up the first batch, whichever lines are in it; behind it, the queue fills.
        let lines = 3 * CAPACITY / line.len();
        for _ in 0..lines {
            queue.write_all(&line).unwrap();
        }
        drop(opener);
        drop(thread);
        // It is told with each batch, of which the first may come late.
        let lost = usize::try_from(told.iter().sum::<u64>()).unwrap();
        let written: usize = seen.iter().map(|batch| batch.len()).sum();
        assert_eq!(written, (lines - lost) * line.len(), "{lost} lost");
        assert!(lost > 0 && written >= CAPACITY - line.len());
    }
}
