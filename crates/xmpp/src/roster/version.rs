//! Roster versions (RFC 6121 §2.6): a hash of what clients are told of the contacts, in no order. So a version is as
//! durable as the roster itself, and a roster that is again as it was has again the version that it had.

use super::Item;
use crate::jid::Bare;
use crate::presence::subscription::Side;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The version of a roster that has a change under way: no later one is ever called so.
pub(crate) const UNSETTLED: &str = "unsettled";

/// What a contact adds to the version. Nothing breaks where another build of the server has other numbers: clients
/// are given the whole roster once.
pub(super) fn number(contact: &Bare, item: &Item) -> u64 {
    if !item.listed {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    (contact.as_str(), &item.name, &item.groups, item.state.name()).hash(&mut hasher);
    (item.state.to == Side::Pending, item.state.approved).hash(&mut hasher);
    hasher.finish()
}

/// As clients see it.
pub(super) fn name(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use crate::presence::subscription::{Side, State};
    use crate::roster::{Item, Roster};

    fn item(state: State, name: Option<&str>, groups: &[&str]) -> Item {
        let groups = groups.iter().map(|group| Box::from(*group)).collect();
        Item { state, name: name.map(Box::from), groups, listed: true, ..Item::default() }
    }

    #[test]
    fn a_version_is_that_of_what_clients_see_alone() {
        let contact = || "juliet@verona.example".parse().unwrap();
        let state = |to, from| State { to, from, approved: false };
        let items = [
            item(State::default(), None, &[]),
            item(State::default(), Some("Juliet"), &[]),
            item(State::default(), None, &["Juliet"]),
            item(State::default(), None, &["Jul", "iet"]),
            item(state(Side::Pending, Side::No), None, &[]),
            item(state(Side::Yes, Side::No), None, &[]),
            item(state(Side::Yes, Side::Yes), None, &[]),
            item(State { approved: true, ..State::default() }, None, &[]),
        ];
        let mut roster = Roster::default();
        let mut versions = vec![roster.version()];
        for item in items {
            roster.set(contact(), item);
            versions.push(roster.version());
        }
        let asked = Item { state: state(Side::Yes, Side::Pending), ..item(State::default(), None, &[]) };
        roster.set(contact(), asked);
        assert_eq!(roster.version(), versions[6], "nobody sees a request in a roster");
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), 9);
        roster.set(contact(), Item::default());
        assert_eq!(roster.version(), Roster::default().version());
    }

    #[test]
    fn it_matters_not_in_which_order_contacts_came() {
        let names = ["romeo@verona.example", "juliet@verona.example", "tybalt@verona.example"];
        let roster = |order: [usize; 3]| {
            let of = |n: usize| (names[n].parse().unwrap(), item(State::default(), Some("x"), &[]));
            order.into_iter().map(of).collect::<Roster>()
        };
        assert_eq!(roster([0, 1, 2]).version(), roster([2, 0, 1]).version());
    }
}
