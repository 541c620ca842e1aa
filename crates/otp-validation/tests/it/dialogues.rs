//! Logins in several steps: who may answer which question, when, and how often.

use otp_core::{Hotp, HotpState, Otp};
use otp_validation::{
    Account, AccountVersion, Attempt, ClientId, CredentialDigest, DIALOGUE_LIFE, Decision, Dialogue,
    DialogueId, ENDED_DIALOGUES, Grammar, PacketDigest, PasswordHash, Progress, Question, Reason, Stage,
    TokenMode, TokenStatus, UnixTime, UserId, Verdict, decide,
};

use crate::support::{account, client, key, token};

const NOW: UnixTime = UnixTime(1_800_000_000);
const USER: UserId = UserId(1);

fn alice() -> Account {
    let mode = TokenMode::Hotp {
        hotp: Hotp::default(),
        state: HotpState { next: 0 },
        look_ahead: 10,
    };
    let mut account = account(token(mode, TokenStatus::Active));
    account.user.password = Some(PasswordHash::new("$argon2id$".into()));
    account.user.grammar = Some(Grammar::Challenge);
    account
}

fn code(counter: u64) -> Otp {
    Hotp::default().generate(&key(), counter)
}

fn question(stage: Stage) -> Dialogue {
    Dialogue {
        id: DialogueId([7; 16]),
        user: Some(USER),
        client: ClientId(1),
        expires_at: UnixTime(NOW.0 + DIALOGUE_LIFE),
        stage,
    }
}

fn answer(account: &Account, dialogue: &Dialogue, credential: &str, now: UnixTime) -> Decision {
    // Each packet is like no other.
    let mut packet = [0; 32];
    packet[..credential.len()].copy_from_slice(credential.as_bytes());
    let attempt = Attempt {
        credential: credential.as_bytes(),
        credential_digest: CredentialDigest([1; 32]),
        packet: PacketDigest(packet),
        channel: None,
        dialogue: Some(dialogue),
    };
    match decide(account, &client(1), &attempt, now) {
        Progress::Decided(decision) => decision,
        Progress::NeedsPassword(_) => panic!("an answer is a code alone"),
    }
}

fn after(account: Account, decision: &Decision) -> Option<Account> {
    let version = AccountVersion(account.version.0 + 1);
    account.after(&decision.effects, version)
}

#[test]
fn the_password_comes_first_and_alone() {
    let account = alice();
    let attempt = |credential: &'static [u8]| Attempt {
        credential,
        credential_digest: CredentialDigest([1; 32]),
        packet: PacketDigest([2; 32]),
        channel: None,
        dialogue: None,
    };
    let Progress::NeedsPassword(check) = decide(&account, &client(1), &attempt(b"correct horse"), NOW) else {
        panic!("the password is checked")
    };
    assert_eq!(check.password(), b"correct horse");
    let asked = check.conclude(true);
    assert_eq!(asked.verdict, Verdict::Challenge(Question::Code));
    assert!(asked.effects.is_empty(), "{asked:?}");
    // Who cannot be asked says everything at once.
    let mut kdc = client(1);
    kdc.can_challenge = false;
    let wrong = decide(&account, &kdc, &attempt(b"correct horse"), NOW);
    assert!(matches!(wrong, Progress::Decided(decision) if decision.reason == Reason::NotACode));
}

#[test]
fn users_without_a_password_send_the_code_or_are_asked_for_it() {
    let mut account = alice();
    account.user.password = None;
    let decided = |credential: &str| {
        let attempt = Attempt {
            credential: credential.as_bytes(),
            credential_digest: CredentialDigest([1; 32]),
            packet: PacketDigest([2; 32]),
            channel: None,
            dialogue: None,
        };
        match decide(&account, &client(1), &attempt, NOW) {
            Progress::Decided(decision) => decision,
            Progress::NeedsPassword(_) => panic!("nobody has a password"),
        }
    };
    assert_eq!(decided(code(0).as_str()).verdict, Verdict::Accept);
    let guess = decided("000000");
    assert_eq!(guess.verdict, Verdict::Challenge(Question::Code));
    assert_eq!(guess.effects.len(), 1, "a guess is counted: {guess:?}");
}

#[test]
fn a_question_is_answered_once_whatever_the_answer_was() {
    for (credential, reason) in [
        (code(0).as_str(), Reason::Accepted),
        ("000000", Reason::WrongCode),
        ("no code", Reason::NotACode),
    ] {
        let asked = question(Stage::Code);
        let first = answer(&alice(), &asked, credential, NOW);
        assert_eq!(first.reason, reason);
        let account = after(alice(), &first).expect("effects on what there is");
        let again = answer(&account, &asked, code(1).as_str(), NOW);
        assert_eq!(again.reason, Reason::NoSuchDialogue, "{credential}");
        assert!(again.effects.is_empty());
        // Two answers that were decided on one snapshot: the second does not fit any more.
        assert!(after(account, &first).is_none());
    }
}

#[test]
fn a_question_is_its_users_and_its_clients_and_expires() {
    let asked = question(Stage::Code);
    let with = |change: fn(&mut Dialogue)| {
        let mut other = asked.clone();
        change(&mut other);
        other
    };
    let right = code(0);
    for (what, dialogue) in [
        ("another user's", with(|asked| asked.user = Some(UserId(2)))),
        ("nobody's", with(|asked| asked.user = None)),
        ("another client's", with(|asked| asked.client = ClientId(2))),
        ("expired", with(|asked| asked.expires_at = UnixTime(NOW.0 - 1))),
        (
            "of a clock that was ahead",
            with(|asked| asked.expires_at = UnixTime(NOW.0 + DIALOGUE_LIFE + 1)),
        ),
    ] {
        let decided = answer(&alice(), &dialogue, right.as_str(), NOW);
        assert_eq!(decided.reason, Reason::NoSuchDialogue, "{what}");
    }
    let refused = answer(&alice(), &question(Stage::Refused), right.as_str(), NOW);
    assert_eq!(refused.reason, Reason::RefusedBefore);
    let last = answer(&alice(), &asked, right.as_str(), UnixTime(NOW.0 + DIALOGUE_LIFE));
    assert_eq!(last.reason, Reason::Accepted);
}

#[test]
fn two_codes_in_a_row_set_a_token_right() {
    let ahead = answer(&alice(), &question(Stage::Code), code(90).as_str(), NOW);
    assert_eq!(ahead.verdict, Verdict::Challenge(Question::NextCode));
    assert_eq!(
        ahead.effects.len(),
        2,
        "counted, and the question is over: {ahead:?}"
    );
    let asked = question(Stage::NextCode(code(90)));
    let right = answer(&alice(), &asked, code(91).as_str(), NOW);
    assert_eq!(right.reason, Reason::Accepted);
    for wrong in [code(90), code(92), code(0)] {
        let decided = answer(&alice(), &asked, wrong.as_str(), NOW);
        assert_eq!(decided.reason, Reason::WrongCode, "{wrong:?}");
    }
    // Further ahead than that, it is a wrong code and nothing else.
    let too_far = answer(&alice(), &question(Stage::Code), code(150).as_str(), NOW);
    assert_eq!(too_far.reason, Reason::WrongCode);
}

#[test]
fn there_is_room_for_so_many_answers_at_a_time() {
    let mut account = alice();
    account.user.password = None;
    for number in 0..=ENDED_DIALOGUES {
        let mut asked = question(Stage::Code);
        asked.id = DialogueId([u8::try_from(number).unwrap(); 16]);
        let decided = answer(&account, &asked, "no code", NOW);
        match after(account.clone(), &decided) {
            Some(next) => account = next,
            None => assert_eq!(number, ENDED_DIALOGUES),
        }
    }
    assert_eq!(account.ended_dialogues.len(), ENDED_DIALOGUES);
    // Those that have expired make room.
    let later = UnixTime(NOW.0 + DIALOGUE_LIFE + 1);
    let mut asked = question(Stage::Code);
    asked.id = DialogueId([99; 16]);
    asked.expires_at = UnixTime(later.0 + DIALOGUE_LIFE);
    let decided = answer(&account, &asked, "no code", later);
    assert_eq!(after(account, &decided).unwrap().ended_dialogues.len(), 1);
}
