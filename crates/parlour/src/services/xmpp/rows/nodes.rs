//! Nodes and items in the store's words, and back. What is no text is left out: the store was given text.

use std::sync::Arc;
use xmpp::pubsub::kept::{ItemPage, Items, KeptItem, KeptNode, NodeChange, NodeLookUp};

/// A change.
pub(super) fn change(change: NodeChange) -> store::NodeChange {
    match change {
        NodeChange::Put(KeptNode { number, name, payload }) => store::NodeChange::Put(store::NodeRow {
            number,
            name: name.to_string(),
            payload: payload.as_bytes().to_vec(),
        }),
        NodeChange::Remove(number) => store::NodeChange::Remove(number),
        NodeChange::PutItems { number, items, keep, limit } => {
            let items = items.into_iter().map(given).collect();
            store::NodeChange::PutItems { number, items, keep, limit }
        }
        NodeChange::RemoveItems { number, ids } => store::NodeChange::RemoveItems { number, ids },
        NodeChange::Trim { number, keep } => store::NodeChange::Trim { number, keep },
    }
}

fn given(item: KeptItem) -> store::NodeItem {
    let KeptItem { place, id, publisher, payload } = item;
    let payload = payload.as_bytes().to_vec();
    store::NodeItem { place, id: id.to_string(), publisher: publisher.to_string(), payload }
}

/// What is looked for.
pub(super) fn look_up(look_up: NodeLookUp) -> store::NodeLookUp {
    match look_up {
        NodeLookUp::Items { number, page } => {
            let ItemPage { ids, after, before, last, limit, octets, names } = page;
            let page = store::ItemPage { ids, after, before, last, limit, octets, names };
            store::NodeLookUp::Items { number, page }
        }
        NodeLookUp::Last { numbers, octets } => store::NodeLookUp::Last { numbers, octets },
    }
}

/// A node.
pub(super) fn row(row: store::NodeRow) -> Option<KeptNode> {
    let payload = Arc::from(String::from_utf8(row.payload).ok()?);
    Some(KeptNode { number: row.number, name: row.name.into(), payload })
}

/// An item.
pub(super) fn item(row: store::NodeItem) -> Option<KeptItem> {
    let payload = Arc::from(String::from_utf8(row.payload).ok()?);
    Some(KeptItem { place: row.place, id: row.id.into(), publisher: row.publisher.into(), payload })
}

/// Items of a node.
pub(super) fn items(found: store::Items) -> Items {
    let items = found.items.into_iter().filter_map(item).collect();
    Items { items, count: found.count, index: found.index, cut: found.cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_the_item_and_the_node_back() {
        let item = KeptItem { place: 7, id: "a".into(), publisher: "b@c".into(), payload: "<d/>".into() };
        assert_eq!(super::item(given(item.clone())), Some(item));
        let node = KeptNode { number: 7, name: "urn:é".into(), payload: "<node/>".into() };
        let store::NodeChange::Put(kept) = change(NodeChange::Put(node.clone())) else { panic!("a node") };
        assert_eq!(row(kept), Some(node));
    }
}
