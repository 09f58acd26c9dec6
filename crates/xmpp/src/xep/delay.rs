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
    fn a_kept_stanza_says_who_kept_it_since_when() {
        assert_eq!(
            element("capulet.com", Duration::from_secs(1_031_699_305)),
            "<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'/>"
        );
    }
}
