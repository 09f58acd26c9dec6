//! Which rooms there are, as workers know that are not their home.

use super::*;
use crate::muc::RoomRow;
use crate::muc::config::Config;
use crate::router::{Input, Output, Setting};
use wire::{Directory, Machine};

/// What is not done at once for hundreds is done in time, whoever else says something meanwhile or nobody.
#[test]
fn a_large_room_goes_on_by_itself() {
    let mut now = testkit::start();
    let mut router = Router::new(Setting { workers: 1, ..Setting::of_test(now, Directory::new([])) });
    router.rooms.state = State::Read;
    let room = crate::muc::tests::crowd(200);
    let address = room.address.clone();
    router.rooms.halls.insert(address.clone(), Hall::new(room));
    let ban = "<iq from='juliet@verona.example/balcony' to='ball@rooms.verona.example' id='1' type='set'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'><item jid='mantua.example' affiliation='outcast'/></query></iq>";
    router.for_rooms(Parcel::own(Stanza::parse(ban).unwrap()));
    router.run();
    let mut left = vec![router.rooms.halls[&address].room.seats.len()];
    while let Some(next) = router.deadline() {
        assert!(next > now && left.len() < 10, "{left:?}");
        now = next;
        router.tick(now);
        left.push(router.rooms.halls[&address].room.seats.len());
    }
    assert!(left.len() > 2 && left.is_sorted_by(|a, b| a > b) && left.last() == Some(&201), "{left:?}");
}

/// What the store told was true when it was asked: a room that has ended since is no more.
#[test]
fn what_is_heard_while_rooms_are_read_is_newer_than_what_is_read() {
    let now = testkit::start();
    let mut router = Router::new(Setting::of_test(now, Directory::new([])));
    let creator: Bare = "juliet@verona.example".parse().unwrap();
    let room = |name: &str| {
        let address: Address = format!("{name}@rooms.verona.example").parse().unwrap();
        Room::new(address, creator.clone(), "salt".into(), Config::default())
    };
    let row = |room: &Room| RoomRow {
        room: room.address.clone(),
        document: room.document().into(),
        ranks: Vec::new(),
    };
    // Both are at home elsewhere.
    let elsewhere = |prefix: &str| {
        let mut rooms = (0..).map(|n| room(&format!("{prefix}{n}")));
        rooms.find(|room| room.address.home(2) == WorkerId(1)).unwrap()
    };
    let (ended, stays) = (elsewhere("ended"), elsewhere("stays"));
    let question = "<iq from='a@verona.example/x' to='rooms.verona.example' id='1' type='get'/>";
    router.for_rooms(Parcel::own(Stanza::parse(question).unwrap()));
    router.run();
    let Some(Output::Ask { token, query: Query::LoadRooms }) = router.poll() else { panic!("a question") };
    let listed = Between::Listed { room: ended.address.clone(), listing: None };
    router.handle(now, Input::HandedOver(listed));
    let rows = Answer::Rooms(vec![row(&ended), row(&stays)]);
    router.handle(now, Input::Answer { token, outcome: Ok(rows) });
    assert_eq!(router.rooms.index.keys().collect::<Vec<_>>(), [&stays.address]);
    let listed = Between::Listed { room: stays.address, listing: None };
    router.handle(now, Input::HandedOver(listed));
    assert!(router.rooms.index.is_empty() && router.rooms.made.is_empty());
}
