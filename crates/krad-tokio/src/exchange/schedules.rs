//! Requests that meet in the table of duplicates, in thousands of orders: `shuttle` decides at each lock and at each point
//! where a decision waits which task goes on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use krad::{
    AttributeType, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestBuilder,
    SharedSecret, radius11::Version,
};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use tokio::{runtime::Runtime, time::Instant};
use zeroize::Zeroizing;

use super::{Arrival, Exchange};
use crate::{AccessRequest, Answer, ClientTerms, Discard, Peer, RadiusService, Settings};

const SECRET: &[u8] = b"known to both sides of a test";
/// How many orders of each kind.
const RANDOM: usize = 2500;
const PRIORITIES: usize = 1500;
/// Changes of priority in one order, of those that priorities decide.
const CHANGES: usize = 3;

/// Runs `test` in as many orders, on a clock that stands still: no deadline ever passes.
fn in_many_orders(test: impl Fn() + Send + Sync + 'static) {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    let test = Arc::new(test);
    let same = Arc::clone(&test);
    shuttle::check_random(move || test(), RANDOM);
    shuttle::check_pct(move || same(), PRIORITIES, CHANGES);
}

/// Accepts everybody, after a while, and says in the answer which decision it was.
#[derive(Default)]
struct Counting {
    decisions: AtomicUsize,
}

impl RadiusService for Counting {
    type Client = ();

    async fn client(&self, _: &Peer) -> Option<(ClientTerms, Arc<()>)> {
        Some((ClientTerms::network(SharedSecret::new(SECRET)), Arc::new(())))
    }

    async fn respond(&self, _: AccessRequest, _: Arc<()>) -> Answer {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        Answer::accept().with(AttributeType::CLASS, number.to_be_bytes())
    }

    fn discarded(&self, _: &Peer, _: Option<&()>, cause: &Discard) {
        assert!(
            matches!(cause, Discard::InFlight | Discard::DuplicateTableFull),
            "{cause:?}"
        );
    }
}

struct Fixture {
    service: Arc<Counting>,
    exchange: Arc<Exchange<Counting, u8>>,
}

impl Fixture {
    fn new(capacity: usize) -> Self {
        let service = Arc::<Counting>::default();
        let exchange = Exchange::new(
            Arc::clone(&service),
            Settings::default().into(),
            Version::Historic,
            capacity,
        );
        Self {
            service,
            exchange: Arc::new(exchange),
        }
    }

    /// A task for one copy of `request`, as a listener starts it.
    fn receive(&self, request: &PendingRequest) -> JoinHandle<Option<Arc<[u8]>>> {
        let arrival = Arrival {
            peer: Peer::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 1812))),
            key: request.identifier().0,
            octets: Zeroizing::new(request.octets().to_vec()),
            received_at: Instant::now(),
        };
        let exchange = Arc::clone(&self.exchange);
        spawn(async move { exchange.answer(arrival).await })
    }

    fn decisions(&self) -> usize {
        self.service.decisions.load(Ordering::Relaxed)
    }

    fn held(&self) -> usize {
        self.exchange.duplicates().len()
    }
}

/// The request of this Identifier whose Request Authenticator consists of `fill`.
fn request(identifier: u8, fill: u8) -> PendingRequest {
    let secret = SharedSecret::new(SECRET);
    RequestBuilder::access_request(Identifier(identifier), [fill; 16].into(), &secret)
        .user_name(b"alice")
        .and_then(|builder| builder.user_password(b"755224"))
        .and_then(RequestBuilder::build)
        .unwrap()
}

fn reply(task: JoinHandle<Option<Arc<[u8]>>>) -> Option<Arc<[u8]>> {
    block_on(task).unwrap()
}

/// Whether `octets` answer `request`, and no other.
fn answers(request: &PendingRequest, octets: &[u8]) -> bool {
    let packet = Packet::decode(octets).unwrap();
    request.verify(packet, MessageAuthenticatorRule::Required).is_ok()
}

#[test]
fn copies_of_a_request_are_decided_once_and_answered_alike() {
    in_many_orders(|| {
        let fixture = Fixture::new(16);
        let request = request(7, 1);
        let tasks: Vec<_> = (0..3).map(|_| fixture.receive(&request)).collect();
        let replies: Vec<_> = tasks.into_iter().filter_map(reply).collect();
        assert_eq!(fixture.decisions(), 1);
        assert!(!replies.is_empty(), "somebody had to answer");
        assert!(replies.iter().all(|octets| answers(&request, octets)));
        assert!(replies.iter().all(|octets| *octets == replies[0]));
        let later = reply(fixture.receive(&request));
        assert_eq!(later.as_deref(), Some(&*replies[0]), "once more, afterwards");
        assert_eq!((fixture.decisions(), fixture.held()), (1, 1));
    });
}

#[test]
fn requests_that_share_an_identifier_never_get_each_others_answers() {
    in_many_orders(|| {
        let fixture = Fixture::new(16);
        let requests = [request(7, 1), request(7, 2)];
        let tasks: Vec<_> = [0, 1, 0, 1]
            .map(|which| (which, fixture.receive(&requests[which])))
            .into();
        for (which, task) in tasks {
            if let Some(octets) = reply(task) {
                assert!(answers(&requests[which], &octets), "not its own answer");
            }
        }
        // Whichever came last has its place, and its answer.
        assert_eq!(fixture.held(), 1);
        for request in &requests {
            let octets = reply(fixture.receive(request)).unwrap();
            assert!(answers(request, &octets), "not its own answer, afterwards");
        }
    });
}

#[test]
fn a_full_table_forgets_answers_and_never_work_in_progress() {
    in_many_orders(|| {
        let fixture = Fixture::new(2);
        let requests = [request(1, 1), request(2, 1), request(3, 1)];
        let tasks: Vec<_> = requests.iter().map(|request| fixture.receive(request)).collect();
        let copies: Vec<_> = requests.iter().map(|request| fixture.receive(request)).collect();
        let mut answered = 0;
        for (request, task) in requests.iter().cycle().zip(tasks.into_iter().chain(copies)) {
            if let Some(octets) = reply(task) {
                assert!(answers(request, &octets));
                answered += 1;
            }
        }
        assert!(answered >= 2, "there was room for two");
        // Once decided, an answer is there until it has to make room: at most one more decision for each copy.
        assert!((2..=6).contains(&fixture.decisions()), "{}", fixture.decisions());
        assert!(fixture.held() <= 2);
    });
}
