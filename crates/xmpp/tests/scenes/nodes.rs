//! What a store keeps of nodes and items.

use std::collections::BTreeMap;
use wire::Address;
use xmpp::pubsub::kept::{ItemPage, Items, KeptItem, KeptNode, NodeChange, NodeLookUp};
use xmpp::router::{Answer, Fault};

/// Nodes by account and number, each with its items in order.
#[derive(Debug, Default)]
pub(crate) struct Nodes(BTreeMap<(Address, i64), (KeptNode, Vec<KeptItem>)>);

impl Nodes {
    /// All nodes of an account.
    pub(crate) fn of(&self, account: &Address) -> Vec<KeptNode> {
        let own = self.0.iter().filter(|((owner, _), _)| owner == account);
        own.map(|(_, (node, _))| node.clone()).collect()
    }

    pub(crate) fn change(&mut self, account: &Address, changes: Vec<NodeChange>) -> Result<Answer, Fault> {
        // All of them or none.
        let before = self.0.clone();
        let outcome =
            changes.into_iter().try_fold(Answer::Done, |_, change| self.change_one(account, change));
        if outcome.is_err() {
            self.0 = before;
        }
        outcome
    }

    fn items(&mut self, account: &Address, number: i64) -> Result<&mut Vec<KeptItem>, Fault> {
        let node = self.0.get_mut(&(account.clone(), number));
        node.map(|(_, items)| items).ok_or(Fault::NoAccount)
    }

    fn octets(&self, account: &Address) -> usize {
        let own = self.0.iter().filter(|((owner, _), _)| owner == account);
        own.flat_map(|(_, (_, items))| items).map(|item| item.payload.len() + item.id.len()).sum()
    }

    fn change_one(&mut self, account: &Address, change: NodeChange) -> Result<Answer, Fault> {
        match change {
            NodeChange::Put(node) => {
                let key = (account.clone(), node.number);
                let items = self.0.remove(&key).map(|(_, items)| items).unwrap_or_default();
                self.0.insert(key, (node, items));
            }
            NodeChange::Remove(number) => drop(self.0.remove(&(account.clone(), number))),
            NodeChange::PutItems { number, items, keep, limit } => {
                let old = self.items(account, number)?.clone();
                let kept = self.items(account, number)?;
                kept.retain(|kept| items.iter().all(|item| item.id != kept.id));
                kept.extend(items);
                if self.octets(account) as u64 > limit {
                    *self.items(account, number)? = old;
                    return Err(Fault::Full);
                }
                let kept = self.items(account, number)?;
                kept.drain(..kept.len().saturating_sub(keep as usize));
            }
            NodeChange::RemoveItems { number, ids } => {
                let kept = self.items(account, number)?;
                let before = kept.len();
                kept.retain(|item| ids.iter().all(|id| **id != *item.id));
                return Ok(Answer::Count((before - kept.len()) as u64));
            }
            NodeChange::Trim { number, keep } => {
                let kept = self.items(account, number)?;
                kept.drain(..kept.len().saturating_sub(keep as usize));
            }
        }
        Ok(Answer::Done)
    }

    pub(crate) fn look_up(&mut self, account: &Address, look_up: NodeLookUp) -> Result<Answer, Fault> {
        match look_up {
            NodeLookUp::Items { number, page } => {
                let items = self.items(account, number).map(|items| items.clone()).unwrap_or_default();
                Ok(Answer::Items(found(&items, &page)))
            }
            NodeLookUp::Last { numbers, octets } => {
                let last = |number: &i64| Some((*number, self.items(account, *number).ok()?.last()?.clone()));
                let mut sum = 0;
                let fits = numbers.iter().filter_map(last).take_while(|(_, item)| {
                    let fits = sum <= octets;
                    sum += (item.payload.len() + item.id.len()) as u64;
                    fits
                });
                Ok(Answer::LastItems(fits.collect()))
            }
        }
    }
}

fn found(items: &[KeptItem], page: &ItemPage) -> Option<Items> {
    let place = |id: &Option<String>, none| match id {
        None => Some(none),
        Some(id) => items.iter().find(|item| *item.id == **id).map(|item| item.place),
    };
    let (after, before) = (place(&page.after, i64::MIN)?, place(&page.before, i64::MAX)?);
    let named = |item: &&KeptItem| page.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| **id == *item.id));
    let all: Vec<KeptItem> = items
        .iter()
        .filter(|item| item.place > after && item.place < before)
        .filter(named)
        .cloned()
        .collect();
    let wanted = all.len().min(page.limit as usize);
    let order: Vec<&KeptItem> = if page.last { all.iter().rev().collect() } else { all.iter().collect() };
    let mut octets = 0;
    let fits = order.iter().take(wanted).take_while(|item| {
        octets += (item.payload.len() + item.id.len()) as u64;
        octets <= page.octets
    });
    let most = fits.count().max(1).min(wanted);
    let told = if page.last { &all[all.len() - most..] } else { &all[..most] };
    let index = told.first().map_or(0, |first| items.iter().filter(|item| item.place < first.place).count());
    Some(Items { items: told.to_vec(), count: items.len() as u64, index: index as u64, cut: most < wanted })
}
