//! Phones and strangers: how each reaches us, who it says it is, what it has heard and said.

use super::house::{PASSWORD, REALM, at};
use sip::{HeaderName, Message};
use std::collections::VecDeque;
use std::net::SocketAddr;
use wire::{ConnectionId, Transport};

/// How much of the past everybody remembers.
const MEMORY: usize = 8;

/// A message that somebody has got or sent, and the stream it went by.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) bytes: Vec<u8>,
    pub(super) conn: Option<ConnectionId>,
}

/// One side of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) routes: Vec<String>,
}

pub(super) struct Person {
    pub(super) user: &'static str,
    pub(super) domain: &'static str,
    pub(super) transport: Transport,
    /// The worker that its datagrams come to.
    pub(super) worker: usize,
    /// Where we see it.
    pub(super) peer: SocketAddr,
    /// Where it believes that it is.
    pub(super) own: SocketAddr,
    /// Its last stream, where it opens them.
    pub(super) conn: Option<ConnectionId>,
    /// Requests that reached it.
    pub(super) inbox: VecDeque<Letter>,
    /// Responses that reached it.
    pub(super) answers: VecDeque<Letter>,
    /// Requests that it has sent.
    pub(super) sent: VecDeque<Letter>,
    pub(super) dialogs: VecDeque<Dialog>,
    /// The last challenge: `Authorization` or `Proxy-Authorization`, and the nonce.
    pub(super) challenge: Option<(&'static str, String)>,
    /// How often it used that nonce.
    pub(super) count: u32,
    /// A URI that a registration has given it (RFC 5627).
    pub(super) gruu: Option<String>,
}

impl Person {
    fn new(
        name: (&'static str, &'static str),
        transport: Transport,
        worker: usize,
        peer: &str,
        own: &str,
    ) -> Self {
        Self {
            user: name.0,
            domain: name.1,
            transport,
            worker,
            peer: at(peer),
            own: at(own),
            conn: None,
            inbox: VecDeque::new(),
            answers: VecDeque::new(),
            sent: VecDeque::new(),
            dialogs: VecDeque::new(),
            challenge: None,
            count: 0,
            gruu: None,
        }
    }

    pub(super) fn gets_request(&mut self, letter: Letter) {
        remember(&mut self.inbox, letter);
    }

    /// Keeps an answer, and what can be learnt from it.
    pub(super) fn gets_answer(&mut self, message: &Message<'_>, letter: Letter) {
        self.learn(message);
        if message.code().is_some_and(|code| code >= 200) {
            remember(&mut self.answers, letter);
        }
    }

    pub(super) fn has_sent(&mut self, letter: Letter) {
        remember(&mut self.sent, letter);
    }

    pub(super) fn enters(&mut self, dialog: Dialog) {
        remember(&mut self.dialogs, dialog);
    }

    fn learn(&mut self, answer: &Message<'_>) {
        let asks = [
            (HeaderName::WwwAuthenticate, "Authorization"),
            (HeaderName::ProxyAuthenticate, "Proxy-Authorization"),
        ];
        for (name, field) in asks {
            if let Some(nonce) = answer.header(name).and_then(|value| parameter(value, "nonce=\"", b'"')) {
                (self.challenge, self.count) = (Some((field, nonce)), 0);
            }
        }
        let contact = answer.header(HeaderName::Contact).unwrap_or_default();
        if let Some(gruu) = parameter(contact, "temp-gruu=\"", b'"') {
            self.gruu = Some(gruu);
        }
    }

    /// The header line that answers the last challenge.
    pub(super) fn credentials(&mut self, method: &str, uri: &str) -> String {
        let Some((field, nonce)) = self.challenge.clone() else { return String::new() };
        self.count += 1;
        let user = self.user;
        let own = hex(&md5(&format!("{user}:{REALM}:{PASSWORD}")));
        let what = hex(&md5(&format!("{method}:{uri}")));
        let (nc, cnonce) = (format!("{:08x}", self.count), "c");
        let response = hex(&md5(&format!("{own}:{nonce}:{nc}:{cnonce}:auth:{what}")));
        format!(
            "{field}: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5, \
             qop=auth, nc={nc}, cnonce=\"{cnonce}\", response=\"{response}\"\r\n"
        )
    }
}

fn remember<T>(memory: &mut VecDeque<T>, thing: T) {
    if memory.len() >= MEMORY {
        memory.pop_front();
    }
    memory.push_back(thing);
}

/// What stands between `begin` and `end`.
fn parameter(value: &[u8], begin: &str, end: u8) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let rest = &text[text.find(begin)? + begin.len()..];
    Some(rest.split(char::from(end)).next()?.to_owned())
}

pub(super) fn md5(text: &str) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(text).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everybody.
pub(super) fn everybody() -> Vec<Person> {
    use Transport::{Tcp, Tls, Udp, Ws, Wss};
    let (alice, bob, carol, dave) = (("alice", REALM), ("bob", REALM), ("carol", REALM), ("dave", REALM));
    let stranger = ("x", "peer.example");
    vec![
        Person::new(alice, Udp, 0, "198.51.100.1:5060", "198.51.100.1:5060"),
        Person::new(bob, Udp, 1, "198.51.100.2:5060", "198.51.100.2:5060"),
        Person::new(bob, Tcp, 0, "198.51.100.3:41000", "198.51.100.3:5060"),
        Person::new(carol, Tls, 1, "198.51.100.4:42000", "198.51.100.4:5061"),
        // Behind NAT.
        Person::new(alice, Udp, 1, "198.51.100.5:7000", "10.1.1.1:5060"),
        // In a network of ours.
        Person::new(carol, Udp, 0, "10.0.0.5:5060", "10.0.0.5:5060"),
        Person::new(dave, Udp, 0, "[2001:db8:5::1]:5060", "[2001:db8:5::1]:5060"),
        // Browsers.
        Person::new(dave, Ws, 1, "198.51.100.6:44000", "198.51.100.6:44000"),
        Person::new(alice, Wss, 0, "198.51.100.7:45000", "10.1.1.7:45000"),
        // What names of the world lead to.
        Person::new(stranger, Udp, 1, "203.0.113.1:5070", "203.0.113.1:5070"),
        Person::new(stranger, Tcp, 0, "203.0.113.2:43000", "203.0.113.2:5060"),
    ]
}
