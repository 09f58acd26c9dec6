//! Streams in every possible cut, keep-alives, and what breaks a stream.

use super::*;
use crate::Message;

const LIMITS: Limits = Limits { head: 400, body: 20 };

fn message(length: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\nt: <sip:b@c>\r\n\
         i: x\r\nCSeq: 7 OPTIONS\r\n{length}\r\n{body}"
    )
}

/// What comes out of a stream that arrives in these pieces.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new(LIMITS);
    let mut seen = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = framer.next(&mut piece) {
            seen.push(match frame {
                Frame::Message(message) => String::from_utf8_lossy(message.bytes()).into_owned(),
                Frame::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Frame::Ping => "ping".to_owned(),
                Frame::Bad(malformed) => malformed.fault().to_string(),
            });
        }
        assert!(piece.is_empty());
    }
    seen
}

#[test]
fn any_cut_gives_the_same() {
    let (one, two) = (message("l: 4\r\n", "body"), message("Content-Length:\r\n 0\r\n", ""));
    let stream = format!("\r\n{one}{two}\r\n\r\n\r\n\r\n\r\n{one}\r\n\r\n");
    let expected = [&one, &two, "ping", "ping", &one, "ping"].map(str::to_owned);
    assert_eq!(frames([stream.as_bytes()]), expected);
    assert_eq!(frames(stream.as_bytes().chunks(1)), expected);
    for cut in 1..stream.len() {
        let (a, b) = stream.as_bytes().split_at(cut);
        assert_eq!(frames([a, b]), expected, "cut at {cut}");
        assert_eq!(frames(stream.as_bytes().chunks(cut)), expected, "pieces of {cut}");
    }
}

#[test]
fn whole_messages_are_handed_on_where_they_lie() {
    let one = message("l: 0\r\n", "");
    let mut data = one.as_bytes();
    let mut framer = Framer::new(LIMITS);
    let Some(Frame::Message(message)) = framer.next(&mut data) else { panic!("a message") };
    assert!(std::ptr::eq(message.bytes(), one.as_bytes()));
    assert_eq!((framer.kept.capacity(), framer.is_partial()), (0, false));
}

#[track_caller]
fn breaks(text: &str, fault: Fault) {
    let after = message("l: 0\r\n", "");
    let stream = format!("{text}{after}");
    assert_eq!(frames([stream.as_bytes()]), [fault.reason()]);
    assert_eq!(frames(stream.as_bytes().chunks(1)), [fault.reason()]);
}

#[test]
fn a_stream_breaks_where_nobody_can_say_what_comes_next() {
    breaks(&message("", ""), Fault::NoContentLength);
    breaks(&message("l: -1\r\n", ""), Fault::ContentLength);
    breaks(&message("l: 1\r\nContent-Length: 2\r\n", "x"), Fault::ContentLengths);
    breaks(&message("l: 99999999999999999999999\r\n", ""), Fault::ContentLength);
    breaks(&message("l: 21\r\n", ""), Fault::BodyTooLarge);
    breaks(&message("x: y\nl: 3\r\nl: 0\r\n", ""), Fault::LineEnd);
    breaks(&message("broken\nl: 3\r\nl: 0\r\n", ""), Fault::HeaderField);
    breaks("\0", Fault::StartLine);
    breaks("\n", Fault::StartLine);
    breaks(&"x".repeat(401), Fault::HeadTooLarge);
    breaks(&message(&format!("x: {}\r\nl: 0\r\n", "y".repeat(300)), ""), Fault::HeadTooLarge);
}

#[test]
fn a_broken_line_does_not_break_the_stream() {
    let broken = message("broken\r\nl: 1\r\n", "x");
    let fine = message("l: 0\r\n", "");
    assert_eq!(frames([format!("{broken}{fine}").as_bytes()]), [broken, fine]);
}

#[test]
fn the_answer_to_a_broken_stream() {
    let text = message("l: -1\r\n", "");
    let mut data = text.as_bytes();
    let mut framer = Framer::new(LIMITS);
    let Some(Frame::Bad(malformed)) = framer.next(&mut data) else { panic!("broken") };
    let mut out = Vec::new();
    assert!(
        malformed.reply(&mut out, None, "t") && out.starts_with(b"SIP/2.0 400 Malformed Content-Length\r\n")
    );
    assert_eq!(Message::parse(&out).unwrap().call_id(), b"x");
    assert!(framer.next(&mut text.as_bytes()).is_none());
}

#[test]
fn memory_is_bounded_and_given_back() {
    let mut framer = Framer::new(Limits { head: 60_000, body: 0 });
    let long = message(&format!("x: {}\r\nl: 0\r\n", "y".repeat(50_000)), "");
    for piece in long.as_bytes().chunks(1000) {
        let mut piece = piece;
        while framer.next(&mut piece).is_some() {}
    }
    assert!(framer.next(&mut &b"\r"[..]).is_none() && framer.kept.capacity() <= KEPT);
    assert!(framer.is_partial());
}
