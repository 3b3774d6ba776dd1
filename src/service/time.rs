// SPDX-License-Identifier: Apache-2.0
//! Points in time: 32-bit milliseconds that wrap.

use core::ops::Add;

/// The precision of deadlines, in milliseconds: they expire up to this much late, and never early by the port's clock.
pub const TIMER_GRANULARITY_MS: u32 = 100;

/// The maximum time in a [`Config`](super::Config), in milliseconds: 12 days. Points in time that the service compares
/// are never further apart than twice this, so that their order is well defined.
pub const MAX_LIMIT_MS: u32 = 1 << 30;

/// A point in time: milliseconds of a clock that never goes back and wraps after 49 days.
///
/// Two points are ordered by their difference. There is no point that means "never": a deadline that
/// does not exist is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instant(pub u32);

impl Instant {
    /// Returns whether this is `deadline` or later. The two are less than 2^31 ms apart.
    #[must_use]
    pub const fn has_reached(self, deadline: Self) -> bool {
        self.0.wrapping_sub(deadline.0) < 1 << 31
    }

    /// Returns the milliseconds from `now` until this; 0 once it has passed.
    #[must_use]
    pub const fn from(self, now: Self) -> u32 {
        if now.has_reached(self) {
            0
        } else {
            self.0.wrapping_sub(now.0)
        }
    }

    /// Returns the milliseconds from this, which has passed, until `now`.
    #[must_use]
    pub const fn until(self, now: Self) -> u32 {
        now.0.wrapping_sub(self.0)
    }

    /// Returns the later one.
    pub(super) fn later(self, other: Self) -> Self {
        if self.has_reached(other) { self } else { other }
    }

    /// Returns the earlier of two deadlines. Either may be absent.
    pub(super) fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if one.has_reached(other) => Some(other),
            (Some(one), _) => Some(one),
            (None, other) => other,
        }
    }
}

/// Adds milliseconds.
impl Add<u32> for Instant {
    type Output = Self;

    fn add(self, ms: u32) -> Self {
        Self(self.0.wrapping_add(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_ordered_by_difference_across_the_wrap() {
        for base in [0, 1 << 31, u32::MAX - 5, u32::MAX] {
            let (early, late) = (Instant(base), Instant(base) + 10);
            assert!(late.has_reached(early) && late.has_reached(late));
            assert!(!early.has_reached(late));
            assert_eq!((late.from(early), early.from(late)), (10, 0));
            assert_eq!(early.until(late), 10);
            assert_eq!(early.later(late), late);
            assert_eq!(late.later(early), late);
            let both = Instant::earlier(Some(late), Some(early));
            assert_eq!(both, Some(early));
        }
    }

    #[test]
    fn a_deadline_that_does_not_exist_is_never_the_earlier_one() {
        let deadline = Some(Instant(7));
        assert_eq!(Instant::earlier(None, deadline), deadline);
        assert_eq!(Instant::earlier(deadline, None), deadline);
        assert_eq!(Instant::earlier(None, None), None);
    }
}
