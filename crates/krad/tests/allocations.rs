//! What a packet costs in heap allocations. A test binary of its own, because it counts those of the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use krad::{
    Attribute, AttributeType, Code, Identifier, LengthPolicy, MessageAuthenticatorRule, Packet, ReplyStyle,
    RequestBuilder, SharedSecret, StreamDecoder, VendorFormat, VendorId, VendorSpecific, chap_password,
};

/// The system's allocator, and how often this thread asked it for memory.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one passes everything on"
)]
// SAFETY: every call goes to `System` unchanged. The counter is a `Cell` without destructor: it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` returns, and how many allocations it made.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

#[test]
fn the_counter_counts() {
    assert_eq!(counted(|| vec![1_u8; 100]).1, 1);
    assert_eq!(counted(|| ()).1, 0);
}

#[test]
fn decoding_and_verifying_allocate_nothing() {
    let secret = SharedSecret::new(b"a secret of thirty-two octets...");
    let value = VendorSpecific::encode(
        VendorId(9),
        VendorFormat::default(),
        [(1, &b"pair"[..]), (2, b"x")],
    )
    .unwrap();
    let pending = RequestBuilder::access_request(Identifier(42), [7; 16].into(), &secret)
        .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
        .and_then(|builder| builder.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
        .and_then(|builder| {
            builder.with(
                AttributeType::CHAP_PASSWORD,
                &chap_password(1, b"755224", &[7; 16]),
            )
        })
        .and_then(|builder| builder.with(AttributeType::VENDOR_SPECIFIC, &value))
        .and_then(|builder| builder.with(AttributeType::PROXY_STATE, b"proxy"))
        .and_then(|builder| builder.user_name(b"alice@EXAMPLE.COM"))
        .and_then(RequestBuilder::build)
        .unwrap();

    let (request, allocations) = counted(|| {
        let packet = Packet::decode(pending.octets()).unwrap();
        packet
            .authenticate(&secret, MessageAuthenticatorRule::Required)
            .unwrap()
    });
    assert_eq!(allocations, 0, "decode and authenticate");
    let ((), allocations) = counted(|| {
        assert_eq!(request.user_name(), Some(&b"alice@EXAMPLE.COM"[..]));
        assert_eq!(request.attributes().iter().count(), 7);
        assert_eq!(request.proxy_states().count(), 1);
        let vendor = request
            .attributes()
            .first(AttributeType::VENDOR_SPECIFIC)
            .and_then(VendorSpecific::decode);
        let attributes = vendor.and_then(|vendor| vendor.attributes(VendorFormat::default()));
        assert_eq!(attributes.map(Iterator::count), Some(2));
        assert!(bool::from(request.chap().unwrap().unwrap().matches(b"755224")));
    });
    assert_eq!(allocations, 0, "read attributes");

    let reply = request
        .reply(Code::ACCESS_ACCEPT)
        .sign(ReplyStyle::Network)
        .unwrap();
    let (code, allocations) = counted(|| {
        let packet = Packet::decode(&reply).unwrap();
        pending
            .verify(packet, MessageAuthenticatorRule::Required)
            .unwrap()
            .code()
    });
    assert_eq!((code, allocations), (Code::ACCESS_ACCEPT, 0), "verify a reply");
}

#[test]
fn refusing_allocates_nothing() {
    let mut octets = [0xff; 600];
    let mut refused = 0;
    let ((), allocations) = counted(|| {
        for seed in 0..=u8::MAX {
            for (index, octet) in (0_u8..=u8::MAX).cycle().zip(&mut octets) {
                *octet = index.wrapping_mul(seed | 1).wrapping_add(seed);
            }
            octets[2..4].copy_from_slice(&(20 + u16::from(seed)).to_be_bytes());
            for policy in [LengthPolicy::Rfc2865, LengthPolicy::Libkrad] {
                refused += usize::from(Packet::decode_with(&octets, policy).is_err());
            }
        }
    });
    assert!(refused > 400, "{refused}");
    assert_eq!(allocations, 0);
}

#[test]
fn a_stream_allocates_its_buffer_only() {
    let (mut stream, without_traffic) = counted(StreamDecoder::new);
    assert_eq!(without_traffic, 0);
    assert!(!stream.space().is_empty());
    let packet = [&[3, 42, 0, 23][..], &[0; 16], &[1, 3, b'a']].concat();
    let (found, allocations) = counted(|| {
        let mut found = 0;
        for _ in 0..1_000 {
            assert!(stream.push(&packet).is_empty());
            while let Some(octets) = stream.next_packet().unwrap() {
                let kind = AttributeType::USER_NAME;
                found += usize::from(
                    Packet::decode(octets)
                        .unwrap()
                        .attributes()
                        .iter()
                        .eq([Attribute { kind, value: b"a" }]),
                );
            }
        }
        found
    });
    assert_eq!((found, allocations), (1_000, 0));
    // What is not read yet keeps the buffer; then it goes, and comes back.
    assert!(stream.push(&packet).is_empty());
    stream.release();
    assert_eq!(stream.next_packet(), Ok(Some(&packet[..])));
    stream.release();
    let (rest, allocations) = counted(|| stream.push(&packet));
    assert_eq!((rest, allocations), (&[][..], 1));
    assert_eq!(stream.next_packet(), Ok(Some(&packet[..])));
}
