//! Lines of a description: a letter, `=`, and a value up to the line's end (RFC 8866 §5). LF alone ends a line too.

use std::ops::Range;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its letter; 0 of what is no line at all.
    pub(super) kind: u8,
    /// What stands behind the `=`, without the line's end.
    pub(super) value: Range<usize>,
    /// Where the next line begins.
    pub(super) end: usize,
}

impl Line {
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.value.clone()]
    }
}

/// The lines of a description. Empty ones at its end are none.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let rest = &self.bytes[self.at..];
        if rest.trim_ascii().is_empty() {
            return None;
        }
        let start = self.at;
        let newline = rest.iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(self.bytes.len(), |at| start + at + 1);
        let mut stop = newline.map_or(end, |at| start + at);
        if stop > start && self.bytes[stop - 1] == b'\r' {
            stop -= 1;
        }
        self.at = end;
        Some(match &self.bytes[start..stop] {
            [kind, b'=', ..] => Line { kind: *kind, value: start + 2..stop, end },
            _ => Line { kind: 0, value: start..stop, end },
        })
    }
}

/// The words of a part, with where they stand.
pub(super) fn words(bytes: &[u8], part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = part.start;
    std::iter::from_fn(move || {
        while at < part.end && bytes[at] == b' ' {
            at += 1;
        }
        let start = at;
        while at < part.end && bytes[at] != b' ' {
            at += 1;
        }
        (start < at).then_some(start..at)
    })
}

/// A port.
pub(super) fn number(text: &[u8]) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= 5 && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}
