//! A request about an account's nodes: who asks, what is known, what it comes to. What each request means stands in a file of
//! its own, as a function of a [`View`] that gives a [`Plan`]; here plans are carried out.

use super::event::News;
use super::kept::{NodeChange, NodeLookUp};
use super::node::{Node, Nodes};
use super::stored::Reading;
use super::{affiliations, card, disco, items, manage, publish, retract, subscribe};
use crate::jid::Jid;
use crate::ns;
use crate::roster::Roster;
use crate::router::{Limits, Parcel, Router};
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::xml::Element;
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// The most octets of all of an account's nodes, without their items: names, configurations, affiliations, subscriptions.
const OCTETS: usize = 1024 * 1024;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// A session of the account itself.
    Session(ConnectionId, Stanza),
    /// Somebody else, or another worker's session.
    Other(Parcel),
}

impl Asker {
    fn stanza(&self) -> &Stanza {
        match self {
            Self::Session(_, stanza) => stanza,
            Self::Other(parcel) => &parcel.stanza,
        }
    }

    /// Whose session it is.
    pub(super) fn origin(&self) -> Option<ConnectionId> {
        match self {
            Self::Session(connection, _) => Some(*connection),
            Self::Other(parcel) => parcel.origin,
        }
    }
}

/// What is known when a request comes.
pub(super) struct View<'a> {
    pub(super) account: &'a Address,
    pub(super) who: &'a Jid,
    pub(super) nodes: &'a Nodes,
    pub(super) roster: Option<&'a Roster>,
    pub(super) limits: &'a Limits,
    /// A number that no node and no item has yet, nor the hundred behind it.
    pub(super) number: i64,
    /// Chance, for names that nobody chose.
    pub(super) chance: &'a str,
}

impl<'a> View<'a> {
    /// Whether the account itself asks.
    pub(super) fn is_own(&self) -> bool {
        self.who.address() == Some(self.account)
    }

    /// The node that an element names.
    pub(super) fn node(&self, element: &Element) -> Result<(&'a Arc<str>, &'a Node), StanzaError> {
        let name = node_name(element)?;
        self.nodes.entry(name).ok_or_else(|| Condition::ItemNotFound.into())
    }

    /// The node that an element names, for its owner.
    pub(super) fn owned(&self, element: &Element) -> Result<(&'a Arc<str>, &'a Node), StanzaError> {
        let (name, node) = self.node(element)?;
        match node.affiliation(self.account, self.who) {
            Some(super::node::Affiliation::Owner) => Ok((name, node)),
            _ => Err(Condition::Forbidden.into()),
        }
    }
}

impl View<'_> {
    /// The plan, where there is room for what it makes of a node. Others take no more than half of it, so that the account itself is
    /// never without.
    fn bounded(&self, plan: Plan) -> Result<Plan, StanzaError> {
        let most = if self.is_own() { OCTETS } else { OCTETS / 2 };
        if let Plan::Change(change) = &plan
            && let Some(Set::To(node)) = &change.node
            && !self.nodes.has_room(&change.name, node, most)
        {
            return Err(Condition::ResourceConstraint.into());
        }
        Ok(plan)
    }
}

/// The name of the node that an element is about.
pub(super) fn node_name(element: &Element) -> Result<&str, StanzaError> {
    element.get("node").filter(|node| !node.is_empty()).ok_or_else(super::refusal::nodeid_required)
}

/// What a request comes to.
pub(super) enum Plan {
    /// An answer.
    Answer(Option<Element>),
    /// A change, and what is seen of it when it is durable.
    Change(Box<Change>),
    /// Something is to be looked up first.
    Read(NodeLookUp, Reading),
}

/// A change of one node.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: Arc<str>,
    /// What is known of the node from now on; `None`: the same.
    pub(super) node: Option<Set>,
    /// What the store is asked.
    pub(super) changes: Vec<NodeChange>,
    pub(super) done: Done,
}

impl Change {
    /// A node is this one from now on, new or not.
    pub(super) fn to(name: Arc<str>, node: Node, done: Done) -> Self {
        let changes = vec![node.row(&name)];
        Self { name, node: Some(Set::To(Box::new(node))), changes, done }
    }
}

/// What becomes of a node.
#[derive(Debug)]
pub(super) enum Set {
    To(Box<Node>),
    Removed,
}

/// What follows once a change is durable.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The payload of the answer.
    pub(super) answer: Option<Element>,
    /// Whether something must have been there to be taken out.
    pub(super) counted: bool,
    /// What others are told.
    pub(super) news: Vec<News>,
    /// Who is sent the last item of the node.
    pub(super) last: Option<Jid>,
    /// The element of old that the items are now, whose other part has to be kept before there is an answer.
    pub(super) bookmarks: Option<Box<Element>>,
}

impl Router {
    /// What is known of an account's nodes.
    pub(crate) fn nodes(&self, account: &Address) -> &Nodes {
        static NONE: Nodes = Nodes::new();
        let known = self.accounts.get(account).and_then(|account| account.nodes.as_deref());
        known.unwrap_or(&NONE)
    }

    /// Whether a request to an account is about its nodes. What the account itself is, says the answer of the server.
    pub(crate) fn is_about_nodes(payload: &Element) -> bool {
        match payload.namespace() {
            ns::PUBSUB | ns::PUBSUB_OWNER | ns::DISCO_ITEMS | ns::VCARD4 => true,
            ns::DISCO_INFO => payload.get("node").is_some_and(|node| !node.is_empty()),
            _ => false,
        }
    }

    /// A session asks its own account.
    pub(crate) fn ask_own_nodes(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        payload: &Element,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        self.nodes_request(&account, &Asker::Session(connection, stanza.clone()), get, payload);
    }

    /// Somebody else asks.
    pub(crate) fn ask_nodes(&mut self, account: &Address, parcel: Parcel, get: bool, payload: &Element) {
        self.nodes_request(account, &Asker::Other(parcel), get, payload);
    }

    pub(super) fn nodes_request(&mut self, account: &Address, asker: &Asker, get: bool, payload: &Element) {
        if self.old_bookmarks_first(account, asker, get, payload) {
            return;
        }
        if !get && payload.is("vcard", ns::VCARD4) && matches!(asker, Asker::Session(..)) {
            return self.set_card4(account, asker, payload);
        }
        let number = if get { 0 } else { self.reserve_ids() };
        let chance = if get { String::new() } else { self.entropy.token(16) };
        let Some(who) = asker.stanza().from().cloned() else { return };
        let view = View {
            account,
            who: &who,
            nodes: self.nodes(account),
            roster: self.roster(account),
            limits: &self.limits,
            number,
            chance: &chance,
        };
        let plan = plan(&view, get, payload).and_then(|plan| view.bounded(plan));
        match plan {
            Ok(plan) => self.carry_out(account, asker.clone(), plan),
            // A stranger must not learn whether an account exists (RFC 6120 §13.11).
            Err(_) if !self.may_know(account, &who) => {
                self.reply_error(asker, Condition::ServiceUnavailable);
            }
            Err(error) => self.reply_error(asker, error),
        }
    }

    /// Whether somebody may be told what there is not: contacts, and whoever has an account here.
    fn may_know(&self, account: &Address, who: &Jid) -> bool {
        self.is_trusted(account, who) || who.address().is_some_and(|who| self.directory.get(who).is_some())
    }

    fn carry_out(&mut self, account: &Address, asker: Asker, plan: Plan) {
        match plan {
            Plan::Answer(payload) => self.reply(&asker, payload.as_ref()),
            Plan::Change(change) => self.change_nodes(account, Some(asker), *change),
            Plan::Read(look_up, reading) => self.read_nodes(account, Some(asker), look_up, reading),
        }
    }

    /// Answers whoever asked.
    pub(super) fn reply(&mut self, asker: &Asker, payload: Option<&Element>) {
        let answer = asker.stanza().result(payload);
        self.reply_with(asker, answer);
    }

    pub(super) fn reply_with(&mut self, asker: &Asker, answer: Stanza) {
        match asker {
            Asker::Session(connection, _) => self.answer(*connection, answer),
            Asker::Other(_) => self.route(Parcel { answer: true, ..Parcel::own(answer) }),
        }
    }

    /// The request that is answered by text which is ready.
    pub(super) fn reply_raw(&mut self, asker: &Asker, payload: &str) {
        let answer = asker.stanza().answer("result").raw(payload).build();
        self.reply_with(asker, answer);
    }

    pub(super) fn reply_error(&mut self, asker: &Asker, error: impl Into<StanzaError>) {
        if let Some(error) = asker.stanza().error(error) {
            self.reply_with(asker, error);
        }
    }
}

/// The one child of the request that says what it is.
fn plan(view: &View<'_>, get: bool, payload: &Element) -> Result<Plan, StanzaError> {
    match payload.namespace() {
        ns::DISCO_INFO if get => return disco::info(view, payload),
        ns::DISCO_ITEMS if get => return disco::items(view, payload),
        ns::VCARD4 if get && payload.name() == "vcard" => return card::plan(view),
        ns::PUBSUB | ns::PUBSUB_OWNER if payload.name() == "pubsub" => {}
        _ => return Err(Condition::ServiceUnavailable.into()),
    }
    let owner = payload.namespace() == ns::PUBSUB_OWNER;
    let mut children = payload.children().filter(|child| child.namespace() == payload.namespace());
    let Some(first) = children.next() else { return Err(Condition::BadRequest.into()) };
    let second = children.next();
    match (first.name(), get, owner) {
        ("items", true, false) => items::plan(view, first, payload),
        ("publish", false, false) => publish::plan(view, first, second),
        ("retract", false, false) => retract::plan(view, first),
        ("create", false, false) => manage::create(view, first, second),
        ("subscribe", false, false) => subscribe::subscribe(view, first, second),
        ("unsubscribe", false, false) => subscribe::unsubscribe(view, first),
        ("subscriptions", true, false) => subscribe::own(view, first),
        ("affiliations", true, false) => affiliations::own(view, first),
        ("options" | "default", _, false) => Err(super::refusal::unsupported("subscription-options")),
        ("configure", true, true) => manage::form(view, first),
        ("configure", false, true) => manage::configure(view, first),
        ("default", true, true) => Ok(manage::default()),
        ("delete", false, true) => manage::delete(view, first),
        ("purge", false, true) => manage::purge(view, first),
        ("subscriptions", true, true) => subscribe::list(view, first),
        ("subscriptions", false, true) => subscribe::manage(view, first),
        ("affiliations", true, true) => affiliations::list(view, first),
        ("affiliations", false, true) => affiliations::manage(view, first),
        _ => Err(Condition::BadRequest.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::node::Affiliation;

    /// Five hundred nodes with a thousand long addresses each were a gigabyte, of one account.
    #[test]
    fn nodes_have_a_bound_in_octets() {
        let account: Address = "juliet@verona.example".parse().unwrap();
        let limits = Limits::default();
        let long = |n: usize| format!("{n}{}@verona.example", "x".repeat(1000));
        let mut full = Node::default();
        let mut nodes = Nodes::new();
        let refused = |nodes: &Nodes, who: &str, node: &Node| {
            let who: Jid = who.parse().unwrap();
            let view = View {
                account: &account,
                who: &who,
                nodes,
                roster: None,
                limits: &limits,
                number: 1,
                chance: "",
            };
            let change = Change::to("a".into(), node.clone(), Done::default());
            let error = view.bounded(Plan::Change(Box::new(change))).err();
            error.map(|error| error.condition)
        };
        let (own, other) = ("juliet@verona.example/balcony", "romeo@verona.example/garden");
        for n in 0..600 {
            full.affiliations.insert(long(n).parse().unwrap(), Affiliation::Member);
        }
        assert_eq!(refused(&nodes, own, &full), None);
        assert_eq!(refused(&nodes, other, &full), Some(Condition::ResourceConstraint));
        nodes.put("a".into(), full.clone());
        // What makes it no longer is possible.
        assert_eq!(refused(&nodes, other, &full), None);
        nodes.put("b".into(), full.clone());
        full.affiliations.insert(long(600).parse().unwrap(), Affiliation::Member);
        assert_eq!(refused(&nodes, own, &full), Some(Condition::ResourceConstraint));
        nodes.remove("b");
        assert_eq!(refused(&nodes, own, &full), None);
        nodes.remove("a");
        assert!(nodes.has_room("", &Node::default(), Node::default().write().len()));
    }
}
