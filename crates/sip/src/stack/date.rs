//! The Date of an answer (RFC 3261 §20.17): `Sat, 13 Nov 2010 23:29:00 GMT`.

use std::time::Duration;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes a moment, given as time since 1970-01-01 00:00 UTC.
pub(super) fn write(unix: Duration) -> [u8; 29] {
    let seconds = unix.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[usize::try_from(days % 7).expect("below seven")];
    let (year, month, day) = civil(days);
    let month = MONTHS[usize::try_from(month - 1).expect("below twelve")];
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(weekday.as_bytes());
    text[8..11].copy_from_slice(month.as_bytes());
    let numbers = [day, year / 100, year % 100, second / 3600, second / 60 % 60, second % 60];
    for (at, number) in [5, 12, 14, 17, 20, 23].into_iter().zip(numbers) {
        let digit = |number: u64| b'0' + u8::try_from(number % 10).expect("one digit");
        (text[at], text[at + 1]) = (digit(number / 10), digit(number));
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&write(Duration::from_secs(seconds))), Ok(text));
        }
    }
}
