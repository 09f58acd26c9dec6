//! Session descriptions, read as lines over the bytes they came in (RFC 8866). Only what a relay must know is understood,
//! and only addresses and ports are written anew: every other byte goes out as it came in.

mod line;
mod rewrite;
#[cfg(test)]
mod tests;

use line::{Lines, number, words};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Media of one description. More are not understood.
const MAX_MEDIA: usize = 32;

/// A description whose media could be relayed.
#[derive(Debug)]
pub struct Description<'a> {
    bytes: &'a [u8],
    /// The address of the `o=` line, where it has one.
    origin: Option<Connection>,
    connection: Option<Connection>,
    media: Vec<Media>,
}

/// A `c=` line (RFC 8866 §5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// What stands behind `c=`.
    value: Range<usize>,
    address: IpAddr,
}

/// How a medium travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// RTP in datagrams, with RTCP beside it, or inside DTLS.
    Rtp,
    /// Other datagrams: T.38 by UDPTL, DTLS.
    Datagrams,
    /// Anything else: streams, what has a transport of its own.
    Other,
}

/// Which way media flow, by whoever wrote the description (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Not both: somebody is on hold.
    Held,
}

/// One `m=` section (RFC 8866 §5.14).
#[derive(Clone, Debug)]
pub(crate) struct Media {
    carrier: Carrier,
    port: u16,
    port_text: Range<usize>,
    /// Where a `c=` line of its own would stand: behind `m=` and `i=`.
    after_title: usize,
    connection: Option<Connection>,
    rtcp: Option<Rtcp>,
    direction: Option<Direction>,
}

/// `a=rtcp:` (RFC 3605).
#[derive(Clone, Debug)]
struct Rtcp {
    /// What stands behind the colon.
    value: Range<usize>,
    port: u16,
    address: Option<IpAddr>,
}

/// What a description says of one medium: where its writer wants to receive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medium {
    /// How it travels.
    pub carrier: Carrier,
    /// Where it is received; a port of 0 refuses or ends it.
    pub rtp: SocketAddr,
    /// Where its RTCP is received.
    pub rtcp: SocketAddr,
    /// An earlier medium of the same description with the same address and port (RFC 8843).
    pub bundled: Option<usize>,
}

/// Why a description is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untouched {
    /// Its ends find a way by themselves (RFC 8839).
    Ice,
    /// It is not one, or says something that a relay does not understand: a name in place of an address, a group of
    /// receivers, several ports at once.
    NotUnderstood,
}

impl<'a> Description<'a> {
    /// Reads a description.
    ///
    /// # Errors
    /// When it is to be left as it is.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Untouched> {
        let mut description = Self { bytes, origin: None, connection: None, media: Vec::new() };
        let mut lines = Lines::new(bytes);
        if lines.next().map(|line| (line.kind, line.value(bytes))) != Some((b'v', b"0")) {
            return Err(Untouched::NotUnderstood);
        }
        for line in lines {
            description.take(&line)?;
        }
        match description.media.iter().all(|media| description.is_sound(media)) && description.is_one_family()
        {
            true => Ok(description),
            false => Err(Untouched::NotUnderstood),
        }
    }

    fn take(&mut self, line: &line::Line) -> Result<(), Untouched> {
        let value = line.value(self.bytes);
        match line.kind {
            b'm' => {
                if self.media.len() == MAX_MEDIA {
                    return Err(Untouched::NotUnderstood);
                }
                let media = Media::read(self.bytes, line).ok_or(Untouched::NotUnderstood)?;
                self.media.push(media);
            }
            b'o' => self.origin = origin(self.bytes, line),
            b'i' => {
                if let Some(media) = self.media.last_mut() {
                    media.after_title = line.end;
                }
            }
            b'c' => {
                let address = address(value).ok_or(Untouched::NotUnderstood)?;
                let connection = Some(Connection { value: line.value.clone(), address });
                let place = match self.media.last_mut() {
                    Some(media) => &mut media.connection,
                    None => &mut self.connection,
                };
                // Several lines are several receivers (RFC 8866 §5.7).
                if std::mem::replace(place, connection).is_some() {
                    return Err(Untouched::NotUnderstood);
                }
            }
            b'a' => return self.attribute(line),
            b'b'..=b'z' => {}
            _ => return Err(Untouched::NotUnderstood),
        }
        Ok(())
    }

    fn attribute(&mut self, line: &line::Line) -> Result<(), Untouched> {
        let value = line.value(self.bytes);
        let name = value.split(|&byte| byte == b':').next().unwrap_or_default();
        match name {
            b"ice-ufrag" | b"ice-pwd" | b"candidate" | b"ice-lite" => return Err(Untouched::Ice),
            b"rtcp" => {
                let rtcp = Rtcp::read(self.bytes, line.value.start + b"rtcp:".len()..line.value.end);
                let Some(media) = self.media.last_mut() else { return Ok(()) };
                media.rtcp = Some(rtcp.ok_or(Untouched::NotUnderstood)?);
            }
            b"sendrecv" | b"sendonly" | b"recvonly" | b"inactive" => {
                let direction = if name == b"sendrecv" { Direction::Both } else { Direction::Held };
                if let Some(media) = self.media.last_mut() {
                    media.direction = Some(direction);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is known where a medium is received, if it is.
    fn is_sound(&self, media: &Media) -> bool {
        media.port == 0 || self.address_of(media).is_some_and(|ip| !ip.is_multicast())
    }

    /// Whoever has two families in one description tells them apart by other means than a relay does.
    fn is_one_family(&self) -> bool {
        let mut all = self.media.iter().filter(|media| media.port != 0).filter_map(|m| self.address_of(m));
        let first = all.next();
        all.all(|ip| Some(ip.is_ipv4()) == first.map(|first| first.is_ipv4()))
    }

    fn address_of(&self, media: &Media) -> Option<IpAddr> {
        media.connection.as_ref().or(self.connection.as_ref()).map(|connection| connection.address)
    }

    /// The media, in order.
    pub fn media(&self) -> Vec<Medium> {
        let mut all: Vec<Medium> = Vec::with_capacity(self.media.len());
        for media in &self.media {
            let ip = self.address_of(media).unwrap_or(IpAddr::from([0, 0, 0, 0]));
            let rtp = SocketAddr::new(ip, media.port);
            let rtcp = media.rtcp.as_ref().map_or_else(
                || SocketAddr::new(ip, media.port.checked_add(1).unwrap_or_default()),
                |rtcp| SocketAddr::new(rtcp.address.unwrap_or(ip), rtcp.port),
            );
            let bundled = all.iter().position(|other| media.port != 0 && other.rtp == rtp);
            all.push(Medium { carrier: media.carrier, rtp, rtcp, bundled });
        }
        all
    }

    /// Whether somebody is on hold: a medium flows one way alone, or not at all (RFC 3264 §8.4).
    pub fn is_held(&self) -> bool {
        let held = |media: &Media| {
            media.direction == Some(Direction::Held)
                || self.address_of(media).is_some_and(|ip| ip.is_unspecified())
        };
        self.media.iter().filter(|media| media.port != 0).any(held) || self.session_is_held()
    }

    fn session_is_held(&self) -> bool {
        let first = self.media.first().map_or(self.bytes.len(), |media| media.port_text.start);
        let says = |line: line::Line| {
            line.kind == b'a' && matches!(line.value(self.bytes), b"sendonly" | b"recvonly" | b"inactive")
        };
        Lines::new(&self.bytes[..first]).any(says)
    }
}

impl Media {
    /// `audio 49170 RTP/AVP 0`
    fn read(bytes: &[u8], line: &line::Line) -> Option<Self> {
        let mut words = words(bytes, line.value.clone());
        let _kind = words.next()?;
        let port_text = words.next()?;
        let proto = words.next()?;
        // At least one format.
        words.next()?;
        Some(Self {
            carrier: Carrier::of(&bytes[proto]),
            port: number(&bytes[port_text.clone()])?,
            port_text,
            after_title: line.end,
            connection: None,
            rtcp: None,
            direction: None,
        })
    }
}

impl Carrier {
    /// What a medium's `proto` says.
    fn of(proto: &[u8]) -> Self {
        let is = |name: &str| proto.eq_ignore_ascii_case(name.as_bytes());
        let begins = |name: &str| {
            proto.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name.as_bytes()))
        };
        match () {
            () if begins("RTP/") || begins("UDP/TLS/RTP/") => Self::Rtp,
            () if is("udptl") || is("UDP/TLS/UDPTL") || is("udp") || is("UDP/DTLS/SCTP") => Self::Datagrams,
            () => Self::Other,
        }
    }
}

impl Rtcp {
    /// `53020` or `53020 IN IP4 126.16.64.4`
    fn read(bytes: &[u8], value: Range<usize>) -> Option<Self> {
        let text = bytes.get(value.clone())?;
        let (port, rest) = match text.iter().position(|&byte| byte == b' ') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let address = match rest.map(<[u8]>::trim_ascii) {
            None | Some(b"") => None,
            Some(rest) => Some(address(rest)?),
        };
        Some(Self { value, port: number(port)?, address })
    }
}

/// The address at the end of `joe 2890844526 2890842807 IN IP4 192.0.2.1`.
fn origin(bytes: &[u8], line: &line::Line) -> Option<Connection> {
    let start = words(bytes, line.value.clone()).nth(3)?.start;
    let value = start..line.value.end;
    let address = address(&bytes[value.clone()])?;
    Some(Connection { value, address })
}

/// `IN IP4 192.0.2.1`; no name, no group of receivers.
fn address(value: &[u8]) -> Option<IpAddr> {
    let mut words = words(value, 0..value.len());
    let (net, family, text) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !value[net].eq_ignore_ascii_case(b"IN") {
        return None;
    }
    let text = std::str::from_utf8(&value[text]).ok()?;
    match &value[family] {
        b"IP4" => text.parse().ok().map(IpAddr::V4),
        b"IP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    }
}

/// Whether a body has what a relay would have to leave alone; quicker than reading it.
pub fn has_ice(body: &[u8]) -> bool {
    Lines::new(body).any(|line| line.kind == b'a' && line.value(body).starts_with(b"ice-ufrag:"))
}
