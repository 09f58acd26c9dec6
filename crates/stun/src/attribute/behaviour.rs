//! CHANGE-REQUEST, RESPONSE-PORT and PADDING (RFC 5780 §7.2, §7.5, §7.6): how a client finds out what its NAT does.

use super::Attribute;
use crate::{Kind, TransactionId};

/// The answer shall come from another of the server's addresses, or another port, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeRequest {
    /// From the other IP address.
    pub ip: bool,
    /// From the other port.
    pub port: bool,
}

impl Attribute<'_> for ChangeRequest {
    const KIND: Kind = Kind::CHANGE_REQUEST;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [_, _, _, bits] => Some(Self { ip: bits & 4 != 0, port: bits & 2 != 0 }),
            _ => None,
        }
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, 0, u8::from(self.ip) << 2 | u8::from(self.port) << 1]);
    }
}

/// The answer shall go to this port of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePort(pub u16);

impl Attribute<'_> for ResponsePort {
    const KIND: Kind = Kind::RESPONSE_PORT;

    /// The value has two octets; those that count the padding in, as coturn does, are understood too.
    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [high, low] | [high, low, _, _] => Some(Self(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// Octets that make a message longer than a path's MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding(pub usize);

impl Attribute<'_> for Padding {
    const KIND: Kind = Kind::PADDING;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        Some(Self(value.len()))
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.resize(out.len() + self.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{TRANSACTION, both_ways, refuses};

    #[test]
    fn change_request() {
        both_ways(&ChangeRequest { ip: true, port: true }, &[0, 0, 0, 6]);
        both_ways(&ChangeRequest { ip: true, port: false }, &[0, 0, 0, 4]);
        both_ways(&ChangeRequest { ip: false, port: true }, &[0, 0, 0, 2]);
        both_ways(&ChangeRequest::default(), &[0; 4]);
        refuses::<ChangeRequest>(&[&[], &[6], &[0; 3], &[0; 5]]);
    }

    #[test]
    fn response_port() {
        both_ways(&ResponsePort(0x1234), &[0x12, 0x34]);
        assert_eq!(ResponsePort::read(&[0x12, 0x34, 0, 0], TRANSACTION), Some(ResponsePort(0x1234)));
        refuses::<ResponsePort>(&[&[], &[1], &[1, 2, 3], &[1, 2, 3, 4, 5]]);
    }

    #[test]
    fn padding() {
        both_ways(&Padding(3), &[0, 0, 0]);
        both_ways(&Padding(0), &[]);
        assert_eq!(Padding::read(b"anything", TRANSACTION), Some(Padding(8)));
    }
}
