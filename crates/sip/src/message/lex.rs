//! The smallest pieces of SIP's grammar on bytes: tokens, white space, quoted strings, lists (RFC 3261 §25.1).

use std::borrow::Cow;

/// May stand in a token.
pub(crate) const TOKEN: u8 = 1;
/// White space, or part of a folded line's end.
pub(crate) const LWS: u8 = 1 << 1;
/// May stand in the value of a header parameter outside quotes: all that is no delimiter.
pub(crate) const VALUE: u8 = 1 << 2;
/// May stand in a URI between angle brackets.
pub(crate) const BRACKETED: u8 = 1 << 3;
/// May stand in the user part of a URI: unreserved, escaped, user-unreserved; `#`, which many phones do not
/// escape; bytes above ASCII, likewise.
pub(crate) const USER: u8 = 1 << 4;
/// May stand in a parameter of a URI.
pub(crate) const URI_PARAM: u8 = 1 << 5;
/// May stand in a host name.
pub(crate) const HOST: u8 = 1 << 6;
/// A decimal digit.
pub(crate) const DIGIT: u8 = 1 << 7;

/// What each byte may be part of.
const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = class(b as u8);
        b += 1;
    }
    table
}

const fn class(c: u8) -> u8 {
    let word = c.is_ascii_alphanumeric();
    let mark = matches!(c, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let high = c >= 0x80;
    let mut class = 0;
    if word || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
        class |= TOKEN;
    }
    if matches!(c, b' ' | b'\t' | b'\r' | b'\n') {
        class |= LWS;
    } else if !matches!(c, b';' | b',' | b'"' | b'<' | b'>' | b'=') {
        class |= VALUE;
    }
    if c > b' ' && !matches!(c, b'<' | b'>' | b'"' | 0x7f) {
        class |= BRACKETED;
    }
    if word
        || mark
        || high
        || matches!(c, b'%' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#')
    {
        class |= USER;
    }
    if word || mark || high || matches!(c, b'%' | b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'=') {
        class |= URI_PARAM;
    }
    if word || matches!(c, b'.' | b'-' | b'_') {
        class |= HOST;
    }
    if c.is_ascii_digit() {
        class |= DIGIT;
    }
    class
}

/// Whether `b` is of one of these classes.
pub(crate) const fn is(b: u8, classes: u8) -> bool {
    CLASS[b as usize] & classes != 0
}

/// How many bytes of this class `text` begins with; for what is mostly short.
#[inline]
pub(crate) fn run(text: &[u8], class: u8) -> usize {
    text.iter().position(|&b| !is(b, class)).unwrap_or(text.len())
}

/// The same for what is mostly long: eight bytes at a time.
#[inline]
pub(crate) fn long_run(text: &[u8], class: u8) -> usize {
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>()
        && are(eight, class)
    {
        rest = behind;
    }
    text.len() - rest.len() + run(rest, class)
}

/// Whether all bytes are of this class.
#[inline]
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    let (eights, rest) = text.as_chunks::<8>();
    eights.iter().all(|eight| are(eight, class)) && rest.iter().all(|&b| is(b, class))
}

/// Whether eight bytes are of this class: no branch for each.
#[inline]
fn are(eight: &[u8; 8], class: u8) -> bool {
    eight.iter().fold(class, |both, &b| both & CLASS[b as usize]) != 0
}

/// Where `byte` stands first: for what is found after a few bytes. Further away, `memchr` is faster.
#[inline]
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let mut at = 0;
    while let Some((eight, _)) = text.get(at..)?.split_first_chunk::<8>() {
        let differ = u64::from_le_bytes(*eight) ^ (ONES * u64::from(byte));
        // The high bit of the first byte that is zero (and perhaps of some behind it).
        let zeros = differ.wrapping_sub(ONES) & !differ & (ONES << 7);
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..].iter().position(|&b| b == byte).map(|more| at + more)
}

/// Where the first CR or LF stands: for lines, most of which are short. Nearly all that is below a space in a message is one of
/// them.
#[inline(always)]
pub(crate) fn find_line_end(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (eights, _) = text.as_chunks::<8>();
    for (place, eight) in eights.iter().take(NEAR).enumerate() {
        let word = u64::from_le_bytes(*eight);
        // The high bit of the first byte below a space (and perhaps of some behind it).
        let below = word.wrapping_sub(ONES * u64::from(b' ')) & !word & (ONES << 7);
        if below != 0 {
            let bits = below.trailing_zeros() & !7;
            let first = 8 * place + bits as usize / 8;
            return match (word >> bits) as u8 {
                b'\r' | b'\n' => Some(first),
                _ => far_line_end(text, first),
            };
        }
    }
    far_line_end(text, 8 * NEAR.min(eights.len()))
}

/// How many times eight bytes are looked at before `memchr` is faster.
const NEAR: usize = 12;

#[inline(never)]
fn far_line_end(text: &[u8], from: usize) -> Option<usize> {
    memchr::memchr2(b'\r', b'\n', &text[from..]).map(|more| from + more)
}

/// Whether `b` may stand in a token.
pub(crate) const fn is_token(b: u8) -> bool {
    is(b, TOKEN)
}

/// Whether `b` is white space, or part of a folded line's end.
pub(crate) const fn is_lws(b: u8) -> bool {
    is(b, LWS)
}

/// Whether all of a non-empty text may stand in a token.
pub(crate) fn all_token(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// How many bytes of white space `text` begins with.
pub(crate) fn lws(text: &[u8]) -> usize {
    run(text, LWS)
}

/// How many token bytes `text` begins with.
pub(crate) fn token(text: &[u8]) -> usize {
    run(text, TOKEN)
}

/// `text` without the spaces and tabs in front: within one line.
#[inline]
pub(crate) fn trim_blanks_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The same without those behind.
#[inline]
pub(crate) fn trim_blanks_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// `text` without the white space in front.
#[inline]
pub(crate) fn trim_start(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(&b) if is_lws(b) => &text[lws(text)..],
        _ => text,
    }
}

/// `text` without the white space behind.
#[inline]
pub(crate) fn trim_end(text: &[u8]) -> &[u8] {
    if text.last().is_none_or(|&b| !is_lws(b)) {
        return text;
    }
    let end = text.iter().rposition(|&b| !is_lws(b)).map_or(0, |last| last + 1);
    &text[..end]
}

/// `text` without the white space around it.
#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// How long the quoted string is that `text` begins with, quotes included; `None` where it does not end.
pub(crate) fn quoted(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    // What is quoted is seldom long, and seldom has backslashes.
    let mut end = 1 + find(text.get(1..)?, b'"')?;
    if find(&text[1..end], b'\\').is_none() {
        return Some(end + 1);
    }
    end = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(end..)?) {
        end += found;
        if text[end] == b'"' {
            return Some(end + 1);
        }
        end += 2;
    }
    None
}

/// What a parameter or header value says: a quoted string without its quotes and backslashes, a token as it is.
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) else {
        return Cow::Borrowed(value);
    };
    if find(inner, b'\\').is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&b) = bytes.next() {
        out.push(if b == b'\\' { bytes.next().copied().unwrap_or(b) } else { b });
    }
    Cow::Owned(out)
}

/// Reads a number that is nothing but digits and fits.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return long_number(text);
    }
    text.iter().try_fold(0, |n: u64, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// The same for texts that may not fit: leading zeros are allowed in any number.
fn long_number(text: &[u8]) -> Option<u64> {
    let zeros = text.iter().take_while(|&&b| b == b'0').count();
    if zeros == 0 || text.len() - zeros > 19 { None } else { number(&text[zeros.min(text.len() - 1)..]) }
}

/// Reads a number of at most 32 bits.
pub(crate) fn number32(text: &[u8]) -> Option<u32> {
    number(text).and_then(|n| u32::try_from(n).ok())
}

/// Reads a port.
pub(crate) fn port(text: &[u8]) -> Option<u16> {
    number(text).and_then(|n| u16::try_from(n).ok())
}

/// The elements of a comma-separated value, trimmed. Commas inside quotes and angle brackets do not count.
/// Empty elements are left out (RFC 3261 §7.3.1 knows none, but real messages do).
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: &'a [u8],
}

impl<'a> List<'a> {
    /// Takes a value apart.
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = element(self.rest);
            let found = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !found.is_empty() {
                return Some(found);
            }
        }
        None
    }
}

/// Where the first element of a comma-separated value ends: at a comma, or with the value.
pub(crate) fn element(value: &[u8]) -> usize {
    // Most have one element.
    if memchr::memchr(b',', value).is_none() {
        return value.len();
    }
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b',', b'"', b'<', &value[at..]) {
        at += found;
        at += match value[at] {
            b',' => return at,
            b'"' => quoted(&value[at..]).unwrap_or(value.len() - at),
            _ => memchr::memchr(b'>', &value[at..]).unwrap_or(value.len() - at),
        };
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_respect_quotes_and_brackets() {
        let all = |text: &'static str| List::new(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(all("a, b ,c"), [b"a", b"b", b"c"]);
        assert_eq!(
            all("\"a,\\\",b\" <sip:x,y@z>;p=\",\", c"),
            [&b"\"a,\\\",b\" <sip:x,y@z>;p=\",\""[..], b"c"]
        );
        assert_eq!(all(" ,, a,\r\n b,"), [b"a", b"b"]);
        assert_eq!(all("\"open, b"), [b"\"open, b"]);
        assert_eq!(all("<open, b"), [b"<open, b"]);
        assert!(all("").is_empty());
    }

    #[test]
    fn quoted_strings_end_at_their_quote() {
        assert_eq!(quoted(b"\"ab\"c"), Some(4));
        assert_eq!(quoted(b"\"a\\\"b\"c"), Some(6));
        assert_eq!((quoted(b"\"ab"), quoted(b"\"ab\\"), quoted(b"\"ab\\\"")), (None, None, None));
        assert_eq!(unquote(b"\"a\\\"\\\\b\"").as_ref(), b"a\"\\b");
        assert_eq!(unquote(b"token").as_ref(), b"token");
    }

    #[test]
    fn long_texts_are_looked_at_as_short_ones() {
        for length in (0..40).chain(100..110) {
            for wrong in 0..=length {
                let mut text = vec![b'a'; length];
                if let Some(byte) = text.get_mut(wrong) {
                    *byte = b';';
                }
                assert_eq!((run(&text, TOKEN), long_run(&text, TOKEN)), (wrong, wrong));
                assert_eq!(all(&text, TOKEN), wrong == length);
                assert_eq!(find(&text, b';'), (wrong < length).then_some(wrong));
                assert_eq!(find(&text, 0x80 | b'a'), None);
                if let Some(byte) = text.get_mut(wrong) {
                    *byte = [b'\r', b'\n'][length % 2];
                }
                if wrong > 0 {
                    // What is below a space, but ends no line; what is above ASCII.
                    text[wrong - 1] = [b'\t', 0, 0x8d, 0x1f][wrong % 4];
                }
                assert_eq!(find_line_end(&text), (wrong < length).then_some(wrong));
            }
        }
        assert_eq!(find(b"ab:cd:ef:ghi:", b':'), Some(2));
        assert_eq!(find(b"ab\x3b:c:e", b':'), Some(3), "a byte that differs by one bit only");
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"00000000000000000000000070"), Some(70));
        assert_eq!(number(b"00000000000000000000000000"), Some(0));
        assert_eq!(number(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for bad in [&b""[..], b"-1", b"+1", b"1 ", b"1a", b"36893488147419103232"] {
            assert_eq!(number(bad), None);
        }
        assert_eq!((number32(b"4294967295"), number32(b"4294967296")), (Some(u32::MAX), None));
        assert_eq!((port(b"65535"), port(b"65536")), (Some(65535), None));
    }
}
