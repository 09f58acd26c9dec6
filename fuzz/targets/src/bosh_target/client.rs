//! A client as XEP-0124 wants it: it has so many requests under way, takes answers in order, and asks again where a connection
//! is lost.

use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, VecDeque};

/// How many keys a client makes at a time (XEP-0124 §15.3).
const KEYS: usize = 5;
/// How often it asks the same at most: the server allows ten.
const PATIENCE: u32 = 8;

/// What a session may be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) hold: usize,
    pub(super) wait: u64,
    /// Whether it says which answers it has had.
    pub(super) acknowledges: bool,
    pub(super) keys: bool,
    /// Whether it says which version it speaks.
    pub(super) version: bool,
}

impl Plan {
    pub(super) fn read(byte: u8) -> Self {
        Self {
            hold: [1, 0, 2, 9][usize::from(byte & 3)],
            wait: [60, 60, 10, 0][usize::from(byte >> 2 & 3)],
            acknowledges: byte >> 4 & 1 == 1,
            keys: byte >> 5 & 1 == 1,
            version: byte >> 6 & 1 == 0,
        }
    }

    /// How many requests it may have under way.
    pub(super) fn requests(self) -> usize {
        self.hold.min(4) + 1
    }

    /// Whether nothing is held for it.
    pub(super) fn polls(self) -> bool {
        self.hold == 0 || self.wait == 0
    }
}

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) rid: u64,
    pub(super) text: String,
    sent: u32,
    /// Whether it comes beside all others.
    extra: bool,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) plan: Plan,
    pub(super) rid: u64,
    pub(super) open: VecDeque<Open>,
    /// Answers that came before their time.
    early: BTreeMap<u64, String>,
    keys: Vec<String>,
    serial: u32,
    /// What it has heard.
    pub(super) heard: Vec<u32>,
    /// Whether it was told that the session is over.
    pub(super) over: bool,
}

fn hash(key: &str) -> String {
    Sha1::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The numbers of what stands in an answer.
pub(super) fn numbers(text: &str) -> Vec<u32> {
    let parts = text.split("<s").skip(1);
    parts.filter_map(|part| part.split(' ').next()?.parse().ok()).collect()
}

impl Client {
    pub(super) fn new(plan: Plan, rid: u64) -> Self {
        Self {
            plan,
            rid,
            open: VecDeque::new(),
            early: BTreeMap::new(),
            keys: Vec::new(),
            serial: 0,
            heard: Vec::new(),
            over: false,
        }
    }

    /// Its first request.
    pub(super) fn begins(&mut self) -> String {
        let Plan { hold, wait, acknowledges, version, .. } = self.plan;
        let mut more = format!("to='verona.example' hold='{hold}' wait='{wait}'");
        if version {
            more.push_str(" ver='1.11'");
        }
        if acknowledges {
            more.push_str(" ack='1'");
        }
        self.request(&more, "", false)
    }

    /// What shows whose session it is.
    fn key(&mut self) -> String {
        if !self.plan.keys {
            return String::new();
        }
        let old = self.keys.pop();
        if !self.keys.is_empty() {
            return format!("key='{}'", old.unwrap_or_default());
        }
        self.serial += 1;
        let mut key = hash(&format!("seed {}", self.serial));
        for _ in 0..KEYS {
            let next = hash(&key);
            self.keys.push(std::mem::replace(&mut key, next));
        }
        let old = old.map(|old| format!("key='{old}' ")).unwrap_or_default();
        format!("{old}newkey='{key}'")
    }

    /// Another request, as it goes out.
    pub(super) fn request(&mut self, attributes: &str, payload: &str, extra: bool) -> String {
        let had = self.open.front().map_or(self.rid, |open| open.rid - 1);
        let behind = self.plan.acknowledges && had != self.rid && attributes.find("ack=").is_none();
        let ack = if behind { format!("ack='{had}'") } else { String::new() };
        self.rid += 1;
        let key = self.key();
        let text = format!(
            "<body rid='{}' sid='secret' {key} {ack} {attributes} xmlns='http://jabber.org/protocol/httpbind' \
             xmlns:xmpp='urn:xmpp:xbosh'>{payload}</body>",
            self.rid
        );
        self.open.push_back(Open { rid: self.rid, text: text.clone(), sent: 1, extra });
        text
    }

    /// Whether it may have one more under way.
    pub(super) fn may_ask(&self, extra: bool) -> bool {
        let waits = self.open.iter().any(|open| open.extra);
        !self.over && !waits && self.open.len() < self.plan.requests() + usize::from(extra)
    }

    /// Whether a request, or its answer, may be lost once more.
    pub(super) fn bears(&self, rid: u64) -> bool {
        self.open.iter().find(|open| open.rid == rid).is_none_or(|open| open.sent < PATIENCE)
    }

    /// The same request again, as its connection is lost.
    pub(super) fn again(&mut self, rid: u64) -> Option<String> {
        let open = self.open.iter_mut().find(|open| open.rid == rid).filter(|_| !self.over)?;
        open.sent += 1;
        Some(open.text.clone())
    }

    /// An answer comes: what is its turn is heard.
    pub(super) fn hears(&mut self, rid: u64, answer: String) {
        self.over |= answer.contains("type='terminate'");
        if self.open.iter().any(|open| open.rid == rid) {
            self.early.insert(rid, answer);
        }
        while let Some(open) = self.open.front()
            && let Some(answer) = self.early.remove(&open.rid)
        {
            self.open.pop_front();
            self.heard.extend(numbers(&answer));
        }
    }
}
