//! Just enough of an HTTP/1.1 server (RFC 9112) for tools of this machine: one request without a body on a connection,
//! one answer, and the connection is closed.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::Semaphore,
    time::timeout,
};

/// Octets that the head of a request may have.
const LONGEST_HEAD: usize = 8 * 1024;
/// Fields that it may have.
const MOST_FIELDS: usize = 64;
/// How long a client may take to ask, and how long to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at a time; more are closed at once.
const CONNECTIONS: usize = 16;
/// How much of what a client sent for nothing is read, so that the answer is not lost on the way (RFC 9112 §9.6).
const LONGEST_BODY: usize = 64 * 1024;

/// A method that somebody may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Also HEAD, whose answer has no body.
    Get,
    Post,
}

/// Status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    UnprocessableContent,
    HeaderFieldsTooLarge,
    ServiceUnavailable,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::Conflict => "409 Conflict",
            Self::UnprocessableContent => "422 Unprocessable Content",
            Self::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Self::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: Status,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Response {
    /// A line for people.
    pub(crate) fn text(status: Status, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{text}\n"),
        }
    }

    fn of(status: Status) -> Self {
        Self::text(status, status.line())
    }

    fn octets(&self, has_body: bool) -> Vec<u8> {
        let Self {
            status,
            content_type,
            body,
        } = self;
        let allow = match status {
            Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let mut octets = format!(
            "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            status.line(),
            body.len()
        )
        .into_bytes();
        if has_body {
            octets.extend_from_slice(body.as_bytes());
        }
        octets
    }
}

/// What there is behind a socket.
pub(crate) trait Routes: Send + Sync + 'static {
    /// Answers a request for `path`, which has no query. `None`: there is no such path.
    fn answer(&self, method: Method, path: &str) -> impl Future<Output = Option<Response>> + Send;
}

/// Answers the connections of one socket, a bounded number of them at a time.
#[derive(Debug)]
pub(crate) struct Server {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            patience: PATIENCE,
        }
    }

    /// Answers on a connection, in a task of its own; closes it if there are too many.
    pub(crate) fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        routes: impl Routes,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let patience = self.patience;
        tokio::spawn(async move {
            let _place = place;
            // A client that went away has no use for an answer.
            let _gone = converse(stream, &routes, patience).await;
        });
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    routes: &impl Routes,
    patience: Duration,
) -> io::Result<()> {
    let mut has_body = true;
    let response = match timeout(patience, read_head(&mut stream)).await {
        Err(_elapsed) => Response::of(Status::RequestTimeout),
        Ok(Err(gone)) => return Err(gone),
        Ok(Ok(Err(status))) => Response::of(status),
        Ok(Ok(Ok(head))) => {
            has_body = !head.is_head;
            let answered = routes.answer(head.method, &head.path).await;
            answered.unwrap_or_else(|| Response::of(Status::NotFound))
        }
    };
    timeout(patience, async {
        stream.write_all(&response.octets(has_body)).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(LONGEST_BODY as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    })
    .await?
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: Method,
    is_head: bool,
    path: String,
}

/// The head of a request, or what is wrong with it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Head, Status>> {
    let mut octets = Vec::with_capacity(1024);
    loop {
        match parse(&octets) {
            Ok(Some(head)) => return Ok(Ok(head)),
            Err(status) => return Ok(Err(status)),
            Ok(None) if octets.len() >= LONGEST_HEAD => return Ok(Err(Status::HeaderFieldsTooLarge)),
            Ok(None) => {}
        }
        let room = LONGEST_HEAD.saturating_sub(octets.len());
        if (&mut *stream).take(room as u64).read_buf(&mut octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// `None` if there has to be more.
fn parse(octets: &[u8]) -> Result<Option<Head>, Status> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(octets) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HeaderFieldsTooLarge),
        Err(_) => return Err(Status::BadRequest),
    }
    let (method, is_head) = match request.method {
        Some("GET") => (Method::Get, false),
        Some("HEAD") => (Method::Get, true),
        Some("POST") => (Method::Post, false),
        _ => return Err(Status::MethodNotAllowed),
    };
    let target = request.path.unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Some(Head {
        method,
        is_head,
        path,
    }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    struct Echo;

    impl Routes for Echo {
        async fn answer(&self, method: Method, path: &str) -> Option<Response> {
            (path != "/none").then(|| Response::text(Status::Ok, &format!("{method:?} {path}")))
        }
    }

    async fn ask(request: &[u8]) -> String {
        let (mut client, server): (DuplexStream, _) = duplex(64 * 1024);
        client.write_all(request).await.unwrap();
        Server::new().serve(server, Echo);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn requests_are_answered() {
        for (request, status, body) in [
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                "200 OK",
                "Get /metrics\n",
            ),
            ("GET /m?x=1 HTTP/1.0\r\n\r\n", "200 OK", "Get /m\n"),
            ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", ""),
            (
                "POST /reload HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
                "200 OK",
                "Post /reload\n",
            ),
            ("GET /none HTTP/1.1\r\n\r\n", "404 Not Found", "404 Not Found\n"),
            (
                "PUT / HTTP/1.1\r\n\r\n",
                "405 Method Not Allowed",
                "405 Method Not Allowed\n",
            ),
            ("GET\r\n\r\n", "400 Bad Request", "400 Bad Request\n"),
            ("\u{1}\r\n\r\n", "400 Bad Request", "400 Bad Request\n"),
        ] {
            let answer = ask(request.as_bytes()).await;
            let (head, answered) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request:?}: {answer}"
            );
            assert_eq!(answered, body, "{request:?}");
            assert!(head.contains("Connection: close"), "{answer}");
        }
        let head = ask(b"HEAD /metrics HTTP/1.1\r\n\r\n").await;
        assert!(head.contains("Content-Length: 13\r\n"), "as of the GET: {head}");
    }

    #[tokio::test]
    async fn a_head_has_an_end() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LONGEST_HEAD));
        assert!(ask(long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_FIELDS + 1));
        assert!(ask(many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn who_does_not_ask_is_told() {
        let (mut client, stream) = duplex(1024);
        client.write_all(b"GET / HT").await.unwrap();
        let server = Server {
            patience: Duration::from_millis(20),
            ..Server::new()
        };
        server.serve(stream, Echo);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test]
    async fn so_many_clients_at_a_time() {
        let server = Server::new();
        let mut waiting: Vec<_> = (0..=CONNECTIONS)
            .map(|_| {
                let (client, stream) = duplex(1024);
                server.serve(stream, Echo);
                client
            })
            .collect();
        let mut refused = waiting.pop().unwrap();
        assert_eq!(refused.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        drop(waiting);
        tokio::task::yield_now().await;
        assert_eq!(server.places.available_permits(), CONNECTIONS);
    }

    #[test]
    fn no_octets_are_too_much() {
        for length in 0..40 {
            let cut = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
                .get(..length)
                .unwrap();
            assert_eq!(parse(cut), Ok(None), "{length}");
        }
        for octet in 0..=u8::MAX {
            let _ = parse(&[octet; 100]);
        }
    }
}
