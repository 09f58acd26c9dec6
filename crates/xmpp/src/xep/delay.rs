//! Delayed delivery (XEP-0203): when a stanza came that is delivered later; dates as XEP-0082 writes them.

use crate::ns;
use crate::xml::Writer;
use std::time::Duration;

/// The child that a kept stanza gets: `domain` kept it, at `at` since 1970-01-01 00:00 UTC.
pub(crate) fn element(domain: &str, at: Duration) -> String {
    let mut w = Writer::new();
    w.open("delay").attr("xmlns", ns::DELAY).attr("from", domain).attr("stamp", &date(at));
    w.finish()
}

/// `2002-09-10T23:08:25Z`.
pub(crate) fn date(at: Duration) -> String {
    let seconds = at.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads a date and time as XEP-0082 writes it: `None` where it is none, or before 1970.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let (date, time) = text.trim().split_once('T')?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let zone = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !range || hour > 24 || minute > 59 || second > 60 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = i64::try_from(local).ok()?.checked_sub(offset(zone)?)?;
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos.parse().ok()?))
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' if zone.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (0..=14).contains(&hours).then_some(sign * (hours * 3600 + minutes * 60))
}

/// How many days a date is after 1970-01-01 (Gregorian): the way back of [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, of_year) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * of_year + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of the day that is `days` after 1970-01-01 (Gregorian).
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are counted from March of year 0 here, so that the leap day is the last of a year.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: &str) {
        assert_eq!(date(Duration::from_secs(seconds)), expected);
    }

    #[test]
    fn dates() {
        check(0, "1970-01-01T00:00:00Z");
        check(1_031_699_305, "2002-09-10T23:08:25Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(951_868_800, "2000-03-01T00:00:00Z");
        check(1_798_761_599, "2026-12-31T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
    }

    #[test]
    fn dates_are_read() {
        let seconds = |text: &str| read(text).map(|time| time.as_secs());
        for at in [0, 1_031_699_305, 951_782_399, 951_782_400, 951_868_800, 1_798_761_599, 4_107_542_400] {
            assert_eq!(seconds(&date(Duration::from_secs(at))), Some(at));
        }
        assert_eq!(seconds("1969-07-20T21:56:15-05:00"), None);
        assert_eq!(seconds("2002-09-11T01:08:25+02:00"), Some(1_031_699_305));
        assert_eq!(read("1970-01-01T00:00:01.25Z"), Some(Duration::from_millis(1250)));
        for bad in [
            "",
            "2002-09-10",
            "2002-09-10T23:08:25",
            "2002-13-10T23:08:25Z",
            "T",
            "2002-09-10T23:08:25Zx",
            "x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_kept_stanza_says_who_kept_it_since_when() {
        assert_eq!(
            element("capulet.com", Duration::from_secs(1_031_699_305)),
            "<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'/>"
        );
    }
}
