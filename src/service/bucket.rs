// SPDX-License-Identifier: Apache-2.0
//! A token bucket: a number of tokens per second, and a burst of at most as many.

use super::time::Instant;

/// A bucket that gets `rate` tokens per second, and has room for as many. It stores the missing tokens, in thousandths,
/// and is updated when it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Thousandths of tokens that were missing at the time `at`. At most 1000 × `rate`, which fits.
    missing: u32,
    at: Instant,
}

/// A token.
const TOKEN: u32 = 1000;
/// The time that it takes to fill, in milliseconds.
const FULL_MS: u32 = 1000;
/// Another thread may have read a time that is earlier than the previous one by up to this.
const LATE_MS: u32 = 60_000;

impl Bucket {
    /// Creates a full bucket.
    pub const fn full() -> Self {
        Self {
            missing: 0,
            at: Instant(0),
        }
    }

    /// Returns when there will be a token, if there is none now. A rate of 0 means no limit.
    pub fn empty_until(&mut self, rate: u16, now: Instant) -> Option<Instant> {
        self.refresh(rate, now);
        let over = self.missing_after_one().checked_sub(capacity(rate))?;
        let ms = over.div_ceil(u32::from(rate).max(1));
        (ms > 0 && rate > 0).then(|| now + ms)
    }

    /// Takes a token. Returns false if there is none. A rate of 0 means no limit.
    pub fn take(&mut self, rate: u16, now: Instant) -> bool {
        self.refresh(rate, now);
        let after = self.missing_after_one();
        let has_one = after <= capacity(rate);
        if has_one {
            self.missing = after;
        }
        has_one || rate == 0
    }

    /// Adds the tokens for the time that has passed. A bucket that is used or refreshed at least every 49 days never
    /// mistakes an old time for a recent one.
    #[inline(never)] // for size
    pub fn refresh(&mut self, rate: u16, now: Instant) {
        if self.missing > 0 && now.until(self.at) < LATE_MS {
            return;
        }
        // A full second fills it, whatever the previous time was.
        let passed = self.at.until(now).min(FULL_MS);
        let added = passed.saturating_mul(u32::from(rate));
        self.missing = self.missing.saturating_sub(added);
        self.at = now;
    }

    const fn missing_after_one(&self) -> u32 {
        self.missing.saturating_add(TOKEN)
    }
}

const fn capacity(rate: u16) -> u32 {
    (rate as u32).saturating_mul(TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many tokens can be taken at `now`.
    fn taken(bucket: &mut Bucket, rate: u16, now: u32) -> usize {
        (0..100_000)
            .take_while(|_| bucket.take(rate, Instant(now)))
            .count()
    }

    #[test]
    fn a_full_bucket_has_the_tokens_of_a_second() {
        for rate in [1, 3, 7, 1000, u16::MAX] {
            for start in [0, 12_345, (1 << 31) - 500, u32::MAX - 500] {
                let mut bucket = Bucket::full();
                let count = usize::from(rate);
                assert_eq!(taken(&mut bucket, rate, start), count);
                // It fills within a second.
                let almost = taken(&mut bucket, rate, start.wrapping_add(999));
                assert!(almost < count && almost + 1 + count / 500 >= count);
                assert_eq!(taken(&mut bucket, rate, start.wrapping_add(2_000)), count);
            }
        }
    }

    #[test]
    fn tokens_come_one_after_the_other() {
        for start in [5_000, u32::MAX - 400] {
            let start = Instant(start);
            let mut bucket = Bucket::full();
            assert_eq!(taken(&mut bucket, 4, start.0), 4);
            for ms in [250, 500, 750, 1_000] {
                let (at, before) = (start + ms, start + (ms - 1));
                assert_eq!(bucket.empty_until(4, before), Some(at));
                assert!(!bucket.take(4, before));
                assert_eq!(bucket.empty_until(4, at), None);
                assert!(bucket.take(4, at));
            }
            // It keeps at most the tokens of one second.
            assert_eq!(taken(&mut bucket, 4, (start + 55_000).0), 4);
        }
    }

    #[test]
    fn a_bucket_is_full_after_an_idle_gap_of_any_length() {
        for gap in [1_000, 1 << 30, (1 << 31) - 1, 1 << 31, u32::MAX - LATE_MS] {
            let mut bucket = Bucket::full();
            assert_eq!(taken(&mut bucket, 3, 77), 3);
            assert_eq!(bucket.empty_until(3, Instant(77) + gap), None);
            assert_eq!(taken(&mut bucket, 3, (Instant(77) + gap).0), 3);
        }
    }

    #[test]
    fn a_time_that_was_read_before_the_last_one_adds_no_tokens() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 3, 500), 3);
        for earlier in [500, 499, 0] {
            assert_eq!(taken(&mut bucket, 3, earlier), 0);
        }
        assert_eq!(taken(&mut bucket, 3, 1_500), 3);
    }

    #[test]
    fn a_rate_of_0_is_no_limit() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 0, 1), 100_000);
        assert_eq!(bucket.empty_until(0, Instant(1)), None);
    }
}
