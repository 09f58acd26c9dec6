//! An account's settings in use, and the documents that its clients keep with the server.

use super::ask::{Answer, DocumentKind, Fault, Query};
use super::ledger::Debt;
use super::stored::{Effect, Then, condition};
use super::{Parcel, Router, Work};
use crate::jid::Jid;
use crate::pubsub::avatar::with_photo;
use crate::settings::Settings;
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::xml::Element;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// A change of an account's settings that is not durable yet.
#[derive(Debug)]
pub(crate) struct NewSettings {
    account: Address,
    connection: ConnectionId,
    stanza: Stanza,
    /// What holds if it comes to nothing.
    before: Option<Box<Settings>>,
    /// In order, once it is durable.
    effects: Vec<Effect>,
    debt: Option<Debt>,
}

/// Who asked for a document.
#[derive(Debug)]
pub(crate) enum Reader {
    /// A session of the account itself; where there is no document it is given this one.
    Own { connection: ConnectionId, stanza: Stanza, none: Element },
    /// A session that wants its bookmarks in the form of old: these rooms, and whatever else the document has.
    Bookmarks { connection: ConnectionId, stanza: Stanza, rooms: Vec<Element> },
    /// A session that asks for bookmarks as items, of which there are none yet.
    FirstBookmarks { connection: ConnectionId, stanza: Stanza },
    /// Somebody who asks for a vCard, in which this is the picture.
    Photo { reader: Box<Reader>, photo: Element },
    /// Somebody else; where there is none, it is as if there were no account.
    Other(Parcel),
    /// Somebody who may know when the account was there last.
    Last(Parcel),
}

impl Reader {
    /// Whose session asks.
    fn origin(&self) -> Option<ConnectionId> {
        match self {
            Self::Own { connection, .. }
            | Self::Bookmarks { connection, .. }
            | Self::FirstBookmarks { connection, .. } => Some(*connection),
            Self::Photo { reader, .. } => reader.origin(),
            Self::Other(parcel) | Self::Last(parcel) => parcel.origin,
        }
    }
}

impl Router {
    /// An account's settings.
    pub(crate) fn settings(&self, account: &Address) -> Option<&Settings> {
        self.accounts.get(account)?.settings.as_deref()
    }

    /// Whether an account wants to hear nothing of `who` (XEP-0191). It cannot block itself.
    pub(crate) fn is_blocked(&self, account: &Address, who: &Jid) -> bool {
        self.settings(account).is_some_and(|settings| settings.blocks(who) && !who.is_account(account))
    }

    /// Whether a change of settings has to wait for another of the same account: what is not durable may come to nothing,
    /// and nothing is to be built on it.
    pub(crate) fn waits_for_settings(&mut self, connection: ConnectionId, stanza: &Stanza) -> bool {
        let Some(account) = stanza.from().and_then(Jid::address) else { return false };
        if self.accounts.get(account).is_none_or(|entry| entry.setting.is_none()) {
            return false;
        }
        let work = Work::Sent { connection, stanza: stanza.clone(), debt: self.owe(Some(connection)) };
        if let Some(waiting) = self.accounts.get_mut(account).and_then(|entry| entry.setting.as_mut()) {
            waiting.push_back(work);
        }
        true
    }

    /// Sets an account's settings, for none of which a change is under way; `effects` follow once they are durable.
    pub(crate) fn set_settings(
        &mut self,
        account: &Address,
        settings: Settings,
        connection: ConnectionId,
        stanza: &Stanza,
        effects: Vec<Effect>,
    ) {
        let payload: Option<Arc<str>> = settings.write().map(Into::into);
        let entry = self.accounts.entry(account);
        entry.asks += 1;
        entry.setting = Some(VecDeque::new());
        let new = payload.is_some().then(|| Box::new(settings));
        let before = std::mem::replace(&mut entry.settings, new);
        let (kind, title) = (DocumentKind::Settings, Arc::from(""));
        let query = Query::PutDocument {
            account: account.clone(),
            kind,
            title,
            payload,
            limit: self.limits.settings,
        };
        let debt = self.owe(Some(connection));
        let stanza = stanza.clone();
        let new = NewSettings { account: account.clone(), connection, stanza, before, effects, debt };
        self.ask(query, Then::NewSettings(Box::new(new)));
    }

    /// Settings are durable, or came to nothing: then what the store has is what holds.
    pub(super) fn settings_set(&mut self, new: NewSettings, outcome: Result<Answer, Fault>) {
        let NewSettings { account, connection, stanza, before, effects, debt } = new;
        self.one_ask_less(&account);
        let Some(entry) = self.accounts.get_mut(&account) else { return self.settle(debt) };
        let waiting = entry.setting.take().unwrap_or_default();
        let wanted = outcome.is_err().then(|| std::mem::replace(&mut entry.settings, before)).flatten();
        self.through(debt, |router| match outcome {
            Ok(_) => effects.into_iter().for_each(|effect| router.effect(&account, effect)),
            Err(fault) => {
                router.unhide(&account, wanted.as_deref());
                router.answer_error(connection, &stanza, condition(fault));
            }
        });
        self.first(waiting.into_iter());
        self.run();
        self.accounts.rest(&account, self.limits.cached);
    }

    /// Keeps a document, or forgets it; the session hears when it is durable.
    pub(crate) fn put_document(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        kind: DocumentKind,
        title: &str,
        payload: Option<String>,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        let payload = payload.map(Into::into);
        let limit = self.limits.documents;
        let query = Query::PutDocument { account, kind, title: title.into(), payload, limit };
        let debt = self.owe(Some(connection));
        self.ask(query, Then::DocumentKept { connection, stanza: stanza.clone(), debt });
    }

    pub(super) fn document_kept(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        debt: Option<Debt>,
        outcome: Result<Answer, Fault>,
    ) {
        self.through(debt, |router| match outcome {
            Ok(_) => router.answer(connection, stanza.result(None)),
            Err(Fault::Full) => {
                let error = StanzaError::from(Condition::NotAcceptable).saying("no more can be kept");
                router.answer_error(connection, stanza, error);
            }
            Err(fault) => router.answer_error(connection, stanza, condition(fault)),
        });
    }

    /// Reads a document for somebody. Who asks for much at a time is slowed down as if it wrote.
    pub(crate) fn read_document(
        &mut self,
        account: &Address,
        kind: DocumentKind,
        title: &str,
        reader: Reader,
    ) {
        let query = Query::LoadDocument { account: account.clone(), kind, title: title.into() };
        let debt = self.owe(reader.origin());
        self.ask(query, Then::Document(Box::new(reader), debt));
    }

    pub(super) fn document_read(&mut self, reader: Reader, outcome: Result<Answer, Fault>) {
        let kept = match outcome {
            Ok(Answer::Document(kept)) => Ok(kept),
            Ok(_) => Ok(None),
            Err(fault) => Err(fault),
        };
        let (reader, kept) = match reader {
            Reader::Photo { reader, photo } => {
                let card = |kept: Option<Arc<str>>| Some(with_photo(kept.as_deref(), photo).into());
                (*reader, kept.map(card))
            }
            reader => (reader, kept),
        };
        match (reader, kept) {
            // There is one picture, and it is in the vCard already.
            (Reader::Photo { .. }, _) => {}
            (Reader::Own { connection, stanza, none }, Ok(kept)) => {
                let payload = kept.map_or_else(|| none.to_xml(crate::ns::CLIENT), |kept| kept.to_string());
                let answer = stanza.answer("result").raw(&wrap(&stanza, &payload)).build();
                self.answer(connection, answer);
            }
            (Reader::Bookmarks { connection, stanza, rooms }, Ok(kept)) => {
                let storage = Self::with_rooms(kept.as_deref(), rooms);
                let query = Element::new("query", crate::ns::PRIVATE).child(storage);
                self.answer(connection, stanza.result(Some(&query)));
            }
            (Reader::FirstBookmarks { connection, stanza }, Ok(kept)) => {
                let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
                self.first_bookmarks(&account, connection, &stanza, kept.as_deref());
            }
            (
                Reader::Own { connection, stanza, .. }
                | Reader::Bookmarks { connection, stanza, .. }
                | Reader::FirstBookmarks { connection, stanza },
                Err(fault),
            ) => {
                self.answer_error(connection, &stanza, condition(fault));
            }
            (Reader::Other(parcel), Ok(Some(kept))) => {
                let answer = parcel.stanza.answer("result").raw(&kept).build();
                self.route(Parcel { answer: true, ..Parcel::own(answer) });
            }
            (Reader::Last(parcel), Ok(kept)) => self.tell_last(parcel, kept.as_deref()),
            (Reader::Last(parcel), Err(fault)) => self.bounce(parcel, condition(fault)),
            (Reader::Other(parcel), _) => self.bounce(parcel, Condition::ServiceUnavailable),
        }
    }
}

/// Private storage gives a document inside of its query, everything else as it is.
fn wrap(request: &Stanza, payload: &str) -> String {
    if request.payload_is("query", crate::ns::PRIVATE) {
        format!("<query xmlns='{}'>{payload}</query>", crate::ns::PRIVATE)
    } else {
        payload.to_owned()
    }
}
