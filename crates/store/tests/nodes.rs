//! What accounts publish: nodes and items come back as they went in, in their order, and go with their account.

use std::path::Path;
use store::{
    Answer, Fault, ItemPage, Items, NodeChange, NodeItem, NodeLookUp, NodeRow, Query, Settings, Store,
};
use wire::{Account, Address, Keys};

const URL: &str = "sqlite:house.db";

fn joe() -> Address {
    "joe@falcot.com".parse().expect("valid")
}

fn house(folder: &Path) -> Store {
    let store = Store::create(URL, folder, Settings::default()).expect("a new database");
    store.put_many(vec![Account { address: joe(), keys: Keys::default() }]).expect("put");
    store
}

fn node(number: i64, payload: &str) -> NodeRow {
    NodeRow { number, name: format!("urn:example:{number}"), payload: payload.into() }
}

fn item(place: i64, id: &str, payload: &str) -> NodeItem {
    NodeItem { place, id: id.into(), publisher: "joe@falcot.com".into(), payload: payload.into() }
}

fn change(store: &Store, change: NodeChange) -> Result<Answer, Fault> {
    store.handle().ask_wait(Query::ChangeNodes { account: joe(), changes: vec![change] })
}

fn put(store: &Store, number: i64, items: Vec<NodeItem>, keep: u32) -> Result<Answer, Fault> {
    change(store, NodeChange::PutItems { number, items, keep, limit: 100 })
}

fn look_up(store: &Store, look_up: NodeLookUp) -> Answer {
    store.handle().ask_wait(Query::ReadNodes { account: joe(), look_up }).expect("read")
}

/// The ids of a page, how many there are, how many stand in front.
fn page(store: &Store, number: i64, page: ItemPage) -> Option<(String, u64, u64)> {
    let limit = if page.limit == 0 { 100 } else { page.limit };
    let Answer::Items(found) = look_up(store, NodeLookUp::Items { number, page: ItemPage { limit, ..page } })
    else {
        panic!("items")
    };
    let Items { items, count, index, .. } = found?;
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    Some((ids.join(" "), count, index))
}

fn nodes(store: &Store) -> Vec<NodeRow> {
    let Answer::Roster { nodes, .. } = store.handle().ask_wait(Query::LoadRoster(joe())).expect("read")
    else {
        panic!("a roster")
    };
    nodes
}

#[test]
fn nodes_and_items_survive_and_keep_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    change(&store, NodeChange::Put(node(1, "a"))).expect("put");
    change(&store, NodeChange::Put(node(2, "b"))).expect("put");
    change(&store, NodeChange::Put(node(1, "c"))).expect("put again");
    put(&store, 1, vec![item(1, "x", "1"), item(2, "y", "2"), item(3, "z", "3")], 9).expect("put");
    put(&store, 1, vec![item(4, "x", "4")], 9).expect("replaced");
    store.close();
    let store = Store::open(URL, folder.path(), Settings::default()).expect("opens again");
    assert_eq!(nodes(&store), [node(1, "c"), node(2, "b")]);
    assert_eq!(page(&store, 1, ItemPage::default()), Some(("y z x".into(), 3, 0)));
    let last = look_up(&store, NodeLookUp::Last { numbers: vec![2, 1], octets: u64::MAX });
    assert_eq!(last, Answer::LastItems(vec![(1, item(4, "x", "4"))]));
}

#[test]
fn the_last_items_of_many_nodes_are_no_more_octets_than_they_may_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    for number in 1..=4 {
        change(&store, NodeChange::Put(node(number, ""))).expect("put");
        put(&store, number, vec![item(number, "x", "1234")], 9).expect("put");
    }
    let check = |octets: u64, expected: &[i64]| {
        let expected = expected.iter().map(|number| (*number, item(*number, "x", "1234"))).collect();
        let asked = NodeLookUp::Last { numbers: vec![3, 9, 1, 2], octets };
        assert_eq!(look_up(&store, asked), Answer::LastItems(expected), "{octets}");
    };
    check(0, &[3]);
    check(4, &[3]);
    check(5, &[3, 1]);
    check(15, &[3, 1, 2]);
}

#[test]
fn pages_of_items() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    let items = ["a", "b", "c", "d"].iter().zip(1..).map(|(id, place)| item(place, id, "")).collect();
    put(&store, 1, items, 9).expect("put");
    let check = |asked: ItemPage, expected: Option<(&str, u64, u64)>| {
        let expected = expected.map(|(ids, count, index)| (ids.to_owned(), count, index));
        assert_eq!(page(&store, 1, asked.clone()), expected, "{asked:?}");
    };
    let usual = ItemPage::default;
    check(ItemPage { limit: 2, ..usual() }, Some(("a b", 4, 0)));
    check(ItemPage { limit: 2, last: true, ..usual() }, Some(("c d", 4, 2)));
    check(ItemPage { after: Some("b".into()), limit: 1, ..usual() }, Some(("c", 4, 2)));
    check(ItemPage { before: Some("c".into()), last: true, limit: 1, ..usual() }, Some(("b", 4, 1)));
    check(ItemPage { ids: Some(vec!["d".into(), "a".into(), "q".into()]), ..usual() }, Some(("a d", 4, 0)));
    check(ItemPage { ids: Some(vec![]), ..usual() }, Some(("", 4, 0)));
    check(ItemPage { after: Some("' OR 1=1 --".into()), ..usual() }, None);
}

#[test]
fn the_oldest_items_give_way_and_too_much_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    for (place, id) in [(1, "a"), (2, "b"), (3, "c"), (4, "a")] {
        put(&store, 1, vec![item(place, id, "")], 2).expect("put");
    }
    assert_eq!(page(&store, 1, ItemPage::default()), Some(("c a".into(), 2, 0)));
    assert_eq!(put(&store, 1, vec![item(5, "d", &"x".repeat(98))], 2), Err(Fault::Full));
    put(&store, 1, vec![item(6, "a", &"x".repeat(98))], 2).expect("in the place of what was there");
    assert_eq!(
        change(&store, NodeChange::RemoveItems { number: 1, ids: vec!["c".into(), "q".into()] }),
        Ok(Answer::Count(1))
    );
    change(&store, NodeChange::Trim { number: 1, keep: 0 }).expect("purged");
    assert_eq!(page(&store, 1, ItemPage::default()), Some((String::new(), 0, 0)));
}

#[test]
fn of_several_changes_all_are_made_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    put(&store, 1, vec![item(1, "a", "")], 9).expect("put");
    let with = |octets: usize| {
        let changes = vec![
            NodeChange::Put(node(2, "")),
            NodeChange::RemoveItems { number: 1, ids: vec!["a".into()] },
            NodeChange::PutItems {
                number: 2,
                items: vec![item(2, "b", &"x".repeat(octets))],
                keep: 9,
                limit: 100,
            },
        ];
        store.handle().ask_wait(Query::ChangeNodes { account: joe(), changes })
    };
    assert_eq!(with(100), Err(Fault::Full));
    assert_eq!(nodes(&store), [node(1, "")]);
    assert_eq!(page(&store, 1, ItemPage::default()), Some(("a".into(), 1, 0)));
    assert_eq!(with(10), Ok(Answer::Done));
    assert_eq!(nodes(&store).len(), 2);
    assert_eq!(page(&store, 1, ItemPage::default()), Some((String::new(), 0, 0)));
}

#[test]
fn items_go_with_their_node_and_nodes_with_their_account() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    assert_eq!(put(&store, 1, vec![item(1, "a", "")], 2), Err(Fault::NoAccount));
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    put(&store, 1, vec![item(1, "a", "")], 2).expect("put");
    change(&store, NodeChange::Remove(1)).expect("removed");
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    assert_eq!(page(&store, 1, ItemPage::default()), Some((String::new(), 0, 0)));
    put(&store, 1, vec![item(1, "a", "")], 2).expect("put");
    store.handle().ask_wait(Query::RemoveAccount(joe())).expect("removed");
    store.put_many(vec![Account { address: joe(), keys: Keys::default() }]).expect("put");
    assert_eq!(nodes(&store), []);
    let long = NodeRow { name: "n".repeat(2000), ..node(2, "") };
    assert!(matches!(change(&store, NodeChange::Put(long)), Err(Fault::Invalid(_))));
}

/// However many large items a node has, no more of them are read than can be told at once.
#[test]
fn a_page_has_no_more_octets_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    change(&store, NodeChange::Put(node(1, ""))).expect("put");
    let payload = "x".repeat(19);
    let items = ["a", "b", "c", "d"].iter().zip(1..).map(|(id, place)| item(place, id, &payload)).collect();
    put(&store, 1, items, 9).expect("put");
    let check = |asked: ItemPage, expected: &str, cut: bool| {
        let asked = ItemPage { limit: 9, ..asked };
        let Answer::Items(Some(found)) = look_up(&store, NodeLookUp::Items { number: 1, page: asked }) else {
            panic!("items")
        };
        let ids: Vec<&str> = found.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((ids.join(" ").as_str(), found.cut), (expected, cut));
        found.items
    };
    let usual = ItemPage::default;
    check(ItemPage { octets: 40, ..usual() }, "a b", true);
    check(ItemPage { octets: 59, last: true, ..usual() }, "c d", true);
    check(ItemPage { octets: 60, after: Some("a".into()), ..usual() }, "b c d", false);
    check(ItemPage { octets: 0, ..usual() }, "a", true);
    let named = Some(vec!["d".into(), "b".into()]);
    check(ItemPage { octets: 20, ids: named, ..usual() }, "b", true);
    let names = check(ItemPage { octets: 0, names: true, ..usual() }, "a b c d", false);
    assert!(names.iter().all(|item| item.payload.is_empty()));
}
