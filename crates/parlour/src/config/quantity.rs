//! Numbers with units: durations and rates.

use super::fault::Fault;
use super::file::Typed;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Understands `"10s"`, `"500us"`, `"1h"`; within bounds, both in words where it is not.
pub(super) fn duration(typed: &Typed<String>, bounds: RangeInclusive<Duration>) -> Result<Duration, Fault> {
    let text = typed.value.trim();
    let wrong = || {
        let fault = typed.fault(format!("`{text}` is not a length of time"));
        fault.help("write a whole number and us, ms, s, m, h or d, as in \"10s\"")
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(wrong()),
    };
    let whole: u64 = number.parse().map_err(|_| wrong())?;
    let found = Duration::from_micros(whole.checked_mul(micros).ok_or_else(wrong)?);
    if bounds.contains(&found) {
        return Ok(found);
    }
    Err(typed.fault(format!("`{text}` is out of bounds")).help(format!(
        "from {} to {}",
        words(*bounds.start()),
        words(*bounds.end())
    )))
}

/// The same for a text that stands in no file; what is wrong in words.
pub(crate) fn length_of_time(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    let typed = Typed { value: text.to_owned(), span: 0..0, key: String::new() };
    duration(&typed, bounds).map_err(|fault| format!("{}: {}", fault.message, fault.help))
}

/// A length of time as it is written.
pub(super) fn words(length: Duration) -> String {
    let micros = length.as_micros();
    let units =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    let unit = units.into_iter().find(|(size, _)| micros >= *size && micros.is_multiple_of(*size));
    match unit {
        Some((size, unit)) => format!("{}{unit}", micros / size),
        None if micros == 0 => "0s".into(),
        None => format!("{micros}us"),
    }
}

/// Understands `"8 Mbit/s"`, `"1.5 MB/s"` and a bare number of octets in a second; gives octets in a second.
pub(super) fn rate(typed: &Typed<String>) -> Result<u64, Fault> {
    let text = typed.value.trim();
    let wrong = || {
        let fault = typed.fault(format!("`{text}` is not a rate"));
        fault
            .help("write \"8 Mbit/s\", \"1 MB/s\" or octets in a second, as in 1000000; 0 is without a bound")
    };
    let (number, unit) = split(text).unwrap_or((text, ""));
    let (size, bits) = match unit.strip_suffix("/s").unwrap_or(unit).trim() {
        "" | "B" => (1_000, 1),
        "kB" => (1_000_000, 1),
        "MB" => (1_000_000_000, 1),
        "GB" => (1_000_000_000_000, 1),
        "bit" => (1_000, 8),
        "kbit" => (1_000_000, 8),
        "Mbit" => (1_000_000_000, 8),
        "Gbit" => (1_000_000_000_000, 8),
        _ => return Err(wrong()),
    };
    let thousandths = thousandths(number).ok_or_else(wrong)?;
    let octets = u128::from(thousandths) * size / 1_000_000 / bits;
    // Less than one octet is not "without a bound".
    let octets = if thousandths > 0 { octets.max(1) } else { 0 };
    u64::try_from(octets).map_err(|_| wrong())
}

/// `"1.5"` is 1500.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let part: u64 = digits.then(|| format!("{part:0<3}").parse().ok())??;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// The number and the unit behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    (!number.is_empty()).then_some((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Typed<String> {
        Typed { value: text.into(), span: 0..text.len(), key: "turn.x".into() }
    }

    #[test]
    fn lengths_of_time() {
        let day = Duration::ZERO..=Duration::from_secs(86_400);
        for (text, micros) in
            [("0s", 0), ("500us", 500), (" 20 ms", 20_000), ("2m", 120_000_000), ("1d", 86_400_000_000)]
        {
            assert_eq!(duration(&typed(text), day.clone()), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in
            ["", "5", "s", "1.5s", "-1s", "5 parsecs", "99999999999999999999s", "18446744073709551615d"]
        {
            let fault = duration(&typed(text), day.clone()).expect_err(text);
            assert!(fault.message.ends_with("is not a length of time"), "{fault:?}");
        }
        let fault = duration(&typed("2d"), day).expect_err("too long");
        assert_eq!((fault.message.as_str(), fault.help.as_str()), ("`2d` is out of bounds", "from 0s to 1d"));
    }

    #[test]
    fn lengths_of_time_are_written_as_they_are_read() {
        for text in ["0s", "500us", "20ms", "90s", "10m", "1h", "7d"] {
            let read = duration(&typed(text), Duration::ZERO..=Duration::MAX).expect("valid");
            assert_eq!(words(read), text);
        }
    }

    #[test]
    fn rates() {
        for (text, octets) in [
            ("0", 0),
            ("125000", 125_000),
            ("8 Mbit/s", 1_000_000),
            ("8Mbit", 1_000_000),
            ("1.5 MB/s", 1_500_000),
            ("0.5 Gbit/s", 62_500_000),
            ("64 kbit/s", 8_000),
            ("7 B/s", 7),
            ("0.1 bit/s", 1),
        ] {
            assert_eq!(rate(&typed(text)), Ok(octets), "{text}");
        }
        for text in ["", "-1", "fast", "8 Mb/s", "1.2345 MB/s", "1. MB/s", "99999999999999999999", "1..5"] {
            assert!(rate(&typed(text)).is_err(), "{text}");
        }
    }
}
