//! What a proxy in front of us says of whom a stream is from (HAProxy's PROXY protocol, versions 1 and 2), before the stream's
//! own first octet. Whoever is to say it must: nothing is guessed. What else version 2 may tell is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of proxies: whom to believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<(IpAddr, u8)>);

impl Proxies {
    /// Those of these ranges, each an address and how many of its leading bits count.
    pub fn new(ranges: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        Self(ranges.into_iter().collect())
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(first, prefix)| match (first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let other = u32::from(*first) ^ u32::from(address);
                other.checked_shr(32 - u32::from((*prefix).min(32))).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let other = u128::from(*first) ^ u128::from(address);
                other.checked_shr(128 - u32::from((*prefix).min(128))).unwrap_or(0) == 0
            }
            _ => false,
        })
    }
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// More must come.
    Part,
    /// So many octets, and whom the stream is from: `None` is the proxy itself, or somebody who has no address.
    Whole(usize, Option<SocketAddr>),
    /// No header, or one that is broken.
    Bad,
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const TEXT: &[u8] = b"PROXY ";
/// The longest header of version 1, with its end of line.
const LONGEST_TEXT: usize = 107;
/// Octets of one of version 2 before the addresses.
const START: usize = 16;
/// The longest of version 2 that is taken; what proxies add to the addresses is some hundred octets.
const LONGEST: usize = 4096;

/// Reads the header in front of a stream.
pub(crate) fn read(bytes: &[u8]) -> Header {
    if begins(bytes, SIGNATURE) {
        return if bytes.len() < START { Header::Part } else { read_binary(bytes) };
    }
    match begins(bytes, TEXT) {
        true => read_text(bytes),
        false => Header::Bad,
    }
}

/// Whether there is nothing yet that would contradict this.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

fn read_text(bytes: &[u8]) -> Header {
    let Some(end) = bytes.iter().take(LONGEST_TEXT).position(|octet| *octet == b'\n') else {
        return if bytes.len() < LONGEST_TEXT { Header::Part } else { Header::Bad };
    };
    let line = bytes[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let Some(line) = line.and_then(|line| line.strip_prefix("PROXY ")) else { return Header::Bad };
    let mut words = line.split(' ');
    let from = match words.next() {
        Some("UNKNOWN") => return Header::Whole(end + 1, None),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => None,
    };
    from.map_or(Header::Bad, |from| Header::Whole(end + 1, Some(canonical(from))))
}

/// Source and destination, and their ports.
fn addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let mut address = || words.next()?.parse::<A>().ok();
    let (source, _) = (address()?, address()?);
    let mut port = || words.next()?.parse::<u16>().ok();
    let (port, _) = (port()?, port()?);
    words.next().is_none().then(|| SocketAddr::new(source.into(), port))
}

fn read_binary(bytes: &[u8]) -> Header {
    let [command, family] = [bytes[12], bytes[13]];
    let length = START + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if length > LONGEST || command >> 4 != 2 || command & 0x0f > 1 {
        return Header::Bad;
    }
    let Some(content) = bytes.get(START..length) else { return Header::Part };
    match (command & 0x0f, family) {
        // The proxy speaks for itself; or it does not know, or the client has no address of the Internet.
        (0, _) | (1, 0 | 0x31) => Header::Whole(length, None),
        (1, 0x11) => source::<4>(content, length),
        (1, 0x21) => source::<16>(content, length),
        _ => Header::Bad,
    }
}

/// Source and destination, each of so many octets, and their ports.
fn source<const OCTETS: usize>(content: &[u8], length: usize) -> Header
where
    IpAddr: From<[u8; OCTETS]>,
{
    let port = content.get(2 * OCTETS..2 * OCTETS + 4);
    let (Some(address), Some(port)) = (content.first_chunk::<OCTETS>(), port) else { return Header::Bad };
    let from = SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes([port[0], port[1]]));
    Header::Whole(length, Some(canonical(from)))
}

/// An IPv4 address is one, whichever way it is written.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[u8], expected: Option<&str>) {
        let whole = Header::Whole(header.len(), expected.map(|address| address.parse().unwrap()));
        assert_eq!(read(&[header, b"GET /"].concat()), whole, "{header:?}");
        for end in 0..header.len() {
            assert_eq!(read(&header[..end]), Header::Part, "{:?}", &header[..end]);
        }
    }

    fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, content].concat()
    }

    #[test]
    fn version_1() {
        check(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some("192.0.2.7:56324"));
        check(b"PROXY TCP6 2001:db8::7 2001:db8::1 4124 443\r\n", Some("[2001:db8::7]:4124"));
        check(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", Some("192.0.2.7:1"));
        check(b"PROXY UNKNOWN\r\n", None);
        let longest = "ffff:f...f:ffff ".repeat(2) + "65535 65535";
        check(format!("PROXY UNKNOWN {longest}\r\n").as_bytes(), None);
    }

    #[test]
    fn version_2() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
        check(&binary(0x21, 0x11, &v4), Some("192.0.2.7:56324"));
        // With what a proxy adds: a checksum, and that there was TLS.
        let more = [&v4[..], &[3, 0, 4, 1, 2, 3, 4, 0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
        check(&binary(0x21, 0x11, &more), Some("192.0.2.7:56324"));
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 1, 9, 80);
        check(&binary(0x21, 0x21, &v6), Some("[2001::9]:80"));
        check(&binary(0x20, 0, &[]), None);
        check(&binary(0x20, 0x11, &v4), None);
        check(&binary(0x21, 0, &[0; 40]), None);
        check(&binary(0x21, 0x31, &[0; 216]), None);
        check(&binary(0x21, 0x11, &[0; LONGEST - START]), Some("0.0.0.0:0"));
    }

    #[test]
    fn what_is_none() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PROXY\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
            b"PROXY TCP4 2001:db8::7 198.51.100.1 56324 443\r\n",
            b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
            b"PROXY \xff\r\n",
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x22, 0x11, &[0; 12]),
            &binary(0x21, 0x12, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
            &binary(0x21, 0x21, &[0; 35]),
            &binary(0x21, 0x11, &[0; LONGEST]),
            &[&b"PROXY UNKNOWN "[..], &[b'x'; LONGEST_TEXT]].concat(),
        ] {
            assert_eq!(read(bytes), Header::Bad, "{bytes:?}");
        }
    }

    #[test]
    fn who_is_believed() {
        let proxies = Proxies::new([
            ("10.0.0.0".parse().unwrap(), 8),
            ("192.0.2.1".parse().unwrap(), 32),
            ("2001:db8::".parse().unwrap(), 32),
        ]);
        for (address, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::ffff:10.1.1.1", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(proxies.contain(address.parse().unwrap()), expected, "{address}");
        }
        let all = Proxies::new([("0.0.0.0".parse().unwrap(), 0)]);
        assert!(all.contain("203.0.113.1".parse().unwrap()) && !all.contain("::1".parse().unwrap()));
        assert!(!Proxies::default().contain("127.0.0.1".parse().unwrap()));
    }
}
