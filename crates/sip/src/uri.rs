//! URIs: sip and sips taken apart, tel by its number, any other scheme as it is (RFC 3261 §19.1, RFC 3966).
//!
//! Everything is read in place. Comparison is in `uri/compare.rs`.

mod compare;
mod host;

use crate::message::Fault;
use crate::message::lex;
pub use host::Host;
use std::borrow::Cow;
use wire::{Address, AddressError, Domain};

/// A URI of any scheme.
#[derive(Clone, Copy, Debug)]
pub enum Uri<'a> {
    /// `sip:` and `sips:`
    Sip(SipUri<'a>),
    /// `tel:`
    Tel(TelUri<'a>),
    /// Any other scheme: a request to it is answered 416 where it is for us to route.
    Other {
        /// What stands before the colon.
        scheme: &'a [u8],
        /// What stands behind it.
        rest: &'a [u8],
    },
}

/// A `sip:` or `sips:` URI.
#[derive(Clone, Copy, Debug)]
pub struct SipUri<'a> {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part as written, with its escapes.
    pub user: Option<&'a [u8]>,
    /// The password as written. Nobody should send one (RFC 3261 §19.1.1).
    pub password: Option<&'a [u8]>,
    /// The host.
    pub host: Host<'a>,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// The parameters.
    pub params: UriParams<'a>,
    /// The headers: what stands behind the `?`.
    pub headers: &'a [u8],
}

/// A `tel:` URI.
#[derive(Clone, Copy, Debug)]
pub struct TelUri<'a> {
    /// The number as written, visual separators and all.
    pub number: &'a [u8],
    /// The parameters.
    pub params: UriParams<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI that fills `text`.
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let colon = scheme_length(text).ok_or(Fault::Uri)?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        if scheme.eq_ignore_ascii_case(b"sip") {
            return SipUri::after_scheme(false, rest).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case(b"sips") {
            return SipUri::after_scheme(true, rest).map(Self::Sip);
        }
        if !rest.iter().all(|b| (0x21..0x7f).contains(b) && !matches!(b, b'<' | b'>' | b'"')) {
            return Err(Fault::Uri);
        }
        Ok(if scheme.eq_ignore_ascii_case(b"tel") {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            Self::Tel(TelUri { number: &rest[..end], params: UriParams(&rest[end..]) })
        } else {
            Self::Other { scheme, rest }
        })
    }

    /// The parts of a sip or sips URI.
    pub fn sip(&self) -> Option<&SipUri<'a>> {
        match self {
            Self::Sip(sip) => Some(sip),
            _ => None,
        }
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4; byte by byte where the scheme is not ours).
    pub fn matches(&self, other: &Uri<'_>) -> bool {
        compare::same(self, other)
    }
}

/// How long the scheme is that `text` begins with: up to a colon that stands behind a proper name.
pub(crate) fn scheme_length(text: &[u8]) -> Option<usize> {
    let colon = text.iter().position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))?;
    let proper = text[colon] == b':' && text[0].is_ascii_alphabetic() && text.len() > colon + 1;
    proper.then_some(colon)
}

/// The URI with the scheme sip in place of sips, else as it is.
pub fn plain(uri: &[u8]) -> Vec<u8> {
    match uri.split_at_checked(5) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"sips:") => [b"sip:", rest].concat(),
        _ => uri.to_vec(),
    }
}

/// Whether a URI's scheme is sips.
pub fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

impl<'a> SipUri<'a> {
    /// Reads a sip or sips URI that fills `text`.
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        match Uri::parse(text)? {
            Uri::Sip(sip) => Ok(sip),
            _ => Err(Fault::Uri),
        }
    }

    fn after_scheme(secure: bool, rest: &'a [u8]) -> Result<Self, Fault> {
        let (user, password, rest) = userinfo(rest)?;
        let (host, port, rest) = Host::with_port(rest)?;
        if rest.is_empty() {
            let params = UriParams::default();
            return Ok(Self { secure, user, password, host, port, params, headers: b"" });
        }
        let query = lex::find(rest, b'?').unwrap_or(rest.len());
        let (params, headers) = rest.split_at(query);
        let params = UriParams::checked(params)?;
        let headers = headers.get(1..).unwrap_or_default();
        if !headers.iter().all(|&b| lex::is(b, lex::URI_PARAM) || b == b'?') || !escapes_are_whole(headers) {
            return Err(Fault::Uri);
        }
        Ok(Self { secure, user, password, host, port, params, headers })
    }

    /// Whom it names, in the house's normal form: the user part unescaped, at its host.
    pub fn address(&self) -> Result<Address, AddressError> {
        let user = unescape(self.user.ok_or(AddressError::NoUser)?);
        let user = std::str::from_utf8(&user).map_err(|_| AddressError::User)?;
        match self.host {
            Host::Name(name) => {
                Address::new(user, std::str::from_utf8(name).map_err(|_| AddressError::Domain)?)
            }
            Host::Ip(ip) => Address::new(user, &ip.to_string()),
        }
    }

    /// The same user at a domain that is known.
    pub fn address_at(&self, domain: &Domain) -> Result<Address, AddressError> {
        let user = unescape(self.user.ok_or(AddressError::NoUser)?);
        Address::within(std::str::from_utf8(&user).map_err(|_| AddressError::User)?, domain)
    }

    /// The `transport` parameter, as written.
    pub fn transport(&self) -> Option<&'a [u8]> {
        self.params.get("transport")
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<Host<'a>> {
        self.params.get("maddr").and_then(|text| Host::parse(text).ok())
    }
}

/// User, password, and what stands behind them.
type UserInfo<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [u8]);

/// Reads `user:password@` off the front of `text`, where it is there.
fn userinfo(text: &[u8]) -> Result<UserInfo<'_>, Fault> {
    let end = lex::long_run(text, lex::USER);
    let user = &text[..end];
    match text.get(end) {
        Some(b'@') => proper_user(user).map(|user| (Some(user), None, &text[end + 1..])),
        Some(b':') => match memchr::memchr(b'@', &text[end..]) {
            None => Ok((None, None, text)),
            Some(at) => {
                let password = &text[end + 1..end + at];
                if !lex::all(password, lex::USER) || !escapes_are_whole(password) {
                    return Err(Fault::Uri);
                }
                Ok((Some(proper_user(user)?), Some(password), &text[end + at + 1..]))
            }
        },
        _ => Ok((None, None, text)),
    }
}

fn proper_user(user: &[u8]) -> Result<&[u8], Fault> {
    if user.is_empty() || !escapes_are_whole(user) { Err(Fault::Uri) } else { Ok(user) }
}

/// Whether every `%` is followed by two hexadecimal digits.
#[inline]
fn escapes_are_whole(text: &[u8]) -> bool {
    // Most have none, and are short.
    lex::find(text, b'%').is_none() || escapes_are_hexadecimal(text)
}

#[cold]
fn escapes_are_hexadecimal(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| escape(&text[at..]).is_some())
}

/// The byte that `%XX` at the start of `text` stands for.
fn escape(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// `text` with its escapes undone.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if lex::find(text, b'%').is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (byte, length) = escape(&text[at..]).map_or((text[at], 1), |byte| (byte, 3));
        out.push(byte);
        at += length;
    }
    Cow::Owned(out)
}

/// The parameters of a URI: `;name` and `;name=value`, with escapes.
#[derive(Clone, Copy, Debug, Default)]
pub struct UriParams<'a>(&'a [u8]);

impl<'a> UriParams<'a> {
    fn checked(text: &'a [u8]) -> Result<Self, Fault> {
        let proper = |param: &[u8]| {
            !param.is_empty()
                && param[0] != b'='
                && lex::all(param, lex::URI_PARAM)
                && escapes_are_whole(param)
        };
        match text.strip_prefix(b";") {
            None if text.is_empty() => Ok(Self(text)),
            Some(inner) if inner.split(|&b| b == b';').all(proper) => Ok(Self(text)),
            _ => Err(Fault::Uri),
        }
    }

    /// The bytes as they stand, from the first semicolon on.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Every parameter as name and value, as written.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        self.0.split(|&b| b == b';').skip(1).map(|param| match lex::find(param, b'=') {
            Some(at) => (&param[..at], Some(&param[at + 1..])),
            None => (param, None),
        })
    }

    fn find(&self, name: &str) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value of the first parameter of that name, as written, where it has one.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name)?.1
    }

    /// Whether there is a parameter of that name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

#[cfg(test)]
mod tests;
