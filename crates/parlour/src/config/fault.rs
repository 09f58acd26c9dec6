//! What is wrong with a configuration: the place, the key, what was expected, the nearest right spelling.

use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the text; `None` when something is missing altogether.
    pub span: Option<Range<usize>>,
    /// Which key: `turn.udp`. Empty for faults of the syntax.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead. May be empty.
    pub help: String,
}

impl Fault {
    /// Something wrong with `key`, at `span`.
    pub fn new(span: Range<usize>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { span: Some(span), key: key.into(), message: message.into(), help: String::new() }
    }

    /// Something that is missing.
    pub fn missing(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { span: None, key: key.into(), message: message.into(), help: String::new() }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }
}

/// A refused configuration: the file and all that is wrong with it, in the order of the file.
#[derive(Debug)]
pub struct Refusal {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What stood in it.
    pub text: String,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl std::error::Error for Refusal {}

/// A fault as programs read it (`--json`). Lines and columns count from 1; 0 is "nowhere".
#[derive(Debug, Serialize)]
pub struct Finding<'a> {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The key: `turn.udp`.
    pub key: &'a str,
    /// What is wrong.
    pub message: &'a str,
    /// What to write instead.
    pub help: &'a str,
}

impl Refusal {
    /// Joins the faults of a file, in its order.
    pub fn new(file: PathBuf, text: String, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start));
        Self { file, text, faults }
    }

    /// The faults as programs read them.
    pub fn findings(&self) -> Vec<Finding<'_>> {
        self.faults.iter().map(|fault| self.finding(fault)).collect()
    }

    fn finding<'a>(&self, fault: &'a Fault) -> Finding<'a> {
        let (line, column) = fault.span.as_ref().map_or((0, 0), |span| position(&self.text, span.start));
        let file = self.file.display().to_string();
        Finding { file, line, column, key: &fault.key, message: &fault.message, help: &fault.help }
    }

    fn write_fault(&self, f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
        writeln!(f, "error: {}", fault.message)?;
        let Some(span) = &fault.span else {
            writeln!(f, "  --> {}", self.file.display())?;
            return write_help(f, "", &fault.help);
        };
        let (line, column) = position(&self.text, span.start);
        let margin = " ".repeat(line.to_string().len());
        if is_delicate(&self.text, fault) {
            writeln!(
                f,
                "{margin}--> {}:{line}:{column} (not shown: secrets may stand there)",
                self.file.display()
            )?;
            return write_help(f, &margin, &fault.help);
        }
        let source = source_line(&self.text, span.start);
        let marked = self.text[span.start..span.end].lines().next().map_or(1, |s| s.chars().count().max(1));
        writeln!(f, "{margin}--> {}:{line}:{column}", self.file.display())?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {source}")?;
        writeln!(f, "{margin} | {}{}", " ".repeat(column - 1), "^".repeat(marked))?;
        write_help(f, &margin, &fault.help)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            self.write_fault(f, fault)?;
        }
        Ok(())
    }
}

fn write_help(f: &mut fmt::Formatter<'_>, margin: &str, help: &str) -> fmt::Result {
    if help.is_empty() { Ok(()) } else { writeln!(f, "{margin} = help: {help}") }
}

/// Keys whose values are nobody's to see.
const DELICATE: [&str; 4] = ["secrets", "oauth-keys", "components", "secret"];

/// Whether a secret may stand in the line of a fault: it is about one, or about a key that was perhaps meant to be one,
/// or the text cannot be told apart.
fn is_delicate(text: &str, fault: &Fault) -> bool {
    let means = |word: &str| nearest(word, DELICATE).is_some();
    let line = fault.span.as_ref().map_or("", |span| source_line(text, span.start));
    let mentions = |text: &str| DELICATE.iter().any(|key| text.contains(key));
    mentions(line) || (fault.key.is_empty() && mentions(text)) || fault.key.split('.').any(means)
}

/// Line and column of an offset, from 1.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn source_line(text: &str, offset: usize) -> &str {
    let start = text[..offset].rfind('\n').map_or(0, |n| n + 1);
    text[start..].lines().next().unwrap_or("")
}

/// The candidate nearest to what was typed, if one is near enough to be meant.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    let (distance, best) =
        candidates.into_iter().map(|c| (distance(&typed, c), c)).min_by_key(|(d, _)| *d)?;
    let near = best.chars().count().min(typed.chars().count()).div_ceil(2);
    (distance <= near.min(3)).then_some(best)
}

/// How many letters to insert, drop, change or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 { i + j } else { step(&rows, &a, &b, i, j) };
        }
    }
    rows[a.len()][b.len()]
}

fn step(rows: &[Vec<usize>], a: &[char], b: &[char], i: usize, j: usize) -> usize {
    let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
    let best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_right_spelling() {
        let keys = ["udp", "tcp", "tls", "relay-ports", "allow-peers"];
        for (typed, expected) in [
            ("upd", Some("udp")),
            ("relay_ports", Some("relay-ports")),
            ("Relay-Port", Some("relay-ports")),
            ("allowpeers", Some("allow-peers")),
            ("certificate", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, keys), expected, "{typed}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!((distance("", "abc"), distance("abc", "acb"), distance("abc", "abc")), (3, 1, 0));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
