//! Everything outside of the program: streams, the terminal, time and randomness.

use std::{
    fmt,
    io::{self, Read, Write},
    path::PathBuf,
    sync::Arc,
};

use otp_service::Clock;
use rand::CryptoRng;
use zeroize::Zeroizing;

/// Octets of the longest line that is read from standard input or the terminal.
const LONGEST_LINE: usize = 64 * 1024;

/// What a command may touch.
pub struct Io {
    /// Standard input. Better not buffered: secrets would stay behind in the buffer.
    pub stdin: Box<dyn Read>,
    /// Standard output: results.
    pub stdout: Box<dyn Write>,
    /// Standard error: diagnostics.
    pub stderr: Box<dyn Write>,
    /// The terminal, if standard input is one: questions are asked there.
    pub terminal: Option<Box<dyn Prompt>>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether the environment asks for no colour (`NO_COLOR` is set and not empty).
    pub no_color: bool,
    /// The person who works as another user, by `sudo` for example: the audit trail names both.
    pub on_behalf_of: Option<String>,
    /// The home directory, which `~/` in `KRB5_CONFIG` stands for.
    pub home: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys and salts.
    pub rng: Box<dyn CryptoRng>,
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("stdin_is_terminal", &self.terminal.is_some())
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("stderr_is_terminal", &self.stderr_is_terminal)
            .finish_non_exhaustive()
    }
}

/// Whether an answer is shown while it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It is: a code that is about to be spent.
    Shown,
    /// It is not: a password, a key.
    Hidden,
}

/// Asks a person.
pub trait Prompt {
    /// Asks `question` and returns the answer without its newline.
    ///
    /// # Errors
    ///
    /// Whatever keeps the terminal from being read or written.
    fn ask(&mut self, question: &str, echo: Echo) -> io::Result<Zeroizing<String>>;
}

/// The terminal of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

impl Prompt for Terminal {
    fn ask(&mut self, question: &str, echo: Echo) -> io::Result<Zeroizing<String>> {
        match echo {
            Echo::Hidden => rpassword::prompt_password(question).map(Zeroizing::new),
            Echo::Shown => {
                let mut stderr = io::stderr();
                write!(stderr, "{question}")?;
                stderr.flush()?;
                let mut line = Zeroizing::new(String::new());
                if io::stdin().read_line(&mut line)? == 0 {
                    writeln!(stderr)?;
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "no answer was given",
                    ));
                }
                if line.ends_with('\n') {
                    line.pop();
                }
                Ok(line)
            }
        }
    }
}

/// Reads up to and without the next newline, and not one octet more; `None` at the end of the input.
///
/// Nothing else is removed: a blank may well be part of a password.
pub(crate) fn read_line(input: &mut dyn Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    let mut octet = Zeroizing::new([0_u8]);
    loop {
        match input.read(octet.as_mut_slice()) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Ok(Some(line)),
            Ok(_) if *octet == [b'\n'] => return Ok(Some(line)),
            Ok(_) if line.len() >= LONGEST_LINE => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            Ok(_) => line.extend_from_slice(octet.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newline_is_removed() {
        let mut input: &[u8] = b" 123456 \r\nnext";
        let line = |input: &mut &[u8]| read_line(input).unwrap().map(|line| line.to_vec());
        assert_eq!(line(&mut input).unwrap(), b" 123456 \r");
        assert_eq!(input, b"next", "what follows stays for the next reader");
        assert_eq!(line(&mut input).unwrap(), b"next");
        assert_eq!(line(&mut input), None);
        assert_eq!(line(&mut &b"\n"[..]).unwrap(), b"");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut input = io::repeat(b'x');
        assert_eq!(
            read_line(&mut input).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
