//! When two URIs name the same resource (RFC 3261 §19.1.4).

use super::{SipUri, TelUri, Uri, UriParams, escape};

/// What a URI says, byte by byte: an escape counts as the byte it stands for.
fn bytes(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        let (byte, length) = escape(&text[at..]).map_or((byte, 1), |byte| (byte, 3));
        at += length;
        Some(byte)
    })
}

fn same_text(a: &[u8], b: &[u8]) -> bool {
    a == b || bytes(a).eq(bytes(b))
}

fn same_word(a: &[u8], b: &[u8]) -> bool {
    bytes(a).map(|b| b.to_ascii_lowercase()).eq(bytes(b).map(|b| b.to_ascii_lowercase()))
}

pub(super) fn same(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    match (a, b) {
        (Uri::Sip(a), Uri::Sip(b)) => same_sip(a, b),
        (Uri::Tel(a), Uri::Tel(b)) => same_tel(a, b),
        (Uri::Other { scheme: s, rest: a }, Uri::Other { scheme: t, rest: b }) => {
            s.eq_ignore_ascii_case(t) && a == b
        }
        _ => false,
    }
}

/// User and password with regard to case, all else without.
fn same_sip(a: &SipUri<'_>, b: &SipUri<'_>) -> bool {
    let same_part = |a: Option<&[u8]>, b: Option<&[u8]>| match (a, b) {
        (Some(a), Some(b)) => same_text(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    a.secure == b.secure
        && a.host == b.host
        && a.port == b.port
        && same_part(a.user, b.user)
        && same_part(a.password, b.password)
        && same_params(a.params, b.params)
        && same_headers(a.headers, b.headers)
}

/// Parameters that must agree even when only one side has them.
const BINDING: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// A parameter that both have must agree; one that only one side has does not count, but for [`BINDING`].
fn same_params(a: UriParams<'_>, b: UriParams<'_>) -> bool {
    one_sided(a, b) && one_sided(b, a)
}

fn one_sided(a: UriParams<'_>, b: UriParams<'_>) -> bool {
    a.iter().all(|(name, value)| match b.iter().find(|(n, _)| same_word(n, name)) {
        Some((_, other)) => same_word(value.unwrap_or_default(), other.unwrap_or_default()),
        None => !BINDING.iter().any(|binding| same_word(name, binding.as_bytes())),
    })
}

/// Headers never go without their like on the other side; their order does not count.
fn same_headers(a: &[u8], b: &[u8]) -> bool {
    if a.is_empty() && b.is_empty() {
        return true;
    }
    let split = |text| <[u8]>::split(text, |&b| b == b'&');
    let within = |a, b| split(a).all(|x| split(b).any(|y| same_header(x, y)));
    split(a).count() == split(b).count() && within(a, b) && within(b, a)
}

fn same_header(a: &[u8], b: &[u8]) -> bool {
    let part = |text: &[u8]| memchr::memchr(b'=', text).unwrap_or(text.len());
    let ((a_name, a_value), (b_name, b_value)) = (a.split_at(part(a)), b.split_at(part(b)));
    same_word(a_name, b_name) && same_text(a_value, b_value)
}

/// Numbers without their visual separators, parameters without regard to case (RFC 3966 §4).
fn same_tel(a: &TelUri<'_>, b: &TelUri<'_>) -> bool {
    let digits = |text: &[u8]| {
        let text = text.to_ascii_lowercase();
        text.into_iter().filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')')).collect::<Vec<_>>()
    };
    let within = |a: UriParams<'_>, b: UriParams<'_>| {
        a.iter().all(|(name, value)| {
            b.iter().any(|(n, v)| {
                same_word(n, name) && same_word(v.unwrap_or_default(), value.unwrap_or_default())
            })
        })
    };
    digits(a.number) == digits(b.number) && within(a.params, b.params) && within(b.params, a.params)
}
