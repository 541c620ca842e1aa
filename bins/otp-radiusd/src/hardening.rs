//! What is in this process' memory stays there: keys, and the passwords of the moment.

use nix::sys::{
    prctl::set_dumpable,
    resource::{Resource, setrlimit},
};
use tracing::warn;

/// No core dumps, and no other process of the same user may look into the memory (`ptrace(2)`, `/proc/PID/mem`).
///
/// Where the system refuses this, as a filter of system calls may, that is worth a warning, no more.
pub(crate) fn keep_memory_private() {
    let outcomes = [
        ("RLIMIT_CORE", setrlimit(Resource::RLIMIT_CORE, 0, 0)),
        ("PR_SET_DUMPABLE", set_dumpable(false)),
    ];
    for (what, outcome) in outcomes {
        if let Err(error) = outcome {
            warn!(what, %error, "a core dump of this process would hold keys and passwords, and could not be switched off");
        }
    }
}
