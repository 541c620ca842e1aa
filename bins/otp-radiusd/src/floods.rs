//! Packets that are discarded by the thousand: some are named in the log, the others are counted and told once.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use tracing::info;

/// How often what was counted is told.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Packets of one source and cause that are named in a window.
const NAMED: u64 = 10;
/// Sources that are told apart in a window; addresses of datagrams can be made up.
const SOURCES: usize = 1024;
/// Lines that a window ends with at most, for the sources with the most packets, before one for all others.
const LINES: usize = 5;

/// What was discarded in this window.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    /// By source, `None` for the UNIX sockets, and cause.
    packets: HashMap<(Option<IpAddr>, &'static str), u64>,
    /// Of sources beyond those.
    others: u64,
}

/// Packets that were counted without being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untold {
    source: Option<IpAddr>,
    cause: &'static str,
    packets: u64,
}

impl Floods {
    /// Counts a packet; whether it is to be named.
    pub(crate) fn count(&mut self, source: Option<IpAddr>, cause: &'static str) -> bool {
        let key = (source, cause);
        if self.packets.len() >= SOURCES && !self.packets.contains_key(&key) {
            self.others = self.others.saturating_add(1);
            return false;
        }
        let packets = self.packets.entry(key).or_default();
        *packets = packets.saturating_add(1);
        *packets <= NAMED
    }

    /// Ends the window: what was not named, the most first, and how many packets of other sources there were.
    pub(crate) fn end(&mut self) -> (Vec<Untold>, u64) {
        let mut others = std::mem::take(&mut self.others);
        let all = std::mem::take(&mut self.packets).into_iter();
        let mut untold: Vec<_> = all
            .filter(|(_, packets)| *packets > NAMED)
            .map(|((source, cause), packets)| Untold {
                source,
                cause,
                packets: packets.saturating_sub(NAMED),
            })
            .collect();
        untold.sort_by_key(|line| (std::cmp::Reverse(line.packets), line.source, line.cause));
        for line in untold.drain(LINES.min(untold.len())..) {
            others = others.saturating_add(line.packets);
        }
        (untold, others)
    }
}

/// Tells what a window ended with.
pub(crate) fn tell((untold, others): (Vec<Untold>, u64)) {
    let seconds = WINDOW.as_secs();
    for Untold {
        source,
        cause,
        packets,
    } in untold
    {
        let source = source.map_or_else(|| "a UNIX socket".to_owned(), |address| address.to_string());
        info!(
            packets,
            cause,
            "{} more discarded packets from {source} in {seconds} s",
            grouped(packets)
        );
    }
    if others > 0 {
        info!(
            packets = others,
            "{} more discarded packets from other sources in {seconds} s",
            grouped(others)
        );
    }
}

/// A number for people: 12,345.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len().saturating_sub(place)).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from(number).into())
    }

    #[test]
    fn some_are_named_and_the_others_counted() {
        let mut floods = Floods::default();
        let named = (0..12_345 + NAMED)
            .filter(|_| floods.count(address(1), "malformed"))
            .count();
        assert_eq!(named, 10);
        assert!(floods.count(address(1), "duplicate"), "each cause by itself");
        assert!(floods.count(None, "malformed"));
        let (untold, others) = floods.end();
        assert_eq!(
            untold,
            [Untold {
                source: address(1),
                cause: "malformed",
                packets: 12_345
            }]
        );
        assert_eq!(others, 0);
        assert!(floods.count(address(1), "malformed"), "a new window");
    }

    #[test]
    fn neither_memory_nor_lines_grow_with_the_sources() {
        let mut floods = Floods::default();
        for source in 0..100_000 {
            for _ in 0..=NAMED {
                floods.count(address(source), "unknown_client");
            }
        }
        assert_eq!(floods.packets.len(), SOURCES);
        let (untold, others) = floods.end();
        assert_eq!(untold.len(), LINES);
        let all = 100_000 * (NAMED + 1);
        let named = NAMED * u64::try_from(SOURCES).unwrap();
        let told: u64 = untold.iter().map(|line| line.packets).sum();
        assert_eq!(named + told + others, all, "no packet is forgotten");
        assert_eq!(floods.end(), (Vec::new(), 0));
    }

    #[test]
    fn numbers_for_people() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
