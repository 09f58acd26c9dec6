//! Sequences of half-broken messages, on datagrams and streams of several workers: no panic, nothing left over.

use crate::house::House;
use crate::request;
use std::time::Duration;
use testkit::Seeded;
use wire::{Entropy, Transport};

/// What strangers and broken phones may send, before it is damaged.
fn corpus() -> Vec<String> {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let via = "198.51.100.1:5060";
    let mut all = Vec::new();
    for (method, uri, more) in [
        ("INVITE", "sip:bob@falcot.com", "Contact: <sip:alice@198.51.100.1>\r\n"),
        ("INVITE", "sip:x@peer.example;transport=tcp", ""),
        ("CANCEL", "sip:bob@falcot.com", ""),
        ("ACK", "sip:bob@falcot.com", "Route: <sip:192.0.2.1;lr>\r\n"),
        ("BYE", "sip:bob@198.51.100.2", "Route: <sip:192.0.2.1;lr>, <sip:203.0.113.4>\r\n"),
        ("OPTIONS", "sip:192.0.2.1", "Require: x\r\n"),
        ("REGISTER", "sip:falcot.com", "Contact: <sip:bob@198.51.100.2>;q=0.5, <sip:bob@x>;expires=0\r\n"),
        ("REGISTER", "sip:falcot.com", "Contact: *\r\nExpires: 0\r\n"),
    ] {
        all.push(request(method, uri, via, "1", parties, more));
    }
    for entry in std::fs::read_dir(format!("{}/tests/data/torture", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        all.push(String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned());
    }
    all.sort();
    all
}

fn damage(luck: &mut Seeded, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..luck.next_u64() % 4 {
        let at = usize::try_from(luck.next_u64()).unwrap_or(usize::MAX) % bytes.len().max(1);
        match luck.next_u64() % 5 {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] = u8::try_from(luck.next_u64() & 255).unwrap(),
            3 => bytes.splice(at..at, *b"\r\n").for_each(drop),
            _ => {
                let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece).for_each(drop);
            }
        }
    }
    bytes
}

#[test]
fn nothing_breaks_the_stack() {
    let corpus = corpus();
    for seed in 0..40 {
        let mut luck = Seeded::new(seed);
        let mut house = House::new(3);
        house.finds_everything = seed % 2 == 0;
        house.accepts = seed % 3 != 0;
        for step in 0..200 {
            // Now and then something that the stack itself has sent comes back.
            let own = house.sent.len();
            let pick = usize::try_from(luck.next_u64() % 1000).unwrap();
            let text = match pick % 4 {
                0 if own > 0 => house.sent[pick % own].text.clone(),
                1 if own > 0 => crate::answer(&house.sent[pick % own].text, "200 OK", "b", ""),
                _ => corpus[pick % corpus.len()].clone(),
            };
            let bytes = damage(&mut luck, &text);
            let worker = pick % 3;
            if step % 5 == 0 {
                let conn =
                    house.connect(u16::try_from(worker).unwrap(), Transport::Tcp, "198.51.100.9:40000");
                house.stream_bytes(conn, &bytes);
            } else {
                house.datagram_bytes(worker, "198.51.100.9:5060", &bytes);
            }
            if step % 50 == 0 {
                house.wait(Duration::from_secs(5));
            }
        }
        house.wait(Duration::from_secs(7200));
        assert_eq!(house.transactions(), 0, "{seed}");
    }
}
