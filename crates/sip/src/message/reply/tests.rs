//! Responses, byte by byte.

use super::*;

const REQUEST: &str = "OPTIONS sip:b@c SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example:5070;branch=z9hG4bK1;rport, SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK0\r\n\
    v:  SIP/2.0/TCP\r\n  192.0.2.8;branch=z9hG4bKz\r\n\
    Record-Route: <sip:p1;lr>,\r\n <sip:p0;lr>\r\n\
    f: <sip:a@b>;tag=1\r\nTo: sip:b@c\r\nCall-ID: x\r\nCSeq: 7 OPTIONS\r\nX: y\r\n\r\n";

fn reply(source: Option<&str>, tag: &str, finish: impl FnOnce(&Message<'_>, Reply<'_>)) -> String {
    let mut out = b"before".to_vec();
    let request = Message::parse(REQUEST.as_bytes()).unwrap();
    finish(&request, Reply::begin(&mut out, &request, source.map(|s| s.parse().unwrap()), 200, tag));
    Message::parse(&out[6..]).expect("a reply can be read");
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

#[test]
fn repeats_what_it_must() {
    let text = reply(Some("192.0.2.1:5071"), "t", |_, reply| reply.end());
    assert_eq!(
        text,
        "SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP a.example:5070;branch=z9hG4bK1;rport=5071;received=192.0.2.1, SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK0\r\n\
        v:  SIP/2.0/TCP\r\n  192.0.2.8;branch=z9hG4bKz\r\n\
        f: <sip:a@b>;tag=1\r\nTo: sip:b@c;tag=t\r\nCall-ID: x\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn carries_more() {
    let text = reply(None, "", |request, mut reply| {
        reply
            .record_routes(request)
            .header("Contact", "<sip:me>")
            .lines(|out| out.extend_from_slice(b"A: b\r\n"));
        reply.body("text/plain", b"hello");
    });
    let (_, rest) = text.split_once("OPTIONS\r\n").unwrap();
    assert_eq!(
        rest,
        "Record-Route: <sip:p1;lr>,\r\n <sip:p0;lr>\r\nContact: <sip:me>\r\nA: b\r\n\
        Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert!(text.contains("rport, SIP") && text.contains("To: sip:b@c\r\n"));
}

#[track_caller]
fn stamped(via: &str, source: &str, expected: &str) {
    let mut out = Vec::new();
    stamp(&mut out, &Via::parse(via.as_bytes()).unwrap(), source.parse().unwrap());
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn what_the_receiver_adds() {
    stamped("SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.1:9", "SIP/2.0/UDP 192.0.2.1;branch=x");
    stamped(
        "SIP/2.0/UDP 192.0.2.1;branch=x",
        "192.0.2.2:9",
        "SIP/2.0/UDP 192.0.2.1;branch=x;received=192.0.2.2",
    );
    stamped("SIP/2.0/UDP h;rport;b=c", "192.0.2.2:9", "SIP/2.0/UDP h;rport=9;b=c;received=192.0.2.2");
    stamped("SIP/2.0/UDP 192.0.2.2;rport", "192.0.2.2:9", "SIP/2.0/UDP 192.0.2.2;rport=9;received=192.0.2.2");
    stamped(
        "SIP/2.0/UDP h ; received=9.9.9.9 ;rport = 1 ; x",
        "[2001:db8::2]:9",
        "SIP/2.0/UDP h  ;rport=9 ; x;received=2001:db8::2",
    );
    stamped("SIP/2.0/UDP h;rport;rport=4", "192.0.2.2:9", "SIP/2.0/UDP h;rport=9;rport=9;received=192.0.2.2");
    stamped("SIP/2.0/UDP h;RPORT = 4 ;x", "192.0.2.2:9", "SIP/2.0/UDP h;RPORT=9 ;x;received=192.0.2.2");
    stamped("SIP/2.0/UDP [2001:db8:0::2]:5", "[2001:db8::2]:9", "SIP/2.0/UDP [2001:db8:0::2]:5");
    stamped("SIP/2.0/UDP 192.0.2.2", "[::ffff:192.0.2.2]:9", "SIP/2.0/UDP 192.0.2.2");
}

#[test]
fn reasons_are_sorted_and_never_empty() {
    assert!(REASONS.is_sorted_by(|a, b| a.0 < b.0));
    for code in 100..700 {
        assert!(!reason(code).is_empty());
    }
    assert_eq!(
        (reason(407), reason(299), reason(499)),
        ("Proxy Authentication Required", "OK", "Request Failure")
    );
}

#[test]
fn malformed_requests_get_what_is_legible() {
    let text = "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nnonsense\r\nTo: <sip:b@c>\r\nCSeq: x INVITE\r\n\r\n";
    let malformed = Message::parse(text.as_bytes()).unwrap_err();
    let mut out = Vec::new();
    assert!(malformed.reply(&mut out, Some("192.0.2.2:5060".parse().unwrap()), "t"));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "SIP/2.0 400 Malformed Header Field\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.2\r\n\
        To: <sip:b@c>;tag=t\r\nCSeq: x INVITE\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn what_gets_no_answer() {
    for text in [
        "ACK sip:b@c SIP/2.0\r\nVia: x\r\n\r\n",
        "SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "INVITE sip:b@c SIP/2.0\r\n\r\n",
        "",
        "\r\n",
        "\0",
    ] {
        let malformed = Message::parse(text.as_bytes()).unwrap_err();
        let mut out = Vec::new();
        assert!(!malformed.reply(&mut out, None, "t") && out.is_empty(), "{text}");
    }
}
