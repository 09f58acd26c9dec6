//! Characters, references and white space of XML 1.0 (§2.2, §2.11, §3.3.3, §4.1).

use super::Fault;
use std::borrow::Cow;

/// Whether XML may have this character at all (§2.2).
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Checks a whole piece of XML: UTF-8, and no character that XML does not have.
pub(crate) fn check(bytes: &[u8]) -> Result<&str, Fault> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    let (mut odd, mut all) = look(rest);
    for chunk in chunks {
        let (more_odd, more) = look(chunk);
        (odd, all) = (odd | more_odd, all | more);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Encoding)?;
    let is_ascii = all < 0x80;
    if odd != 0 || (!is_ascii && text.contains(['\u{FFFE}', '\u{FFFF}'])) {
        return Err(Fault::NotWellFormed);
    }
    Ok(text)
}

/// Whether some octet is none that XML has (not 0), and all octets together. Without branches and by octets, so that the
/// compiler takes many at once.
fn look(bytes: &[u8]) -> (u8, u8) {
    let odd = |b: u8| u8::from(b < 0x20) & u8::from(b != b'\t') & u8::from(b != b'\n') & u8::from(b != b'\r');
    bytes.iter().fold((0, 0), |(bad, all), b| (bad | odd(*b), all | *b))
}

/// Reads the reference whose `&` stands at `bytes[0]`: its length, or `None` where it goes on behind the end.
pub(super) fn reference(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    // "&#1114111;" is the longest with a meaning; leading zeros are given some room.
    const LONGEST: usize = 16;
    let window = &bytes[..bytes.len().min(LONGEST)];
    match memchr::memchr(b';', window) {
        Some(end) => match std::str::from_utf8(&window[1..end]).ok().and_then(meaning) {
            Some(_) => Ok(Some(end + 1)),
            None => Err(unknown(window)),
        },
        None if window.len() == LONGEST || !may_become(window) => Err(unknown(window)),
        None => Ok(None),
    }
}

/// Whether this beginning can still become a reference: no octet that ends one early.
fn may_become(start: &[u8]) -> bool {
    start[1..].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#')
}

/// An entity that is not one of the five is a restricted feature; anything else is no XML at all.
fn unknown(start: &[u8]) -> Fault {
    match start.get(1) {
        Some(b) if b.is_ascii_alphabetic() || *b == b'_' || *b == b':' || *b >= 0x80 => Fault::Restricted,
        _ => Fault::NotWellFormed,
    }
}

/// The character that `&name;` stands for.
fn meaning(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
                None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok(),
                _ => None,
            };
            code.and_then(char::from_u32).filter(|c| is_char(*c))
        }
    }
}

/// What the content of an element means: references resolved, line ends made one (§2.11).
pub fn unescape_text(raw: &str) -> Cow<'_, str> {
    unescape(raw, |byte| if byte == b'\r' { Some('\n') } else { None })
}

/// What an attribute's value means: references resolved, white space made spaces (§3.3.3).
pub(crate) fn unescape_attribute(raw: &str) -> Cow<'_, str> {
    unescape(raw, |byte| matches!(byte, b'\t' | b'\n' | b'\r').then_some(' '))
}

fn unescape(raw: &str, white: impl Fn(u8) -> Option<char>) -> Cow<'_, str> {
    let plain = |b: u8| b != b'&' && white(b).is_none();
    let Some(first) = raw.bytes().position(|b| !plain(b)) else { return raw.into() };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(&byte) = rest.as_bytes().first() {
        let taken = if byte == b'&' {
            let end = rest.find(';').unwrap_or(rest.len() - 1);
            out.extend(meaning(&rest[1..end.max(1)]));
            end + 1
        } else if let Some(c) = white(byte) {
            out.push(c);
            if rest.starts_with("\r\n") { 2 } else { 1 }
        } else {
            let end = rest.bytes().position(|b| !plain(b)).unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            end
        };
        rest = &rest[taken..];
    }
    out.into()
}

/// Checks the text between two tags: references, and that `]]>` does not stand in it (§2.4).
pub(super) fn check_content(text: &[u8]) -> Result<(), Fault> {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'&', b']', &text[at..]) {
        at += found;
        if text[at] == b'&' {
            at += reference(&text[at..])?.ok_or(Fault::NotWellFormed)?;
        } else if text[at..].starts_with(b"]]>") {
            return Err(Fault::NotWellFormed);
        } else {
            at += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reference(input: &str, expected: Result<Option<usize>, Fault>) {
        assert_eq!(reference(input.as_bytes()), expected, "{input:?}");
    }

    #[test]
    fn references() {
        check_reference("&amp;x", Ok(Some(5)));
        check_reference("&#x1F600;", Ok(Some(9)));
        check_reference("&#10;", Ok(Some(5)));
        check_reference("&am", Ok(None));
        check_reference("&", Ok(None));
        check_reference("&lol9;", Err(Fault::Restricted));
        check_reference("&verylongentityname;", Err(Fault::Restricted));
        check_reference("& ", Err(Fault::NotWellFormed));
        check_reference("&;", Err(Fault::NotWellFormed));
        check_reference("&#0;", Err(Fault::NotWellFormed));
        check_reference("&#xD800;", Err(Fault::NotWellFormed));
        check_reference("&#xFFFE;", Err(Fault::NotWellFormed));
        check_reference("&#+1;", Err(Fault::NotWellFormed));
        check_reference("&#x;", Err(Fault::NotWellFormed));
    }

    #[test]
    fn values_are_unescaped_and_normalised() {
        assert_eq!(unescape_text("a&lt;b&#x20ac;&amp;amp;\r\nc\rd\te"), "a<b\u{20ac}&amp;\nc\nd\te");
        assert_eq!(unescape_attribute("a\tb\r\nc&#10;d"), "a b c\nd");
        assert!(matches!(unescape_text("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn content_and_characters() {
        assert_eq!(check_content(b"a ] ]] > b &gt; "), Ok(()));
        assert_eq!(check_content(b"a ]]> b"), Err(Fault::NotWellFormed));
        assert_eq!(check_content(b"a &am"), Err(Fault::NotWellFormed));
        assert_eq!(check(b"ab\x01"), Err(Fault::NotWellFormed));
        assert_eq!(check("\u{FFFE}".as_bytes()), Err(Fault::NotWellFormed));
        assert_eq!(check(b"\xC0\x80"), Err(Fault::Encoding));
        assert_eq!(check("\t\n\r\u{e9}".as_bytes()), Ok("\t\n\r\u{e9}"));
    }
}
