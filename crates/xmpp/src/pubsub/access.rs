//! Who may see, subscribe to and publish to a node (XEP-0060 §4, table 4).

use super::config::{Access, Publishers};
use super::node::{Affiliation, Node, Subscription};
use super::refusal;
use crate::jid::{Bare, Jid};
use crate::presence::subscription::Side;
use crate::roster::Roster;
use crate::stanza::{Condition, StanzaError};
use wire::Address;

impl Node {
    /// What somebody is to the node; its account is its owner.
    pub(super) fn affiliation(&self, account: &Address, who: &Jid) -> Option<Affiliation> {
        if who.address() == Some(account) {
            return Some(Affiliation::Owner);
        }
        self.affiliations.get(who.bare()).copied()
    }

    /// What a JID is subscribed as, itself or by its bare form.
    pub(super) fn subscription(&self, who: &Jid) -> Option<Subscription> {
        if self.subscriptions.is_empty() {
            return None;
        }
        self.subscriptions.get(who).or_else(|| self.subscriptions.get(&who.to_bare())).copied()
    }

    /// Whether somebody may see items (§6.5.9).
    pub(super) fn may_see(
        &self,
        account: &Address,
        roster: Option<&Roster>,
        who: &Jid,
    ) -> Result<(), StanzaError> {
        self.may_subscribe(account, roster, who)?;
        let free = matches!(
            self.affiliation(account, who),
            Some(Affiliation::Owner | Affiliation::Publisher | Affiliation::Member)
        );
        if self.config.access != Access::Authorize || free {
            return Ok(());
        }
        match self.subscription(who) {
            Some(Subscription::Subscribed) => Ok(()),
            _ => Err(refusal::items_not_subscribed()),
        }
    }

    /// Whether somebody may subscribe (§6.1.3), be it that the owner has to approve it.
    pub(super) fn may_subscribe(
        &self,
        account: &Address,
        roster: Option<&Roster>,
        who: &Jid,
    ) -> Result<(), StanzaError> {
        match self.affiliation(account, who) {
            Some(Affiliation::Owner | Affiliation::Publisher | Affiliation::Member) => return Ok(()),
            Some(Affiliation::Outcast | Affiliation::PublishOnly) => return Err(Condition::Forbidden.into()),
            None => {}
        }
        match self.config.access {
            Access::Open | Access::Authorize => Ok(()),
            Access::Presence if is_contact(roster, who.bare()) => Ok(()),
            Access::Presence => Err(refusal::presence_subscription_required()),
            Access::Roster if self.is_in_group(roster, who.bare()) => Ok(()),
            Access::Roster => Err(refusal::not_in_roster_group()),
            Access::Whitelist => Err(refusal::closed_node()),
        }
    }

    /// Whether somebody may publish (§7.1.3.1).
    pub(super) fn may_publish(
        &self,
        account: &Address,
        roster: Option<&Roster>,
        who: &Jid,
    ) -> Result<(), StanzaError> {
        let subscribed =
            || self.subscription(who) == Some(Subscription::Subscribed) || is_contact(roster, who.bare());
        let may = match self.affiliation(account, who) {
            Some(Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly) => true,
            Some(Affiliation::Outcast) => false,
            Some(Affiliation::Member) | None => match self.config.publishers {
                Publishers::Open => true,
                Publishers::Subscribers => subscribed(),
                Publishers::Affiliated => false,
            },
        };
        if may { Ok(()) } else { Err(Condition::Forbidden.into()) }
    }

    fn is_in_group(&self, roster: Option<&Roster>, who: &Bare) -> bool {
        let item = roster.and_then(|roster| roster.get(who));
        item.is_some_and(|item| item.groups.iter().any(|group| self.config.groups.contains(group)))
    }
}

/// Whether somebody may see the account's presence.
fn is_contact(roster: Option<&Roster>, who: &Bare) -> bool {
    roster.and_then(|roster| roster.get(who)).is_some_and(|item| item.state.from == Side::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::subscription::State;
    use crate::roster::Item;

    fn name(result: Result<(), StanzaError>) -> String {
        match result {
            Ok(()) => "yes".to_owned(),
            Err(error) => error.detail.map_or(error.condition.name(), |(detail, _)| detail).to_owned(),
        }
    }

    /// A contact, a contact of the right group, and a stranger see, subscribe, publish.
    #[test]
    fn each_access_model() {
        let account: Address = "juliet@capulet.example".parse().unwrap();
        let from = State { to: Side::No, from: Side::Yes, ..State::default() };
        let contact = |groups: &[&str]| {
            let groups = groups.iter().map(|group| (*group).into()).collect();
            Item { state: from, groups, listed: true, ..Item::default() }
        };
        let roster: Roster = [
            ("friend@montague.example".parse().unwrap(), contact(&["Friends"])),
            ("servant@montague.example".parse().unwrap(), contact(&[])),
        ]
        .into_iter()
        .collect();
        let check = |access: &str, who: &str, expected: &str| {
            let mut node = Node::default();
            node.config.set("pubsub#access_model", &[access.to_owned()]).unwrap();
            node.config.groups = ["Friends".into()].into();
            node.affiliations.insert("member@x.example".parse().unwrap(), Affiliation::Member);
            node.affiliations.insert("outcast@x.example".parse().unwrap(), Affiliation::Outcast);
            let who: Jid = who.parse().unwrap();
            let roster = Some(&roster);
            let all = [
                name(node.may_see(&account, roster, &who)),
                name(node.may_subscribe(&account, roster, &who)),
                name(node.may_publish(&account, roster, &who)),
            ];
            assert_eq!(all.join(" "), expected, "{access} {who}");
        };
        let (friend, servant) = ("friend@montague.example/a", "servant@montague.example/a");
        for access in ["open", "presence", "roster", "whitelist", "authorize"] {
            check(access, "juliet@capulet.example/a", "yes yes yes");
            check(access, "member@x.example/a", "yes yes forbidden");
            check(access, "outcast@x.example/a", "forbidden forbidden forbidden");
        }
        check("open", "stranger@x.example", "yes yes forbidden");
        check("presence", servant, "yes yes forbidden");
        let missing = "presence-subscription-required";
        check("presence", "stranger@x.example", &format!("{missing} {missing} forbidden"));
        check("roster", friend, "yes yes forbidden");
        check("roster", servant, "not-in-roster-group not-in-roster-group forbidden");
        check("whitelist", friend, "closed-node closed-node forbidden");
        check("authorize", friend, "not-subscribed yes forbidden");
    }
}
