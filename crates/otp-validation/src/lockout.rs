//! Failures, growing delays and locks (RFC 4226 §7.3).
//!
//! Failures are counted per user and client: whoever guesses through one client makes it slower and slower there, and
//! leaves the others alone. Over all clients there is a wider budget, so that guesses spread over many of them are
//! bounded too. Codes and passwords have budgets of their own: whoever guesses codes does not lock the password out, and
//! the other way round. A lock ends by itself, because a lock that only a person can lift is a gift to whoever knows user
//! names.

use std::collections::BTreeMap;

use crate::{ClientId, UnixTime};

/// The failure in a row, at one client, from which on there is a delay.
const FIRST_DELAYED: u32 = 3;
/// The failure over all clients from which on there is a delay at all of them.
const FIRST_DELAYED_IN_ALL: u32 = 20;
/// How many failures at one client count at the others. Less than [`FIRST_DELAYED_IN_ALL`], so that one client alone never
/// locks a user out at another; by then its own delay is two minutes.
const SHARE: u32 = 10;
/// For how many seconds after the last failure at a client its failures count at the others. Failures that nobody ever makes up
/// for there would otherwise weigh for ever on the user's logins elsewhere.
const SHARED_FOR: u64 = 24 * 60 * 60;
/// The longest delay, in seconds.
const LONGEST_DELAY: u64 = 15 * 60;

/// Which part of a credential was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// The one-time password.
    Otp,
    /// The password.
    Password,
}

/// Failures in a row at one client, and the lock that follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    /// Wrong codes since the last acceptance.
    pub otp_failures: u32,
    /// Wrong passwords (with a right code) since the last acceptance.
    pub password_failures: u32,
    /// The second of the last failure; 0 = there was none.
    pub failed_at: u64,
    /// The first second at which a credential is looked at again; 0 = now.
    pub locked_until: u64,
}

impl Lockout {
    /// Failures in this factor.
    pub const fn failures(&self, factor: Factor) -> u32 {
        match factor {
            Factor::Otp => self.otp_failures,
            Factor::Password => self.password_failures,
        }
    }

    /// How long credentials will be refused unseen at this client, in seconds from `now`; 0 if they are looked at.
    pub fn seconds_left(&self, now: UnixTime) -> u64 {
        seconds_left(self.locked_until, now)
    }

    /// The state after one more failure at `now`: from the third in a row on, the delay doubles from 1 s to 15 minutes.
    fn after_failure(self, factor: Factor, now: UnixTime) -> Self {
        let mut next = Self {
            failed_at: now.0,
            ..self
        };
        let failures = match factor {
            Factor::Otp => &mut next.otp_failures,
            Factor::Password => &mut next.password_failures,
        };
        *failures = failures.saturating_add(1);
        next.locked_until = extended(self.locked_until, *failures, FIRST_DELAYED, now);
        next
    }

    /// What the failures here weigh at other clients.
    fn shared(&self, factor: Factor, now: UnixTime) -> u32 {
        if now.distance(UnixTime(self.failed_at)) > SHARED_FOR {
            return 0;
        }
        self.failures(factor).min(SHARE)
    }
}

/// Failures and locks of one user, at each client and over all of them.
///
/// ```
/// # use otp_validation::{ClientId, Factor, Lockouts, UnixTime};
/// let (vpn, kdc, now) = (ClientId(2), ClientId(1), UnixTime(1_700_000_000));
/// let mut lockouts = Lockouts::default();
/// for _ in 0..3 {
///     lockouts = lockouts.after_failure(vpn, Factor::Otp, now);
/// }
/// assert_eq!(lockouts.seconds_left(vpn, now), 1);
/// assert_eq!(lockouts.seconds_left(kdc, now), 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lockouts {
    /// The first second at which a credential is looked at again, through whichever client; 0 = now.
    pub locked_until: u64,
    /// By client; whoever is not here has no failures.
    clients: BTreeMap<ClientId, Lockout>,
}

impl Lockouts {
    /// No failures, and a lock at all clients that ends then.
    pub const fn locked_until(locked_until: u64) -> Self {
        Self {
            locked_until,
            clients: BTreeMap::new(),
        }
    }

    /// Failures and lock at one client.
    pub fn at(&self, client: ClientId) -> Lockout {
        self.clients.get(&client).copied().unwrap_or_default()
    }

    /// Clients with failures, in the order of their numbers.
    pub fn clients(&self) -> impl Iterator<Item = (ClientId, Lockout)> {
        self.clients.iter().map(|(client, lockout)| (*client, *lockout))
    }

    /// Replaces what is known of one client.
    pub fn set(&mut self, client: ClientId, lockout: Lockout) {
        if lockout == Lockout::default() {
            self.clients.remove(&client);
        } else {
            self.clients.insert(client, lockout);
        }
    }

    /// Failures in this factor, over all clients.
    pub fn failures(&self, factor: Factor) -> u32 {
        let each = self.clients.values().map(|lockout| lockout.failures(factor));
        each.fold(0, u32::saturating_add)
    }

    /// Whether credentials that come through `client` are refused unseen at `now`.
    pub fn is_locked(&self, client: ClientId, now: UnixTime) -> bool {
        self.seconds_left(client, now) > 0
    }

    /// How long credentials that come through `client` will be refused unseen, in seconds from `now`; 0 if they are looked
    /// at.
    pub fn seconds_left(&self, client: ClientId, now: UnixTime) -> u64 {
        self.at(client)
            .seconds_left(now)
            .max(self.seconds_left_everywhere(now))
    }

    /// How long credentials will be refused unseen through whichever client, in seconds from `now`.
    pub fn seconds_left_everywhere(&self, now: UnixTime) -> u64 {
        seconds_left(self.locked_until, now)
    }

    /// The state after one more failure through `client` at `now`.
    ///
    /// At the client, from the third failure in a row on, the delay doubles from 1 s to 15 minutes. At all clients, it does so
    /// from the twentieth on, where each client counts with its last ten at most, and for a day.
    #[must_use]
    pub fn after_failure(&self, client: ClientId, factor: Factor, now: UnixTime) -> Self {
        let mut next = self.clone();
        next.set(client, self.at(client).after_failure(factor, now));
        let shares = next.clients.values().map(|lockout| lockout.shared(factor, now));
        let in_all = shares.fold(0, u32::saturating_add);
        next.locked_until = extended(self.locked_until, in_all, FIRST_DELAYED_IN_ALL, now);
        next
    }

    /// The state after a credential was accepted through `client`: its failures are forgiven, and weigh nowhere any more.
    #[must_use]
    pub fn after_success(&self, client: ClientId) -> Self {
        let mut next = self.clone();
        next.set(client, Lockout::default());
        next.locked_until = 0;
        next
    }
}

/// A lock that would last longer than any lock does was set by a clock that ran ahead and has been set back since. It has
/// ended; the failures stay counted.
fn seconds_left(locked_until: u64, now: UnixTime) -> u64 {
    let left = locked_until.saturating_sub(now.0);
    if left > LONGEST_DELAY { 0 } else { left }
}

/// The end of the lock after a failure that makes so many, the `first` of which has a delay. A failure never shortens a lock.
fn extended(locked_until: u64, failures: u32, first: u32, now: UnixTime) -> u64 {
    let Some(doublings) = failures.checked_sub(first) else {
        return locked_until;
    };
    let delay = 1_u64
        .checked_shl(doublings)
        .unwrap_or(LONGEST_DELAY)
        .min(LONGEST_DELAY);
    let until = now.0.saturating_add(delay);
    if seconds_left(locked_until, now) > 0 {
        locked_until.max(until)
    } else {
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const KDC: ClientId = ClientId(1);
    const VPN: ClientId = ClientId(2);
    const WIFI: ClientId = ClientId(3);

    /// Fails as soon as credentials are looked at; the delays that follow.
    fn delays(mut lockouts: Lockouts, client: ClientId, times: usize) -> Vec<u64> {
        let mut now = NOW;
        let mut delays = Vec::new();
        for _ in 0..times {
            lockouts = lockouts.after_failure(client, Factor::Otp, now);
            let left = lockouts.seconds_left(client, now);
            delays.push(left);
            now = UnixTime(now.0 + left);
        }
        delays
    }

    /// As after so many failures at each of these clients, whose locks have ended.
    fn failed(clients: impl IntoIterator<Item = (ClientId, u32)>) -> Lockouts {
        let mut lockouts = Lockouts::default();
        for (client, otp_failures) in clients {
            let lockout = Lockout {
                otp_failures,
                failed_at: NOW.0,
                ..Lockout::default()
            };
            lockouts.set(client, lockout);
        }
        lockouts
    }

    #[test]
    fn at_a_client_the_delay_doubles_from_the_third_failure_on() {
        assert_eq!(
            delays(Lockouts::default(), VPN, 16),
            [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
        );
    }

    #[test]
    fn over_all_clients_it_doubles_from_the_twentieth_on() {
        let mut lockouts = Lockouts::default();
        let mut delays = Vec::new();
        // Two at each: no client has a delay of its own.
        for guess in 0..34 {
            lockouts = lockouts.after_failure(ClientId(guess / 2), Factor::Otp, NOW);
            delays.push(lockouts.seconds_left_everywhere(NOW));
            lockouts.locked_until = 0;
        }
        assert_eq!(delays[..19], [0; 19]);
        assert_eq!(
            delays[19..],
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
        );
    }

    #[test]
    fn guesses_at_one_client_leave_the_others_alone() {
        let mut lockouts = Lockouts::default();
        let mut now = NOW;
        for _ in 0..1000 {
            lockouts = lockouts.after_failure(VPN, Factor::Otp, now);
            assert!(!lockouts.is_locked(KDC, now), "{lockouts:?}");
            now = UnixTime(now.0 + lockouts.seconds_left(VPN, now));
        }
        assert_eq!(lockouts.at(VPN).otp_failures, 1000);
        // The user's own mistakes there are as cheap as ever.
        assert_eq!(delays(lockouts, KDC, 4), [0, 0, 1, 2]);
    }

    /// Failures at VPN and Wi-Fi, and how long one at the KDC then locks the user out there.
    const SHARES: &[(u32, u32, u64)] = &[
        (0, 0, 0),
        (1000, 0, 0),
        (9, 9, 0),
        (10, 9, 1),
        (10, 10, 2),
        (1000, 1000, 2),
    ];

    #[test]
    fn a_client_weighs_ten_at_the_others_and_for_a_day() {
        for (vpn, wifi, seconds) in SHARES {
            let lockouts = failed([(VPN, *vpn), (WIFI, *wifi)]);
            let next = lockouts.after_failure(KDC, Factor::Otp, NOW);
            assert_eq!(next.seconds_left(KDC, NOW), *seconds, "{vpn} {wifi}");
            let (day, later) = (UnixTime(NOW.0 + 86_400), UnixTime(NOW.0 + 86_401));
            let next = lockouts.after_failure(KDC, Factor::Otp, day);
            assert_eq!(next.seconds_left(KDC, day), *seconds, "{vpn} {wifi}: a day later");
            let next = lockouts.after_failure(KDC, Factor::Otp, later);
            assert_eq!(next.seconds_left(KDC, later), 0, "{vpn} {wifi}: and a second");
            assert_eq!(next.at(VPN).otp_failures, *vpn, "there they stay counted");
        }
    }

    #[test]
    fn factors_have_budgets_of_their_own() {
        let mut lockouts = Lockouts::default();
        for factor in [Factor::Otp, Factor::Otp, Factor::Password, Factor::Password] {
            lockouts = lockouts.after_failure(VPN, factor, NOW);
        }
        assert!(!lockouts.is_locked(VPN, NOW));
        let locked = lockouts.after_failure(VPN, Factor::Password, NOW);
        assert_eq!(locked.seconds_left(VPN, NOW), 1);
        let many = failed((0..10).map(|client| (ClientId(client), 2)));
        let next = many.after_failure(KDC, Factor::Password, NOW);
        assert!(!next.is_locked(KDC, NOW), "wrong codes are no wrong passwords");
    }

    #[test]
    fn success_forgives_its_client_and_takes_its_failures_off_the_sum() {
        let lockouts = failed([(KDC, 5), (VPN, 10), (WIFI, 10)]);
        let next = lockouts.after_success(VPN);
        assert_eq!(next, failed([(KDC, 5), (WIFI, 10)]));
        assert_eq!(
            (lockouts.failures(Factor::Otp), next.failures(Factor::Otp)),
            (25, 15)
        );
        assert!(lockouts.after_failure(WIFI, Factor::Otp, NOW).locked_until > 0);
        assert_eq!(next.after_failure(WIFI, Factor::Otp, NOW).locked_until, 0);
        assert_eq!(next.after_success(KDC).after_success(WIFI), Lockouts::default());
    }

    /// How many guesses are looked at in a day, if each comes as soon as any of so many clients looks at one.
    fn guesses_in_a_day(clients: i64) -> u32 {
        let mut lockouts = Lockouts::default();
        let mut guesses = 0;
        let mut now = NOW;
        while now.0 < NOW.0 + 86_400 {
            let open = (0..clients)
                .map(ClientId)
                .min_by_key(|client| lockouts.seconds_left(*client, now))
                .unwrap();
            now = UnixTime(now.0 + lockouts.seconds_left(open, now));
            lockouts = lockouts.after_failure(open, Factor::Otp, now);
            guesses += 1;
        }
        guesses
    }

    #[test]
    fn guesses_are_bounded_however_many_clients_they_come_through() {
        // With 6 digits and a window of three steps, a guess hits with three in a million: less than one in a thousand a day.
        for (clients, most) in [(1, 110), (2, 220), (3, 230), (10, 230), (200, 230)] {
            let guesses = guesses_in_a_day(clients);
            assert!((90..=most).contains(&guesses), "{clients} clients: {guesses}");
        }
    }

    #[test]
    fn a_clock_that_ran_ahead_locks_nobody_out_for_ever() {
        let ahead = UnixTime(4_000_000_000);
        let mut lockouts = Lockouts::default();
        for client in [KDC, VPN, WIFI] {
            for _ in 0..20 {
                lockouts = lockouts.after_failure(client, Factor::Otp, ahead);
            }
        }
        assert_eq!(lockouts.seconds_left_everywhere(ahead), LONGEST_DELAY);
        assert!(!lockouts.is_locked(KDC, NOW) && !lockouts.is_locked(VPN, NOW));
        let next = lockouts.after_failure(VPN, Factor::Otp, NOW);
        assert_eq!(next.at(VPN).otp_failures, 21, "what was counted stays counted");
        assert_eq!(
            next.seconds_left(VPN, NOW),
            LONGEST_DELAY,
            "and the next one locks"
        );
    }

    #[test]
    fn counts_never_overflow() {
        let mut lockouts = Lockouts::default();
        for client in [KDC, VPN, WIFI] {
            let full = Lockout {
                otp_failures: u32::MAX,
                failed_at: u64::MAX,
                ..Lockout::default()
            };
            lockouts.set(client, full);
        }
        let next = lockouts.after_failure(VPN, Factor::Otp, UnixTime(u64::MAX));
        assert_eq!(next.failures(Factor::Otp), u32::MAX);
        assert_eq!(
            (next.at(VPN).locked_until, next.locked_until),
            (u64::MAX, u64::MAX)
        );
    }
}
