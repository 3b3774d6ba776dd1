//! A bucket of tokens: so many a second, and no more than a second's at once.

use super::port::Instant;

/// A bucket that is filled with `rate` tokens a second and has room for as many. What it holds is the
/// time at which it will be full, in microseconds, so that nothing has to be done as time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: u64,
}

/// How long it takes to fill.
const FULL_US: u64 = 1_000_000;

impl Bucket {
    /// A full one.
    pub const fn full() -> Self {
        Self { full_at: 0 }
    }

    /// When there will be a token, if there is none now. A rate of 0 is no limit.
    pub fn empty_until(&self, rate: u16, now: Instant) -> Option<Instant> {
        let at = self.after_one(rate, now)?.checked_sub(FULL_US)?;
        (at > micros(now)).then(|| Instant(at.div_ceil(1000)))
    }

    /// Takes a token: false if there is none. A rate of 0 is no limit.
    pub fn take(&mut self, rate: u16, now: Instant) -> bool {
        let Some(after) = self.after_one(rate, now) else {
            return true;
        };
        let has_one = after <= micros(now).saturating_add(FULL_US);
        if has_one {
            self.full_at = after;
        }
        has_one
    }

    /// When it would be full with one token less.
    fn after_one(&self, rate: u16, now: Instant) -> Option<u64> {
        let one = 1_000_000_u32.checked_div(u32::from(rate))?;
        Some(self.full_at.max(micros(now)).saturating_add(u64::from(one)))
    }
}

const fn micros(at: Instant) -> u64 {
    at.0.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tokens can be taken at `now`.
    fn taken(bucket: &mut Bucket, rate: u16, now: u64) -> usize {
        (0..100_000)
            .take_while(|_| bucket.take(rate, Instant(now)))
            .count()
    }

    #[test]
    fn a_full_bucket_has_the_tokens_of_a_second() {
        for rate in [1, 3, 7, 1000] {
            for start in [0, 12_345] {
                let mut bucket = Bucket::full();
                let count = usize::from(rate);
                assert_eq!(taken(&mut bucket, rate, start), count);
                // It fills within a second.
                assert_eq!(taken(&mut bucket, rate, start + 999), count - 1);
                assert_eq!(taken(&mut bucket, rate, start + 2_000), count);
            }
        }
    }

    #[test]
    fn tokens_come_one_after_the_other() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 4, 5_000), 4);
        for at in [5_250, 5_500, 5_750, 6_000] {
            assert_eq!(bucket.empty_until(4, Instant(at - 1)), Some(Instant(at)));
            assert!(!bucket.take(4, Instant(at - 1)));
            assert_eq!(bucket.empty_until(4, Instant(at)), None);
            assert!(bucket.take(4, Instant(at)));
        }
        // No more than a second's are kept.
        assert_eq!(taken(&mut bucket, 4, 60_000), 4);
    }

    #[test]
    fn a_rate_of_0_is_no_limit() {
        let mut bucket = Bucket::full();
        assert_eq!(taken(&mut bucket, 0, 1), 100_000);
        assert_eq!(bucket, Bucket::full());
    }
}
