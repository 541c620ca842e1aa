//! Metrics, and whether the daemon is alive and ready, as tools of this machine ask for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use krad::Code;
use serde_json::Value;

use crate::{
    clients::{UdpClient, User, system_with_users},
    system::{Daemon, System, run},
    wire::{Connection, Datagrams, Verdict},
};

/// The daemon with metrics on a free port of loopback.
fn start(system: &System) -> (Daemon, SocketAddr) {
    let config = system.dir().join("otp-radiusd.toml");
    fs::write(&config, "[metrics]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let daemon = system.start_with(&["--config", config.to_str().unwrap()]);
    let address = endpoint(&daemon);
    (daemon, address)
}

/// Where a daemon has its metrics.
pub fn endpoint(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for("metrics at http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    address.parse().unwrap()
}

fn ask(mut stream: impl Stream, path: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(TcpStream::connect(address).unwrap(), path)
}

pub fn metrics(address: SocketAddr) -> String {
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200);
    text
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// All samples of a name whose labels contain `part`, together.
fn sum(text: &str, name: &str, part: &str) -> f64 {
    let of_it = samples(text)
        .into_iter()
        .filter(|(key, _)| key.split('{').next() == Some(name) && key.contains(part));
    of_it.map(|(_, value)| value).sum()
}

/// The same of a counter.
pub fn count(text: &str, name: &str, part: &str) -> u64 {
    let count = sum(text, name, part).to_string();
    count.parse().unwrap_or_else(|_| panic!("{name}: {count}"))
}

/// FreeRADIUS's client asks once; it is accepted.
fn radclient(server: SocketAddr, secret: &str, user: &str, code: &str) {
    let mut command = Command::new("radclient");
    command.args(["-r", "1", "-t", "10", &server.to_string(), "auth", secret]);
    let request = format!("User-Name = {user}, User-Password = {code}, Message-Authenticator = 0x00\n");
    let answered = run(command, &request);
    assert!(answered.status.success(), "{answered:?}");
}

#[test]
fn sums_agree_with_what_was_sent() {
    let (system, secret) = system_with_users(3);
    let (daemon, address) = start(&system);
    let mut vpn = UdpClient::to(daemon.udp(), &secret);
    let mut kdc = Connection::to(&system.kdc_socket());
    let alice = User::new(0);
    for counter in 0..7 {
        assert_eq!(
            vpn.ask(&alice.name, &alice.code(counter)),
            Some(Code::ACCESS_ACCEPT)
        );
    }
    for _ in 0..3 {
        assert_eq!(vpn.ask("mallory", "123456"), Some(Code::ACCESS_REJECT));
    }
    // The same octets again.
    let request = vpn.compose(&alice.name, &alice.code(7));
    for _ in 0..3 {
        vpn.send(&request);
        assert_eq!(
            vpn.verdict(&request, Duration::from_secs(10)),
            Some(Code::ACCESS_ACCEPT)
        );
    }
    for counter in 0..4 {
        let bob = User::new(1);
        assert_eq!(kdc.ask(&bob.name, &bob.code(counter)), Verdict::Accept);
    }
    let carol = User::new(2);
    for counter in 0..5 {
        radclient(daemon.udp(), &secret, &carol.name, &carol.code(counter));
    }
    let mut stranger = Datagrams::to(daemon.udp(), "not the secret at all");
    assert!(!stranger.status());

    let text = metrics(address);
    let decided = |part: &str| sum(&text, "otp_radiusd_decisions_total", part);
    assert_eq!(
        decided("client=\"vpn\",transport=\"udp\",verdict=\"accept\",reason=\"accepted\""),
        13.0
    );
    assert_eq!(
        decided("client=\"vpn\",transport=\"udp\",verdict=\"reject\",reason=\"unknown-user\""),
        3.0
    );
    assert_eq!(
        decided("client=\"kdc\",transport=\"unix\",verdict=\"accept\""),
        4.0
    );
    assert_eq!(decided(""), 20.0);
    assert_eq!(
        sum(&text, "otp_radiusd_repeated_packets_total", "client=\"vpn\""),
        2.0
    );
    assert_eq!(
        sum(&text, "otp_radiusd_decision_duration_seconds_count", ""),
        20.0
    );
    assert_eq!(
        sum(
            &text,
            "otp_radiusd_reply_duration_seconds_count",
            "code=\"accept\""
        ),
        17.0
    );
    assert_eq!(
        sum(
            &text,
            "otp_radiusd_reply_duration_seconds_count",
            "code=\"reject\""
        ),
        3.0
    );
    assert_eq!(
        sum(
            &text,
            "otp_radiusd_requests_without_message_authenticator_total",
            "client=\"kdc\""
        ),
        4.0,
        "as a KDC does"
    );
    assert_eq!(
        sum(
            &text,
            "otp_radiusd_discarded_packets_total",
            "client=\"vpn\",cause=\"wrong_message_authenticator\""
        ),
        1.0
    );
    assert_eq!(sum(&text, "otp_radiusd_connections", "unix"), 1.0);
    assert!(sum(&text, "otp_radiusd_commit_group_size_sum", "") >= 17.0);
    assert!(sum(&text, "otp_radiusd_commit_duration_seconds_count", "") >= 17.0);
    assert_eq!(sum(&text, "otp_radiusd_store_available", ""), 1.0);
    drop(kdc);
    let closed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        sum(&metrics(address), "otp_radiusd_connections", "unix") == 0.0
    });
    assert!(closed, "the connection is gone");

    // Nothing of it says who logs in, and names from the network make no series.
    for name in [alice.name.as_str(), "mallory", "127.0.0.1"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (system, secret) = system_with_users(1);
    let (daemon, address) = start(&system);
    let user = User::new(0);
    let mut vpn = UdpClient::to(daemon.udp(), &secret);
    assert_eq!(vpn.ask(&user.name, &user.code(0)), Some(Code::ACCESS_ACCEPT));
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let checked = run(promtool, &metrics(address));
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn ready_is_when_the_store_commits() {
    let (system, _) = system_with_users(1);
    let (daemon, address) = start(&system);
    assert_eq!(get(address, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/"), (404, "404 Not Found\n".to_owned()));
    assert_eq!(get(address, "/reload").0, 404, "nothing can be changed here");
    // The socket of administration tells the same.
    let admin = || UnixStream::connect(system.admin_socket()).unwrap();
    assert_eq!(ask(admin(), "/readyz").0, 200);
    assert!(ask(admin(), "/metrics").1.contains("otp_radiusd_build_info"));

    let foreign = rusqlite::Connection::open(system.state_dir().join("otp.db")).unwrap();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let user = User::new(0);
    let mut kdc = Connection::to(&system.kdc_socket());
    assert_eq!(kdc.ask(&user.name, &user.code(0)), Verdict::Reject);
    let (status, why) = get(address, "/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("does not commit"), "{why}");
    assert_eq!(get(address, "/livez").0, 200);
    assert!(metrics(address).contains("otp_radiusd_store_available 0\n"));
    foreign.execute_batch("ROLLBACK").unwrap();
    let ready = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        get(address, "/readyz").0 == 200
    });
    assert!(ready, "it recovers by itself");
    drop(daemon);
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let (system, _) = system_with_users(1);
    let (_daemon, address) = start(&system);
    let text = metrics(address);
    let known: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .flat_map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffixes: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        })
        .collect();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../dist/grafana/otp-radiusd.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut queries = Vec::new();
    collect(&dashboard, &mut queries);
    assert!(queries.len() >= 10, "{queries:?}");
    let mut asked = BTreeSet::new();
    for query in &queries {
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names: Vec<_> = words
            .filter(|word| word.starts_with("otp_radiusd_") || word.starts_with("process_"))
            .collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            assert!(known.contains(name), "{name} of {query} is no metric");
            asked.insert(name.to_owned());
        }
    }
    assert!(asked.len() >= 10, "{asked:?}");
}

fn collect(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(query) if key == "expr" => queries.push(query.to_owned()),
                    _ => collect(value, queries),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, queries)),
        _ => {}
    }
}
