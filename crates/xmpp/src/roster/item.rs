//! One contact of a roster (RFC 6121 §2.1.2).

use crate::presence::subscription::State;
use std::sync::Arc;

/// What a roster says of one contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Who may see whose presence.
    pub state: State,
    /// The name that the user gave the contact.
    pub name: Option<Box<str>>,
    /// The groups that the user put the contact in.
    pub groups: Box<[Box<str>]>,
    /// Whether the user's clients see the item. A contact who has asked for a subscription and was not
    /// answered is kept without being seen (RFC 6121 §3.1.3).
    pub listed: bool,
    /// The contact's request as it came, shown at each login until it is answered.
    pub request: Option<Arc<str>>,
}

impl Item {
    /// About how many octets it takes.
    pub fn weight(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.len());
        let groups: usize = self.groups.iter().map(|group| group.len()).sum();
        name + groups + self.request.as_ref().map_or(0, |request| request.len())
    }

    /// Whether nothing is left that is worth keeping.
    pub fn is_empty(&self) -> bool {
        !self.listed && self.state == State::default()
    }
}
