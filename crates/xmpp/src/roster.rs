//! An account's contacts (RFC 6121 §2): what a roster is, how clients read and change it.

pub mod item;
pub(crate) mod request;
mod serve;
pub(crate) mod version;

pub use item::Item;

use crate::jid::Bare;
use crate::presence::subscription::Side;
use std::collections::BTreeMap;

/// The contacts of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// In order, not hashed: users choose the names, and no choice of theirs may make this slow.
    items: BTreeMap<Bare, Item>,
    octets: usize,
    version: u64,
}

/// About how many octets an item takes with its contact's address.
fn weight(contact: &Bare, item: &Item) -> usize {
    contact.as_str().len() + item.weight()
}

impl Roster {
    /// What is said of a contact; of a stranger, what is said of everybody.
    pub fn item(&self, contact: &Bare) -> Item {
        self.items.get(contact).cloned().unwrap_or_default()
    }

    /// What is said of a contact.
    pub fn get(&self, contact: &Bare) -> Option<&Item> {
        self.items.get(contact)
    }

    /// Sets what is said of a contact; nothing worth keeping takes the contact out.
    pub fn set(&mut self, contact: Bare, item: Item) {
        let new = if item.is_empty() { 0 } else { weight(&contact, &item) };
        let old = self.items.get(&contact).map_or(0, |item| weight(&contact, item));
        self.octets = self.octets + new - old;
        let before = self.items.get(&contact).map_or(0, |item| version::number(&contact, item));
        let after = version::number(&contact, &item);
        self.version = self.version.wrapping_sub(before).wrapping_add(after);
        if item.is_empty() {
            self.items.remove(&contact);
        } else {
            self.items.insert(contact, item);
        }
    }

    /// Its version, as clients know it.
    pub fn version(&self) -> String {
        version::name(self.version)
    }

    /// About how many octets there would be if a contact had this item.
    pub fn octets_with(&self, contact: &Bare, item: &Item) -> usize {
        self.octets + weight(contact, item) - self.items.get(contact).map_or(0, |item| weight(contact, item))
    }

    /// How many contacts there are, seen or not.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no contact.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What the user's clients see.
    pub fn listed(&self) -> impl Iterator<Item = (&Bare, &Item)> {
        self.items.iter().filter(|(_, item)| item.listed)
    }

    /// Those who may see the user's presence.
    pub fn watchers(&self) -> impl Iterator<Item = &Bare> {
        self.items.iter().filter(|(_, item)| item.state.from == Side::Yes).map(|(contact, _)| contact)
    }

    /// Those whose presence the user may see.
    pub fn watched(&self) -> impl Iterator<Item = &Bare> {
        self.items.iter().filter(|(_, item)| item.state.to == Side::Yes).map(|(contact, _)| contact)
    }

    /// The requests that the user has not answered.
    pub fn requests(&self) -> impl Iterator<Item = (&Bare, &Item)> {
        self.items.iter().filter(|(_, item)| item.state.from == Side::Pending)
    }

    /// Whether a contact may see the user's presence.
    pub fn is_watched_by(&self, contact: &Bare) -> bool {
        self.items.get(contact).is_some_and(|item| item.state.from == Side::Yes)
    }
}

impl FromIterator<(Bare, Item)> for Roster {
    fn from_iter<T: IntoIterator<Item = (Bare, Item)>>(items: T) -> Self {
        let mut roster = Self::default();
        items.into_iter().for_each(|(contact, item)| roster.set(contact, item));
        roster
    }
}
