//! The octets in which a call is kept over a restart. Only this crate reads them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Writes one after another.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn octet(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A time since 1970, in milliseconds.
    pub(super) fn time(&mut self, value: Duration) {
        self.number(u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
    }

    /// A text of a message's header field; those are shorter than this can say.
    pub(super) fn text(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(usize::from(u16::MAX))];
        self.0.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.0.extend_from_slice(text);
    }

    /// How many follow; there are few.
    pub(super) fn count(&mut self, count: usize) {
        self.octet(u8::try_from(count).unwrap_or(u8::MAX));
    }

    pub(super) fn host(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => {
                self.octet(4);
                self.0.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.octet(6);
                self.0.extend_from_slice(&ip.octets());
            }
        }
    }

    pub(super) fn address(&mut self, address: SocketAddr) {
        self.host(address.ip());
        self.0.extend_from_slice(&address.port().to_be_bytes());
    }

    /// Whether there is one, and then that.
    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.octet(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads what a [`Writer`] has written; `None` where it has not.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn octet(&mut self) -> Option<u8> {
        self.take::<1>().map(|[octet]| octet)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(super) fn time(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    pub(super) fn text(&mut self) -> Option<Box<[u8]>> {
        let length = self.take().map(u16::from_be_bytes)?;
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(text.into())
    }

    pub(super) fn host(&mut self) -> Option<IpAddr> {
        match self.octet()? {
            4 => self.take::<4>().map(IpAddr::from),
            6 => self.take::<16>().map(IpAddr::from),
            _ => None,
        }
    }

    pub(super) fn address(&mut self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host()?, self.take().map(u16::from_be_bytes)?))
    }

    /// The outer is `None` where it cannot be read.
    pub(super) fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.octet()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// Several, up to so many.
    pub(super) fn several<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::from(self.octet()?);
        (count <= most).then(|| (0..count).map(|_| read(self)).collect())?
    }
}
