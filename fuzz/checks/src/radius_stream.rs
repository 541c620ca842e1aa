//! However a stream is cut into chunks, the same packets come out, and they are its beginning.

use krad::{FramingError, StreamDecoder, bytes_needed};

use crate::structured;

/// What comes out when the stream arrives in chunks of these sizes, over and over.
fn cut(mut stream: &[u8], sizes: &[u8]) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let mut decoder = StreamDecoder::new();
    let mut packets = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !stream.is_empty() {
        // Chunks from one octet to more than the buffer holds.
        let size = sizes
            .next()
            .map_or(stream.len(), |&size| 1 + usize::from(size).pow(2) / 4);
        let (mut chunk, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        while !chunk.is_empty() {
            chunk = decoder.push(chunk);
            loop {
                match decoder.next_packet() {
                    Ok(Some(packet)) => packets.push(packet.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (packets, Some(error)),
                }
            }
            assert!(!decoder.space().is_empty(), "the next octets have a place");
        }
    }
    (packets, None)
}

/// Checks any stream.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (Vec<u8>, &[u8])) {
    let (sizes, stream) = input;
    let (packets, error) = cut(stream, &[]);
    assert_eq!(cut(stream, &sizes), (packets.clone(), error));

    let whole = packets.concat();
    assert!(stream.starts_with(&whole));
    let rest = bytes_needed(&stream[whole.len()..]);
    match error {
        Some(error) => assert_eq!(rest, Err(error)),
        None => assert!(rest.is_ok_and(|missing| missing > 0)),
    }
}
