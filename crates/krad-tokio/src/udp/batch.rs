//! Datagrams that are received together.

use krad::MAX_PACKET_LENGTH;
use zeroize::Zeroizing;

use super::Route;

/// Room for datagrams that one call takes in, and those that it took. The octets are wiped on drop.
///
/// ```
/// # use {krad_tokio::{Batch, Route}, std::net::SocketAddr};
/// let mut batch = Batch::new(2);
/// let source = Route::from(SocketAddr::from(([192, 0, 2, 1], 40_000)));
/// {
///     let (mut rooms, received) = batch.empty();
///     if let Some(room) = rooms.next() {
///         room[..4].copy_from_slice(b"ping");
///         received.push((4, source));
///     }
/// }
/// assert_eq!(batch.datagrams().collect::<Vec<_>>(), [(&b"ping"[..], source)]);
/// ```
#[derive(Debug)]
pub struct Batch {
    rooms: Zeroizing<Vec<u8>>,
    /// How long each is, and its way.
    received: Vec<(usize, Route)>,
}

/// Longer datagrams are cut: what is beyond the longest packet is padding.
const ROOM: usize = MAX_PACKET_LENGTH;

impl Batch {
    /// Room for so many datagrams of 4096 octets, at least one.
    #[must_use]
    pub fn new(datagrams: usize) -> Self {
        let datagrams = datagrams.max(1);
        Self {
            rooms: Zeroizing::new(vec![0; datagrams.saturating_mul(ROOM)]),
            received: Vec::with_capacity(datagrams),
        }
    }

    /// Forgets what was received, and lends its rooms, in their order, along with the list of what is in them: the length of each
    /// datagram and the way that it came.
    pub fn empty(&mut self) -> (impl Iterator<Item = &mut [u8]>, &mut Vec<(usize, Route)>) {
        self.received.clear();
        (self.rooms.chunks_exact_mut(ROOM), &mut self.received)
    }

    /// What was received, in its order.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Route)> {
        let rooms = self.rooms.chunks_exact(ROOM).zip(&self.received);
        rooms.map(|(room, (length, route))| (room.get(..*length).unwrap_or(room), *route))
    }
}
