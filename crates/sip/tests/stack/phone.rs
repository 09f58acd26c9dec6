//! A scripted phone on the simulated network: registers, calls, rings, answers, hangs up, with the retransmissions
//! that a user agent owes (RFC 3261 §13, §17), written apart from the stack under test.

use sip::message::{HeaderName, Message, Method, Reply};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::{Host, Packet};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// What a phone does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Rings, and answers after this many milliseconds.
    Answers(u64),
    /// Refuses at once with this status line.
    Refuses(&'static str),
    /// Rings until it is cancelled.
    Rings,
}

/// Something that is sent again until it is answered.
struct Repeat {
    bytes: Vec<u8>,
    interval: Duration,
    cap: Duration,
    next: Instant,
    end: Instant,
}

pub(crate) struct Phone {
    pub(crate) me: SocketAddr,
    pub(crate) user: &'static str,
    pub(crate) manner: Manner,
    /// What happened, in order: `registered`, `in`, `answered`, `200`, `486`, `bye` …
    pub(crate) log: Vec<String>,
    server: SocketAddr,
    out: VecDeque<Packet>,
    /// Sent again until something of this branch or dialog comes.
    repeats: BTreeMap<String, Repeat>,
    /// When to do what.
    plans: Vec<(Instant, String)>,
    /// Requests that were answered: the answer to each, by branch.
    answered: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The INVITE that is ringing here.
    ringing: Option<Vec<u8>>,
    /// The INVITE that was sent, and the 2xx that answered it.
    calling: Option<String>,
    dialog: Option<Vec<u8>>,
    now: Instant,
    count: u32,
}

impl Phone {
    pub(crate) fn new(user: &'static str, me: &str, server: &str, now: Instant, manner: Manner) -> Self {
        Self {
            me: me.parse().unwrap(),
            user,
            manner,
            log: Vec::new(),
            server: server.parse().unwrap(),
            out: VecDeque::new(),
            repeats: BTreeMap::new(),
            plans: Vec::new(),
            answered: BTreeMap::new(),
            ringing: None,
            calling: None,
            dialog: None,
            now,
            count: 0,
        }
    }

    pub(crate) fn has(&self, event: &str) -> bool {
        self.log.iter().any(|logged| logged == event)
    }

    /// How often something happened.
    pub(crate) fn times(&self, event: &str) -> usize {
        self.log.iter().filter(|logged| *logged == event).count()
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.out.push_back(Packet { from: self.me, to: self.server, bytes });
    }

    fn repeat(&mut self, key: String, bytes: Vec<u8>, cap: Duration) {
        let (next, end) = (self.now + T1, self.now + 64 * T1);
        self.send(bytes.clone());
        self.repeats.insert(key, Repeat { bytes, interval: T1, cap, next, end });
    }

    fn request(&mut self, method: &str, uri: &str, to: &str, call_id: &str, more: &str) -> (String, Vec<u8>) {
        self.count += 1;
        let branch = format!("z9hG4bK{}{}", self.user, self.count);
        let (me, user, count) = (self.me, self.user, self.count);
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@falcot.com>;tag={user}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {count} {method}\r\n\
             Contact: <sip:{user}@{me}>\r\n{more}Content-Length: 0\r\n\r\n"
        );
        (branch, text.into_bytes())
    }

    pub(crate) fn register(&mut self) {
        let to = format!("<sip:{}@falcot.com>", self.user);
        let call_id = format!("reg-{}", self.user);
        let (branch, bytes) = self.request("REGISTER", "sip:falcot.com", &to, &call_id, "");
        self.repeat(branch, bytes, T2);
    }

    pub(crate) fn call(&mut self, uri: &str) {
        let call_id = format!("call-{}", self.user);
        let (branch, bytes) = self.request("INVITE", uri, &format!("<{uri}>"), &call_id, "");
        self.calling = Some(String::from_utf8(bytes.clone()).unwrap());
        self.repeat(branch, bytes, Duration::MAX);
    }

    /// Gives the call up.
    pub(crate) fn cancel(&mut self) {
        let invite = self.calling.clone().unwrap();
        let lines = invite.replace("INVITE", "CANCEL");
        self.repeat("cancel".into(), lines.into_bytes(), T2);
    }

    fn hang_up(&mut self) {
        let Some(ok) = self.dialog.take() else { return };
        let ok = Message::parse(&ok).unwrap();
        let (uri, routes) = target(&ok);
        let to = String::from_utf8(ok.to().as_bytes().to_vec()).unwrap();
        let call_id = String::from_utf8(ok.call_id().to_vec()).unwrap();
        let (branch, bytes) = self.request("BYE", &uri, &to, &call_id, &routes);
        self.log.push("hung up".into());
        self.repeat(branch, bytes, T2);
    }

    fn ack(&mut self, ok: &Message<'_>) {
        let (uri, routes) = target(ok);
        let (me, user, number) = (self.me, self.user, ok.cseq().number);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (to, call_id) = (text(ok.to().as_bytes()), text(ok.call_id()));
        let bytes = format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKack{user}{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@falcot.com>;tag={user}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} ACK\r\n\
             {routes}Content-Length: 0\r\n\r\n"
        );
        self.send(bytes.into_bytes());
    }

    fn response(&mut self, message: &Message<'_>) {
        let code = message.code().unwrap();
        let branch = String::from_utf8(message.via().branch().unwrap().to_vec()).unwrap();
        if message.method() == Method::Cancel {
            self.repeats.remove("cancel");
            return;
        }
        let is_invite = message.method() == Method::Invite;
        // An INVITE that was heard of is not sent again; every other request is until its final answer.
        if code < 200 && !is_invite {
            return;
        }
        let known = self.repeats.remove(&branch).is_some();
        if code < 200 || (!known && !is_invite) {
            return;
        }
        match message.method() {
            Method::Invite if code < 300 => self.accepted(message),
            Method::Invite => self.refused(message, code),
            Method::Register => self.log.push(format!("registered {code}")),
            _ => self.log.push(format!("{} {code}", message.method())),
        }
    }

    fn accepted(&mut self, ok: &Message<'_>) {
        if self.calling.take().is_some() {
            self.log.push("200".into());
            self.dialog = Some(ok.bytes().to_vec());
            self.plans.push((self.now + Duration::from_secs(3), "hang up".into()));
        }
        self.ack(ok);
    }

    fn refused(&mut self, response: &Message<'_>, code: u16) {
        let Some(invite) = &self.calling else { return };
        let to = String::from_utf8(response.to().as_bytes().to_vec()).unwrap();
        let old = invite.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned();
        let ack = invite.replace("INVITE", "ACK").replace(&old, &format!("To: {to}"));
        self.send(ack.into_bytes());
        if !self.has(&code.to_string()) {
            self.log.push(code.to_string());
        }
    }

    fn incoming(&mut self, message: &Message<'_>) {
        let branch = message.via().branch().unwrap().to_vec();
        match message.method() {
            Method::Ack => {
                self.repeats.remove("final");
                self.note("acknowledged");
            }
            method => {
                let key = if method == Method::Cancel { [&branch[..], b"c"].concat() } else { branch };
                match self.answered.get(&key).cloned() {
                    Some(answer) => self.send(answer),
                    None => self.fresh(message, key),
                }
            }
        }
    }

    fn fresh(&mut self, message: &Message<'_>, key: Vec<u8>) {
        match (message.method(), self.manner) {
            (Method::Invite, Manner::Refuses(status)) => {
                self.note("in");
                self.finish(message, key, status);
            }
            (Method::Invite, manner) => {
                self.note("in");
                let bytes = self.reply(message, "180 Ringing");
                self.answered.insert(key, bytes.clone());
                self.send(bytes);
                self.ringing = Some(message.bytes().to_vec());
                if let Manner::Answers(after) = manner {
                    self.plans.push((self.now + Duration::from_millis(after), "answer".into()));
                }
            }
            (Method::Cancel, _) => {
                let bytes = self.reply(message, "200 OK");
                self.answered.insert(key, bytes.clone());
                self.send(bytes);
                self.cancelled();
            }
            (method, _) => {
                self.log.push(format!("got {method}"));
                let bytes = self.reply(message, "200 OK");
                self.answered.insert(key, bytes.clone());
                self.send(bytes);
            }
        }
    }

    fn cancelled(&mut self) {
        let Some(invite) = self.ringing.take() else { return };
        self.note("cancelled");
        self.plans.clear();
        let invite = Message::parse(&invite).unwrap();
        let key = invite.via().branch().unwrap().to_vec();
        self.finish(&invite, key, "487 Request Terminated");
    }

    fn answer(&mut self) {
        let Some(invite) = self.ringing.take() else { return };
        self.note("answered");
        let invite = Message::parse(&invite).unwrap();
        let key = invite.via().branch().unwrap().to_vec();
        self.finish(&invite, key, "200 OK");
    }

    /// A final answer to INVITE, sent again until the ACK comes.
    fn finish(&mut self, invite: &Message<'_>, key: Vec<u8>, status: &str) {
        let bytes = self.reply(invite, status);
        self.answered.insert(key, bytes.clone());
        self.repeat("final".into(), bytes, T2);
    }

    fn reply(&self, request: &Message<'_>, status: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let (code, reason) = status.split_once(' ').unwrap();
        let tag = format!("{}-{}", self.user, self.me.port());
        let mut reply = Reply::with_reason(&mut out, request, None, (code.parse().unwrap(), reason), &tag);
        reply.record_routes(request);
        if request.method() == Method::Invite {
            reply.header("Contact", format!("<sip:{}@{}>", self.user, self.me));
        }
        reply.end();
        out
    }

    fn note(&mut self, event: &str) {
        if !self.has(event) {
            self.log.push(event.into());
        }
    }
}

/// Where requests of the dialog go that a 2xx made for the caller: its Contact, and the recorded routes backwards.
fn target(ok: &Message<'_>) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let Some(Ok(sip::message::Contact::At(contact))) = ok.contacts().next() else {
        panic!("a 2xx has a Contact")
    };
    let routes: Vec<String> = ok.list(HeaderName::RecordRoute).map(text).collect();
    let lines = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
    (text(contact.uri_bytes()), lines)
}

impl Host for Phone {
    fn owns(&self, address: SocketAddr) -> bool {
        address == self.me
    }

    fn receive(&mut self, now: Instant, packet: &Packet) {
        self.now = now;
        let message = Message::parse(&packet.bytes).expect("the proxy sends what can be read");
        if message.is_request() { self.incoming(&message) } else { self.response(&message) }
    }

    fn transmit(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let repeats = self.repeats.values().map(|repeat| repeat.next.min(repeat.end));
        repeats.chain(self.plans.iter().map(|(at, _)| *at)).min()
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        let ended: Vec<String> =
            self.repeats.iter().filter(|(_, r)| r.end <= now).map(|(key, _)| key.clone()).collect();
        for key in ended {
            self.repeats.remove(&key);
            self.log.push(format!("gave up {key}"));
        }
        let mut again = Vec::new();
        for repeat in self.repeats.values_mut().filter(|repeat| repeat.next <= now) {
            repeat.interval = (repeat.interval * 2).min(repeat.cap);
            repeat.next = now + repeat.interval;
            again.push(repeat.bytes.clone());
        }
        again.into_iter().for_each(|bytes| self.send(bytes));
        let due: Vec<String> =
            self.plans.iter().filter(|(at, _)| *at <= now).map(|(_, plan)| plan.clone()).collect();
        self.plans.retain(|(at, _)| *at > now);
        for plan in due {
            if plan == "answer" { self.answer() } else { self.hang_up() }
        }
    }
}
