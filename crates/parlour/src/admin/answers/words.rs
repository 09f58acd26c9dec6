//! How numbers, times and tables are written for people.

use std::fmt::Write;

/// Rows in columns as wide as they need; nothing where there are none.
pub(super) fn table<const N: usize>(titles: &[String; N], rows: &[[String; N]]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    let lines = || std::iter::once(titles).chain(rows);
    let wide = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(wide).collect();
    for line in lines() {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Seconds as people read them.
pub(super) fn time(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

/// Octets as people read them.
pub(super) fn size(octets: u64) -> String {
    scaled(octets, ["B", "kB", "MB", "GB", "TB"])
}

/// Octets a second as people read them: in bits.
pub(super) fn rate(octets: u64) -> String {
    scaled(octets.saturating_mul(8), ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// A number in the largest unit of which it has one.
fn scaled(number: u64, units: [&str; 5]) -> String {
    let mut size = 1;
    let mut chosen = units[0];
    for unit in &units[1..] {
        if number / size < 1000 {
            break;
        }
        size *= 1000;
        chosen = unit;
    }
    let (whole, tenth) = (number / size, number % size * 10 / size);
    if size == 1 || whole >= 100 { format!("{whole} {chosen}") } else { format!("{whole}.{tenth} {chosen}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([time(9), time(80), time(7261)], ["9s", "1m20s", "2h01m"]);
        assert_eq!([size(0), size(999), size(1_250), size(640_000)], ["0 B", "999 B", "1.2 kB", "640 kB"]);
        assert_eq!([rate(8_000), rate(1_250_000)], ["64.0 kbit/s", "10.0 Mbit/s"]);
        assert!(size(u64::MAX).ends_with(" TB") && rate(u64::MAX).ends_with(" Tbit/s"));
    }
}
