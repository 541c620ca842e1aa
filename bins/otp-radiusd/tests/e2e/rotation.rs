//! A client is given another secret while it works.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use krad::Code;
use serde_json::Value;

use crate::{
    clients::{UdpClient, User},
    system::System,
};

/// A NAS that asks for one user, one code after the other, until it is told to stop; how often it asked. Each answer is a right
/// one, by its own secret, to the first packet.
struct Nas<'a> {
    client: UdpClient,
    user: User,
    asked: &'a AtomicU64,
}

impl Nas<'_> {
    fn work(mut self, stop: &AtomicBool) {
        while !stop.load(SeqCst) {
            let code = self.user.code(self.asked.load(SeqCst));
            let verdict = self.client.ask(&self.user.name, &code);
            assert_eq!(verdict, Some(Code::ACCESS_ACCEPT), "{}", self.user.name);
            self.asked.fetch_add(1, SeqCst);
        }
    }
}

fn wait_for(counter: &AtomicU64, more: u64) {
    let (until, began) = (counter.load(SeqCst) + more, Instant::now());
    while counter.load(SeqCst) < until {
        assert!(began.elapsed() < Duration::from_secs(30), "it works no more");
        thread::sleep(Duration::from_millis(1));
    }
}

fn report(system: &System) -> Value {
    let report: Value =
        serde_json::from_str(&system.otpctl(&["--json", "client", "report", "nas"], "")).unwrap();
    report["clients"][0].clone()
}

/// A daemon looks for changed clients fifty times a second.
const SEEN: Duration = Duration::from_millis(50);

/// Figures are written every ten seconds.
fn wait_for_report(system: &System, is_there: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..200 {
        let report = report(system);
        if is_there(&report) {
            return report;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("{:?}", report(system));
}

#[test]
fn no_packet_is_lost_while_a_secret_is_rotated() {
    const EACH: u64 = 60;
    let system = System::new();
    system.otpctl(
        &["token", "import", "--create-users", "-"],
        &User::import_file("hotp", 0..2),
    );
    let add = ["--json", "client", "add", "nas", "--address", "127.0.0.0/8"];
    let first: Value = serde_json::from_str(&system.otpctl(&add, "")).unwrap();
    let first = first["secret"].as_str().unwrap().to_owned();
    let daemon = system.start();
    let of =
        |number: u8, secret: &str| UdpClient::from(Ipv4Addr::new(127, 0, 0, number), daemon.udp(), secret);

    let (with_old, with_new) = (AtomicU64::new(0), AtomicU64::new(0));
    let (stop_old, stop_new) = (AtomicBool::new(false), AtomicBool::new(false));
    let second = thread::scope(|scope| {
        let old = Nas {
            client: of(2, &first),
            user: User::new(0),
            asked: &with_old,
        };
        let old = scope.spawn(|| old.work(&stop_old));
        wait_for(&with_old, EACH);
        let rotate = ["--json", "client", "secret", "nas", "--rotate"];
        let second: Value = serde_json::from_str(&system.otpctl(&rotate, "")).unwrap();
        let second = second["secret"].as_str().unwrap().to_owned();
        let new = Nas {
            client: of(3, &second),
            user: User::new(1),
            asked: &with_new,
        };
        thread::sleep(SEEN);
        let new = scope.spawn(|| new.work(&stop_new));
        wait_for(&with_old, EACH);
        wait_for(&with_new, EACH);
        // The old one gets its new secret.
        stop_old.store(true, SeqCst);
        old.join().unwrap();
        system.otpctl(&["client", "secret", "nas", "--finish"], "");
        wait_for(&with_new, EACH);
        stop_new.store(true, SeqCst);
        new.join().unwrap();
        second
    });
    assert!(with_old.load(SeqCst) >= 2 * EACH && with_new.load(SeqCst) >= 2 * EACH);
    assert_eq!(daemon.count("packets of this client are discarded"), 0);

    thread::sleep(SEEN);
    // From then on the old secret is another client's.
    let mut late = of(2, &first);
    let request = late.compose(&User::new(0).name, &User::new(0).code(with_old.load(SeqCst)));
    late.send(&request);
    daemon.wait_for("the shared secrets differ");
    assert_eq!(late.verdict(&request, Duration::from_millis(200)), None);
    assert!(of(2, &second).status(Duration::from_secs(5)));

    let total = with_old.load(SeqCst) + with_new.load(SeqCst);
    let report = wait_for_report(&system, |report| report["requests"] == total);
    assert_eq!(report["without_message_authenticator"], 0);
    assert_eq!(report["advice"], Value::Null);
}

/// What an administrator reads before `--finish`.
#[test]
fn a_report_says_which_secret_is_in_use() {
    let system = System::new();
    system.otpctl(
        &["token", "import", "--create-users", "-"],
        &User::import_file("hotp", 0..1),
    );
    let first = system.radius_client("nas", &[]);
    let daemon = system.start();
    let rotate = ["--json", "client", "secret", "nas", "--rotate", "--for", "30d"];
    let second: Value = serde_json::from_str(&system.otpctl(&rotate, "")).unwrap();
    let mut codes = (0..).map(|counter| User::new(0).code(counter));
    let mut ask = |secret: &str| {
        let verdict = UdpClient::to(daemon.udp(), secret).ask(&User::new(0).name, &codes.next().unwrap());
        assert_eq!(verdict, Some(Code::ACCESS_ACCEPT));
    };
    thread::sleep(SEEN);
    ask(&first);
    let report = wait_for_report(&system, |report| !report["last_old_secret"].is_null());
    assert_eq!(
        (&report["rotating"], &report["last_new_secret"]),
        (&true.into(), &Value::Null)
    );
    assert!(
        report["advice"]
            .as_str()
            .unwrap()
            .contains("give the client its new secret")
    );
    ask(second["secret"].as_str().unwrap());
    let report = wait_for_report(&system, |report| !report["last_new_secret"].is_null());
    assert!(
        report["advice"].as_str().unwrap().contains("wait before"),
        "{report}"
    );
    // What a daemon has counted last is written when it stops.
    ask(&first);
    daemon.signal("TERM");
    assert_eq!(self::report(&system)["requests"], 3);
}
