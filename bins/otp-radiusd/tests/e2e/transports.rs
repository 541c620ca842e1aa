//! TCP, several addresses, and sockets from systemd.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    radclient::{Answer, pap, radclient_to},
    radsec,
    system::{Daemon, PATIENCE, System, hotp, program},
    wire::{Connection, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn system() -> (System, String) {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = client(&system, "nas", "127.0.0.0/8");
    (system, secret)
}

/// Adds a client and returns its secret.
fn client(system: &System, name: &str, address: &str) -> String {
    let options = ["--json", "client", "add", name, "--address", address];
    let added: serde_json::Value = serde_json::from_str(&system.otpctl(&options, "")).unwrap();
    added["secret"].as_str().unwrap().to_owned()
}

/// The daemon with listeners of `configuration`.
fn daemon(system: &System, configuration: &str) -> Daemon {
    let path = system.dir().join("otp-radiusd.toml");
    fs::write(&path, configuration).unwrap();
    let mut command = system.command("otp-radiusd");
    command.arg("--config").arg(path);
    command.env("OTP_RADIUSD_ADMIN_SOCKET", system.dir().join("admin.socket"));
    Daemon::spawn(command)
}

#[test]
fn radclient_over_tcp() {
    let (system, secret) = system();
    let daemon = daemon(&system, "listen = [\"tcp://127.0.0.1:0\"]");
    let ask = |password: &str| {
        let server = daemon.address("tcp");
        radclient_to(server, &secret, &pap("alice", password), &["-P", "tcp"])
    };
    let code = hotp(SECRET, 0);
    let (answer, text) = ask(&code);
    assert_eq!(answer, Answer::Accept, "{text}");
    assert!(text.contains("Message-Authenticator"), "{text}");
    assert_eq!(ask(&code).0, Answer::Reject);
    let server = daemon.address("tcp");
    let wrong = radclient_to(server, "another secret", &pap("alice", "1"), &["-P", "tcp"]);
    assert_eq!(wrong.0, Answer::Silence);
    daemon.wait_for("the shared secrets differ");
}

/// Each reply comes from the address that was asked, or radclient does not see it.
#[test]
fn the_wildcard_answers_from_every_address() {
    let (system, secret) = system();
    let six = client(&system, "six", "::1");
    let daemon = daemon(&system, "listen = [\"udp://[::]:0\"]\nudp_sockets = 3");
    let port = daemon.udp().port();
    for (counter, address) in (0..).zip(["127.0.0.1", "127.0.0.2", "::1"]) {
        let server = SocketAddr::new(address.parse().unwrap(), port);
        let secret = if server.is_ipv6() { &six } else { &secret };
        let (answer, text) = radclient_to(server, secret, &pap("alice", &hotp(SECRET, counter)), &[]);
        assert_eq!(answer, Answer::Accept, "{address}: {text}");
    }
    assert!(daemon.wait_for("listening on udp://[::]").contains("listening"));
}

/// `systemd-socket-activate` binds, and starts the daemon with the first that comes.
struct Activated {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Activated {
    fn start(system: &System, options: &[&str], configuration: &str) -> Self {
        let path = system.dir().join("otp-radiusd.toml");
        fs::write(&path, configuration).unwrap();
        let mut child = Command::new("systemd-socket-activate")
            .args(options)
            .args(["-E", "NO_COLOR=1", "-E"])
            .arg(format!(
                "OTP_RADIUSD_ADMIN_SOCKET={}",
                system.dir().join("admin.socket").display()
            ))
            .arg(program("otp-radiusd"))
            .arg("--state-dir")
            .arg(system.state_dir())
            .arg("--config")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("systemd-socket-activate is missing: apt-get install systemd");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let activated = Self { child, log };
        activated.wait_for("Listening on");
        activated
    }

    fn wait_for(&self, text: &str) {
        let started = Instant::now();
        while !self.log.lock().unwrap().iter().any(|line| line.contains(text)) {
            assert!(
                started.elapsed() < PATIENCE,
                "no {text:?} in\n{}",
                self.log.lock().unwrap().join("\n")
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn systemd_passes_streams() {
    let (system, secret) = system();
    let (socket, port) = (system.kdc_socket(), free_port());
    let tcp = format!("127.0.0.1:{port}");
    let options = ["-l", socket.to_str().unwrap(), "-l", &tcp, "--fdname=kdc:nas"];
    let configuration = "listen = [\"systemd:kdc\", \"systemd:nas\"]";
    let activated = Activated::start(&system, &options, configuration);

    let mut kdc = Connection::to(&socket);
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept);
    activated.wait_for("listening on systemd:kdc");
    let server = tcp.parse().unwrap();
    let (answer, text) = radclient_to(server, &secret, &pap("alice", &hotp(SECRET, 1)), &["-P", "tcp"]);
    assert_eq!(answer, Answer::Accept, "{text}");
}

/// On a socket that systemd made, TLS is spoken if the configuration says so.
#[test]
fn systemd_passes_streams_for_tls() {
    let system = radsec::system();
    let certificates = radsec::certificates();
    let rules = "[tls.clients]\nvpn1 = [\"vpn1.example.com\"]\n";
    let file = radsec::configuration(&system, certificates.path(), "\"systemd-tls:radsec\"", rules);
    let address = format!("127.0.0.1:{}", free_port());
    let options = ["-l", &address, "--fdname=radsec"];
    let activated = Activated::start(&system, &options, &fs::read_to_string(file).unwrap());
    let server = address.parse().unwrap();
    let proxy = radsec::Proxy::start(certificates.path(), certificates.path(), server);
    let (answer, text) = proxy.send_first(&pap("alice", &hotp(SECRET, 0)));
    assert_eq!(answer, Answer::Accept, "{text}");
    activated.wait_for("listening on tls://");
}

#[test]
fn systemd_passes_datagrams() {
    let (system, secret) = system();
    let server = format!("0.0.0.0:{}", free_port());
    let configuration = "listen = [\"systemd:radius\"]";
    let _activated = Activated::start(&system, &["-d", "-l", &server, "--fdname=radius"], configuration);
    let port = server.rsplit(':').next().unwrap();
    for (counter, address) in (0..).zip(["127.0.0.1", "127.0.0.3"]) {
        let server = format!("{address}:{port}").parse().unwrap();
        let request = pap("alice", &hotp(SECRET, counter));
        // The first one starts the daemon.
        let (answer, text) = radclient_to(server, &secret, &request, &["-r", "5"]);
        assert_eq!(answer, Answer::Accept, "{address}: {text}");
    }
}

#[test]
fn systemd_passes_what_nobody_wants() {
    let (system, _) = system();
    let address = format!("127.0.0.1:{}", free_port());
    let options = ["-l", &address, "--fdname=other"];
    let activated = Activated::start(&system, &options, "listen = [\"systemd:radsec\"]");
    let _ = TcpStream::connect(&address);
    activated.wait_for("systemd passes no socket \"radsec\" (others: other)");
}
