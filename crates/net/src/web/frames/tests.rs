//! Frames of clients, whole and in pieces of every size, and what RFC 6455 forbids.

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let (mut head, size) = head(Opcode::Text, payload.len());
    head[0] = first;
    head[1] |= 0x80;
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(octet, mask)| octet ^ mask);
    head[..size].iter().chain(&MASK).copied().chain(masked).collect()
}

/// What comes of `bytes` in pieces of `size`.
fn read(bytes: &[u8], size: usize, limit: usize) -> Vec<Result<(Item, Vec<u8>), Fault>> {
    let mut reader = Reader::new(limit, false);
    let (mut kept, mut all) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        kept.extend_from_slice(piece);
        let mut rest = &kept[..];
        loop {
            match reader.next(&mut rest) {
                Ok(Some(Item::Message)) => {
                    all.push(Ok((Item::Message, std::mem::take(&mut reader.message))));
                }
                Ok(Some(item)) => all.push(Ok((item, reader.control.clone()))),
                Ok(None) => break,
                Err(fault) => {
                    all.push(Err(fault));
                    return all;
                }
            }
        }
        assert!(rest.len() < 14, "only the head of a frame is left");
        kept = rest.to_vec();
    }
    all
}

fn check(bytes: &[u8], expected: &[Result<(Item, Vec<u8>), Fault>]) {
    for size in (1..=bytes.len()).chain([usize::MAX]) {
        assert_eq!(read(bytes, size, 70_000), expected, "in pieces of {size}");
    }
}

#[test]
fn the_examples_of_rfc_6455() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(frame(0x81, b"Hello"), hello);
    check(&hello, &[Ok((Item::Message, b"Hello".to_vec()))]);
    assert_eq!(head(Opcode::Binary, 256), ([0x82, 0x7e, 1, 0, 0, 0, 0, 0, 0, 0], 4));
    assert_eq!(head(Opcode::Binary, 65_536), ([0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 10));
    assert_eq!(head(Opcode::Text, 5).0[..2], [0x81, 5]);
}

#[test]
fn fragments_with_pings_between_them() {
    let bytes = [
        frame(0x01, "Gr\u{fc}".as_bytes().split_at(3).0),
        frame(0x89, b"are you there"),
        frame(0x00, "Gr\u{fc}".as_bytes().split_at(3).1),
        frame(0x80, b"\xc3\x9fe"),
        frame(0x82, b"\xff"),
        frame(0x8a, b""),
        frame(0x88, b"\x03\xe8done"),
    ]
    .concat();
    check(
        &bytes,
        &[
            Ok((Item::Ping, b"are you there".to_vec())),
            Ok((Item::Message, "Gr\u{fc}\u{df}e".into())),
            Ok((Item::Message, vec![0xff])),
            Ok((Item::Pong, vec![])),
            Ok((Item::Close(Some(1000)), b"\x03\xe8done".to_vec())),
        ],
    );
}

#[test]
fn long_messages_come_as_they_are() {
    for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
        let bytes = frame(0x82, &payload);
        for size in [13, 1000, usize::MAX] {
            assert_eq!(read(&bytes, size, 70_000), [Ok((Item::Message, payload.clone()))], "{length}");
        }
    }
}

#[test]
fn what_is_forbidden() {
    let fault = |bytes: &[u8], fault| check(bytes, &[Err(fault)]);
    fault(&frame(0xc1, b"compressed"), Fault::Protocol);
    fault(&[0x81, 0x00], Fault::Protocol); // not masked
    fault(&frame(0x83, b""), Fault::Protocol);
    fault(&frame(0x80, b"goes on from nothing"), Fault::Protocol);
    fault(&[frame(0x01, b"a"), frame(0x81, b"b")].concat(), Fault::Protocol);
    fault(&frame(0x09, b"in parts"), Fault::Protocol);
    fault(&frame(0x89, &[0; 126]), Fault::Protocol);
    fault(&[0x81, 0xfe, 0, 125, 0, 0, 0, 0], Fault::Protocol); // more octets than its length needs
    fault(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], Fault::Protocol);
    fault(&frame(0x88, b"\x03"), Fault::Protocol);
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        fault(&frame(0x88, &code.to_be_bytes()), Fault::Protocol);
    }
    fault(&frame(0x88, b"\x03\xe8\xff"), Fault::Text);
    fault(&frame(0x81, b"\xed\xa0\x80"), Fault::Text);
    check(&frame(0x88, b""), &[Ok((Item::Close(None), vec![]))]);
}

#[test]
fn no_message_is_longer_than_it_may_be() {
    assert_eq!(read(&frame(0x82, &[0; 11]), 1, 10), [Err(Fault::TooLarge)]);
    let parts = [frame(0x02, &[0; 6]), frame(0x80, &[0; 5])].concat();
    assert_eq!(read(&parts, 3, 10), [Err(Fault::TooLarge)]);
    let endless = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(read(&endless, 10, 10), [Err(Fault::TooLarge)]);
    let fits = [frame(0x02, &[0; 6]), frame(0x80, &[0; 4])].concat();
    assert_eq!(read(&fits, 3, 10), [Ok((Item::Message, vec![0; 10]))]);
}

#[test]
fn where_only_text_is_spoken() {
    let mut reader = Reader::new(10, true);
    assert_eq!(reader.next(&mut &frame(0x82, b"x")[..]), Err(Fault::Unsupported));
}

/// Numbers that look random, the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) % sides
    }
}

#[test]
fn whatever_comes_the_bounds_hold() {
    const LIMIT: usize = 300;
    let mut dice = Dice(7395);
    let (mut messages, mut faults) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..dice.roll(6) {
            let first = [0x01, 0x81, 0x82, 0x00, 0x80, 0x89, 0x8a, 0x88, 0xff][dice.roll(9) as usize];
            let payload: Vec<u8> = (0..dice.roll(140)).map(|n| b'a' + (n % 26) as u8).collect();
            bytes.extend(frame(first, &payload));
        }
        // Now and then an octet is another.
        if dice.roll(3) == 0 && !bytes.is_empty() {
            let at = dice.roll(bytes.len() as u64) as usize;
            bytes[at] = dice.roll(256) as u8;
        }
        let whole = read(&bytes, usize::MAX, LIMIT);
        assert_eq!(whole, read(&bytes, 1 + dice.roll(20) as usize, LIMIT), "in pieces it means the same");
        for item in whole {
            match item {
                Ok((Item::Message, message)) => {
                    assert!(message.len() <= LIMIT);
                    messages += 1;
                }
                Ok((_, control)) => assert!(control.len() <= 125),
                Err(_) => faults += 1,
            }
        }
    }
    assert!(messages > 5_000 && faults > 5_000, "{messages} messages, {faults} faults");
}
