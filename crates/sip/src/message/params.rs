//! Parameters behind a semicolon, of headers: `;name`, `;name=token`, `;name="quoted"` (RFC 3261 §25.1).

use super::Fault;
use super::lex;
use std::borrow::Cow;

/// One parameter. The value keeps its quotes: [`Param::text`] takes them off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name, as written; names compare without regard to case.
    pub name: &'a [u8],
    /// The value, as written, where there is one.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// Whether this is the parameter of that name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without quotes; empty where there is none.
    pub fn text(&self) -> Cow<'a, [u8]> {
        lex::unquote(self.value.unwrap_or_default())
    }
}

/// The parameters of a header value: everything from its first semicolon on. Checked when the value was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(pub(crate) &'a [u8]);

impl<'a> Params<'a> {
    /// The bytes as they stand, from the first semicolon on.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Every parameter, in order; ends at the first one that breaks the grammar.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || step(&mut rest).ok().flatten())
    }

    /// The first parameter of that name.
    pub fn find(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|param| param.is(name))
    }

    /// The value of the first parameter of that name, where it has one.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name)?.value
    }

    /// Whether there is a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Reads all parameters once, showing each to `visit`; a fault where one breaks the grammar.
    pub(crate) fn check(self, mut visit: impl FnMut(Param<'a>)) -> Result<Self, Fault> {
        let mut rest = self.0;
        while let Some(param) = step(&mut rest)? {
            visit(param);
        }
        Ok(self)
    }
}

/// Takes the next parameter off `rest`.
fn step<'a>(rest: &mut &'a [u8]) -> Result<Option<Param<'a>>, Fault> {
    let text = lex::trim_start(rest);
    let Some(text) = text.strip_prefix(b";") else {
        return if text.is_empty() { Ok(None) } else { Err(Fault::Parameter) };
    };
    let text = lex::trim_start(text);
    let (name, text) = text.split_at(lex::token(text));
    if name.is_empty() {
        return Err(Fault::Parameter);
    }
    let after = lex::trim_start(text);
    let Some(after) = after.strip_prefix(b"=") else {
        *rest = after;
        return Ok(Some(Param { name, value: None }));
    };
    let after = lex::trim_start(after);
    let (value, after) = after.split_at(value_length(after)?);
    *rest = after;
    Ok(Some(Param { name, value: Some(value) }))
}

/// How long the parameter value is that `text` begins with: a quoted string, or what holds no delimiter.
fn value_length(text: &[u8]) -> Result<usize, Fault> {
    if text.first() == Some(&b'"') {
        return lex::quoted(text).ok_or(Fault::QuotedString);
    }
    match lex::long_run(text, lex::VALUE) {
        0 => Err(Fault::Parameter),
        length => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, Option<&str>)], Fault>) {
        let mut seen = Vec::new();
        let verdict = Params(text.as_bytes()).check(|p| seen.push((p.name, p.value)));
        let wanted = expected
            .map(|list| list.iter().map(|(n, v)| (n.as_bytes(), v.map(str::as_bytes))).collect::<Vec<_>>());
        assert_eq!(verdict.map(|_| seen), wanted, "{text}");
    }

    #[test]
    fn parse() {
        check("", Ok(&[]));
        check(";a", Ok(&[("a", None)]));
        check(" ; A = b ;c=\"d;\\\"e\" ", Ok(&[("A", Some("b")), ("c", Some("\"d;\\\"e\""))]));
        check(";received=[2001:db8::1];rport", Ok(&[("received", Some("[2001:db8::1]")), ("rport", None)]));
        check(";maddr=2001:db8::9", Ok(&[("maddr", Some("2001:db8::9"))]));
        check(";n\r\n =\r\n v", Ok(&[("n", Some("v"))]));
    }

    #[test]
    fn reject() {
        for bad in [";", ";;", ";=a", ";a=", ";a=;b", "a", ";a b", ";a=b c", ";a=b,c", ";a=<b>", ";a==b"] {
            check(bad, Err(Fault::Parameter));
        }
        check(";a=\"b", Err(Fault::QuotedString));
    }

    #[test]
    fn names_compare_without_case() {
        let params = Params(b";TAG=x;lr");
        assert_eq!((params.get("tag"), params.has("LR"), params.has("q")), (Some(&b"x"[..]), true, false));
    }
}
