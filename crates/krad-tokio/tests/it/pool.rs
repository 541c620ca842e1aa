//! A pool against the listeners of this crate, and against servers that do not behave, on paused time.

mod upstream;

use std::{collections::HashSet, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use krad::{AttributeType, Code, RequestTemplate, SharedSecret, radius11::Versions};
use krad_tokio::{
    ClientTerms, MinTls, Settings, TlsTerms, bind_tcp, bind_udp,
    pool::{
        Answered, ClientTls, ClientTlsFiles, HealthTerms, NoAnswer, NoAnswerCause, Order, Pool, PoolServer,
        ReplyDiscard, State,
    },
    serve_tcp, serve_tls, serve_udp,
};
use rand::{SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::upstream::{Heard, Upstream};
use crate::{
    support::{SECRET, network_terms, service},
    tls::authority::Authority,
};

/// What a KDC's request has left when it is forwarded.
const PATIENCE: Duration = Duration::from_millis(3900);

/// Servers that are not asked with Status-Server, so that a test sees its own packets alone.
fn quiet() -> HealthTerms {
    HealthTerms {
        status_server: false,
        ..HealthTerms::default()
    }
}

fn server(address: impl ToString) -> PoolServer {
    PoolServer::new(address.to_string().parse().unwrap(), SharedSecret::new(SECRET))
}

fn pool(servers: Vec<PoolServer>, terms: HealthTerms) -> Pool {
    Pool::new(servers, Order::Failover, terms, StdRng::seed_from_u64(1))
}

fn template(user: &str) -> RequestTemplate {
    RequestTemplate::access_request()
        .user_name(user.as_bytes())
        .and_then(|template| template.user_password(b"755224"))
        .unwrap()
}

async fn ask(pool: &Pool, user: &str) -> Result<Answered, NoAnswer> {
    let deadline = Instant::now() + PATIENCE;
    pool.request(template(user), pool.choose(|_| true), deadline)
        .await
}

/// Who answered what, and after how many milliseconds.
async fn timed(pool: &Pool, user: &str) -> (Result<(usize, Code), NoAnswerCause>, u128) {
    let began = Instant::now();
    let outcome = ask(pool, user).await;
    let outcome = outcome
        .map(|answered| (answered.server, answered.reply.code()))
        .map_err(|no_answer| no_answer.cause);
    (outcome, began.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn each_transport_carries_each_answer() {
    let shutdown = CancellationToken::new();
    let (behind, _observed) = service(Some(network_terms()));
    let udp = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
    let tcp = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let servers = [
        format!("udp://{}", udp.local_addr().unwrap()),
        format!("tcp://{}", tcp.local_addr().unwrap()),
    ];
    let settings = Settings::default;
    tokio::spawn(serve_udp(udp, Arc::clone(&behind), settings(), shutdown.clone()));
    tokio::spawn(serve_tcp(tcp, behind, settings(), shutdown.clone()));
    for address in servers {
        let pool = pool(vec![server(address)], HealthTerms::default());
        for (user, code) in [
            ("accept", Code::ACCESS_ACCEPT),
            ("nobody", Code::ACCESS_REJECT),
            ("challenge", Code::ACCESS_CHALLENGE),
        ] {
            let answered = ask(&pool, user).await.unwrap();
            assert_eq!(answered.reply.code(), code);
            let state = answered.reply.first(AttributeType::STATE);
            assert_eq!(state, (user == "challenge").then_some(&b"state"[..]));
        }
        let status = pool.status().remove(0);
        assert_eq!((status.state, status.counts.requests), (State::Alive, 3));
        assert_eq!(
            (
                status.counts.accepts,
                status.counts.rejects,
                status.counts.challenges
            ),
            (1, 1, 1)
        );
        assert_eq!((status.counts.repeated, status.counts.unanswered), (0, 0));
    }
}

/// What a client needs to be `proxy.example`, and to trust `authority`.
fn client_tls(authority: &Authority, directory: &Path, versions: Versions) -> ClientTlsFiles {
    let identity = authority.issue("proxy.example");
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    ClientTlsFiles {
        ca: directory.join("ca.pem"),
        crl: None,
        certificate: write("proxy.pem", identity.certificate.pem()),
        key: write("proxy.key", identity.key.serialize_pem()),
        versions,
        min_tls: MinTls::Tls12,
    }
}

#[tokio::test]
async fn tls_speaks_both_versions_and_looks_at_the_name() {
    for (versions, port_of) in [
        (Versions::Historic, "localhost"),
        (Versions::Both, "localhost"),
        (Versions::Both, "127.0.0.1"),
    ] {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("everybody's");
        let mut files = authority.server_files(directory.path(), Versions::Both, MinTls::Tls12);
        let identity = authority.issue("localhost");
        for (path, text) in [
            (&mut files.certificate, identity.certificate.pem()),
            (&mut files.key, identity.key.serialize_pem()),
        ] {
            *path = directory
                .path()
                .join(format!("localhost-{}", path.file_name().unwrap().display()));
            std::fs::write(&*path, text).unwrap();
        }
        let terms = Arc::new(TlsTerms::read(&files).unwrap());
        let (behind, mut observed) = service(Some(ClientTerms::tls()));
        let listener = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve_tls(
            listener,
            terms,
            behind,
            Settings::default(),
            shutdown.clone(),
        ));

        let tls = client_tls(&authority, directory.path(), versions);
        let (tls, again) = (ClientTls::read(&tls).unwrap(), ClientTls::read(&tls).unwrap());
        assert!(tls.is_same(&again));
        let address = format!("tls://{port_of}:{port}").parse().unwrap();
        let pool = pool(
            vec![PoolServer::tls(address, Arc::new(tls))],
            HealthTerms::default(),
        );
        // The name is looked up beside the way.
        while pool.status()[0].address.is_none() {
            sleep(Duration::from_millis(5)).await;
        }
        if port_of == "localhost" {
            for (user, code) in [("accept", Code::ACCESS_ACCEPT), ("nobody", Code::ACCESS_REJECT)] {
                assert_eq!(ask(&pool, user).await.unwrap().reply.code(), code, "{versions:?}");
            }
            assert_eq!(observed.begun.recv().await.unwrap(), b"accept");
        } else {
            // The certificate is good, only that of another name.
            let refused = ask(&pool, "accept").await.unwrap_err();
            assert_eq!(refused.cause, NoAnswerCause::Unreachable);
            assert!(pool.status()[0].counts.failed_connections >= 1);
            assert!(observed.begun.try_recv().is_err(), "nothing was sent");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_half_the_time_and_the_next_request_nothing() {
    let silent = Upstream::udp(|_| Vec::new()).await;
    let good = Upstream::udp(|heard| heard.reply(Code::ACCESS_ACCEPT)).await;
    let pool = pool(
        vec![server(&silent.url), server(&good.url)],
        HealthTerms::default(),
    );
    assert_eq!(timed(&pool, "alice").await, (Ok((1, Code::ACCESS_ACCEPT)), 1950));
    assert_ne!(pool.status()[0].state, State::Alive);
    assert_eq!(timed(&pool, "alice").await, (Ok((1, Code::ACCESS_ACCEPT)), 0));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(
        pool.status()
            .iter()
            .map(|status| status.state)
            .collect::<Vec<_>>(),
        [State::Dead, State::Alive]
    );
    // To the one server the same octets again, to the other one others.
    let to_silent: Vec<_> = silent
        .requests()
        .iter()
        .map(|heard| heard.octets.clone())
        .collect();
    assert_eq!(to_silent.len(), 3);
    assert!(to_silent.iter().all(|octets| *octets == to_silent[0]));
    assert!(
        good.requests()
            .iter()
            .all(|heard| heard.octets[4..20] != to_silent[0][4..20])
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_until_the_deadline_and_nothing_is_sent_after_it() {
    let silent = Upstream::udp(|_| Vec::new()).await;
    let pool = pool(vec![server(&silent.url)], quiet());
    assert_eq!(timed(&pool, "alice").await, (Err(NoAnswerCause::TimedOut), 3900));
    sleep(Duration::from_secs(60)).await;
    let sent: Vec<_> = silent.requests().iter().map(|heard| heard.at).collect();
    assert_eq!(sent.len(), 3);
    assert!(sent[2] - sent[0] < PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_good_while_another_server_has_its_turn() {
    let slow = Upstream::slow(Duration::from_millis(2500), |heard| {
        heard.reply(Code::ACCESS_REJECT)
    })
    .await;
    let silent = Upstream::udp(|_| Vec::new()).await;
    let pool = pool(vec![server(&slow.url), server(&silent.url)], quiet());
    assert_eq!(timed(&pool, "alice").await, (Ok((0, Code::ACCESS_REJECT)), 2500));
    assert_eq!(silent.requests().len(), 1);
}

/// Whatever does not prove that it knows the secret and the request is no answer, and no sign of life.
#[tokio::test(start_paused = true)]
async fn an_answer_that_lies_costs_nothing_but_time() {
    type Lie = fn(&Heard) -> Vec<Vec<u8>>;
    let lies: [(Lie, ReplyDiscard); 6] = [
        (|_| vec![vec![2; 7]], ReplyDiscard::Malformed),
        (
            |heard| heard.altered(|octets| octets[1] = octets[1].wrapping_add(1)),
            ReplyDiscard::Unsolicited,
        ),
        (
            |heard| heard.altered(|octets| octets[4] ^= 1),
            ReplyDiscard::NotAuthentic,
        ),
        (
            |heard| heard.altered(|octets| octets[30] ^= 1),
            ReplyDiscard::WrongMessageAuthenticator,
        ),
        (
            Heard::without_message_authenticator,
            ReplyDiscard::MissingMessageAuthenticator,
        ),
        (
            |heard| heard.reply_by(b"another secret", Code::ACCESS_ACCEPT),
            ReplyDiscard::WrongMessageAuthenticator,
        ),
    ];
    for (lie, cause) in lies {
        let liar = Upstream::udp(lie).await;
        let honest = Upstream::udp(|heard| heard.reply(Code::ACCESS_REJECT)).await;
        let pool = pool(vec![server(&liar.url), server(&honest.url)], quiet());
        assert_eq!(
            timed(&pool, "alice").await,
            (Ok((1, Code::ACCESS_REJECT)), 1950),
            "{cause:?}"
        );
        let place = ReplyDiscard::ALL
            .iter()
            .position(|known| *known == cause)
            .unwrap();
        let counts = pool.status()[0].counts;
        assert_eq!(counts.discards[place], 3, "{cause:?}: {counts:?}");
        assert_eq!(counts.discards.iter().sum::<u64>(), 3, "{cause:?}: {counts:?}");
        assert_eq!(counts.accepts, 0);
    }
    // Where it is allowed, and nowhere else.
    let old = Upstream::udp(Heard::without_message_authenticator).await;
    let exempt = server(&old.url).dangerous_allow_missing_message_authenticator();
    let pool = pool(vec![exempt], quiet());
    assert_eq!(timed(&pool, "alice").await, (Ok((0, Code::ACCESS_ACCEPT)), 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_found_without_a_user() {
    let flapping = Upstream::udp(|heard| heard.reply(Code::ACCESS_ACCEPT)).await;
    let pool = pool(vec![server(&flapping.url)], HealthTerms::default());
    assert_eq!(timed(&pool, "alice").await, (Ok((0, Code::ACCESS_ACCEPT)), 0));
    flapping.set_silent(true);
    let died = Instant::now();
    while pool.status()[0].state != State::Dead {
        sleep(Duration::from_millis(100)).await;
    }
    // Thirty seconds of silence, and three Status-Servers.
    assert!(died.elapsed() < Duration::from_secs(40), "{:?}", died.elapsed());
    flapping.set_silent(false);
    let back = Instant::now();
    while pool.status()[0].state != State::Alive {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(back.elapsed() < Duration::from_secs(8), "{:?}", back.elapsed());
    // The watchdog has an Identifier of its own.
    let (probes, requests): (Vec<_>, Vec<_>) = flapping
        .heard()
        .into_iter()
        .partition(|heard| heard.octets[0] == Code::STATUS_SERVER.0);
    assert!(probes.len() > 4 && probes.iter().all(|heard| heard.octets[1] == 0));
    assert!(requests.iter().all(|heard| heard.octets[1] != 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_share_sockets_and_no_identifier() {
    let upstream = Upstream::slow(Duration::from_millis(500), |heard| {
        heard.reply(Code::ACCESS_ACCEPT)
    })
    .await;
    let pool = pool(vec![server(&upstream.url)], quiet());
    let mut requests = JoinSet::new();
    for number in 0..1000 {
        let request = pool.request(
            template(&format!("user{number}")),
            pool.choose(|_| true),
            Instant::now() + PATIENCE,
        );
        requests.spawn(request);
    }
    while let Some(answered) = requests.join_next().await {
        assert_eq!(answered.unwrap().unwrap().reply.code(), Code::ACCESS_ACCEPT);
    }
    let first: HashSet<_> = upstream
        .requests()
        .iter()
        .map(|heard| (heard.from, heard.octets[1], heard.octets[4..20].to_vec()))
        .collect();
    let places: HashSet<_> = first
        .iter()
        .map(|(from, identifier, _)| (*from, *identifier))
        .collect();
    assert_eq!(
        (first.len(), places.len()),
        (1000, 1000),
        "no Identifier was used twice"
    );
    let sockets: HashSet<_> = places.iter().map(|(from, _)| *from).collect();
    assert_eq!(sockets.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_is_made_again() {
    let upstream = Upstream::tcp_for(2, |heard| heard.reply(Code::ACCESS_ACCEPT)).await;
    let pool = pool(vec![server(&upstream.url)], quiet());
    for _ in 0..6 {
        let (outcome, millis) = timed(&pool, "alice").await;
        assert_eq!(outcome, Ok((0, Code::ACCESS_ACCEPT)), "after {millis} ms");
    }
    let connections: HashSet<_> = upstream.requests().iter().map(|heard| heard.from).collect();
    assert!(connections.len() >= 3, "{connections:?}");
}

/// A dead host costs one attempt, and then nothing until the next one is due.
#[tokio::test(start_paused = true)]
async fn who_refuses_connections_is_left_alone_for_a_while() {
    let closed = bind_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let good = Upstream::udp(|heard| heard.reply(Code::ACCESS_ACCEPT)).await;
    let pool = pool(
        vec![server(format!("tcp://{address}")), server(&good.url)],
        HealthTerms::default(),
    );
    for _ in 0..50 {
        let (outcome, millis) = timed(&pool, "alice").await;
        assert_eq!((outcome, millis), (Ok((1, Code::ACCESS_ACCEPT)), 0));
    }
    assert!(
        pool.status()[0].counts.failed_connections <= 2,
        "{:?}",
        pool.status()[0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_when_its_pool_is_dropped() {
    let slow = Upstream::slow(Duration::from_millis(1000), |heard| {
        heard.reply(Code::ACCESS_ACCEPT)
    })
    .await;
    let pool = pool(vec![server(&slow.url)], HealthTerms::default());
    let request = pool.request(template("alice"), vec![0], Instant::now() + PATIENCE);
    drop(pool);
    assert_eq!(request.await.unwrap().reply.code(), Code::ACCESS_ACCEPT);
}

#[tokio::test(start_paused = true)]
async fn those_that_may_not_be_asked_are_not() {
    let one = Upstream::udp(|heard| heard.reply(Code::ACCESS_REJECT)).await;
    let other = Upstream::udp(|heard| heard.reply(Code::ACCESS_ACCEPT)).await;
    let pool = pool(vec![server(&one.url), server(&other.url)], quiet());
    let deadline = Instant::now() + PATIENCE;
    let answered = pool
        .request(template("alice"), pool.choose(|index| index == 1), deadline)
        .await;
    assert_eq!(answered.unwrap().server, 1);
    assert!(one.requests().is_empty());
    let nobody = pool
        .request(template("alice"), pool.choose(|_| false), deadline)
        .await;
    assert_eq!(nobody.unwrap_err().cause, NoAnswerCause::Unreachable);
}
