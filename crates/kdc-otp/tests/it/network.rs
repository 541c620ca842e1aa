//! A KDC's configuration, and servers in memory that answer on virtual time.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use kdc_otp::{OtpModule, Outcome, Principal, RequestError, Step, Unreachable, Verification};
use kdc_otp_config::{FinalRule, KdcBuild, MemoryFiles, check};
use krad::{Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret};
use rand::{SeedableRng as _, rngs::StdRng};

/// Any instant will do.
pub fn start() -> Instant {
    Instant::now()
}

/// A KDC whose `[otp]` section has these lines. The secret file `secret` holds "otptest".
pub fn module(otp: &str) -> OtpModule {
    module_of(otp, FinalRule::Before1_22)
}

pub fn module_of(otp: &str, rule: FinalRule) -> OtpModule {
    let files = MemoryFiles::from([
        ("/etc/krb5kdc/kdc.conf", format!("[otp]\n{otp}\n")),
        ("/etc/krb5kdc/secret", "otptest".to_owned()),
    ]);
    let build = KdcBuild::new("/etc/krb5kdc", "/run/krb5kdc", rule);
    let report = check(["/etc/krb5kdc/kdc.conf"], &files, &build);
    assert!(!report.types().is_empty(), "{report:#?}");
    OtpModule::new(report.types(), "kdc", &build).unwrap()
}

pub fn alice() -> Principal {
    Principal::parse(b"alice@KRBTEST.COM", None).unwrap()
}

/// A server: what it is called in `[otp]`, and what it does.
#[derive(Clone)]
pub struct Server {
    pub name: &'static str,
    pub secret: &'static str,
    pub addresses: usize,
    pub behavior: Behavior,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Behavior {
    /// Accepts this password and rejects any other, after this time.
    Password(&'static str, Duration),
    /// Replies so, at once.
    Reply(Code),
    /// Replies nothing.
    Silent,
    /// Cannot be reached.
    Unreachable(Unreachable),
    /// Only the address of this number replies.
    OnlyAddress(usize, Code, Duration),
}

pub fn accepts(name: &'static str, password: &'static str) -> Server {
    server(name, Behavior::Password(password, Duration::ZERO))
}

pub fn server(name: &'static str, behavior: Behavior) -> Server {
    let secret = if name.starts_with('/') { "" } else { "otptest" };
    Server {
        name,
        secret,
        addresses: 1,
        behavior,
    }
}

/// One packet that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Duration,
    pub server: &'static str,
    pub address: usize,
    pub octets: Vec<u8>,
    pub user: String,
}

/// How it went.
#[derive(Debug)]
pub struct Run {
    pub sent: Vec<Sent>,
    pub steps: Vec<Step>,
    pub outcome: Outcome,
    pub took: Duration,
}

impl Run {
    /// Server and User-Name of every packet.
    pub fn asked(&self) -> Vec<(&str, &str)> {
        self.sent
            .iter()
            .map(|sent| (sent.server, sent.user.as_str()))
            .collect()
    }

    pub fn indicators(&self) -> Vec<String> {
        match &self.outcome {
            Outcome::Granted { indicators, .. } => indicators
                .iter()
                .map(|indicator| String::from_utf8_lossy(indicator).into_owned())
                .collect(),
            _ => panic!("{self:?}"),
        }
    }
}

/// Verifies an OTP of alice.
pub fn run(
    module: &OtpModule,
    user_string: &str,
    otp: &str,
    servers: &[Server],
) -> Result<Run, RequestError> {
    let now = start();
    let verification = module.verify(&alice(), Some(user_string.as_bytes()), otp.as_bytes(), now)?;
    Ok(drive(verification, servers, now))
}

/// Drives a verification to its end.
pub fn drive(mut verification: Verification, servers: &[Server], start: Instant) -> Run {
    let mut rng = StdRng::seed_from_u64(7);
    let mut now = start;
    let mut sent: Vec<Sent> = Vec::new();
    // Replies on their way: when, from which address, which octets.
    let mut replies: Vec<(Instant, usize, Vec<u8>)> = Vec::new();
    for _ in 0..10_000 {
        if let Some(outcome) = verification.outcome() {
            return Run {
                sent,
                steps: verification.steps().to_vec(),
                outcome: outcome.clone(),
                took: now - start,
            };
        }
        if let Some(wanted) = verification.poll_server() {
            let found = servers
                .iter()
                .find(|server| server.name.as_bytes() == wanted.as_octets())
                .unwrap_or_else(|| panic!("no server {wanted}"));
            // What another server's addresses still had to say, nobody listens to.
            replies.clear();
            match &found.behavior {
                Behavior::Unreachable(cause) => verification.handle_unreachable(cause.clone(), now),
                _ => verification.handle_addresses(NonZeroUsize::new(found.addresses).unwrap(), now),
            }
            continue;
        }
        let current = verification
            .current()
            .map(|ask| ask.token_type().server().as_octets().to_vec());
        let asked = |name: &[u8]| {
            servers
                .iter()
                .find(|server| server.name.as_bytes() == name)
                .unwrap()
        };
        while let Some(transmit) = verification.poll_transmit(now, &mut rng) {
            let server = asked(current.as_deref().unwrap());
            let (user, reply) = server.answer(transmit.address, transmit.octets);
            sent.push(Sent {
                at: now - start,
                server: server.name,
                address: transmit.address,
                octets: transmit.octets.to_vec(),
                user,
            });
            replies.extend(reply.map(|(delay, octets)| (now + delay, transmit.address, octets)));
        }
        if let Some(index) = replies.iter().position(|(at, ..)| *at <= now) {
            let (_, address, octets) = replies.remove(index);
            // A duplicate that comes after the end is discarded.
            let _ = verification.handle_packet(address, &octets, now);
            continue;
        }
        let next_reply = replies.iter().map(|(at, ..)| *at).min();
        let timeout = verification.poll_timeout();
        now = [next_reply, timeout]
            .into_iter()
            .flatten()
            .min()
            .expect("something is waited for");
        if timeout.is_some_and(|timeout| timeout <= now) {
            verification.handle_timeout(now);
        }
    }
    panic!("no end: {verification:?}");
}

impl Server {
    /// User-Name of a request, and the reply with its delay.
    fn answer(&self, address: usize, octets: &[u8]) -> (String, Option<(Duration, Vec<u8>)>) {
        let secret = SharedSecret::new(self.secret.as_bytes());
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: false,
        };
        let request = Packet::decode(octets)
            .unwrap()
            .authenticate(&secret, rule)
            .unwrap();
        let user = String::from_utf8_lossy(request.user_name().unwrap()).into_owned();
        let password = request.user_password().unwrap().unwrap();
        let (code, delay) = match self.behavior {
            Behavior::Password(expected, delay) if *password == expected.as_bytes() => {
                (Code::ACCESS_ACCEPT, delay)
            }
            Behavior::Password(_, delay) => (Code::ACCESS_REJECT, delay),
            Behavior::Reply(code) => (code, Duration::ZERO),
            Behavior::OnlyAddress(only, code, delay) if only == address => (code, delay),
            _ => return (user, None),
        };
        let reply = request.reply(code).sign(ReplyStyle::Libkrad).unwrap();
        (user, Some((delay, reply)))
    }
}
