// SPDX-License-Identifier: Apache-2.0
//! Failed logins, counted by address.

use super::time::Instant;

/// How long failed logins count, in milliseconds.
const WINDOW_MS: u32 = 60_000;

/// The failed logins of an address.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    network: u64,
    /// 0: the entry is free.
    failures: u16,
    /// The time of the first one.
    since: Instant,
}

impl Login {
    const FREE: Self = Self {
        network: 0,
        failures: 0,
        since: Instant(0),
    };

    /// Returns how long ago the first failure was. Another thread may have read its time a little later than `now`.
    fn age(&self, now: Instant) -> u32 {
        let is_later = now.until(self.since) < WINDOW_MS;
        if is_later { 0 } else { self.since.until(now) }
    }
}

/// Memory for failed logins: an array with an entry for each remembered address. Empty for a port without
/// [`Limits::LOGIN_FAILURES`](super::Limits::LOGIN_FAILURES).
pub trait LoginTable {
    /// A table with free entries only. All zeros, so that a static one takes no flash.
    const NEW: Self;

    /// Returns the entries.
    fn entries(&mut self) -> &mut [Login];
}

impl<const N: usize> LoginTable for [Login; N] {
    const NEW: Self = [Login::FREE; N];

    fn entries(&mut self) -> &mut [Login] {
        self
    }
}

/// Removes entries that are a minute old. A table that is refreshed at least every 49 days never mistakes an old time
/// for a recent one.
pub(super) fn refresh(entries: &mut [Login], now: Instant) {
    for entry in entries {
        if entry.age(now) >= WINDOW_MS {
            entry.failures = 0;
        }
    }
}

/// Returns whether the address has `limit` failed logins; 0: no limit.
pub(super) fn is_blocked(entries: &mut [Login], network: u64, limit: u16, now: Instant) -> bool {
    refresh(entries, now);
    let mut entries = entries.iter();
    limit > 0 && entries.any(|entry| entry.network == network && entry.failures >= limit)
}

/// Counts a failed login. If the table is full, the address replaces the one with the oldest first failure.
pub(super) fn note_failure(entries: &mut [Login], network: u64, now: Instant) {
    refresh(entries, now);
    let age = |entry: &Login| match entry.failures {
        0 => (1, 0),
        _ if entry.network == network => (2, 0),
        _ => (0, entry.age(now)),
    };
    if let Some(entry) = entries.iter_mut().max_by_key(|entry| age(entry)) {
        if entry.network != network || entry.failures == 0 {
            *entry = Login {
                network,
                failures: 0,
                since: now,
            };
        }
        entry.failures = entry.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u16 = 3;

    fn blocked(table: &mut [Login], network: u64, now: Instant) -> bool {
        is_blocked(table, network, LIMIT, now)
    }

    #[test]
    fn an_address_is_blocked_until_a_minute_after_its_first_failure() {
        for start in [5, (1 << 31) - 30_000, u32::MAX - 30_000] {
            let start = Instant(start);
            let mut table = <[Login; 2]>::NEW;
            for failure in 0..u32::from(LIMIT) {
                assert!(!blocked(&mut table, 7, start + failure * 1000));
                note_failure(&mut table, 7, start + failure * 1000);
            }
            assert!(blocked(&mut table, 7, start + 3_000));
            assert!(!blocked(&mut table, 8, start + 3_000));
            assert!(blocked(&mut table, 7, start + 59_999));
            assert!(!blocked(&mut table, 7, start + 60_000));
            // A new minute begins.
            note_failure(&mut table, 7, start + 60_000);
            assert!(!blocked(&mut table, 7, start + 60_001));
        }
    }

    #[test]
    fn the_oldest_address_gives_up_its_place() {
        let mut table = <[Login; 2]>::NEW;
        for at in 0..3 {
            note_failure(&mut table, 1, Instant(at));
            note_failure(&mut table, 2, Instant(10 + at));
        }
        assert!(blocked(&mut table, 1, Instant(20)) && blocked(&mut table, 2, Instant(20)));
        note_failure(&mut table, 3, Instant(20));
        assert!(!blocked(&mut table, 1, Instant(20)) && blocked(&mut table, 2, Instant(20)));
    }

    #[test]
    fn a_limit_of_0_is_no_limit() {
        let mut table = <[Login; 1]>::NEW;
        note_failure(&mut table, 1, Instant(0));
        assert!(!is_blocked(&mut table, 1, 0, Instant(0)));
        note_failure(&mut [], 1, Instant(0));
        assert!(!is_blocked(&mut [], 1, 1, Instant(0)));
    }

    #[test]
    fn failures_without_end_stay_over_the_limit() {
        let mut table = <[Login; 1]>::NEW;
        for _ in 0..70_000 {
            note_failure(&mut table, 1, Instant(0));
        }
        assert!(is_blocked(&mut table, 1, u16::MAX, Instant(0)));
    }
}
