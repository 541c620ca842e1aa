//! Making a store: all of it or nothing.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use otp_validation::UnixTime;
use rand::CryptoRng;
use rusqlite::TransactionBehavior;
use zeroize::Zeroizing;

use crate::{
    Location, NewClient, Paths, Postgres, StoreError,
    audit::{self, Actor, Deed},
    client,
    error::Fault,
    keyfile,
    keyring::Keyring,
    paths::{check_directory, sync_directory},
    postgres,
    seal::{Place, SealKey, Sealed},
    sql::{Sql, values},
    sqlite::{self, LOCKS, Limits, Role, Turnstile},
    store::Secrets,
    value::{random_uid, time},
};

/// The client that every store begins with.
const KDC: &str = "kdc";

/// Makes directory, key, database and the client `kdc`; on an error, takes away again what it made.
pub(crate) fn init(location: &Location, now: UnixTime, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
    let mut made = Made::default();
    match &location.database {
        None => make(&location.paths, now, rng, &mut made)?,
        Some(database) => make_shared(&location.paths, database, now, rng, &mut made)?,
    }
    made.keep();
    Ok(())
}

/// Fills a database that others share; of several that try at once, one does it.
fn make_shared(
    paths: &Paths,
    database: &Postgres,
    now: UnixTime,
    rng: &mut impl CryptoRng,
    made: &mut Made,
) -> Result<(), StoreError> {
    refuse(&paths.key_file)?;
    make_directory(&paths.state_dir, made)?;
    let owner = check_directory(&paths.state_dir)?;
    let engine = postgres::Engine::open(database, &Arc::default(), &Arc::default())?;
    let seal = SealKey::generate(rng);
    keyfile::create(&paths.key_file, &seal)?;
    made.file(paths.key_file.clone());
    let ring = Keyring::new(&paths.key_file, owner, seal.clone());
    sync_directory(&paths.state_dir)?;
    let filled = engine.prepare(|transaction| {
        postgres::refuse_tables(transaction, database)?;
        postgres::migrate(transaction)?;
        let secrets = write_meta(transaction, &seal, ring, now, rng)?;
        client::add(transaction, &secrets, &NewClient::unix(KDC, now), rng)
    });
    filled.map(drop).map_err(|fault| {
        if matches!(fault, Fault::Store(StoreError::UnknownOutcome)) {
            // The tables may be there, and then nothing but this key opens them.
            std::mem::take(made).keep();
        }
        fault.during("making the tables")
    })
}

fn make(paths: &Paths, now: UnixTime, rng: &mut impl CryptoRng, made: &mut Made) -> Result<(), StoreError> {
    refuse_existing(paths)?;
    make_directory(&paths.state_dir, made)?;
    let owner = check_directory(&paths.state_dir)?;
    for lock in LOCKS.map(|name| paths.state_dir.join(name)) {
        if !lock.exists() {
            made.file(lock);
        }
    }
    let turnstile = Turnstile::open(&paths.state_dir)?;
    let _turn = turnstile.enter()?;
    // Somebody else may have been quicker.
    refuse_existing(paths)?;
    let seal = SealKey::generate(rng);
    keyfile::create(&paths.key_file, &seal)?;
    made.file(paths.key_file.clone());
    let ring = Keyring::new(&paths.key_file, owner, seal.clone());
    link_new(paths, made, |sql| {
        let secrets = write_meta(sql, &seal, ring, now, rng)?;
        client::add(sql, &secrets, &NewClient::unix(KDC, now), rng).map(drop)
    })
}

/// Makes sure that there is no store at `location`; returns the time there, if that is another machine's.
pub(crate) fn refuse_store(location: &Location) -> Result<Option<UnixTime>, StoreError> {
    match &location.database {
        None => refuse(&location.paths.database()).map(|()| None),
        Some(database) => {
            let engine = postgres::Engine::open(database, &Arc::default(), &Arc::default())?;
            let looked = engine.prepare(|transaction| {
                postgres::refuse_tables(transaction, database)?;
                transaction.clock()
            });
            looked.map_err(|fault| fault.during("looking at the database"))
        }
    }
}

/// Makes a database with empty tables, where there is none, and lets `fill` fill them: all of it or nothing. The key is
/// there.
pub(crate) fn fill(
    location: &Location,
    fill: impl FnOnce(Sql<'_>) -> Result<(), Fault>,
) -> Result<(), StoreError> {
    let Some(database) = &location.database else {
        let paths = &location.paths;
        let turnstile = Turnstile::open(&paths.state_dir)?;
        let _turn = turnstile.enter()?;
        // Somebody else may have been quicker.
        refuse(&paths.database())?;
        let mut made = Made::default();
        link_new(paths, &mut made, fill)?;
        made.keep();
        return Ok(());
    };
    let engine = postgres::Engine::open(database, &Arc::default(), &Arc::default())?;
    let filled = engine.prepare(|transaction| {
        postgres::refuse_tables(transaction, database)?;
        postgres::migrate(transaction)?;
        fill(transaction)
    });
    filled.map_err(|fault| fault.during("filling the tables"))
}

/// Makes the database file under another name, fills it and gives it its own. The caller has the turn.
fn link_new(
    paths: &Paths,
    made: &mut Made,
    fill: impl FnOnce(Sql<'_>) -> Result<(), Fault>,
) -> Result<(), StoreError> {
    let draft = Draft::new(paths)?;
    found(&draft.path, fill).map_err(|fault| fault.during("making the database"))?;
    // Under its final name the database is complete. A link, unlike a renaming, never replaces what is there.
    fs::hard_link(&draft.path, paths.database()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyInitialised {
            path: paths.database(),
        },
        _ => StoreError::io("create", paths.database(), error),
    })?;
    made.file(paths.database());
    drop(draft);
    sync_directory(&paths.state_dir)
}

fn refuse_existing(paths: &Paths) -> Result<(), StoreError> {
    refuse(&paths.database())?;
    refuse(&paths.key_file)
}

fn refuse(path: &Path) -> Result<(), StoreError> {
    // A dangling link exists as well.
    match fs::symlink_metadata(path) {
        Ok(_) => Err(StoreError::AlreadyInitialised {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("look at", path, error)),
    }
}

fn make_directory(path: &Path, made: &mut Made) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            made.directory = Some(path.to_owned());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io("create", path, error)),
    }
}

/// The database under a name that nobody opens, with the files that SQLite puts beside it.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(paths: &Paths) -> Result<Self, StoreError> {
        let draft = Self {
            path: paths.state_dir.join("otp.db.new"),
        };
        // Left behind by an attempt that was killed.
        draft.remove();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.path);
        file.map_err(|error| StoreError::io("create", &draft.path, error))?;
        Ok(draft)
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            let _ = fs::remove_file(name);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Fills an empty database file and makes it durable.
fn found(path: &Path, fill: impl FnOnce(Sql<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut connection = sqlite::open(path, Role::Founder, &Limits::default())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    sqlite::migrate(&transaction)?;
    fill(Sql::Sqlite(&transaction))?;
    transaction.commit()?;
    // Closing moves everything from the write-ahead log into the file.
    connection.close().map_err(|(_, error)| error)?;
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::io("sync", path, error).into())
}

fn write_meta(
    transaction: Sql<'_>,
    seal: &SealKey,
    ring: Keyring,
    now: UnixTime,
    rng: &mut impl CryptoRng,
) -> Result<Secrets, Fault> {
    let uid = random_uid(rng);
    let mut index_key = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *index_key);
    let index_key_sealed = seal.seal(&*index_key, Place::of(Sealed::IndexKey, &uid), rng)?;
    transaction.execute(
        "INSERT INTO meta (one, uid, key_id, index_key_sealed, client_epoch, probe, created_at)
         VALUES (1, ?1, ?2, ?3, 0, 0, ?4)",
        values![&uid, &seal.id().0, &index_key_sealed, time(now)],
    )?;
    let secrets = Secrets::new(ring, &index_key);
    let made = Deed::of_store("store-made");
    audit::append(transaction, &secrets.digests, &Actor::default(), &made)?;
    Ok(secrets)
}

/// What an attempt has made so far; taken away when the attempt fails.
#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    directory: Option<PathBuf>,
}

impl Made {
    fn file(&mut self, path: PathBuf) {
        self.files.push(path);
    }

    fn keep(mut self) {
        self.files.clear();
        self.directory = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The error that led here is the one to report; what cannot be removed is named by the next attempt.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}
