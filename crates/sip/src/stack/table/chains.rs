//! Client transactions by whom they depend on: each is a link between its neighbours, so that one comes and goes at the cost
//! of one look into a table, however many there are.

use super::{Client, End, Entry};
use crate::slab::{Id, Slab};
use crate::stack::send::Path;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry as Slot;

/// The neighbours of a transaction among those of its end: the one that came before it, and the one that came after.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chain {
    older: Option<Id>,
    younger: Option<Id>,
}

/// The youngest transaction of each end.
#[derive(Debug, Default)]
pub(super) struct Chains(FxHashMap<End, Id>);

type Rows = Slab<Box<Entry>>;

fn client(rows: &mut Rows, id: Id) -> Option<&mut Client> {
    match &mut **rows.get_mut(id)? {
        Entry::Client(client) => Some(client),
        Entry::Server(_) => None,
    }
}

fn end(path: &Path) -> Option<End> {
    match path {
        Path::Datagram { to, .. } => Some(End::Datagrams(*to)),
        Path::Stream { conn, .. } => Some(End::Stream(*conn)),
        Path::Dial { .. } => None,
    }
}

impl Chains {
    /// Adds a transaction to those of its end, if it depends on one.
    pub(super) fn join(&mut self, rows: &mut Rows, id: Id) {
        let Some(row) = client(rows, id) else { return };
        let Some(end) = end(&row.path) else { return };
        let older = self.0.insert(end, id);
        row.chain = Chain { older, younger: None };
        if let Some(older) = older.and_then(|older| client(rows, older)) {
            older.chain.younger = Some(id);
        }
    }

    /// Takes one out, before its path changes or its row goes.
    pub(super) fn leave(&mut self, rows: &mut Rows, id: Id) {
        let Some(row) = client(rows, id) else { return };
        let Some(end) = end(&row.path) else { return };
        let Chain { older, younger } = std::mem::take(&mut row.chain);
        if let Some(row) = older.and_then(|older| client(rows, older)) {
            row.chain.younger = younger;
        }
        match (younger.and_then(|younger| client(rows, younger)), older) {
            (Some(row), older) => row.chain.older = older,
            (None, Some(older)) => drop(self.0.insert(end, older)),
            (None, None) => self.forget(end, id),
        }
    }

    fn forget(&mut self, end: End, id: Id) {
        if let Slot::Occupied(last) = self.0.entry(end)
            && *last.get() == id
        {
            last.remove();
        }
        if self.0.capacity() > 1024 && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    /// All of an end, the oldest first.
    pub(super) fn of(&self, rows: &Rows, end: End) -> Vec<Id> {
        let link = |id: &Id| match rows.get(*id).map(|row| &**row) {
            Some(Entry::Client(client)) => client.chain.older,
            _ => None,
        };
        let mut all: Vec<Id> = std::iter::successors(self.0.get(&end).copied(), link).collect();
        all.reverse();
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::slab::Id;
    use crate::stack::send::Path;
    use crate::stack::table::{Cancel, Chain, Client, ClientKind, Table};
    use crate::trace::Mark;
    use crate::transaction::client_request::ClientRequest;
    use proptest::prelude::*;
    use std::net::SocketAddr;
    use wire::SocketId;

    fn peer(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn towards(port: u16) -> Path {
        Path::Datagram { socket: SocketId(0), local: None, to: peer(port) }
    }

    fn insert(table: &mut Table, port: u16) -> Id {
        let client = Client {
            kind: ClientKind::Request(ClientRequest::new(false)),
            owner: None,
            mark: Mark::default(),
            path: towards(port),
            request: Vec::new(),
            cancel: Cancel::No,
            reason: Vec::new(),
            chain: Chain::default(),
        };
        table.insert_client(client).expect("there is room")
    }

    proptest! {
        #[test]
        fn whoever_waits_for_an_end_is_found_by_it(steps in prop::collection::vec((0..4u8, 0..3u16, any::<prop::sample::Index>()), 0..80)) {
            let mut table = Table::new(1000, 1000);
            let mut model: Vec<(Id, u16)> = Vec::new();
            for (what, port, which) in steps {
                match what {
                    _ if model.is_empty() => model.push((insert(&mut table, port), port)),
                    0 | 1 => model.push((insert(&mut table, port), port)),
                    2 => {
                        let (id, _) = model.remove(which.index(model.len()));
                        prop_assert!(table.remove_client(id).is_some() && table.remove_client(id).is_none());
                    }
                    _ => {
                        let (id, _) = model.remove(which.index(model.len()));
                        table.moved(id, towards(port));
                        model.push((id, port));
                    }
                }
                for port in 0..3 {
                    let expected: Vec<Id> = model.iter().filter(|row| row.1 == port).map(|row| row.0).collect();
                    prop_assert_eq!(table.waiting_on_datagrams(peer(port)), expected);
                }
            }
            for (id, _) in model.drain(..) {
                table.remove_client(id);
            }
            prop_assert!(table.by_end.0.is_empty());
        }
    }
}
