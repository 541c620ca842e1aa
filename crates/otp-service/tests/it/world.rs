//! Alice, her token, and a clock that stands where the test puts it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use otp_core::{Digits, Hotp, HotpState, TokenKey, hotp};
use otp_service::{Clock, Origin, Outcome, Request, Room, Service};
use otp_store::{MissingUsers, NewToken, NewUser, Paths, Source, Store};
use otp_validation::{Client, Factor, PacketDigest, Reason, TokenMode, TokenStatus, UnixTime, UserName};
use tempfile::TempDir;

pub(crate) const START: UnixTime = UnixTime(1_700_000_000);

/// What it shows, and what has passed.
pub(crate) struct TestClock(pub(crate) AtomicU64, pub(crate) AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.1.load(Ordering::Relaxed))
    }
}

impl TestClock {
    /// Time passes, as it does where nobody touches the clock.
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
        self.1.fetch_add(seconds, Ordering::Relaxed);
    }
}

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) clock: Arc<TestClock>,
    packets: AtomicU64,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
}

pub(crate) fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

pub(crate) fn code(counter: u64) -> String {
    hotp(&key(), counter, Digits::SIX).as_str().to_owned()
}

impl World {
    /// Alice with an HOTP token, and the KDC's client with the given grace.
    pub(crate) fn new(repeat_grace: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let paths = Paths::new(dir.path().join("state"));
        Store::init(&paths, START, &mut rand::rng()).unwrap();
        let store = Store::open(&paths).unwrap();
        let name = UserName::parse(b"alice").unwrap();
        store
            .add_user(&NewUser::new(name.clone(), START), &mut rand::rng())
            .unwrap();
        let token = NewToken {
            user: name,
            label: "ring".into(),
            key: key(),
            mode: TokenMode::Hotp {
                hotp: Hotp::default(),
                state: HotpState { next: 0 },
                look_ahead: 10,
            },
            status: TokenStatus::Active,
            created_at: START,
        };
        store
            .add_tokens(&[token], MissingUsers::Refuse, &mut rand::rng())
            .unwrap();
        let client = store
            .client_for(&Source::Listener("kdc".into()))
            .unwrap()
            .unwrap()
            .policy();
        let clock = Arc::new(TestClock(AtomicU64::new(START.0), AtomicU64::new(0)));
        let service = Service::new(store, Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            service,
            clock,
            packets: AtomicU64::new(0),
            client: Client {
                repeat_grace,
                ..client
            },
            dir,
        }
    }

    pub(crate) fn request(&self, user: &str, credential: &str) -> Request<'static> {
        let mut packet = [0; 32];
        packet[..8].copy_from_slice(&self.packets.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Request {
            user_name: user.as_bytes().to_vec(),
            credential: Some(credential.as_bytes().to_vec().into()),
            state: None,
            packet: PacketDigest(packet),
            channel: None,
            realm: None,
            patience: Duration::from_secs(60),
            room: Room::UNLIMITED,
            origin: Origin::default(),
        }
    }

    pub(crate) async fn ask(&self, user: &str, credential: &str) -> Outcome {
        self.service
            .validate(self.request(user, credential), &self.client)
            .await
    }

    /// All of `credentials` at the same time; how often each reason was given.
    pub(crate) async fn storm(&self, credentials: &[String]) -> BTreeMap<&'static str, usize> {
        let tasks: Vec<_> = credentials
            .iter()
            .map(|credential| {
                let (service, client) = (self.service.clone(), self.client.clone());
                let request = self.request("alice", credential);
                tokio::spawn(async move { service.validate(request, &client).await })
            })
            .collect();
        let mut reasons = BTreeMap::new();
        for task in tasks {
            let outcome = task.await.unwrap();
            assert_eq!(
                outcome.is_accept(),
                matches!(
                    outcome.reason,
                    Reason::Accepted | Reason::Twin | Reason::SamePacket
                ),
                "{outcome:?}"
            );
            *reasons.entry(outcome.reason.code()).or_default() += 1;
        }
        reasons
    }

    pub(crate) fn failures(&self) -> u32 {
        self.service
            .store()
            .user(&UserName::parse(b"alice").unwrap())
            .unwrap()
            .unwrap()
            .lockouts
            .failures(Factor::Otp)
    }
}
