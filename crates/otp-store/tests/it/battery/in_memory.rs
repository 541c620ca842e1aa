//! The model in memory and the store on disk: the same decisions, the same outcome, the same account afterwards.

use otp_core::{Hotp, HotpState, TokenKey};
use otp_store::{Commit, StoreError, model::Model};
use otp_validation::{
    Acceptance, Account, Attempt, Channel, Decision, Progress, TokenMode, UnixTime, decide,
};
use proptest::prelude::*;

use crate::support::{Engine, Fixture, NOW, SEED, code, commit, kdc, name, nas};

const USERS: [&str; 2] = ["alice", "bob"];

#[derive(Clone, Debug)]
struct Step {
    user: usize,
    by_kdc: bool,
    /// Relative to the present counter.
    ahead: i8,
    packet: u8,
    channel: Option<u64>,
    /// Seconds since the step before.
    later: u64,
    /// Whether the decision is committed at once, or only at the end, when it may be stale.
    at_once: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let numbers = (0..USERS.len(), -2..4_i8, 0..12_u8, 0..4_u64);
    (
        numbers,
        any::<bool>(),
        proptest::option::of(0..3_u64),
        any::<bool>(),
    )
        .prop_map(|((user, ahead, packet, later), by_kdc, channel, at_once)| Step {
            user,
            by_kdc,
            ahead,
            packet,
            channel,
            later,
            at_once,
        })
}

type Decided = (Account, Decision);

/// What both sides decide about one step: each with its own digests.
fn decided(account: &Account, digests: &otp_store::Digests, step: &Step, now: UnixTime) -> Decided {
    let TokenMode::Hotp { state, .. } = account.tokens[0].mode else {
        panic!("a HOTP token")
    };
    let client = if step.by_kdc { kdc() } else { nas() };
    let code = code(SEED, state.next.saturating_add_signed(step.ahead.into()));
    let attempt = Attempt {
        credential: code.as_bytes(),
        credential_digest: digests.credential(account.user.id, code.as_bytes()),
        packet: digests.packet(client.id, &[step.packet]),
        channel: step.channel.map(Channel),
        dialogue: None,
    };
    let Progress::Decided(decision) = decide(account, &client, &attempt, now) else {
        panic!("no password was set")
    };
    (account.clone(), decision)
}

/// Everything that a later decision may depend on, but for the digests, which are each side's own, and versions where they
/// are drawn by lot.
fn seen(account: &Account) -> impl PartialEq + std::fmt::Debug + use<> {
    let TokenMode::Hotp { state, .. } = account.tokens[0].mode else {
        panic!("a HOTP token")
    };
    let shown = |kept: &Acceptance| {
        let channel = kept.channel.map(|channel| channel.0);
        (kept.at, kept.client, kept.token, channel, kept.twins.len())
    };
    let mut acceptances: Vec<_> = account.acceptances.iter().map(shown).collect();
    // Those of one second stand in no order.
    acceptances.sort_unstable();
    let version = (super::ENGINE == Engine::Sqlite).then_some(account.version);
    (
        version,
        account.lockouts.clone(),
        state.next,
        account.tokens.len(),
        acceptances,
    )
}

fn same(ours: &Result<Commit, StoreError>, theirs: &Result<Commit, StoreError>) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Err(ours), Err(theirs)) => ours.to_string() == theirs.to_string(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::ENGINE.cases(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_model_does_as_the_store_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut fixture = Fixture::on(super::ENGINE);
        let mut model = Model::new(&[7; 32]);
        for user in USERS {
            // One seed for both: what one spends, the other cannot use.
            fixture.add_hotp(user, "ring", SEED, 3);
            let mode = TokenMode::Hotp {
                hotp: Hotp::default(),
                state: HotpState { next: 3 },
                look_ahead: 10,
            };
            let id = model.add_user(name(user), None);
            model.add_token(id, "ring", TokenKey::new(SEED).unwrap(), mode);
        }
        let (mut now, mut stale) = (NOW, Vec::new());
        for step in steps {
            now = UnixTime(now.0 + step.later);
            let user = name(USERS[step.user]);
            let on_disk = fixture.store.account(&user).unwrap().unwrap();
            let in_memory = model.account(&user).unwrap();
            prop_assert_eq!(seen(&on_disk), seen(&in_memory));

            let ours = decided(&on_disk, &fixture.store.digests(), &step, now);
            let theirs = decided(&in_memory, &model.digests(), &step, now);
            prop_assert_eq!((ours.1.verdict, ours.1.reason), (theirs.1.verdict, theirs.1.reason));
            stale.push((ours, theirs));
            if step.at_once && let Some((ours, theirs)) = stale.pop() {
                commit_both(&fixture, &mut model, ours, &theirs)?;
            }
        }
        for (ours, theirs) in stale {
            commit_both(&fixture, &mut model, ours, &theirs)?;
        }
        for user in USERS {
            let user = name(user);
            prop_assert_eq!(
                seen(&fixture.store.account(&user).unwrap().unwrap()),
                seen(&model.account(&user).unwrap())
            );
        }
        prop_assert_eq!(fixture.store.newest_acceptance().unwrap(), model.newest_acceptance());
        fixture.store.forget_acceptances().unwrap();
        model.forget_acceptances();
        prop_assert_eq!(fixture.store.newest_acceptance().unwrap(), model.newest_acceptance());
    }
}

fn commit_both(
    fixture: &Fixture,
    model: &mut Model,
    (at, decision): Decided,
    theirs: &Decided,
) -> Result<(), TestCaseError> {
    // Where a repetition has to be confirmed, it is on the version that it was decided on.
    let is_confirmed = super::ENGINE == Engine::Postgres && decision.effects.is_empty();
    let ours = commit(&fixture.store, &at, decision);
    let theirs = model.commit(&theirs.0, &theirs.1);
    let is_stale = is_confirmed && matches!(ours, Ok(Commit::Conflict));
    prop_assert!(is_stale || same(&ours, &theirs), "{ours:?} and {theirs:?}");
    Ok(())
}
