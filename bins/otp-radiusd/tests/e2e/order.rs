//! The order of system calls: no Accept is sent before the sync that makes its commit durable has returned.
//!
//! `strace` writes down what the daemon reads, syncs and sends. Each Access-Accept must have, between the arrival of its
//! request and its own departure, a sync of the write-ahead log from its beginning to its successful end.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::UdpSocket,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use krad::{Code, Identifier, Packet, RequestAuthenticator, RequestBuilder, SharedSecret};
use otp_core::{Hotp, TokenKey};

use crate::{
    campaign::{self, Ledger},
    system::{Daemon, System},
    wire::uninterrupted,
};

/// Accepts that are looked at.
const ACCEPTS: &str = "ORDER_ACCEPTS";
const CLIENTS: u64 = 8;

#[test]
fn every_accept_leaves_after_the_sync_that_covers_it() {
    let (accepts, started) = (campaign::scale(ACCEPTS, 160), Instant::now());
    let system = System::new();
    let keys: Vec<TokenKey> = (1..=CLIENTS).map(key).collect();
    for (number, key) in keys.iter().enumerate() {
        system.user_with_token(
            &format!("user{number}"),
            key.to_base32().as_str(),
            &["--type", "hotp"],
        );
    }
    let secret = system.radius_client("vpn", &[]);
    let trace = system.dir().join("trace");
    let daemon = Daemon::spawn(traced(&system, &trace));
    let address = daemon.udp();
    let clients: Vec<_> = keys
        .into_iter()
        .enumerate()
        .map(|(number, key)| {
            let secret = SharedSecret::new(secret.as_bytes());
            thread::spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(address).unwrap();
                for counter in 0..accepts.div_ceil(CLIENTS) {
                    log_in(&socket, &secret, &format!("user{number}"), &key, counter);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (status, _) = daemon.signal("TERM");
    assert!(status.success(), "{status}");

    let seen = Seen::read(&complete(&trace));
    assert!(u64::try_from(seen.accepts).unwrap() >= accepts, "{seen:?}");
    assert!(
        seen.too_early.is_empty(),
        "{} of {} accepts: {:?}",
        seen.too_early.len(),
        seen.accepts,
        seen.too_early
    );
    Ledger::new("order of sync and send", 0)
        .count(
            "accepts seen to leave after their sync",
            u64::try_from(seen.accepts).unwrap(),
        )
        .count("syncs", u64::try_from(seen.syncs).unwrap())
        .count("too early", 0)
        .finish(started);
}

#[test]
fn an_accept_without_a_sync_of_its_own_is_noticed() {
    let request = r#"recvfrom(9, "\x01\x07\x00\x2c", 4096, 0, {sin_port=htons(4000)}, [16]) = 44"#;
    let accept = r#"sendto(9, "\x02\x07\x00\x26", 38, 0, {sin_port=htons(4000)}, 16) = 38"#;
    let too_early = |lines: &[&str]| Seen::read(&lines.join("\n")).too_early.len();
    let sync = |outcome: &str| format!("11 fsync(5<\\x2f{LOG}) = {outcome}");
    let (begun, ended) = (
        &*format!("11 fsync(5<\\x2f{LOG} <unfinished ...>"),
        "11 <... fsync resumed>) = 0",
    );
    let (request, accept) = (format!("10 {request}"), format!("10 {accept}"));
    assert_eq!(too_early(&[&request, &sync("0"), &accept]), 0);
    assert_eq!(too_early(&[&request, begun, ended, &accept]), 0);
    assert_eq!(
        too_early(&[&request, begun, &accept, ended]),
        1,
        "before the sync has returned"
    );
    assert_eq!(
        too_early(&[begun, &request, ended, &accept]),
        1,
        "a sync that began before the request came"
    );
    assert_eq!(too_early(&[&request, &accept]), 1);
    assert_eq!(too_early(&[&request, &sync("-1 EIO"), &accept]), 1);
    let one = |kind: &str, port: u16| {
        format!(
            r#"{{msg_hdr={{msg_name={{sin_port=htons({port}), sin_addr=inet_addr("\x31")}}, msg_iov=[{{iov_base="{kind}\x07\x00\x2c"}}]}}, msg_len=44}}"#
        )
    };
    let (asked, let_in) = (
        one(r"\x01", 4000) + ", " + &one(r"\x01", 5000),
        one(r"\x02", 5000) + ", " + &one(r"\x02", 4000),
    );
    let (came, left) = (
        format!("10 recvmmsg(9, [{asked}], 16, MSG_DONTWAIT, NULL) = 2"),
        format!("10 sendmmsg(9, [{let_in}], 2, MSG_DONTWAIT) = 2"),
    );
    assert_eq!(too_early(&[&came, &sync("0"), &left]), 0);
    assert_eq!(too_early(&[&came, &left]), 2, "each of those that leave together");
    assert_eq!(
        too_early(&[&request, &sync("0"), &left]),
        1,
        "nobody asked for the other"
    );
    let (leaving, gone) = (
        "10 sendmmsg(9,  <unfinished ...>",
        format!("10 <... sendmmsg resumed>[{let_in}], 2, MSG_DONTWAIT) = 2"),
    );
    assert_eq!(too_early(&[&came, &sync("0"), leaving, &gone]), 0);
    assert_eq!(
        too_early(&[&came, leaving, &sync("0"), &gone]),
        2,
        "a sync while they leave"
    );
    assert_eq!(
        too_early(&[
            &request,
            r"11 fsync(5<\x2f\x6f\x74\x70\x2e\x64\x62>) = 0",
            &accept
        ]),
        1
    );
}

/// The trace, once its writer has nothing more to add.
fn complete(trace: &std::path::Path) -> String {
    loop {
        let before = fs::read_to_string(trace).unwrap();
        thread::sleep(Duration::from_millis(300));
        let text = fs::read_to_string(trace).unwrap();
        if text == before {
            return text;
        }
    }
}

/// The daemon under `strace`, with files named and strings in hexadecimal.
fn traced(system: &System, trace: &std::path::Path) -> Command {
    let mut command = Command::new("strace");
    command
        .args([
            "-D",
            "-f",
            "-qq",
            "-y",
            "-xx",
            // Also how many messages of one call are shown.
            "-s",
            "64",
            "-e",
            "trace=fdatasync,fsync,recvfrom,recvmmsg,sendto,sendmmsg",
            "-e",
        ])
        .args(["signal=none", "-o"])
        .arg(trace);
    system.daemon_under(command)
}

fn key(number: u64) -> TokenKey {
    let mut key = [0x17; 20];
    key[..8].copy_from_slice(&number.to_be_bytes());
    TokenKey::from(key)
}

fn log_in(socket: &UdpSocket, secret: &SharedSecret, user: &str, key: &TokenKey, counter: u64) {
    let identifier = Identifier(u8::try_from(counter % 256).unwrap());
    let authenticator = RequestAuthenticator::random(&mut rand::rng());
    let code = Hotp::default().generate(key, counter);
    let request = RequestBuilder::access_request(identifier, authenticator, secret)
        .user_name(user.as_bytes())
        .and_then(|request| request.user_password(code.as_str().as_bytes()))
        .and_then(RequestBuilder::build)
        .unwrap();
    socket.send(request.octets()).unwrap();
    let mut buffer = [0; 4096];
    let length = uninterrupted(|| socket.recv(&mut buffer)).unwrap();
    assert_eq!(
        Packet::decode(&buffer[..length]).unwrap().code(),
        Code::ACCESS_ACCEPT,
        "{user} {counter}"
    );
}

/// What a trace shows.
#[derive(Debug, Default)]
struct Seen {
    accepts: usize,
    syncs: usize,
    /// Lines of Accepts that no sync covers.
    too_early: Vec<usize>,
}

impl Seen {
    /// Reads what `strace -f -y -xx` wrote: lines in the order of events, each with its thread.
    fn read(trace: &str) -> Self {
        let mut seen = Self::default();
        // Port and Identifier of each request: the line at which it came.
        let mut requests: HashMap<Place, usize> = HashMap::new();
        // Of each thread, the call that has begun: its line and text, and the last sync before it.
        let mut begun: BTreeMap<&str, (usize, &str, Option<usize>)> = BTreeMap::new();
        // When the last sync to have returned began. Syncs of one log do not overlap.
        let mut synced = None;
        for (number, line) in trace.lines().enumerate() {
            let Some((thread, event)) = line.split_once(' ') else {
                continue;
            };
            let event = event.trim_start();
            if event.ends_with("<unfinished ...>") {
                begun.insert(thread, (number, event, synced));
                // What is being sent has been handed over already.
                if event.starts_with("sendto") {
                    seen.sent(number, event, &requests, synced);
                }
                continue;
            }
            let (since, call, synced_before) = if event.starts_with("<...") {
                begun.remove(thread).unwrap_or((number, event, None))
            } else {
                (number, event, synced)
            };
            if (call.starts_with("fdatasync") || call.starts_with("fsync"))
                && call.contains(LOG)
                && event.ends_with("= 0")
            {
                seen.syncs += 1;
                synced = Some(since);
            } else if call.starts_with("recv") {
                // The datagrams and their sources stand in the second half.
                requests.extend(messages(event).map(|message| (message.place, number)));
            } else if call.starts_with("sendmmsg") {
                // What was sent stands in the second half, too; it was handed over before the first.
                seen.sent(since, event, &requests, synced_before);
            } else if event.starts_with("sendto") {
                seen.sent(number, event, &requests, synced);
            }
        }
        seen
    }

    /// Looks at what one call sends.
    fn sent(&mut self, line: usize, event: &str, requests: &HashMap<Place, usize>, synced: Option<usize>) {
        for accept in messages(event).filter(|message| message.code == "02") {
            self.accepts += 1;
            let came = requests.get(&accept.place).copied();
            let is_covered = came.is_some_and(|came| synced.is_some_and(|began| began > came));
            if !is_covered {
                self.too_early.push(line);
            }
        }
    }
}

/// The end of the write-ahead log's name, as `-xx` shows it.
const LOG: &str = r"\x6f\x74\x70\x2e\x64\x62\x2d\x77\x61\x6c>";

/// Port of the client, and Identifier.
type Place = (String, String);

/// A packet that is received or sent.
struct Message {
    code: String,
    place: Place,
}

/// The packets in a call: those of `recvmmsg` and `sendmmsg` stand behind their addresses, that of `recvfrom` and `sendto` before its own.
fn messages(event: &str) -> impl Iterator<Item = Message> {
    let several = event.split("msg_name=").skip(1).filter_map(|one| {
        let octets = one.split("iov_base=\"").nth(1)?;
        message(octets, one)
    });
    let single = event.split('"').nth(1).filter(|_| !event.contains("msg_name="));
    several.chain(single.and_then(|octets| message(octets, event)))
}

fn message(octets: &str, address: &str) -> Option<Message> {
    let mut octets = octets.split("\\x").skip(1);
    let code = octets.next()?.to_owned();
    let identifier = octets.next()?.to_owned();
    let port = address.split("htons(").nth(1)?.split(')').next()?.to_owned();
    Some(Message {
        code,
        place: (port, identifier),
    })
}
