//! Exit codes: one table for every command.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done; the answer, if the command gives one, is yes.
    Ok = 0,
    /// The answer is no: rejected, or a check has findings.
    No = 1,
    /// The command line is wrong (clap exits with this number, too).
    Usage = 2,
    /// An object does not exist, or exists already.
    Object = 3,
    /// Data that was read is not usable: a name, a code, a secret, a line of a file.
    Data = 4,
    /// The store is not usable: not initialised, permissions, locked, full.
    Store = 5,
    /// A file or a stream could not be read or written.
    Io = 6,
}

impl Exit {
    /// Every exit, in numerical order.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::No,
        Self::Usage,
        Self::Object,
        Self::Data,
        Self::Store,
        Self::Io,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in `--json` output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::No => "no",
            Self::Usage => "usage",
            Self::Object => "object",
            Self::Data => "data",
            Self::Store => "store",
            Self::Io => "io",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_numbered_as_documented() {
        for (number, exit) in (0..).zip(Exit::ALL) {
            assert_eq!(exit.code(), number, "{exit:?}");
        }
    }
}
