//! As much of STUN's format as a client of a benchmark needs (RFC 8489 §5).

pub(crate) mod load;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const COOKIE: u32 = 0x2112_A442;

pub(crate) const BINDING: u16 = 0x001;
pub(crate) const ALLOCATE: u16 = 0x003;
pub(crate) const REFRESH: u16 = 0x004;
pub(crate) const CREATE_PERMISSION: u16 = 0x008;
pub(crate) const CHANNEL_BIND: u16 = 0x009;
pub(crate) const SUCCESS: u16 = 0x100;

pub(crate) const USERNAME: u16 = 0x0006;
pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(crate) const ERROR_CODE: u16 = 0x0009;
pub(crate) const CHANNEL_NUMBER: u16 = 0x000C;
pub(crate) const LIFETIME: u16 = 0x000D;
pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(crate) const REALM: u16 = 0x0014;
pub(crate) const NONCE: u16 = 0x0015;
pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;

/// A message being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: u16, transaction: u64) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE.to_be_bytes());
        bytes.extend_from_slice(&[0x4c; 4]);
        bytes.extend_from_slice(&transaction.to_be_bytes());
        Self(bytes)
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("a short attribute");
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// An IPv4 address and port, exclusive-ored with the cookie (RFC 8489 §14.2).
    pub(crate) fn peer(self, address: std::net::SocketAddrV4) -> Self {
        let port = address.port() ^ u16::try_from(COOKIE >> 16).expect("two octets");
        let ip = u32::from(*address.ip()) ^ COOKIE;
        let value = [&[0, 1], &port.to_be_bytes()[..], &ip.to_be_bytes()[..]].concat();
        self.attribute(XOR_PEER_ADDRESS, &value)
    }

    pub(crate) fn signed(mut self, key: &[u8]) -> Vec<u8> {
        self.set_length(24);
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length is a key");
        mac.update(&self.0);
        let proof = mac.finalize().into_bytes();
        self.attribute(MESSAGE_INTEGRITY, &proof).0
    }

    pub(crate) fn plain(mut self) -> Vec<u8> {
        self.set_length(0);
        self.0
    }

    fn set_length(&mut self, more: usize) {
        let length = u16::try_from(self.0.len() - 20 + more).expect("a short message");
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// A message that came.
pub(crate) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= 20 && bytes[0] < 0x40).then_some(Self(bytes))
    }

    pub(crate) fn kind(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    pub(crate) fn transaction(&self) -> u64 {
        u64::from_be_bytes(self.0[12..20].try_into().expect("eight octets"))
    }

    pub(crate) fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = &self.0[20..];
        while rest.len() >= 4 {
            let kind = u16::from_be_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if kind == wanted {
                return rest.get(4..4 + length);
            }
            rest = rest.get(4 + length.next_multiple_of(4)..)?;
        }
        None
    }

    /// The code of an error response, as in `401`.
    pub(crate) fn error(&self) -> Option<u16> {
        let value = self.attribute(ERROR_CODE)?;
        Some(u16::from(*value.get(2)?) * 100 + u16::from(*value.get(3)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes =
            Writer::new(ALLOCATE, 7).attribute(REALM, b"bench").attribute(NONCE, b"12").signed(b"key");
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.kind(), message.transaction(), message.error()), (ALLOCATE, 7, None));
        assert_eq!(message.attribute(REALM), Some(&b"bench"[..]));
        assert_eq!(message.attribute(NONCE), Some(&b"12"[..]));
        assert_eq!(message.attribute(MESSAGE_INTEGRITY).map(<[u8]>::len), Some(20));
        assert_eq!(message.attribute(USERNAME), None);
        assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len() - 20);
    }

    #[test]
    fn an_error_has_its_code() {
        let bytes = Writer::new(ALLOCATE | 0x110, 7).attribute(ERROR_CODE, &[0, 0, 4, 38, b'x']).plain();
        assert_eq!(Message::read(&bytes).and_then(|message| message.error()), Some(438));
    }
}
