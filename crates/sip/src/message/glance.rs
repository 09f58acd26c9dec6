//! A glance at a REGISTER that is perhaps another worker's to read: whose it is, and whether it brings credentials.

use super::lex;
use super::{HeaderName, line_end};

/// What one sees at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance<'a> {
    /// The first To, unread.
    pub(crate) to: &'a [u8],
    /// Whether there are credentials.
    pub(crate) proves: bool,
}

/// Looks at a REGISTER's header lines as far as need be. `None` where it is none, or not one line after the other: whoever
/// reads it will say what is wrong with it.
pub(crate) fn glance(bytes: &[u8]) -> Option<Glance<'_>> {
    let mut to = None;
    let mut proves = false;
    let mut at = if bytes.starts_with(b"REGISTER ") { line_end(bytes, 0).ok()? + 2 } else { return None };
    while !(bytes[at..].starts_with(b"\r\n") || proves && to.is_some()) {
        let end = line_end(bytes, at).ok()?;
        match name(&bytes[at..end]) {
            Some((HeaderName::To, value)) => to = to.or(Some(value)),
            Some((HeaderName::Authorization, _)) => proves = true,
            _ => {}
        }
        at = end + 2;
    }
    to.map(|to| Glance { to, proves })
}

/// The name of a line, where it can be one of those looked for, and its value.
fn name(line: &[u8]) -> Option<(HeaderName, &[u8])> {
    if !matches!(line.first(), Some(b'T' | b't' | b'A' | b'a')) {
        return None;
    }
    let colon = lex::find(line, b':')?;
    let written = lex::trim_blanks_end(&line[..colon]);
    Some((HeaderName::at(line, written.len()), lex::trim(&line[colon + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, bool)>) {
        let found = glance(text.as_bytes());
        let found = found.map(|glance| (std::str::from_utf8(glance.to).unwrap(), glance.proves));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn whose_it_is_and_whether_it_proves_that() {
        let with = |lines: &str| format!("REGISTER sip:a SIP/2.0\r\nVia: x\r\n{lines}\r\n");
        check(&with("To: <sip:b@a>\r\nCSeq: 1\r\n"), Some(("<sip:b@a>", false)));
        check(&with("t :<sip:b@a> \r\nAuthorization: Digest a\r\n"), Some(("<sip:b@a>", true)));
        check(&with("AUTHORIZATION:x\r\ntO:\tb\r\nt: c\r\n"), Some(("b", true)));
        check(&with("To: \"b\"\r\n <sip:b@a>\r\nAllow: A\r\n"), Some(("\"b\"\r\n <sip:b@a>", false)));
        check(&with("Timestamp: 1\r\nTo: c\r\nTo: d\r\n"), Some(("c", false)));
        check(&format!("{}To: d\r\n", with("Accept: b\r\n")), None);
        check(&with("").replace("REGISTER", "OPTIONS"), None);
        check(&with("To: a\r\n").replace("REGISTER", "REGISTERS"), None);
        for cut in 0..with("To: a\r\n").len() - 2 {
            check(&with("To: a\r\n")[..cut], None);
        }
    }
}
