//! One Access-Request of a KDC: decode, verify, read the password, reply; beside the digests that it cannot
//! do without, and beside the `radius` crate on the same octets.
//!
//! That crate verifies no Message-Authenticator, so it is compared in what it does: decode a request, and verify the
//! Response Authenticator of a reply.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, ReplyStyle,
    RequestBuilder, SharedSecret, StreamDecoder,
};
use md5::{Digest, Md5};
use radius::core::packet::Packet as RadiusPacket;

const SECRET: &[u8] = b"a secret of thirty-two octets...";

/// What libkrad 1.22 sends, in its order.
fn kdc_request(secret: &SharedSecret) -> PendingRequest {
    RequestBuilder::access_request(Identifier(42), [7; 16].into(), secret)
        .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
        .and_then(|b| b.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
        .and_then(|b| b.user_password(b"755224"))
        .and_then(|b| b.user_name(b"alice@EXAMPLE.COM"))
        .and_then(RequestBuilder::build)
        .expect("it fits")
}

fn exchange(octets: &[u8], secret: &SharedSecret) -> Vec<u8> {
    let packet = Packet::decode(octets).expect("a packet");
    let request = packet
        .authenticate(secret, MessageAuthenticatorRule::Required)
        .expect("authentic");
    let password = request
        .user_password()
        .expect("well-formed")
        .expect("there is one");
    let right = request.user_name() == Some(b"alice@EXAMPLE.COM") && *password == b"755224";
    let code = if right {
        Code::ACCESS_ACCEPT
    } else {
        Code::ACCESS_REJECT
    };
    request.reply(code).sign(ReplyStyle::Network).expect("it fits")
}

fn radius(c: &mut Criterion) {
    let secret = SharedSecret::new(SECRET);
    let pending = kdc_request(&secret);
    let octets = pending.octets();
    let reply = exchange(octets, &secret);
    let accepted = pending.verify(
        Packet::decode(&reply).expect("a packet"),
        MessageAuthenticatorRule::Required,
    );
    assert_eq!(accepted.expect("authentic").code(), Code::ACCESS_ACCEPT);

    let mut group = c.benchmark_group("RADIUS, one request of a KDC");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |b| {
        b.iter(|| Packet::decode(black_box(octets)).map(|packet| packet.identifier()));
    });
    group.bench_function("decode + verify", |b| {
        b.iter(|| {
            let packet = Packet::decode(black_box(octets)).expect("a packet");
            packet
                .authenticate(&secret, MessageAuthenticatorRule::Required)
                .is_ok()
        });
    });
    group.bench_function("decode + verify + reveal + reply", |b| {
        b.iter(|| exchange(black_box(octets), &secret));
    });
    let keyed = Hmac::<Md5>::new_from_slice(SECRET).expect("any length");
    group.bench_function("the bare digests of the same", |b| {
        b.iter(|| bare_digests(&keyed, black_box(octets), &reply));
    });
    group.bench_function("frame", |b| {
        let mut stream = StreamDecoder::new();
        b.iter(|| {
            let rest = stream.push(black_box(octets));
            assert!(rest.is_empty());
            stream.next_packet().is_ok_and(|packet| packet.is_some())
        });
    });
    group.finish();
}

/// The same octets for both crates: a request, and a reply whose only proof is its Response Authenticator.
fn peers(c: &mut Criterion) {
    let secret = SharedSecret::new(SECRET);
    let if_present = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: false,
    };
    let pending = kdc_request(&secret);
    let request = pending.octets();
    let without = RequestBuilder::access_request(Identifier(42), [7; 16].into(), &secret)
        .dangerous_omit_message_authenticator()
        .user_name(b"alice")
        .and_then(RequestBuilder::build)
        .expect("it fits");
    let reply = Packet::decode(without.octets())
        .expect("a packet")
        .authenticate(&secret, if_present)
        .expect("nothing contradicts it")
        .reply(Code::ACCESS_ACCEPT)
        .sign(ReplyStyle::Libkrad)
        .expect("it fits");

    let mut group = c.benchmark_group("RADIUS, beside the radius crate");
    group.throughput(Throughput::Elements(1));
    group.bench_function("krad: decode a request", |b| {
        b.iter(|| Packet::decode(black_box(request)).expect("a packet").identifier());
    });
    group.bench_function("radius: decode a request", |b| {
        b.iter(|| {
            let octets = black_box(request);
            assert!(RadiusPacket::is_authentic_request(octets, SECRET)); // true of any Access-Request
            RadiusPacket::decode(octets, SECRET)
                .expect("a packet")
                .get_identifier()
        });
    });
    group.bench_function("krad: decode and verify a reply", |b| {
        b.iter(|| {
            let packet = Packet::decode(black_box(&reply)).expect("a packet");
            without.verify(packet, if_present).expect("authentic").code()
        });
    });
    group.bench_function("radius: decode and verify a reply", |b| {
        b.iter(|| {
            let octets = black_box(&reply);
            assert!(RadiusPacket::is_authentic_response(
                octets,
                without.octets(),
                SECRET
            ));
            RadiusPacket::decode(octets, SECRET).expect("a packet").get_code()
        });
    });
    group.bench_function("the bare MD5 of a reply", |b| {
        b.iter(|| {
            let md5 = Md5::new().chain_update(black_box(&reply));
            md5.chain_update(SECRET).finalize()
        });
    });
    group.finish();
}

/// HMAC-MD5 over the request, MD5 for one block of password, HMAC-MD5 and MD5 over the reply.
fn bare_digests(keyed: &Hmac<Md5>, request: &[u8], reply: &[u8]) -> [u8; 16] {
    let verified = keyed.clone().chain_update(request).finalize().into_bytes();
    let mask = Md5::new().chain_update(SECRET).chain_update(verified).finalize();
    let signed = keyed.clone().chain_update(reply).finalize().into_bytes();
    let response = Md5::new()
        .chain_update(reply)
        .chain_update(SECRET)
        .chain_update(signed);
    response.chain_update(mask).finalize().into()
}

criterion_group!(benches, radius, peers);
criterion_main!(benches);
