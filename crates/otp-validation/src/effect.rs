//! What a decision wants changed, as data. Effects of one decision are committed together or not at all.

use crate::{Acceptance, ClientId, EndedDialogue, Lockout, PacketDigest, TokenId, Twin, UnixTime};

/// One change to the durable state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Spend a code: from now on only counters or steps from `next` on may be accepted.
    ///
    /// The store refuses it (a conflict) unless the stored state is at most `matched`, so that of two requests with one
    /// code only one can commit, whatever each of them saw before.
    Consume {
        /// The token that showed the code.
        token: TokenId,
        /// The counter or time step of the code.
        matched: u64,
        /// The smallest counter or step that may be accepted after this.
        next: u64,
    },
    /// A pending token has proven a code.
    Activate {
        /// The token.
        token: TokenId,
    },
    /// Replace the account's failures and lock at one client, and its lock at all of them.
    SetLockout {
        /// The client.
        client: ClientId,
        /// Failures and lock there; the default is none.
        lockout: Lockout,
        /// [`Lockouts::locked_until`](crate::Lockouts::locked_until).
        locked_until: u64,
    },
    /// Remember the verdict, so that the same packet, or a twin, gets it again.
    Remember(Acceptance),
    /// A dialogue was answered, and is not answered again.
    EndDialogue {
        /// The dialogue, and until when it could have been answered.
        ended: EndedDialogue,
        /// Now: those that have expired by then are forgotten.
        at: UnixTime,
    },
    /// A twin had the verdict of the acceptance of packet `of`.
    Twin {
        /// The packet that was accepted first.
        of: PacketDigest,
        /// The twin.
        twin: Twin,
    },
}
