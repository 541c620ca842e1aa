//! Requests that other servers decide on: FreeRADIUS behind us, over UDP, TCP and TLS.

mod upstream;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use self::upstream::{Behaviour, FreeRadius, Scripted, UPSTREAM_SECRET};
use crate::{
    radclient::{Answer, pap, radclient, radclient_to},
    system::{Daemon, System, hotp},
    wire::{Connection, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A daemon on UDP and on the KDC's socket, with tables of upstreams.
struct Proxy {
    system: System,
    daemon: Daemon,
    secret: String,
}

impl Proxy {
    fn start(system: System, tables: &str) -> Self {
        let secret = system.radius_client("vpn", &[]);
        write(&system, tables);
        let mut command = system.command("otp-radiusd");
        command.arg("--config").arg(file(&system));
        let daemon = Daemon::spawn(command);
        Self {
            system,
            daemon,
            secret,
        }
    }

    fn reload(&self, tables: &str) -> String {
        write(&self.system, tables);
        self.system.otpctl(&["reload"], "")
    }

    fn ask(&self, user: &str, password: &str) -> (Answer, String) {
        self.ask_with(&pap(user, password))
    }

    fn ask_with(&self, attributes: &str) -> (Answer, String) {
        radclient_to(self.daemon.udp(), &self.secret, attributes, &["-t", "6"])
    }

    /// The answer, and after how many milliseconds the daemon had it.
    fn timed(&self, user: &str, password: &str) -> (Answer, u64) {
        let decided = self.daemon.count("decided");
        let answer = self.ask(user, password).0;
        let line = self.daemon.wait_for_nth("decided", decided + 1);
        let micros = line.split("micros=").nth(1).unwrap();
        let micros: u64 = micros.split_whitespace().next().unwrap().parse().unwrap();
        (answer, micros / 1000)
    }
}

fn file(system: &System) -> PathBuf {
    system.dir().join("otp-radiusd.toml")
}

fn write(system: &System, tables: &str) {
    let secret = system.dir().join("corp.secret");
    fs::write(&secret, format!("{UPSTREAM_SECRET}\n")).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "listen = [\"unix:{}\", \"udp://127.0.0.1:0\"]\n{}",
        system.kdc_socket().display(),
        tables.replace("SECRET_FILE", &format!("secret_file = {secret:?}"))
    );
    fs::write(file(system), text).unwrap();
}

/// An upstream of these servers, and the realm that goes to it.
fn corp(servers: &[&str], more: &str) -> String {
    format!(
        "[upstream.corp]\nservers = {servers:?}\nSECRET_FILE\n{more}\n\
         [[realm]]\nname = \"example.org\"\nupstream = \"corp\"\nstrip = true\n"
    )
}

#[test]
fn users_and_realms_go_to_freeradius() {
    let upstream = FreeRadius::udp();
    let system = System::new();
    system.user_with_token("local", SECRET, &["--type", "hotp"]);
    system.otpctl(
        &[
            "user",
            "add",
            "robert",
            "--upstream",
            "corp",
            "--upstream-name",
            "bob",
        ],
        "",
    );
    let proxy = Proxy::start(system, &corp(&[&upstream.url], ""));

    // By realm, and by user under another name; a rejection is no one's but the upstream's.
    for (user, password, expected) in [
        ("bob@example.org", "bobs-password", Answer::Accept),
        ("bob@EXAMPLE.ORG", "bobs-password", Answer::Accept),
        ("bob@example.org", "wrong", Answer::Reject),
        ("robert", "bobs-password", Answer::Accept),
        ("robert", "wrong", Answer::Reject),
        ("nobody@example.org", "x", Answer::Reject),
        ("bob@example.com", "bobs-password", Answer::Reject),
        ("bob", "bobs-password", Answer::Reject),
    ] {
        let (answer, text) = proxy.ask(user, password);
        assert_eq!(answer, expected, "{user}: {text}");
    }
    let line = proxy.daemon.wait_for("reason=\"upstream-accepted\"");
    for part in ["verdict=\"accept\"", "upstream=\"corp as bob\"", &upstream.url] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(proxy.daemon.count("reason=\"upstream-rejected\""), 3);
    assert_eq!(
        proxy.daemon.count("reason=\"unknown-user\""),
        2,
        "the others are not forwarded"
    );
    // Users of this server stay here.
    assert_eq!(proxy.ask("local", &hotp(SECRET, 0)).0, Answer::Accept);
    proxy.daemon.wait_for("reason=\"accepted\"");

    // What passes of the reply: Class and Session-Timeout, not the VLAN and not a vendor's.
    let (_, text) = proxy.ask("bob@example.org", "bobs-password");
    for (name, passes) in [
        ("Session-Timeout = 3600", true),
        ("Class = 0x7374616666", true),
        ("Reply-Message = \"Hello, bob\"", true),
        ("Tunnel-Private-Group-Id", false),
        ("Cisco-AVPair", false),
    ] {
        assert_eq!(
            text.split("Received").nth(1).unwrap().contains(name),
            passes,
            "{name}: {text}"
        );
    }
    // Attributes that were set here go before the upstream's.
    proxy
        .system
        .otpctl(&["client", "set", "vpn", "--reply", "Session-Timeout=60"], "");
    proxy
        .system
        .otpctl(&["user", "set", "robert", "--reply", "Idle-Timeout=5"], "");
    let (_, text) = proxy.ask("robert", "bobs-password");
    for (name, passes) in [
        ("Session-Timeout = 60", true),
        ("3600", false),
        ("Idle-Timeout = 5", true),
    ] {
        assert_eq!(
            text.split("Received").nth(1).unwrap().contains(name),
            passes,
            "{name}: {text}"
        );
    }
    // Those of rules likewise; of a user whom only the upstream knows, by the name that came in.
    for (name, user, reply) in [
        ("bobs", "bob@*", "Idle-Timeout=7"),
        ("roberts", "robert", "Class=x"),
    ] {
        let add = ["rule", "add", name, "--user", user, "--reply", reply];
        proxy.system.otpctl(&add, "");
    }
    let (_, text) = proxy.ask("bob@example.org", "bobs-password");
    assert!(
        text.contains("Idle-Timeout = 7") && !text.contains("Class = 0x78"),
        "{text}"
    );
    let (_, text) = proxy.ask("robert", "bobs-password");
    assert!(
        text.contains("Idle-Timeout = 5") && text.contains("Class = 0x78"),
        "{text}"
    );
    let (_, text) = proxy.ask("robert", "wrong");
    assert!(
        !text.split("Received").nth(1).unwrap().contains("Class"),
        "{text}"
    );

    // Who is disabled here is refused here, and nobody else is asked.
    let before = upstream.requests();
    proxy.system.otpctl(&["user", "disable", "robert"], "");
    assert_eq!(proxy.ask("robert", "bobs-password").0, Answer::Reject);
    proxy.daemon.wait_for("reason=\"user-disabled\"");
    assert_eq!(upstream.requests(), before);
    proxy.system.otpctl(&["user", "enable", "robert"], "");

    // The trail knows who has decided, and `otpctl` how the servers are.
    let audit = proxy.system.otpctl(&["audit"], "");
    assert!(audit.contains("upstream-accepted"), "{audit}");
    let id = line
        .split(" id=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let why = proxy.system.otpctl(&["why", id], "");
    assert!(
        why.contains("The upstream corp decides") && why.contains(&upstream.url),
        "{why}"
    );
    let listed = proxy.system.otpctl(&["upstream", "list"], "");
    for part in [&upstream.url, "alive", "REALM", "example.org"] {
        assert!(listed.contains(part), "{listed}");
    }
    let auth = proxy.system.try_otpctl(&["auth", "robert"], "x\n");
    let said = String::from_utf8_lossy(&auth.stdout);
    assert!(
        auth.status.code() == Some(1) && said.contains("upstream corp as bob"),
        "{said}"
    );
}

/// What is added here can be too much for any acceptance: the upstream is not asked for one, and the log tells.
#[test]
fn an_acceptance_that_does_not_fit_is_refused_and_logged() {
    let upstream = Scripted::start(Behaviour::After(Duration::ZERO));
    let proxy = Proxy::start(System::new(), &corp(&[&upstream.url], "status_server = false"));
    assert_eq!(proxy.ask("bob@example.org", "x").0, Answer::Accept);
    let long = format!("Reply-Message={}", "x".repeat(253));
    for name in ["a", "b", "c", "d"] {
        let args = ["rule", "add", name];
        let reply = ["--reply", long.as_str()];
        proxy
            .system
            .otpctl(&[&args[..], &reply, &reply, &reply, &reply].concat(), "");
    }
    let asked = upstream.requests();
    assert_eq!(proxy.ask("bob@example.org", "x").0, Answer::Reject);
    assert_eq!(upstream.requests(), asked, "no code is spent there");
    proxy.daemon.wait_for("reason=\"reply-too-long\"");
    proxy.daemon.wait_for("an Access-Accept does not fit");
}

#[test]
fn a_question_of_freeradius_is_passed_on_where_it_can_be() {
    let upstream = FreeRadius::udp();
    let proxy = Proxy::start(System::new(), &corp(&[&upstream.url], ""));
    let (answer, text) = proxy.ask("carol@example.org", "carols-password");
    assert_eq!(answer, Answer::Challenge, "{text}");
    assert!(text.contains("Enter the code"), "{text}");
    let state = text
        .split("State = 0x")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    assert_eq!(
        state.len(),
        2 + 2 * 6,
        "an octet of ours before six of the upstream's: {state}"
    );
    assert!(state.ends_with(&hex(b"a-code")), "{state}");
    let answered = |state: &str, code: &str| {
        let request = pap("carol@example.org", code).trim().to_owned() + &format!(", State = 0x{state}\n");
        proxy.ask_with(&request).0
    };
    assert_eq!(answered(state, "wrong"), Answer::Reject);
    assert_eq!(answered(state, "000000"), Answer::Accept);
    // A State that no server of the upstream has sent.
    let other = format!(
        "{:02x}{}",
        u8::from_str_radix(&state[..2], 16).unwrap().wrapping_add(1),
        &state[2..]
    );
    assert_eq!(answered(&other, "000000"), Answer::Reject);
    proxy.daemon.wait_for("reason=\"no-such-dialogue\"");

    // A KDC cannot ask: for it, the question is a refusal, with a reason of its own.
    let mut kdc = Connection::to(&proxy.system.kdc_socket());
    assert_eq!(kdc.ask("carol@example.org", "carols-password"), Verdict::Reject);
    proxy.daemon.wait_for("reason=\"challenge-impossible\"");
    // An acceptance has nothing that it would not know.
    assert_eq!(kdc.ask("bob@example.org", "bobs-password"), Verdict::Accept);
    assert_eq!(kdc.ask("bob@example.org", "wrong"), Verdict::Reject);
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn whoever_does_not_answer_costs_no_more_than_the_deadline() {
    let silent = Scripted::start(Behaviour::Silent);
    let slow = Scripted::start(Behaviour::After(Duration::from_millis(2500)));
    let good = Scripted::start(Behaviour::After(Duration::ZERO));
    let liar = Scripted::start(Behaviour::Lies);
    let system = System::new();
    let proxy = Proxy::start(system, &corp(&[&silent.url], "status_server = false"));
    let (answer, millis) = proxy.timed("bob@example.org", "x");
    assert_eq!(answer, Answer::Reject);
    assert!((3900..4000).contains(&millis), "{millis} ms");
    proxy.daemon.wait_for("reason=\"upstream-silent\"");
    assert_eq!(silent.requests(), 3, "the same packet at 0, 1.3 and 2.6 s");

    for (servers, expected) in [
        // Slow alone, or slow first and the next one silent: its answer is good when it comes.
        (vec![&slow], 2500..2700),
        (vec![&slow, &silent], 2500..2700),
        // The next server is asked after half of the time.
        (vec![&silent, &good], 1900..2200),
        (vec![&liar, &good], 1900..2200),
        (vec![&good, &silent], 0..300),
    ] {
        let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
        proxy.reload(&corp(&urls, "status_server = false"));
        let (answer, millis) = proxy.timed("bob@example.org", "x");
        assert_eq!(answer, Answer::Accept, "{urls:?}");
        assert!(expected.contains(&millis), "{urls:?}: {millis} ms");
        println!("{urls:?}: {millis} ms");
    }
    assert!(liar.requests() >= 3, "and every lie was discarded");

    // An address where nobody listens costs nothing where another server is left.
    let refused = format!("tcp://127.0.0.1:{}", upstream::free_port());
    proxy.reload(&corp(&[&refused, &good.url], "status_server = false"));
    let (answer, millis) = proxy.timed("bob@example.org", "x");
    assert_eq!((answer, millis < 300), (Answer::Accept, true), "{millis} ms");
    proxy.reload(&corp(&[&refused], "status_server = false"));
    let (answer, millis) = proxy.timed("bob@example.org", "x");
    assert_eq!((answer, millis < 300), (Answer::Reject, true), "{millis} ms");
    proxy.daemon.wait_for("reason=\"upstream-unreachable\"");
}

/// The table of duplicates joins what a NAS sends again: the upstream hears of it once.
#[test]
fn what_a_nas_sends_again_is_one_request_upstream() {
    let slow = Scripted::start(Behaviour::After(Duration::from_millis(1000)));
    let proxy = Proxy::start(System::new(), &corp(&[&slow.url], "status_server = false"));
    let attributes = pap("bob@example.org", "x");
    let (answer, _) = radclient_to(
        proxy.daemon.udp(),
        &proxy.secret,
        &attributes,
        &["-t", "0.3", "-r", "10"],
    );
    assert_eq!(answer, Answer::Accept);
    assert_eq!(slow.requests(), 1);
    assert_eq!(proxy.daemon.count("decided"), 1);
}

#[test]
fn a_server_that_comes_back_is_used_again_and_a_reload_keeps_what_is_known() {
    let flapping = Scripted::start(Behaviour::After(Duration::ZERO));
    let good = Scripted::start(Behaviour::After(Duration::ZERO));
    let tables = corp(&[&flapping.url, &good.url], "");
    let proxy = Proxy::start(System::new(), &tables);
    let ask = || proxy.timed("bob@example.org", "x");
    assert_eq!(ask().0, Answer::Accept);
    flapping.set(Behaviour::Silent);
    let (answer, millis) = ask();
    assert_eq!(answer, Answer::Accept);
    assert!((1900..2200).contains(&millis), "the first one pays: {millis} ms");
    let line = proxy.daemon.wait_for_nth("upstream-accepted", 2);
    assert!(line.contains(&good.url), "{line}");
    // From now on nobody does, also not after a reload that has nothing to do with it.
    for tables in [tables.clone(), format!("{tables}[log]\nlevel = \"debug\"\n")] {
        proxy.reload(&tables);
        let (answer, millis) = ask();
        assert_eq!((answer, millis < 300), (Answer::Accept, true), "{millis} ms");
    }
    proxy.daemon.wait_for("taken for dead");
    flapping.set(Behaviour::After(Duration::ZERO));
    proxy.daemon.wait_for("answers again");
    assert_eq!(ask().0, Answer::Accept);
    let line = proxy.daemon.wait_for_nth("upstream-accepted", 5);
    assert!(line.contains(&flapping.url), "{line}");
}

/// Two servers that forward a realm to each other: the request ends where it has been.
#[test]
fn a_loop_is_seen() {
    let (one, other) = (System::new(), System::new());
    let secret = other.radius_client("proxy", &[]);
    let port = upstream::free_port();
    let start = |system: System, listen: &str, secret: &str, server: &str| {
        let secret_file = system.dir().join("s");
        fs::write(&secret_file, secret).unwrap();
        fs::set_permissions(&secret_file, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "listen = [\"{listen}\"]\n[upstream.next]\nservers = [\"{server}\"]\nsecret_file = {secret_file:?}\n\
             [[realm]]\nname = \"example.org\"\nupstream = \"next\"\n"
        );
        fs::write(file(&system), text).unwrap();
        let mut command = system.command("otp-radiusd");
        command.arg("--config").arg(file(&system));
        let daemon = Daemon::spawn(command);
        (system, daemon)
    };
    let own_secret = one.radius_client("nas", &[]);
    let (_other, second) = start(
        other,
        "udp://127.0.0.1:0",
        &own_secret,
        &format!("udp://127.0.0.1:{port}"),
    );
    let (_one, first) = start(
        one,
        &format!("udp://127.0.0.1:{port}"),
        &secret,
        &format!("udp://{}", second.udp()),
    );
    let began = Instant::now();
    assert_eq!(
        radclient(&first, &own_secret, &pap("bob@example.org", "x")).0,
        Answer::Reject
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    first.wait_for("reason=\"forward-loop\"");
    assert_eq!(second.count("reason=\"upstream-rejected\""), 1);
    assert_eq!(first.count("reason=\"upstream-rejected\""), 1);
}

#[test]
fn what_cannot_be_forwarded_is_refused_with_its_reason() {
    let good = Scripted::start(Behaviour::After(Duration::ZERO));
    let system = System::new();
    system.otpctl(&["user", "add", "dora", "--upstream", "elsewhere"], "");
    let proxy = Proxy::start(system, &corp(&[&good.url], ""));
    assert_eq!(proxy.ask("dora", "x").0, Answer::Reject);
    proxy.daemon.wait_for("reason=\"upstream-unknown\"");
    let eap = "User-Name = \"bob@example.org\", EAP-Message = 0x0200000501, Message-Authenticator = 0x00\n";
    assert_eq!(proxy.ask_with(eap).0, Answer::Reject);
    proxy.daemon.wait_for("reason=\"not-forwardable\"");
    // CHAP needs nothing of this hop but its challenge.
    let chap = "User-Name = \"bob@example.org\", CHAP-Password = \"x\", Message-Authenticator = 0x00\n";
    assert_eq!(proxy.ask_with(chap).0, Answer::Accept);
}

#[test]
fn tcp_and_tls_carry_the_same() {
    let certificates = TempDir::new().unwrap();
    upstream::certificates(certificates.path());
    let upstreams = [FreeRadius::tcp(), FreeRadius::tls(certificates.path())];
    for upstream in upstreams {
        let pem = |name: &str| certificates.path().join(name).display().to_string();
        let tls = format!(
            "[upstream.corp.tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
            pem("ca.pem"),
            pem("vpn1.pem"),
            pem("vpn1.key")
        );
        let is_tls = upstream.url.starts_with("tls");
        let mut tables = corp(&[&upstream.url], "");
        if is_tls {
            tables = tables
                .replace("SECRET_FILE\n", "")
                .replace("[[realm]]", &format!("{tls}[[realm]]"));
        }
        let proxy = Proxy::start(System::new(), &tables);
        let mut asked = 0;
        for (password, expected) in [("bobs-password", Answer::Accept), ("wrong", Answer::Reject)] {
            // A name is resolved and TLS begun while the first one asks.
            let answer = loop {
                let answer = proxy.ask("bob@example.org", password);
                asked += 1;
                let decided = proxy.daemon.wait_for_nth("decided", asked);
                if !decided.contains("upstream-unreachable") || asked > 20 {
                    break answer;
                }
                thread::sleep(Duration::from_millis(200));
            };
            assert_eq!(answer.0, expected, "{}: {}", upstream.url, answer.1);
        }
        proxy.daemon.wait_for("reason=\"upstream-rejected\"");
    }
}

/// Over UDP and over TLS to radsecproxy, and from there to FreeRADIUS.
#[test]
fn radsecproxy_stands_in_between() {
    let certificates = TempDir::new().unwrap();
    upstream::certificates(certificates.path());
    let decides = FreeRadius::udp();
    let between = upstream::RadSecProxy::start(certificates.path(), &decides.url);
    let pem = |name: &str| certificates.path().join(name).display().to_string();
    let tls = format!(
        "[upstream.corp.tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n",
        pem("ca.pem"),
        pem("vpn1.pem"),
        pem("vpn1.key")
    );
    let over_tls = corp(&[&between.tls], &tls).replace("SECRET_FILE\n", "");
    let proxy = Proxy::start(System::new(), &over_tls);
    proxy.daemon.wait_for("ready");
    let mut asked = 0;
    for (tables, before) in [(over_tls.clone(), 0), (corp(&[&between.udp], ""), 1)] {
        proxy.reload(&tables);
        let answer = loop {
            let answer = proxy.ask("bob@example.org", "bobs-password");
            asked += 1;
            let decided = proxy.daemon.wait_for_nth("decided", asked);
            if decided.contains("upstream-accepted") || asked > 40 {
                break answer;
            }
            // The name is resolved, or TLS begun, beside the first requests.
            thread::sleep(Duration::from_millis(200));
        };
        assert_eq!(answer.0, Answer::Accept, "{tables}: {}", answer.1);
        assert!(answer.1.contains("Session-Timeout = 3600"), "{}", answer.1);
        assert_eq!(proxy.ask("bob@example.org", "wrong").0, Answer::Reject);
        asked += 1;
        assert_eq!(proxy.daemon.count("reason=\"upstream-rejected\""), before + 1);
    }
}
