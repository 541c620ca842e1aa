//! Fairness between processes that write.
//!
//! SQLite lets a second writer in only when it happens to try at the right moment, so a busy daemon starves `otpctl`.
//! Every writer therefore queues at two file locks: lock `next`, lock `main`, unlock `next`; write; unlock `main`.
//! Whoever holds `next` is the next to write, and the writer that has just finished must queue behind.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::StoreError;

/// The files that are locked, in the order in which they are.
pub(crate) const LOCKS: [&str; 2] = ["next.lock", "main.lock"];

/// A writer's own handles on the two locks.
#[derive(Debug)]
pub(crate) struct Turnstile {
    next: (PathBuf, File),
    main: (PathBuf, File),
}

impl Turnstile {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let [next, main] = LOCKS.map(|name| state_dir.join(name));
        Ok(Self {
            next: open(next)?,
            main: open(main)?,
        })
    }

    /// Waits for this writer's turn, however long the writers before it take.
    pub(crate) fn enter(&self) -> Result<Turn<'_>, StoreError> {
        let _awaited = Awaited::begin();
        let (next_path, next) = &self.next;
        let (main_path, main) = &self.main;
        lock(next).map_err(|error| StoreError::io("lock", next_path, error))?;
        let entered = lock(main).map_err(|error| StoreError::io("lock", main_path, error));
        let left = next
            .unlock()
            .map_err(|error| StoreError::io("unlock", next_path, error));
        entered?;
        TAKEN.fetch_add(1, Ordering::Relaxed);
        let turn = Turn { main };
        left?;
        Ok(turn)
    }
}

/// Writers of this process that stand at a turnstile.
static AWAITED: AtomicU64 = AtomicU64::new(0);

/// Writers of this process whose turn it is.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// How many writers of this process wait for another process to finish.
pub(crate) fn turns_awaited() -> u64 {
    match TAKEN.load(Ordering::Relaxed) {
        0 => AWAITED.load(Ordering::Relaxed),
        // They wait for one of their own.
        _ => 0,
    }
}

/// One of them.
struct Awaited;

impl Awaited {
    fn begin() -> Self {
        AWAITED.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        AWAITED.fetch_sub(1, Ordering::Relaxed);
    }
}

fn open(path: PathBuf) -> Result<(PathBuf, File), StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    match file {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(StoreError::io("open", path, error)),
    }
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    main: &'a File,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::Relaxed);
        // A lock that cannot be released here is released when its file is closed, at the latest when the process ends.
        let _ = self.main.unlock();
    }
}
