//! RADIUS over TLS against other people's TLS: radsecproxy and OpenSSL, with certificates made as the documentation says.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use krad::{
    Code,
    radius11::{Packet, PacketBuilder, Token},
};
use tempfile::TempDir;

use crate::{
    radclient::{Answer, pap, radclient_to},
    system::{Daemon, PATIENCE, System, hotp, run},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const PROXY_SECRET: &str = "between-nas-and-proxy";

/// The blocks of shell commands in the documentation, in order.
fn documented() -> Vec<String> {
    let text = include_str!("../../../../docs/radsec.md");
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

fn shell(script: &str, directory: &Path) {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(directory);
    let output = run(command, "y\ny\n");
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A directory with `ca.pem`, `server.pem` and `vpn1.pem` and their keys.
pub fn certificates() -> TempDir {
    let directory = TempDir::new().unwrap();
    shell(&documented()[0], directory.path());
    directory
}

/// A configuration with a listener for TLS, and what else `more` says.
pub fn configuration(system: &System, certificates: &Path, listen: &str, more: &str) -> PathBuf {
    let path = system.dir().join("otp-radiusd.toml");
    let file = |name: &str| certificates.join(name).display().to_string();
    let text = format!(
        "listen = [{listen}]\n\n[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n{more}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem"),
    );
    fs::write(&path, text).unwrap();
    path
}

pub fn daemon(system: &System, configuration: &Path) -> Daemon {
    let mut command = system.command("otp-radiusd");
    command.arg("--config").arg(configuration);
    command.env("OTP_RADIUSD_ADMIN_SOCKET", system.dir().join("admin.socket"));
    Daemon::spawn(command)
}

const ON_LOOPBACK: &str = "\"tls://127.0.0.1:0\", \"udp://127.0.0.1:0\"";

/// A user with HOTP codes, and a client on loopback.
pub fn system() -> System {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    system.radius_client("vpn1", &[]);
    system
}

/// radsecproxy, which takes RADIUS over UDP and sends it on over TLS.
pub struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    pub fn start(directory: &Path, authority: &Path, server: SocketAddr) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "ListenUDP {address}\nLogLevel 2\n\
             tls default {{\n CACertificateFile {ca}\n CertificateFile {dir}/vpn1.pem\n CertificateKeyFile {dir}/vpn1.key\n}}\n\
             client 127.0.0.1 {{\n type udp\n secret {PROXY_SECRET}\n}}\n\
             server radius {{\n host {host}\n port {port}\n type tls\n secret radsec\n statusServer on\n\
             certificateNameCheck off\n matchCertificateAttribute SubjectAltName:DNS:/^radius\\.example\\.com$/\n}}\n\
             realm * {{\n server radius\n}}\n",
            ca = authority.join("ca.pem").display(),
            dir = directory.display(),
            host = server.ip(),
            port = server.port(),
        );
        let path = directory.join("radsecproxy.conf");
        fs::write(&path, text).unwrap();
        let child = Command::new("radsecproxy")
            .args(["-f", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("radsecproxy is missing: apt-get install radsecproxy");
        Self { child, address }
    }

    fn ask(&self, user: &str, password: &str) -> (Answer, String) {
        self.send(&pap(user, password))
    }

    fn send(&self, request: &str) -> (Answer, String) {
        radclient_to(self.address, PROXY_SECRET, request, &[])
    }

    /// The first request: it takes a moment until the proxy is connected.
    pub fn send_first(&self, request: &str) -> (Answer, String) {
        let started = Instant::now();
        loop {
            match self.send(request) {
                (Answer::Silence, _) if started.elapsed() < PATIENCE => {}
                answered => return answered,
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn radsecproxy_with_a_certificate() {
    let system = system();
    let certificates = certificates();
    let rules = "[tls.clients]\nvpn1 = [\"VPN1.example.com\"]\n";
    let file = configuration(&system, certificates.path(), ON_LOOPBACK, rules);
    let daemon = daemon(&system, &file);
    let proxy = Proxy::start(certificates.path(), certificates.path(), daemon.address("tls"));

    let code = hotp(SECRET, 0);
    let (answer, text) = proxy.send_first(&pap("alice", &code));
    assert_eq!(answer, Answer::Accept, "{text}");
    assert!(text.contains("Message-Authenticator"), "{text}");
    assert_eq!(proxy.ask("alice", &code).0, Answer::Reject, "the same code again");
    daemon.wait_for("replayed-code");
    assert_eq!(proxy.ask("alice", "000000").0, Answer::Reject);
    assert_eq!(proxy.ask("alice", &hotp(SECRET, 1)).0, Answer::Accept);
    let line = daemon.wait_for("verdict=\"accept\"");
    assert!(
        line.contains("client=\"vpn1\"") && line.contains("peer=\"tls 127.0.0.1:"),
        "{line}"
    );
}

/// Behind one address, a certificate lets in the client that it is for, whoever else a packet says it is from.
#[test]
fn a_nas_identifier_chooses_among_clients_that_the_certificate_permits() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    for branch in ["branch1", "branch2", "branch3"] {
        system.radius_client(branch, &["--nas-identifier", branch]);
    }
    let certificates = certificates();
    let rules = "[tls.clients]\nbranch1 = [\"vpn1.example.com\"]\nbranch2 = [\"vpn2.example.com\"]\n";
    let file = configuration(&system, certificates.path(), ON_LOOPBACK, rules);
    let daemon = daemon(&system, &file);
    let proxy = Proxy::start(certificates.path(), certificates.path(), daemon.address("tls"));
    let from = |branch: &str, counter| {
        let request = pap("alice", &hotp(SECRET, counter));
        format!("{}, NAS-Identifier = \"{branch}\"\n", request.trim_end())
    };
    let (answer, text) = proxy.send_first(&from("branch1", 0));
    assert_eq!(answer, Answer::Accept, "{text}");
    assert!(
        daemon
            .wait_for("verdict=\"accept\"")
            .contains("client=\"branch1\"")
    );
    assert_eq!(
        proxy.send(&from("branch2", 1)).0,
        Answer::Silence,
        "another's certificate"
    );
    assert_eq!(proxy.send(&from("branch9", 1)).0, Answer::Silence, "nobody");
    assert_eq!(daemon.count("decided"), 1);
    let (answer, text) = proxy.send(&from("branch3", 1));
    assert_eq!(answer, Answer::Accept, "any certificate of the authority: {text}");
    daemon.wait_for("client=\"branch3\"");
}

#[test]
fn radsecproxy_with_a_certificate_of_somebody_else() {
    let system = system();
    let (ours, theirs) = (certificates(), certificates());
    let file = configuration(&system, ours.path(), ON_LOOPBACK, "");
    let daemon = daemon(&system, &file);
    let proxy = Proxy::start(theirs.path(), ours.path(), daemon.address("tls"));
    let line = daemon.wait_for("unknown certification authority");
    assert!(
        line.contains("client=\"vpn1\"") && line.contains("client_ca"),
        "{line}"
    );
    assert_eq!(proxy.ask("alice", &hotp(SECRET, 0)).0, Answer::Silence);
    assert_eq!(daemon.count("decided"), 0);
}

/// `openssl s_client` as a pipe of octets through TLS.
struct Tunnel {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Tunnel {
    fn open(server: SocketAddr, directory: &Path, options: &[&str]) -> Self {
        let mut child = s_client(server, directory, options)
            .arg("-quiet")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from }
    }

    fn exchange(&mut self, octets: &[u8]) -> Vec<u8> {
        self.to.write_all(octets).unwrap();
        let mut packet = vec![0; 4];
        self.from.read_exact(&mut packet).unwrap();
        packet.resize(usize::from(u16::from_be_bytes([packet[2], packet[3]])), 0);
        self.from.read_exact(&mut packet[4..]).unwrap();
        packet
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn s_client(server: SocketAddr, directory: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &server.to_string(), "-CAfile", "ca.pem"])
        .args(options)
        .current_dir(directory);
    command
}

const WITH_CERTIFICATE: [&str; 4] = ["-cert", "vpn1.pem", "-key", "vpn1.key"];

/// What openssl says of a connection that it opens and closes again.
fn handshake(server: SocketAddr, directory: &Path, options: &[&str]) -> String {
    let output = run(s_client(server, directory, options), "");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn openssl_negotiates_versions() {
    let system = system();
    let certificates = certificates();
    let file = configuration(&system, certificates.path(), ON_LOOPBACK, "");
    let daemon = daemon(&system, &file);
    let server = daemon.address("tls");
    let ask = |options: &[&str]| {
        let options = [&WITH_CERTIFICATE[..], options].concat();
        handshake(server, certificates.path(), &options)
    };
    let both = ask(&["-alpn", "radius/1.1,radius/1.0"]);
    assert!(both.contains("ALPN protocol: radius/1.1"), "{both}");
    assert!(
        both.contains("Verify return code: 0 (ok)") && both.contains("TLSv1.3"),
        "{both}"
    );
    let old = ask(&["-alpn", "radius/1.1,radius/1.0", "-tls1_2"]);
    assert!(old.contains("ALPN protocol: radius/1.0"), "{old}");
    let none = ask(&[]);
    assert!(none.contains("No ALPN negotiated"), "{none}");
    let other = ask(&["-alpn", "h2"]);
    assert!(other.contains("no application protocol"), "{other}");
    daemon.wait_for("no version of RADIUS in common");
    let bare = handshake(server, certificates.path(), &[]);
    assert!(!bare.contains("ALPN protocol: radius"), "{bare}");
    daemon.wait_for("the client has no certificate");
    let before_tls12 = ask(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(
        before_tls12.contains("alert") || before_tls12.contains("no protocols"),
        "{before_tls12}"
    );
}

/// Without authenticators, packets of two logins can be the same, octet by octet: the second one is another packet all the same.
#[test]
fn radius_1_1_through_openssl() {
    let system = system();
    let certificates = certificates();
    let file = configuration(
        &system,
        certificates.path(),
        "\"tls://[::1]:0\"",
        "radius_1_1 = \"require\"\n",
    );
    system.otpctl(&["client", "add", "v6", "--address", "::1"], "");
    let daemon = daemon(&system, &file);
    let options = [&WITH_CERTIFICATE[..], &["-alpn", "radius/1.1"]].concat();
    let open = || Tunnel::open(daemon.address("tls"), certificates.path(), &options);
    let request = |token: u8, password: &str| {
        PacketBuilder::access_request(Token([0, 0, 0, token]))
            .user_name(b"alice")
            .and_then(|request| request.user_password(password.as_bytes()))
            .and_then(PacketBuilder::build)
            .unwrap()
    };
    let code_of = |octets: &[u8], token: u8| {
        let packet = Packet::decode(octets).unwrap();
        assert_eq!(packet.token(), Token([0, 0, 0, token]));
        packet.code()
    };
    let first = request(0, &hotp(SECRET, 0));
    let mut tunnel = open();
    assert_eq!(code_of(&tunnel.exchange(&first), 0), Code::ACCESS_ACCEPT);
    assert_eq!(
        code_of(&tunnel.exchange(&first), 0),
        Code::ACCESS_ACCEPT,
        "a repetition of the same packet"
    );
    assert_eq!(daemon.count("decided"), 1);
    let mut other = open();
    assert_eq!(
        code_of(&other.exchange(&first), 0),
        Code::ACCESS_REJECT,
        "the same octets on another connection are another login"
    );
    daemon.wait_for("replayed-code");
    let second = request(1, &hotp(SECRET, 1));
    assert_eq!(code_of(&other.exchange(&second), 1), Code::ACCESS_ACCEPT);
    let status = PacketBuilder::status_server(Token([9; 4])).build().unwrap();
    let reply = tunnel.exchange(&status);
    assert_eq!(Packet::decode(&reply).unwrap().code(), Code::ACCESS_ACCEPT);
}

#[test]
fn certificates_of_other_clients_and_revoked_ones() {
    let system = system();
    let certificates = certificates();
    let file = configuration(
        &system,
        certificates.path(),
        ON_LOOPBACK,
        "[tls.clients]\nvpn1 = [\"vpn2.example.com\"]\n",
    );
    let daemon = daemon(&system, &file);
    let tls = daemon.address("tls");
    let options = [&WITH_CERTIFICATE[..], &["-alpn", "radius/1.1"]].concat();
    let refused = || handshake(tls, certificates.path(), &options);
    refused();
    let line = daemon.wait_for("[tls.clients]");
    assert!(
        line.contains("vpn1.example.com") && line.contains("sha256:"),
        "{line}"
    );

    // What the message says, by fingerprint; nothing else is new, so the connection serves.
    let fingerprint = line.split("(sha256:").nth(1).unwrap().split(')').next().unwrap();
    let rule = format!("[tls.clients]\nvpn1 = [\"sha256:{fingerprint}\"]\n");
    configuration(&system, certificates.path(), ON_LOOPBACK, &rule);
    daemon.hang_up();
    daemon.wait_for("reloaded");
    let mut tunnel = Tunnel::open(tls, certificates.path(), &options);
    let request = |token: u8| {
        PacketBuilder::access_request(Token([token; 4]))
            .user_name(b"alice")
            .and_then(|request| request.user_password(b"000000"))
            .and_then(PacketBuilder::build)
            .unwrap()
    };
    let reply = tunnel.exchange(&request(1));
    assert_eq!(Packet::decode(&reply).unwrap().code(), Code::ACCESS_REJECT);

    // Revoked, as the documentation says: no new connection.
    shell(&documented()[1], certificates.path());
    let crl = format!("crl = {:?}\n{rule}", certificates.path().join("clients.crl"));
    configuration(&system, certificates.path(), ON_LOOPBACK, &crl);
    daemon.hang_up();
    daemon.wait_for_nth("reloaded", 2);
    refused();
    daemon.wait_for("is revoked");
    let reply = tunnel.exchange(&request(2));
    assert_eq!(
        Packet::decode(&reply).unwrap().code(),
        Code::ACCESS_REJECT,
        "open ones go on"
    );
}

#[test]
fn check_reads_the_files() {
    let system = system();
    let certificates = certificates();
    let check = |more: &str| {
        let file = configuration(&system, certificates.path(), ON_LOOPBACK, more);
        let mut command = system.command("otp-radiusd");
        command.arg("--config").arg(file).arg("--check");
        let output = run(command, "");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (sound, text) = check("[tls.clients]\nvpn9 = [\"x\"]\n");
    assert!(
        sound && text.contains("396 more days") || text.contains("397 more days"),
        "{text}"
    );
    assert!(text.contains("\"vpn9\", which is no client"), "{text}");

    fs::copy(
        certificates.path().join("vpn1.key"),
        certificates.path().join("server.key"),
    )
    .unwrap();
    let (sound, text) = check("");
    assert!(
        !sound && text.contains("server.key are not a certificate and its key"),
        "{text}"
    );
    assert!(
        text.contains("otp-radiusd.toml") && text.contains("openssl pkey -pubout"),
        "{text}"
    );
}

#[test]
fn nobody_listens_to_strangers() {
    let system = System::new();
    let certificates = certificates();
    let file = configuration(&system, certificates.path(), ON_LOOPBACK, "");
    let daemon = daemon(&system, &file);
    let text = handshake(daemon.address("tls"), certificates.path(), &WITH_CERTIFICATE);
    assert!(!text.contains("Server certificate"), "{text}");
    let line = daemon.wait_for("otpctl client add NAME --address 127.0.0.1");
    assert!(line.contains("peer=\"tls 127.0.0.1"), "{line}");
}

/// A renewal that went wrong leaves everything as it was, and says which file it is about.
#[test]
fn a_reload_with_a_bad_certificate_changes_nothing() {
    let system = system();
    let certificates = certificates();
    let file = configuration(&system, certificates.path(), ON_LOOPBACK, "");
    let daemon = daemon(&system, &file);
    let asks = || handshake(daemon.address("tls"), certificates.path(), &WITH_CERTIFICATE);
    assert!(asks().contains("Verify return code: 0 (ok)"));
    fs::write(certificates.path().join("server.pem"), "half a certifi").unwrap();
    daemon.hang_up();
    let line = daemon.wait_for("not reloaded");
    assert!(line.contains("server.pem holds no certificate"), "{line}");
    assert!(asks().contains("Verify return code: 0 (ok)"));
}
