//! Replies that leave together.

use std::{
    mem,
    sync::{Arc, PoisonError},
};

use tokio::{sync::Notify, task::yield_now};
use tokio_util::sync::CancellationToken;

use super::{DatagramSocket, Route};
use crate::{
    exchange::{panic_message, unwind_safe},
    sync::{Mutex, MutexGuard},
};

/// A reply, and the way that it takes.
pub type Outgoing = (Arc<[u8]>, Route);

/// Replies on their way to the socket.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<Vec<Outgoing>>,
    is_filled: Notify,
}

/// So many may wait, should the network take none. More are dropped, as the network would: who asks again gets the same reply.
const CAPACITY: usize = 4096;

impl Outbox {
    pub(super) fn push(&self, reply: Arc<[u8]>, route: Route) {
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            tracing::debug!(source = %route.source(), "no room to send a reply");
            return;
        }
        waiting.push((reply, route));
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            self.is_filled.notify_one();
        }
    }

    /// Sends what comes until `end`, and what is there by then.
    pub(super) async fn send_to(&self, socket: &impl DatagramSocket, end: CancellationToken) {
        let mut replies = Vec::new();
        loop {
            let is_going_on = end.run_until_cancelled(self.is_filled.notified()).await.is_some();
            // Those who have their answer by now hand it over first: one commit answers many.
            yield_now().await;
            mem::swap(&mut replies, &mut *self.lock());
            if let Err(panic) = unwind_safe(socket.send_batch(&replies)).await {
                let panic = panic_message(&*panic);
                tracing::error!(panic, replies = replies.len(), "sending replies panicked");
            }
            replies.clear();
            if !is_going_on {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Outgoing>> {
        // The list is whole whenever the lock is free.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
