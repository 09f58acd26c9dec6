//! What waits for the store: rosters to be read, changes to be durable, messages to be kept; and what follows.

use super::account::Contacts;
use super::ask::{Answer, Fault, Query, Token};
use super::ledger::Debt;
use super::settings::{NewSettings, Reader};
use super::{Output, Parcel, Router, Work};
use crate::archive::Fetch;
use crate::jid::{Bare, Jid};
use crate::pubsub::stored::Pending;
use crate::roster::{Item, Roster};
use crate::settings::Settings;
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use wire::{Address, ConnectionId};

/// What is to be done when the store has answered.
#[derive(Debug)]
pub(crate) enum Then {
    /// Go on with what waited for the roster.
    Roster(Address),
    /// Settings are durable.
    NewSettings(Box<NewSettings>),
    /// A session's account has another password: what it hears of that, or if it has not.
    PasswordSet { account: Address, connection: ConnectionId, answers: Box<[Stanza; 2]>, debt: Option<Debt> },
    /// A document that a session wants kept is durable.
    DocumentKept { connection: ConnectionId, stanza: Stanza, debt: Option<Debt> },
    /// Somebody has asked for a document.
    Document(Box<Reader>, Option<Debt>),
    /// A message is in an archive.
    Archived(Option<Debt>),
    /// A message is in a room's archive; where it is not, whoever said it is told, though it was heard.
    RoomArchived { parcel: Box<Parcel>, debt: Option<Debt> },
    /// What goes from an archive that is too large.
    Excess(Address),
    /// Somebody reads an archive.
    Fetched(Box<Fetch>, Option<Debt>),
    /// Nodes or items are durable, or were looked up.
    Nodes(Box<Pending>),
    /// What goes from a room's archive.
    RoomExcess(Address),
    /// Which rooms there are.
    RoomsRead,
    /// A change of a room is durable.
    RoomKept(Address, Option<Debt>),
    /// What was said last in a room.
    RoomRecalled(Address),
    /// A contact's item is durable: all that may be seen of the change now.
    Changed(Box<Changed>),
    /// A message is kept.
    Kept { parcel: Box<Parcel>, debt: Option<Debt> },
    /// Some of the messages that were kept for an account.
    Listed(Address),
    /// Messages were forgotten.
    Forgotten,
    /// Something was kept of which nobody must hear.
    Noted,
}

/// A change of one contact's item.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) account: Address,
    pub(crate) contact: Bare,
    /// In order.
    pub(crate) effects: Vec<Effect>,
    /// Who must hear if it fails.
    pub(crate) asked: Asked,
    pub(crate) debt: Option<Debt>,
}

/// Who wanted a change.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A session, by this stanza.
    Session(ConnectionId, Stanza),
    /// Somebody else.
    Contact(Parcel),
}

/// What may be seen of a change once it is durable.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Interested resources are told what is said of the contact; `None`: it was taken out.
    Push(Bare, Option<Item>),
    /// The session that asked for it gets its answer.
    Answer(ConnectionId, Stanza),
    /// The account's available resources are shown a stanza.
    ShowAvailable(Stanza),
    /// The account's interested resources are shown a stanza.
    ShowInterested(Stanza),
    /// A stanza goes on its way.
    Route(Parcel),
    /// Resources that have the list of whom the account blocks are told what has changed.
    PushBlocking(Element),
    /// Somebody is told the presence of each available resource.
    Announce(Jid),
    /// Somebody is told that each available resource is gone.
    Withdraw(Jid),
    /// Whoever is blocked now and was sent directed presence sees it go.
    HideDirected,
    /// Somebody is told what the account's resources want to hear of.
    Wish(Jid),
}

impl Router {
    pub(crate) fn ask(&mut self, query: Query, then: Then) -> Token {
        let token = self.asks.open(then);
        self.output(Output::Ask { token, query });
        token
    }

    /// An account's roster, if it is at hand.
    pub(crate) fn roster(&self, account: &Address) -> Option<&Roster> {
        match &self.accounts.get(account)?.contacts {
            Contacts::Read(roster) => Some(roster),
            Contacts::Unread | Contacts::Reading => None,
        }
    }

    /// Lets work wait until the roster is at hand, which is asked for.
    pub(super) fn wait(&mut self, address: &Address, work: Work) {
        let account = self.accounts.entry(address);
        let full = account.waiting.len() >= self.limits.waiting.saturating_mul(work.room());
        let unread = matches!(account.contacts, Contacts::Unread);
        if full {
            return self.refuse(work, Condition::ResourceConstraint);
        }
        if unread {
            account.contacts = Contacts::Reading;
            account.asks += 1;
            self.ask(Query::LoadRoster(address.clone()), Then::Roster(address.clone()));
        }
        let work = self.indebted(work);
        self.accounts.entry(address).waiting.push_back(work);
    }

    /// The work, counted among what its session has under way.
    fn indebted(&mut self, mut work: Work) -> Work {
        match &mut work {
            Work::Sent { connection, debt: debt @ None, .. } => *debt = self.owe(Some(*connection)),
            Work::Arrived { parcel, debt: debt @ None } => *debt = self.owe(parcel.origin),
            _ => {}
        }
        work
    }

    /// Asks for a contact's item to be kept; `effects` follow once it is durable.
    pub(crate) fn change(
        &mut self,
        account: &Address,
        contact: &Bare,
        item: Item,
        effects: Vec<Effect>,
        asked: Asked,
    ) {
        let query = if item.is_empty() {
            Query::RemoveContact { account: account.clone(), contact: contact.clone() }
        } else {
            Query::PutContact { account: account.clone(), contact: contact.clone(), item: item.clone() }
        };
        let entry = self.accounts.entry(account);
        entry.asks += 1;
        if let Contacts::Read(roster) = &mut entry.contacts {
            roster.set(contact.clone(), item);
        }
        let debt = self.owe(match &asked {
            Asked::Session(connection, _) => Some(*connection),
            Asked::Contact(parcel) => parcel.origin,
        });
        let changed = Changed { account: account.clone(), contact: contact.clone(), effects, asked, debt };
        let token = self.ask(query, Then::Changed(Box::new(changed)));
        self.accounts.entry(account).changing.insert(contact.clone(), token);
    }

    /// Puts effects behind a change of the same contact's item that is not durable yet, so that nothing overtakes
    /// what it has to say: what somebody says later, and presence that is to be seen behind the consent. Gives
    /// them back where nothing is being changed.
    pub(crate) fn behind_change(
        &mut self,
        account: &Address,
        contact: &Bare,
        effects: Vec<Effect>,
    ) -> Vec<Effect> {
        let entry = self.accounts.get(account);
        let token = entry.and_then(|entry| entry.changing.get(contact).copied());
        match token.and_then(|token| self.asks.get_mut(token)) {
            Some(Then::Changed(changed)) if changed.effects.len() < self.limits.waiting => {
                changed.effects.extend(effects);
                Vec::new()
            }
            _ => effects,
        }
    }

    pub(super) fn answered(&mut self, token: Token, outcome: Result<Answer, Fault>) {
        let Some(then) = self.asks.close(token) else { return };
        match then {
            Then::Roster(address) => self.state_read(&address, outcome),
            Then::NewSettings(new) => self.settings_set(*new, outcome),
            Then::DocumentKept { connection, stanza, debt } => {
                self.document_kept(connection, &stanza, debt, outcome);
            }
            Then::PasswordSet { account, connection, answers, debt } => self.through(debt, |router| {
                router.password_set(&account, connection, *answers, &outcome);
            }),
            Then::Document(reader, debt) => {
                self.through(debt, |router| router.document_read(*reader, outcome));
            }
            // Where it could not be kept, it was delivered all the same; the store has told the administrator.
            Then::Archived(debt) => self.settle(debt),
            Then::RoomArchived { parcel, debt } => self.through(debt, |router| {
                if let Err(fault) = outcome {
                    router.bounce(*parcel, condition(fault));
                }
            }),
            Then::Excess(account) => self.trim_archive(account, &outcome),
            Then::Fetched(fetch, debt) => self.through(debt, |router| router.fetched(*fetch, outcome)),
            Then::Nodes(pending) => self.nodes_answered(*pending, outcome),
            Then::RoomExcess(room) => self.trim_room(room, &outcome),
            Then::RoomsRead => self.rooms_read(outcome),
            Then::RoomKept(room, debt) => self.room_kept(&room, debt, outcome),
            Then::RoomRecalled(room) => self.room_recalled(&room, outcome),
            Then::Changed(changed) => self.changed(token, *changed, outcome),
            Then::Kept { parcel, debt } => self.through(debt, |router| {
                match outcome {
                    Ok(_) => {}
                    // The archive has it.
                    Err(Fault::Full) if parcel.archived => {}
                    Err(fault) => router.bounce(*parcel, condition(fault)),
                }
            }),
            Then::Listed(account) => {
                self.one_ask_less(&account);
                self.listed(&account, token, outcome);
                self.accounts.rest(&account, self.limits.cached);
            }
            // What could not be forgotten is delivered twice rather than never.
            Then::Forgotten | Then::Noted => {}
        }
    }

    pub(crate) fn one_ask_less(&mut self, address: &Address) {
        if let Some(account) = self.accounts.get_mut(address) {
            account.asks = account.asks.saturating_sub(1);
        }
    }

    /// Roster and settings are at hand: what waited for them goes on.
    fn state_read(&mut self, address: &Address, outcome: Result<Answer, Fault>) {
        let Ok(Answer::Roster { items, settings, nodes }) = outcome else {
            return self.state_unread(address);
        };
        self.one_ask_less(address);
        let Some(account) = self.accounts.get_mut(address) else { return };
        account.contacts = Contacts::Read(items.into_iter().collect());
        account.settings = settings.map(|text| Box::new(Settings::read(&text)));
        account.nodes = Self::nodes_read(nodes);
        let waiting = std::mem::take(&mut account.waiting);
        self.first(waiting.into_iter());
        self.run();
        self.accounts.rest(address, self.limits.cached);
    }

    fn state_unread(&mut self, address: &Address) {
        self.one_ask_less(address);
        let Some(account) = self.accounts.get_mut(address) else { return };
        let waiting = std::mem::take(&mut account.waiting);
        account.contacts = Contacts::Unread;
        waiting.into_iter().for_each(|work| self.give_up(work));
        self.accounts.rest(address, self.limits.cached);
    }

    fn changed(&mut self, token: Token, changed: Changed, outcome: Result<Answer, Fault>) {
        let Changed { account, contact, effects, asked, debt } = changed;
        self.one_ask_less(&account);
        if let Some(entry) = self.accounts.get_mut(&account)
            && entry.changing.get(&contact) == Some(&token)
        {
            entry.changing.remove(&contact);
        }
        self.through(debt, |router| match outcome {
            Ok(_) => effects.into_iter().for_each(|effect| router.effect(&account, effect)),
            Err(fault) => router.unchanged(&account, contact, asked, fault),
        });
        self.accounts.rest(&account, self.limits.cached);
    }

    /// What is known of an account is read anew when it is needed next.
    pub(crate) fn forget_state(&mut self, account: &Address) {
        if let Some(account) = self.accounts.get_mut(account)
            && matches!(account.contacts, Contacts::Read(_))
        {
            account.contacts = Contacts::Unread;
        }
    }

    /// A change came to nothing: what the store has is what holds.
    fn unchanged(&mut self, account: &Address, contact: Bare, asked: Asked, fault: Fault) {
        self.forget_state(account);
        match asked {
            Asked::Session(connection, stanza) => self.answer_error(connection, &stanza, condition(fault)),
            Asked::Contact(parcel) => self.bounce(parcel, condition(fault)),
        }
        self.later(Work::Unchanged { account: account.clone(), contact });
    }

    pub(crate) fn effect(&mut self, account: &Address, effect: Effect) {
        match effect {
            Effect::Push(contact, item) => self.push(account, &contact, item.as_ref()),
            Effect::Answer(connection, stanza) => self.answer(connection, stanza),
            Effect::ShowAvailable(stanza) => self.fan_out(account, &Parcel::own(stanza), |_| true),
            Effect::ShowInterested(stanza) => self.show_interested(account, &stanza),
            Effect::Route(parcel) => self.route(parcel),
            Effect::PushBlocking(change) => self.push_blocking(account, &change),
            Effect::Announce(to) => self.announce(account, &to),
            Effect::Withdraw(to) => self.withdraw(account, &to),
            Effect::HideDirected => self.hide_directed(account),
            Effect::Wish(to) => self.wish_of(account, &to),
        }
    }
}

/// What the sender is told of a fault of the store.
pub(crate) const fn condition(fault: Fault) -> Condition {
    match fault {
        // XEP-0160 §3: as if nothing were kept at all.
        Fault::Full | Fault::NoAccount => Condition::ServiceUnavailable,
        Fault::Unavailable => Condition::ResourceConstraint,
    }
}
