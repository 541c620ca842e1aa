//! FreeRADIUS as a proxy that asks over TLS.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    radclient::{Answer, pap, radclient_to},
    radsec::{certificates, configuration, daemon, system},
    system::{PATIENCE, hotp},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const NAS_SECRET: &str = "between-nas-and-proxy";

struct FreeRadius {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl FreeRadius {
    /// Starts it with the certificate of `vpn1`, and waits until it is ready.
    fn start(certificates: &Path, server: SocketAddr) -> Self {
        let directory = TempDir::new().unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let configuration = configuration_of(directory.path(), certificates, address, server);
        fs::write(directory.path().join("radiusd.conf"), configuration).unwrap();
        let log = directory.path().join("radius.log");
        let child = Command::new("freeradius")
            .args(["-f", "-X", "-d"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("freeradius is missing: apt-get install freeradius");
        let proxy = Self {
            child,
            address,
            _directory: directory,
        };
        let started = Instant::now();
        while !fs::read_to_string(&log)
            .unwrap()
            .contains("Ready to process requests")
        {
            let text = fs::read_to_string(&log).unwrap();
            assert!(started.elapsed() < PATIENCE, "FreeRADIUS is not ready:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    fn ask(&self, user: &str, password: &str) -> (Answer, String) {
        radclient_to(self.address, NAS_SECRET, &pap(user, password), &["-t", "5"])
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes packets of a NAS on `listen`, and sends all of them on to `server`.
fn configuration_of(directory: &Path, certificates: &Path, listen: SocketAddr, server: SocketAddr) -> String {
    let (directory, certificates) = (directory.display(), certificates.display());
    let (listen_port, server_port) = (listen.port(), server.port());
    format!(
        "libdir = /usr/lib/freeradius
logdir = {directory}
raddbdir = {directory}
run_dir = {directory}
pidfile = {directory}/pid
correct_escapes = true
log {{
    destination = stdout
}}
proxy_requests = yes
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
    max_requests_per_server = 0
}}
modules {{
}}
home_server otp {{
    type = auth
    ipaddr = 127.0.0.1
    port = {server_port}
    proto = tcp
    secret = radsec
    status_check = none
    tls {{
        private_key_file = {certificates}/vpn1.key
        certificate_file = {certificates}/vpn1.pem
        ca_file = {certificates}/ca.pem
        tls_min_version = \"1.2\"
        tls_max_version = \"1.3\"
    }}
}}
home_server_pool otp {{
    type = fail-over
    home_server = otp
}}
realm DEFAULT {{
    auth_pool = otp
    nostrip
}}
client nas {{
    ipaddr = 127.0.0.1
    secret = {NAS_SECRET}
    require_message_authenticator = yes
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {listen_port}
    }}
    authorize {{
        update control {{
            &Proxy-To-Realm := \"DEFAULT\"
        }}
    }}
}}
"
    )
}

#[test]
fn freeradius_asks_over_tls() {
    let system = system();
    let certificates = certificates();
    let file = configuration(&system, certificates.path(), "\"tls://127.0.0.1:0\"", "");
    let daemon = daemon(&system, &file);
    let proxy = FreeRadius::start(certificates.path(), daemon.address("tls"));
    let code = hotp(SECRET, 0);
    let (answer, text) = proxy.ask("alice", &code);
    assert_eq!(answer, Answer::Accept, "{text}");
    assert_eq!(proxy.ask("alice", &code).0, Answer::Reject, "the same code again");
    daemon.wait_for("replayed-code");
    assert_eq!(proxy.ask("alice", &hotp(SECRET, 1)).0, Answer::Accept);
    let line = daemon.wait_for("verdict=\"accept\"");
    assert!(line.contains("peer=\"tls 127.0.0.1:"), "{line}");
}
