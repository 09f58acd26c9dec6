//! What holds for any bytes: nothing panics, what is written can be read, and what goes on is what came in.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use proptest::prelude::*;
use sip::digest::{Algorithms, Digest, Role};
use sip::framing::{Frame, Framer, Limits};
use sip::message::{Contact, Edit, List, NameAddr, Reply, Via, build};
use sip::{HeaderName, Message, Uri};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;
use wire::{Directory, Domain, Secret, WorkerId};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Every message that tests and fuzzing begin with.
fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for folder in ["tests/data/torture", "tests/data/torture-ipv6", "../../fuzz/corpus/sip"] {
        let files = std::fs::read_dir(root.join(folder)).expect("the folder of seeds is there");
        let mut paths: Vec<_> = files.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        seeds.extend(paths.iter().map(|path| std::fs::read(path).expect("readable")));
    }
    seeds
}

/// Reads bytes in every way there is.
fn exercise(bytes: &[u8]) {
    match Message::parse(bytes) {
        Ok(message) => {
            views(&message);
            digest(&message);
            rewrites(&message);
        }
        Err(malformed) => {
            let mut out = Vec::new();
            let source = Some("[2001:db8::1]:5060".parse().unwrap());
            assert_eq!(malformed.reply(&mut out, source, "t"), !out.is_empty());
        }
    }
    for text in List::new(bytes) {
        let _ = (Uri::parse(text), NameAddr::parse(text).map(|n| (n.q(), n.expires())), Via::parse(text));
    }
}

fn views(message: &Message<'_>) {
    for header in message.headers() {
        let _ = message.named(&String::from_utf8_lossy(header.name_bytes)).count();
        let _ = message.list(header.name).count();
        for address in message.addresses(header.name).flatten() {
            let _ = (address.display(), address.tag(), address.q(), address.expires());
            let _ = address.uri().map(|uri| (uri.matches(&uri), uri.sip().map(sip::SipUri::address)));
        }
    }
    for contact in message.contacts().flatten() {
        if let Contact::At(contact) = contact {
            contact.params().iter().for_each(|param| drop(param.text()));
        }
    }
    for via in message.vias().flatten() {
        let _ = (via.answer_to(), via.maddr(), via.rport());
    }
    let _ = (message.expires(), message.max_forwards(), message.call_id(), message.code());
}

fn digest(message: &Message<'_>) {
    let realm = Domain::new("falcot.com").unwrap();
    let mut digest = Digest::new((WorkerId(0), 1), Secret::new("secret"), Duration::from_secs(300));
    let directory = Directory::new([(&realm, &[][..])]);
    let _ = digest.verify(
        message,
        Role::Server,
        &realm,
        &directory,
        (SOURCE, Duration::from_secs(1_800_000_000)),
    );
}

/// What is written of a message can be read again, and says the same.
fn rewrites(message: &Message<'_>) {
    let mut out = Vec::new();
    Edit::new(message, &mut out).finish();
    assert_eq!(out, message.bytes());
    let mut out = Vec::new();
    let mut edit = Edit::new(message, &mut out);
    edit.stamp_via("192.0.2.1:5060".parse().unwrap()).max_forwards(9).content_length();
    edit.push(HeaderName::Via, "SIP/2.0/UDP p;branch=z9hG4bKp").push(HeaderName::RecordRoute, "<sip:p;lr>");
    edit.pop(HeaderName::Route, 1)
        .remove(HeaderName::ProxyAuthorization, |_| true)
        .set(HeaderName::Expires, "7");
    edit.finish();
    let forwarded = Message::parse(&out).expect("what goes on can be read");
    assert_eq!(
        (forwarded.call_id(), forwarded.cseq(), forwarded.body()),
        (message.call_id(), message.cseq(), message.body())
    );
    assert_eq!(forwarded.routes().count(), message.routes().count().saturating_sub(1));
    assert_eq!((forwarded.vias().count(), forwarded.expires()), (message.vias().count() + 1, Some(7)));
    assert!(
        forwarded.header(HeaderName::ContentLength).is_some()
            && !forwarded.has(HeaderName::ProxyAuthorization)
    );
    let mut back = Vec::new();
    let mut edit = Edit::new(&forwarded, &mut back);
    edit.pop(HeaderName::Via, 1);
    edit.finish();
    assert_eq!(Message::parse(&back).expect("so can what goes back").vias().count(), message.vias().count());
    if message.is_request() {
        answers(message);
    }
}

fn answers(message: &Message<'_>) {
    let mut out = Vec::new();
    let mut reply = Reply::begin(&mut out, message, Some("192.0.2.1:5060".parse().unwrap()), 407, "tag");
    reply.record_routes(message).header("Contact", "<sip:us>");
    reply.body("text/plain", b"no");
    let reply = Message::parse(&out).expect("a reply can be read");
    assert_eq!((reply.code(), reply.cseq(), reply.call_id()), (Some(407), message.cseq(), message.call_id()));
    assert_eq!((reply.from().as_bytes(), reply.body()), (message.from().as_bytes(), &b"no"[..]));
    assert!(reply.to().tag().is_some() && reply.vias().count() == message.vias().count());
    for write in [build::cancel as fn(&mut Vec<u8>, &Message<'_>, &[u8]), |out, invite, _| {
        build::ack(out, invite, invite)
    }] {
        let mut out = Vec::new();
        write(&mut out, message, b"");
        let built = Message::parse(&out).expect("a request that follows can be read");
        assert_eq!((built.via().branch(), built.vias().count()), (message.via().branch(), 1));
        assert_eq!(built.routes().count(), message.routes().count());
    }
}

/// What a framer makes of bytes in these pieces.
fn frames(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(Limits { head: 2000, body: 500 });
    let (mut seen, mut from) = (Vec::new(), 0);
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    for end in ends {
        let mut piece = &bytes[from..end];
        while let Some(frame) = framer.next(&mut piece) {
            seen.push(match frame {
                Frame::Message(message) => message.bytes().to_vec(),
                Frame::Bytes(bytes) => bytes.to_vec(),
                Frame::Ping => b"ping".to_vec(),
                Frame::Bad(malformed) => malformed.fault().reason().into(),
            });
        }
        from = end;
    }
    seen
}

#[test]
fn the_seeds() {
    for seed in seeds() {
        exercise(&seed);
    }
}

#[test]
fn every_beginning_and_end_of_the_seeds() {
    for seed in seeds() {
        for cut in 0..seed.len() {
            exercise(&seed[..cut]);
            exercise(&seed[cut..]);
        }
    }
}

#[test]
fn challenges_can_be_read() {
    let (realm, mut out) = (Domain::new("falcot.com").unwrap(), Vec::new());
    let digest = Digest::new((WorkerId(0), 1), Secret::new("secret"), Duration::from_secs(300));
    let request = seeds().into_iter().find(|seed| seed.starts_with(b"REGISTER ")).expect("a REGISTER");
    let request = Message::parse(&request).unwrap();
    let mut reply = Reply::begin(&mut out, &request, None, Role::Server.code(), "t");
    reply.lines(|out| {
        digest.challenge(
            out,
            (Role::Server, WorkerId(0)),
            &realm,
            Algorithms::ALL,
            true,
            (SOURCE, Duration::from_secs(1)),
        )
    });
    reply.end();
    assert_eq!(Message::parse(&out).unwrap().all(HeaderName::WwwAuthenticate).count(), 3);
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Cut(usize, usize),
    Copy(usize, usize, usize),
    Insert(usize, &'static str),
}

const PIECES: [&str; 16] = [
    "\r\n",
    "\r\n ",
    "\"",
    "\\",
    "<",
    ">",
    ",",
    ";",
    ": ",
    "@",
    "%00",
    "\r",
    "\n",
    "Content-Length: 3\r\n",
    "\r\n\r\n",
    ";tag=",
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<u16>().prop_map(usize::from);
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at.clone(), 0..40_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (at.clone(), 0..80_usize, at.clone()).prop_map(|(from, length, to)| Change::Copy(from, length, to)),
        (at, prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let place = |at: usize| at % (bytes.len() + 1);
    match *change {
        Change::Set(at, byte) => {
            let at = place(at);
            bytes.splice(at..(at + 1).min(bytes.len()), [byte]);
        }
        Change::Cut(at, length) => {
            let at = place(at);
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        Change::Copy(from, length, to) => {
            let (from, to) = (place(from), place(to));
            let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
            bytes.splice(to..to, piece);
        }
        Change::Insert(at, piece) => {
            let at = place(at);
            bytes.splice(at..at, piece.bytes());
        }
    }
}

fn changed() -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(seeds()), prop::collection::vec(change(), 0..6)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| apply(&mut bytes, change));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn any_changed_message(bytes in changed()) {
        exercise(&bytes);
    }

    #[test]
    fn any_stream_in_any_pieces(first in changed(), second in changed(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let stream = [first, second].concat();
        prop_assert_eq!(frames(&stream, &cuts), frames(&stream, &[]));
    }

    #[test]
    fn what_is_written_is_read(
        method in "[A-Z!%*_.]{1,12}",
        user in "[a-z0-9]{1,8}(%[0-9a-f]{2})?",
        display in "[a-zA-Z ,;<>@]{0,12}",
        (name, value) in ("X-[A-Za-z]{1,8}", "[ -~]{0,30}"),
        number in 0..0x8000_0000_u32,
        fold in prop::sample::select(vec![" ", "\r\n ", "\t", " \r\n\t "]),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let head = format!(
            "{method} sip:{user}@h;lr SIP/2.0\r\nVia:{fold}SIP/2.0/TCP h:1;branch=z9hG4bK{number}\r\nFROM:{fold}\"{display}\"{fold}<sip:{user}@h>{fold};tag=f\r\n\
             t{fold}:<sip:b@c>\r\ni:{number}@h\r\nCSEQ:{number}{fold}{method}\r\n{name}:{value}\r\nl:{}\r\n\r\n",
            body.len()
        );
        // White space before a colon does not include line ends, in the deeds of most.
        let head = head.replace(&format!("t{fold}:"), "t :");
        let bytes = [head.as_bytes(), &body, b"more"].concat();
        let message = Message::parse(&bytes).expect("valid");
        prop_assert_eq!(message.method().as_bytes(), method.as_bytes());
        prop_assert_eq!(message.uri().unwrap().sip().unwrap().user, Some(user.as_bytes()));
        let display_read = message.from().display();
        prop_assert_eq!(display_read.as_ref(), display.as_bytes());
        prop_assert_eq!((message.from().tag(), message.to().tag()), (Some(&b"f"[..]), None));
        prop_assert_eq!(message.cseq().number, number);
        prop_assert_eq!(message.named(&name).next().unwrap(), value.trim_matches(' ').as_bytes());
        prop_assert_eq!(message.body(), &body[..]);
        rewrites(&message);
    }
}
