//! Hosts on one network, run by virtual time until something holds.

use crate::{Conditions, Network, Packet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One machine under test, or a scripted peer, with the addresses it owns.
pub trait Host {
    /// Whether datagrams for `address` are for this host.
    fn owns(&self, address: SocketAddr) -> bool;
    /// A datagram arrived.
    fn receive(&mut self, now: Instant, packet: &Packet);
    /// The next datagram to send. Called until `None` after every `receive` and `tick`.
    fn transmit(&mut self) -> Option<Packet>;
    /// When `tick` is wanted.
    fn deadline(&self) -> Option<Instant>;
    /// Time has come.
    fn tick(&mut self, now: Instant);
}

/// A network and the time on it.
#[derive(Debug)]
pub struct Simulation {
    /// The datagrams under way.
    pub network: Network,
    now: Instant,
}

impl Simulation {
    /// Starts at [`crate::start`].
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self { network: Network::new(seed, conditions), now: crate::start() }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Puts on their way what the hosts have to say.
    pub fn flush(&mut self, hosts: &mut [&mut dyn Host]) {
        for host in hosts {
            while let Some(packet) = host.transmit() {
                self.network.send(self.now, packet);
            }
        }
    }

    /// Runs until `done` holds or `limit` has passed; says whether it held. A datagram for an address that
    /// nobody owns is lost, as on a real network.
    pub fn run_until(
        &mut self,
        hosts: &mut [&mut dyn Host],
        limit: Duration,
        mut done: impl FnMut(&mut [&mut dyn Host]) -> bool,
    ) -> bool {
        let end = self.now + limit;
        loop {
            self.flush(hosts);
            if done(hosts) {
                return true;
            }
            let deadlines = hosts.iter().filter_map(|host| host.deadline());
            let Some(next) = deadlines.chain(self.network.next()).min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            self.step(hosts);
        }
    }

    /// Lets `limit` pass.
    pub fn run(&mut self, hosts: &mut [&mut dyn Host], limit: Duration) {
        self.run_until(hosts, limit, |_| false);
    }

    /// Delivers what has arrived, one host's timers after another's.
    fn step(&mut self, hosts: &mut [&mut dyn Host]) {
        while let Some(packet) = self.network.arrive(self.now) {
            if let Some(host) = hosts.iter_mut().find(|host| host.owns(packet.to)) {
                host.receive(self.now, &packet);
            }
            self.flush(hosts);
        }
        for host in &mut *hosts {
            if host.deadline().is_some_and(|due| due <= self.now) {
                host.tick(self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one number a second and keeps what it hears.
    struct Counter {
        me: SocketAddr,
        peer: SocketAddr,
        next: Instant,
        to_send: u8,
        out: Vec<Packet>,
        heard: Vec<(Instant, u8)>,
    }

    impl Host for Counter {
        fn owns(&self, address: SocketAddr) -> bool {
            address == self.me
        }
        fn receive(&mut self, now: Instant, packet: &Packet) {
            self.heard.push((now, packet.bytes[0]));
        }
        fn transmit(&mut self) -> Option<Packet> {
            self.out.pop()
        }
        fn deadline(&self) -> Option<Instant> {
            (self.to_send > 0).then_some(self.next)
        }
        fn tick(&mut self, now: Instant) {
            self.out.push(Packet { from: self.me, to: self.peer, bytes: vec![self.to_send] });
            (self.next, self.to_send) = (now + Duration::from_secs(1), self.to_send - 1);
        }
    }

    fn heard(seed: u64, conditions: Conditions) -> Vec<(Duration, u8)> {
        let mut world = Simulation::new(seed, conditions);
        let began = world.now();
        let host = |me: &str, peer: &str, to_send| Counter {
            me: me.parse().unwrap(),
            peer: peer.parse().unwrap(),
            next: began,
            to_send,
            out: vec![],
            heard: vec![],
        };
        let (mut a, mut b) = (host("192.0.2.1:1", "192.0.2.2:2", 200), host("192.0.2.2:2", "192.0.2.1:1", 0));
        world.run(&mut [&mut a, &mut b], Duration::from_secs(3600));
        assert_eq!(world.now(), began + Duration::from_secs(3600));
        b.heard.iter().map(|(at, n)| (*at - began, *n)).collect()
    }

    #[test]
    fn a_good_network_delivers_everything_in_order_after_its_delay() {
        let all: Vec<_> = (0..200).map(|i| (Duration::from_millis(i * 1000 + 10), 200 - i as u8)).collect();
        assert_eq!(heard(1, Conditions::default()), all);
    }

    #[test]
    fn a_bad_network_loses_and_doubles_but_repeats_by_seed() {
        let run = heard(7, Conditions::bad());
        assert_eq!(run, heard(7, Conditions::bad()));
        assert_ne!(run, heard(8, Conditions::bad()));
        let mut distinct: Vec<_> = run.iter().map(|(_, n)| *n).collect();
        distinct.dedup();
        assert!(distinct.len() < 190 && run.len() > distinct.len(), "{} of {}", distinct.len(), run.len());
    }

    #[test]
    fn jitter_lets_datagrams_overtake() {
        let conditions = Conditions { jitter: Duration::from_secs(5), ..Conditions::default() };
        let order: Vec<_> = heard(3, conditions).iter().map(|(_, n)| *n).collect();
        assert!(order.len() == 200 && order.windows(2).any(|w| w[0] < w[1]));
    }
}
