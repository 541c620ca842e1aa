//! A store in memory and clocks that do as they are told.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use otp_core::{Digits, Hotp, HotpState, TokenKey, hotp};
use otp_store::{
    AccountStore, ClientRecord, Commit, Digests, Freshness, Record, Snapshot, Source, StoreError,
    model::Model,
};
use otp_validation::{
    Account, Client, ClientId, Decision, PacketDigest, PasswordHash, ReplyRules, TokenMode, UnixTime,
    UserName,
};

use crate::{Clock, Origin, Outcome, Request, Room, Service};

pub(crate) const NOW: UnixTime = UnixTime(1_700_000_000);

/// A model behind the trait, and what happens to it.
#[derive(Clone)]
pub(crate) struct ModelStore {
    pub(crate) model: Arc<Mutex<Model>>,
    /// What the audit trail was told.
    pub(crate) records: Arc<Mutex<Vec<String>>>,
    /// What its own clock shows, if it has one.
    pub(crate) time: Arc<Mutex<Option<UnixTime>>>,
    /// So many commits find that the account has changed.
    pub(crate) conflicts: Arc<AtomicU32>,
    /// What else changes then.
    pub(crate) change: fn(&mut Model),
}

impl ModelStore {
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }
}

impl AccountStore for ModelStore {
    fn digests(&self) -> Digests {
        self.model().digests()
    }

    async fn account(&self, name: &UserName, _: Freshness) -> Result<Snapshot, StoreError> {
        let account = self.model().account(name).map(Arc::new);
        Ok(Snapshot {
            account,
            taken_at: *self.time.lock().unwrap(),
            is_fresh: true,
        })
    }

    async fn time(&self) -> Result<Option<UnixTime>, StoreError> {
        Ok(*self.time.lock().unwrap())
    }

    async fn commit(
        &self,
        account: &Account,
        decision: Decision,
        record: Record,
    ) -> Result<Commit, StoreError> {
        let left = self
            .conflicts
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            (self.change)(&mut self.model());
            return Ok(Commit::Conflict);
        }
        let committed = self.model().commit(account, &decision)?;
        if committed != Commit::Conflict {
            self.record(record);
        }
        Ok(committed)
    }

    fn record(&self, record: Record) {
        self.records.lock().unwrap().push(record.text().to_owned());
    }

    fn is_available(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn newest_acceptance(&self) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.model().newest_acceptance())
    }

    async fn forget_acceptances(&self) -> Result<(), StoreError> {
        self.model().forget_acceptances();
        Ok(())
    }

    async fn clients_at(&self, address: IpAddr) -> Result<Vec<Arc<ClientRecord>>, StoreError> {
        Ok(self.model().clients_at(address))
    }

    async fn client_for(&self, source: &Source) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        Ok(self.model().client_for(source))
    }

    fn reply_rules(&self) -> ReplyRules {
        ReplyRules::none()
    }
}

/// As much time has passed as the test says, and the wall clock shows as much more as it says.
#[derive(Default)]
pub(crate) struct SetClock {
    passed: Mutex<Duration>,
    ahead: Mutex<i64>,
}

impl Clock for SetClock {
    fn now(&self) -> UnixTime {
        let shown = NOW.0 + self.elapsed().as_secs();
        UnixTime(shown.saturating_add_signed(*self.ahead.lock().unwrap()))
    }

    fn elapsed(&self) -> Duration {
        *self.passed.lock().unwrap()
    }
}

impl SetClock {
    /// Time passes.
    pub(crate) fn pass(&self, seconds: u64) {
        *self.passed.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// Somebody sets the clock.
    pub(crate) fn set(&self, seconds: i64) {
        *self.ahead.lock().unwrap() += seconds;
    }
}

pub(crate) fn key(user: &str) -> TokenKey {
    let mut octets = [b'.'; 20];
    octets[..user.len()].copy_from_slice(user.as_bytes());
    TokenKey::from(octets)
}

pub(crate) fn code(user: &str, counter: u64) -> String {
    hotp(&key(user), counter, Digits::SIX).as_str().to_owned()
}

/// Alice and others, each with an HOTP token and the password "horse", whose "hash" is the password itself.
pub(crate) fn store(users: &[&str]) -> ModelStore {
    let mut model = Model::new(&[7; 32]);
    for user in users {
        let name = UserName::parse(user.as_bytes()).unwrap();
        let id = model.add_user(name, Some(PasswordHash::new("horse".into())));
        let mode = TokenMode::Hotp {
            hotp: Hotp::default(),
            state: HotpState { next: 0 },
            look_ahead: 10,
        };
        model.add_token(id, "ring", key(user), mode);
    }
    ModelStore {
        model: Arc::new(Mutex::new(model)),
        records: Arc::default(),
        time: Arc::default(),
        conflicts: Arc::default(),
        change: |_| (),
    }
}

pub(crate) async fn ask(service: &Service<ModelStore>, user: &str, credential: &str) -> Outcome {
    static PACKETS: AtomicU32 = AtomicU32::new(0);
    let mut packet = [0; 32];
    packet[..4].copy_from_slice(&PACKETS.fetch_add(1, SeqCst).to_be_bytes());
    let request = Request {
        user_name: user.as_bytes().to_vec(),
        credential: Some(credential.as_bytes().to_vec().into()),
        state: None,
        packet: PacketDigest(packet),
        channel: None,
        realm: None,
        patience: Duration::from_secs(60),
        room: Room::UNLIMITED,
        origin: Origin::default(),
    };
    let client = Client {
        id: ClientId(1),
        name: "vpn".into(),
        enabled: true,
        grammar: None,
        repeat_grace: 0,
        can_challenge: true,
    };
    service.validate(request, &client).await
}
