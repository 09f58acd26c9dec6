//! Changes of nodes and items on their way to the disk, and what follows when they are there; look-ups, and what they are for.

use super::items::Wanted;
use super::kept::{Items, KeptNode, NodeChange, NodeLookUp};
use super::last::Lasts;
use super::node::{Node, Nodes};
use super::request::{Asker, Change, Done, Set};
use crate::router::Router;
use crate::router::ask::{Answer, Fault, Query};
use crate::router::ledger::Debt;
use crate::router::settings::Reader;
use crate::router::stored::{Then, condition};
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;
use wire::Address;

/// A question about nodes that the store has not answered.
#[derive(Debug)]
pub(crate) struct Pending {
    account: Address,
    asker: Option<Asker>,
    what: What,
    debt: Option<Debt>,
}

#[derive(Debug)]
enum What {
    Change(Done, Arc<str>),
    Look(Reading),
}

/// What something is looked up for.
#[derive(Debug)]
pub(crate) enum Reading {
    /// A request for items.
    Items(Wanted),
    /// disco#items of a node: the names of its items.
    Names(Arc<str>),
    /// The picture of an account whose vCard somebody asks for.
    Photo(Box<Reader>),
    /// A vCard4.
    Card,
    /// Bookmarks, for a client of old.
    OldBookmarks,
    /// Bookmarks as they are, which a client of old sets anew.
    NewBookmarks(Element),
    /// The last items of these nodes, for somebody.
    Last(Lasts),
}

impl Node {
    /// As the store keeps it.
    pub(super) fn row(&self, name: &Arc<str>) -> NodeChange {
        let (number, payload) = (self.number, self.write());
        NodeChange::Put(KeptNode { number, name: Arc::clone(name), payload })
    }
}

impl Router {
    /// Ids for a node and a hundred items that are published now.
    pub(super) fn reserve_ids(&mut self) -> i64 {
        let first = self.next_archive_id();
        self.last_archived = first.saturating_add(100);
        first
    }

    /// What is known of the nodes of an account that was read.
    pub(crate) fn nodes_read(kept: Vec<KeptNode>) -> Option<Box<Nodes>> {
        (!kept.is_empty()).then(|| Box::new(kept.into_iter().collect()))
    }

    /// Changes a node; what comes later sees it changed, others hear of it when it is durable.
    pub(super) fn change_nodes(&mut self, account: &Address, asker: Option<Asker>, change: Change) {
        let Change { name, node, changes, done } = change;
        let entry = self.accounts.entry(account);
        match node {
            Some(Set::To(node)) => entry.nodes.get_or_insert_default().put(Arc::clone(&name), *node),
            Some(Set::Removed) => {
                entry.nodes.iter_mut().for_each(|nodes| nodes.remove(&name));
            }
            None => {}
        }
        entry.asks += 1;
        let debt = self.owe(asker.as_ref().and_then(Asker::origin));
        let what = What::Change(done, name);
        let pending = Pending { account: account.clone(), asker, what, debt };
        self.ask(Query::ChangeNodes { account: account.clone(), changes }, Then::Nodes(Box::new(pending)));
    }

    /// Looks something up.
    pub(super) fn read_nodes(
        &mut self,
        account: &Address,
        asker: Option<Asker>,
        look_up: NodeLookUp,
        reading: Reading,
    ) {
        self.accounts.entry(account).asks += 1;
        let debt = self.owe(asker.as_ref().and_then(Asker::origin));
        let pending = Pending { account: account.clone(), asker, what: What::Look(reading), debt };
        self.ask(Query::ReadNodes { account: account.clone(), look_up }, Then::Nodes(Box::new(pending)));
    }

    /// The store has answered.
    pub(crate) fn nodes_answered(&mut self, pending: Pending, outcome: Result<Answer, Fault>) {
        let Pending { account, asker, what, debt } = pending;
        self.one_ask_less(&account);
        self.through(debt, |router| match what {
            What::Change(done, name) => router.nodes_changed(&account, asker, done, &name, outcome),
            What::Look(reading) => router.nodes_looked_up(&account, asker, reading, outcome),
        });
        self.accounts.rest(&account, self.limits.cached);
    }

    fn nodes_changed(
        &mut self,
        account: &Address,
        asker: Option<Asker>,
        done: Done,
        name: &Arc<str>,
        outcome: Result<Answer, Fault>,
    ) {
        let error = match outcome {
            Ok(Answer::Count(0)) if done.counted => Condition::ItemNotFound.into(),
            Ok(_) => return self.nodes_done(account, asker, done, name),
            Err(Fault::Full) => StanzaError::from(Condition::NotAcceptable).saying("no more can be kept"),
            Err(fault) => condition(fault).into(),
        };
        if !matches!(error.condition, Condition::ItemNotFound) {
            // What the store has is what holds.
            self.forget_state(account);
        }
        if let Some(asker) = asker {
            self.reply_error(&asker, error);
        }
    }

    fn nodes_done(&mut self, account: &Address, asker: Option<Asker>, done: Done, name: &Arc<str>) {
        done.news.into_iter().for_each(|news| self.tell_news(account, news));
        match (asker, done.bookmarks) {
            (Some(asker), Some(storage)) => self.keep_other_bookmarks(&asker, &storage),
            (Some(asker), None) => self.reply(&asker, done.answer.as_ref()),
            (None, _) => {}
        }
        if let Some(to) = done.last {
            self.send_last(account, &to, std::slice::from_ref(name), false);
        }
    }

    fn nodes_looked_up(
        &mut self,
        account: &Address,
        asker: Option<Asker>,
        reading: Reading,
        outcome: Result<Answer, Fault>,
    ) {
        match (reading, asker, outcome) {
            (Reading::Last(lasts), _, Ok(Answer::LastItems(found))) => {
                self.last_read(account, &lasts, found);
            }
            (Reading::Items(wanted), Some(asker), Ok(Answer::Items(Some(found)))) => {
                self.items_read(&asker, &wanted, &found);
            }
            (Reading::Names(name), Some(asker), Ok(Answer::Items(Some(found)))) => {
                self.names_read(account, &asker, &name, &found);
            }
            (Reading::Photo(reader), _, outcome) => {
                let found = match outcome {
                    Ok(Answer::Items(found)) => found,
                    _ => None,
                };
                self.photo_read(account, *reader, found.as_ref());
            }
            (Reading::Card, Some(asker), Ok(Answer::LastItems(found))) => match found.first() {
                Some((_, item)) => self.reply_raw(&asker, &item.payload),
                None => self.reply_error(&asker, Condition::ItemNotFound),
            },
            // Nobody writes that many rooms down, and part of them would be taken for all.
            (
                Reading::OldBookmarks | Reading::NewBookmarks(_),
                Some(asker),
                Ok(Answer::Items(Some(found))),
            ) if found.cut => {
                self.reply_error(&asker, Condition::PolicyViolation);
            }
            (Reading::OldBookmarks, Some(asker), Ok(Answer::Items(Some(found)))) => {
                self.old_bookmarks_read(account, &asker, &found);
            }
            (Reading::NewBookmarks(storage), asker, Ok(Answer::Items(Some(found)))) => {
                self.set_bookmarks(account, asker, &storage, &found);
            }
            (_, Some(asker), Ok(_)) => self.reply_error(&asker, Condition::ItemNotFound),
            (_, Some(asker), Err(fault)) => self.reply_error(&asker, condition(fault)),
            (_, None, _) => {}
        }
    }

    fn items_read(&mut self, asker: &Asker, wanted: &Wanted, found: &Items) {
        let text = super::items::answer(wanted, found);
        self.reply_raw(asker, &text);
    }

    fn names_read(&mut self, account: &Address, asker: &Asker, name: &str, found: &Items) {
        self.reply(asker, Some(&super::disco::names(account, name, found)));
    }
}
