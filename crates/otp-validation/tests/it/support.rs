//! An account and a client to decide on.

use otp_core::TokenKey;
use otp_validation::{
    Account, AccountVersion, Attempt, Client, ClientId, CredentialDigest, Decision, Effect, Lockouts,
    PacketDigest, Progress, ReplyAttributes, Token, TokenId, TokenMode, TokenStatus, UnixTime, User, UserId,
    UserName, decide,
};

pub(crate) fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

pub(crate) fn token(mode: TokenMode, status: TokenStatus) -> Token {
    Token {
        id: TokenId(1),
        label: "phone".into(),
        enabled: true,
        status,
        key: key(),
        mode,
    }
}

pub(crate) fn account(token: Token) -> Account {
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
        tokens: vec![token],
        lockouts: Lockouts::default(),
        acceptances: Vec::new(),
        ended_dialogues: Vec::new(),
        version: AccountVersion(1),
    }
}

pub(crate) fn client(id: i64) -> Client {
    Client {
        id: ClientId(id),
        name: format!("client-{id}"),
        enabled: true,
        grammar: None,
        repeat_grace: 0,
        can_challenge: true,
    }
}

/// Decides a code that comes through `client`, in a packet like no other of the test's.
pub(crate) fn decided(account: &Account, client: &Client, code: &str, now: UnixTime) -> Decision {
    let attempt = Attempt {
        credential: code.as_bytes(),
        credential_digest: CredentialDigest([1; 32]),
        packet: PacketDigest([2; 32]),
        channel: None,
        dialogue: None,
    };
    match decide(account, client, &attempt, now) {
        Progress::Decided(decision) => decision,
        Progress::NeedsPassword(_) => panic!("nobody has a password"),
    }
}

/// Makes the failures and locks of a decision those of the account.
pub(crate) fn count(account: &mut Account, decision: &Decision) {
    for effect in &decision.effects {
        if let Effect::SetLockout {
            client,
            lockout,
            locked_until,
        } = effect
        {
            account.lockouts.set(*client, *lockout);
            account.lockouts.locked_until = *locked_until;
        }
    }
}
