//! Logins in several steps: who may answer which question, when, and how often.

use otp_core::{Hotp, HotpState, Otp};
use otp_validation::{
    Account, AccountVersion, Attempt, ClientId, CredentialDigest, DIALOGUE_LIFE, Decision, Dialogue,
    DialogueId, ENDED_DIALOGUES, Grammar, PacketDigest, PasswordHash, Progress, Question, Reason, Stage,
    TokenMode, TokenStatus, UNANSWERED_QUESTIONS, UnixTime, UserId, Verdict, can_be_asked, decide,
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

/// What comes of a credential where the grammar is `auto`, if the password is "correct horse"; and how many were checked.
fn automatic(account: &Account, can_challenge: bool, credential: &str) -> (Decision, u32) {
    let mut nas = client(1);
    nas.grammar = Some(Grammar::Auto);
    nas.can_challenge = can_challenge;
    let attempt = Attempt {
        credential: credential.as_bytes(),
        credential_digest: CredentialDigest([1; 32]),
        packet: PacketDigest([u8::try_from(account.version.0).unwrap(); 32]),
        channel: None,
        dialogue: None,
    };
    match decide(account, &nas, &attempt, NOW) {
        Progress::Decided(decision) => (decision, 0),
        Progress::NeedsPassword(check) => {
            let is_right = check.password() == b"correct horse";
            (check.conclude(is_right), 1)
        }
    }
}

#[test]
fn where_it_is_learned_one_field_is_enough_and_the_password_alone_leads_to_a_question() {
    const ASKED: Verdict = Verdict::Challenge(Question::Code);
    let (account, right) = (alice(), code(0));
    let both = format!("correct horse{}", right.as_str());
    let rows: [(&str, Verdict, Reason, u32, usize); 6] = [
        (&both, Verdict::Accept, Reason::Accepted, 1, 2),
        ("correct horse", ASKED, Reason::CodeAsked, 1, 0),
        ("wrong horse", Verdict::Reject, Reason::WrongPassword, 1, 1),
        ("wrong horse755224", Verdict::Reject, Reason::WrongPassword, 1, 1),
        // No code that is right: it might be the end of the password.
        (
            "correct horse000000",
            Verdict::Reject,
            Reason::WrongPassword,
            1,
            1,
        ),
        ("755224", Verdict::Reject, Reason::WrongPassword, 1, 1),
    ];
    for (credential, verdict, reason, checks, effects) in rows {
        let (decided, checked) = automatic(&account, true, credential);
        assert_eq!(
            (decided.verdict, decided.reason),
            (verdict, reason),
            "{credential}"
        );
        assert_eq!(checked, checks, "{credential}");
        assert_eq!(decided.effects.len(), effects, "{credential}");
    }
    // A code that is spent is told from a wrong password, and counts for nothing.
    let spent = after(account, &automatic(&alice(), true, &both).0).unwrap();
    let mut attempt = automatic(&spent, true, &both);
    assert_eq!((attempt.0.reason, attempt.1), (Reason::ReplayedCode, 0));
    assert!(attempt.0.effects.is_empty());

    // Without a password the code is all there is.
    let mut account = alice();
    account.user.password = None;
    attempt = automatic(&account, true, right.as_str());
    assert_eq!((attempt.0.verdict, attempt.1), (Verdict::Accept, 0));
    assert_eq!(automatic(&account, true, "000000").0.verdict, ASKED);
    assert_eq!(
        automatic(&account, false, right.as_str()).0.verdict,
        Verdict::Accept
    );
    assert_eq!(automatic(&account, false, "000000").0.reason, Reason::WrongCode);
}

#[test]
fn who_never_answers_is_told_no_at_once() {
    let account = alice();
    let both = format!("correct horse{}", code(0).as_str());
    for (credential, reason, checks) in [
        ("correct horse", Reason::NeverAnswers, 0),
        ("wrong horse", Reason::NeverAnswers, 0),
        ("correct horse000000", Reason::WrongCode, 0),
        (&*both, Reason::Accepted, 1),
    ] {
        let (decided, checked) = automatic(&account, false, credential);
        assert_eq!((decided.reason, checked), (reason, checks), "{credential}");
        assert_ne!(decided.verdict, Verdict::Challenge(Question::Code));
    }
    assert!(can_be_asked(UNANSWERED_QUESTIONS - 1, 0));
    assert!(!can_be_asked(UNANSWERED_QUESTIONS, 0));
    assert!(can_be_asked(u64::MAX, 1));
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
