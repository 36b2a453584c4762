// SPDX-License-Identifier: BSD-3-Clause
//! Times as the log shows them: in UTC, to the microsecond.

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> String {
    // A clock that is set to before 1970 shows 1970.
    stamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Of a time since 1970.
fn stamp(time: Duration) -> String {
    let (days, second) = (time.as_secs() / 86400, time.as_secs() % 86400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = time.subsec_micros();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// The day that comes so many days after 1970-01-01, in the Gregorian calendar. Years are counted from March, so that the
/// leap day is their last, and in eras of 400, which all have as many days.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31 30 31 30 31 days, again and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        for (seconds, micros, text) in [
            (0, 0, "1970-01-01 00:00:00.000000"),
            (951_782_399, 999_999, "2000-02-28 23:59:59.999999"),
            (951_782_400, 1, "2000-02-29 00:00:00.000001"),
            (951_868_800, 0, "2000-03-01 00:00:00.000000"),
            (1_596_679_643, 80_415, "2020-08-06 02:07:23.080415"),
            (4_107_542_399, 0, "2100-02-28 23:59:59.000000"),
            (4_107_542_400, 0, "2100-03-01 00:00:00.000000"),
        ] {
            assert_eq!(stamp(Duration::new(seconds, micros * 1000)), text);
        }
    }

    /// Day after day for a thousand years.
    #[test]
    fn days_follow_each_other() {
        let mut expected = (1970, 1, 1);
        for days in 0..365_250 {
            assert_eq!(date(days), expected, "{days}");
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == length => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
