//! Storms: many people doing anything in any order, with a store and queues that stop and go on. Whatever happens,
//! no message is lost, none overtakes another, every ping is answered in its turn and never before what was sent
//! ahead of it is safe, and both ends of a subscription agree in the end.

use crate::world::{Witness, World};
use std::collections::{BTreeMap, BTreeSet};
use wire::{Address, ConnectionId, Entropy};
use xmpp::presence::subscription::Side;
use xmpp::router::Limits;

const PEOPLE: [&str; 4] = ["romeo", "juliet", "mercutio", "tybalt"];
const RESOURCES: [&str; 2] = ["a", "b"];

/// What goes on behind the people's backs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Nothing.
    Calm,
    /// The store and the queues between workers stop and go on.
    Rough,
    /// The store fails, too.
    Failing,
}

struct Storm {
    world: World,
    dice: testkit::Seeded,
    /// Who is connected: name and resource.
    there: BTreeMap<(&'static str, &'static str), ConnectionId>,
    messages: u32,
    /// Those to accounts: of those to resources one may rightly come while an earlier one is kept.
    to_accounts: BTreeSet<u32>,
    pings: u32,
    weather: Weather,
}

fn address(name: &str) -> Address {
    format!("{name}@verona.example").parse().unwrap()
}

impl Storm {
    fn new(seed: u64, workers: u16, weather: Weather) -> Self {
        let limits = Limits { pending: 4, cached: 1, backlog: 100_000, ..Limits::default() };
        let mut world = World::new(workers, limits);
        world.witness = Some(Witness::default());
        let dice = testkit::Seeded::new(seed);
        Self {
            world,
            dice,
            there: BTreeMap::new(),
            messages: 0,
            to_accounts: BTreeSet::new(),
            pings: 0,
            weather,
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.dice.next_u64() % sides as u64).unwrap()
    }

    fn somebody(&mut self) -> (&'static str, &'static str) {
        (PEOPLE[self.roll(PEOPLE.len())], RESOURCES[self.roll(RESOURCES.len())])
    }

    fn act(&mut self) {
        let who = self.somebody();
        let there = self.there.get(&who).copied();
        let Some(connection) = there.filter(|there| !self.world.client(*there).given_up) else {
            return self.connect(who);
        };
        let whom = PEOPLE[self.roll(PEOPLE.len())];
        let to = format!("{whom}@verona.example");
        match self.roll(33) {
            0 => {
                self.world.disconnect(connection);
                self.there.remove(&who);
            }
            1 => self.connect(who),
            2 => self.world.send(connection, "<presence type='unavailable'/>"),
            3..=5 => {
                let priority = self.roll(4) as i32 - 1;
                let presence = format!("<presence><priority>{priority}</priority></presence>");
                self.world.send(connection, &presence);
            }
            6..=8 => self.subscription(connection, whom),
            9 => self.roster(connection, &to),
            10..=21 => self.message(connection, whom),
            22..=25 => self.ping(connection),
            27 => self.world.let_through(),
            28 => self.go_on(),
            _ if self.weather == Weather::Calm => {}
            26 => self.world.store.stopped = true,
            29 => {
                let full = self.roll(2) == 0;
                self.world.fill_queues(full);
            }
            30 => self.world.silent = !self.world.silent,
            31 => self.world.client(connection).deaf = true,
            _ => self.world.store.failing = self.weather == Weather::Failing && self.roll(4) == 0,
        }
    }

    fn go_on(&mut self) {
        self.world.store.stopped = false;
        self.world.store.failing = false;
        self.world.settle();
    }

    fn connect(&mut self, who: (&'static str, &'static str)) {
        let connection = self.world.connect(&address(who.0), Some(who.1));
        self.there.insert(who, connection);
    }

    fn witness(&mut self) -> &mut Witness {
        self.world.witness.as_mut().unwrap()
    }

    fn message(&mut self, connection: ConnectionId, whom: &str) {
        self.messages += 1;
        let number = self.messages;
        self.witness().sent.entry(connection).or_default().push(number);
        let resource = ["", "", "/a", "/b"][self.roll(4)];
        if resource.is_empty() {
            self.to_accounts.insert(number);
        }
        let message = format!(
            "<message to='{whom}@verona.example{resource}' type='chat' id='m{number}'><body>x</body></message>"
        );
        self.world.send(connection, &message);
    }

    fn ping(&mut self, connection: ConnectionId) {
        self.pings += 1;
        let sent = self.witness().sent.get(&connection).map_or(0, Vec::len);
        self.witness().pings.entry(connection).or_default().push_back(sent);
        let ping = format!("<iq type='get' id='p{}'><ping xmlns='urn:xmpp:ping'/></iq>", self.pings);
        self.world.send(connection, &ping);
    }

    fn subscription(&mut self, connection: ConnectionId, whom: &str) {
        let kind = ["subscribe", "subscribed", "subscribed", "unsubscribe", "unsubscribed"][self.roll(5)];
        self.world.send(connection, &format!("<presence to='{whom}@verona.example' type='{kind}'/>"));
    }

    fn roster(&mut self, connection: ConnectionId, to: &str) {
        let remove = ["", " subscription='remove'"][self.roll(2)];
        let item = format!("<query xmlns='jabber:iq:roster'><item jid='{to}'{remove}/></query>");
        self.world.send(connection, &format!("<iq type='set' id='r'>{item}</iq>"));
    }

    /// Calm comes, and everybody who is there reads all that came.
    fn end(&mut self) {
        self.world.fill_queues(false);
        self.world.silent = false;
        self.go_on();
        for (name, resource) in PEOPLE.map(|name| (name, "a")) {
            self.connect((name, resource));
            let connection = self.there[&(name, resource)];
            self.world.send(connection, "<presence/>");
        }
        self.world.settle();
    }

    fn check(&mut self) {
        assert!(self.world.is_idle(), "something is under way for ever: {:#?}", self.world.under_way());
        let mut open: Vec<ConnectionId> = self.there.values().copied().collect();
        open.retain(|connection| !self.world.client(*connection).given_up);
        let messages = self.messages;
        let witness = self.world.witness.as_ref().unwrap();
        for number in 1..=messages {
            let safe = witness.heard.contains(&number) || self.world.store.keeps(number);
            // Who has gone does not hear that the store could not keep it.
            let gone =
                || !open.iter().any(|c| witness.sent.get(c).is_some_and(|sent| sent.contains(&number)));
            assert!(safe || (self.weather == Weather::Failing && gone()), "message {number} is lost");
        }
        for connection in open {
            assert!(
                witness.pings.get(&connection).is_none_or(|left| left.is_empty()),
                "a ping is not answered"
            );
        }
        // A store that fails may make a login begin without what is kept.
        if self.weather != Weather::Failing {
            self.check_order();
        }
        // What is said at the same time at both ends may cross, and then they disagree (RFC 6121 has no remedy).
        if self.weather == Weather::Calm {
            self.check_subscriptions();
        }
    }

    fn check_order(&self) {
        let witness = self.world.witness.as_ref().unwrap();
        for (connection, delivered) in &witness.delivered {
            for sent in witness.sent.values() {
                let meant = |number: &u32| witness.waited.get(number).is_none_or(|other| other == connection);
                let counts = |number: &u32| {
                    sent.contains(number) && self.to_accounts.contains(number) && meant(number)
                };
                let from_here: Vec<u32> = delivered.iter().copied().filter(counts).collect();
                assert!(from_here.is_sorted(), "overtaken: {from_here:?}");
            }
        }
    }

    /// What one end says of a subscription, the other says too.
    fn check_subscriptions(&self) {
        let items: BTreeMap<(String, String), _> = self
            .world
            .store
            .items()
            .map(|(account, contact, item)| ((account.to_string(), contact.to_string()), item.state))
            .collect();
        for ((account, contact), state) in &items {
            let other = items.get(&(contact.clone(), account.clone())).copied().unwrap_or_default();
            assert_eq!(
                state.to == Side::Yes,
                other.from == Side::Yes,
                "{account} {state:?} and {contact} {other:?}"
            );
        }
    }
}

fn storm(seed: u64, workers: u16, weather: Weather) {
    let mut storm = Storm::new(seed, workers, weather);
    for _ in 0..400 {
        storm.act();
    }
    storm.end();
    storm.check();
}

fn check(weather: Weather) {
    for seed in 0..40 {
        for workers in [1, 2, 3] {
            let played = std::panic::catch_unwind(|| storm(seed, workers, weather));
            assert!(played.is_ok(), "seed {seed}, {workers} workers, {weather:?}");
        }
    }
}

#[test]
fn both_ends_agree() {
    check(Weather::Calm);
}

#[test]
fn nothing_is_lost_in_a_storm() {
    check(Weather::Rough);
}

#[test]
fn nothing_is_lost_silently_when_the_store_fails_too() {
    check(Weather::Failing);
}
