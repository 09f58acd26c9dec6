//! Messages that the stack may get, from a tape's decisions: mostly sensible, with something odd now and then. A tape of
//! zeros gives a good one.

use super::people::Person;
use crate::tape::Tape;
use sip::{HeaderName, Message};
use wire::Transport;

pub(super) const METHODS: [&str; 12] = [
    "INVITE",
    "MESSAGE",
    "OPTIONS",
    "SUBSCRIBE",
    "REFER",
    "NOTIFY",
    "BYE",
    "INFO",
    "UPDATE",
    "PRACK",
    "PUBLISH",
    "STRANGE",
];

/// Where requests may want to go. What lies inside or is nobody's is there as well.
const TARGETS: [&str; 24] = [
    "sip:bob@falcot.com",
    "sip:alice@falcot.com",
    "sip:carol@falcot.com",
    "sip:dave@falcot.com",
    "sip:x@peer.example",
    "sip:falcot.com",
    "sip:nobody@falcot.com",
    "sip:bob@192.0.2.1",
    "sip:bob@198.51.100.2:5060",
    "sip:x@many.example",
    "sips:bob@falcot.com",
    "sip:x@203.0.113.9",
    "sip:x@203.0.113.2:5060;transport=tcp",
    "sip:x@10.0.0.7",
    "sip:x@127.0.0.1:25",
    "sip:x@224.0.1.75",
    "tel:+4989",
    "sip:x@[2001:db8:7::1]",
    "sip:x@inside.example",
    "sip:192.0.2.1:5061;transport=tls",
    "sip:bob@sip.falcot.com",
    "sip:x@mirror.example",
    "sips:x@peer.example",
    "sip:x@192.0.2.1:5060;transport=tcp",
];

/// Further header lines of a request.
const ODDITIES: [&str; 18] = [
    "Max-Forwards: 0\r\n",
    "Max-Forwards: 1\r\n",
    "Proxy-Require: foo\r\n",
    "Require: foo\r\n",
    "Max-Breadth: 1\r\n",
    "Max-Breadth: 0\r\n",
    "Route: <sip:192.0.2.1;lr>\r\n",
    "Route: <sip:192.0.2.1;lr>, <sip:203.0.113.1:5070;lr>\r\n",
    "Route: <sip:203.0.113.1:5070>\r\n",
    "Route: <sip:127.0.0.1;lr>\r\n",
    "Route: <sip:inside.example;lr>\r\n",
    "Record-Route: <sip:203.0.113.1:5070;lr>\r\n",
    "Supported: path, outbound, gruu\r\n",
    "P-Asserted-Identity: <sip:boss@falcot.com>\r\n",
    "Timestamp: 54\r\n",
    "Contact: <sip:x@203.0.113.9>\r\n",
    "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
    "Via: SIP/2.0/UDP 203.0.113.77;branch=z9hG4bKold\r\n",
];

/// What phones answer, the usual first.
pub(super) const STATUSES: [&str; 22] = [
    "200 OK",
    "180 Ringing",
    "486 Busy Here",
    "603 Decline",
    "100 Trying",
    "183 Session Progress",
    "202 Accepted",
    "302 Moved Temporarily",
    "401 Unauthorized",
    "404 Not Found",
    "407 Proxy Authentication Required",
    "408 Request Timeout",
    "430 Flow Failed",
    "480 Temporarily Unavailable",
    "482 Loop Detected",
    "487 Request Terminated",
    "500 Server Error",
    "503 Service Unavailable",
    "600 Busy Everywhere",
    "699 Whatever",
    "299 Well",
    "199 Early Dialog Terminated",
];

/// A request before it is written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) number: u32,
    pub(super) branch: String,
    pub(super) via: String,
    /// Whole header lines.
    pub(super) more: String,
    pub(super) body: &'static str,
}

impl Draft {
    /// A request of somebody, to nobody yet. `serial` makes it one of its own.
    pub(super) fn new(person: &Person, method: &'static str, uri: &str, serial: u32) -> Self {
        let transport = via_name(person.transport);
        let Person { user, domain, own, .. } = person;
        Self {
            method,
            uri: uri.into(),
            from: format!("<sip:{user}@{domain}>;tag=f{serial}"),
            to: format!("<{uri}>"),
            call_id: format!("c{serial}"),
            number: 1,
            branch: format!("z9hG4bKp{serial}"),
            via: format!(
                "SIP/2.0/{transport} {own}{}",
                if person.peer == person.own { "" } else { ";rport" }
            ),
            more: String::new(),
            body: "",
        }
    }

    /// The Contact of somebody who can be called back.
    pub(super) fn with_contact(mut self, person: &Person) -> Self {
        let Person { user, own, transport, .. } = person;
        self.more.push_str(&format!("Contact: <sip:{user}@{own}{}>\r\n", uri_parameter(*transport)));
        self
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let Self { method, uri, from, to, call_id, number, branch, via, more, body } = self;
        let hops = if more.contains("Max-Forwards") { "" } else { "Max-Forwards: 70\r\n" };
        let length = body.len();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via};branch={branch}\r\n{hops}From: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

pub(super) fn via_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Ws => "WS",
        Transport::Wss => "WSS",
        _ => "UDP",
    }
}

fn uri_parameter(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
        Transport::Ws | Transport::Wss => ";transport=ws",
        _ => "",
    }
}

pub(super) fn target(tape: &mut Tape<'_>, known: &[String]) -> String {
    let choice = tape.below(TARGETS.len() + known.len().min(8));
    match TARGETS.get(choice) {
        Some(target) => (*target).into(),
        None => known[choice - TARGETS.len()].clone(),
    }
}

/// A request outside of dialogs. `known`: URIs that were heard of.
pub(super) fn request(tape: &mut Tape<'_>, person: &Person, known: &[String], serial: u32) -> Draft {
    let method = METHODS[tape.below(METHODS.len())];
    let uri = target(tape, known);
    let mut draft = Draft::new(person, method, &uri, serial).with_contact(person);
    oddities(tape, &mut draft);
    draft
}

/// Changes a draft in a few ways, or in none.
pub(super) fn oddities(tape: &mut Tape<'_>, draft: &mut Draft) {
    for _ in 0..tape.byte() & 3 {
        match tape.below(ODDITIES.len() + 8) {
            n if n < ODDITIES.len() => draft.more.push_str(ODDITIES[n]),
            n => odd(n - ODDITIES.len(), draft),
        }
    }
}

fn odd(which: usize, draft: &mut Draft) {
    match which {
        // As RFC 2543 did it.
        0 => draft.branch = draft.branch.replace("z9hG4bK", "old"),
        1 => draft.via.push_str(";rport"),
        2 => {
            draft.more.push_str("Content-Type: application/sdp\r\n");
            draft.body = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\nc=IN IP4 198.51.100.1\r\n";
        }
        3 => draft.body = LONG,
        4 => draft.to.push_str(";tag=invented"),
        5 => draft.from = draft.from.replace("@falcot.com", "@elsewhere.example"),
        6 => draft.via = draft.via.replacen("SIP/2.0/UDP ", "SIP/2.0/UDP 203.0.113.77:9;x=", 1),
        _ => draft.from = draft.from.replace("sip:x@", "sip:bob@"),
    }
}

/// A body that makes its request too long for a datagram.
const LONG: &str = {
    const BYTES: [u8; 1200] = [b'x'; 1200];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("letters"),
    }
};

/// A registration of a phone, with whatever a phone may say.
pub(super) fn register(tape: &mut Tape<'_>, person: &Person, serial: u32, number: u32) -> Draft {
    let mut draft = Draft::new(person, "REGISTER", "sip:falcot.com", serial);
    let Person { user, own, transport, .. } = person;
    draft.to = format!("<sip:{user}@falcot.com>");
    draft.from = format!("{};tag=r", draft.to);
    (draft.call_id, draft.number) = (format!("r{own}"), number);
    let contact = format!("<sip:{user}@{own}{}>", uri_parameter(*transport));
    draft.more = "Supported: path, outbound, gruu\r\n".into();
    let kind = tape.byte();
    let life = ["", ";expires=3600", ";expires=60", ";expires=0", ";expires=7", ";expires=4294967295"];
    let life = life[usize::from(kind >> 5) % life.len()];
    let contact = match kind & 0x1F {
        0..=11 => format!("{contact}{life}"),
        12 => format!("{contact};+sip.instance=\"<urn:uuid:{user}>\";reg-id=1{life}"),
        13 => format!("{contact};+sip.instance=\"<urn:uuid:{user}>\";reg-id=2{life}"),
        14 => format!("{contact};+sip.instance=\"<urn:uuid:{user}>\"{life}"),
        15 => format!("{contact};q=0.{}{life}", serial % 10),
        16 => format!("{contact};ob{life}"),
        17 => format!("{contact}{life}, <sip:{user}@203.0.113.9>;q=0.3{life}"),
        18 => format!("<sip:alice@falcot.com>{life}, <sip:bob@falcot.com>;q=0.5{life}"),
        19 => format!("<sip:carol@192.0.2.1>{life}, <sip:x@mirror.example>{life}"),
        20 => format!("<sip:x@peer.example>{life}"),
        21 => format!("<sip:x@127.0.0.1:25>{life}"),
        22 => format!("<sip:x@inside.example>{life}"),
        23 => format!("<sip:x@many.example>;q=0.1{life}, <sip:x@203.0.113.2;transport=tcp>{life}"),
        24 => "*".into(),
        25 => format!("<sip:x@224.0.1.75>{life}"),
        26 => format!("<sip:{user}@203.0.113.9?Subject=x>{life}"),
        27 => format!("<sips:{user}@203.0.113.1>{life}"),
        28 => format!("<tel:+49>{life}"),
        29 => format!("<sip:x@203.0.113.9:5070;transport=tls>{life}"),
        30 => return draft,
        _ => format!("{contact}, {contact}"),
    };
    draft.more.push_str(&format!("Contact: {contact}\r\n"));
    match tape.byte() {
        0xF0..=0xF3 => draft.more.push_str("Path: <sip:203.0.113.1:5070;lr>\r\n"),
        0xF4 | 0xF5 => draft.more.push_str("Path: <sip:203.0.113.1:5070;lr;ob>\r\n"),
        0xF6 | 0xF7 => draft.more.push_str("Path: <sip:127.0.0.1:9;lr>\r\n"),
        0xF8 | 0xF9 => draft.more.push_str("Path: <sip:inside.example;lr>, <sip:203.0.113.1>\r\n"),
        0xFA..=0xFB => draft.more.push_str("Expires: 0\r\n"),
        0xFC..=0xFD => draft.to = "<sip:dave@falcot.com>".into(),
        0xFE.. => oddities(tape, &mut draft),
        _ => {}
    }
    draft
}

/// An answer to a request, as a phone writes it: Vias, From, To, Call-ID and CSeq as they came. `more` are whole lines.
pub(super) fn answer(request: &Message<'_>, status: &str, tag: &str, more: &str) -> Vec<u8> {
    let mut text = format!("SIP/2.0 {status}\r\n").into_bytes();
    for header in request.headers() {
        let name = match header.name {
            HeaderName::Via => "Via",
            HeaderName::RecordRoute => "Record-Route",
            HeaderName::From => "From",
            HeaderName::To => "To",
            HeaderName::CallId => "Call-ID",
            HeaderName::CSeq => "CSeq",
            _ => continue,
        };
        text.extend_from_slice(&[name.as_bytes(), b": ", header.value].concat());
        if name == "To" && request.to().tag().is_none() {
            text.extend_from_slice(&[b";tag=", tag.as_bytes()].concat());
        }
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(more.as_bytes());
    text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    text
}

/// Damages a message in a few places.
pub(super) fn damage(tape: &mut Tape<'_>, bytes: &mut Vec<u8>) {
    for _ in 0..1 + (tape.byte() & 3) {
        let at = usize::from(tape.number()) % bytes.len().max(1);
        match tape.below(5) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] = tape.byte(),
            3 => bytes.splice(at..at, *b"\r\n").for_each(drop),
            _ => {
                let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece).for_each(drop);
            }
        }
    }
}
