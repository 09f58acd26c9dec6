//! The tags of XML, read from bytes that are at hand as a whole: names, attributes, where things stand.

use super::{Fault, Limits, Span, text};
use std::collections::HashSet;

/// A name and where its colon stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Name {
    whole: Span,
    /// Length of the prefix; 0 where there is none.
    prefix: u16,
}

impl Name {
    pub(crate) fn whole<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.whole.of(bytes)
    }

    pub(crate) fn prefix<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &self.whole.of(bytes)[..usize::from(self.prefix)]
    }

    pub(crate) fn local<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.local_span().of(bytes)
    }

    pub(crate) fn local_span(&self) -> Span {
        let skip = if self.prefix == 0 { 0 } else { u32::from(self.prefix) + 1 };
        Span { start: self.whole.start + skip, end: self.whole.end }
    }

    pub(crate) fn span(&self) -> Span {
        self.whole
    }

    pub(crate) fn has_prefix(&self) -> bool {
        self.prefix != 0
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    /// From the white space before the name up to the closing quote.
    pub(crate) whole: Span,
    pub(crate) name: Name,
    /// Between the quotes, references and all.
    pub(crate) value: Span,
}

/// An opening or empty tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    pub(crate) name: Name,
    /// `<a/>`.
    pub(crate) empty: bool,
    /// Behind the `>`.
    pub(crate) end: usize,
}

/// `Ok(None)`: the tag goes on behind the end of the bytes.
type Lexed<T> = Result<Option<T>, Fault>;

macro_rules! want {
    ($lexed:expr) => {
        match $lexed? {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

/// Reads the opening tag whose `<` stands at `start`; its attributes go into `attributes`.
pub(crate) fn tag(bytes: &[u8], start: usize, limits: Limits, attributes: &mut Vec<Attribute>) -> Lexed<Tag> {
    attributes.clear();
    let name = want!(name(bytes, start + 1, limits));
    let mut at = name.whole.end as usize;
    loop {
        let white = at;
        at = skip_white(bytes, at);
        match bytes.get(at) {
            None => return Ok(None),
            Some(b'>') => return Ok(Some(Tag { name, empty: false, end: at + 1 })),
            Some(b'/') => return empty_end(bytes, name, at + 1),
            Some(_) if white == at => return Err(Fault::NotWellFormed),
            Some(_) if attributes.len() >= usize::from(limits.attributes) => {
                return Err(Fault::TooManyAttributes);
            }
            Some(_) => {
                let attribute = want!(attribute(bytes, white, at, limits));
                at = attribute.whole.end as usize;
                attributes.push(attribute);
            }
        }
    }
}

fn empty_end(bytes: &[u8], name: Name, at: usize) -> Lexed<Tag> {
    match bytes.get(at) {
        None => Ok(None),
        Some(b'>') => Ok(Some(Tag { name, empty: true, end: at + 1 })),
        Some(_) => Err(Fault::NotWellFormed),
    }
}

fn attribute(bytes: &[u8], white: usize, start: usize, limits: Limits) -> Lexed<Attribute> {
    let name = want!(name(bytes, start, limits));
    let equals = skip_white(bytes, name.whole.end as usize);
    match bytes.get(equals) {
        None => return Ok(None),
        Some(b'=') => {}
        Some(_) => return Err(Fault::NotWellFormed),
    }
    let open = skip_white(bytes, equals + 1);
    let quote = match bytes.get(open) {
        None => return Ok(None),
        Some(&quote @ (b'"' | b'\'')) => quote,
        Some(_) => return Err(Fault::NotWellFormed),
    };
    let close = want!(value_end(bytes, open + 1, quote));
    Ok(Some(Attribute { whole: Span::new(white, close + 1), name, value: Span::new(open + 1, close) }))
}

/// Where the quote that closes a value stands.
fn value_end(bytes: &[u8], start: usize, quote: u8) -> Lexed<usize> {
    // Most are short: a search for many octets at once costs more than it saves.
    const SHORT: usize = 24;
    let rest = bytes.get(start..).unwrap_or_default();
    let short = rest[..rest.len().min(SHORT)].iter().position(|b| *b == quote || matches!(b, b'&' | b'<'));
    let mut at = start + short.unwrap_or(0);
    if short.is_some() && bytes[at] == quote {
        return Ok(Some(at));
    }
    while let Some(found) = memchr::memchr3(quote, b'&', b'<', &bytes[at..]) {
        at += found;
        match bytes[at] {
            b'<' => return Err(Fault::NotWellFormed),
            b'&' => at += want!(text::reference(&bytes[at..])),
            _ => return Ok(Some(at)),
        }
    }
    Ok(None)
}

/// Reads the closing tag whose `</` stands at `start`: its name, and where it ends.
pub(super) fn closing_tag(bytes: &[u8], start: usize, limits: Limits) -> Lexed<(Name, usize)> {
    let name = want!(name(bytes, start + 2, limits));
    let at = skip_white(bytes, name.whole.end as usize);
    match bytes.get(at) {
        None => Ok(None),
        Some(b'>') => Ok(Some((name, at + 1))),
        Some(_) => Err(Fault::NotWellFormed),
    }
}

/// Reads a qualified name (Namespaces in XML §4): at most one colon, with something on both sides.
fn name(bytes: &[u8], start: usize, limits: Limits) -> Lexed<Name> {
    let mut end = start;
    let (mut colon, mut ascii) = (None, true);
    loop {
        let Some(&byte) = bytes.get(end) else { return Ok(None) };
        match CLASSES[usize::from(byte)] {
            Class::Other => break,
            Class::Colon if colon.is_some() => return Err(Fault::NotWellFormed),
            Class::Colon => colon = Some(end),
            Class::Wide => ascii = false,
            Class::Start | Class::Inner => {}
        }
        end += 1;
    }
    if end - start > usize::from(limits.name) {
        return Err(Fault::NameTooLong);
    }
    let first = colon.map_or(start, |colon| colon + 1);
    let starts =
        |at: usize| at < end && matches!(CLASSES[usize::from(bytes[at])], Class::Start | Class::Wide);
    if !starts(start) || !starts(first) || colon == Some(start) {
        return Err(Fault::NotWellFormed);
    }
    if !ascii {
        check_wide_name(&bytes[start..end])?;
    }
    let prefix = u16::try_from(colon.map_or(0, |colon| colon - start)).map_err(|_| Fault::NameTooLong)?;
    Ok(Some(Name { whole: Span::new(start, end), prefix }))
}

/// The names that are not ASCII (XML 1.0 §2.3).
fn check_wide_name(name: &[u8]) -> Result<(), Fault> {
    let name = std::str::from_utf8(name).map_err(|_| Fault::Encoding)?;
    let right = name.split(':').all(|part| {
        part.chars()
            .enumerate()
            .all(|(at, c)| c.is_ascii() || is_name_start(c) || (at > 0 && is_name_inner(c)))
    });
    if right { Ok(()) } else { Err(Fault::NotWellFormed) }
}

fn is_name_start(c: char) -> bool {
    matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_inner(c: char) -> bool {
    matches!(c, '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// What an octet may be in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Colon,
    Start,
    Inner,
    /// Part of a character that is not ASCII: looked at again.
    Wide,
}

static CLASSES: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => Class::Start,
            b'0'..=b'9' | b'-' | b'.' => Class::Inner,
            b':' => Class::Colon,
            0x80.. => Class::Wide,
            _ => Class::Other,
        };
        at += 1;
    }
    table
};

pub(crate) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

pub(crate) fn skip_white(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while bytes.get(at).is_some_and(|b| is_white(*b)) {
        at += 1;
    }
    at
}

/// XML 1.0 §3.1: no attribute twice.
pub(super) fn check_names(bytes: &[u8], attributes: &[Attribute]) -> Result<(), Fault> {
    let name = |a: &Attribute| a.name.span();
    let twice = if attributes.len() <= 8 {
        let same = |a: &Attribute, b: &Attribute| name(a).of(bytes) == name(b).of(bytes);
        attributes.iter().enumerate().any(|(at, a)| attributes[..at].iter().any(|b| same(a, b)))
    } else {
        let mut seen = HashSet::with_capacity(attributes.len());
        !attributes.iter().all(|a| seen.insert(name(a).of(bytes)))
    };
    if twice { Err(Fault::NotWellFormed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<Option<&str>, Fault>) {
        let mut attributes = Vec::new();
        let limits = Limits { size: 1000, depth: 4, attributes: 3, name: 8 };
        let read = tag(input.as_bytes(), 0, limits, &mut attributes).map(|tag| {
            tag.map(|tag| {
                let of = |span: Span| span.str(input);
                let mut told = format!("{}{}", of(tag.name.span()), if tag.empty { "/" } else { "" });
                for a in &attributes {
                    told += &format!(" {}={}", of(a.name.span()), of(a.value));
                }
                told
            })
        });
        assert_eq!(read.as_ref().map(Option::as_deref).map_err(|e| *e), expected, "{input:?}");
    }

    #[test]
    fn tags() {
        check("<a>", Ok(Some("a")));
        check("<a:b />", Ok(Some("a:b/")));
        check("<a b='1' c:d = \"'x>&amp;\"\n>", Ok(Some("a b=1 c:d='x>&amp;")));
        check("<\u{e9}t\u{e9}/>", Ok(Some("\u{e9}t\u{e9}/")));
    }

    #[test]
    fn tags_that_go_on() {
        for whole in ["<a:b c='d&lt;' e=\"f\" />", "<abc >"] {
            for end in 1..whole.len() {
                check(&whole[..end], Ok(None));
            }
        }
    }

    #[test]
    fn tags_that_are_none() {
        use Fault::{NameTooLong, NotWellFormed, Restricted, TooManyAttributes};
        for bad in ["<1>", "<a:>", "<:a>", "<a:b:c>", "<a:1>", "< a>", "<a/ >", "<a=>", "<a b>", "<a b=c>"] {
            check(bad, Err(NotWellFormed));
        }
        for bad in ["<a b='<'>", "<a b='1'c='2'>", "<a b='&'>", "<a b='&#0;'>", "<\u{d7}>", "<\u{b7}a>", "<>"]
        {
            check(bad, Err(NotWellFormed));
        }
        check("<a b='&x;'>", Err(Restricted));
        check("<a b='' c='' d='' e=''>", Err(TooManyAttributes));
        check("<abcdefghi>", Err(NameTooLong));
    }
}
