//! Figures gathered over the rounds, and the Markdown table made of them.

use crate::bench::case::{Case, Mark, Measure};
use crate::bench::server::Kind;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fmt::Write;

/// What one run of one case came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// Microseconds of processor time, or KiB of memory, for each unit.
    pub(crate) each: f64,
    pub(crate) units: u64,
    pub(crate) failures: u64,
    pub(crate) seconds: f64,
    /// Round trip in microseconds: half of them, and 99 of 100; 0 where it was not looked at.
    pub(crate) median: f64,
    pub(crate) slowest: f64,
}

impl Figure {
    /// In one line.
    pub(crate) fn line(&self, case: &Case) -> String {
        let unit = case.unit();
        let rate = self.units as f64 / self.seconds;
        let trip = match self.median {
            0.0 => String::new(),
            median => format!(", round trip {median:.0} µs, 99 % within {:.0}", self.slowest),
        };
        format!(
            "{} {unit}   {} units, {} failed, {rate:.0}/s{trip}",
            digits(self.each),
            self.units,
            self.failures
        )
    }
}

/// What the figures of each table are.
const TABLES: [&str; 3] = ["µs of processor time for each", "KiB of memory for each", "when something fails"];

/// In which of them a row is.
const fn table_of(measure: Measure) -> usize {
    match measure {
        Measure::Time => 0,
        Measure::Memory(_) => 1,
        Measure::Wait | Measure::Stall => 2,
    }
}

/// All figures of a benchmark.
pub(crate) struct Figures {
    kinds: Vec<Kind>,
    cells: HashMap<(Kind, &'static str), Vec<Figure>>,
}

impl Figures {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), cells: HashMap::new() }
    }

    pub(crate) fn add(&mut self, kind: Kind, case: &Case, figure: &Figure) {
        self.cells.entry((kind, case.title)).or_default().push(*figure);
    }

    /// One row for each case, one column for each server; behind each peer how many times the first one's figure it is.
    pub(crate) fn markdown(&self, cases: &[Case]) -> String {
        let mut text = String::new();
        for (place, what) in TABLES.into_iter().enumerate() {
            let rows: Vec<&Case> = cases.iter().filter(|case| table_of(case.measure) == place).collect();
            if rows.is_empty() {
                continue;
            }
            let taking =
                |kind: &&Kind| rows.iter().any(|case| self.cells.contains_key(&(**kind, case.title)));
            let kinds: Vec<&Kind> = self.kinds.iter().filter(taking).collect();
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let goals = rows.iter().any(|case| case.goal.is_some());
            let last = if goals { " goal, and what was reached |" } else { "" };
            let _ = writeln!(text, "| {what} | {} |{last}", names.join(" | "));
            let _ = writeln!(text, "|---|{}", "---|".repeat(names.len() + usize::from(goals)));
            for case in rows {
                let cells: Vec<String> = kinds.iter().map(|kind| self.cell(**kind, case)).collect();
                let last = if goals { format!(" {} |", self.goal(case)) } else { String::new() };
                let _ = writeln!(text, "| {} | {} |{last}", case.title, cells.join(" | "));
            }
            text.push('\n');
        }
        text
    }

    /// A row's goal, in figures of the same run, and how far it was reached.
    fn goal(&self, case: &Case) -> String {
        let Some(goal) = case.goal else { return "—".into() };
        let middle = |kind: &Kind| self.cells.get(&(*kind, case.title)).map(|figures| spread(figures).1);
        let Some(own) = self.kinds.first().and_then(middle) else { return "—".into() };
        let (mark, name) = match goal.of {
            Mark::Fixed => (Some(1.0), ""),
            Mark::Peer => match middle(&Kind::Coturn) {
                Some(coturn) => (Some(coturn), " × coturn"),
                None => (middle(&Kind::KamailioFast), " × Kamailio -x fm"),
            },
            Mark::Ejabberd => (middle(&Kind::Ejabberd), " × ejabberd"),
            Mark::BestPeer => {
                let peers = [Kind::Prosody, Kind::ProsodyGenerational, Kind::ProsodySql, Kind::Ejabberd];
                (peers.iter().filter_map(middle).min_by(f64::total_cmp), " × the best peer")
            }
            Mark::Plain => (middle(&Kind::FloorPlain), " × recvfrom"),
            Mark::Gso => (middle(&Kind::FloorGso), " × GSO"),
            Mark::BestFloor => {
                let floors = [Kind::FloorPlain, Kind::FloorGso, Kind::FloorRtp];
                (floors.iter().filter_map(middle).min_by(f64::total_cmp), " × the best bare one")
            }
        };
        let Some(mark) = mark else { return "—".into() };
        let reached = if own <= goal.factor * mark { "reached" } else { "missed" };
        match goal.of {
            Mark::Fixed => format!("≤ {}: {reached}", digits(goal.factor)),
            _ => format!(
                "≤ {}{name} = {}: {reached}, {:.2}",
                goal.factor,
                digits(goal.factor * mark),
                own / mark
            ),
        }
    }

    fn cell(&self, kind: Kind, case: &Case) -> String {
        let Some(figures) = self.cells.get(&(kind, case.title)) else { return "—".into() };
        let failures: u64 = figures.iter().map(|figure| figure.failures).sum();
        let units: u64 = figures.iter().map(|figure| figure.units).sum::<u64>() + failures;
        if case.measure == Measure::Stall {
            return format!("{failures} of {units}");
        }
        let (low, middle, high) = spread(figures);
        let mut text = format!("{} [{}–{}]", digits(middle), digits(low), digits(high));
        if let Some(own) = self.cells.get(&(self.kinds[0], case.title)).filter(|_| kind != self.kinds[0]) {
            let _ = write!(text, ", ×{:.1}", middle / spread(own).1);
        }
        if failures > 0 {
            let _ = write!(text, ", {failures} of {units} failed");
        }
        text
    }
}

/// Puts the tables of a benchmark into the documentation, between the marks that are there for it.
pub(crate) fn publish(name: &str, tables: &str) -> Result<()> {
    const PAGE: &str = "docs/performance.md";
    let page = std::fs::read_to_string(PAGE)?;
    std::fs::write(
        PAGE,
        between(&page, name, tables).with_context(|| format!("no marks for {name} in {PAGE}"))?,
    )?;
    Ok(())
}

fn between(page: &str, name: &str, tables: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench {name}: begin -->\n"), format!("<!-- bench {name}: end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{}\n{end}{after}", tables.trim_end()))
}

/// The lowest, the middle and the highest.
fn spread(figures: &[Figure]) -> (f64, f64, f64) {
    let mut all: Vec<f64> = figures.iter().map(|figure| figure.each).collect();
    all.sort_by(f64::total_cmp);
    (all[0], all[all.len() / 2], all[all.len() - 1])
}

/// Three significant digits.
fn digits(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_between_their_marks() {
        let page = "a\n<!-- bench turn: begin -->\nold\n<!-- bench turn: end -->\nb\n";
        let made = between(page, "turn", "| new |\n\n").unwrap();
        assert_eq!(made, "a\n<!-- bench turn: begin -->\n| new |\n<!-- bench turn: end -->\nb\n");
        assert_eq!(between(page, "sip", "x"), None);
    }

    #[test]
    fn the_middle_and_its_spread() {
        let figure = |each| Figure { each, units: 1, failures: 0, seconds: 1.0, median: 0.0, slowest: 0.0 };
        assert_eq!(spread(&[figure(3.0), figure(1.0), figure(2.0)]), (1.0, 2.0, 3.0));
        assert_eq!([0.123, 12.34, 1234.5].map(digits), ["0.12", "12.3", "1234"]);
    }
}
