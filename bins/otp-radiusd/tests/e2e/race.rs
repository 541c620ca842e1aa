//! Two daemons get the same code at the same moment, each in a packet of its own: one of them accepts it.
//!
//! `cargo test` runs some hundreds of codes, `cargo xtask race` thousands ([`CODES`]).

use std::{
    net::SocketAddr,
    sync::{Barrier, Mutex},
    thread,
    time::Instant,
};

use krad::Code;

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User},
    cluster::Cluster,
    system::{Daemon, System},
};

/// How many codes.
const CODES: &str = "RACE_CODES";
/// Users, and so codes, that race at once.
const USERS: usize = 200;

#[test]
fn of_two_machines_on_one_database_one_accepts() {
    let system = System::on(Cluster::shared().database());
    let second = system.beside();
    race(
        "race of two daemons on PostgreSQL",
        &system,
        &second,
        campaign::scale(CODES, 600),
    );
}

#[test]
fn of_two_daemons_on_one_file_one_accepts() {
    let system = System::new();
    race(
        "race of two daemons on SQLite",
        &system,
        &system,
        campaign::scale(CODES, 600),
    );
}

fn race(name: &'static str, system: &System, second: &System, codes: u64) {
    system.otpctl(
        &["token", "import", "--create-users", "-"],
        &User::import_file("hotp", 0..USERS),
    );
    let secret = system.radius_client("vpn", &[]);
    let daemons = [(system, "first"), (second, "second")].map(|(system, name)| {
        let mut command = system.command("otp-radiusd");
        command.args(["--listen", "udp://127.0.0.1:0"]);
        command.arg("--admin-socket").arg(system.dir().join(name));
        Daemon::spawn(command)
    });
    let rounds = codes.div_ceil(USERS as u64);
    let (start, accepted) = (Barrier::new(2), [Mutex::default(), Mutex::default()]);
    let began = Instant::now();
    thread::scope(|scope| {
        for (daemon, accepted) in daemons.iter().zip(&accepted) {
            let (address, secret, start) = (daemon.udp(), secret.as_str(), &start);
            scope.spawn(move || *accepted.lock().unwrap() = offer(address, secret, rounds, start));
        }
    });
    let [here, there] = accepted.map(|accepted: Mutex<Vec<Vec<bool>>>| accepted.into_inner().unwrap());
    let (mut by_first, mut by_second) = (0, 0);
    for (counter, (here, there)) in here.iter().zip(&there).enumerate() {
        for (user, (first, second)) in here.iter().zip(there).enumerate() {
            assert!(
                first ^ second,
                "counter {counter} of user {user}: accepted by the first: {first}, by the second: {second}"
            );
            by_first += u64::from(*first);
            by_second += u64::from(*second);
        }
    }
    // A race that one side always wins is none.
    assert!(by_first > 0 && by_second > 0, "{by_first} to {by_second}");
    Ledger::new(name, 0)
        .count("codes offered to both at once", by_first + by_second)
        .count("accepted by the first", by_first)
        .count("by the second", by_second)
        .count("by both", 0)
        .count("by neither", 0)
        .finish(began);
}

/// Which codes of each round this daemon accepted.
fn offer(daemon: SocketAddr, secret: &str, rounds: u64, start: &Barrier) -> Vec<Vec<bool>> {
    let mut client = UdpClient::to(daemon, secret);
    (0..rounds)
        .map(|counter| {
            let codes: Vec<_> = (0..USERS).map(|user| (user, counter)).collect();
            start.wait();
            let verdicts = client.ask_all(&codes);
            verdicts
                .into_iter()
                .map(|verdict| verdict == Code::ACCESS_ACCEPT)
                .collect()
        })
        .collect()
}
