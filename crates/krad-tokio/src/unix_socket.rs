//! The socket file of a UNIX listener.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Mode of a socket file that only its owner may connect to. A KDC runs as root, so this is enough.
pub const DEFAULT_SOCKET_MODE: u32 = 0o600;

/// A listening UNIX stream socket. If [`bind_unix`] made its file, the file is removed on drop.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    file: Option<SocketFile>,
}

/// A socket that somebody else bound, such as systemd: its file stays.
impl From<UnixListener> for UnixSocket {
    fn from(listener: UnixListener) -> Self {
        Self { listener, file: None }
    }
}

impl UnixSocket {
    /// Where the file is, if [`bind_unix`] made it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Waits for a connection. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// Most likely that no file descriptor is left: the listener is as good as before.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

/// Binds a UNIX stream socket at `path`, with the permission bits `mode`, and listens. Called within a tokio
/// runtime.
///
/// The socket of a process that ended is replaced. That of a living one, and anything that is no socket, is
/// left alone. The directory has to be writable for nobody but the daemon.
///
/// # Errors
///
/// - [`ErrorKind::AddrInUse`] if a process listens there;
/// - [`ErrorKind::AlreadyExists`] if `path` is no socket, or a symbolic link;
/// - any other error of the file system or the socket.
pub fn bind_unix(path: impl AsRef<Path>, mode: u32) -> io::Result<UnixSocket> {
    let path = path.as_ref();
    let address = SockAddr::unix(path)?;
    // Two daemons that start together must not both take the old socket for stale after one has replaced it.
    let directory = File::open(
        path.parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )?;
    lock(&directory)?;
    remove_stale(path, &address)?;

    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux makes the file with the mode of the socket, so that there is no moment of a wider one.
    let socket = File::from(OwnedFd::from(socket));
    let _ = socket.set_permissions(Permissions::from_mode(mode));
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&address)?;
    let file = SocketFile::new(path)?;
    // The umask took bits away, or the system is not Linux.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
    Ok(UnixSocket {
        listener,
        file: Some(file),
    })
}

/// Waits for the lock of the directory, but only for as long as another daemon may take to bind its socket.
///
/// Whoever may look into a directory can lock it. That must keep no daemon from starting: what is lost without the lock is
/// the order among daemons that start in the same moment.
fn lock(directory: &File) -> io::Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        match directory.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Err(_) => thread::sleep(LOCK_PAUSE),
        }
    }
    tracing::warn!("another process keeps the directory of the socket locked; going on without the lock");
    Ok(())
}

/// Removes the socket at `path` if nobody listens there.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        let message = format!("{} exists and is not a socket", path.display());
        return Err(io::Error::new(ErrorKind::AlreadyExists, message));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Connected, or the backlog is full: somebody is there.
        Ok(()) => Err(in_use(path)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(in_use(path)),
        Err(error) => Err(error),
    }
}

fn in_use(path: &Path) -> io::Error {
    io::Error::new(
        ErrorKind::AddrInUse,
        format!("another process listens on {}", path.display()),
    )
}

/// The file that we made, by its identity: a successor's file under the same name is not ours to remove.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let path = std::path::absolute(path)?;
        Ok(Self {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "removing the socket failed");
        }
    }
}

/// How many connections the kernel queues before a connecting KDC blocks.
const BACKLOG: i32 = 128;

/// How often, and after which pause, the lock of the directory is tried: for a second altogether.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
