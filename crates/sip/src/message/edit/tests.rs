//! Forwarding: what changes, and that nothing else does.

use super::*;

const INVITE: &str = "INVITE sip:b@c;x=y SIP/2.0\r\n\
    V: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport,\r\n SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK0\r\n\
    Max-forwards :  70 \r\n\
    Route: <sip:us;lr> , <sip:p1;lr>\r\n\
    Route: <sip:p2;lr>\r\n\
    Proxy-Authorization: Digest realm=\"us\"\r\nProxy-Authorization: Digest realm=\"them\"\r\n\
    f: \"J\u{fc}\" <sip:a@b>;tag=1\r\nTo: sip:b@c\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\nX:\r\n  y\r\nContent-Length:  4\r\n\r\nbody";

#[track_caller]
fn check(input: &str, change: impl FnOnce(&mut Edit<'_, '_, '_>), expected: &str) {
    let mut out = b"before".to_vec();
    let message = Message::parse(input.as_bytes()).unwrap();
    let mut edit = Edit::new(&message, &mut out);
    change(&mut edit);
    edit.finish();
    assert_eq!(String::from_utf8_lossy(&out[6..]), expected);
    Message::parse(&out[6..]).expect("what goes out can be read");
}

#[test]
fn nothing_asked_nothing_changed() {
    check(INVITE, |_| (), INVITE);
}

#[test]
fn a_request_on_its_way() {
    let expected = INVITE
        .replace("sip:b@c;x=y", "sip:b@192.0.2.9")
        .replace("V: SIP", "Via: SIP/2.0/TCP p;branch=z9hG4bKp\r\nV: SIP")
        .replace("rport,", "rport=5;received=192.0.2.1,")
        .replace("  70 ", "  69 ")
        .replace("<sip:us;lr> , ", "")
        .replace("Max-f", "Record-Route: <sip:p;lr>\r\nPath: <sip:p;lr;ob>\r\nMax-f")
        .replace("Proxy-Authorization: Digest realm=\"us\"\r\n", "");
    check(
        INVITE,
        |edit| {
            edit.max_forwards(69)
                .push(HeaderName::Via, "SIP/2.0/TCP p;branch=z9hG4bKp")
                .request_uri(b"sip:b@192.0.2.9");
            edit.stamp_via("192.0.2.1:5".parse().unwrap()).pop(HeaderName::Route, 1);
            edit.push(HeaderName::RecordRoute, "<sip:p;lr>").push(HeaderName::Path, "<sip:p;lr;ob>");
            edit.remove(HeaderName::ProxyAuthorization, |value| value.ends_with(b"\"us\"")).content_length();
        },
        &expected,
    );
}

#[test]
fn a_response_on_its_way_back() {
    let text = |via: &str| {
        format!("SIP/2.0 200 Fine\r\n{via}f: <sip:a@b>\r\nt: <sip:b@c>\r\ni: x\r\nCSeq: 7 INVITE\r\n\r\n")
    };
    let pop = |edit: &mut Edit<'_, '_, '_>| {
        edit.pop(HeaderName::Via, 1);
    };
    check(&text("Via: SIP/2.0/UDP us\r\nVia: SIP/2.0/UDP a\r\n"), pop, &text("Via: SIP/2.0/UDP a\r\n"));
    check(&text("v: SIP/2.0/UDP us;x=\",\" , SIP/2.0/UDP a\r\n"), pop, &text("v: SIP/2.0/UDP a\r\n"));
    check(
        &text("v: SIP/2.0/UDP us,\r\n SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n"),
        pop,
        &text("v: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n"),
    );
    check(&text("v: SIP/2.0/UDP us , \r\nVia: SIP/2.0/UDP b\r\n"), pop, &text("Via: SIP/2.0/UDP b\r\n"));
}

#[test]
fn routes_go_over_several_lines() {
    let routes = "Route: <sip:us;lr> , <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n";
    check(
        INVITE,
        |edit| {
            edit.pop(HeaderName::Route, 2);
        },
        &INVITE.replace(routes, "Route: <sip:p2;lr>\r\n"),
    );
    check(
        INVITE,
        |edit| {
            edit.pop(HeaderName::Route, 3);
        },
        &INVITE.replace(routes, ""),
    );
    check(
        INVITE,
        |edit| {
            edit.pop(HeaderName::Route, 9);
        },
        &INVITE.replace(routes, ""),
    );
    check(
        INVITE,
        |edit| {
            edit.append("Route", "<sip:last>");
        },
        &INVITE.replace("  4\r\n", "  4\r\nRoute: <sip:last>\r\n"),
    );
}

#[test]
fn what_is_missing_is_added() {
    let text = "ACK sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@b>\r\nt: <sip:b@c>\r\ni: x\r\nCSeq: 7 ACK\r\n\r\nbody";
    let expected = text
        .replace("f:", "Max-Forwards: 70\r\nf:")
        .replace("ACK\r\n\r\n", "ACK\r\nContent-Length: 4\r\n\r\n");
    check(
        text,
        |edit| {
            edit.max_forwards(70).content_length();
        },
        &expected,
    );
    check(
        text,
        |edit| {
            edit.set(HeaderName::Expires, "7").set(HeaderName::CallId, "y");
        },
        &text.replace("i: x", "i: y").replace("ACK\r\n\r\n", "ACK\r\nExpires: 7\r\n\r\n"),
    );
}

#[test]
fn bodies_are_replaced_with_their_length() {
    check(
        INVITE,
        |edit| {
            edit.body(b"a longer body");
        },
        &INVITE.replace("  4\r\n\r\nbody", "  13\r\n\r\na longer body"),
    );
    let text = "ACK sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@b>\r\nt: <sip:b@c>\r\ni: x\r\nCSeq: 7 ACK\r\n\r\n";
    check(
        text,
        |edit| {
            edit.body(b"xy");
        },
        &text.replace("ACK\r\n\r\n", "ACK\r\nContent-Length: 2\r\n\r\nxy"),
    );
}

#[test]
fn more_changes_than_fit_inline() {
    let mut expected = String::new();
    for n in 0..40 {
        expected += &format!("A: {n}\r\n");
    }
    let append = |edit: &mut Edit<'_, '_, '_>| {
        for n in 0..40 {
            edit.append("A", n.to_string());
        }
        edit.max_forwards(1);
    };
    check(INVITE, append, &INVITE.replace("  4\r\n", &format!("  4\r\n{expected}")).replace(" 70 ", " 1 "));
}
