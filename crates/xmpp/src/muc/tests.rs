//! Rooms that are large: what one request may cause, and what is kept, has bounds.

use super::config::Config;
use super::limits;
use super::room::Room;
use super::{Context, Effect, RoomLimits};
use crate::ns;
use crate::stanza::{Condition, Stanza};
use std::sync::Arc;
use std::time::Duration;

const OWNER: &str = "juliet@verona.example/balcony";

/// A room with its owner and so many others of a domain in it.
fn room(others: usize, domain: &str) -> Room {
    let creator = "juliet@verona.example".parse().unwrap();
    let address = "ball@rooms.verona.example".parse().unwrap();
    let mut room = Room::new(address, creator, "salt".into(), Config::default());
    room.locked = false;
    room.config.max_users = others + 1;
    enter(&mut room, OWNER, "Juliet");
    for number in 0..others {
        enter(&mut room, &format!("{number}@{domain}/x"), &number.to_string());
    }
    room
}

fn enter(room: &mut Room, who: &str, nick: &str) {
    let x = format!("<x xmlns='{}'/>", ns::MUC);
    take(room, &format!("<presence from='{who}' to='ball@rooms.verona.example/{nick}'>{x}</presence>"));
}

/// Lets the room take something in.
fn take(room: &mut Room, xml: &str) -> Vec<Effect> {
    with(room, |room, context| room.take(context, &Stanza::parse(xml).unwrap()))
}

/// Lets the room go on with what it has not done yet, part by part: what came of each.
fn rest(room: &mut Room) -> Vec<usize> {
    let mut parts = Vec::new();
    while !room.due.is_empty() {
        let effects = with(room, Room::go_on);
        parts.push(told(room, &effects));
    }
    parts
}

fn with(room: &mut Room, act: impl FnOnce(&mut Room, &mut Context<'_>)) -> Vec<Effect> {
    let limits = RoomLimits::default();
    let mut context = Context {
        now: Duration::from_secs(1),
        id: 1,
        limits: &limits,
        archive: false,
        from_component: true,
        left: limits::TOLD,
        effects: Vec::new(),
    };
    act(room, &mut context);
    context.effects
}

/// How many stanzas come of it for those in the room.
fn told(room: &Room, effects: &[Effect]) -> usize {
    let count = |effect: &Effect| match effect {
        Effect::To(stanzas, to) => stanzas.len() * to.len(),
        Effect::All(_) => room.seats.len(),
        _ => 0,
    };
    effects.iter().map(count).sum()
}

fn admin(room: &mut Room, items: impl Iterator<Item = String>) -> Vec<Effect> {
    let items: String = items.collect();
    let query = format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN);
    take(room, &format!("<iq from='{OWNER}' to='ball@rooms.verona.example' id='1' type='set'>{query}</iq>"))
}

fn is_refused(effects: &[Effect], condition: Condition) -> bool {
    match effects {
        [Effect::Answer(answer)] => answer.is_error() && answer.as_str().contains(condition.name()),
        _ => false,
    }
}

#[test]
fn one_request_does_not_tell_a_thousand_of_a_thousand() {
    let mut room = room(99, "verona.example");
    let most = limits::TOLD / 100;
    let member = |n: usize| format!("<item jid='m{n}@verona.example' affiliation='member'/>");
    assert!(is_refused(&admin(&mut room, (0..=most).map(member)), Condition::PolicyViolation));
    assert!(room.ranks.len() == 1);
    let effects = admin(&mut room, (0..most).map(member));
    assert!(told(&room, &effects) <= limits::TOLD && room.ranks.len() == most + 1);
}

#[test]
fn affiliations_have_a_bound_in_octets() {
    let mut room = room(0, "verona.example");
    let reason = "x".repeat(limits::REASON);
    let item = |n: usize, affiliation: &str| {
        let reason = format!("<reason>{reason}</reason>");
        format!("<item jid='m{n}@verona.example' affiliation='{affiliation}'>{reason}</item>")
    };
    let full = (0..1_000).find(|n| {
        is_refused(&admin(&mut room, [item(*n, "outcast")].into_iter()), Condition::ResourceConstraint)
    });
    let full = full.expect("a bound");
    assert!(full > 400 && full * limits::REASON <= limits::RANKS_OCTETS, "{full}");
    // What makes it no longer is possible, and makes room.
    assert!(!admin(&mut room, [item(0, "member")].into_iter()).is_empty() && room.ranks.len() == full + 1);
    admin(&mut room, [item(0, "none")].into_iter());
    assert!(!is_refused(
        &admin(&mut room, [item(full, "outcast")].into_iter()),
        Condition::ResourceConstraint
    ));
}

/// What somebody had was counted as given back as often as they were named: below nothing.
#[test]
fn who_is_named_more_than_once_is_counted_once() {
    let mut room = room(0, "verona.example");
    let item = |reason: &str| {
        let reason = format!("<reason>{reason}</reason>");
        format!("<item jid='tybalt@verona.example' affiliation='outcast'>{reason}</item>")
    };
    admin(&mut room, [item(&"x".repeat(limits::REASON))].into_iter());
    let effects = admin(&mut room, ["a", "b"].map(item).into_iter());
    assert!(!is_refused(&effects, Condition::ResourceConstraint));
    let who = "tybalt@verona.example".parse().unwrap();
    assert_eq!(room.ranks.get(&who).and_then(|rank| rank.reason.as_deref()), Some("b"));
}

/// The room became one of members before its new admins were any: they were shown out of it, and not in again.
#[test]
fn who_is_made_an_admin_by_the_form_that_makes_the_room_one_of_members_stays() {
    let mut room = room(2, "verona.example");
    let field =
        |var: &str, value: &str| format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>");
    let fields = field("membersonly", "1") + &field("roomadmins", "1@verona.example");
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
    let query = format!("<query xmlns='{}'>{form}</query>", ns::MUC_OWNER);
    take(
        &mut room,
        &format!("<iq from='{OWNER}' to='ball@rooms.verona.example' id='1' type='set'>{query}</iq>"),
    );
    assert_eq!(room.occupants.keys().map(|nick| &**nick).collect::<Vec<_>>(), ["1", "Juliet"]);
}

/// They were told of one another's end: half a million stanzas for a thousand who are not there.
#[test]
fn all_of_a_component_that_is_away_go_at_once() {
    let mut room = room(200, "irc.verona.example");
    let error =
        "<error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let from = "from='7@irc.verona.example/x' to='ball@rooms.verona.example' type='error'";
    let effects = take(&mut room, &format!("<message {from}><body>x</body>{error}</message>"));
    assert_eq!((room.occupants.len(), room.seats.len()), (1, 1));
    // Each to itself and to the one who stays.
    assert_eq!(told(&room, &effects), 2 * 200);
    assert!(take(&mut room, &format!("<message {from}><body>x</body>{error}</message>")).is_empty());
}

#[test]
fn a_domain_is_banned_without_a_word_to_each_of_each() {
    let mut room = room(200, "mantua.example");
    let effects = admin(&mut room, ["<item jid='mantua.example' affiliation='outcast'/>".into()].into_iter());
    assert_eq!(told(&room, &effects), 2 * 200);
}

/// A room with a few hundred of another domain beside those of ours.
pub(super) fn crowd(guests: usize) -> Room {
    let mut room = room(guests, "mantua.example");
    room.config.max_users = 1_000;
    (0..guests).for_each(|n| enter(&mut room, &format!("{n}@verona.example/x"), &format!("v{n}")));
    room
}

/// A quarter of a million stanzas at once, of a room of a thousand, held up everybody else and filled the memory.
#[test]
fn a_domain_is_banned_part_by_part() {
    let mut room = crowd(200);
    let effects = admin(&mut room, ["<item jid='mantua.example' affiliation='outcast'/>".into()].into_iter());
    let first = told(&room, &effects);
    assert!(first > limits::TOLD / 2 && first <= limits::TOLD, "{first}");
    // Who has to go is gone before they do anything.
    let last = "from='99@mantua.example/x' to='ball@rooms.verona.example'";
    assert!(room.occupants.contains_key("99"));
    let effects = take(&mut room, &format!("<message {last} type='groupchat'><body>x</body></message>"));
    assert!(!room.occupants.contains_key("99"));
    let own = 1 + 201;
    let refused = effects.iter().any(|effect| matches!(effect, Effect::Answer(answer) if answer.is_error()));
    assert!(refused && !effects.iter().any(|effect| matches!(effect, Effect::All(_))));
    assert_eq!(told(&room, &effects), own);
    // Who has to go is told of nobody else.
    let rest = rest(&mut room);
    assert!(rest.iter().all(|told| *told <= limits::TOLD), "{rest:?}");
    assert_eq!(first + own + rest.iter().sum::<usize>(), 200 * own);
    assert_eq!((room.occupants.len(), room.seats.len()), (201, 201));
}

#[test]
fn a_domain_is_made_members_part_by_part() {
    let mut room = crowd(150);
    let effects = admin(&mut room, ["<item jid='mantua.example' affiliation='member'/>".into()].into_iter());
    let first = told(&room, &effects);
    assert!(first > limits::TOLD / 2 && first <= limits::TOLD, "{first}");
    let rest = rest(&mut room);
    assert!(rest.iter().all(|told| *told <= limits::TOLD), "{rest:?}");
    assert_eq!(first + rest.iter().sum::<usize>(), 150 * 301);
}

/// A quarter of a megabyte for each of a thousand is a quarter of a gigabyte at once, as often as one of them likes.
#[test]
fn what_is_said_is_shorter_where_there_are_more_to_hear_it() {
    let mut room = room(400, "verona.example");
    let mut say = |octets: usize| {
        let to = "to='ball@rooms.verona.example' type='groupchat'";
        let body = "x".repeat(octets);
        take(&mut room, &format!("<message from='7@verona.example/x' {to}><body>{body}</body></message>"))
    };
    let most = limits::SAID / 401;
    assert!(is_refused(&say(most), Condition::PolicyViolation));
    assert!(matches!(&say(most - 200)[..], [Effect::All(_)]));
}

/// A thousand of them with names of a quarter of a megabyte each stayed with the room for as long as nobody answered.
#[test]
fn what_is_kept_of_requests_that_nobody_answers_is_bounded() {
    let mut room = room(1, "verona.example");
    let mut ask = |id: usize| {
        let to = "to='ball@rooms.verona.example/0' type='get'";
        let id = "x".repeat(id);
        take(&mut room, &format!("<iq from='{OWNER}' {to} id='{id}'><query xmlns='jabber:iq:version'/></iq>"))
    };
    assert!(is_refused(&ask(limits::RELAY_ID + 1), Condition::PolicyViolation));
    for _ in 0..=limits::RELAYS {
        assert!(matches!(&ask(limits::RELAY_ID)[..], [Effect::Relay(_)]));
    }
    assert_eq!(room.relays.len(), limits::RELAYS);
    assert!(
        room.relays.values().map(|relay| relay.id.len()).sum::<usize>() <= limits::RELAYS * limits::RELAY_ID
    );
}

/// All that a room keeps of anybody was looked through whenever somebody came in.
#[test]
fn whose_a_nick_is_stands_in_an_index() {
    let mut room = room(0, "verona.example");
    let item = |who: &str, affiliation: &str, nick: &str| {
        format!("<item jid='{who}@verona.example' affiliation='{affiliation}'{nick}/>")
    };
    let check = |room: &Room, nick: &str, expected: Option<&str>| {
        let looked = room.reserved_for(nick).map(|who| who.as_str().to_owned());
        let rows = room.ranks.iter().find(|(_, rank)| rank.nick.as_deref() == Some(nick));
        assert_eq!(looked, rows.map(|(who, _)| who.as_str().to_owned()), "{nick}");
        assert_eq!(looked.as_deref(), expected, "{nick}");
    };
    admin(&mut room, [item("tybalt", "member", " nick='Cat'")].into_iter());
    check(&room, "Cat", Some("tybalt@verona.example"));
    // Somebody else does not get it, and their own goes where they take another.
    admin(&mut room, [item("romeo", "member", " nick='Cat'")].into_iter());
    check(&room, "Cat", Some("tybalt@verona.example"));
    admin(&mut room, [item("tybalt", "admin", " nick='Prince'")].into_iter());
    check(&room, "Cat", None);
    check(&room, "Prince", Some("tybalt@verona.example"));
    room.changes.ranks = room.ranks.keys().cloned().collect();
    let ranks = room.changed_ranks().into_iter().filter_map(|(who, rank)| Some((who, rank?)));
    let (address, document) = (room.address.clone(), room.document().into());
    let again = super::RoomRow { room: address, document, ranks: ranks.collect() };
    check(&Room::restored(again).unwrap(), "Prince", Some("tybalt@verona.example"));
    admin(&mut room, [item("tybalt", "none", "")].into_iter());
    check(&room, "Prince", None);
}

/// Whoever asks for what they may not have, again and again, makes no copy of all who are there.
#[test]
fn what_changes_nothing_copies_nothing() {
    let mut room = room(50, "verona.example");
    let before = room.clone();
    let to = "to='ball@rooms.verona.example' id='1' type='set'";
    let query = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='7' role='none'/></query>";
    let effects = take(&mut room, &format!("<iq from='tybalt@verona.example/street' {to}>{query}</iq>"));
    assert!(is_refused(&effects, Condition::Forbidden));
    assert!(Arc::ptr_eq(&before.occupants, &room.occupants) && Arc::ptr_eq(&before.seats, &room.seats));
    assert!(Arc::ptr_eq(&before.ranks, &room.ranks) && Arc::ptr_eq(&before.history, &room.history));
    admin(&mut room, ["<item jid='tybalt@verona.example' affiliation='outcast'/>".into()].into_iter());
    assert!(Arc::ptr_eq(&before.occupants, &room.occupants) && before.ranks.len() + 1 == room.ranks.len());
}

#[test]
fn what_is_for_many_is_written_once_for_all_who_see_the_same() {
    let mut room = room(100, "verona.example");
    let said = "<message from='7@verona.example/x' to='ball@rooms.verona.example' type='groupchat'><body>x</body></message>";
    let effects = take(&mut room, said);
    assert!(matches!(&effects[..], [Effect::All(_)]), "{effects:?}");
    // Moderators see who it is, others do not, and it is told of itself: three forms.
    let effects = take(&mut room, "<presence from='7@verona.example/x' to='ball@rooms.verona.example/7'/>");
    let written: usize = effects.iter().map(|e| if let Effect::To(all, _) = e { all.len() } else { 0 }).sum();
    assert_eq!((written, told(&room, &effects)), (3, 101));
}
