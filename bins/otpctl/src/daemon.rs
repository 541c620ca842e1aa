//! The running daemon, asked at its socket of administration: HTTP/1.1 (RFC 9112), one request a connection.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Exit, failure::Failure};

// No documentation comment: it would take the place of that of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct AdminSocket {
    /// The daemon's `admin_socket`.
    #[arg(
        long,
        value_name = "FILE",
        env = "OTP_RADIUSD_ADMIN_SOCKET",
        default_value = "/run/otp-radiusd/admin.socket"
    )]
    socket: PathBuf,
}

/// What to do where something else answers.
pub(crate) const OTHER_PROGRAM: &str = "another program answers at this socket; name the daemon's with --socket (`admin_socket` in its configuration)";

/// The daemon answers at once; if it does not, it does nothing else either.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of an answer.
const LONGEST: u64 = 4 * 1024 * 1024;
const MOST_FIELDS: usize = 32;

/// What the daemon says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl AdminSocket {
    /// Asks for something to be done.
    pub(crate) fn post(&self, path: &str) -> Result<Answer, Failure> {
        request(&self.socket, "POST", path)
    }

    /// Asks for something to be told.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        request(&self.socket, "GET", path)
    }
}

fn request(socket: &Path, method: &str, path: &str) -> Result<Answer, Failure> {
    let answer = ask(socket, method, path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                "is the daemon running (systemctl status otp-radiusd), and is this its `admin_socket`? Another one: --socket FILE"
            }
            io::ErrorKind::PermissionDenied => "run the command as root or as the user who runs the daemon",
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "the daemon does not answer; look at its log (journalctl -u otp-radiusd)"
            }
            _ => OTHER_PROGRAM,
        };
        Failure::file("reach the daemon at", socket, error).with_remedy(remedy)
    })?;
    parse(&answer).ok_or_else(|| Failure::new(Exit::Io, "the answer is no HTTP").with_remedy(OTHER_PROGRAM))
}

fn ask(socket: &Path, method: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(answer).ok()? else {
        return None;
    };
    Some(Answer {
        status: response.code?,
        body: answer.get(head..)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let whole = b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 2\r\n\r\n{}";
        let answer = parse(whole).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (422, &b"{}"[..]));
        for length in 0..whole.len() - 2 {
            assert!(parse(&whole[..length]).is_none(), "{length}");
        }
        assert!(parse(b"220 mail.example.com ESMTP\r\n\r\n").is_none());
    }
}
