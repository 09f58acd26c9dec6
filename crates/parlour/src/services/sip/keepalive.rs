//! STUN on a SIP port: phones keep their flow alive by it, and see when their NAT has given them another address
//! (RFC 5626 §4.4.2, §5.4). Only Binding, and without credentials.

use std::net::SocketAddr;
use stun::attribute::XorMappedAddress;
use stun::{Class, Message, Method, Writer};

/// Whether a datagram is STUN and not SIP.
pub(super) fn is_stun(bytes: &[u8]) -> bool {
    Message::looks_like(bytes)
}

/// The answer to a Binding request: whence it came. `None` for whatever else is STUN.
pub(super) fn answer(bytes: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::parse(bytes).ok()?;
    let plain = request.class() == Class::Request && request.method() == Method::BINDING;
    if !plain || request.unknown(|_| false).next().is_some() {
        return None;
    }
    let mut out = Vec::with_capacity(44);
    let writer = Writer::new(&mut out, Class::Success, Method::BINDING, request.transaction());
    writer.with(&XorMappedAddress(peer)).finish();
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(class: Class, method: Method) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out, class, method, stun::TransactionId([7; 12])).finish();
        out
    }

    #[test]
    fn only_binding_requests_are_answered() {
        let peer: SocketAddr = "192.0.2.9:4000".parse().expect("valid");
        let request = message(Class::Request, Method::BINDING);
        let reply = answer(&request, peer).expect("an answer");
        assert!(
            is_stun(&request) && !is_stun(b"OPTIONS sip:a@b SIP/2.0\r\n") && reply.len() <= 2 * request.len()
        );
        let reply = Message::parse(&reply).expect("valid");
        assert_eq!(reply.get::<XorMappedAddress>().expect("valid").map(|address| address.0), Some(peer));
        for other in [message(Class::Indication, Method::BINDING), message(Class::Request, Method::ALLOCATE)]
        {
            assert!(answer(&other, peer).is_none());
        }
        assert!(answer(&request[..19], peer).is_none());
    }
}
