//! The socket file: what is replaced, what is refused, what is removed.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt, net},
};

use krad_tokio::{DEFAULT_SOCKET_MODE, UnixSocket, bind_unix};
use tempfile::tempdir;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn mode_and_removal() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    for wanted in [DEFAULT_SOCKET_MODE, 0o660, 0o666] {
        let socket = bind_unix(&path, wanted).unwrap();
        assert_eq!(mode(&path), wanted);
        assert_eq!(socket.path(), Some(path.as_path()));
        drop(socket);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    drop(net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _socket = bind_unix(&path, 0o600).unwrap();
    net::UnixStream::connect(&path).unwrap();
}

#[tokio::test]
async fn a_living_socket_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let living = net::UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(bind_unix(&path, 0o600).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
    net::UnixStream::connect(&path).unwrap();
    drop(living);
    bind_unix(&path, 0o600).unwrap();
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    let stale = directory.path().join("stale");
    drop(net::UnixListener::bind(&stale).unwrap());
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&stale, &link).unwrap();
    for path in [&file, &link, &directory.path().to_owned()] {
        assert_eq!(
            bind_unix(path, 0o600).unwrap_err().kind(),
            ErrorKind::AlreadyExists,
            "{path:?}"
        );
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(link.is_symlink() && stale.exists());
}

#[tokio::test]
async fn a_successors_file_is_not_removed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = bind_unix(&path, 0o600).unwrap();
    fs::rename(&path, directory.path().join("moved")).unwrap();
    let _successor = net::UnixListener::bind(&path).unwrap();
    drop(socket);
    assert!(path.exists());
}

#[tokio::test]
async fn an_inherited_socket_keeps_its_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = UnixSocket::from(tokio::net::UnixListener::bind(&path).unwrap());
    assert_eq!(socket.path(), None);
    drop(socket);
    assert!(path.exists());
}

#[tokio::test]
async fn a_locked_directory_stalls_nobody() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("s");
    let foreign = fs::File::open(directory.path()).unwrap();
    foreign.lock().unwrap();
    let (sent, bound) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let _runtime = runtime.enter();
        sent.send(bind_unix(&path, 0o600).map(drop)).unwrap();
    });
    bound
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("it does not wait for ever")
        .unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_an_error() {
    let directory = tempdir().unwrap();
    let error = bind_unix(directory.path().join("missing/s"), 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let long = directory.path().join("x".repeat(200));
    assert_eq!(
        bind_unix(long, 0o600).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
