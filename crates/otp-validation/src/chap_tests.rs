//! Logins by CHAP, row by row. What stands in for MD5 here is the code itself.

use otp_core::{Hotp, HotpState, TokenKey, Totp, TotpState, Window};
use subtle::ConstantTimeEq as _;

use super::*;
use crate::{
    AccountVersion, ClientId, CredentialDigest, Effect, Lockouts, PacketDigest, PasswordHash,
    ReplyAttributes, Token, TokenId, TokenStatus, User, UserId, UserName, Verdict,
};

/// RFC 4226 Appendix D: Count = 0 … 9.
const APPENDIX_D: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
];
const NOW: UnixTime = UnixTime(1_111_111_109);

fn token(id: i64, mode: TokenMode) -> Token {
    Token {
        id: TokenId(id),
        label: format!("token-{id}"),
        enabled: true,
        status: TokenStatus::Active,
        key: TokenKey::from(*b"12345678901234567890"),
        mode,
    }
}

fn hotp(next: u64) -> Token {
    let mode = TokenMode::Hotp {
        hotp: Hotp::default(),
        state: HotpState { next },
        look_ahead: 3,
    };
    token(1, mode)
}

fn totp(next: u64) -> Token {
    let mode = TokenMode::Totp {
        totp: Totp::default(),
        state: TotpState { next, drift: 0 },
        window: Window::default(),
    };
    token(2, mode)
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

fn vpn() -> Client {
    Client {
        id: ClientId(1),
        name: "vpn".into(),
        enabled: true,
        grammar: None,
        repeat_grace: 0,
        can_challenge: true,
    }
}

/// What is decided when the user has answered with `code`.
fn answered(account: &Account, client: &Client, code: &str) -> Decision {
    let proven = proven_code(account, NOW, |otp| otp.as_str().as_bytes().ct_eq(code.as_bytes()));
    let attempt = Attempt {
        credential: proven.as_ref().map_or(b"", |otp| otp.as_str().as_bytes()),
        credential_digest: CredentialDigest([1; 32]),
        packet: PacketDigest([2; 32]),
        channel: None,
        dialogue: None,
    };
    decide_chap(account, client, &attempt, NOW)
}

#[test]
fn each_code_of_the_window_is_found_and_no_other() {
    let account = account(vec![hotp(4)]);
    for (counter, code) in APPENDIX_D.iter().enumerate() {
        let decision = answered(&account, &vpn(), code);
        let expected = match counter {
            0..4 => Reason::ReplayedCode,
            4..=7 => Reason::Accepted,
            _ => Reason::WrongCode,
        };
        assert_eq!(decision.reason, expected, "{counter}");
        let consumed = decision.effects.iter().find_map(|effect| match effect {
            Effect::Consume { matched, next, .. } => Some((*matched, *next)),
            _ => None,
        });
        let counter = u64::try_from(counter).unwrap();
        assert_eq!(
            consumed,
            (expected == Reason::Accepted).then_some((counter, counter + 1))
        );
    }
}

/// As many questions whether a code is right, or which one.
#[test]
fn every_code_is_asked_about_whichever_it_is() {
    let account = account(vec![hotp(20), totp(0)]);
    let asked = |is_it: &dyn Fn(u32) -> bool| {
        let mut asked = 0;
        let proven = proven_code(&account, NOW, |_| {
            asked += 1;
            u8::from(is_it(asked)).into()
        });
        (asked, proven.is_some())
    };
    // Ten behind, the next one, three ahead; three steps.
    assert_eq!(asked(&|_| false), (17, false));
    for right in 1..=17 {
        assert_eq!(asked(&|number| number == right), (17, true), "{right}");
    }
}

#[test]
fn a_step_is_accepted_once() {
    let step = NOW.0 / 30;
    let code = Totp::default()
        .at(&TokenKey::from(*b"12345678901234567890"), NOW.0)
        .unwrap();
    let decision = answered(&account(vec![hotp(0), totp(step)]), &vpn(), code.as_str());
    assert_eq!(
        (decision.verdict, decision.token),
        (Verdict::Accept, Some(TokenId(2)))
    );
    let again = answered(&account(vec![hotp(0), totp(step + 1)]), &vpn(), code.as_str());
    assert_eq!(again.reason, Reason::ReplayedCode);
}

#[test]
fn a_wrong_answer_is_counted() {
    let decision = answered(&account(vec![hotp(0)]), &vpn(), "000000");
    assert_eq!(decision.reason, Reason::WrongCode);
    assert!(
        matches!(decision.effects[..], [Effect::SetLockout { .. }]),
        "{decision:?}"
    );
}

#[test]
fn where_a_password_is_part_of_the_credential_nothing_is_accepted_or_spent() {
    let mut of_carol = account(vec![hotp(0)]);
    of_carol.user.password = Some(PasswordHash::new("$argon2id$".to_owned()));
    for grammar in Grammar::ALL {
        let client = Client {
            grammar: Some(grammar),
            ..vpn()
        };
        let decision = answered(&of_carol, &client, APPENDIX_D[0]);
        let expected = match grammar {
            Grammar::Otp => Reason::Accepted,
            _ => Reason::ChapWithPassword,
        };
        assert_eq!(decision.reason, expected, "{grammar}");
        assert_eq!(decision.effects.is_empty(), grammar != Grammar::Otp);
    }
    // Who has no password shows the code alone where the password would come first.
    let client = Client {
        grammar: Some(Grammar::Challenge),
        ..vpn()
    };
    let decision = answered(&account(vec![hotp(0)]), &client, APPENDIX_D[0]);
    assert_eq!(decision.reason, Reason::Accepted);
}

#[test]
fn tokens_that_do_not_count_prove_nothing() {
    let mut disabled = hotp(0);
    disabled.enabled = false;
    let decision = answered(&account(vec![disabled]), &vpn(), APPENDIX_D[0]);
    assert_eq!(decision.reason, Reason::NoActiveToken);
}
