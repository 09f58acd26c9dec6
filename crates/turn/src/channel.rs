//! Channels (RFC 8656 §12): four octets in front of the payload instead of an indication.

use crate::config::CHANNEL;
use crate::policy::Scope;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use stun::attribute::{ChannelNumber, Family};

/// The length of the header in front of the payload (RFC 8656 §12.4).
pub const HEADER: usize = 4;

/// Reads a ChannelData message: the channel and how long the payload behind the header is.
/// `None` where the bytes are none, or are cut short. Padding behind the payload is the transport's business.
pub fn read(bytes: &[u8]) -> Option<(ChannelNumber, usize)> {
    let (&[a, b, c, d], rest) = bytes.split_first_chunk::<HEADER>()?;
    let (number, length) =
        (ChannelNumber(u16::from_be_bytes([a, b])), usize::from(u16::from_be_bytes([c, d])));
    (number.is_usable() && length <= rest.len()).then_some((number, length))
}

/// The header in front of a payload; `None` where that is too long to be said.
pub fn header(number: ChannelNumber, payload: usize) -> Option<[u8; HEADER]> {
    let [a, b] = number.0.to_be_bytes();
    let [c, d] = u16::try_from(payload).ok()?.to_be_bytes();
    Some([a, b, c, d])
}

/// A channel and the peer it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Where what arrives on it goes.
    pub peer: SocketAddr,
    /// When it ends.
    pub until: Instant,
    /// When the permission for the peer's address ends: kept here too, so that a packet costs one lookup.
    pub permitted: Instant,
    /// Whether the peer's address is one of ours.
    pub is_ours: bool,
}

impl Channel {
    fn is_open(&self, now: Instant) -> bool {
        now < self.until && now < self.permitted
    }
}

/// A number or a peer is bound otherwise already (RFC 8656 §12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash;

/// The channels of one allocation.
#[derive(Debug, Default)]
pub struct Channels {
    /// Boxed, as a table has room for four even where there is one.
    by_number: FxHashMap<ChannelNumber, Box<Channel>>,
    by_peer: FxHashMap<SocketAddr, ChannelNumber>,
}

impl Channels {
    /// A channel, if traffic may flow at `now`.
    pub fn get(&self, now: Instant, number: ChannelNumber) -> Option<&Channel> {
        self.by_number.get(&number).map(|channel| &**channel).filter(|channel| channel.is_open(now))
    }

    /// The channel that leads to a peer, if traffic may flow at `now`.
    pub fn number(&self, now: Instant, peer: SocketAddr) -> Option<ChannelNumber> {
        let number = *self.by_peer.get(&peer)?;
        self.by_number.get(&number).filter(|channel| channel.is_open(now)).map(|_| number)
    }

    /// Whether a number and a peer are free, or bound to one another. Forgets the channels that have ended.
    pub fn check(&mut self, now: Instant, number: ChannelNumber, peer: SocketAddr) -> Result<(), Clash> {
        self.forget(now);
        let number_fits = self.by_number.get(&number).is_none_or(|channel| channel.peer == peer);
        let peer_fits = self.by_peer.get(&peer).is_none_or(|bound| *bound == number);
        if number_fits && peer_fits { Ok(()) } else { Err(Clash) }
    }

    /// Whether there is room for one more, or this one is there.
    pub fn has_room(&self, number: ChannelNumber, limit: usize) -> bool {
        self.by_number.len() < limit || self.by_number.contains_key(&number)
    }

    /// Binds or refreshes a channel.
    pub fn bind(
        &mut self,
        now: Instant,
        number: ChannelNumber,
        peer: SocketAddr,
        permitted: Instant,
        is_ours: bool,
    ) {
        let channel = Channel { peer, until: now + CHANNEL, permitted, is_ours };
        self.by_number.insert(number, Box::new(channel));
        self.by_peer.insert(peer, number);
    }

    /// Takes note that the permission for an address lasts longer now.
    pub fn permit(&mut self, peer: IpAddr, until: Instant) {
        let of_peer = self.by_number.values_mut().filter(|channel| channel.peer.ip() == peer);
        of_peer.for_each(|channel| channel.permitted = until);
    }

    /// Those through which traffic may flow at `now` to others than our own relays: number, peer, and until when.
    pub(crate) fn outward(&self, now: Instant) -> impl Iterator<Item = (ChannelNumber, SocketAddr, Instant)> {
        let open = self.by_number.iter().filter(move |(_, channel)| channel.is_open(now) && !channel.is_ours);
        open.map(|(number, channel)| (*number, channel.peer, channel.until.min(channel.permitted)))
    }

    fn forget(&mut self, now: Instant) {
        self.retain(|channel| now < channel.until);
    }

    /// Forgets those of a family whose relay is gone.
    pub(crate) fn forget_family(&mut self, family: Family) {
        self.retain(|channel| Family::of_ip(channel.peer.ip()) != family);
    }

    /// Forgets those to peers that are refused by now (`None`), and takes note of what else has changed.
    pub(crate) fn judge_anew(&mut self, scope: impl Fn(SocketAddr) -> Option<Scope>) {
        for channel in self.by_number.values_mut() {
            channel.is_ours = scope(channel.peer).is_some_and(Scope::is_ours);
        }
        self.retain(|channel| scope(channel.peer).is_some());
    }

    fn retain(&mut self, keeps: impl Fn(&Channel) -> bool) {
        let by_peer = &mut self.by_peer;
        self.by_number.retain(|_, channel| {
            let keep = keeps(channel);
            if !keep {
                by_peer.remove(&channel.peer);
            }
            keep
        });
    }

    /// Those that are bound at `now`, in no order.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = (ChannelNumber, Channel)> {
        let all = self.by_number.iter().map(|(number, channel)| (*number, **channel));
        all.filter(move |(_, channel)| now < channel.until)
    }

    /// How many there are, ended ones included that nobody has looked for since.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let number = ChannelNumber(0x4001);
        assert_eq!(header(number, 5), Some([0x40, 1, 0, 5]));
        assert_eq!(header(number, 65_536), None);
        assert_eq!(read(b"\x40\x01\0\x05hello"), Some((number, 5)));
        assert_eq!(read(b"\x40\x01\0\x05hello\0\0\0"), Some((number, 5)));
        assert_eq!(read(b"\x40\x01\0\0"), Some((number, 0)));
        for bad in [&b""[..], b"\x40\x01\0", b"\x40\x01\0\x05hell", b"\x3F\xFF\0\0", b"\x80\x01\0\0"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn headers_as_another_reader_sees_them() {
        let theirs = turn_types::channel::ChannelData::parse(b"\x40\x01\0\x05hello").unwrap();
        assert_eq!((theirs.id(), theirs.data()), (0x4001, &b"hello"[..]));
    }
}
