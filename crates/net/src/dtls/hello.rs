//! The first message of a DTLS client and the only one that is answered without any state: the cookie exchange of
//! RFC 6347 §4.2.1. A ClientHello in fragments is not taken, as it could not be checked without state.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Octets of a cookie: as many as every version of DTLS takes.
const COOKIE: usize = 20;
/// How long the same cookie is handed out; it is taken for as long again.
const PERIOD: Duration = Duration::from_secs(60);

const RECORD: usize = 13;
const HANDSHAKE: usize = 12;
const HELLO_VERIFY_REQUEST: u8 = 3;
/// The number of the extension (RFC 6066 §1.1).
const SERVER_NAME: [u8; 2] = [0, 0];

/// Octets of a HelloVerifyRequest.
pub(crate) const REPLY: usize = RECORD + HANDSHAKE + 3 + COOKIE;

/// A ClientHello, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello<'a> {
    /// The number of the record that it came in.
    number: [u8; 6],
    pub(crate) random: [u8; 32],
    cookie: &'a [u8],
    /// What lies behind the cookie.
    rest: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Reads a datagram that begins with a whole, unencrypted ClientHello; `None`: it does not.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        // Record: handshake (22), a version of DTLS, epoch 0, number, length.
        let (record, rest) = datagram.split_first_chunk::<RECORD>()?;
        let &[22, 0xfe, _, 0, 0, number @ .., long, short] = record else { return None };
        let fragment = rest.get(..usize::from(u16::from_be_bytes([long, short])))?;
        // Message: ClientHello (1), length, number, all of it in this record.
        let (message, body) = fragment.split_first_chunk::<HANDSHAKE>()?;
        let &[1, l0, l1, l2, _, _, 0, 0, 0, f0, f1, f2] = message else { return None };
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if [l0, l1, l2] != [f0, f1, f2] || length != body.len() {
            return None;
        }
        let (&[0xfe, _], body) = body.split_first_chunk::<2>()? else { return None };
        let (random, body) = body.split_first_chunk::<32>()?;
        let (_session, body) = split(body)?;
        let (cookie, rest) = split(body)?;
        Some(Self { number, random: *random, cookie, rest })
    }

    /// The name that the client asks for (RFC 6066 §3).
    pub(crate) fn server_name(&self) -> Option<&'a str> {
        let (_suites, rest) = split_long(self.rest)?;
        let (_compressions, rest) = split(rest)?;
        let (mut extensions, _) = split_long(rest)?;
        while let Some((&kind, rest)) = extensions.split_first_chunk::<2>() {
            let (content, behind) = split_long(rest)?;
            if kind == SERVER_NAME {
                let (list, _) = split_long(content)?;
                // A name of the kind `host_name`; there is no other kind.
                let (&[0], rest) = list.split_first_chunk::<1>()? else { return None };
                let (name, _) = split_long(rest)?;
                return std::str::from_utf8(name).ok();
            }
            extensions = behind;
        }
        None
    }
}

/// What a length of one octet tells, and what lies behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// The same with a length of two octets.
fn split_long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Makes and checks cookies. All workers have the same key.
#[derive(Clone)]
pub(crate) struct Cookies(Hmac<Sha256>);

impl Cookies {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
    }

    /// Whether the client has shown that it receives what is sent to its address.
    pub(crate) fn is_valid(
        &self,
        time: Duration,
        local: IpAddr,
        peer: SocketAddr,
        hello: &Hello<'_>,
    ) -> bool {
        let now = time.as_secs() / PERIOD.as_secs();
        let check = |period: u64| {
            let mac = self.mac(period, local, peer, hello);
            hello.cookie.len() == COOKIE && mac.verify_truncated_left(hello.cookie).is_ok()
        };
        check(now) || check(now.wrapping_sub(1))
    }

    /// The answer to a client that has not shown it yet: a HelloVerifyRequest.
    pub(crate) fn reply(
        &self,
        time: Duration,
        local: IpAddr,
        peer: SocketAddr,
        hello: &Hello<'_>,
    ) -> [u8; REPLY] {
        let mac = self.mac(time.as_secs() / PERIOD.as_secs(), local, peer, hello).finalize().into_bytes();
        let length = |octets: usize| octets as u8;
        let mut reply = [0; REPLY];
        let (record, message) = reply.split_at_mut(RECORD);
        // Its record bears the number of the client's, and every version of DTLS reads it (RFC 6347 §4.2.1).
        record[..5].copy_from_slice(&[22, 0xfe, 0xff, 0, 0]);
        record[5..11].copy_from_slice(&hello.number);
        record[12] = length(REPLY - RECORD);
        message[0] = HELLO_VERIFY_REQUEST;
        message[3] = length(3 + COOKIE);
        message[11] = length(3 + COOKIE);
        message[12..15].copy_from_slice(&[0xfe, 0xff, length(COOKIE)]);
        message[15..].copy_from_slice(&mac[..COOKIE]);
        reply
    }

    fn mac(&self, period: u64, local: IpAddr, peer: SocketAddr, hello: &Hello<'_>) -> Hmac<Sha256> {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let mut mac = self.0.clone();
        mac.update(&period.to_be_bytes());
        mac.update(&octets(local));
        mac.update(&octets(peer.ip()));
        mac.update(&peer.port().to_be_bytes());
        mac.update(&hello.random);
        mac
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const TIME: Duration = Duration::from_secs(1_000_000);

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, 1].into(), port)
    }

    /// A ClientHello of the least size: one cipher suite, no extensions.
    fn client_hello(cookie: &[u8]) -> Vec<u8> {
        hello_with(cookie, &[])
    }

    fn hello_with(cookie: &[u8], extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.push(0);
        body.push(cookie.len() as u8);
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2f, 1, 0]);
        body.extend(extensions);
        let length = body.len() as u8;
        let mut bytes = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0, 12 + length];
        bytes.extend([1, 0, 0, length, 0, 1, 0, 0, 0, 0, 0, length]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_cookie_is_valid_for_its_address_and_its_hello_for_a_while() {
        let cookies = Cookies::new([3; 32]);
        let first = client_hello(&[]);
        let hello = Hello::parse(&first).unwrap();
        assert!(!cookies.is_valid(TIME, LOCAL, peer(1), &hello), "none is none");
        let reply = cookies.reply(TIME, LOCAL, peer(1), &hello);
        assert!(reply.len() <= first.len(), "{} for {}", reply.len(), first.len());
        assert_eq!(reply[..13], [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0, 35]);
        let second = client_hello(&reply[REPLY - COOKIE..]);
        let hello = Hello::parse(&second).unwrap();
        let valid =
            |after, port| cookies.is_valid(TIME + Duration::from_secs(after), LOCAL, peer(port), &hello);
        assert!(valid(0, 1) && valid(60, 1));
        assert!(!valid(120, 1), "an old one");
        assert!(!valid(0, 2), "another port's");
        assert!(!Cookies::new([4; 32]).is_valid(TIME, LOCAL, peer(1), &hello), "another key's");
    }

    #[test]
    fn nothing_but_a_whole_client_hello_is_one() {
        let whole = client_hello(&[5; 20]);
        assert!(Hello::parse(&whole).is_some());
        for end in 0..whole.len() {
            assert!(Hello::parse(&whole[..end]).is_none(), "{end}");
        }
        // Not a handshake record; not of epoch 0; not a ClientHello; a fragment; the version of TLS.
        for (at, octet) in [(0, 23), (4, 1), (13, 2), (21, 1), (24, 1), (25, 3)] {
            let mut other = whole.clone();
            other[at] = octet;
            assert!(Hello::parse(&other).is_none(), "{at}");
        }
    }

    #[test]
    fn the_name_is_found_behind_other_extensions_and_in_nothing_broken() {
        let named = |extensions: &[u8]| {
            let bytes = hello_with(&[], extensions);
            Hello::parse(&bytes).unwrap().server_name().map(str::to_owned)
        };
        let whole = [&[0, 21][..], &[0, 23, 0, 0], &[0, 0, 0, 13, 0, 11, 0, 0, 8], b"turn.org"].concat();
        assert_eq!(named(&whole).as_deref(), Some("turn.org"));
        assert_eq!(named(&[]), None);
        assert_eq!(named(&[0, 4, 0, 23, 0, 0]), None);
        for end in 0..whole.len() {
            assert_eq!(named(&whole[..end]), None, "{end}");
        }
        for (at, octet) in [(1, 22), (9, 14), (11, 12), (12, 1), (14, 9), (15, 0xff)] {
            let mut other = whole.clone();
            other[at] = octet;
            assert_eq!(named(&other), None, "{at}");
        }
    }
}
