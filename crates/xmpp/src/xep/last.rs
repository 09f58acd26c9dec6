//! Last activity (XEP-0012): for how long the server runs, and how long ago an account was there last. When its last
//! available resource goes, that is noted on the disk, with the words that it went with.

use super::{Answer, Context};
use crate::jid::Jid;
use crate::ns;
use crate::router::ask::{DocumentKind, Query};
use crate::router::settings::Reader;
use crate::router::stored::Then;
use crate::router::{Parcel, Router};
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use std::time::Duration;
use wire::{Address, ConnectionId};

/// The most octets that are kept of somebody's last words.
const MAX_STATUS: usize = 1024;

fn answer(seconds: u64, status: &str) -> Element {
    let last = Element::new("query", ns::LAST).attr("seconds", seconds.to_string());
    if status.is_empty() { last } else { last.text(status) }
}

/// The server's own answer (§4).
pub(super) fn of_server(context: &Context<'_>) -> Answer {
    Ok(Some(answer(context.uptime.as_secs(), "")))
}

/// What is kept: when, in seconds since 1970, and the words.
fn note(at: Duration, status: &str) -> String {
    let end = (0..=status.len().min(MAX_STATUS)).rev().find(|end| status.is_char_boundary(*end));
    format!("{} {}", at.as_secs(), &status[..end.unwrap_or_default()])
}

/// What the answer to somebody is, of what was kept.
fn told(kept: &str, now: Duration) -> Option<Element> {
    let (at, status) = kept.split_once(' ')?;
    Some(answer(now.as_secs().saturating_sub(at.parse().ok()?), status))
}

impl Router {
    /// An account has been available until now, if it is no longer.
    pub(crate) fn note_last(&mut self, account: &Address, unavailable: &Stanza) {
        if self.accounts.get(account).is_some_and(|entry| entry.is_available()) {
            return;
        }
        let element = unavailable.element().ok();
        let status = element.as_ref().and_then(|presence| presence.find("status", ns::CLIENT));
        let note = note(self.unix(), &status.map(Element::content).unwrap_or_default());
        let query = Query::PutDocument {
            account: account.clone(),
            kind: DocumentKind::Last,
            title: "".into(),
            payload: Some(note.into()),
            limit: u64::MAX,
        };
        self.ask(query, Then::Noted);
    }

    /// A session asks it of its own account.
    pub(super) fn own_last(&mut self, connection: ConnectionId, stanza: &Stanza, get: bool) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        if get {
            self.asked_for_last(&account, Parcel::of(stanza.clone(), connection));
        } else {
            self.answer_error(connection, stanza, Condition::NotAllowed);
        }
    }

    /// Somebody who may know it asks how long ago an account was there last (§3).
    pub(crate) fn asked_for_last(&mut self, account: &Address, parcel: Parcel) {
        if self.accounts.get(account).is_some_and(|entry| entry.is_available()) {
            let answer = parcel.stanza.result(Some(&answer(0, "")));
            return self.route(Parcel { answer: true, ..Parcel::own(answer) });
        }
        self.read_document(account, DocumentKind::Last, "", Reader::Last(parcel));
    }

    /// The answer is at hand. Nothing is known of one who was never there.
    pub(crate) fn tell_last(&mut self, parcel: Parcel, kept: Option<&str>) {
        match kept.and_then(|kept| told(kept, self.unix())) {
            Some(last) => {
                let answer = parcel.stanza.result(Some(&last));
                self.route(Parcel { answer: true, ..Parcel::own(answer) });
            }
            None => self.bounce(parcel, Condition::ItemNotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told() {
        let kept = note(Duration::from_millis(1_000_500), "Heading <home>");
        let answer = told(&kept, Duration::from_secs(1903)).unwrap().to_xml(ns::CLIENT);
        assert_eq!(answer, "<query xmlns='jabber:iq:last' seconds='903'>Heading &lt;home&gt;</query>");
        // The calendar was set back.
        let answer = told(&note(Duration::from_secs(9), ""), Duration::ZERO).unwrap().to_xml(ns::CLIENT);
        assert_eq!(answer, "<query xmlns='jabber:iq:last' seconds='0'/>");
        assert!(told("", Duration::ZERO).is_none() && told("x y", Duration::ZERO).is_none());
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let kept = note(Duration::ZERO, &"é".repeat(1000));
        assert_eq!(kept.len(), "0 ".len() + MAX_STATUS);
        let kept = note(Duration::ZERO, &format!("x{}", "é".repeat(1000)));
        assert_eq!(kept.len(), "0 ".len() + MAX_STATUS - 1);
    }
}
