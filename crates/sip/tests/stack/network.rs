//! Whole calls over a network that loses, doubles and reorders: they come to the right end, and nothing is left over.

use crate::house::{House, UDP};
use crate::phone::{Manner, Phone};
use std::time::Duration;
use testkit::{Conditions, Host, Simulation};

struct World {
    simulation: Simulation,
    house: House,
    phones: Vec<Phone>,
}

impl World {
    /// alice, and bob's phones with these manners, all registered.
    fn new(seed: u64, workers: u16, conditions: Conditions, manners: &[Manner]) -> Self {
        let simulation = Simulation::new(seed, conditions);
        let now = simulation.now();
        let mut house = House::new(workers);
        house.now = now;
        let mut phones = vec![Phone::new("alice", "198.51.100.1:5062", UDP, now, Manner::Rings)];
        for (n, manner) in manners.iter().enumerate() {
            let me = format!("198.51.100.{}:{}", n + 2, 5061 + n);
            phones.push(Phone::new("bob", &me, UDP, now, *manner));
        }
        phones.iter_mut().skip(1).for_each(Phone::register);
        let mut world = Self { simulation, house, phones };
        world.run(40, |phones| phones[1..].iter().all(|phone| phone.has("registered 200")));
        world
    }

    /// Runs until something holds, for at most this many seconds.
    fn run(&mut self, seconds: u64, done: impl Fn(&[Phone]) -> bool) -> bool {
        // The simulation borrows every host; what is done is looked at between its steps.
        let end = self.simulation.now() + Duration::from_secs(seconds);
        while !done(&self.phones) {
            if self.simulation.now() >= end {
                return false;
            }
            self.step(Duration::from_millis(20));
        }
        true
    }

    fn step(&mut self, time: Duration) {
        let mut hosts: Vec<&mut dyn Host> = vec![&mut self.house];
        hosts.extend(self.phones.iter_mut().map(|phone| phone as &mut dyn Host));
        self.simulation.run(&mut hosts, time);
    }

    fn call(&mut self) {
        // The phone's clock stands where it last heard something.
        let now = self.simulation.now();
        self.phones[0].tick(now);
        self.phones[0].call("sip:bob@falcot.com");
    }

    /// After all timers have run out nothing is left.
    fn is_clean(&mut self) -> bool {
        self.run(150, |_| false);
        self.house.transactions() == 0
    }
}

#[test]
fn calls_on_a_bad_network_are_answered_and_ended() {
    let mut good = 0;
    for seed in 0..200 {
        let workers = 1 + u16::try_from(seed % 3).unwrap();
        let mut world = World::new(seed, workers, Conditions::bad(), &[Manner::Answers(1000)]);
        world.call();
        let ended = world.run(120, |phones| phones[0].has("BYE 200") && phones[1].has("got BYE"));
        let (alice, bob) = (&world.phones[0], &world.phones[1]);
        assert!(
            alice.times("200") <= 1 && bob.times("got BYE") <= 1,
            "{seed}: {:?} {:?}",
            alice.log,
            bob.log
        );
        good += usize::from(ended);
        assert!(world.is_clean(), "{seed}");
    }
    assert!(good >= 198, "{good} of 200 calls came to their end");
}

#[test]
fn refusals_on_a_bad_network_reach_the_caller() {
    let mut good = 0;
    for seed in 0..100 {
        let mut world = World::new(seed, 2, Conditions::bad(), &[Manner::Refuses("486 Busy Here")]);
        world.call();
        good += usize::from(world.run(60, |phones| phones[0].has("486") && phones[1].has("acknowledged")));
        assert!(world.is_clean(), "{seed}");
    }
    assert!(good >= 98, "{good} of 100");
}

#[test]
fn forks_on_a_bad_network_ring_once_and_stop() {
    let manners = [Manner::Answers(3000), Manner::Rings, Manner::Refuses("486 Busy Here")];
    let mut good = 0;
    for seed in 0..100 {
        let mut world = World::new(seed, 2, Conditions::bad(), &manners);
        world.call();
        let ended = world.run(120, |phones| phones[0].has("BYE 200") && phones[2].has("cancelled"));
        good += usize::from(ended && world.phones[1].has("answered"));
        assert!(world.is_clean(), "{seed}");
    }
    assert!(good >= 97, "{good} of 100");
}

#[test]
fn cancel_on_a_bad_network_stops_the_ringing() {
    let mut good = 0;
    for seed in 0..100 {
        let mut world = World::new(seed, 2, Conditions::bad(), &[Manner::Rings]);
        world.call();
        world.run(40, |phones| phones[1].has("in"));
        world.run(2, |_| false);
        let now = world.simulation.now();
        world.phones[0].tick(now);
        world.phones[0].cancel();
        good += usize::from(world.run(60, |phones| phones[0].has("487") && phones[1].has("cancelled")));
        assert!(world.is_clean(), "{seed}");
    }
    assert!(good >= 98, "{good} of 100");
}

/// Alice gives up about when bob answers: both must come to the same end, whatever was lost and came again.
#[test]
fn cancel_and_answer_cross_on_a_bad_network() {
    let (mut given_up, mut answered) = (0, 0);
    for seed in 0..150 {
        let workers = 1 + u16::try_from(seed % 3).unwrap();
        let mut world = World::new(seed, workers, Conditions::bad(), &[Manner::Answers(1000)]);
        world.call();
        world.run(40, |phones| phones[1].has("in"));
        world.step(Duration::from_millis(700 + (seed * 37) % 500));
        let now = world.simulation.now();
        world.phones[0].tick(now);
        if !world.phones[0].has("200") {
            world.phones[0].cancel();
        }
        world.run(100, |_| false);
        let (alice, bob) = (&world.phones[0], &world.phones[1]);
        let logs = format!("{seed}: {:?} {:?}", alice.log, bob.log);
        match bob.has("cancelled") {
            true => assert!(alice.has("487") && !alice.has("200") && !bob.has("answered"), "{logs}"),
            false => assert!(alice.has("200") && !alice.has("487") && bob.has("got BYE"), "{logs}"),
        }
        *if bob.has("cancelled") { &mut given_up } else { &mut answered } += 1;
        assert!(world.is_clean(), "{logs}");
    }
    assert!(given_up > 20 && answered > 20, "{given_up} were given up, {answered} answered");
}

#[test]
fn a_good_network_needs_no_retransmission() {
    let mut world = World::new(1, 1, Conditions::default(), &[Manner::Answers(200)]);
    let before = world.house.sent.len();
    world.call();
    assert!(world.run(20, |phones| phones[0].has("BYE 200")));
    // 100, INVITE, 180, 200, ACK, BYE, 200.
    assert_eq!(world.house.sent.len() - before, 7);
}
