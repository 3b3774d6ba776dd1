// SPDX-License-Identifier: Apache-2.0
//! The `Date` field of responses (RFC 9110 section 6.6.1).

const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// The time of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date([u8; 39]);

impl Date {
    /// Creates the date from seconds since 1970 in UTC. It is exact until the end of the year 9999.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let mut put = |at: usize, bytes: &[u8]| {
            for (place, byte) in text.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        };
        put(6, name(DAYS, days.wrapping_add(4) % 7));
        put(11, &digits(day));
        put(14, name(MONTHS, month));
        put(18, &digits(year / 100));
        put(20, &digits(year % 100));
        put(23, &digits(second / 3600));
        put(26, &digits(second / 60 % 60));
        put(29, &digits(second % 60));
        Self(text)
    }

    /// Returns the field as the last one of a response, followed by the end of the head.
    #[must_use]
    pub const fn head_end(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the year, the month from 0, and the day of the month, of a day since the beginning of 1970.
const fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March end with the leap day. 719,468 days before 1970, March of the year 0 begins.
    let day = days.saturating_add(719_468);
    // Eras of 400 years all have the same number of days.
    let (era, day) = (day / 146_097, day % 146_097);
    let leap_days = (day / 1_460)
        .saturating_sub(day / 36_524)
        .saturating_add(day / 146_096);
    let year = day.saturating_sub(leap_days) / 365;
    let before = (365_u64.saturating_mul(year))
        .saturating_add(year / 4)
        .saturating_sub(year / 100);
    let day = day.saturating_sub(before);
    // From March on, months have 30.6 days on average: 31, 30, 31, 30, 31, …
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let first = month.saturating_mul(153).saturating_add(2) / 5;
    let is_next = month >= 10;
    let year = year.saturating_add(era.saturating_mul(400));
    (
        if is_next {
            year.saturating_add(1)
        } else {
            year
        },
        month.saturating_add(2) % 12,
        day.saturating_sub(first).saturating_add(1),
    )
}

/// Returns the name with this index.
fn name(names: &[u8], index: u64) -> &[u8] {
    let mut names = names.chunks_exact(3);
    names
        .nth(usize::try_from(index).unwrap_or_default())
        .unwrap_or_default()
}

/// Returns the last two digits of a number.
fn digits(number: u64) -> [u8; 2] {
    let digit = |number: u64| b'0'.saturating_add(u8::try_from(number % 10).unwrap_or_default());
    [digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(seconds: u64) -> String {
        let text = String::from_utf8(Date::from_unix(seconds).head_end().to_vec()).unwrap();
        text.strip_prefix("Date: ")
            .unwrap()
            .strip_suffix("\r\n\r\n")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_date_is_written_as_in_rfc_9110_section_5_6_7() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(date(253_402_300_799), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn days_follow_each_other() {
        let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..300_000 {
            assert_eq!(civil(days), (year, month, day), "{days}");
            let lengths = [
                31,
                28 + u64::from(is_leap(year)),
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ];
            day += 1;
            if day > lengths[month as usize] {
                (month, day) = (month + 1, 1);
            }
            if month == 12 {
                (year, month) = (year + 1, 0);
            }
        }
    }

    #[test]
    fn a_time_of_any_size_has_a_date() {
        for seconds in [u64::MAX, u64::MAX / 2, 253_402_300_800] {
            assert_eq!(date(seconds).len(), 29);
        }
    }
}
