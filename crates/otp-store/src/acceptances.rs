//! The verdicts that may be asked for again, and the dialogues that may not, as they stand in the row of their account.
//!
//! They are written together with the account's version, which every acceptance moves in any case.

use otp_validation::{
    ACCEPTANCES_LIVE, Acceptance, Channel, ClientId, CredentialDigest, DialogueId, EndedDialogue,
    PacketDigest, TokenId, Twin, UnixTime, UserId,
};

use crate::{
    StoreError,
    error::Fault,
    sql::{Sql, values},
    value::{time, unix_time},
};

/// The first octet: what follows is of this shape.
const SHAPE: u8 = 1;

/// Nothing at all if there are none; else the shape, the number of dialogues (1), of each its name (16) and expiry (8), and
/// then the acceptances one after the other: packet, credential (32 octets each), client, token, time (8 each), channel,
/// number of twins (1) and the twins, which are packet and channel. A channel is 0, or 1 and 8 octets. Numbers are big-endian.
pub(crate) fn encode(acceptances: &[Acceptance], ended: &[EndedDialogue]) -> Result<Vec<u8>, StoreError> {
    if acceptances.is_empty() && ended.is_empty() {
        return Ok(Vec::new());
    }
    let mut octets = Vec::with_capacity(acceptances.len().saturating_mul(104));
    octets.push(SHAPE);
    // A decision allows sixteen.
    octets.push(number_of("dialogues", ended.len())?);
    for ended in ended {
        octets.extend_from_slice(&ended.id.0);
        octets.extend_from_slice(&time(ended.expires_at).to_be_bytes());
    }
    for acceptance in acceptances {
        octets.extend_from_slice(&acceptance.packet.0);
        octets.extend_from_slice(&acceptance.credential.0);
        octets.extend_from_slice(&acceptance.client.0.to_be_bytes());
        octets.extend_from_slice(&acceptance.token.0.to_be_bytes());
        octets.extend_from_slice(&time(acceptance.at).to_be_bytes());
        encode_channel(&mut octets, acceptance.channel);
        // A decision allows three.
        octets.push(number_of("twins", acceptance.twins.len())?);
        for twin in &acceptance.twins {
            octets.extend_from_slice(&twin.packet.0);
            encode_channel(&mut octets, twin.channel);
        }
    }
    Ok(octets)
}

fn number_of(what: &str, count: usize) -> Result<u8, StoreError> {
    u8::try_from(count).map_err(|_| StoreError::corrupt(format!("more {what} than anybody allows")))
}

fn encode_channel(octets: &mut Vec<u8>, channel: Option<Channel>) {
    match channel {
        None => octets.push(0),
        Some(Channel(number)) => {
            octets.push(1);
            octets.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// What [`encode`] has written.
pub(crate) fn decode(octets: &[u8]) -> Result<(Vec<Acceptance>, Vec<EndedDialogue>), StoreError> {
    let mut rest = match octets.split_first() {
        None => return Ok((Vec::new(), Vec::new())),
        Some((&SHAPE, rest)) => Rest(rest),
        Some(_) => return Err(damaged()),
    };
    let ended = rest.ended_dialogues().ok_or_else(damaged)?;
    let mut acceptances = Vec::new();
    while !rest.0.is_empty() {
        acceptances.push(rest.acceptance().ok_or_else(damaged)?);
    }
    Ok((acceptances, ended))
}

fn damaged() -> StoreError {
    StoreError::corrupt("the remembered verdicts of an account")
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn ended_dialogues(&mut self) -> Option<Vec<EndedDialogue>> {
        let [count] = self.array()?;
        (0..count)
            .map(|_| {
                Some(EndedDialogue {
                    id: DialogueId(self.array()?),
                    expires_at: self.time()?,
                })
            })
            .collect()
    }

    fn time(&mut self) -> Option<UnixTime> {
        u64::try_from(self.number()?).ok().map(UnixTime)
    }

    fn acceptance(&mut self) -> Option<Acceptance> {
        Some(Acceptance {
            packet: PacketDigest(self.array()?),
            credential: CredentialDigest(self.array()?),
            client: ClientId(self.number()?),
            token: TokenId(self.number()?),
            at: self.time()?,
            channel: self.channel()?,
            twins: self.twins()?,
        })
    }

    fn twins(&mut self) -> Option<Vec<Twin>> {
        let [count] = self.array()?;
        (0..count)
            .map(|_| {
                Some(Twin {
                    packet: PacketDigest(self.array()?),
                    channel: self.channel()?,
                })
            })
            .collect()
    }

    fn channel(&mut self) -> Option<Option<Channel>> {
        match self.array()? {
            [0] => Some(None),
            [1] => Some(Some(Channel(u64::from_be_bytes(self.array()?)))),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

/// When somebody was last let in, by the clock of that time.
///
/// It stands with the chains of the audit trail, of which every transaction that commits decisions has one for itself.
pub(crate) fn newest(transaction: Sql<'_>) -> Result<Option<UnixTime>, Fault> {
    let newest: Option<i64> = transaction.one(
        "SELECT max(accepted_at) AS newest FROM audit_chains WHERE accepted_at > 0",
        values![],
        |row| row.get("newest"),
    )?;
    Ok(newest
        .map(|at| unix_time("the time of the newest acceptance", at))
        .transpose()?)
}

/// Forgets all verdicts about a user whose account moves on in the same transaction.
pub(crate) fn forget_user(transaction: Sql<'_>, user: UserId) -> Result<(), Fault> {
    let (_, ended) = transaction.one(
        "SELECT acceptances FROM accounts WHERE user_id = ?1",
        values![user.0],
        |row| Ok(decode(&row.get::<Vec<u8>>("acceptances")?)?),
    )?;
    write(transaction, user, &ended)
}

/// Keeps of an account that moves on in the same transaction the dialogues that have ended, and no verdict.
fn write(transaction: Sql<'_>, user: UserId, ended: &[EndedDialogue]) -> Result<(), Fault> {
    transaction.execute(
        "UPDATE accounts SET acceptances = ?2 WHERE user_id = ?1",
        values![user.0, &encode(&[], ended)?],
    )?;
    Ok(())
}

/// Forgets all verdicts that came through a client, if anybody could still ask for them.
pub(crate) fn forget_client(transaction: Sql<'_>, client: ClientId) -> Result<(), Fault> {
    let Some(newest) = newest(transaction)? else {
        return Ok(());
    };
    let begin = UnixTime(newest.0.saturating_sub(ACCEPTANCES_LIVE));
    let mut lately = Vec::new();
    transaction.each(
        "SELECT user_id, acceptances FROM accounts WHERE accepted_at >= ?1",
        values![time(begin)],
        |row| {
            let (mut acceptances, ended) = decode(&row.get::<Vec<u8>>("acceptances")?)?;
            let all = acceptances.len();
            acceptances.retain(|acceptance| acceptance.client != client);
            if acceptances.len() < all {
                lately.push((UserId(row.get("user_id")?), acceptances, ended));
            }
            Ok(())
        },
    )?;
    // Whoever has decided on the others decides again.
    let next = transaction.next_version();
    let statement = format!("UPDATE accounts SET version = {next}, acceptances = ?2 WHERE user_id = ?1");
    for (user, others, ended) in lately {
        transaction.execute(&statement, values![user.0, &encode(&others, &ended)?])?;
    }
    Ok(())
}

/// Forgets all verdicts. Dialogues that have ended stay ended: a clock that has gone back comes to their time once more.
pub(crate) fn forget_all(transaction: Sql<'_>) -> Result<(), Fault> {
    let mut with_ended = Vec::new();
    transaction.each(
        "SELECT user_id, acceptances FROM accounts WHERE accepted_at > 0",
        values![],
        |row| {
            let (_, ended) = decode(&row.get::<Vec<u8>>("acceptances")?)?;
            if !ended.is_empty() {
                with_ended.push((UserId(row.get("user_id")?), ended));
            }
            Ok(())
        },
    )?;
    let next = transaction.next_version();
    let nothing: &[u8] = &[];
    let statement = format!(
        "UPDATE accounts SET version = {next}, acceptances = ?1, accepted_at = 0 WHERE accepted_at > 0"
    );
    transaction.execute(&statement, values![nothing])?;
    for (user, ended) in with_ended {
        write(transaction, user, &ended)?;
    }
    transaction.execute(
        "UPDATE audit_chains SET accepted_at = 0 WHERE accepted_at > 0",
        values![],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::ValueTree as _};

    use super::*;

    fn channel() -> impl Strategy<Value = Option<Channel>> {
        proptest::option::of(any::<u64>().prop_map(Channel))
    }

    fn twin() -> impl Strategy<Value = Twin> {
        (any::<[u8; 32]>(), channel()).prop_map(|(packet, channel)| Twin {
            packet: PacketDigest(packet),
            channel,
        })
    }

    fn acceptance() -> impl Strategy<Value = Acceptance> {
        let digests = any::<([u8; 32], [u8; 32])>();
        let numbers = (any::<i64>(), any::<i64>(), 0..=i64::MAX as u64);
        (digests, numbers, channel(), prop::collection::vec(twin(), 0..4)).prop_map(
            |((packet, credential), (client, token, at), channel, twins)| Acceptance {
                packet: PacketDigest(packet),
                credential: CredentialDigest(credential),
                client: ClientId(client),
                token: TokenId(token),
                at: UnixTime(at),
                channel,
                twins,
            },
        )
    }

    fn ended() -> impl Strategy<Value = EndedDialogue> {
        (any::<[u8; 16]>(), 0..=i64::MAX as u64).prop_map(|(id, expires_at)| EndedDialogue {
            id: DialogueId(id),
            expires_at: UnixTime(expires_at),
        })
    }

    fn parts(acceptance: &Acceptance) -> impl PartialEq + std::fmt::Debug + use<> {
        let Acceptance {
            packet,
            credential,
            client,
            token,
            at,
            channel,
            twins,
        } = acceptance.clone();
        (packet, credential.0, client, token, at, channel, twins)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            acceptances in prop::collection::vec(acceptance(), 0..9),
            ended in prop::collection::vec(ended(), 0..17),
        ) {
            let octets = encode(&acceptances, &ended).unwrap();
            let (read, read_ended) = decode(&octets).unwrap();
            prop_assert_eq!(read.iter().map(parts).collect::<Vec<_>>(), acceptances.iter().map(parts).collect::<Vec<_>>());
            prop_assert_eq!(&read_ended, &ended);
            // Whatever is missing is missed, but for whole acceptances at the end.
            for end in 1..octets.len() {
                if let Ok((fewer, all_ended)) = decode(&octets[..end]) {
                    prop_assert_eq!(&all_ended, &ended);
                    prop_assert!(fewer.len() < acceptances.len());
                }
            }
        }

        #[test]
        fn anything_is_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok((acceptances, ended)) = decode(&octets) {
                let is_nothing = acceptances.is_empty() && ended.is_empty();
                prop_assert!(is_nothing || encode(&acceptances, &ended).unwrap() == octets);
            }
        }
    }

    #[test]
    fn an_acceptance_without_twins_takes_about_a_hundred_octets() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut one = acceptance().new_tree(&mut runner).unwrap().current();
        (one.channel, one.twins) = (None, Vec::new());
        assert_eq!(encode(&[one], &[]).unwrap().len(), 2 + 90);
        assert_eq!(encode(&[], &[]).unwrap(), []);
    }
}
