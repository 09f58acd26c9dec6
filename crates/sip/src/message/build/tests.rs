//! CANCEL and ACK, byte by byte.

use super::*;

const INVITE: &str = "INVITE sip:b@c;x SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
    Route: <sip:p1;lr>,<sip:p2;lr>\r\nRoute: <sip:p3;lr>\r\nFrom: \"A\" <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n\
    Require: y\r\nContent-Length: 0\r\n\r\n";

const COMMON: &str = "Via: SIP/2.0/UDP us;branch=z9hG4bK2\r\nRoute: <sip:p1;lr>,<sip:p2;lr>\r\nRoute: <sip:p3;lr>\r\n\
    Max-Forwards: 70\r\nFrom: \"A\" <sip:a@b>;tag=1\r\n";

#[test]
fn cancel_follows_its_invite() {
    let mut out = Vec::new();
    cancel(&mut out, &Message::parse(INVITE.as_bytes()).unwrap(), b"Reason: SIP;cause=200\r\n");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(
            "CANCEL sip:b@c;x SIP/2.0\r\n{COMMON}To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 7 CANCEL\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
        )
    );
}

#[test]
fn ack_takes_the_to_of_the_response() {
    let response = "SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP us\r\nf: <sip:a@b>\r\nt: <sip:b@c>;tag=2\r\ni: x\r\nCSeq: 7 INVITE\r\n\r\n";
    let mut out = Vec::new();
    let response = Message::parse(response.as_bytes()).unwrap();
    ack(&mut out, &Message::parse(INVITE.as_bytes()).unwrap(), &response);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(
            "ACK sip:b@c;x SIP/2.0\r\n{COMMON}To: <sip:b@c>;tag=2\r\nCall-ID: x\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n"
        )
    );
}
