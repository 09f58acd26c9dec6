//! One Via value: how a message travelled one hop, and where its answers go (RFC 3261 §20.42, RFC 3581).

use super::lex;
use super::{Fault, Param, Params};
use crate::uri::Host;
use std::net::{IpAddr, SocketAddr};

/// What a branch begins with when whoever wrote it follows RFC 3261 (§8.1.1.7).
const MAGIC: &[u8] = b"z9hG4bK";

/// What follows the magic cookie of a branch; case does not count in tokens (RFC 3261 §7.3.1).
pub fn after_magic(branch: &[u8]) -> Option<&[u8]> {
    let (cookie, rest) = branch.split_at_checked(MAGIC.len())?;
    cookie.eq_ignore_ascii_case(MAGIC).then_some(rest)
}

/// One Via value, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    value: &'a [u8],
    transport: &'a [u8],
    host: Host<'a>,
    port: Option<u16>,
    params: Params<'a>,
    branch: Option<&'a [u8]>,
    /// The first `rport`.
    rport: Option<Param<'a>>,
    /// The first `received`.
    received: Option<Param<'a>>,
    /// Whether there are more of either.
    repeats: bool,
}

impl<'a> Via<'a> {
    /// Reads one value, without commas outside quotes.
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let value = lex::trim(value);
        let (transport, rest) = protocol(value)?;
        let (host, rest) = Host::split(rest).map_err(|_| Fault::Via)?;
        let (port, rest) = port(rest)?;
        let (mut branch, mut rport, mut received, mut repeats) = (None, None, None, false);
        let params = Params(rest).check(|param| match param.name.len() {
            6 if param.is("branch") => branch = branch.or(param.value),
            5 if param.is("rport") => repeats |= rport.replace(rport.unwrap_or(param)).is_some(),
            8 if param.is("received") => repeats |= received.replace(received.unwrap_or(param)).is_some(),
            _ => {}
        });
        let params = params.map_err(|_| Fault::Via)?;
        Ok(Self { value, transport, host, port, params, branch, rport, received, repeats })
    }

    /// The whole value, as written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.value
    }

    /// `UDP`, `TCP`, `TLS`, `WS` …, as written.
    pub fn transport(&self) -> &'a [u8] {
        self.transport
    }

    /// Who wrote it, by its own word.
    pub fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port it wrote, if any.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// All parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.branch
    }

    /// Whether the branch names the transaction (RFC 3261): it begins with the magic cookie, and more follows.
    pub fn has_magic_branch(&self) -> bool {
        self.branch.and_then(after_magic).is_some_and(|rest| !rest.is_empty())
    }

    /// The `received` parameter.
    pub fn received(&self) -> Option<IpAddr> {
        self.received?.value.and_then(|text| Host::parse(text).ok())?.ip()
    }

    /// Whether the `rport` parameter is there, with a value or not (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.rport.is_some()
    }

    /// The value of the `rport` parameter.
    pub fn rport(&self) -> Option<u16> {
        self.rport?.value.and_then(lex::port)
    }

    /// The one `rport` that it has, if any; `None` where it has more, or says already where it was received from.
    pub(super) fn only_rport(&self) -> Option<Option<Param<'a>>> {
        (!self.repeats && self.received.is_none()).then_some(self.rport)
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<Host<'a>> {
        self.params.get("maddr").and_then(|text| Host::parse(text).ok())
    }

    /// Where an answer goes over datagrams (RFC 3261 §18.2.2, RFC 3581 §4): to `received` and `rport`, else to
    /// the written host and port. `None` where only a name is written. `maddr` is left to whoever allows it.
    pub fn answer_to(&self) -> Option<SocketAddr> {
        let ip = self.received().or(self.host.ip())?;
        let port = self.rport().or(self.port).unwrap_or(5060);
        Some(SocketAddr::new(ip, port))
    }
}

/// Reads `SIP / 2.0 / transport` and the white space behind it.
fn protocol(value: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if let Some(rest) = value.strip_prefix(b"SIP/2.0/") {
        return transport(rest);
    }
    let (name, rest) = value.split_at(lex::token(value));
    let rest = slash(rest)?;
    let (version, rest) = rest.split_at(lex::token(rest));
    if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
        return Err(Fault::Via);
    }
    transport(slash(rest)?)
}

fn slash(text: &[u8]) -> Result<&[u8], Fault> {
    lex::trim_start(text).strip_prefix(b"/").map(lex::trim_start).ok_or(Fault::Via)
}

fn transport(text: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (transport, rest) = text.split_at(lex::token(text));
    match lex::lws(rest) {
        space if space > 0 && !transport.is_empty() => Ok((transport, &rest[space..])),
        _ => Err(Fault::Via),
    }
}

/// Reads `: port`, with white space on either side, where there is one.
fn port(text: &[u8]) -> Result<(Option<u16>, &[u8]), Fault> {
    let Some(rest) = lex::trim_start(text).strip_prefix(b":") else { return Ok((None, text)) };
    let rest = lex::trim_start(rest);
    let (digits, rest) = rest.split_at(lex::token(rest));
    lex::port(digits).map(|port| (Some(port), rest)).ok_or(Fault::Via)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse() {
        let via = Via::parse(b"SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKa;rport;received=192.0.2.9;x=\"y\"")
            .unwrap();
        assert_eq!(
            (via.transport(), via.port(), via.branch()),
            (&b"UDP"[..], Some(5061), Some(&b"z9hG4bKa"[..]))
        );
        assert!(via.has_magic_branch() && via.wants_rport() && via.rport().is_none());
        assert_eq!(via.answer_to(), Some("192.0.2.9:5061".parse().unwrap()));
        let via =
            Via::parse(b"SIP / 2.0\r\n / TLS  a.example : 5061 ; branch = old ; maddr=2001:db8::9").unwrap();
        assert_eq!(
            (via.transport(), via.host(), via.port()),
            (&b"TLS"[..], Host::Name(b"a.example"), Some(5061))
        );
        assert!(!via.has_magic_branch() && !via.wants_rport() && via.answer_to().is_none());
        assert_eq!(via.maddr().and_then(|host| host.ip()), Some("2001:db8::9".parse().unwrap()));
        let via = Via::parse(b"SIP/2.0/TCP [2001:db8::1];received=2001:db8::2;rport=7").unwrap();
        assert_eq!(via.answer_to(), Some("[2001:db8::2]:7".parse().unwrap()));
    }

    #[test]
    fn reject() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 a",
            "SIP/2.0/ a",
            "SIP/7.0/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP a;;",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a:70000",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP a;x=\"",
            "SIP/2.0/UDP a,b",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
