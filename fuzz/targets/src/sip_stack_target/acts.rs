//! What people do: register, call, ring, answer, refuse, give up, hang up, and send nonsense.

use super::books::Place;
use super::grammar::{self, Draft, STATUSES};
use super::people::{Dialog, Letter, Person};
use super::world::World;
use crate::tape::Tape;
use sip::{HeaderName, Message, Method};
use std::collections::VecDeque;
use wire::Transport;

impl World {
    /// Any request outside of dialogs.
    pub(super) fn person_asks(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        self.serial += 1;
        let known = self.known();
        let draft = grammar::request(tape, &self.people[who], &known, self.serial);
        self.ask(tape, who, draft);
    }

    /// A call to one of ours.
    pub(super) fn person_calls(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let uri =
            ["sip:bob@falcot.com", "sip:alice@falcot.com", "sip:carol@falcot.com", "sip:dave@falcot.com"]
                [tape.below(4)];
        self.serial += 1;
        let draft = Draft::new(&self.people[who], "INVITE", uri, self.serial).with_contact(&self.people[who]);
        self.ask(tape, who, draft);
    }

    pub(super) fn person_registers(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        self.serial += 1;
        let number = if tape.byte() < 240 { self.serial } else { 1 };
        let draft = grammar::register(tape, &self.people[who], self.serial, number);
        self.ask(tape, who, draft);
    }

    /// Two or three phones register as good phones do.
    pub(super) fn everybody_registers(&mut self, tape: &mut Tape<'_>) {
        let first = tape.below(self.people.len());
        for who in (first..self.people.len()).take(1 + tape.below(3)) {
            self.serial += 1;
            let draft = grammar::register(&mut Tape::new(&[]), &self.people[who], self.serial, self.serial);
            self.ask(&mut Tape::new(&[]), who, draft);
            self.settle();
        }
    }

    /// A call that is taken, refused or given up, as far as it gets.
    pub(super) fn whole_call(&mut self, tape: &mut Tape<'_>) {
        self.person_calls(tape);
        self.settle();
        let nobody = &mut Tape::new(&[]);
        let caller = self.who(nobody);
        let call_id = format!("Call-ID: c{}\r\n", self.serial).into_bytes();
        let is_its = |letter: &Letter| letter.bytes.windows(call_id.len()).any(|part| part == call_id);
        let rings = |who: &usize| self.people[*who].inbox.back().is_some_and(is_its);
        let ringing: Vec<usize> = (0..self.people.len()).filter(rings).collect();
        let Some(callee) = tape.pick(&ringing) else { return };
        self.answer_last(callee, 1);
        let status = tape.below(2 * STATUSES.len());
        if status >= STATUSES.len() {
            let invite = self.people[callee].inbox.len() - 1;
            self.actor_is(caller);
            self.person_cancels(nobody);
            self.settle();
            self.answer(callee, invite, status - STATUSES.len(), "", 0);
            self.settle();
            self.answer_last(callee, 0);
        } else {
            self.answer_last(callee, status);
        }
        self.settle();
        self.acknowledge_last(caller);
        self.settle();
    }

    /// URIs that somebody has heard of: contacts of dialogs, names of phones.
    fn known(&self) -> Vec<String> {
        let gruus = self.people.iter().filter_map(|person| person.gruu.clone());
        let contacts =
            self.people.iter().flat_map(|person| person.dialogs.iter().map(|dialog| dialog.uri.clone()));
        gruus.chain(contacts).collect()
    }

    /// Sends a request, with credentials where they were asked for.
    fn ask(&mut self, tape: &mut Tape<'_>, who: usize, mut draft: Draft) {
        let oddity = tape.byte();
        if oddity < 0xF0 {
            let credentials = self.people[who].credentials(draft.method, &draft.uri);
            draft.more.push_str(&credentials);
        }
        let is_damaged = oddity & 0x3F == 0x3F;
        if is_damaged {
            // The books do not know what comes of it.
            draft.branch = draft.branch.replace("z9hG4bKp", "z9hG4bKq");
        }
        let mut bytes = draft.write();
        if is_damaged {
            grammar::damage(tape, &mut bytes);
            return self.send_noise(who, &bytes);
        }
        let is_new = self.send_request(who, &bytes);
        // Whoever comes as a datagram and stays here hears something at once.
        if is_new && draft.method == "INVITE" && !self.books.is_lossy {
            assert!(self.books.is_heard(&bytes), "silence: {}", String::from_utf8_lossy(&bytes));
        }
    }

    /// Sends a request whole and unharmed; whether it went as a datagram.
    fn send_request(&mut self, who: usize, bytes: &[u8]) -> bool {
        let conn = (self.people[who].transport != Transport::Udp).then(|| self.stream_of(who));
        let peer = self.people[who].peer;
        let place = conn.map_or(Place::Datagrams(peer), |conn| Place::Stream(conn, peer));
        self.people[who].has_sent(Letter { bytes: bytes.to_vec(), conn });
        self.books.ask(self.now, place, bytes);
        self.bring(who, conn, bytes);
        conn.is_none()
    }

    pub(super) fn person_repeats(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let which = tape.below(self.people[who].sent.len());
        let Some(Letter { bytes, conn }) = self.people[who].sent.get(which).cloned() else { return };
        let peer = self.people[who].peer;
        let place = conn.map_or(Place::Datagrams(peer), |conn| Place::Stream(conn, peer));
        self.books.ask(self.now, place, &bytes);
        self.bring(who, conn, &bytes);
    }

    /// Gives a call up; perhaps by another worker, as NAT has given another port.
    pub(super) fn person_cancels(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let is_invite = |letter: &&Letter| letter.bytes.starts_with(b"INVITE ");
        let Some(letter) = self.people[who].sent.iter().rev().find(is_invite).cloned() else { return };
        let Some(bytes) = follow(&letter.bytes, "CANCEL", None) else { return };
        let elsewhere = tape.byte() & 7 == 7;
        let peer = self.people[who].peer;
        let place = letter.conn.map_or(Place::Datagrams(peer), |conn| Place::Stream(conn, peer));
        self.books.ask(self.now, place, &bytes);
        self.bring_to(elsewhere, who, &letter, &bytes);
    }

    pub(super) fn person_acknowledges(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let elsewhere = tape.byte() & 7 == 7;
        self.acknowledge(who, elsewhere);
    }

    fn acknowledge_last(&mut self, who: usize) {
        self.acknowledge(who, false);
    }

    fn bring_to(&mut self, elsewhere: bool, who: usize, letter: &Letter, bytes: &[u8]) {
        match letter.conn {
            None if elsewhere => self.datagram(1 - self.people[who].worker, self.people[who].peer, bytes),
            conn => self.bring(who, conn, bytes),
        }
    }

    /// The ACK of the last final answer to an INVITE: hop by hop for a refusal, along the route for a 2xx.
    fn acknowledge(&mut self, who: usize, elsewhere: bool) {
        let of_invite = |letter: &&Letter| {
            Message::parse(&letter.bytes).is_ok_and(|message| message.method() == Method::Invite)
        };
        let Some(answer) = self.people[who].answers.iter().rev().find(of_invite).cloned() else { return };
        let Ok(message) = Message::parse(&answer.bytes) else { return };
        if message.code().is_some_and(|code| code < 300) {
            let Some(dialog) = caller_side(&message) else { return };
            self.serial += 1;
            let number = message.cseq().number;
            let draft = in_dialog(&self.people[who], "ACK", &dialog, self.serial, number);
            let bytes = draft.write();
            self.people[who].enters(dialog);
            return self.bring_to(elsewhere, who, &answer, &bytes);
        }
        let branch = message.via().branch().unwrap_or_default().to_vec();
        let is_its = |letter: &&Letter| {
            Message::parse(&letter.bytes).is_ok_and(|m| m.via().branch() == Some(&branch[..]))
        };
        let Some(invite) = self.people[who].sent.iter().find(is_its).cloned() else { return };
        if let Some(bytes) = follow(&invite.bytes, "ACK", Some(message.to().as_bytes())) {
            self.bring_to(elsewhere, who, &answer, &bytes);
        }
    }

    /// BYE, a new INVITE, or anything else within a dialog, of either side.
    pub(super) fn person_speaks_in_dialog(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let which = tape.below(self.people[who].dialogs.len());
        let Some(dialog) = self.people[who].dialogs.get(which).cloned() else { return };
        self.serial += 1;
        let methods = ["BYE", "INVITE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "ACK", "MESSAGE"];
        let method = methods[tape.below(methods.len())];
        let number = 10 + self.serial;
        let mut draft = in_dialog(&self.people[who], method, &dialog, self.serial, number);
        if tape.byte() >= 0xC0 {
            grammar::oddities(tape, &mut draft);
        }
        self.ask(tape, who, draft);
    }

    /// A phone answers something that it has got, or answers it again, perhaps otherwise.
    pub(super) fn phone_answers(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let back = tape.below(self.people[who].inbox.len());
        let status = tape.below(STATUSES.len());
        let Some(which) = self.people[who].inbox.len().checked_sub(back + 1) else { return };
        let more = match tape.byte() {
            0xE0..=0xE7 => "Retry-After: 10\r\n",
            0xE8..=0xEF => "Proxy-Authenticate: Digest realm=\"elsewhere\", nonce=\"n\"\r\n",
            0xF0..=0xF7 => "WWW-Authenticate: Digest realm=\"elsewhere\", nonce=\"m\"\r\n",
            _ => "",
        };
        self.answer(who, which, status, more, tape.below(3));
    }

    fn answer_last(&mut self, who: usize, status: usize) {
        if let Some(which) = self.people[who].inbox.len().checked_sub(1) {
            self.answer(who, which, status, "", 0);
        }
    }

    fn answer(&mut self, who: usize, which: usize, status: usize, more: &str, fork: usize) {
        let Letter { bytes: request, conn } = self.people[who].inbox[which].clone();
        if conn.is_some_and(|conn| !self.is_good(conn)) {
            return;
        }
        let Ok(message) = Message::parse(&request) else { return };
        // An ACK is not answered.
        if message.method() == Method::Ack {
            return;
        }
        let (status, tag) = (STATUSES[status], format!("p{who}-{fork}"));
        let Person { user, own, .. } = self.people[who];
        let more = format!("Contact: <sip:{user}@{own}>\r\n{more}");
        let bytes = grammar::answer(&message, status, &tag, &more);
        let Ok(answer) = Message::parse(&bytes) else { return };
        if answer.code().is_some_and(|code| (200..300).contains(&code)) {
            let dialog = callee_side(&message, &answer);
            dialog.into_iter().for_each(|dialog| self.people[who].enters(dialog));
        }
        let due = self.books.answered(self.now, &bytes);
        self.bring(who, conn, &bytes);
        if !self.is_slow {
            self.settle();
        }
        if let Some(asked) = due {
            self.books.check_passed(&asked, answer.to().as_bytes());
        }
    }

    // Nonsense.

    pub(super) fn person_sends_noise(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let length = tape.below(120);
        let bytes = match tape.byte() & 7 {
            0 => b"\r\n\r\n".to_vec(),
            _ => tape.take(length).to_vec(),
        };
        self.send_noise(who, &bytes);
    }

    fn send_noise(&mut self, who: usize, bytes: &[u8]) {
        let conn = (self.people[who].transport != Transport::Udp).then(|| self.stream_of(who));
        self.bring(who, conn, bytes);
        // What follows on this stream may be read as the end of this: mostly nothing follows.
        match conn {
            Some(conn) if bytes.len() % 4 == 3 => self.spoil(conn),
            Some(conn) => self.stream_is_gone(conn),
            None => {}
        }
    }

    /// Something that we have sent comes back, or comes from somebody else.
    pub(super) fn echo(&mut self, tape: &mut Tape<'_>) {
        let (who, other) = (self.who(tape), tape.below(self.people.len()));
        let person = &self.people[other];
        let letters: &VecDeque<Letter> = if tape.byte() & 1 == 0 { &person.inbox } else { &person.answers };
        let Some(letter) = letters.get(tape.below(letters.len())).cloned() else { return };
        let mut bytes = letter.bytes;
        if tape.byte() & 3 == 3 {
            // What is broken is answered to whoever sent it, and is no transaction of whoever began it.
            bytes = String::from_utf8_lossy(&bytes).replace("z9hG4bKp", "z9hG4bKq").into_bytes();
            grammar::damage(tape, &mut bytes);
        }
        // An answer of ours that comes back is no answer of a phone.
        if bytes.starts_with(b"SIP/2.0 ") {
            self.books.answered(self.now, &bytes);
            self.books.is_lossy = true;
        }
        self.send_noise(who, &bytes);
    }
}

/// A request that follows from an INVITE of one's own: CANCEL, or the ACK of a refusal with this To.
fn follow(invite: &[u8], method: &str, to: Option<&[u8]>) -> Option<Vec<u8>> {
    let invite = Message::parse(invite).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut out = format!("{method} {} SIP/2.0\r\n", text(invite.uri_bytes()?));
    out.push_str(&format!("Via: {}\r\n", text(invite.via().as_bytes())));
    for route in invite.all(HeaderName::Route) {
        out.push_str(&format!("Route: {}\r\n", text(route)));
    }
    let (from, to) = (text(invite.from().as_bytes()), text(to.unwrap_or(invite.to().as_bytes())));
    let (call_id, number) = (text(invite.call_id()), invite.cseq().number);
    out.push_str(&format!(
        "Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    ));
    Some(out.into_bytes())
}

/// What a dialog is to whoever sent the INVITE that `answer` accepts.
fn caller_side(answer: &Message<'_>) -> Option<Dialog> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut routes: Vec<String> = answer.list(HeaderName::RecordRoute).map(text).collect();
    routes.reverse();
    Some(Dialog {
        uri: contact(answer)?,
        from: text(answer.from().as_bytes()),
        to: text(answer.to().as_bytes()),
        call_id: text(answer.call_id()),
        routes,
    })
}

/// What it is to whoever accepts it.
fn callee_side(request: &Message<'_>, answer: &Message<'_>) -> Option<Dialog> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Dialog {
        uri: contact(request)?,
        from: text(answer.to().as_bytes()),
        to: text(answer.from().as_bytes()),
        call_id: text(answer.call_id()),
        routes: request.list(HeaderName::RecordRoute).map(text).collect(),
    })
}

fn contact(message: &Message<'_>) -> Option<String> {
    match message.contacts().next()?.ok()? {
        sip::message::Contact::At(contact) => Some(String::from_utf8_lossy(contact.uri_bytes()).into_owned()),
        sip::message::Contact::All => None,
    }
}

fn in_dialog(person: &Person, method: &'static str, dialog: &Dialog, serial: u32, number: u32) -> Draft {
    let mut draft = Draft::new(person, method, &dialog.uri, serial).with_contact(person);
    (draft.from, draft.to, draft.call_id) = (dialog.from.clone(), dialog.to.clone(), dialog.call_id.clone());
    draft.number = number;
    for route in &dialog.routes {
        draft.more.push_str(&format!("Route: {route}\r\n"));
    }
    draft
}
