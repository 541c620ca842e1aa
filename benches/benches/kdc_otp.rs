//! `kdc-otp` takes a login through two tokens whose servers are UNIX sockets: the first rejects, the second accepts, both
//! at once. No socket and no clock take part; beside the digests that the four packets cannot do without.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kdc_otp::{OtpModule, Principal, Verification};
use kdc_otp_config::{KdcBuild, MemoryFiles, check};
use krad::{Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret};
use md5::{Digest, Md5};
use rand::{TryCryptoRng, TryRng};

const USER_STRING: &[u8] =
    br#"[{"type":"phone"},{"type":"card","username":"alice-card","indicators":["hardware"]}]"#;

/// Draws the same Request Authenticator for each packet, so that the replies can be made beforehand.
struct Constant;

impl TryRng for Constant {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x0707_0707)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x0707_0707_0707_0707)
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        octets.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}

fn module() -> OtpModule {
    let types =
        "[otp]\n phone = {\n  server = /run/phone.socket\n }\n card = {\n  server = /run/card.socket\n }\n";
    let files = MemoryFiles::from([("kdc.conf", types)]);
    let build = KdcBuild::debian();
    let report = check(["kdc.conf"], &files, &build);
    OtpModule::new(report.types(), "kdc1.example.com", &build).expect("a name")
}

/// The octets of the next request.
fn ask(verification: &mut Verification, now: Instant) -> &[u8] {
    assert!(verification.poll_server().is_some());
    verification.handle_addresses(NonZeroUsize::MIN, now);
    let transmit = verification.poll_transmit(now, &mut Constant);
    transmit.expect("there is a request").octets
}

fn answer(octets: &[u8], code: Code) -> Vec<u8> {
    let secret = SharedSecret::empty();
    let rule = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: false,
    };
    let packet = Packet::decode(octets).expect("a packet");
    let request = packet
        .authenticate(&secret, rule)
        .expect("nothing contradicts it");
    request.reply(code).sign(ReplyStyle::Libkrad).expect("it fits")
}

fn login(c: &mut Criterion) {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do, and there is no other way to one"
    )]
    let now = Instant::now();
    let (module, alice) = (module(), Principal::new(["alice"], "EXAMPLE.COM"));
    let begin = || {
        module
            .verify(black_box(&alice), Some(black_box(USER_STRING)), b"755224", now)
            .expect("the tokens are known")
    };
    let mut verification = begin();
    let replies = [Code::ACCESS_REJECT, Code::ACCESS_ACCEPT].map(|code| {
        let reply = answer(ask(&mut verification, now), code);
        let later = now + Duration::from_millis(1);
        verification
            .handle_packet(0, &reply, later)
            .expect("it is authentic");
        reply
    });
    assert!(verification.outcome().is_some_and(kdc_otp::Outcome::is_granted));

    let mut group = c.benchmark_group("a login through two tokens");
    group.throughput(Throughput::Elements(1));
    group.bench_function("kdc-otp", |b| {
        b.iter(|| {
            let mut verification = begin();
            for reply in &replies {
                black_box(ask(&mut verification, now));
                verification
                    .handle_packet(0, reply, now)
                    .expect("it is authentic");
            }
            assert!(verification.outcome().is_some_and(kdc_otp::Outcome::is_granted));
            verification
        });
    });
    group.bench_function("the bare digests of the same", |b| {
        b.iter(|| {
            for reply in &replies {
                black_box(Md5::digest(black_box([7; 16]))); // hides the password
                black_box(Md5::digest(black_box(reply)));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, login);
criterion_main!(benches);
