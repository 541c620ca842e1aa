//! RADIUS over a UNIX stream socket, as a KDC speaks it.

use std::{path::PathBuf, sync::Arc};

use krad::{
    Code, DecodeError, FramingError, Identifier, PendingRequest, ReplyStyle, RequestBuilder, SharedSecret,
    VerifyError,
};
use krad_tokio::{Discard, Settings, bind_unix, serve_unix};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::UnixStream, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::{Kdc, Observed, TestService, kdc_terms, request, service, verified};

pub struct Server {
    pub path: PathBuf,
    pub service: Arc<TestService>,
    pub observed: Observed,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    _directory: TempDir,
}

pub fn server_with(settings: Settings) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kdc.socket");
    let (service, observed) = service(Some(kdc_terms()));
    let shutdown = CancellationToken::new();
    let socket = bind_unix(&path, 0o600).unwrap();
    let task = tokio::spawn(serve_unix(
        socket,
        "kdc",
        Arc::clone(&service),
        settings,
        shutdown.clone(),
    ));
    Server {
        path,
        service,
        observed,
        shutdown,
        task,
        _directory: directory,
    }
}

impl Server {
    pub async fn connect(&self) -> Kdc {
        Kdc(UnixStream::connect(&self.path).await.unwrap())
    }
}

pub fn ask(user: &str, identifier: u8) -> PendingRequest {
    request(b"", user, identifier, identifier)
}

/// The request that a KDC of krb5 1.20 was seen to send, and the reject that it verifies.
#[tokio::test(start_paused = true)]
async fn a_request_of_a_kdc() {
    let server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let request = b"\x01\x2a\x00\x3b\xac\x9d\xc1\x62\x08\xc4\xc7\x8b\xa1\x2f\x25\x0a\xc4\x1d\x36\x41\
        \x20\x05kdc\x06\x06\x00\x00\x00\x08\x02\x12\x70\x29\xd2\xe9\x59\x62\x23\x8f\x8a\x80\xd5\x92\x7b\
        \xc6\xd3\x0e\x01\x0atestUser";
    kdc.send(request).await;
    let reject = [
        3, 0x2a, 0, 0x14, 0xd7, 0xb8, 0x6b, 0x93, 0x91, 0x48, 0x7b, 0x45, 0x5e, 0xec, 0x7e, 0xf8, 0xae, 0xbc,
        0x15, 0xd5,
    ];
    assert_eq!(kdc.receive().await.unwrap(), reject);
}

/// Every Identifier in flight at once, written in one piece, answered in another order.
#[tokio::test(start_paused = true)]
async fn pipelined_and_answered_in_any_order() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let requests: Vec<PendingRequest> = (0..=255).map(|id| ask(&format!("hold{id}"), id)).collect();
    let all: Vec<u8> = requests
        .iter()
        .flat_map(|pending| pending.octets().to_vec())
        .collect();
    kdc.send(&all).await;
    for _ in 0..256 {
        server.observed.begun.recv().await.unwrap();
    }
    // 101 and 256 have no common divisor: every Identifier comes once, in an order far from the first.
    for index in 0..256_usize {
        let identifier = (index * 101 + 7) % 256;
        server.service.release(format!("hold{identifier}").as_bytes());
        let reply = kdc.receive().await.unwrap();
        assert_eq!(
            verified(&requests[identifier], &reply, ReplyStyle::Libkrad),
            Code::ACCESS_ACCEPT
        );
    }
    // The connection stays open, and every Identifier is free again.
    let next = request(b"", "reject", 0, 99);
    kdc.send(next.octets()).await;
    assert_eq!(kdc.reply_to(&next).await, Code::ACCESS_REJECT);
}

#[tokio::test(start_paused = true)]
async fn octet_by_octet() {
    let server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    for identifier in 0..3 {
        let pending = ask("accept", identifier);
        for octet in pending.octets() {
            kdc.send(&[*octet]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(kdc.reply_to(&pending).await, Code::ACCESS_ACCEPT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_packet_harms_nobody() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let malformed = [1, 9, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9];
    let mut other_code = ask("accept", 8).octets().to_vec();
    other_code[0] = 99;
    let secret = SharedSecret::new(b"not empty");
    let forged = RequestBuilder::access_request(Identifier(7), [7; 16].into(), &secret)
        .build()
        .unwrap();
    let honest = [ask("accept", 1), ask("hold", 2), ask("reject", 3)];
    let pieces = [
        honest[0].octets(),
        &malformed,
        honest[1].octets(),
        &other_code,
        forged.octets(),
        honest[2].octets(),
    ];
    kdc.send(&pieces.concat()).await;
    let mut causes = Vec::new();
    for _ in 0..3 {
        causes.push(server.observed.discard().await.0);
    }
    assert!(causes.contains(&Discard::Decode(DecodeError::Attribute(20))));
    assert!(causes.contains(&Discard::Verify(VerifyError::UnexpectedCode(Code(99)))));
    assert!(causes.contains(&Discard::Verify(VerifyError::WrongMessageAuthenticator)));
    assert_eq!(kdc.reply_to(&honest[0]).await, Code::ACCESS_ACCEPT);
    assert_eq!(kdc.reply_to(&honest[2]).await, Code::ACCESS_REJECT);
    server.service.release(b"hold");
    assert_eq!(kdc.reply_to(&honest[1]).await, Code::ACCESS_ACCEPT);
}

#[tokio::test(start_paused = true)]
async fn lost_framing_ends_the_connection_after_the_answers() {
    for length in [0_u16, 19, 4097, 65535] {
        let mut server = server_with(Settings::default());
        let mut kdc = server.connect().await;
        let mut other = server.connect().await;
        let held = ask("hold", 1);
        let bad = [&[1, 2][..], &length.to_be_bytes()].concat();
        kdc.send(&[held.octets(), &bad, ask("accept", 3).octets()].concat())
            .await;
        let (cause, _) = server.observed.discard().await;
        assert_eq!(cause, Discard::Framing(FramingError::Length(length)));
        server.service.release(b"hold");
        assert_eq!(kdc.reply_to(&held).await, Code::ACCESS_ACCEPT);
        let mut end = [0; 1];
        // The octets after the bad Length were never read, so the kernel may report a reset.
        let end = tokio::io::AsyncReadExt::read(&mut kdc.0, &mut end).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        // Another connection does not notice, and a new one works.
        for kdc in [&mut other, &mut server.connect().await] {
            let pending = ask("accept", 4);
            kdc.send(pending.octets()).await;
            assert_eq!(kdc.reply_to(&pending).await, Code::ACCESS_ACCEPT);
        }
        assert_eq!(server.service.decisions(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn duplicates_on_a_stream() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let held = ask("hold", 5);
    kdc.send(&[held.octets(), held.octets()].concat()).await;
    assert_eq!(server.observed.discard().await, (Discard::InFlight, true));
    server.service.release(b"hold");
    let reply = kdc.receive().await.unwrap();
    kdc.send(held.octets()).await;
    assert_eq!(kdc.receive().await.unwrap(), reply);
    assert_eq!(server.service.decisions(), 1);
    // The table is the connection's own.
    let mut other = server.connect().await;
    other.send(held.octets()).await;
    assert_eq!(other.reply_to(&held).await, Code::ACCESS_ACCEPT);
    assert_eq!(server.service.decisions(), 2);
}

#[tokio::test(start_paused = true)]
async fn panic_and_deadline_are_rejects() {
    let server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    for (identifier, user) in (0..).zip(["panic", "never", "oversize", "nobody"]) {
        let pending = ask(user, identifier);
        kdc.send(pending.octets()).await;
        assert_eq!(kdc.reply_to(&pending).await, Code::ACCESS_REJECT, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_server_on_a_stream() {
    let server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let secret = SharedSecret::empty();
    let status = RequestBuilder::status_server(Identifier(0), [9; 16].into(), &secret)
        .build()
        .unwrap();
    kdc.send(status.octets()).await;
    let reply = kdc.receive().await.unwrap();
    assert_eq!(
        verified(&status, &reply, ReplyStyle::Network),
        Code::ACCESS_ACCEPT
    );
    assert_eq!(server.service.decisions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_is_answered() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let held = ask("hold", 1);
    kdc.send(held.octets()).await;
    kdc.0.shutdown().await.unwrap();
    server.observed.begun.recv().await.unwrap();
    server.service.release(b"hold");
    assert_eq!(kdc.reply_to(&held).await, Code::ACCESS_ACCEPT);
    assert_eq!(kdc.receive().await, None);
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_and_removes_the_file() {
    let mut server = server_with(Settings::default());
    let mut kdc = server.connect().await;
    let mut idle = server.connect().await;
    let held = ask("hold", 1);
    kdc.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    server.shutdown.cancel();
    assert_eq!(idle.receive().await, None);
    assert!(!server.path.exists());
    server.service.release(b"hold");
    assert_eq!(kdc.reply_to(&held).await, Code::ACCESS_ACCEPT);
    assert_eq!(kdc.receive().await, None);
    server.task.await.unwrap();
}
