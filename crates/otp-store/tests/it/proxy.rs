//! Between a store and its server: passes everything on, until it is told to fail at a COMMIT.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    thread,
};

use tempfile::TempDir;

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It never arrives.
    Swallow = 1,
    /// It is carried out, and nobody hears of it.
    Silence,
}

/// A socket as a server has it.
pub struct Proxy {
    dir: TempDir,
    trap: Arc<AtomicU8>,
    sprung: Arc<AtomicU32>,
}

impl Proxy {
    /// A way to the server whose socket is in `server`.
    pub fn before(server: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let proxy = Self {
            dir,
            trap: Arc::default(),
            sprung: Arc::default(),
        };
        let (server, trap, sprung) = (
            server.join(".s.PGSQL.5432"),
            Arc::clone(&proxy.trap),
            Arc::clone(&proxy.sprung),
        );
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, trap, sprung) = (server.clone(), Arc::clone(&trap), Arc::clone(&sprung));
                thread::spawn(move || pass(client, &server, &trap, &sprung));
            }
        });
        proxy
    }

    pub fn socket_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn set(&self, trap: Trap) {
        self.trap.store(trap as u8, Ordering::SeqCst);
    }

    /// How many COMMITs it has failed.
    pub fn sprung(&self) -> u32 {
        self.sprung.load(Ordering::SeqCst)
    }
}

fn pass(mut client: UnixStream, server: &Path, trap: &AtomicU8, sprung: &AtomicU32) {
    let mut server = UnixStream::connect(server).unwrap();
    let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(std::net::Shutdown::Both);
    });
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let octets = &buffer[..read];
        // A simple query: 'Q', its length, the text, a NUL.
        let is_commit = octets.windows(8).any(|window| window == b"\x00\x0bCOMMIT");
        let set = if is_commit {
            trap.swap(0, Ordering::SeqCst)
        } else {
            0
        };
        if set != 0 {
            sprung.fetch_add(1, Ordering::SeqCst);
            // Nothing comes back any more.
            let _ = client.shutdown(std::net::Shutdown::Both);
            if set == Trap::Silence as u8 {
                server.write_all(octets).unwrap();
                // Closed by the server when it has done its work and finds nobody.
                let _ = server.shutdown(std::net::Shutdown::Write);
            } else {
                let _ = server.shutdown(std::net::Shutdown::Both);
            }
            break;
        }
        if server.write_all(octets).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Write);
    let _ = back.join();
}
