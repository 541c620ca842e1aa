//! The decision, row by row.

use otp_core::{Hotp, HotpState, TokenKey, Totp, TotpState, Window, hotp};

use super::*;
use crate::{AccountVersion, DialogueId, Lockout, ReplyAttributes, Upstream, User, UserId, UserName};

/// RFC 4226 Appendix D: Count = 0 … 9.
const APPENDIX_D: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
];
const NOW: UnixTime = UnixTime(1_111_111_109);
const KDC: ClientId = ClientId(1);

fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

fn hotp_token(id: i64, next: u64) -> Token {
    Token {
        id: TokenId(id),
        label: format!("hotp-{id}"),
        enabled: true,
        status: TokenStatus::Active,
        key: key(),
        mode: TokenMode::Hotp {
            hotp: Hotp::default(),
            state: HotpState { next },
            look_ahead: 10,
        },
    }
}

fn totp_token(id: i64, next: u64) -> Token {
    Token {
        label: format!("totp-{id}"),
        mode: TokenMode::Totp {
            totp: Totp::default(),
            state: TotpState { next, drift: 0 },
            window: Window::default(),
        },
        ..hotp_token(id, 0)
    }
}

fn account(tokens: Vec<Token>) -> Account {
    Account {
        user: User {
            id: UserId(1),
            name: UserName::parse(b"alice").unwrap(),
            enabled: true,
            expires_at: None,
            password: None,
            grammar: None,
            reply: ReplyAttributes::default(),
            upstream: None,
        },
        tokens,
        lockouts: Lockouts::default(),
        acceptances: Vec::new(),
        ended_dialogues: Vec::new(),
        version: AccountVersion(1),
    }
}

fn kdc() -> Client {
    Client {
        id: KDC,
        name: "kdc".into(),
        enabled: true,
        grammar: None,
        repeat_grace: 5,
        can_challenge: true,
    }
}

/// A stand-in for the keyed digest: equal credentials, equal digests.
fn digest(credential: &[u8]) -> CredentialDigest {
    let mut digest = [0; 32];
    digest
        .iter_mut()
        .zip(credential)
        .for_each(|(to, from)| *to = *from);
    CredentialDigest(digest)
}

fn attempt(credential: &[u8], packet: u8) -> Attempt<'_> {
    Attempt {
        credential,
        credential_digest: digest(credential),
        packet: PacketDigest([packet; 32]),
        channel: None,
        dialogue: None,
    }
}

fn decided(account: &Account, client: &Client, credential: &str, now: UnixTime) -> Decision {
    match decide(account, client, &attempt(credential.as_bytes(), 1), now) {
        Progress::Decided(decision) => decision,
        Progress::NeedsPassword(_) => panic!("unexpected password check"),
    }
}

fn totp_at(step: u64) -> String {
    hotp(&key(), step, otp_core::Digits::SIX).as_str().to_owned()
}

const STEP: u64 = NOW.0 / 30;

/// What the durable state would be once the effects are in it.
fn apply(account: &mut Account, decision: &Decision) {
    for effect in &decision.effects {
        let Effect::Consume { token, matched, next } = effect else {
            continue;
        };
        let spent = account.tokens.iter().find(|candidate| candidate.id == *token);
        let stored = match spent.unwrap().mode {
            TokenMode::Hotp { state, .. } => state.next,
            TokenMode::Totp { state, .. } => state.next,
        };
        assert!(stored <= *matched && *matched < *next, "replay state only grows");
    }
    let before = std::mem::replace(account, self::account(Vec::new()));
    let version = AccountVersion(before.version.0 + 1);
    *account = before.after(&decision.effects, version).unwrap();
}

#[test]
fn a_code_is_accepted_once() {
    for token in [hotp_token(1, 0), totp_token(1, 0)] {
        let code = if token.label.starts_with("hotp") {
            APPENDIX_D[0].to_owned()
        } else {
            totp_at(STEP)
        };
        let mut account = account(vec![token]);
        let client = Client {
            repeat_grace: 0,
            ..kdc()
        };
        let first = decided(&account, &client, &code, NOW);
        assert_eq!(
            (first.verdict, first.reason, first.token),
            (Verdict::Accept, Reason::Accepted, Some(TokenId(1)))
        );
        apply(&mut account, &first);
        let attempt = attempt(code.as_bytes(), 2);
        let Progress::Decided(second) = decide(&account, &client, &attempt, NOW) else {
            panic!()
        };
        assert_eq!(
            (second.verdict, second.reason),
            (Verdict::Reject, Reason::ReplayedCode)
        );
        assert!(second.effects.is_empty(), "a right code is no guess");
    }
}

#[test]
fn windows_are_the_tokens() {
    let rows = [
        (STEP - 2, Reason::WrongCode),
        (STEP - 1, Reason::Accepted),
        (STEP, Reason::Accepted),
        (STEP + 1, Reason::Accepted),
        (STEP + 2, Reason::WrongCode),
    ];
    for (step, expected) in rows {
        let decision = decided(&account(vec![totp_token(1, 0)]), &kdc(), &totp_at(step), NOW);
        assert_eq!(decision.reason, expected, "step {step}");
    }
    for (count, code) in APPENDIX_D.iter().enumerate() {
        let decision = decided(&account(vec![hotp_token(1, 3)]), &kdc(), code, NOW);
        assert_eq!(decision.verdict == Verdict::Accept, count >= 3, "Count = {count}");
    }
}

#[test]
fn an_accepted_step_closes_all_before_it() {
    let mut account = account(vec![totp_token(1, 0)]);
    let decision = decided(&account, &kdc(), &totp_at(STEP + 1), NOW);
    apply(&mut account, &decision);
    for step in [STEP - 1, STEP, STEP + 1] {
        let reason = decided(
            &account,
            &Client {
                repeat_grace: 0,
                id: ClientId(2),
                ..kdc()
            },
            &totp_at(step),
            NOW,
        )
        .reason;
        assert_eq!(reason, Reason::ReplayedCode, "step {step}");
    }
}

#[test]
fn a_clock_that_goes_back_reopens_nothing() {
    let mut account = account(vec![totp_token(1, 0)]);
    let decision = decided(&account, &kdc(), &totp_at(STEP), NOW);
    apply(&mut account, &decision);
    for back in [1, 30, 60, 3_600, 86_400 * 365] {
        let now = UnixTime(NOW.0 - back);
        let other = Client {
            repeat_grace: 0,
            id: ClientId(2),
            ..kdc()
        };
        for step in (now.0 / 30 - 1)..=(now.0 / 30 + 1).min(STEP) {
            assert_eq!(
                decided(&account, &other, &totp_at(step), now).verdict,
                Verdict::Reject,
                "{back} s back"
            );
        }
    }
}

#[test]
fn the_cheap_refusals_come_first_and_change_nothing() {
    type Change = fn(&mut Account, &mut Client);
    let rows: &[(&str, Change, Reason)] = &[
        (
            "client disabled",
            |_, client| client.enabled = false,
            Reason::ClientDisabled,
        ),
        (
            "user disabled",
            |account, _| account.user.enabled = false,
            Reason::UserDisabled,
        ),
        (
            "user expired now",
            |account, _| account.user.expires_at = Some(NOW),
            Reason::UserExpired,
        ),
        (
            "locked",
            |account, _| account.lockouts.locked_until = NOW.0 + 1,
            Reason::Locked,
        ),
        (
            "no token",
            |account, _| account.tokens.clear(),
            Reason::NoActiveToken,
        ),
        (
            "token disabled",
            |account, _| account.tokens[0].enabled = false,
            Reason::NoActiveToken,
        ),
        (
            "token pending",
            |account, _| account.tokens[0].status = TokenStatus::Pending,
            Reason::NoActiveToken,
        ),
        (
            "password asked for",
            |_, client| client.grammar = Some(Grammar::PasswordOtp),
            Reason::NoPassword,
        ),
        (
            "user's grammar",
            |account, _| account.user.grammar = Some(Grammar::PasswordOtp),
            Reason::NoPassword,
        ),
    ];
    for (what, change, expected) in rows {
        let (mut account, mut client) = (account(vec![hotp_token(1, 0)]), kdc());
        assert_eq!(
            decided(&account, &client, APPENDIX_D[0], NOW).reason,
            Reason::Accepted,
            "{what}: control"
        );
        change(&mut account, &mut client);
        let decision = decided(&account, &client, APPENDIX_D[0], NOW);
        assert_eq!(
            (decision.verdict, decision.reason),
            (Verdict::Reject, *expected),
            "{what}"
        );
        assert!(decision.effects.is_empty(), "{what}");
    }
    let mut account = account(vec![hotp_token(1, 0)]);
    account.user.expires_at = Some(UnixTime(NOW.0 + 1));
    account.lockouts.locked_until = NOW.0;
    assert_eq!(
        decided(&account, &kdc(), APPENDIX_D[0], NOW).verdict,
        Verdict::Accept,
        "last second, first second"
    );
}

#[test]
fn wrong_codes_count_and_junk_does_not() {
    let rows: &[(&str, Reason, u32)] = &[
        ("000000", Reason::WrongCode, 1),
        ("", Reason::NoCredential, 0),
        ("75522", Reason::NotACode, 0),
        ("7552240", Reason::NotACode, 0),
        ("755224 ", Reason::NotACode, 0),
        (" 755224", Reason::NotACode, 0),
        ("755224\n", Reason::NotACode, 0),
        ("٧٥٥٢٢٤", Reason::NotACode, 0),
        ("hunter2", Reason::NotACode, 0),
    ];
    for (credential, reason, failures) in rows {
        let mut account = account(vec![hotp_token(1, 0)]);
        let decision = decided(&account, &kdc(), credential, NOW);
        assert_eq!(
            (decision.verdict, decision.reason),
            (Verdict::Reject, *reason),
            "{credential:?}"
        );
        apply(&mut account, &decision);
        assert_eq!(account.lockouts.at(KDC).otp_failures, *failures, "{credential:?}");
    }
}

#[test]
fn every_token_is_a_candidate() {
    let mut eight = hotp_token(3, 0);
    eight.mode = TokenMode::Hotp {
        hotp: Hotp {
            digits: otp_core::Digits::EIGHT,
            ..Hotp::default()
        },
        state: HotpState { next: 0 },
        look_ahead: 0,
    };
    let account = account(vec![totp_token(1, 0), hotp_token(2, 0), eight]);
    for (code, token) in [
        (totp_at(STEP), 1),
        (APPENDIX_D[4].into(), 2),
        ("84755224".into(), 3),
    ] {
        let decision = decided(&account, &kdc(), &code, NOW);
        assert_eq!(
            (decision.verdict, decision.token),
            (Verdict::Accept, Some(TokenId(token))),
            "{code}"
        );
    }
}

#[test]
fn the_password_is_asked_for_only_when_the_code_is_right_and_then_decides() {
    let mut account = account(vec![hotp_token(1, 0)]);
    account.user.password = Some(PasswordHash::new("$argon2id$…".into()));
    assert_eq!(
        decided(&account, &kdc(), "secret000000", NOW).reason,
        Reason::WrongCode
    );
    assert_eq!(decided(&account, &kdc(), "secret", NOW).reason, Reason::NotACode);
    for (right, verdict, reason) in [
        (true, Verdict::Accept, Reason::Accepted),
        (false, Verdict::Reject, Reason::WrongPassword),
    ] {
        let attempt = attempt(b"secret755224", 1);
        let Progress::NeedsPassword(check) = decide(&account, &kdc(), &attempt, NOW) else {
            panic!()
        };
        assert_eq!(check.password(), b"secret");
        let decision = check.conclude(right);
        assert_eq!((decision.verdict, decision.reason), (verdict, reason));
        let spends = decision
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Consume { .. }));
        assert_eq!(spends, right, "a wrong password spends nothing");
        let counted = decision.effects.iter().any(|effect| {
            matches!(
                effect,
                Effect::SetLockout {
                    client: KDC,
                    lockout: Lockout {
                        password_failures: 1,
                        otp_failures: 0,
                        ..
                    },
                    locked_until: 0,
                }
            )
        });
        assert_eq!(counted, !right);
    }
    let client = Client {
        grammar: Some(Grammar::Otp),
        ..kdc()
    };
    assert_eq!(
        decided(&account, &client, APPENDIX_D[0], NOW).verdict,
        Verdict::Accept,
        "the client's grammar wins"
    );
}

#[test]
fn the_same_packet_gets_its_verdict_for_thirty_seconds() {
    let mut account = account(vec![hotp_token(1, 0)]);
    let client = Client {
        repeat_grace: 0,
        ..kdc()
    };
    let decision = decided(&account, &client, APPENDIX_D[0], NOW);
    apply(&mut account, &decision);
    for (seconds, reason) in [
        (0, Reason::SamePacket),
        (30, Reason::SamePacket),
        (31, Reason::ReplayedCode),
    ] {
        let again = decided(&account, &client, APPENDIX_D[0], UnixTime(NOW.0 + seconds));
        assert_eq!(again.reason, reason, "{seconds} s later");
        assert!(again.effects.is_empty());
    }
    account.user.enabled = false;
    assert_eq!(
        decided(&account, &client, APPENDIX_D[0], NOW).reason,
        Reason::UserDisabled,
        "refusal beats repetition"
    );
}

#[test]
fn twins_share_a_verdict_within_the_grace_and_three_at_most() {
    let mut account = account(vec![hotp_token(1, 0)]);
    let decision = decided(&account, &kdc(), APPENDIX_D[0], NOW);
    apply(&mut account, &decision);
    let twin = |account: &Account, client: &Client, credential: &str, packet: u8, seconds: u64| {
        let attempt = attempt(credential.as_bytes(), packet);
        match decide(account, client, &attempt, UnixTime(NOW.0 + seconds)) {
            Progress::Decided(decision) => decision,
            Progress::NeedsPassword(_) => panic!(),
        }
    };
    assert_eq!(
        twin(&account, &kdc(), APPENDIX_D[0], 2, 6).reason,
        Reason::ReplayedCode,
        "too late"
    );
    assert_eq!(
        twin(&account, &kdc(), APPENDIX_D[1], 2, 1).reason,
        Reason::Accepted,
        "another code is no twin"
    );
    let other = Client {
        id: ClientId(9),
        ..kdc()
    };
    assert_eq!(
        twin(&account, &other, APPENDIX_D[0], 2, 1).reason,
        Reason::ReplayedCode,
        "another client"
    );
    let strict = Client {
        repeat_grace: 0,
        ..kdc()
    };
    assert_eq!(
        twin(&account, &strict, APPENDIX_D[0], 2, 1).reason,
        Reason::ReplayedCode,
        "no grace"
    );
    for packet in 2..5 {
        let decision = twin(&account, &kdc(), APPENDIX_D[0], packet, 5);
        assert_eq!(
            (decision.verdict, decision.reason),
            (Verdict::Accept, Reason::Twin),
            "packet {packet}"
        );
        assert!(
            matches!(decision.effects.as_slice(), [Effect::Twin { .. }]),
            "nothing is spent"
        );
        apply(&mut account, &decision);
    }
    assert_eq!(
        twin(&account, &kdc(), APPENDIX_D[0], 5, 5).reason,
        Reason::ReplayedCode,
        "the fourth"
    );
    assert_eq!(
        twin(&account, &kdc(), APPENDIX_D[0], 3, 20).reason,
        Reason::SamePacket,
        "a twin's own packet again"
    );
    account.tokens[0].enabled = false;
    assert_eq!(
        twin(&account, &kdc(), APPENDIX_D[0], 3, 1).reason,
        Reason::NoActiveToken,
        "refusal beats repetition"
    );
}

/// The same as the store does with its rows: what is kept in memory must not differ.
#[test]
fn a_packet_has_one_verdict_the_last() {
    let mut account = account(vec![hotp_token(1, 0)]);
    let mut packets = |credential: &str, packet: u8, seconds: u64| {
        let attempt = attempt(credential.as_bytes(), packet);
        let Progress::Decided(decision) = decide(&account, &kdc(), &attempt, UnixTime(NOW.0 + seconds))
        else {
            panic!()
        };
        apply(&mut account, &decision);
        let kept = account.acceptances.iter();
        let packets = kept.map(|first| {
            (
                first.packet.0[0],
                first.twins.iter().map(|twin| twin.packet.0[0]).collect(),
            )
        });
        packets.collect::<Vec<(u8, Vec<u8>)>>()
    };
    assert_eq!(packets(APPENDIX_D[0], 1, 0), [(1, vec![])]);
    assert_eq!(packets(APPENDIX_D[0], 2, 1), [(1, vec![2])]);
    assert_eq!(packets(APPENDIX_D[0], 3, 1), [(1, vec![2, 3])]);
    // Octets that come round again, with another code.
    assert_eq!(packets(APPENDIX_D[1], 2, 40), [(1, vec![3]), (2, vec![])]);
    assert_eq!(packets(APPENDIX_D[2], 1, 41), [(2, vec![]), (1, vec![])]);
}

#[test]
fn a_twin_comes_through_another_channel() {
    let mut account = account(vec![hotp_token(1, 0)]);
    let through = |account: &Account, packet: u8, channel: u64| {
        let attempt = Attempt {
            channel: Some(Channel(channel)),
            ..attempt(APPENDIX_D[0].as_bytes(), packet)
        };
        match decide(account, &kdc(), &attempt, NOW) {
            Progress::Decided(decision) => decision,
            Progress::NeedsPassword(_) => panic!(),
        }
    };
    let first = through(&account, 1, 7);
    assert_eq!(first.reason, Reason::Accepted);
    apply(&mut account, &first);
    assert_eq!(
        through(&account, 2, 7).reason,
        Reason::ReplayedCode,
        "the same KDC process does not ask twice"
    );
    assert_eq!(
        through(&account, 1, 7).reason,
        Reason::SamePacket,
        "unless it is the same packet"
    );
    let twin = through(&account, 3, 8);
    assert_eq!(twin.reason, Reason::Twin, "another worker");
    apply(&mut account, &twin);
    assert_eq!(
        through(&account, 4, 8).reason,
        Reason::ReplayedCode,
        "which does not ask twice either"
    );
    assert_eq!(through(&account, 3, 9).reason, Reason::SamePacket);
    assert_eq!(through(&account, 4, 9).reason, Reason::Twin, "a third");
}

#[test]
fn a_password_that_waits_for_its_check_is_not_shown() {
    let mut account = account(vec![hotp_token(1, 0)]);
    account.user.password = Some(PasswordHash::new("$argon2id$hash".into()));
    let credential = [b"correct horse", APPENDIX_D[0].as_bytes()].concat();
    let progress = decide(&account, &kdc(), &attempt(&credential, 1), NOW);
    assert!(matches!(progress, Progress::NeedsPassword(_)));
    let shown = format!("{progress:?}");
    let octets = format!("{:?}", b"correct horse".as_slice());
    for secret in ["correct horse", &octets, "$argon2id", APPENDIX_D[0]] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Who decides: the user's own upstream before the realm's, and nobody for those who are refused here.
#[test]
fn others_decide_on_those_who_may_log_in() {
    let upstream = |name: &str| Upstream {
        name: name.parse().unwrap(),
        user_name: None,
    };
    let (own, realm) = (upstream("own"), upstream("realm"));
    let here = account(vec![hotp_token(1, 0)]);
    let mut forwarded = here.clone();
    forwarded.user.upstream = Some(own.clone());
    let with = |account: &Account, change: fn(&mut User)| {
        let mut account = account.clone();
        change(&mut account.user);
        account
    };
    let disabled = |user: &mut User| user.enabled = false;
    let expired = |user: &mut User| user.expires_at = Some(NOW);
    let refused = Destination::Refused;
    for (account, realm, expected) in [
        (Some(here.clone()), None, Destination::Here),
        (None, None, Destination::Here),
        (None, Some(&realm), Destination::Upstream(&realm)),
        (Some(here.clone()), Some(&realm), Destination::Upstream(&realm)),
        (Some(forwarded.clone()), None, Destination::Upstream(&own)),
        (Some(forwarded.clone()), Some(&realm), Destination::Upstream(&own)),
        (
            Some(with(&forwarded, disabled)),
            None,
            refused(Reason::UserDisabled),
        ),
        (
            Some(with(&forwarded, expired)),
            None,
            refused(Reason::UserExpired),
        ),
        (
            Some(with(&here, disabled)),
            Some(&realm),
            refused(Reason::UserDisabled),
        ),
        (Some(with(&here, disabled)), None, Destination::Here),
    ] {
        assert_eq!(destination(account.as_ref(), realm, &kdc(), NOW), expected);
    }
    let closed = Client {
        enabled: false,
        ..kdc()
    };
    assert_eq!(
        destination(None, Some(&realm), &closed, NOW),
        refused(Reason::ClientDisabled)
    );

    // A right code is worth nothing to somebody on whom others decide, and nothing is counted or spent.
    for code in [totp_at(STEP), "000000".to_owned(), String::new()] {
        let decision = decided(&forwarded, &kdc(), &code, NOW);
        assert_eq!(
            (decision.verdict, decision.reason),
            (Verdict::Forward, Reason::Forwarded)
        );
        assert!(decision.effects.is_empty() && decision.token.is_none());
    }
    let decision = decided(&with(&forwarded, disabled), &kdc(), "000000", NOW);
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::Reject, Reason::UserDisabled)
    );
}

#[test]
fn what_cannot_be_told_spends_nothing_and_ends_its_question() {
    let mut account = account(vec![hotp_token(1, 0)]);
    let dialogue = Dialogue {
        id: DialogueId([3; 16]),
        user: Some(account.user.id),
        client: KDC,
        expires_at: NOW,
        stage: Stage::Code,
    };
    let answered = Attempt {
        dialogue: Some(&dialogue),
        ..attempt(APPENDIX_D[0].as_bytes(), 1)
    };
    let decide_now = |account: &Account| match decide(account, &kdc(), &answered, NOW) {
        Progress::Decided(decision) => (decision.verdict, decision.reason, decision),
        Progress::NeedsPassword(_) => panic!("unexpected password check"),
    };
    let (_, reason, accepted) = decide_now(&account);
    assert_eq!(reason, Reason::Accepted);
    let untold = accepted.untold();
    assert_eq!(
        (untold.verdict, untold.reason, untold.token),
        (Verdict::Reject, Reason::ReplyTooLong, Some(TokenId(1)))
    );
    apply(&mut account, &untold);
    assert_eq!(decide_now(&account).1, Reason::NoSuchDialogue);
    let anew = decided(&account, &kdc(), APPENDIX_D[0], NOW);
    assert_eq!(anew.reason, Reason::Accepted, "nothing was spent");
}
