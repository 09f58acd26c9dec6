//! Hosts: names, IPv4 addresses, IPv6 references, with or without a port (RFC 3261 §25.1, RFC 5954).

use crate::message::Fault;
use crate::message::lex;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host, as a URI or a Via names it.
#[derive(Clone, Copy)]
pub enum Host<'a> {
    /// An address.
    Ip(IpAddr),
    /// A name, as written: letters, digits, hyphens, dots and (in real networks) underscores.
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    /// Reads a host that fills `text`; an IPv6 address may do without its brackets.
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let inner = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
        if let Some(ip) = ipv6(inner) {
            return Ok(Self::Ip(ip));
        }
        match Self::split(text)? {
            (host, []) => Ok(host),
            _ => Err(Fault::Host),
        }
    }

    /// Reads a host off the front of `text`; the rest comes back.
    pub(crate) fn split(text: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        if let Some(inner) = text.strip_prefix(b"[") {
            let end = memchr::memchr(b']', inner).ok_or(Fault::Host)?;
            let ip = ipv6(&inner[..end]).ok_or(Fault::Host)?;
            return Ok((Self::Ip(ip), &inner[end + 1..]));
        }
        if let Some((ip, rest)) = ipv4(text) {
            return Ok((Self::Ip(ip.into()), rest));
        }
        match text.split_at(lex::long_run(text, lex::HOST)) {
            ([], _) => Err(Fault::Host),
            (name, rest) => Ok((Self::Name(name), rest)),
        }
    }

    /// Reads `host` or `host:port` off the front of `text`, as URIs write it.
    pub(crate) fn with_port(text: &'a [u8]) -> Result<(Self, Option<u16>, &'a [u8]), Fault> {
        let (host, rest) = Self::split(text)?;
        let Some(digits) = rest.strip_prefix(b":") else { return Ok((host, None, rest)) };
        let end = lex::run(digits, lex::DIGIT);
        let port = lex::port(&digits[..end]).ok_or(Fault::Host)?;
        Ok((host, Some(port), &digits[end..]))
    }

    /// The address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }

    /// The name, where it is one.
    pub fn name(&self) -> Option<&'a [u8]> {
        match self {
            Self::Ip(_) => None,
            Self::Name(name) => Some(name),
        }
    }
}

/// Four numbers below 256 without leading zeros, dots between them, where the host that `text` begins with is nothing else;
/// and what is behind it.
fn ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut octets = [0_u8; 4];
    let (mut place, mut digits, mut number) = (0, 0, 0_u16);
    let mut rest = text;
    while let [b, behind @ ..] = rest {
        match b {
            b'0'..=b'9' if digits < 3 && (digits == 0 || number > 0) => {
                number = number * 10 + u16::from(b - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && place < 3 => {
                octets[place] = u8::try_from(number).ok()?;
                (place, digits, number) = (place + 1, 0, 0);
            }
            b if lex::is(*b, lex::HOST) => return None,
            _ => break,
        }
        rest = behind;
    }
    octets[3] = u8::try_from(number).ok()?;
    (place == 3 && digits > 0).then(|| (octets.into(), rest))
}

fn ipv6(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok().filter(|t| t.contains(':'))?;
    let parsed = text.parse::<Ipv6Addr>().ok();
    // The grammar of RFC 3261 asked for one colon too many before an IPv4 part (RFC 5118 §4.10).
    parsed.or_else(|| text.replacen(":::", "::", 1).parse().ok()).map(IpAddr::V6)
}

/// Names compare without regard to case, addresses by value.
impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

/// As URIs write it: IPv6 in brackets.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => write!(f, "{}", name.escape_ascii()),
        }
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse() {
        assert_eq!(Host::parse(b"192.0.2.1").unwrap().ip(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(Host::parse(b"[2001:db8::1]").unwrap().ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(Host::parse(b"2001:db8::1").unwrap().to_string(), "[2001:db8::1]");
        assert_eq!(Host::parse(b"[::ffff:192.0.2.1]").unwrap().to_string(), "[::ffff:192.0.2.1]");
        assert_eq!(Host::parse(b"[2001:db8:::192.0.2.1]").unwrap().to_string(), "[2001:db8::c000:201]");
        assert_eq!(Host::parse(b"A.Example.").unwrap(), Host::Name(b"a.example."));
        assert_eq!(Host::parse(b"1.2.3.example").unwrap().name(), Some(&b"1.2.3.example"[..]));
        let (host, port, rest) = Host::with_port(b"192.0.2.1:5061;x").unwrap();
        assert_eq!((host.to_string().as_str(), port, rest), ("192.0.2.1", Some(5061), &b";x"[..]));
        for name in
            ["192.0.2.1x", "192.0.2.1.", "192.0.2.1.2", "192.0.2", "192.0.2.256", "192.0.2.01", "1..2.3"]
        {
            assert_eq!(
                Host::split(format!("{name};x").as_bytes()),
                Ok((Host::Name(name.as_bytes()), &b";x"[..]))
            );
        }
        let (host, port, rest) = Host::with_port(b"[::1]:5061;x").unwrap();
        assert_eq!((host.to_string().as_str(), port, rest), ("[::1]", Some(5061), &b";x"[..]));
    }

    #[test]
    fn reject() {
        for bad in
            [&b""[..], b"[::1", b"[x]", b"a b", b"a:5060", b"\xc3\xa9.example", b"[192.0.2.1]", b"[::::1]"]
        {
            assert_eq!(Host::parse(bad), Err(Fault::Host), "{}", bad.escape_ascii());
        }
        for bad in [&b"a:"[..], b"a:65536", b"a:-1", b"a:x", b":5060"] {
            assert_eq!(Host::with_port(bad), Err(Fault::Host), "{}", bad.escape_ascii());
        }
    }
}
