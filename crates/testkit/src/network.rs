//! Datagrams under way: lost, delayed, doubled and overtaking one another as the conditions say.

use crate::Seeded;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How bad the network is. Chances are between 0.0 (never) and 1.0 (always).
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The chance that a datagram never arrives.
    pub loss: f64,
    /// The chance that it arrives twice.
    pub duplication: f64,
    /// The shortest time under way.
    pub delay: Duration,
    /// How much longer it may take: datagrams overtake one another when this is not zero.
    pub jitter: Duration,
}

impl Default for Conditions {
    /// A good network: nothing is lost, 10 ms each way.
    fn default() -> Self {
        Self { loss: 0.0, duplication: 0.0, delay: Duration::from_millis(10), jitter: Duration::ZERO }
    }
}

impl Conditions {
    /// 20 % loss, 10 % doubled, 10 to 90 ms.
    pub fn bad() -> Self {
        Self { loss: 0.2, duplication: 0.1, jitter: Duration::from_millis(80), ..Self::default() }
    }
}

/// A datagram with its two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it carries.
    pub bytes: Vec<u8>,
}

/// The datagrams under way.
#[derive(Debug)]
pub struct Network {
    conditions: Conditions,
    luck: Seeded,
    under_way: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
}

impl Network {
    /// An empty network.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self { conditions, luck: Seeded::new(seed), under_way: BTreeMap::new(), sent: 0 }
    }

    /// Changes the weather for what is sent from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Puts a datagram on its way.
    pub fn send(&mut self, now: Instant, packet: Packet) {
        let copies = if self.luck.fraction() < self.conditions.duplication { 2 } else { 1 };
        for _ in 0..copies {
            if self.luck.fraction() < self.conditions.loss {
                continue;
            }
            let at = now + self.conditions.delay + self.conditions.jitter.mul_f64(self.luck.fraction());
            self.sent += 1;
            self.under_way.insert((at, self.sent), packet.clone());
        }
    }

    /// When the next datagram arrives.
    pub fn next(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// Takes out a datagram that has arrived by `now`. Call until `None`.
    pub fn arrive(&mut self, now: Instant) -> Option<Packet> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
