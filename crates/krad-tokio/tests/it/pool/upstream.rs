//! A server that answers as a test likes, and remembers what it heard.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use krad::{Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret};
use tokio::{
    net::{TcpListener, UdpSocket},
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{Kdc, SECRET};

/// A packet that a server heard.
#[derive(Clone)]
pub struct Heard {
    pub octets: Vec<u8>,
    pub from: SocketAddr,
    pub at: Instant,
}

impl Heard {
    fn sign(&self, secret: &[u8], code: Code, style: ReplyStyle) -> Vec<u8> {
        let (ours, theirs) = (SharedSecret::new(SECRET), SharedSecret::new(secret));
        let packet = || Packet::decode(&self.octets).unwrap();
        let rule = MessageAuthenticatorRule::Required;
        packet()
            .authenticate(&ours, rule)
            .expect("the pool signs what it sends");
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: false,
        };
        match packet().authenticate(&theirs, rule) {
            Ok(request) => request.reply(code).sign(style).unwrap(),
            // Made as for the request, by somebody who knows another secret.
            Err(_) => {
                let request = packet().authenticate(&ours, rule).unwrap();
                let mut octets = request.reply(code).sign(style).unwrap();
                octets[4..20].fill(7);
                octets[22..38].fill(7);
                octets
            }
        }
    }

    /// The reply of an honest server; Status-Server is always accepted.
    pub fn reply(&self, code: Code) -> Vec<Vec<u8>> {
        vec![self.sign(SECRET, self.code_for(code), ReplyStyle::Network)]
    }

    pub fn reply_by(&self, secret: &[u8], code: Code) -> Vec<Vec<u8>> {
        vec![self.sign(secret, code, ReplyStyle::Network)]
    }

    /// An Access-Accept that was altered on the way.
    pub fn altered(&self, alter: impl Fn(&mut Vec<u8>)) -> Vec<Vec<u8>> {
        let mut octets = self.sign(SECRET, Code::ACCESS_ACCEPT, ReplyStyle::Network);
        alter(&mut octets);
        vec![octets]
    }

    /// An Access-Accept as servers made it before 2024.
    pub fn without_message_authenticator(&self) -> Vec<Vec<u8>> {
        let secret = SharedSecret::new(SECRET);
        let mut octets = vec![Code::ACCESS_ACCEPT.0, self.octets[1], 0, 20];
        octets.extend_from_slice(&self.octets[4..20]);
        let authenticator = secret_md5(&octets, &secret);
        octets[4..20].copy_from_slice(&authenticator);
        vec![octets]
    }

    fn code_for(&self, code: Code) -> Code {
        if self.octets[0] == Code::STATUS_SERVER.0 {
            Code::ACCESS_ACCEPT
        } else {
            code
        }
    }
}

type Answer = dyn Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync;

pub struct Upstream {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    silent: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Upstream {
    pub async fn udp(answer: impl Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::slow(Duration::ZERO, answer).await
    }

    /// A server that takes its time.
    pub async fn slow(
        delay: Duration,
        answer: impl Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let url = format!("udp://{}", socket.local_addr().unwrap());
        let answer: Arc<Answer> = Arc::new(answer);
        Self::run(url, move |heard, silent| async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let packet = note(&heard, &buffer[..length], from);
                if silent.load(SeqCst) {
                    continue;
                }
                let (socket, answer) = (Arc::clone(&socket), Arc::clone(&answer));
                tokio::spawn(async move {
                    if !delay.is_zero() {
                        sleep(delay).await;
                    }
                    for reply in answer(&packet) {
                        socket.send_to(&reply, from).await.unwrap();
                    }
                });
            }
        })
    }

    /// A server on TCP that ends each connection after so many answers.
    pub async fn tcp_for(
        answers: usize,
        answer: impl Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        Self::run(url, move |heard, _| async move {
            while let Ok((stream, from)) = listener.accept().await {
                let mut stream = Kdc(stream);
                for _ in 0..answers {
                    let Some(octets) = stream.receive().await else {
                        break;
                    };
                    for reply in answer(&note(&heard, &octets, from)) {
                        stream.send(&reply).await;
                    }
                }
            }
        })
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        url: String,
        serve: impl FnOnce(Arc<Mutex<Vec<Heard>>>, Arc<AtomicBool>) -> F,
    ) -> Self {
        let (heard, silent) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn(serve(Arc::clone(&heard), Arc::clone(&silent)));
        Self {
            url,
            heard,
            silent,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, SeqCst);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// What was heard but Status-Server.
    pub fn requests(&self) -> Vec<Heard> {
        let mut heard = self.heard();
        heard.retain(|heard| heard.octets[0] == Code::ACCESS_REQUEST.0);
        heard
    }
}

fn note(heard: &Mutex<Vec<Heard>>, octets: &[u8], from: SocketAddr) -> Heard {
    let packet = Heard {
        octets: octets.to_vec(),
        from,
        at: Instant::now(),
    };
    heard.lock().unwrap().push(packet.clone());
    packet
}

/// MD5 over a reply with the Request Authenticator in its place, and the secret (RFC 2865 §3).
fn secret_md5(octets: &[u8], _: &SharedSecret) -> [u8; 16] {
    use md5::{Digest as _, Md5};
    Md5::new()
        .chain_update(octets)
        .chain_update(SECRET)
        .finalize()
        .into()
}
