//! Servers that decide in place of ours: FreeRADIUS, and one that behaves as a test likes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use krad::{AttributeType, Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret};
use tempfile::TempDir;

use crate::system::{PATIENCE, run};

pub const UPSTREAM_SECRET: &str = "between-us-and-the-upstream";

/// A port of loopback on which nobody listens on UDP or TCP.
pub fn free_port() -> u16 {
    loop {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Certificates as the documentation makes them, but for a server called `localhost`.
pub fn certificates(directory: &Path) {
    let text = include_str!("../../../../../docs/radsec.md");
    let script = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", &script.replace("radius.example.com", "localhost")])
        .current_dir(directory);
    let output = run(command, "y\ny\n");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Bob has a password; Carol is asked for a code after hers.
pub struct FreeRadius {
    pub url: String,
    child: Child,
    log: PathBuf,
    _directory: TempDir,
}

impl FreeRadius {
    pub fn udp() -> Self {
        Self::start("udp", "127.0.0.1", "")
    }

    pub fn tcp() -> Self {
        Self::start("tcp", "127.0.0.1", "proto = tcp")
    }

    pub fn tls(certificates: &Path) -> Self {
        let certificates = certificates.display();
        let tls = format!(
            "proto = tcp
        tls {{
            private_key_file = {certificates}/server.key
            certificate_file = {certificates}/server.pem
            ca_file = {certificates}/ca.pem
            require_client_cert = yes
            tls_min_version = \"1.2\"
            tls_max_version = \"1.3\"
        }}"
        );
        Self::start("tls", "localhost", &tls)
    }

    fn start(scheme: &str, host: &str, transport: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let text = configuration(directory.path(), port, scheme, transport);
        fs::write(directory.path().join("radiusd.conf"), text).unwrap();
        let log = directory.path().join("radius.log");
        let child = Command::new("freeradius")
            .args(["-fxx", "-l", "stdout", "-d"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("freeradius is missing: apt-get install freeradius");
        let server = Self {
            url: format!("{scheme}://{host}:{port}"),
            child,
            log,
            _directory: directory,
        };
        let started = Instant::now();
        while !server.text().contains("Ready to process requests") {
            assert!(
                started.elapsed() < PATIENCE,
                "FreeRADIUS is not ready:\n{}",
                server.text()
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// How many Access-Requests it has received.
    pub fn requests(&self) -> usize {
        self.text().matches("Received Access-Request").count()
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(directory: &Path, port: u16, scheme: &str, transport: &str) -> String {
    let directory = directory.display();
    let (proto, secret) = match scheme {
        "udp" => ("udp", UPSTREAM_SECRET),
        "tcp" => ("tcp", UPSTREAM_SECRET),
        _ => ("tls", "radsec"),
    };
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
security {{
    reject_delay = 0
    status_server = yes
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
    max_requests_per_server = 0
}}
modules {{
    pap {{
    }}
    always handled {{
        rcode = handled
    }}
}}
clients proxies {{
    client proxy {{
        ipaddr = 127.0.0.1
        proto = {proto}
        secret = {secret}
        require_message_authenticator = yes
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
        clients = proxies
        {transport}
    }}
    authorize {{
        # From 3.2.5 on, FreeRADIUS does this by itself.
        update reply {{
            &Message-Authenticator := 0x00
        }}
        Autz-Type Status-Server {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
        if (&User-Name == \"bob\") {{
            update control {{
                &Cleartext-Password := \"bobs-password\"
            }}
            update reply {{
                &Reply-Message := \"Hello, bob\"
                &Class := 0x7374616666
                &Session-Timeout := 3600
                &Tunnel-Type := VLAN
                &Tunnel-Medium-Type := IEEE-802
                &Tunnel-Private-Group-Id := \"20\"
                &Cisco-AVPair := \"shell:priv-lvl=15\"
            }}
        }}
        elsif (&User-Name == \"carol\" && !&State) {{
            update reply {{
                &Reply-Message := \"Enter the code\"
                &State := 0x{state}
            }}
            update control {{
                &Response-Packet-Type := Access-Challenge
            }}
            handled
        }}
        elsif (&User-Name == \"carol\" && &State == 0x{state}) {{
            update control {{
                &Cleartext-Password := \"000000\"
            }}
        }}
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
    }}
    post-auth {{
        Post-Auth-Type REJECT {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
    }}
}}
",
        state = "612d636f6465"
    )
}

/// How a [`Scripted`] server behaves.
#[derive(Clone, Copy)]
pub enum Behaviour {
    Silent,
    /// It accepts everybody after a while.
    After(Duration),
    /// It accepts everybody, only that nothing of its replies is authentic; another socket sends some, too.
    Lies,
}

/// A server on UDP; it answers Status-Server unless it is silent.
pub struct Scripted {
    pub url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scripted {
    pub fn start(behaviour: Behaviour) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let url = format!("udp://{}", socket.local_addr().unwrap());
        let behaviour = Arc::new(Mutex::new(behaviour));
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let server = Self {
            url,
            behaviour: Arc::clone(&behaviour),
            heard: Arc::clone(&heard),
        };
        // Ends with the process of the test.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let octets = buffer[..length].to_vec();
                if octets[0] == Code::ACCESS_REQUEST.0 {
                    heard.lock().unwrap().push(octets.clone());
                }
                let behaviour = *behaviour.lock().unwrap();
                let socket = socket.try_clone().unwrap();
                thread::spawn(move || answer(&socket, from, &octets, behaviour));
            }
        });
        server
    }

    pub fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// How many packets with a request it has received.
    pub fn requests(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

fn answer(socket: &UdpSocket, from: SocketAddr, octets: &[u8], behaviour: Behaviour) {
    let secret = SharedSecret::new(UPSTREAM_SECRET.as_bytes());
    let request = Packet::decode(octets).unwrap();
    let request = request.authenticate(&secret, MessageAuthenticatorRule::Required);
    let request = request.expect("every request is signed with our secret");
    let reply = request.reply(Code::ACCESS_ACCEPT);
    let honest = reply
        .with(AttributeType::REPLY_MESSAGE, b"Welcome")
        .and_then(|reply| reply.sign(ReplyStyle::Network))
        .unwrap();
    match behaviour {
        Behaviour::Silent => {}
        Behaviour::After(delay) => {
            thread::sleep(delay);
            socket.send_to(&honest, from).unwrap();
        }
        Behaviour::Lies => {
            let altered = |place: usize| {
                let mut lie = honest.clone();
                lie[place] ^= 1;
                lie
            };
            for lie in [
                altered(1),
                altered(4),
                altered(30),
                honest[..19].to_vec(),
                vec![2; 64],
            ] {
                socket.send_to(&lie, from).unwrap();
            }
            // The truth, only from elsewhere.
            let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
            elsewhere.send_to(&honest, from).unwrap();
        }
    }
}

/// radsecproxy, which sends everything on to a server on UDP.
pub struct RadSecProxy {
    pub udp: String,
    pub tls: String,
    child: Child,
}

impl RadSecProxy {
    pub fn start(certificates: &Path, server: &str) -> Self {
        let (udp, tls) = (free_port(), free_port());
        let (host, port) = server.strip_prefix("udp://").unwrap().split_once(':').unwrap();
        let text = format!(
            "ListenUDP 127.0.0.1:{udp}\nListenTLS 127.0.0.1:{tls}\nLogLevel 2\n\
             tls default {{\n CACertificateFile {dir}/ca.pem\n CertificateFile {dir}/server.pem\n CertificateKeyFile {dir}/server.key\n}}\n\
             client over-udp {{\n host 127.0.0.1\n type udp\n secret {UPSTREAM_SECRET}\n}}\n\
             client over-tls {{\n host 127.0.0.1\n type tls\n secret radsec\n certificateNameCheck off\n}}\n\
             server radius {{\n host {host}\n port {port}\n type udp\n secret {UPSTREAM_SECRET}\n}}\n\
             realm * {{\n server radius\n}}\n",
            dir = certificates.display(),
        );
        let path = certificates.join("radsecproxy.conf");
        fs::write(&path, text).unwrap();
        let child = Command::new("radsecproxy")
            .args(["-f", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("radsecproxy is missing: apt-get install radsecproxy");
        Self {
            udp: format!("udp://127.0.0.1:{udp}"),
            tls: format!("tls://localhost:{tls}"),
            child,
        }
    }
}

impl Drop for RadSecProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
