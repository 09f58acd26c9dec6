//! Gives a client what it asks of its archive: the ids that it names are looked for, the page is read, then sent message
//! by message, the result last (XEP-0313 §4).

use super::query::{self, Asked};
use super::time_of;
use crate::jid::Jid;
use crate::ns;
use crate::offline::fitting;
use crate::router::ask::{Answer, Fault, Query, Span};
use crate::router::stored::{Then, condition};
use crate::router::{Parcel, Router};
use crate::stanza::{Condition, Draft, Kind, Stanza};
use crate::xep::delay;
use crate::xml::{Element, Writer};
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// A question of a client, as far as it is answered.
#[derive(Debug)]
pub(crate) struct Fetch {
    whose: Whose,
    /// The session that asks.
    origin: Option<ConnectionId>,
    stanza: Stanza,
    stage: Stage,
}

/// Whose archive it is.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// That of the session's account, at home here.
    Account(Address),
    /// That of a room at home here; the session may be elsewhere.
    Room(Address),
}

impl Whose {
    fn list(&self, span: Span, last: bool, limit: u32, octets: u64) -> Query {
        match self.clone() {
            Self::Account(account) => Query::ListArchive { account, span, last, limit, octets },
            Self::Room(room) => Query::ListRoomArchive { room, span, last, limit, octets },
        }
    }

    fn count(&self, span: Span) -> Query {
        match self.clone() {
            Self::Account(account) => Query::CountArchive { account, span },
            Self::Room(room) => Query::CountRoomArchive { room, span },
        }
    }
}

impl Fetch {
    /// Somebody wants messages.
    pub(crate) fn list(whose: Whose, origin: Option<ConnectionId>, stanza: &Stanza, asked: Asked) -> Self {
        let stage = if asked.named.is_empty() { Stage::List(asked) } else { Stage::Check(asked) };
        Self { whose, origin, stanza: stanza.clone(), stage }
    }

    /// Somebody wants to know from when to when the archive goes (§4.4).
    pub(crate) fn extent(whose: Whose, origin: Option<ConnectionId>, stanza: &Stanza) -> Self {
        Self { whose, origin, stanza: stanza.clone(), stage: Stage::First }
    }
}

#[derive(Debug)]
enum Stage {
    /// Are the ids there that the question names?
    Check(Asked),
    /// Which messages are they?
    List(Asked),
    /// Which is the first of all?
    First,
    /// Which is the last of all? The first is this one.
    Last(i64),
}

impl Router {
    /// A session asks its account's archive.
    pub(crate) fn ask_archive(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        query: &Element,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        if get {
            return self.answer(connection, stanza.result(Some(&query::form())));
        }
        match query::read(query, self.limits.archive_page) {
            Ok(asked) => self.search(Fetch::list(Whose::Account(account), Some(connection), stanza, asked)),
            Err(condition) => self.answer_error(connection, stanza, condition),
        }
    }

    /// A session asks from when to when its archive goes (§4.4).
    pub(crate) fn ask_metadata(&mut self, connection: ConnectionId, stanza: &Stanza, get: bool) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        if !get {
            return self.answer_error(connection, stanza, Condition::BadRequest);
        }
        self.search(Fetch::extent(Whose::Account(account), Some(connection), stanza));
    }

    /// Asks the store the next of what somebody wants to know of an archive.
    pub(crate) fn search(&mut self, fetch: Fetch) {
        let all = || Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
        let (whose, octets) = (&fetch.whose, self.limits.page as u64 * 2);
        let query = match &fetch.stage {
            Stage::Check(asked) => whose.count(Span { only: Some(asked.named.clone()), ..all() }),
            // One more than is told, to know whether that is all.
            Stage::List(asked) if asked.max > 0 => {
                whose.list(asked.span.clone(), asked.last, asked.max.saturating_add(1), octets)
            }
            Stage::List(asked) => whose.count(asked.span.clone()),
            Stage::First => whose.list(all(), false, 1, octets),
            Stage::Last(_) => whose.list(all(), true, 1, octets),
        };
        let debt = self.owe(fetch.origin);
        self.ask(query, Then::Fetched(Box::new(fetch), debt));
    }

    /// The store has answered a step.
    pub(crate) fn fetched(&mut self, fetch: Fetch, outcome: Result<Answer, Fault>) {
        let Fetch { whose, origin, stanza, stage } = fetch;
        let next = |stage| Fetch { whose: whose.clone(), origin, stanza: stanza.clone(), stage };
        match (stage, outcome) {
            (Stage::Check(asked), Ok(Answer::Count(found))) => {
                if asked.named.len() as u64 == found {
                    self.search(next(Stage::List(asked)));
                } else {
                    self.tell_reader(&whose, origin, stanza.error(Condition::ItemNotFound));
                }
            }
            (Stage::List(asked), Ok(Answer::Archived(found))) => {
                let fetch = next(Stage::First);
                self.send_page(&fetch, &asked, &found);
            }
            (Stage::List(_), Ok(Answer::Count(count))) => {
                let set = Element::new("set", ns::RSM).child(text("count", count.to_string()));
                let fin = Element::new("fin", ns::MAM).attr("complete", (count == 0).to_string()).child(set);
                self.tell_reader(&whose, origin, Some(stanza.result(Some(&fin))));
            }
            (Stage::First, Ok(Answer::Archived(found))) => match found.first() {
                Some((first, _)) => self.search(next(Stage::Last(*first))),
                None => {
                    let metadata = Element::new("metadata", ns::MAM);
                    self.tell_reader(&whose, origin, Some(stanza.result(Some(&metadata))));
                }
            },
            (Stage::Last(first), Ok(Answer::Archived(found))) => {
                let last = found.last().map_or(first, |(last, _)| *last);
                let end = |name: &'static str, id: i64| {
                    let at = Element::new(name, ns::MAM).attr("id", id.to_string());
                    at.attr("timestamp", delay::date(time_of(id)))
                };
                let metadata =
                    Element::new("metadata", ns::MAM).child(end("start", first)).child(end("end", last));
                self.tell_reader(&whose, origin, Some(stanza.result(Some(&metadata))));
            }
            (_, Err(fault)) => self.tell_reader(&whose, origin, stanza.error(condition(fault))),
            (_, Ok(_)) => self.tell_reader(&whose, origin, stanza.error(Condition::InternalServerError)),
        }
    }

    /// Answers whoever asked.
    fn tell_reader(&mut self, whose: &Whose, origin: Option<ConnectionId>, answer: Option<Stanza>) {
        let Some(answer) = answer else { return };
        match (whose, origin) {
            (Whose::Account(_), Some(connection)) => self.answer(connection, answer),
            _ => self.route(Parcel { answer: true, ..Parcel::own(answer) }),
        }
    }

    fn send_page(&mut self, fetch: &Fetch, asked: &Asked, found: &[(i64, Arc<str>)]) {
        let Some(to) = fetch.stanza.from() else { return };
        let page = page(asked, found, self.limits.page * 2);
        let complete = page.len() == found.len();
        let from = match &fetch.whose {
            Whose::Account(_) => to.to_bare(),
            Whose::Room(room) => room.clone().into(),
        };
        let results = page.iter();
        let results = results.filter_map(|(id, text)| result(&from, to, asked.queryid.as_deref(), *id, text));
        let mut results: Vec<Stanza> = results.collect();
        if asked.flip {
            results.reverse();
        }
        match (&fetch.whose, fetch.origin) {
            (Whose::Account(_), Some(connection)) => {
                results.into_iter().for_each(|result| self.deliver(connection, result));
            }
            _ => self.give_to(results, to.clone()),
        }
        let mut set = Element::new("set", ns::RSM);
        if let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) {
            set = set.child(text("first", first.to_string())).child(text("last", last.to_string()));
        }
        let fin = Element::new("fin", ns::MAM).attr_opt("complete", complete.then_some("true")).child(set);
        self.tell_reader(&fetch.whose, fetch.origin, Some(fetch.stanza.result(Some(&fin))));
    }
}

fn text(name: &'static str, text: String) -> Element {
    Element::new(name, ns::RSM).text(text)
}

/// Those of what was found that are told: as many as were asked for, and not too many octets; one at least.
fn page<'a>(asked: &Asked, found: &'a [(i64, Arc<str>)], octets: usize) -> &'a [(i64, Arc<str>)] {
    let most = usize::try_from(asked.max).unwrap_or(usize::MAX);
    if asked.last {
        let count = fitting(found.iter().rev().take(most), octets);
        &found[found.len() - count..]
    } else {
        &found[..fitting(found.iter().take(most), octets)]
    }
}

/// One message of the answer.
fn result(from: &Jid, to: &Jid, queryid: Option<&str>, id: i64, message: &str) -> Option<Stanza> {
    let message = Stanza::parse(message).ok()?;
    let mut w = Writer::new();
    w.open("result").attr("xmlns", ns::MAM).attr_opt("queryid", queryid).attr("id", &id.to_string());
    let mut stamp = Writer::new();
    stamp.open("delay").attr("xmlns", ns::DELAY).attr("stamp", &delay::date(time_of(id)));
    w.raw(&message.forwarded(&stamp.finish()));
    let draft = Draft::new(Kind::Message).from(Some(from)).to(Some(to));
    Some(draft.raw(&w.finish()).build())
}
