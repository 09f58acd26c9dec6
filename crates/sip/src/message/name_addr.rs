//! One address value, as From, To, Contact, Route and their kin hold it: name-addr or addr-spec, and parameters
//! (RFC 3261 §20.10, §25.1).

use super::lex;
use super::{Fault, Params};
use crate::uri::{self, Uri};
use std::borrow::Cow;

/// One address with what stands around it, read in place.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    value: &'a [u8],
    display: &'a [u8],
    uri: &'a [u8],
    params: Params<'a>,
    tag: Option<&'a [u8]>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value that fills `value`: no comma outside quotes and brackets.
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let value = lex::trim(value);
        let (display, uri, rest) = match value.first() {
            Some(b'"') => {
                let (display, rest) = value.split_at(lex::quoted(value).ok_or(Fault::QuotedString)?);
                bracketed(display, lex::trim_start(rest))?
            }
            Some(b'<') => bracketed(b"", value)?,
            _ => unquoted(value)?,
        };
        uri::scheme_length(uri).ok_or(Fault::Uri)?;
        let mut tag = None;
        let params = Params(rest).check(|param| {
            if param.is("tag") {
                tag = tag.or(param.value);
            }
        })?;
        Ok(Self { value, display, uri, params, tag })
    }

    /// The whole value, as written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.value
    }

    /// The display name, without quotes; empty where there is none.
    pub fn display(&self) -> Cow<'a, [u8]> {
        lex::unquote(self.display)
    }

    /// The URI as written, without brackets.
    pub fn uri_bytes(&self) -> &'a [u8] {
        self.uri
    }

    /// The URI, read.
    pub fn uri(&self) -> Result<Uri<'a>, Fault> {
        Uri::parse(self.uri)
    }

    /// The parameters of the header (not of the URI).
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.tag
    }

    /// The `expires` parameter in seconds; a number too large is the largest (RFC 3261 §20.19).
    /// `None` where there is none or it is no number.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(super::delta_seconds)
    }

    /// The `q` parameter in thousandths: 0 to 1000; `None` where there is none or it breaks the grammar.
    pub fn q(&self) -> Option<u16> {
        qvalue(self.params.get("q")?)
    }
}

/// What was read off a value: display name, URI, and the parameters behind them.
type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Reads `<uri>` off the front of `text`.
fn bracketed<'a>(display: &'a [u8], text: &'a [u8]) -> Result<Parts<'a>, Fault> {
    let text = text.strip_prefix(b"<").ok_or(Fault::Address)?;
    let end = lex::find(text, b'>').ok_or(Fault::Address)?;
    let uri = &text[..end];
    if !lex::all(uri, lex::BRACKETED) {
        return Err(Fault::Uri);
    }
    Ok((display, uri, &text[end + 1..]))
}

/// A display name without quotes before a bracket, or a URI that stands alone: then every parameter is the header's.
/// The grammar wants tokens; of what it forbids, only what would mislead somebody is refused: quotes, commas and
/// control characters.
fn unquoted(value: &[u8]) -> Result<Parts<'_>, Fault> {
    if let Some(open) = memchr::memchr2(b'<', b';', value).filter(|&at| value[at] == b'<') {
        let display = lex::trim_end(&value[..open]);
        let proper = |&b: &u8| lex::is_lws(b) || (b > b' ' && !matches!(b, b'"' | b',' | 0x7f));
        if !display.iter().all(proper) {
            return Err(Fault::Address);
        }
        return bracketed(display, &value[open..]);
    }
    let is_uri = |b: u8| lex::is(b, lex::BRACKETED) && !matches!(b, b';' | b',' | b'?');
    let end = value.iter().position(|&b| !is_uri(b)).unwrap_or(value.len());
    Ok((b"", &value[..end], &value[end..]))
}

/// `0`, `0.5`, `1.000`: a number from 0 to 1 with at most three decimals, in thousandths.
fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        [whole] => (whole, &[][..]),
        _ => return None,
    };
    let digit = |b: &u8| b.is_ascii_digit().then(|| u16::from(b - b'0'));
    let mut thousandths = digit(whole)?;
    for place in 0..3 {
        thousandths = thousandths * 10 + decimals.get(place).map_or(Some(0), digit)?;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, display: &str, uri: &str, params: &str) {
        let read = NameAddr::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        assert_eq!(read.display().as_ref(), display.as_bytes(), "{text}");
        assert_eq!(
            (read.uri_bytes(), read.params().as_bytes()),
            (uri.as_bytes(), params.as_bytes()),
            "{text}"
        );
    }

    #[test]
    fn parse() {
        check("<sip:a@b>", "", "sip:a@b", "");
        check("sip:a@b;tag=1", "", "sip:a@b", ";tag=1");
        check("sip:a@b ; tag=1", "", "sip:a@b", " ; tag=1");
        check("\"J \\\"Rosenberg\\\\\"  <sip:a@b;x=y>;tag=1", "J \"Rosenberg\\", "sip:a@b;x=y", ";tag=1");
        check("caller<sip:a@b>\r\n ;tag = 1", "caller", "sip:a@b", "\r\n ;tag = 1");
        check("The Big  One <tel:+1;x>", "The Big  One", "tel:+1;x", "");
        check("\"<sip:x@y>\" <sip:a@b,c>", "<sip:x@y>", "sip:a@b,c", "");
        check("J\u{fc}rg <sip:a@b>", "J\u{fc}rg", "sip:a@b", "");
        check("j@b (home) <sip:a@b>", "j@b (home)", "sip:a@b", "");
        check("sip:a@b;p=\"<\"", "", "sip:a@b", ";p=\"<\"");
    }

    #[test]
    fn reject() {
        for bad in [
            "",
            "a@b",
            "<sip:a@b",
            "<a>",
            "<>",
            "\"x <sip:a@b>",
            "\"x\" sip:a@b",
            "Bell, Alexander <sip:a@b>",
            "< sip:a@b >",
            "<sip:a@b> x",
            "<sip:a@b>;",
            "<sip:a@b>;;",
            "<sip:a@b>, <sip:c@d>",
            "sip:a@b, sip:c@d",
            "sip:a@b?x=y",
            "<<sip:a@b>>",
            "x sip:a@b",
            "x \"y\" <sip:a@b>",
            "x\0 <sip:a@b>",
            "<sip:a@b>;tag=",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_with_a_meaning() {
        let read = NameAddr::parse(b"<sip:a@b>;Q=0.7;Expires=99999999999;TAG=x").unwrap();
        assert_eq!((read.q(), read.expires(), read.tag()), (Some(700), Some(u32::MAX), Some(&b"x"[..])));
        let q = |text: &str| qvalue(text.as_bytes());
        assert_eq!(
            (q("0"), q("1"), q("1.000"), q("0."), q("0.05")),
            (Some(0), Some(1000), Some(1000), Some(0), Some(50))
        );
        assert_eq!((q("1.1"), q("0.1234"), q(".5"), q("-1"), q("")), (None, None, None, None, None));
    }
}
