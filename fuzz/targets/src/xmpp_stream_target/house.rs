//! The house that is played in: accounts, bounds that are soon reached, chance that repeats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use std::sync::Arc;
use std::time::Duration;
use wire::{Account, Address, Directory, Domain, Entropy, Keys, Secret};
use xmpp::router::{Limits, Neighbour};
use xmpp::sasl::Mechanism;
use xmpp::stream::Policy;
use xmpp::stream::unacknowledged::Most;
use xmpp::xml;

pub(super) const WORKERS: u16 = 2;
pub(super) const DOMAIN: &str = "verona.example";
pub(super) const ROOMS: &str = "rooms.verona.example";
pub(super) const PEOPLE: [&str; 4] = ["romeo", "juliet", "mercutio", "tybalt"];
/// The room service.
pub(super) fn rooms() -> Vec<Neighbour> {
    let host = Domain::new(ROOMS).expect("a name");
    vec![Neighbour { host, domain: Domain::new(DOMAIN).expect("a name"), name: None }]
}

/// What the server keeps for a client that does not acknowledge.
pub(super) const MOST: Most = Most { stanzas: 12, octets: 12_000 };
/// What waits for a client that does not read.
pub(super) const UNREAD: usize = 8;

/// The passwords that somebody may have: the second after a change.
pub(super) const PASSWORDS: [&str; 2] = ["caput", "nurse"];

pub(super) fn address(person: usize) -> Address {
    format!("{}@{DOMAIN}", PEOPLE[person]).parse().expect("an address")
}

/// Who has this address, whatever the resource.
pub(super) fn person(jid: &str) -> Option<usize> {
    let (user, rest) = jid.split_once('@')?;
    let domain = rest.split('/').next()?;
    let ours = domain == DOMAIN || domain == "xmpp.verona.example";
    PEOPLE.iter().position(|name| ours && *name == user)
}

/// Whether an address is that of a room, or of somebody in it.
pub(super) fn is_room(jid: &str) -> bool {
    let rest = jid.split_once('@').map_or(jid, |(_, rest)| rest);
    rest.split('/').next() == Some(ROOMS)
}

/// Bits: somebody's account is gone, somebody has the other password.
pub(super) fn accounts(gone: u8, changed: u8) -> Arc<Directory> {
    let account = |person: usize| {
        let address = address(person);
        let password = PASSWORDS[usize::from(changed >> person & 1)];
        let digest = Md5::digest(format!("{}:{DOMAIN}:{password}", PEOPLE[person]));
        let keys = Keys { md5: Some(digest.into()), ..Keys::default() };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    let main = Domain::new(DOMAIN).expect("a name");
    let alias = [Domain::new("xmpp.verona.example").expect("a name")];
    let there = (0..PEOPLE.len()).filter(|person| gone >> person & 1 == 0);
    Arc::new(Directory::new([(&main, &alias[..])]).with(there.map(account)))
}

/// The only message of PLAIN.
pub(super) fn plain(person: usize, password: usize) -> String {
    BASE64.encode(format!("\0{}\0{}", PEOPLE[person], PASSWORDS[password & 1]))
}

pub(super) fn policy(variant: u8) -> Policy {
    let resume = if variant & 1 == 0 { 300 } else { 0 };
    Policy {
        stranger: xml::Limits::STRANGER,
        member: xml::Limits { size: 6000, depth: 12, attributes: 20, name: 64 },
        mechanisms: Mechanism::ALL.to_vec(),
        attempts: 3,
        login: Duration::from_secs(60),
        idle: Duration::from_secs(300),
        pong: Duration::from_secs(60),
        resume: Duration::from_secs(resume),
        features: String::new(),
        secret: Secret::new("house"),
    }
}

pub(super) fn limits(variant: u8) -> Limits {
    let narrow = variant & 4 != 0;
    Limits {
        sessions: 3,
        roster: 6,
        roster_octets: 2000,
        directed: 4,
        pending: if narrow { 2 } else { 8 },
        waiting: if narrow { 2 } else { 12 },
        offline: 6,
        archive: variant & 2 == 0,
        archive_page: 3,
        blocked: 3,
        settings: 2000,
        documents: 700,
        page: 1200,
        backlog: if narrow { 2 } else { 10 },
        cached: 2,
        ..Limits::default()
    }
}

/// The same numbers in every run.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }
}

impl Entropy for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0.to_le_bytes()[3];
        }
    }
}
