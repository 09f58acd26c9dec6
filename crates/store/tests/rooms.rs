//! Rooms: what they are, who is what to them and what was said in them comes back, and goes with them.

use store::{Answer, ArchivedMessage, Fault, Query, Rank, Room, Settings, Span, Store};
use wire::Address;

fn address(text: &str) -> Address {
    text.parse().expect("valid")
}

fn ask(store: &Store, query: Query) -> Result<Answer, Fault> {
    store.handle().ask_wait(query)
}

#[test]
fn rooms_their_ranks_and_their_archives() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create("sqlite:house.db", folder.path(), Settings::default()).expect("a new database");
    let room = address("ball@rooms.falcot.com");
    let rank = |contact: &str, payload: Option<&str>| Rank {
        contact: contact.to_owned(),
        payload: payload.map(|payload| payload.as_bytes().to_vec()),
    };
    let put = |document: Option<&str>, ranks: Vec<Rank>| {
        let document = document.map(|document| document.as_bytes().to_vec());
        ask(&store, Query::PutRoom { room: room.clone(), document, ranks })
    };
    let message = |id| ArchivedMessage { id, peer: "p".into(), resource: "n".into(), payload: b"m".to_vec() };
    let add = |id| ask(&store, Query::AddRoomArchived { room: room.clone(), message: message(id) });
    assert!(add(1).is_err(), "there is no such room");
    put(Some("one"), vec![rank("a@b", Some("owner")), rank("c@d", Some("member"))]).expect("stored");
    put(None, vec![rank("c@d", None), rank("e@f", Some("outcast"))]).expect("stored");
    put(Some("two"), vec![]).expect("stored");
    let ranks = vec![rank("a@b", Some("owner")), rank("e@f", Some("outcast"))];
    let rooms = vec![Room { address: room.clone(), document: b"two".to_vec(), ranks }];
    assert_eq!(ask(&store, Query::LoadRooms), Ok(Answer::Rooms(rooms)));
    (1..=4).for_each(|id| drop(add(id).expect("stored")));
    let amend = Query::AmendRoomArchived { room: room.clone(), id: 2, payload: b"gone".to_vec() };
    ask(&store, amend).expect("stored");
    let span = || Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
    let last =
        Query::ListRoomArchived { room: room.clone(), span: span(), last: true, limit: 3, octets: u64::MAX };
    let buried = ArchivedMessage { payload: b"gone".to_vec(), ..message(2) };
    assert_eq!(ask(&store, last), Ok(Answer::Archived(vec![buried, message(3), message(4)])));
    let excess = Query::RoomExcess { room: room.clone(), messages: 3, octets: 1_000 };
    assert_eq!(ask(&store, excess), Ok(Answer::Excess(Some(1))));
    ask(&store, Query::TrimRoom { room: room.clone(), up_to: 1 }).expect("stored");
    let count = || ask(&store, Query::CountRoomArchived { room: room.clone(), span: span() });
    assert_eq!(count(), Ok(Answer::Count(3)));
    ask(&store, Query::PurgeArchives { before: 4 }).expect("stored");
    assert_eq!(count(), Ok(Answer::Count(1)));
    ask(&store, Query::RemoveRoom(room.clone())).expect("stored");
    assert_eq!((count(), ask(&store, Query::LoadRooms)), (Ok(Answer::Count(0)), Ok(Answer::Rooms(vec![]))));
}
