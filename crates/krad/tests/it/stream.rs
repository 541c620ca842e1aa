//! Framing: `bytes_needed` as libkrad has it, except where libkrad would lose its way.

use krad::{FramingError, StreamDecoder, bytes_needed};
use proptest::{collection::vec, prelude::*};

use crate::{
    hex::hex,
    vectors::{REQUEST_UNIX, REQUEST_WITH_MAC},
};

#[test]
fn bytes_needed_edges() {
    for (buffer, needed) in [
        ("", Ok(4)),
        ("01", Ok(3)),
        ("0102", Ok(2)),
        ("010200", Ok(1)),
        ("01020014", Ok(16)),
        ("01021000", Ok(4092)),
        ("01021001", Err(FramingError::Length(4097))),
        ("0102ffff", Err(FramingError::Length(65535))),
        // "Complete" for libkrad, which then takes what follows for a header.
        ("01020003", Err(FramingError::Length(3))),
        ("01020013", Err(FramingError::Length(19))),
        ("0102001400000000000000000000000000000000", Ok(0)),
        ("010200140000000000000000000000000000000001020014", Ok(0)),
    ] {
        assert_eq!(bytes_needed(&hex(buffer)), needed, "{buffer}");
    }
}

/// What comes out when `stream` arrives in pieces of these sizes, over and over.
fn cut(stream: &[u8], sizes: &[usize]) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let mut decoder = StreamDecoder::new();
    let mut packets = Vec::new();
    let mut rest = stream;
    for &size in sizes.iter().cycle() {
        let (mut chunk, later) = rest.split_at(size.clamp(1, rest.len().max(1)).min(rest.len()));
        rest = later;
        loop {
            chunk = decoder.push(chunk);
            loop {
                match decoder.next_packet() {
                    Ok(Some(packet)) => packets.push(packet.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (packets, Some(error)),
                }
            }
            if chunk.is_empty() {
                break;
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (packets, None)
}

#[test]
fn octet_by_octet_and_pipelined() {
    let packets = [
        hex(REQUEST_UNIX),
        hex(REQUEST_WITH_MAC),
        vec![3, 0, 0, 20].into_iter().chain([0; 16]).collect(),
    ];
    let longest: Vec<u8> = [1, 9, 16, 0].into_iter().chain([0; 4092]).collect();
    let expected: Vec<Vec<u8>> = packets
        .iter()
        .chain([&longest, &longest, &longest])
        .cloned()
        .collect();
    for size in [1, 2, 3, 57, 114, 4095, 4096, 4097, 8191, 8192, 100_000] {
        assert_eq!(
            cut(&expected.concat(), &[size]),
            (expected.clone(), None),
            "pieces of {size}"
        );
    }
}

#[test]
fn lost_framing_stays_lost() {
    let mut decoder = StreamDecoder::new();
    assert!(decoder.push(&hex(REQUEST_UNIX)).is_empty());
    assert!(decoder.push(&[1, 2, 0, 3]).is_empty());
    assert_eq!(decoder.next_packet().unwrap(), Some(&hex(REQUEST_UNIX)[..]));
    for _ in 0..3 {
        assert_eq!(decoder.next_packet(), Err(FramingError::Length(3)));
        assert!(decoder.push(&hex(REQUEST_UNIX)).is_empty());
    }
}

#[test]
fn mid_packet() {
    let mut decoder = StreamDecoder::new();
    assert!(!decoder.is_mid_packet());
    assert!(decoder.push(&hex(REQUEST_UNIX)[..5]).is_empty());
    assert_eq!(decoder.next_packet(), Ok(None));
    assert!(decoder.is_mid_packet());
    assert!(decoder.push(&hex(REQUEST_UNIX)[5..]).is_empty());
    decoder.next_packet().unwrap().unwrap();
    assert!(!decoder.is_mid_packet());
}

/// Streams of mostly whole packets, so that framing gets beyond the first one.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let packet = (0_u16..=4076, any::<u8>()).prop_map(|(extra, fill)| {
        let mut packet = vec![fill; usize::from(extra) + 20];
        packet[2..4].copy_from_slice(&(extra + 20).to_be_bytes());
        packet
    });
    let piece = prop_oneof![9 => packet, 1 => vec(any::<u8>(), 0..40)];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_cutting_is_the_same(stream in streams(), sizes in vec(1_usize..6000, 1..20)) {
        prop_assert_eq!(cut(&stream, &sizes), cut(&stream, &[stream.len()]));
    }

    #[test]
    fn packets_are_the_stream(stream in streams()) {
        let (packets, error) = cut(&stream, &[stream.len()]);
        let whole = packets.concat();
        prop_assert!(stream.starts_with(&whole));
        match error {
            Some(error) => prop_assert_eq!(bytes_needed(&stream[whole.len()..]), Err(error)),
            None => prop_assert_ne!(bytes_needed(&stream[whole.len()..]), Ok(0)),
        }
    }
}
