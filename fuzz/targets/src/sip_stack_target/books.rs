//! What must never happen, kept beside the stacks: which requests came and what they were answered, which requests left
//! and what was answered to them.

use sip::{HeaderName, Message, Method};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::ConnectionId;

/// A transaction: its branch and its method.
type Key = (Vec<u8>, Vec<u8>);

/// Where something went, or came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Datagrams(SocketAddr),
    Stream(ConnectionId, SocketAddr),
}

impl Place {
    fn address(self) -> SocketAddr {
        match self {
            Self::Datagrams(at) | Self::Stream(_, at) => at,
        }
    }
}

/// A request that somebody has sent to us.
#[derive(Debug)]
struct Asked {
    source: Place,
    bytes: Vec<u8>,
    finals: Vec<Vec<u8>>,
    since: Option<Instant>,
    is_heard: bool,
    /// A copy of it has left.
    is_forwarded: bool,
    /// It was sent again when its transaction may have been over: there may be two.
    is_muddled: bool,
}

/// A request that has left us.
#[derive(Debug)]
struct Left {
    to: Place,
    at: Instant,
    bytes: Vec<u8>,
    is_ringing: bool,
    end: Option<u16>,
    is_refused: bool,
    asked: Option<Key>,
    /// Its way is gone.
    is_dead: bool,
}

/// What a play came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) forwarded: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    pub(super) registered: u64,
}

#[derive(Default)]
pub(super) struct Books {
    asked: HashMap<Key, Asked>,
    left: HashMap<Key, Left>,
    /// Something between workers was lost, or was under way once: what each knows is not what was said.
    pub(super) is_lossy: bool,
    /// The hosts inside that somebody inside has named, itself included: where it may have registered …
    registered: HashSet<IpAddr>,
    /// … and in each call, by its Call-ID.
    named: HashMap<Vec<u8>, HashSet<IpAddr>>,
    /// Whether somebody inside has said it, of each request.
    insiders: HashMap<Key, bool>,
    /// Session descriptions may be put in a relay's terms.
    is_relaying: bool,
    pub(super) sum: Sum,
}

fn key(branch: &[u8], method: Method<'_>) -> Key {
    (branch.to_vec(), method.as_bytes().to_vec())
}

fn key_of(message: &Message<'_>) -> Key {
    key(message.via().branch().unwrap_or_default(), message.method())
}

impl Books {
    pub(super) fn new(is_relaying: bool) -> Self {
        Self { is_relaying, ..Self::default() }
    }

    /// Somebody sends a request, whole and unharmed.
    pub(super) fn ask(&mut self, now: Instant, source: Place, bytes: &[u8]) {
        let Ok(request) = Message::parse(bytes) else { return };
        if !request.is_request() || request.method() == Method::Ack {
            return;
        }
        let key = key_of(&request);
        if let Some(asked) = self.asked.get_mut(&key) {
            asked.is_muddled |= asked.may_be_over(now, source);
            return;
        }
        let asked = Asked {
            source,
            bytes: bytes.to_vec(),
            finals: Vec::new(),
            since: None,
            is_heard: false,
            is_forwarded: false,
            is_muddled: false,
        };
        self.asked.insert(key, asked);
    }

    /// Somebody says something.
    pub(super) fn hear(&mut self, from: SocketAddr, bytes: &[u8]) {
        let message = Message::parse(bytes).ok();
        if let Some(message) = &message {
            *self.insiders.entry(key_of(message)).or_default() |= is_inside(from);
        }
        if !is_inside(from) {
            return;
        }
        let hosts = hosts_inside(bytes).chain([from.ip()]);
        match message.filter(|message| message.method() != Method::Register) {
            Some(message) => self.named.entry(message.call_id().to_vec()).or_default().extend(hosts),
            // Who can tell what was made of it?
            None => self.registered.extend(hosts),
        }
    }

    /// Whether a request may go to a host inside: there are phones that registered there; in a call, whoever is inside goes
    /// where it likes, and others to whom inside the call was made with.
    fn may_go_inside(&self, to: IpAddr, request: &Message<'_>) -> bool {
        if self.registered.contains(&to) {
            return true;
        }
        let before = request.vias().nth(1).and_then(Result::ok);
        let by = before.and_then(|via| Some(key(via.branch()?, request.method())));
        // What has come by way of ourselves, and what we say ourselves, is nobody's in particular.
        let is_by_insider = by.and_then(|by| self.insiders.get(&by)).copied().unwrap_or(true);
        let is_named = self.named.get(request.call_id()).is_some_and(|hosts| hosts.contains(&to));
        request.to().tag().is_some() && (is_named || is_by_insider)
    }

    /// Whether a request was given any answer.
    pub(super) fn is_heard(&self, bytes: &[u8]) -> bool {
        let Ok(request) = Message::parse(bytes) else { return true };
        self.asked.get(&key_of(&request)).is_none_or(|asked| asked.is_heard)
    }

    /// A response leaves.
    pub(super) fn answer(&mut self, now: Instant, to: Place, bytes: &[u8]) {
        let Ok(response) = Message::parse(bytes) else {
            // What repeats a broken request is broken too.
            assert!(bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5"), "{}", text(bytes));
            return;
        };
        // To what came broken, the answer goes by where it came from, whatever it says.
        if response.to().tag() == Some(b"malformed") {
            return;
        }
        let Some(asked) = self.asked.get_mut(&key_of(&response)) else { return };
        assert_eq!(
            to.address().ip(),
            asked.source.address().ip(),
            "an answer to a stranger: {}",
            text(bytes)
        );
        asked.is_heard = true;
        let code = response.code().expect("a response has a code");
        if asked.is_muddled {
            return;
        }
        let invite = response.method() == Method::Invite;
        if code < 200 {
            assert!(asked.finals.is_empty(), "{code} after the end: {}", text(bytes));
            return;
        }
        asked.since.get_or_insert(now);
        let is_new = !asked.finals.iter().any(|old| old == bytes);
        for old in asked.finals.iter().filter(|_| is_new) {
            let old_code = Message::parse(old).expect("it was read before").code().unwrap_or_default();
            let both = (old_code / 100 == 2, code / 100 == 2);
            // Each 2xx passes, and a late one passes a refusal (RFC 3261 §16.7 steps 5 and 10).
            assert!(invite && both.1, "{old_code}, and then: {}", text(bytes));
        }
        if is_new {
            match (invite, code) {
                (true, 200..=299) => self.sum.accepted += 1,
                (true, 487) => self.sum.cancelled += 1,
                (true, _) => self.sum.refused += 1,
                (false, 200) if response.method() == Method::Register => self.sum.registered += 1,
                _ => {}
            }
            asked.finals.push(bytes.to_vec());
        }
    }

    /// A request leaves.
    pub(super) fn leave(&mut self, now: Instant, to: Place, bytes: &[u8]) {
        let request = Message::parse(bytes).expect("what we send can be read");
        assert!(
            is_somebody(to.address())
                && (!is_inside(to.address()) || self.may_go_inside(to.address().ip(), &request)),
            "to nobody, {to:?}: {}",
            text(bytes)
        );
        let branch = request.via().branch().expect("our Via has a branch");
        let invite = key(branch, Method::Invite);
        match request.method() {
            Method::Ack => {
                if let Some(left) = self.left.get(&invite) {
                    assert!(left.is_refused, "an ACK of nothing: {}", text(bytes));
                }
                return;
            }
            Method::Cancel => {
                let left = self.left.get(&invite).expect("a CANCEL follows an INVITE");
                assert!(left.is_ringing, "an INVITE is cancelled that nobody was heard of: {}", text(bytes));
                let is_first = !self.left.contains_key(&key(branch, Method::Cancel));
                assert!(
                    self.is_lossy || !is_first || left.end.is_none(),
                    "what has ended is cancelled: {}",
                    text(bytes)
                );
            }
            _ => {}
        }
        let key = key(branch, request.method());
        match self.left.get(&key) {
            Some(left) => self.repeat(left, to, bytes),
            None => self.first(now, key, to, &request),
        }
    }

    fn repeat(&self, left: &Left, to: Place, bytes: &[u8]) {
        assert_eq!(text(&left.bytes), text(bytes), "what is sent again is the same");
        assert_eq!(left.to, to, "and goes to the same");
        let request = Message::parse(bytes).expect("it was read before");
        let is_quiet = left.end.is_none() && !(request.method() == Method::Invite && left.is_ringing);
        assert!(self.is_lossy || is_quiet, "sent again after an answer: {}", text(bytes));
    }

    fn first(&mut self, now: Instant, own: Key, to: Place, request: &Message<'_>) {
        let before = request.vias().nth(1).and_then(Result::ok);
        let asked = before.and_then(|via| Some(key(via.branch()?, request.method())));
        let asked = asked.filter(|asked| self.asked.contains_key(asked));
        if let Some(asked) = asked.as_ref().and_then(|asked| self.asked.get_mut(asked)) {
            asked.is_forwarded = true;
            self.sum.forwarded += 1;
            if !asked.is_muddled {
                compare(&asked.bytes, request, self.is_relaying);
            }
        }
        let bytes = request.bytes().to_vec();
        let left = Left {
            to,
            at: now,
            bytes,
            is_ringing: false,
            end: None,
            is_refused: false,
            asked,
            is_dead: false,
        };
        self.left.insert(own, left);
    }

    /// A phone answers what left, whole and unharmed. Says whose 2xx must now reach whoever asked: the key of its request.
    pub(super) fn answered(&mut self, now: Instant, bytes: &[u8]) -> Option<Key> {
        let response = Message::parse(bytes).ok()?;
        let code = response.code()?;
        let left = self.left.get_mut(&key_of(&response))?;
        if code < 200 {
            left.is_ringing = true;
            return None;
        }
        let is_first = left.end.is_none();
        left.end.get_or_insert(code);
        left.is_refused |= code >= 300;
        let is_fresh = now < left.at + Duration::from_secs(30);
        let is_due = is_first && is_fresh && !left.is_dead && !self.is_lossy;
        let accepts = response.method() == Method::Invite && (200..300).contains(&code);
        left.asked.clone().filter(|_| is_due && accepts)
    }

    /// Whoever asked has the 2xx with this To.
    pub(super) fn check_passed(&self, asked: &Key, to: &[u8]) {
        let asked = &self.asked[asked];
        if asked.is_muddled || self.is_lossy || matches!(asked.source, Place::Stream(..)) {
            return;
        }
        let has = |bytes: &Vec<u8>| Message::parse(bytes).is_ok_and(|answer| answer.to().as_bytes() == to);
        assert!(
            asked.finals.iter().any(has),
            "a call was answered, and the caller not told: {}",
            text(&asked.bytes)
        );
    }

    /// A stream or a port is gone.
    pub(super) fn is_gone(&mut self, place: Place) {
        for left in self.left.values_mut().filter(|left| left.to == place) {
            left.is_dead = true;
        }
    }

    /// When all is over.
    pub(super) fn end(&self) {
        if self.is_lossy {
            return;
        }
        for ((_, method), asked) in &self.asked {
            // Where everybody else was silent, so are we, but for INVITE (RFC 4320 §4.2).
            let may_be_silent = method != b"INVITE" && asked.is_forwarded;
            let is_over = asked.is_muddled || matches!(asked.source, Place::Stream(..));
            assert!(
                !asked.finals.is_empty() || may_be_silent || is_over,
                "no answer to {}",
                text(&asked.bytes)
            );
        }
    }
}

impl Asked {
    /// Whether the same again from there may be another transaction.
    fn may_be_over(&self, now: Instant, source: Place) -> bool {
        let is_elsewhere = source != self.source;
        match self.since {
            // Another worker may answer these without one.
            None => is_elsewhere || self.bytes.starts_with(b"REGISTER") || self.bytes.starts_with(b"CANCEL"),
            Some(since) => {
                // Answers of our own need no transaction; streams keep none.
                let is_kept = self.finals.iter().all(|bytes| is_of_phone(bytes))
                    && matches!(source, Place::Datagrams(_));
                !is_kept || is_elsewhere || now >= since + Duration::from_secs(5)
            }
        }
    }
}

fn is_of_phone(answer: &[u8]) -> bool {
    Message::parse(answer).is_ok_and(|answer| answer.to().tag().is_some_and(|tag| tag.starts_with(b"p")))
}

/// A copy is its original but for what a proxy writes.
fn compare(original: &[u8], copy: &Message<'_>, is_relaying: bool) {
    let original = Message::parse(original).expect("it was read before");
    assert!(is_relaying || original.body() == copy.body(), "the body goes on as it came");
    let ours = [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::MaxForwards,
        HeaderName::MaxBreadth,
        HeaderName::ProxyAuthorization,
        HeaderName::PAssertedIdentity,
        HeaderName::RemotePartyId,
        HeaderName::ContentLength,
    ];
    let kept = |message: &Message<'_>| -> Vec<Vec<u8>> {
        message.headers().filter(|h| !ours.contains(&h.name)).map(|h| h.value.to_vec()).collect()
    };
    assert_eq!(kept(&original), kept(copy), "all else goes out as it came in");
    if let Some(hops) = original.max_forwards() {
        assert_eq!(copy.max_forwards(), hops.checked_sub(1), "each hop counts");
    }
}

fn is_inside(at: SocketAddr) -> bool {
    matches!(at.ip(), IpAddr::V4(ip) if ip.octets()[0] == 10)
}

/// The hosts inside that a message names, or that what it names leads to.
fn hosts_inside(bytes: &[u8]) -> impl Iterator<Item = IpAddr> {
    let text = String::from_utf8_lossy(bytes);
    let pieces = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let mut hosts: Vec<IpAddr> = pieces.filter_map(|piece| piece.parse().ok()).collect();
    hosts.extend(text.contains("inside.example").then(|| IpAddr::from([10, 0, 0, 7])));
    hosts.into_iter().filter(|host| is_inside(SocketAddr::new(*host, 0)))
}

/// Whether there may be somebody: no group, not this host.
fn is_somebody(at: SocketAddr) -> bool {
    let is_known = match at.ip() {
        IpAddr::V4(ip) => {
            !(ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_unspecified())
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_multicast() || ip.is_unspecified()),
    };
    is_known && at.port() != 0
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
