//! Gives a client what it asks of its archive: the ids that it names are looked for, the page is read, then sent message
//! by message, the result last (XEP-0313 §4).

use super::query::{self, Asked};
use super::time_of;
use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::router::ask::{Answer, Fault, Query, Span};
use crate::router::stored::{Then, condition};
use crate::stanza::{Condition, Draft, Kind, Stanza};
use crate::xep::delay;
use crate::xml::{Element, Writer};
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// A question of a client, as far as it is answered.
#[derive(Debug)]
pub(crate) struct Fetch {
    account: Address,
    connection: ConnectionId,
    stanza: Stanza,
    stage: Stage,
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
            Ok(asked) => {
                let stage = if asked.named.is_empty() { Stage::List(asked) } else { Stage::Check(asked) };
                self.fetch(Fetch { account, connection, stanza: stanza.clone(), stage });
            }
            Err(condition) => self.answer_error(connection, stanza, condition),
        }
    }

    /// A session asks from when to when its archive goes (§4.4).
    pub(crate) fn ask_metadata(&mut self, connection: ConnectionId, stanza: &Stanza, get: bool) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        if !get {
            return self.answer_error(connection, stanza, Condition::BadRequest);
        }
        self.fetch(Fetch { account, connection, stanza: stanza.clone(), stage: Stage::First });
    }

    fn fetch(&mut self, fetch: Fetch) {
        let account = fetch.account.clone();
        let all = || Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
        let query = match &fetch.stage {
            Stage::Check(asked) => {
                let span = Span { only: Some(asked.named.clone()), ..all() };
                Query::ListArchive { account, span, last: false, limit: u32::MAX }
            }
            // One more than is told, to know whether that is all.
            Stage::List(asked) if asked.max > 0 => {
                let limit = asked.max.saturating_add(1);
                Query::ListArchive { account, span: asked.span.clone(), last: asked.last, limit }
            }
            Stage::List(asked) => Query::CountArchive { account, span: asked.span.clone() },
            Stage::First => Query::ListArchive { account, span: all(), last: false, limit: 1 },
            Stage::Last(_) => Query::ListArchive { account, span: all(), last: true, limit: 1 },
        };
        let debt = self.owe(Some(fetch.connection));
        self.ask(query, Then::Fetched(Box::new(fetch), debt));
    }

    /// The store has answered a step.
    pub(crate) fn fetched(&mut self, fetch: Fetch, outcome: Result<Answer, Fault>) {
        let Fetch { account, connection, stanza, stage } = fetch;
        match (stage, outcome) {
            (Stage::Check(asked), Ok(Answer::Archived(found))) => {
                if asked.named.iter().all(|id| found.iter().any(|(other, _)| other == id)) {
                    self.fetch(Fetch { account, connection, stanza, stage: Stage::List(asked) });
                } else {
                    self.answer_error(connection, &stanza, Condition::ItemNotFound);
                }
            }
            (Stage::List(asked), Ok(Answer::Archived(found))) => {
                self.send_page(connection, &stanza, &asked, &found);
            }
            (Stage::List(_), Ok(Answer::Count(count))) => {
                let set = Element::new("set", ns::RSM).child(text("count", count.to_string()));
                let fin = Element::new("fin", ns::MAM).attr("complete", (count == 0).to_string()).child(set);
                self.answer(connection, stanza.result(Some(&fin)));
            }
            (Stage::First, Ok(Answer::Archived(found))) => match found.first() {
                Some((first, _)) => {
                    self.fetch(Fetch { account, connection, stanza, stage: Stage::Last(*first) });
                }
                None => self.answer(connection, stanza.result(Some(&Element::new("metadata", ns::MAM)))),
            },
            (Stage::Last(first), Ok(Answer::Archived(found))) => {
                let last = found.last().map_or(first, |(last, _)| *last);
                let end = |name: &'static str, id: i64| {
                    let at = Element::new(name, ns::MAM).attr("id", id.to_string());
                    at.attr("timestamp", delay::date(time_of(id)))
                };
                let metadata =
                    Element::new("metadata", ns::MAM).child(end("start", first)).child(end("end", last));
                self.answer(connection, stanza.result(Some(&metadata)));
            }
            (_, Err(fault)) => self.answer_error(connection, &stanza, condition(fault)),
            (_, Ok(_)) => self.answer_error(connection, &stanza, Condition::InternalServerError),
        }
    }

    fn send_page(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        asked: &Asked,
        found: &[(i64, Arc<str>)],
    ) {
        let Some(to) = stanza.from() else { return };
        let page = page(asked, found, self.limits.page * 2);
        let complete = page.len() == found.len();
        let mut results: Vec<Stanza> = page
            .iter()
            .filter_map(|(id, message)| result(to, asked.queryid.as_deref(), *id, message))
            .collect();
        if asked.flip {
            results.reverse();
        }
        results.into_iter().for_each(|result| self.deliver(connection, result));
        let mut set = Element::new("set", ns::RSM);
        if let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) {
            set = set.child(text("first", first.to_string())).child(text("last", last.to_string()));
        }
        let fin = Element::new("fin", ns::MAM).attr_opt("complete", complete.then_some("true")).child(set);
        self.answer(connection, stanza.result(Some(&fin)));
    }
}

fn text(name: &'static str, text: String) -> Element {
    Element::new(name, ns::RSM).text(text)
}

/// Those of what was found that are told: as many as were asked for, and not too many octets; one at least.
fn page<'a>(asked: &Asked, found: &'a [(i64, Arc<str>)], octets: usize) -> &'a [(i64, Arc<str>)] {
    let most = usize::try_from(asked.max).unwrap_or(usize::MAX);
    let mut sum = 0;
    let mut fits = |(_, message): &&(i64, Arc<str>)| {
        sum += message.len();
        sum <= octets
    };
    if asked.last {
        let count = found.iter().rev().take(most).take_while(&mut fits).count().max(1).min(found.len());
        &found[found.len() - count..]
    } else {
        let count = found.iter().take(most).take_while(&mut fits).count().max(1).min(found.len());
        &found[..count]
    }
}

/// One message of the answer.
fn result(to: &Jid, queryid: Option<&str>, id: i64, message: &str) -> Option<Stanza> {
    let message = Stanza::parse(message).ok()?;
    let mut w = Writer::new();
    w.open("result").attr("xmlns", ns::MAM).attr_opt("queryid", queryid).attr("id", &id.to_string());
    let mut stamp = Writer::new();
    stamp.open("delay").attr("xmlns", ns::DELAY).attr("stamp", &delay::date(time_of(id)));
    w.raw(&message.forwarded(&stamp.finish()));
    let draft = Draft::new(Kind::Message).from(Some(&to.to_bare())).to(Some(to));
    Some(draft.raw(&w.finish()).build())
}
