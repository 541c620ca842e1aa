//! Tasks of a listener, counted by the address that they work for.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{task::JoinSet, time::timeout};

/// Requests or connections of one listener, counted by source address, so that no source keeps the others out.
#[derive(Default)]
pub(crate) struct Tasks {
    tasks: JoinSet<Option<(IpAddr, usize)>>,
    by_source: HashMap<IpAddr, Held>,
}

/// How much there may be at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Tasks in all.
    pub(crate) tasks: usize,
    /// Of those that work for one source.
    pub(crate) per_source: usize,
    /// Octets that they work on, together.
    pub(crate) octets_per_source: usize,
}

/// What one source keeps busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    tasks: usize,
    octets: usize,
}

impl Tasks {
    /// Whether there is room for another one, which works on so many `octets`; limits by source are for those that have an
    /// address at all.
    pub(crate) fn has_room(&mut self, source: Option<IpAddr>, octets: usize, limits: Limits) -> bool {
        self.reap();
        let held = source.and_then(|source| self.by_source.get(&source));
        self.tasks.len() < limits.tasks
            && held.is_none_or(|held| {
                held.tasks < limits.per_source
                    && held.octets.saturating_add(octets) <= limits.octets_per_source
            })
    }

    pub(crate) fn spawn(
        &mut self,
        source: Option<IpAddr>,
        octets: usize,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        if let Some(source) = source {
            let held = self.by_source.entry(source).or_default();
            held.tasks = held.tasks.saturating_add(1);
            held.octets = held.octets.saturating_add(octets);
        }
        let holds = source.map(|source| (source, octets));
        self.tasks.spawn(Counted { holds, task });
    }

    /// Forgets the tasks that have ended. None ends by a panic: those of the application are caught.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            let Ok(Some((source, octets))) = ended else {
                continue;
            };
            let Entry::Occupied(mut held) = self.by_source.entry(source) else {
                continue;
            };
            let left = held.get_mut();
            left.tasks = left.tasks.saturating_sub(1);
            left.octets = left.octets.saturating_sub(octets);
            if left.tasks == 0 {
                held.remove();
            }
        }
    }

    /// Waits until all have ended, and ends those that have not `within` this time; returns how many these were.
    pub(crate) async fn finish(mut self, within: Duration) -> usize {
        let finished = timeout(within, async { while self.tasks.join_next().await.is_some() {} });
        if finished.await.is_ok() {
            return 0;
        }
        let unfinished = self.tasks.len();
        self.tasks.shutdown().await;
        unfinished
    }
}

pin_project! {
    /// A task that tells at its end whom it worked for, and on how many octets. An `async` block would have room for the task twice: as what it
    /// was given, and as what it waits for.
    struct Counted<F> {
        holds: Option<(IpAddr, usize)>,
        #[pin]
        task: F,
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = Option<(IpAddr, usize)>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.task.poll(context).map(|()| *this.holds)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::Ipv4Addr};

    use super::*;

    #[test]
    fn a_task_is_there_once() {
        let kilobyte = async {
            let octets = [0_u8; 1024];
            tokio::task::yield_now().await;
            std::hint::black_box(&octets);
        };
        let size = size_of_val(&kilobyte);
        let counted = Counted {
            holds: None,
            task: kilobyte,
        };
        assert!(size_of_val(&counted) < size + 64);
    }

    const fn limits(tasks: usize, per_source: usize, octets_per_source: usize) -> Limits {
        Limits {
            tasks,
            per_source,
            octets_per_source,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sources_are_counted_apart() {
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, last))));
        let mut tasks = Tasks::default();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(one, 600, async { drop(ended.await) });
        tasks.spawn(one, 20, pending());
        assert!(
            !tasks.has_room(one, 1, limits(10, 2, 1000)) && tasks.has_room(other, 1, limits(10, 2, 1000))
        );
        assert!(!tasks.has_room(other, 1, limits(2, 2, 1000)) && tasks.has_room(None, 1, limits(3, 0, 0)));
        assert!(
            tasks.has_room(one, 380, limits(10, 3, 1000)) && !tasks.has_room(one, 381, limits(10, 3, 1000))
        );
        end.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(
            tasks.has_room(one, 980, limits(10, 2, 1000)) && !tasks.has_room(one, 981, limits(10, 2, 1000))
        );
        assert_eq!(tasks.finish(Duration::from_secs(5)).await, 1);
    }
}
