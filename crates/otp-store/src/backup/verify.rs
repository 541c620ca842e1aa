//! Reading a backup to its end before anything is believed of it.

use std::{
    collections::HashMap,
    io::{BufReader, Read, Seek, SeekFrom},
    sync::Arc,
};

use otp_validation::UnixTime;

use crate::{
    BackupError, BackupProgress, BackupSummary, KeyId, Kind, RestoreOptions, StoreError,
    backup::{
        format::{Frame, FrameKind, Held, Reader},
        rows::{ALL, CLIENTS, OLDEST_KINDS, REPLAY, Rows, TOKENS, USERS},
    },
    digest::ReplayId,
    keyring::Keyring,
    seal::{Place, Sealed},
    value::{Uid, unix_time, unsigned},
};

/// The look-ahead of tokens that say nothing else.
const USUAL_LOOK_AHEAD: u32 = 10;

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) created_at: UnixTime,
    pub(super) uid: Uid,
    pub(super) key_id: KeyId,
    pub(super) index_key_sealed: Vec<u8>,
    pub(super) made_at: i64,
    counts: [i64; ALL.len()],
}

impl Header {
    /// `is_older`: of a format that may not have known all kinds of rows.
    fn parse(values: &[Held], is_older: bool) -> Option<Self> {
        let [created_at, uid, key_id, index_key, made_at, counts @ ..] = values else {
            return None;
        };
        let mut counts: Vec<_> = counts.iter().map(Held::integer).collect::<Option<_>>()?;
        if is_older && counts.len() >= OLDEST_KINDS {
            counts.resize(ALL.len().max(counts.len()), 0);
        }
        Some(Self {
            created_at: unix_time("the time of a backup", created_at.integer()?).ok()?,
            uid: uid.octets()?.try_into().ok()?,
            key_id: KeyId(key_id.octets()?.try_into().ok()?),
            index_key_sealed: index_key.octets()?.to_vec(),
            made_at: made_at.integer()?,
            counts: counts.try_into().ok()?,
        })
    }

    pub(super) fn total(&self) -> u64 {
        let total = self
            .counts
            .iter()
            .fold(0, |sum: i64, count| sum.saturating_add(*count));
        u64::try_from(total).unwrap_or(0)
    }

    pub(super) fn summary(&self) -> Result<BackupSummary, StoreError> {
        let [users, _, tokens, clients, _, rules] = self.counts;
        Ok(BackupSummary {
            created_at: self.created_at,
            key: self.key_id,
            users: unsigned("a number of users", users)?,
            tokens: unsigned("a number of tokens", tokens)?,
            clients: unsigned("a number of clients", clients)?,
            rules: unsigned("a number of rules", rules)?,
        })
    }
}

/// A file that holds a backup, and the keys that may open it.
pub(super) struct Source<'a, R> {
    pub(super) input: &'a mut R,
    pub(super) ring: &'a Keyring,
}

impl<R: Read + Seek> Source<'_, R> {
    /// Hands every row to `visit`, from the beginning; returns the header when the MAC has proven to be right.
    pub(super) fn each<E: From<BackupError> + From<StoreError>>(
        &mut self,
        mut visit: impl FnMut(&Header, Frame) -> Result<(), E>,
    ) -> Result<Header, E> {
        self.input
            .seek(SeekFrom::Start(0))
            .map_err(|error| BackupError::Read(Arc::new(error)))?;
        let (reader, header) = Reader::begin(BufReader::with_capacity(1 << 16, &mut *self.input))?;
        let header = Header::parse(&header, reader.is_older()).ok_or_else(|| reader.malformed())?;
        let key = self.ring.key(header.key_id).map_err(of_the_backup)?;
        let mut reader = reader.with_key(&key);
        let mut counts = [0_i64; ALL.len()];
        while let Some((kind, mut values)) = reader.next()? {
            let place = ALL.iter().position(|rows| rows.kind == kind);
            let rows = place.and_then(|place| Some((ALL.get(place)?, counts.get_mut(place)?)));
            let (rows, count) = rows.ok_or_else(|| reader.malformed())?;
            if reader.is_older() && values.len() >= rows.oldest {
                values.resize(rows.columns.len().max(values.len()), Held::Null);
            }
            if values.len() != rows.columns.len() {
                return Err(reader.malformed().into());
            }
            *count = count.saturating_add(1);
            visit(&header, (kind, values))?;
        }
        if counts != header.counts {
            return Err(reader.malformed().into());
        }
        Ok(header)
    }
}

/// What a backup holds, and what replay state has to become.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) header: Header,
    /// The smallest counters and steps that may be accepted, by replay state.
    pub(super) next: HashMap<ReplayId, i64>,
    pub(super) hotp_tokens: u64,
    pub(super) totp_tokens: u64,
    pub(super) totp_from: Option<UnixTime>,
}

/// Reads everything, opens what is sealed, and says how far replay state has to move.
///
/// Nobody knows what was accepted since the backup was made. A TOTP token may have spent any step up to the last one that
/// its window has now; of an HOTP token, each login may have spent a code.
pub(super) fn plan(
    source: &mut Source<'_, impl Read + Seek>,
    now: UnixTime,
    options: RestoreOptions,
    mut progress: impl FnMut(BackupProgress),
) -> Result<Plan, StoreError> {
    let ring = source.ring;
    let (mut found, mut advanced) = (HashMap::new(), HashMap::<ReplayId, i64>::new());
    let (mut hotp_tokens, mut totp_tokens, mut totp_from) = (0_u64, 0_u64, None);
    let mut owners = HashMap::new();
    let mut done = 0_u64;
    let malformed = || BackupError::Malformed(0);
    let header = source.each::<StoreError>(|header, (kind, row)| {
        match kind {
            FrameKind::User => {
                let (uid, name) = user(ring, &row)?;
                owners.insert(uid, name);
            }
            FrameKind::Replay => {
                let (id, next) = replay(&row).ok_or_else(malformed)?;
                found.insert(id, next);
            }
            FrameKind::Token => {
                open_token(ring, &row, &owners)?;
                let (id, mode) = mode(&row).ok_or_else(malformed)?;
                let next = *found.get(&id).ok_or_else(malformed)?;
                let to = match mode {
                    Mode::Hotp { look_ahead } => {
                        hotp_tokens = hotp_tokens.saturating_add(1);
                        next.saturating_add(by(look_ahead, options))
                    }
                    Mode::Totp(totp) => {
                        totp_tokens = totp_tokens.saturating_add(1);
                        // A clock that is behind the one of the backup is behind what was accepted since.
                        let (to, from) = totp.after(now.max(header.created_at)).ok_or_else(malformed)?;
                        totp_from = totp_from.max(Some(from));
                        to
                    }
                };
                let highest = advanced.entry(id).or_insert(to);
                *highest = (*highest).max(to);
            }
            FrameKind::Client => client(ring, &row)?,
            FrameKind::Lockout | FrameKind::Rule | FrameKind::Header | FrameKind::End => {}
        }
        done = done.saturating_add(1);
        progress(BackupProgress {
            done,
            total: header.total(),
        });
        Ok(())
    })?;
    let place = Place::of(Sealed::IndexKey, &header.uid);
    open(ring, &header.index_key_sealed, place, Kind::IndexKey, "the store")?;
    for (id, next) in &mut found {
        // State of tokens that are gone: the seed may have been added again, and used.
        let to = advanced.get(id).copied();
        let to = to.unwrap_or_else(|| next.saturating_add(by(USUAL_LOOK_AHEAD, options)));
        *next = (*next).max(to);
    }
    Ok(Plan {
        header,
        next: found,
        hotp_tokens,
        totp_tokens,
        totp_from,
    })
}

fn by(look_ahead: u32, options: RestoreOptions) -> i64 {
    i64::from(look_ahead.saturating_add(1).max(options.hotp_advance))
}

/// What of a token's mode decides how far its replay state moves.
enum Mode {
    Hotp { look_ahead: u32 },
    Totp(Totp),
}

struct Totp {
    step: u64,
    t0: u64,
    future: i64,
    drift: i64,
}

impl Totp {
    /// The first step that cannot have been accepted up to `now`, and when a device that the drift was learned of shows it.
    fn after(&self, now: UnixTime) -> Option<(i64, UnixTime)> {
        let present = now.0.saturating_sub(self.t0).checked_div(self.step)?;
        let present = i64::try_from(present).ok()?;
        let to = present
            .saturating_add(self.drift.max(0))
            .saturating_add(self.future)
            .saturating_add(1);
        let shown = u64::try_from(to.saturating_sub(self.drift)).ok()?;
        let from = shown.checked_mul(self.step)?.checked_add(self.t0)?;
        Some((to, UnixTime(from)))
    }
}

fn mode(row: &[Held]) -> Option<(ReplayId, Mode)> {
    let integer = |column| TOKENS.get(row, column)?.integer();
    let unsigned = |column| u64::try_from(integer(column)?).ok();
    let id = TOKENS.get(row, "replay_id")?.octets()?.try_into().ok()?;
    let mode = match TOKENS.get(row, "kind")?.text()? {
        "hotp" => Mode::Hotp {
            look_ahead: integer("look_ahead")?.try_into().ok()?,
        },
        "totp" => Mode::Totp(Totp {
            step: unsigned("step")?,
            t0: unsigned("t0")?,
            future: integer("window_future")?,
            drift: integer("drift")?,
        }),
        _ => return None,
    };
    Some((id, mode))
}

fn replay(row: &[Held]) -> Option<(ReplayId, i64)> {
    let id = REPLAY.get(row, "id")?.octets()?.try_into().ok()?;
    Some((id, REPLAY.get(row, "next")?.integer()?))
}

/// The random name of a row, and the one that people use.
fn names(rows: &Rows, row: &[Held], name: &str) -> Result<(Uid, String), StoreError> {
    let found = || {
        let uid = rows.get(row, "uid")?.octets()?.try_into().ok()?;
        Some((uid, rows.get(row, name)?.text()?.to_owned()))
    };
    found().ok_or_else(|| BackupError::Malformed(0).into())
}

fn user(ring: &Keyring, row: &[Held]) -> Result<(Uid, String), StoreError> {
    let (uid, name) = names(&USERS, row, "name")?;
    if let Some(record) = USERS.get(row, "password_sealed").and_then(Held::octets) {
        open(
            ring,
            record,
            Place::of(Sealed::Password, &uid),
            Kind::Password,
            &name,
        )?;
    }
    Ok((uid, name))
}

fn open_token(ring: &Keyring, row: &[Held], owners: &HashMap<Uid, String>) -> Result<(), StoreError> {
    let (uid, label) = names(&TOKENS, row, "label")?;
    let owner: Option<Uid> = TOKENS
        .get(row, "owner")
        .and_then(Held::octets)
        .and_then(|octets| octets.try_into().ok());
    let user = owner.and_then(|owner| owners.get(&owner));
    let record = TOKENS.get(row, "key_sealed").and_then(Held::octets);
    let (Some(owner), Some(user), Some(record)) = (owner, user, record) else {
        return Err(BackupError::Malformed(0).into());
    };
    let place = Place {
        kind: Sealed::TokenKey,
        uid: &uid,
        owner: &owner,
    };
    open(ring, record, place, Kind::Token, &format!("{user}/{label}"))
}

fn client(ring: &Keyring, row: &[Held]) -> Result<(), StoreError> {
    let (uid, name) = names(&CLIENTS, row, "name")?;
    let columns = [
        ("secret_sealed", Sealed::ClientSecret),
        ("old_secret_sealed", Sealed::OldClientSecret),
    ];
    for (column, sealed) in columns {
        if let Some(record) = CLIENTS.get(row, column).and_then(Held::octets) {
            open(ring, record, Place::of(sealed, &uid), Kind::Client, &name)?;
        }
    }
    Ok(())
}

/// Makes sure that `record` opens where it stands.
fn open(ring: &Keyring, record: &[u8], place: Place<'_>, kind: Kind, name: &str) -> Result<(), StoreError> {
    match ring.open(record, place) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(BackupError::Unsealable {
            kind,
            name: name.to_owned(),
        }
        .into()),
        Err(error) => Err(of_the_backup(error)),
    }
}

/// A key that is missing is one that the backup needs.
fn of_the_backup(error: StoreError) -> StoreError {
    match error {
        StoreError::WrongKey {
            path,
            found,
            expected,
        } => BackupError::WrongKey {
            needed: expected,
            found,
            path: path.display().to_string(),
        }
        .into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_that_a_window_has_now_is_left() {
        for (now, drift, future, expected) in [
            (0, 0, 1, (2, 60)),
            (59, 0, 1, (3, 90)),
            (60, 3, 1, (7, 120)),
            (60, -3, 1, (4, 210)),
            (1_800_000_000, 0, 0, (60_000_001, 1_800_000_030)),
        ] {
            let totp = Totp {
                step: 30,
                t0: 0,
                future,
                drift,
            };
            let (to, from) = totp.after(UnixTime(now)).unwrap();
            assert_eq!((to, from.0), expected, "{now} {drift}");
        }
        let endless = Totp {
            step: 0,
            t0: 0,
            future: 0,
            drift: 0,
        };
        assert!(endless.after(UnixTime(9)).is_none());
    }
}
