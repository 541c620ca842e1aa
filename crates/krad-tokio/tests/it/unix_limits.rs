//! Limits of a UNIX listener: what a peer that misbehaves, or is only busy, runs into.

use std::time::Duration;

use krad::{AttributeType, Code, Identifier, RequestBuilder, SharedSecret};
use krad_tokio::{Discard, Settings};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep},
};

use crate::unix::{ask, server_with};

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_may_be_in_flight() {
    only_two_at_a_time(Settings {
        connection_in_flight: 2,
        ..Settings::default()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_octets_are_read_than_may_be_in_flight() {
    only_two_at_a_time(Settings {
        connection_octets_in_flight: ask("hold0", 0).octets().len() + 1,
        ..Settings::default()
    })
    .await;
}

async fn only_two_at_a_time(settings: Settings) {
    let mut server = server_with(settings);
    let mut kdc = server.connect().await;
    let users = ["hold0", "hold1", "hold2", "hold3", "hold4"];
    let requests: Vec<_> = (0..).zip(users).map(|(id, user)| ask(user, id)).collect();
    let all: Vec<u8> = requests
        .iter()
        .flat_map(|pending| pending.octets().to_vec())
        .collect();
    kdc.send(&all).await;
    server.observed.begun.recv().await.unwrap();
    server.observed.begun.recv().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.service.decisions(), 2);
    for (decided, (user, pending)) in (3..).zip(users.into_iter().zip(&requests)) {
        server.service.release(user.as_bytes());
        assert_eq!(kdc.reply_to(pending).await, Code::ACCESS_ACCEPT);
        sleep(Duration::from_millis(10)).await;
        assert_eq!(server.service.decisions(), decided.min(users.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_are_closed() {
    let mut server = server_with(Settings {
        connections: 1,
        ..Settings::default()
    });
    let mut first = server.connect().await;
    let pending = ask("accept", 1);
    first.send(pending.octets()).await;
    assert_eq!(first.reply_to(&pending).await, Code::ACCESS_ACCEPT);
    let mut second = server.connect().await;
    assert_eq!(second.receive().await, None);
    assert_eq!(
        server.observed.discard().await,
        (Discard::TooManyConnections, false)
    );
    drop(first);
    sleep(Duration::from_millis(10)).await;
    let mut third = server.connect().await;
    third.send(pending.octets()).await;
    assert_eq!(third.reply_to(&pending).await, Code::ACCESS_ACCEPT);
}

#[tokio::test(start_paused = true)]
async fn idle_is_fine_but_half_a_packet_is_not() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    sleep(Duration::from_secs(24 * 3600)).await;
    let pending = ask("accept", 1);
    kdc.send(pending.octets()).await;
    assert_eq!(kdc.reply_to(&pending).await, Code::ACCESS_ACCEPT);

    let begun = Instant::now();
    kdc.send(&pending.octets()[..30]).await;
    assert_eq!(server.observed.discard().await, (Discard::Stalled, false));
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(kdc.receive().await, None);
}

/// A peer that asks and never reads: the listener stops reading from it, and in the end lets go.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_replies() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let secret = SharedSecret::empty();
    let writing = tokio::spawn(async move {
        // Proxy-State comes back, so each reply has nearly 4,000 octets.
        for round in 0..u8::MAX {
            for identifier in 0..=u8::MAX {
                let builder =
                    RequestBuilder::access_request(Identifier(identifier), [round; 16].into(), &secret)
                        .dangerous_omit_message_authenticator();
                let pending = (0..15)
                    .try_fold(builder, |b, _| b.with(AttributeType::PROXY_STATE, &[7; 253]))
                    .and_then(RequestBuilder::build)
                    .unwrap();
                if kdc.0.write_all(pending.octets()).await.is_err() {
                    return;
                }
            }
        }
        panic!("everything was read");
    });
    assert_eq!(server.observed.discard().await, (Discard::Stalled, false));
    writing.await.unwrap();
    // Socket buffers and the limits of one connection: some hundred requests, not 65,000.
    assert!(
        server.service.decisions() < 2000,
        "{}",
        server.service.decisions()
    );
}
