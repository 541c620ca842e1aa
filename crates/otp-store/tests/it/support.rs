//! A store in a directory of its own, and decisions made as the daemon makes them.

use otp_core::{Hotp, HotpState, TokenKey};
use otp_store::{Commit, DecisionFacts, Location, MissingUsers, NewToken, Paths, Record, Store, StoreError};
use otp_validation::{
    Account, Attempt, Client, ClientId, Decision, Progress, Reason, ReplyAttribute, ReplyAttributes, TokenId,
    TokenMode, TokenStatus, UnixTime, UserName, decide,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::cluster::Cluster;

pub const NOW: UnixTime = UnixTime(1_800_000_000);
/// RFC 4226 Appendix D.
pub const SEED: &[u8] = b"12345678901234567890";

/// What keeps the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// The engine of the copy of the battery that stands at `module`.
    pub const fn of(module: &str) -> Self {
        // `it::on_postgres`, `it::on_sqlite`
        match module.as_bytes() {
            [.., b'r', b'e', b's'] => Self::Postgres,
            [.., b'i', b't', b'e'] => Self::Sqlite,
            _ => panic!("a copy of the battery is called after its engine"),
        }
    }
}

impl Engine {
    /// How many cases of a property to try, of `many` that take no time on SQLite.
    pub const fn cases(self, many: u32) -> u32 {
        match self {
            Self::Sqlite => many,
            Self::Postgres => many / 3,
        }
    }
}

pub struct Fixture {
    pub dir: TempDir,
    pub paths: Paths,
    /// Of the database, unless it is in the state directory.
    pub url: Option<String>,
    pub store: Store,
    pub rng: StdRng,
}

pub fn location(paths: &Paths, url: Option<String>) -> Location {
    Location {
        paths: paths.clone(),
        database: url.map(|url| url.parse().unwrap()),
    }
}

impl Fixture {
    pub fn new() -> Self {
        Self::on(Engine::Sqlite)
    }

    pub fn on(engine: Engine) -> Self {
        Self::at(match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Cluster::shared().database()),
        })
    }

    pub fn at(url: Option<String>) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("state"));
        Store::init(location(&paths, url.clone()), NOW, &mut rng).unwrap();
        let store = Store::open(location(&paths, url.clone())).unwrap();
        Self {
            dir,
            paths,
            url,
            store,
            rng,
        }
    }

    pub fn location(&self) -> Location {
        location(&self.paths, self.url.clone())
    }

    /// Another handle that shares nothing but the database, as another process has it.
    pub fn reopen(&self) -> Store {
        Store::open(self.location()).unwrap()
    }

    pub fn add_hotp(&mut self, user: &str, label: &str, seed: &[u8], next: u64) -> TokenId {
        let token = hotp_token(user, label, seed, next);
        self.store
            .add_tokens(&[token], MissingUsers::Create, &mut self.rng)
            .unwrap()[0]
    }

    /// A connection that knows no rules.
    pub fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.paths.state_dir.join("otp.db")).unwrap()
    }
}

pub fn name(text: &str) -> UserName {
    UserName::parse(text.as_bytes()).unwrap()
}

pub fn hotp_token(user: &str, label: &str, seed: &[u8], next: u64) -> NewToken {
    NewToken {
        user: name(user),
        label: label.into(),
        key: TokenKey::new(seed).unwrap(),
        mode: TokenMode::Hotp {
            hotp: Hotp::default(),
            state: HotpState { next },
            look_ahead: 10,
        },
        status: TokenStatus::Active,
        created_at: NOW,
    }
}

pub fn code(seed: &[u8], counter: u64) -> String {
    Hotp::default()
        .generate(&TokenKey::new(seed).unwrap(), counter)
        .as_str()
        .to_owned()
}

/// A client without grace: every packet is an attempt of its own.
pub fn nas() -> Client {
    Client {
        id: ClientId(77),
        name: "nas".into(),
        enabled: true,
        grammar: None,
        repeat_grace: 0,
        can_challenge: true,
    }
}

pub fn kdc() -> Client {
    Client {
        id: ClientId(1),
        name: "kdc".into(),
        enabled: true,
        grammar: None,
        repeat_grace: 5,
        can_challenge: true,
    }
}

/// What `decide` makes of one packet on the present snapshot.
pub fn decision(
    store: &Store,
    user: &str,
    client: &Client,
    code: &str,
    packet: &[u8],
) -> (Account, Decision) {
    decision_at(NOW, store, user, client, code, packet)
}

pub fn decision_at(
    now: UnixTime,
    store: &Store,
    user: &str,
    client: &Client,
    code: &str,
    packet: &[u8],
) -> (Account, Decision) {
    let account = store.account(&name(user)).unwrap().expect("a user");
    let attempt = Attempt {
        credential: code.as_bytes(),
        credential_digest: store.digests().credential(account.user.id, code.as_bytes()),
        packet: store.digests().packet(client.id, packet),
        channel: None,
        dialogue: None,
    };
    let decision = match decide(&account, client, &attempt, now) {
        Progress::Decided(decision) => decision,
        Progress::NeedsPassword(_) => panic!("no password was set"),
    };
    (account, decision)
}

/// Through the writer thread.
pub fn commit(store: &Store, at: &Account, decision: Decision) -> Result<Commit, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let record = record_of(&decision);
    runtime.block_on(store.commit(at, decision, record))
}

/// What the audit trail keeps of a decision about nobody in particular.
pub fn record_of(decision: &Decision) -> Record {
    Record::of_decision(&facts(decision))
}

pub fn facts(decision: &Decision) -> DecisionFacts<'static> {
    DecisionFacts {
        at: NOW,
        request: None,
        client: "nas",
        peer: None,
        nas_identifier: None,
        user_name: b"alice",
        user: Some("alice"),
        verdict: decision.verdict,
        reason: decision.reason,
        upstream: None,
        token: None,
        spent: None,
        tokens: &[],
        failures: None,
        packet: None,
        twin_of: None,
        rounds: 1,
        micros: 0,
    }
}

/// Decides and commits until there is no conflict; `true` if accepted.
pub fn attempt(store: &Store, user: &str, client: &Client, code: &str, packet: &[u8]) -> (bool, Reason) {
    loop {
        let (at, decision) = decision(store, user, client, code, packet);
        let reason = decision.reason;
        match commit(store, &at, decision).unwrap() {
            Commit::Accepted(_) => return (true, reason),
            Commit::Recorded => return (false, reason),
            Commit::Conflict => {}
        }
    }
}

pub fn random_packet(rng: &mut StdRng) -> [u8; 32] {
    let mut packet = [0; 32];
    rng.fill_bytes(&mut packet);
    packet
}

pub fn next_counter(store: &Store, user: &str) -> u64 {
    match store.account(&name(user)).unwrap().unwrap().tokens[0].mode {
        TokenMode::Hotp { state, .. } => state.next,
        TokenMode::Totp { .. } => panic!("a HOTP token"),
    }
}

/// How often the audit trail, which must be whole, tells of this reason.
pub fn recorded(store: &Store, reason: Reason) -> usize {
    let verified = store.verify_audit(&[], |_, _| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    let entries = verified
        .heads
        .iter()
        .flat_map(|head| store.audit_entries(head.chain, 1..=head.number).unwrap());
    let tells = format!("\"reason\":\"{}\"", reason.code());
    entries.filter(|entry| entry.record.contains(&tells)).count()
}

/// Attributes of replies: name, type, value.
pub fn reply_attributes(all: &[(&str, u8, &[u8])]) -> ReplyAttributes {
    let all = all.iter().map(|(name, kind, value)| ReplyAttribute {
        name: (*name).to_owned(),
        text: format!("{value:?}"),
        kind: *kind,
        value: value.to_vec(),
        overrides: true,
    });
    ReplyAttributes::new(all.collect()).unwrap()
}

/// Names and values of attributes.
pub fn octets_of(attributes: &ReplyAttributes) -> Vec<(String, Vec<u8>)> {
    attributes
        .iter()
        .map(|attribute| (attribute.name.clone(), attribute.value.clone()))
        .collect()
}
