//! Tables of what was seen, and how it stands to the goals.

use std::fmt::Write as _;

use super::{
    options::Transport,
    seen::{Latencies, Seen},
    server::Kind,
};

/// The longest 99th percentile at half of FreeRADIUS's rate, in microseconds.
const LONGEST_P99: f64 = 10_000.0;
/// How much faster a duplicate is answered, at least.
const DUPLICATE: f64 = 3.0;
/// Part of the rate that may be lost between the smallest store and a larger one.
const SLOWER: f64 = 0.2;
/// Seconds from starting the program to its first answer.
const LONGEST_START: f64 = 2.0;
/// Seconds for importing a million tokens.
const LONGEST_IMPORT: f64 = 60.0;

/// One size of the store.
pub(super) struct Scale {
    pub(super) users: u32,
    pub(super) import_seconds: f64,
    pub(super) start_seconds: f64,
    pub(super) seen: Seen,
}

/// The servers beside each other, ours at rates, and duplicates.
pub(super) fn comparison(
    medians: &[(Kind, Seen)],
    half_of_freeradius: Option<f64>,
    at_rates: &[(String, Seen)],
    duplicates: &Seen,
) -> String {
    let find = |kind| medians.iter().find(|(of, _)| *of == kind).map(|(_, seen)| seen);
    let freeradius = find(Kind::FreeRadius).map(|seen| seen.rate);
    let mut text = String::from(
        "| server | replies/s | beside FreeRADIUS | p50 | p99 | p99.9 | processor time per reply |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (kind, seen) in medians {
        let beside = freeradius.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} ×", seen.rate / rate));
        row(&mut text, &kind.to_string(), seen, &beside);
    }
    for (rate, seen) in at_rates {
        row(&mut text, &format!("otp-radiusd at {rate} requests/s"), seen, "–");
    }
    row(&mut text, "otp-radiusd, duplicates", duplicates, "–");
    let own = medians.last().map_or(0.0, |(_, seen)| seen.own_cpu_micros);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\nLoad generator: {own:.1} µs of processor time per reply.\n"
    );
    let Some(ours) = find(Kind::OtpRadiusd) else {
        return text;
    };
    for peer in [Kind::FreeRadius, Kind::FreeRadiusOnDisk] {
        beside(&mut text, ours, peer, find(peer), "");
    }
    if let Some(half) = half_of_freeradius {
        let at_half = at_rates.first().filter(|_| half < ours.rate);
        let seen = at_half.map_or_else(
            || format!("{half:.0} requests/s are more than it answers"),
            |(rate, seen)| {
                format!(
                    "{:.1} ms at {rate} requests/s (goal: 10 ms)",
                    millis(seen.latencies.p99)
                )
            },
        );
        let is_met = at_half.is_some_and(|(_, seen)| seen.latencies.p99 <= LONGEST_P99);
        goal(&mut text, "p99 at half of FreeRADIUS's rate", is_met, &seen);
    }
    let (rate, latency) = (
        duplicates.rate / ours.rate,
        ours.latencies.p50 / duplicates.latencies.p50,
    );
    goal(
        &mut text,
        "duplicates beside fresh requests",
        rate >= DUPLICATE && latency >= DUPLICATE,
        &format!("{rate:.1} × the rate, p50 {latency:.1} × as fast (goal: 3 ×)"),
    );
    text
}

/// Ours on each transport, beside FreeRADIUS on the same.
pub(super) fn transports(rows: &[(Transport, Vec<(Kind, Seen)>)]) -> String {
    let mut text = String::from(
        "| transport | server | replies/s | beside FreeRADIUS | p50 | p99 | p99.9 | processor time per reply |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (transport, servers) in rows {
        let find = |kind| servers.iter().find(|(of, _)| *of == kind).map(|(_, seen)| seen);
        let freeradius = find(Kind::FreeRadius).map(|seen| seen.rate);
        for (kind, seen) in servers {
            let beside =
                freeradius.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} ×", seen.rate / rate));
            row(
                &mut text,
                &format!("{} | {kind}", transport.name()),
                seen,
                &beside,
            );
        }
    }
    text.push('\n');
    for (transport, servers) in rows {
        let find = |kind| servers.iter().find(|(of, _)| *of == kind).map(|(_, seen)| seen);
        let Some(ours) = find(Kind::OtpRadiusd) else {
            continue;
        };
        for peer in [Kind::FreeRadius, Kind::FreeRadiusOnDisk] {
            let suffix = format!(", {}", transport.name());
            beside(&mut text, ours, peer, find(peer), &suffix);
        }
    }
    text
}

/// The goal beside another server, if it was measured.
fn beside(text: &mut String, ours: &Seen, peer: Kind, seen: Option<&Seen>, suffix: &str) {
    if let Some(seen) = seen {
        let ratio = ours.rate / seen.rate;
        let what = format!("validations beside {peer}{suffix}");
        goal(text, &what, ratio >= 1.0, &format!("{ratio:.2} × (goal: 1.00 ×)"));
    }
}

/// Proxies beside radsecproxy.
pub(super) fn proxies(rows: &[(Kind, Seen)]) -> String {
    let find = |kind| rows.iter().find(|(of, _)| *of == kind).map(|(_, seen)| seen.rate);
    let peer = find(Kind::RadsecProxy);
    let mut text = String::from(
        "| proxy | replies/s | beside radsecproxy | p50 | p99 | p99.9 | processor time per reply |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (kind, seen) in rows {
        let beside = peer.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} ×", seen.rate / rate));
        row(&mut text, &kind.to_string(), seen, &beside);
    }
    text.push('\n');
    if let (Some(ours), Some(peer)) = (find(Kind::OtpRadiusdProxy), peer) {
        let seen = format!("{:.2} × (goal: 1.00 ×)", ours / peer);
        goal(&mut text, "proxying beside radsecproxy", ours >= peer, &seen);
    }
    text
}

/// Sizes of the store beside each other.
pub(super) fn scale(rows: &[Scale]) -> String {
    let mut text = String::from(
        "| tokens | import | start to first answer | replies/s | p50 | p99 | processor time per reply | memory |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for Scale {
        users,
        import_seconds,
        start_seconds,
        seen,
    } in rows
    {
        let Latencies { p50, p99, .. } = seen.latencies;
        let _ = writeln!(
            text,
            "| {users} | {import_seconds:.1} s | {start_seconds:.2} s | {:.0} | {:.1} ms | {:.1} ms | {:.0} µs | {} MiB |",
            seen.rate,
            millis(p50),
            millis(p99),
            seen.server_cpu_micros.unwrap_or_default(),
            seen.server_resident_kib.unwrap_or_default() / 1024,
        );
    }
    text.push('\n');
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return text;
    };
    let slowest = rows.iter().map(|row| row.seen.rate).fold(f64::INFINITY, f64::min);
    let kept = slowest / first.seen.rate;
    goal(
        &mut text,
        "rate of the slowest size beside the smallest",
        kept >= 1.0 - SLOWER,
        &format!("{kept:.2} × (goal: 0.80 ×)"),
    );
    goal(
        &mut text,
        "start to first answer at the largest",
        last.start_seconds <= LONGEST_START,
        &format!("{:.2} s (goal: 2 s)", last.start_seconds),
    );
    goal(
        &mut text,
        "import of the largest",
        last.import_seconds <= LONGEST_IMPORT,
        &format!("{:.1} s (goal: 60 s)", last.import_seconds),
    );
    text
}

fn row(text: &mut String, name: &str, seen: &Seen, beside: &str) {
    let Latencies { p50, p99, p999 } = seen.latencies;
    let _ = writeln!(
        text,
        "| {name} | {:.0} | {beside} | {:.2} ms | {:.2} ms | {:.2} ms | {:.1} µs |",
        seen.rate,
        millis(p50),
        millis(p99),
        millis(p999),
        seen.server_cpu_micros.unwrap_or_default(),
    );
    let (rejects, wrong, lost) = (seen.rejects, seen.wrong, seen.lost);
    if rejects + wrong + lost > 0 {
        let _ = writeln!(
            text,
            "| … {rejects} rejected, {wrong} wrong, {lost} lost of {} | | | | | | |",
            seen.accepts + rejects + wrong + lost
        );
    }
}

fn goal(text: &mut String, what: &str, is_met: bool, seen: &str) {
    let verdict = if is_met { "met" } else { "MISSED" };
    let _ = writeln!(text, "- {what}: {seen}: {verdict}");
}

fn millis(micros: f64) -> f64 {
    micros / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{super::seen::tests::seen, *};

    #[test]
    fn goals_are_judged() {
        let medians = [
            (Kind::FreeRadius, seen(1000.0)),
            (Kind::FreeRadiusOnDisk, seen(300.0)),
            (Kind::AcceptAll, seen(5000.0)),
            (Kind::OtpRadiusd, seen(1200.0)),
        ];
        let mut duplicates = seen(4000.0);
        duplicates.latencies.p50 = 100.0;
        let at_half = [("500".to_owned(), seen(500.0))];
        let text = comparison(&medians, Some(500.0), &at_half, &duplicates);
        for line in [
            "| otp-radiusd, durable HOTP | 1200 | 1.20 × | 1.00 ms | 2.00 ms | 3.00 ms | 20.0 µs |",
            "| … 0 rejected, 0 wrong, 1 lost of 11 | | | | | | |",
            "- validations beside FreeRADIUS in memory: 1.20 × (goal: 1.00 ×): met",
            "- validations beside FreeRADIUS, a row on disk for each Accept: 4.00 × (goal: 1.00 ×): met",
            "- p99 at half of FreeRADIUS's rate: 2.0 ms at 500 requests/s (goal: 10 ms): met",
            "- duplicates beside fresh requests: 3.3 × the rate, p50 10.0 × as fast (goal: 3 ×): met",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        // A rate that is more than the server's own was not measured.
        let slow = [(Kind::FreeRadius, seen(1000.0)), (Kind::OtpRadiusd, seen(400.0))];
        let text = comparison(
            &slow,
            Some(500.0),
            &[("200".to_owned(), seen(200.0))],
            &seen(400.0),
        );
        for line in [
            "FreeRADIUS in memory: 0.40 × (goal: 1.00 ×): MISSED",
            "500 requests/s are more than it answers: MISSED",
            "1.0 × the rate, p50 1.0 × as fast (goal: 3 ×): MISSED",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        // Over UNIX sockets there is nothing to stand beside.
        let text = comparison(&slow[1..], None, &[], &duplicates);
        assert!(!text.contains("in memory:"), "{text}");
    }

    #[test]
    fn transports_are_compared_with_freeradius_where_it_listens() {
        let text = transports(&[
            (
                Transport::Tls,
                vec![(Kind::OtpRadiusd, seen(900.0)), (Kind::FreeRadius, seen(600.0))],
            ),
            (Transport::Unix, vec![(Kind::OtpRadiusd, seen(900.0))]),
        ]);
        for line in [
            "| tls | otp-radiusd, durable HOTP | 900 | 1.50 × | 1.00 ms | 2.00 ms | 3.00 ms | 20.0 µs |",
            "| unix | otp-radiusd, durable HOTP | 900 | – |",
            "- validations beside FreeRADIUS in memory, tls: 1.50 × (goal: 1.00 ×): met",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("in memory, unix"), "{text}");
    }

    #[test]
    fn proxies_are_compared_with_radsecproxy() {
        let rows = [
            (Kind::RadsecProxy, seen(800.0)),
            (Kind::OtpRadiusdProxy, seen(1000.0)),
        ];
        let text = proxies(&rows);
        for line in [
            "| otp-radiusd as a proxy | 1000 | 1.25 × | 1.00 ms | 2.00 ms | 3.00 ms | 20.0 µs |",
            "- proxying beside radsecproxy: 1.25 × (goal: 1.00 ×): met",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn sizes_are_compared_with_the_smallest() {
        let row = |users, start_seconds, rate| Scale {
            users,
            import_seconds: 61.0,
            start_seconds,
            seen: seen(rate),
        };
        let text = scale(&[row(1000, 0.1, 100.0), row(1_000_000, 1.5, 79.0)]);
        for line in [
            "| 1000000 | 61.0 s | 1.50 s | 79 | 1.0 ms | 2.0 ms | 20 µs | 2 MiB |",
            "0.79 × (goal: 0.80 ×): MISSED",
            "start to first answer at the largest: 1.50 s (goal: 2 s): met",
            "import of the largest: 61.0 s (goal: 60 s): MISSED",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(scale(&[]).contains("| tokens |"));
    }
}
