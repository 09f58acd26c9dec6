//! The books that are kept beside the house's own: who said and asked what, and what came of it.

use super::house;
use super::store::Store;
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};
use xmpp::presence::subscription::Side;
use xmpp::router::{Query, Router};
use xmpp::{Element, ns};

/// What a play has reached.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) sessions: u32,
    pub(super) resumed: u32,
    pub(super) delivered: u32,
    pub(super) kept: u32,
    pub(super) answered: u32,
}

#[cfg(test)]
impl Sum {
    pub(super) fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.resumed += other.resumed;
        self.delivered += other.delivered;
        self.kept += other.kept;
        self.answered += other.answered;
    }
}

/// A message that somebody wants delivered.
#[derive(Debug)]
struct Message {
    from: usize,
    /// Whose account it is for, if anybody's.
    to: Option<usize>,
    /// Whether it is for a room, or for whoever stands in one by a name of his own choice.
    room: bool,
    /// Whether it must not be lost.
    counts: bool,
    /// Whether it, or the error that answers it, was given to a session.
    given: bool,
    /// The devices that have heard it, each with its session.
    heard: BTreeSet<(usize, u32)>,
}

/// A request.
#[derive(Debug)]
struct Request {
    device: usize,
    life: u32,
    to: String,
    /// Whether the server itself answers it.
    ours: bool,
    answered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    messages: BTreeMap<u32, Message>,
    requests: BTreeMap<u32, Request>,
    /// Who was let see whose presence at some time: account, contact.
    granted: BTreeSet<(usize, String)>,
    /// Who sent presence directly to whom: person, bare address.
    pub(super) directed: BTreeSet<(usize, String)>,
    /// Whether something may be lost: an account was taken away, the store failed.
    pub(super) is_lossy: bool,
    pub(super) sum: Sum,
}

/// The numbers of the ids of one kind that stand in a text.
fn numbers(text: &str, kind: char) -> Vec<u32> {
    let mark = format!("id='{kind}");
    let found = text.split(&mark).skip(1);
    found.filter_map(|rest| rest.split_once('\'')?.0.parse().ok()).collect()
}

fn number(id: Option<&str>, kind: char) -> Option<u32> {
    id?.strip_prefix(kind)?.parse().ok()
}

impl Books {
    /// A device sends a message.
    pub(super) fn says(&mut self, number: u32, from: usize, to: &str, counts: bool) {
        let (to, room) = (house::person(to), house::is_room(to));
        let counts = counts && to.is_some();
        self.messages
            .insert(number, Message { from, to, room, counts, given: false, heard: BTreeSet::new() });
    }

    /// A device asks something.
    pub(super) fn asks(&mut self, number: u32, device: usize, life: u32, to: &str) {
        let ours = to.is_empty() || !to.contains('/');
        self.requests.insert(number, Request { device, life, to: to.to_owned(), ours, answered: false });
    }

    /// A router gives something to a session.
    pub(super) fn given(&mut self, text: &str) {
        for number in numbers(text, 'm') {
            if let Some(message) = self.messages.get_mut(&number) {
                message.given = true;
            }
        }
    }

    /// A router asks the store.
    pub(super) fn asked(&mut self, query: &Query) {
        match query {
            Query::PutContact { account, contact, item } if item.state.from == Side::Yes => {
                if let Some(person) = house::person(account.as_str()) {
                    self.granted.insert((person, contact.as_str().to_owned()));
                }
            }
            Query::Keep { .. } => self.sum.kept += 1,
            _ => {}
        }
    }

    /// What the server says is handled is safe.
    pub(super) fn is_safe(&self, said: &str, store: &Store, routers: &[Router]) {
        let Some(&number) = numbers(said, 'm').first().filter(|_| said.starts_with("<message")) else {
            return;
        };
        let Some(message) = self.messages.get(&number).filter(|message| message.counts) else { return };
        let mark = format!("id='m{number}'");
        let waits =
            || routers.iter().flat_map(Router::waiting).any(|(_, stanza)| stanza.as_str().contains(&mark));
        let safe = message.given || store.keeps(number) || waits();
        assert!(safe || self.is_lossy, "message {number} is acknowledged and nowhere");
    }

    fn presence(&self, person: usize, from: &str) -> bool {
        let bare = from.split('/').next().unwrap_or_default();
        let own = house::address(person).to_string();
        match house::person(from) {
            Some(other) if other == person => true,
            Some(other) => {
                let theirs = self.granted.contains(&(other, own.clone()));
                let directed = self.directed.contains(&(other, own));
                theirs || directed
            }
            // A room, or the error of something that was said to nobody.
            None => self.directed.contains(&(person, bare.to_owned())),
        }
    }
}

impl World {
    /// A stanza has arrived: may this client hear it?
    pub(super) fn hears_stanza(&mut self, conn: wire::ConnectionId, device: usize, stanza: &Element) {
        let this = &self.devices[device];
        let (own, person) = (this.jid.clone().or(this.asleep.clone()), this.person);
        let to = stanza.get("to").unwrap_or_default();
        // A message to a resource that is gone goes to the others (RFC 6121 §8.5.3.2.1).
        let moved = stanza.name() == "message" && house::person(to) == Some(person);
        let mine = to.is_empty() || to == this.bare() || own.as_deref() == Some(to) || moved;
        let binding = stanza.get("id") == Some("bind");
        assert!(mine || binding || own.is_none(), "device {device} is given what is for {to}");
        let is_error = stanza.get("type") == Some("error");
        let from = stanza.get("from").unwrap_or_default().to_owned();
        match stanza.name() {
            "message" => self.hears_message(device, stanza, &from, is_error),
            "presence" => {
                let kind = stanza.get("type").unwrap_or_default();
                let told = matches!(kind, "" | "unavailable");
                assert!(!told || self.books.presence(person, &from), "{from} is shown to device {device}");
            }
            _ if binding => self.is_bound(device, stanza),
            _ => self.hears_iq(conn, device, stanza, &from),
        }
    }

    fn is_bound(&mut self, device: usize, answer: &Element) {
        let bind = answer.find("bind", ns::BIND).and_then(|bind| bind.find("jid", ns::BIND));
        if let Some(jid) = bind.map(Element::content) {
            self.devices[device].begin(&jid);
            self.books.sum.sessions += 1;
            self.comes_in(device);
        }
    }

    fn hears_message(&mut self, device: usize, message: &Element, from: &str, is_error: bool) {
        let bare = self.devices[device].bare();
        let is_copy = |child: &&Element| match child.namespace() {
            ns::CARBONS => matches!(child.name(), "sent" | "received"),
            ns::MAM => child.name() == "result",
            _ => false,
        };
        let wrapped = message.children().find(is_copy);
        // What a person may write himself is not a copy of the server's.
        let inner =
            wrapped.filter(|_| from == bare).and_then(|wrapped| wrapped.find("forwarded", ns::FORWARD));
        let inner = inner.and_then(|inner| inner.find("message", ns::CLIENT));
        let (said, copy) = (inner.unwrap_or(message), inner.is_some());
        let Some(number) = number(said.get("id"), 'm') else { return };
        let person = self.devices[device].person;
        let (life, lossy) = (self.devices[device].life, self.devices[device].managed.is_none());
        let Some(known) = self.books.messages.get_mut(&number) else { return };
        let involved = known.to == Some(person) || known.from == person || known.room;
        assert!(involved, "device {device} is given message {number}");
        self.books.sum.delivered += 1;
        if !copy && !is_error && !known.room {
            assert_eq!(known.to, Some(person), "device {device} is given message {number}");
            let first = known.heard.insert((device, life));
            assert!(first || lossy, "device {device} is given message {number} twice");
        }
    }

    fn hears_iq(&mut self, conn: wire::ConnectionId, device: usize, iq: &Element, from: &str) {
        match iq.get("type") {
            Some("result" | "error") => {
                let Some(number) = number(iq.get("id"), 'q') else { return };
                let Some(asked) = self.books.requests.get_mut(&number) else { return };
                if asked.device != device {
                    // The resource was another's before.
                    return;
                }
                let bare = self.devices[device].bare();
                let right = from == asked.to
                    || (asked.to.is_empty() && (from.is_empty() || from == bare))
                    || (house::person(&asked.to).is_some()
                        && house::person(&asked.to) == house::person(from))
                    || house::person(&asked.to).is_none();
                assert!(right, "{} was asked and {from} answers", asked.to);
                // Whose client has answered, but not acknowledged the request, and is gone: nobody knows that it has.
                assert!(!asked.answered || !asked.ours, "request {number} is answered twice");
                asked.answered = true;
                self.books.sum.answered += 1;
            }
            _ => self.answers(conn, device, iq, from),
        }
    }

    /// Somebody asks a client something; it mostly answers.
    fn answers(&mut self, conn: wire::ConnectionId, device: usize, iq: &Element, from: &str) {
        let this = &mut self.devices[device];
        this.requests += 1;
        let silent = this.requests.is_multiple_of(4);
        let (Some(id), false) = (iq.get("id"), silent) else { return };
        let to = if from.is_empty() { String::new() } else { format!(" to='{from}'") };
        let answer = format!("<iq type='result' id='{id}'{to}/>");
        if self.devices[device].conn == Some(conn) {
            self.says(device, &answer);
        }
    }

    /// What must be true after each step.
    pub(super) fn check(&mut self) {
        let unacknowledged = self.managed.most_unacknowledged();
        assert!(unacknowledged <= house::MOST.stanzas + 1, "{unacknowledged} are not acknowledged");
        for router in &self.routers {
            let load = router.load();
            let most = self.clients.len() + self.managed.len();
            assert!(load.sessions <= most, "{load:?} of {most}");
        }
        for person in 0..house::PEOPLE.len() {
            let address = house::address(person);
            let home = usize::from(address.home(house::WORKERS).0);
            let sessions = self.routers[home].sessions_of(&address);
            assert!(sessions <= house::limits(self.variant).sessions, "{sessions} sessions");
        }
    }

    /// All is calm: whoever has asked the server has its answer.
    pub(super) fn check_answers(&self) {
        if self.routers.iter().any(|router| router.load().lost > 0) {
            // Queues were full for longer than there is room for answers.
            return;
        }
        for (number, request) in &self.books.requests {
            let device = &self.devices[request.device];
            let waits = device.jid.is_some() && device.life == request.life && !device.lossy;
            let heard = self.clients.values().all(|client| !client.ear.is_numb);
            let answered = request.answered || !request.ours || !waits || !heard;
            assert!(answered, "request {number} to {:?} is not answered", request.to);
        }
    }
}
