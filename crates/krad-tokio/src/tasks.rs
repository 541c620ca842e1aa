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
    tasks: JoinSet<Option<IpAddr>>,
    by_source: HashMap<IpAddr, usize>,
}

impl Tasks {
    /// Whether there is room for another one: below `limit` in all, and below `per_source` of those from `source`, if it has
    /// an address at all.
    pub(crate) fn has_room(&mut self, source: Option<IpAddr>, limit: usize, per_source: usize) -> bool {
        self.reap();
        let of_source = source.and_then(|source| self.by_source.get(&source).copied());
        self.tasks.len() < limit && of_source.is_none_or(|of_source| of_source < per_source)
    }

    pub(crate) fn spawn(&mut self, source: Option<IpAddr>, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(source) = source {
            let of_source = self.by_source.entry(source).or_default();
            *of_source = of_source.saturating_add(1);
        }
        self.tasks.spawn(Counted { source, task });
    }

    /// Forgets the tasks that have ended. None ends by a panic: those of the application are caught.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            let Ok(Some(source)) = ended else {
                continue;
            };
            let Entry::Occupied(mut of_source) = self.by_source.entry(source) else {
                continue;
            };
            *of_source.get_mut() = of_source.get().saturating_sub(1);
            if *of_source.get() == 0 {
                of_source.remove();
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
    /// A task that tells at its end whom it worked for. An `async` block would have room for the task twice: as what it
    /// was given, and as what it waits for.
    struct Counted<F> {
        source: Option<IpAddr>,
        #[pin]
        task: F,
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = Option<IpAddr>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.task.poll(context).map(|()| *this.source)
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
            source: None,
            task: kilobyte,
        };
        assert!(size_of_val(&counted) < size + 64);
    }

    #[tokio::test(start_paused = true)]
    async fn sources_are_counted_apart() {
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, last))));
        let mut tasks = Tasks::default();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(one, async { drop(ended.await) });
        tasks.spawn(one, pending());
        assert!(!tasks.has_room(one, 10, 2) && tasks.has_room(other, 10, 2));
        assert!(!tasks.has_room(other, 2, 2) && tasks.has_room(None, 3, 0));
        end.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(tasks.has_room(one, 10, 2));
        assert_eq!(tasks.finish(Duration::from_secs(5)).await, 1);
    }
}
