//! The registrar's book: what each registration does to it, and how bindings survive a restart.

use super::request::{read, scratch};
use super::*;
use crate::message::Message;
use crate::transport::{Listener, Listeners};
use std::net::SocketAddr;
use wire::{ConnectionId, Epoch, Flow, SocketId, Transport, WorkerId};

const RULES: Rules = Rules {
    expires: Duration::from_secs(3600),
    expires_min: Duration::from_secs(60),
    expires_max: Duration::from_secs(7200),
    bindings: 2,
};

#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
fn start() -> Instant {
    Instant::now()
}

fn arrival(peer: &str) -> Arrival {
    let peer: SocketAddr = peer.parse().unwrap();
    let local: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let flow = Flow::Datagram { socket: SocketId(1), local: local.ip(), peer };
    Arrival { flow, transport: Transport::Udp, local, peer }
}

fn text(call: &str, cseq: u32, headers: &str) -> String {
    format!(
        "REGISTER sip:falcot.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@falcot.com>;tag=1\r\n\
         To: <sip:a@falcot.com>\r\nCall-ID: {call}\r\nCSeq: {cseq} REGISTER\r\n{headers}\r\n"
    )
}

struct Book {
    registrar: Registrar,
    now: Instant,
    address: Address,
}

impl Book {
    fn new() -> Self {
        let address = Address::new("a", "falcot.com").unwrap();
        Self { registrar: Registrar::default(), now: start(), address }
    }

    fn register(&mut self, call: &str, cseq: u32, headers: &str) -> Result<usize, Refusal> {
        let text = text(call, cseq, headers);
        let request = Message::parse(text.as_bytes()).unwrap();
        let arrival = arrival("192.0.2.9:5060");
        let scratch = scratch(&request, true);
        let changes = read(&request, &scratch, &RULES, &arrival)?;
        let origin = Origin { call_id: call.as_bytes(), cseq, path: b"", arrival, stamp: 0 };
        self.registrar.apply(&self.address, &changes, &origin, &RULES, self.now)?;
        Ok(self.registrar.bindings(&self.address).len())
    }

    fn uris(&self) -> Vec<String> {
        let contacts = self.registrar.contacts(&self.address, self.now);
        contacts.iter().map(|contact| String::from_utf8(contact.uri.to_vec()).unwrap()).collect()
    }
}

#[test]
fn contacts_come_go_and_are_replaced() {
    let mut book = Book::new();
    assert_eq!(book.register("c", 1, "Contact: <sip:a@x>;q=0.5, <sip:a@y>;q=0.7\r\n"), Ok(2));
    assert_eq!(book.uris(), ["sip:a@y", "sip:a@x"]);
    assert_eq!(book.register("c", 2, "Contact: <sip:a@X>\r\n"), Ok(2), "the same URI by RFC 3261 §19.1.4");
    assert_eq!(book.uris(), ["sip:a@X", "sip:a@y"]);
    assert_eq!(book.register("c", 3, "Contact: <sip:a@y>;expires=0\r\n"), Ok(1));
    assert_eq!(book.register("c", 4, ""), Ok(1));
    assert_eq!(book.register("d", 1, "Contact: *\r\nExpires: 0\r\n"), Ok(0));
    assert!(book.registrar.is_empty());
}

#[test]
fn the_order_of_requests_counts_within_a_call_id() {
    let mut book = Book::new();
    book.register("c", 5, "Contact: <sip:a@x>\r\n").unwrap();
    assert_eq!(book.register("c", 5, "Contact: <sip:a@x>\r\n"), Err(Refusal::OutOfOrder));
    assert_eq!(book.register("c", 4, "Contact: *\r\nExpires: 0\r\n"), Err(Refusal::OutOfOrder));
    assert_eq!(book.register("c", 4, "Contact: <sip:a@z>, <sip:a@x>\r\n"), Err(Refusal::OutOfOrder));
    assert_eq!(book.uris(), ["sip:a@x"], "all of a request or nothing");
    assert_eq!(book.register("other", 1, "Contact: <sip:a@x>\r\n"), Ok(1));
}

/// Phones whose address has changed name the old contact and the new one in one request, which may be the same by
/// RFC 3261 §19.1.4.
#[test]
fn a_request_may_name_a_contact_twice() {
    let mut book = Book::new();
    let twice = "Contact: <sip:a@x>;expires=100, <sip:a@x;ob>;expires=200\r\n";
    assert_eq!(book.register("c", 1, twice), Ok(1));
    assert_eq!(book.uris(), ["sip:a@x;ob"], "the last holds");
    for (cseq, both) in [(2, "<sip:a@x>;expires=0, <sip:a@x;new>"), (3, "<sip:a@x;new>, <sip:a@x>;expires=0")]
    {
        assert_eq!(book.register("c", cseq, &format!("Contact: {both}\r\n")), Ok(1), "{both}");
        assert_eq!(book.uris(), ["sip:a@x;new"]);
    }
    assert_eq!(book.register("c", 4, "Contact: <sip:a@x>;expires=0, <sip:a@y>;expires=0\r\n"), Ok(0));
}

/// A few long ones would make each answer, and each change on the disk, a megabyte.
#[test]
fn long_contacts_are_fewer() {
    let mut book = Book::new();
    let rules = Rules { bindings: 10, ..RULES };
    let mut register = |cseq, path: &str, contacts: &str| {
        let text = text("c", cseq, &format!("Contact: {contacts}\r\n"));
        let request = Message::parse(text.as_bytes()).unwrap();
        let (scratch, arrival) = (scratch(&request, true), arrival("192.0.2.9:5060"));
        let changes = read(&request, &scratch, &rules, &arrival).unwrap();
        let origin = Origin { call_id: b"c", cseq, path: path.as_bytes(), arrival, stamp: 0 };
        let done = book.registrar.apply(&book.address, &changes, &origin, &rules, book.now);
        done.map(|()| book.uris().iter().map(|uri| uri.as_bytes()[10]).collect::<Vec<_>>())
    };
    let long = |letter: &str| format!("<sip:a@x;p={}>", letter.repeat(30_000));
    assert_eq!(register(1, "", &long("a")).unwrap(), b"a");
    assert_eq!(register(2, "", &long("b")).unwrap(), b"ab");
    assert_eq!(register(3, "", &long("c")).unwrap(), b"bc", "the oldest makes way");
    let each = register(4, &"p".repeat(33_000), "<sip:a@y;p=d>, <sip:a@z;p=e>");
    assert_eq!(each, Err(Refusal::TooManyContacts), "each would have the Path");
    assert_eq!(register(5, "", "<sip:a@y;p=d>").unwrap(), b"bcd");
}

#[test]
fn lives_are_bounded() {
    let mut book = Book::new();
    let brief = Refusal::IntervalTooBrief(Duration::from_secs(60));
    assert_eq!(book.register("c", 1, "Contact: <sip:a@x>;expires=59\r\n"), Err(brief.clone()));
    assert_eq!(book.register("c", 1, "Contact: <sip:a@x>\r\nExpires: 1\r\n"), Err(brief));
    for (cseq, headers, seconds) in [
        (2, "Contact: <sip:a@x>\r\n", 3600),
        (3, "Contact: <sip:a@x>;expires=99999999999\r\n", 7200),
        (4, "Contact: <sip:a@x>;expires=100\r\nExpires: 200\r\n", 100),
        (5, "Contact: <sip:a@x>\r\nExpires: 200\r\n", 200),
        (6, "Contact: <sip:a@x>;expires=soon\r\n", 3600),
    ] {
        book.register("c", cseq, headers).unwrap();
        let expires = book.registrar.bindings(&book.address)[0].expires;
        assert_eq!(expires - book.now, Duration::from_secs(seconds), "{headers}");
    }
    book.now += Duration::from_secs(3601);
    assert!(book.uris().is_empty());
}

#[test]
fn what_is_refused() {
    let mut book = Book::new();
    for bad in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 1\r\n",
        "Contact: *, <sip:a@x>\r\nExpires: 0\r\n",
        "Contact: <a>\r\n",
        "Contact: <mailto:a@x>\r\n",
    ] {
        assert_eq!(book.register("c", 1, bad), Err(Refusal::BadContact), "{bad}");
    }
    let three = "Contact: <sip:a@x>, <sip:a@y>, <sip:a@z>\r\n";
    assert_eq!(book.register("c", 1, three), Err(Refusal::TooManyContacts));
    // They are counted before they are compared with one another and with what there is, which takes the square of it.
    book.register("c", 2, "Contact: <sip:a@x>\r\n").unwrap();
    assert_eq!(book.register("c", 2, three), Err(Refusal::TooManyContacts));
}

#[test]
fn the_oldest_contact_makes_way() {
    let mut book = Book::new();
    for (cseq, host) in (1..).zip(["x", "y", "x", "z"]) {
        book.register("c", cseq, &format!("Contact: <sip:a@{host}>\r\n")).unwrap();
    }
    assert_eq!(book.uris(), ["sip:a@x", "sip:a@z"], "y was refreshed the longest ago");
}

#[test]
fn a_phone_that_moves_replaces_its_own_flow() {
    let mut book = Book::new();
    let contact = |host| format!("Contact: <sip:a@{host}>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n");
    assert_eq!(book.register("c", 1, &contact("x")), Ok(1));
    assert_eq!(book.register("d", 1, &contact("y")), Ok(1));
    assert_eq!(book.uris(), ["sip:a@y"]);
}

#[test]
fn bindings_survive_a_restart() {
    let mut book = Book::new();
    book.register("c", 7, "Contact: <sip:a@10.0.0.1>;q=0.3;x=\"y\";expires=100\r\n").unwrap();
    let binding = &book.registrar.bindings(&book.address)[0];
    assert_eq!((binding.params(), binding.call_id(), binding.cseq), (&b";x=\"y\""[..], &b"c"[..], 7));
    assert!(binding.arrival().is_some(), "its Via tells of another address than the one we saw");
    let epoch = Epoch { instant: book.now, unix: Duration::from_secs(1_000_000) };
    let row = binding.row(&epoch, 5);
    assert_eq!(row.expires, Duration::from_secs(1_000_100));
    let listener = |socket| Listener {
        transport: Transport::Udp,
        socket: Some(SocketId(socket)),
        bound: "192.0.2.1:5060".parse().unwrap(),
        host: "falcot.com".into(),
    };
    let listeners = |socket| Listeners { all: vec![listener(socket)], ..Listeners::default() };
    assert_eq!(Binding::from_row(&row, &epoch, &listeners(1)).as_ref(), Some(binding));
    let moved = Binding::from_row(&row, &epoch, &listeners(4)).unwrap();
    assert!(matches!(moved.arrival().unwrap().flow, Flow::Datagram { socket: SocketId(4), .. }));
    assert_eq!(Binding::from_row(&row, &epoch, &Listeners::default()).unwrap().arrival(), None);
    // As rows were before they said in which order they had been written, and since when the phone has been registered: what it
    // was given holds.
    let mut before = row.clone();
    before.data[0] = 2;
    before.data.drain(25..33);
    assert_eq!((row.order(), before.order()), (5, 0));
    assert_eq!(Binding::from_row(&before, &epoch, &listeners(1)).as_ref(), Some(binding));
    before.data[0] = 1;
    before.data.drain(17..25);
    assert_eq!(Binding::from_row(&before, &epoch, &listeners(1)).as_ref(), Some(binding));
    for length in 0..row.data.len() {
        let cut = Row { data: row.data[..length].to_vec(), ..row.clone() };
        let _ = Binding::from_row(&cut, &epoch, &listeners(1));
    }
    assert_eq!(Binding::from_row(&Row { data: vec![9; 60], ..row.clone() }, &epoch, &listeners(1)), None);
    let stream = Flow::Stream(ConnectionId { worker: WorkerId(0), slot: 1, generation: 0 });
    let arrival = Arrival { flow: stream, transport: Transport::Tcp, ..arrival("192.0.2.9:41000") };
    let changes = [Change {
        uri: b"sip:a@10.0.0.1",
        params: b"",
        q: 1000,
        expires: Duration::from_secs(9),
        by_flow: true,
    }];
    let origin = Origin { call_id: b"c", cseq: 1, path: b"", arrival, stamp: 0 };
    let streamed = Binding::new(&changes[0], &origin, None, book.now);
    assert_eq!(streamed.arrival(), Some(arrival));
    let row = streamed.row(&epoch, 5);
    assert_eq!(
        Binding::from_row(&row, &epoch, &listeners(1)).unwrap().arrival(),
        None,
        "streams end with the run"
    );
}

#[test]
fn a_binding_is_small() {
    let mut book = Book::new();
    book.register(
        "3c26700857a87f84@10.0.0.1",
        1,
        "Contact: <sip:alice@198.51.100.7:49152;transport=tcp>\r\n",
    )
    .unwrap();
    let binding = &book.registrar.bindings(&book.address)[0];
    let row =
        std::mem::size_of::<Entry>() + std::mem::size_of::<(Address, Id)>() + 2 * book.address.as_str().len();
    let bytes = std::mem::size_of::<Binding>()
        + binding.row(&Epoch { instant: book.now, unix: Duration::ZERO }, 5).data.len()
        + row;
    assert!(std::mem::size_of::<Binding>() <= 56 && bytes <= 400, "{bytes} bytes");
}

#[test]
fn bindings_end_at_their_time_however_they_were_moved() {
    let mut book = Book::new();
    let at = |book: &Book| book.registrar.next_end().map(|end| (end - book.now).as_secs());
    for (cseq, expires, looked_at) in [(1, 600, 600), (2, 3600, 600), (3, 300, 300), (4, 900, 300)] {
        book.register("c", cseq, &format!("Contact: <sip:a@x>;expires={expires}\r\n")).unwrap();
        assert_eq!(at(&book), Some(looked_at), "{expires}");
    }
    let (start, address) = (book.now, book.address.clone());
    book.now = start + Duration::from_secs(899);
    assert_eq!((book.registrar.ended(book.now), at(&book)), (None, Some(1)));
    assert_eq!(book.registrar.ended(start + Duration::from_secs(900)), Some(address));
    assert!(book.registrar.is_empty() && book.registrar.next_end().is_none());
}

#[test]
fn who_comes_and_goes_leaves_nothing_behind() {
    let mut book = Book::new();
    // One that stays, and ends first, hides the others from the front.
    book.register("b", 1, "Contact: <sip:b@x>;expires=100\r\n").unwrap();
    book.address = Address::new("c", "falcot.com").unwrap();
    for turn in 0..1000 {
        book.register("c", 2 * turn + 1, "Contact: <sip:c@x>\r\n").unwrap();
        book.register("c", 2 * turn + 2, "Contact: *\r\nExpires: 0\r\n").unwrap();
        assert!(book.registrar.ends.len() < 70, "{}", book.registrar.ends.len());
    }
    assert_eq!(book.registrar.next_end(), Some(book.now + Duration::from_secs(100)));
}
