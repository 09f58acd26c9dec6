//! The house that the servers serve: accounts, configurations, randomness that repeats.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use turn::allocation::Relaying;
use turn::discovery::{Corner, Rectangle};
use turn::quota::{Ledger, Place, Quota, Seat, Taken};
use turn::{Bandwidth, Config, Credentials, Direction, Limits, Policy, Range, Relays, Session};
use wire::{Account, Address, Directory, Domain, Entropy, Keys, Secret, SocketId};

pub(super) const REALM: &str = "falcot.com";
/// The secret of time-limited credentials.
const SHARED: &str = "north";
pub(super) const PASSWORDS: [&str; 2] = ["tr0mbone", "changed"];

/// What no configuration of ours allows more of.
pub(super) const LIMITS: Limits = Limits { permissions: 4, channels: 3, strangers: 500 };
pub(super) const QUOTA: Quota = Quota { user: 4, domain: 6, total: 6 };

/// A listener that is no corner of the rectangle.
pub(super) const PLAIN: SocketId = SocketId(1);

/// The sockets of the listeners that answer for one another.
pub(super) const CORNERS: [(SocketId, &str); 4] = [
    (SocketId(10), "198.51.100.1:3478"),
    (SocketId(11), "198.51.100.1:3479"),
    (SocketId(12), "198.51.100.2:3478"),
    (SocketId(13), "198.51.100.2:3479"),
];

/// A SplitMix64 generator.
pub(super) struct Seeded(pub(super) u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            piece.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..piece.len()]);
        }
    }
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("written as an address")
}

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().expect("written as an address and a port")
}

/// One of the configurations; each may follow any other while allocations go on.
pub(super) fn config(variant: usize) -> Config {
    let range = |address, prefix| Range { address: ip(address), prefix };
    let corners = CORNERS.map(|(socket, address)| Corner { socket, address: at(address) });
    Config {
        relays: Relays {
            addresses: match variant {
                1 => vec![ip("198.51.100.1")],
                _ => vec![ip("198.51.100.1"), ip("198.51.100.2"), ip("2001:db8::1")],
            },
            anywhere: variant == 2,
            external: vec![(ip("203.0.113.99"), ip("198.51.100.1"))],
        },
        // Few, so that ports run out.
        ports: if variant == 3 { 50_000..=50_003 } else { 50_000..=50_015 },
        peers: Policy {
            deny: if variant == 7 { vec![range("203.0.113.6", 32)] } else { vec![] },
            allow: vec![range("203.0.113.0", 24), range("2001:db8:7::", 48)],
            own: vec![ip("9.9.9.9"), ip("198.51.100.1"), ip("198.51.100.2"), ip("203.0.113.99")],
        },
        credentials: Credentials { secrets: vec![Secret::new(SHARED)], tokens: None },
        quota: if variant == 4 { Quota { user: 1, domain: 1, total: 1 } } else { QUOTA },
        bandwidth: if variant == 9 { Bandwidth { session: 200, user: 300 } } else { Bandwidth::default() },
        limits: if variant == 4 { Limits { permissions: 1, channels: 1, strangers: 500 } } else { LIMITS },
        software: if variant == 8 { Some("Parlour") } else { None },
        draining: variant == 8,
        alternates: if variant == 8 { vec![at("203.0.113.200:3478")] } else { vec![] },
        offload: false,
        mobility: variant != 7,
        discovery: if variant == 5 { Vec::new() } else { Rectangle::among(&corners) },
        lifetime: Duration::from_secs(600),
        lifetime_max: Duration::from_secs(if variant == 6 { 600 } else { 3600 }),
    }
}

/// The book of all workers: how many seats each account, each domain and everybody (`""`) has, and what accounts have spent.
#[derive(Clone, Debug, Default)]
#[expect(clippy::disallowed_types, reason = "it stands for the product's book, which has a lock")]
pub(super) struct Book(Arc<std::sync::Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    seats: HashMap<String, u32>,
    spent: HashMap<(String, bool), Instant>,
    relays: HashMap<(bool, u16), u32>,
}

#[derive(Debug)]
struct Held(Book, [String; 3]);

impl Book {
    /// How many seats are taken.
    pub(super) fn seats(&self) -> u32 {
        self.0.lock().expect("one thread").seats.get("").copied().unwrap_or(0)
    }

    /// Asserts that it knows the relays of these, and no others.
    pub(super) fn check_relays(&self, sessions: &[Session]) {
        let mut relays = HashMap::new();
        for session in sessions {
            for relay in [Some(session.relayed), session.second].into_iter().flatten() {
                *relays.entry((session.relaying == Relaying::Udp, relay.port())).or_default() += 1;
            }
        }
        assert_eq!(self.0.lock().expect("one thread").relays, relays, "the relays that there are");
    }
}

impl Ledger for Book {
    fn take(&self, user: &Address, quota: &Quota) -> Result<Seat, Taken> {
        let names = [user.as_str(), user.domain(), ""].map(str::to_owned);
        let seats = &mut self.0.lock().expect("one thread").seats;
        let [of_user, of_domain, total] = names.each_ref().map(|name| seats.get(name).copied().unwrap_or(0));
        if of_user >= quota.user || of_domain >= quota.domain {
            return Err(Taken::Theirs);
        }
        if total >= quota.total {
            return Err(Taken::All);
        }
        names.iter().for_each(|name| *seats.entry(name.clone()).or_default() += 1);
        Ok(Box::new(Held(self.clone(), names)))
    }

    fn note(&self, relaying: Relaying, port: u16, is_there: bool) {
        let relays = &mut self.0.lock().expect("one thread").relays;
        let count = relays.entry((relaying == Relaying::Udp, port)).or_default();
        *count = if is_there { *count + 1 } else { count.checked_sub(1).expect("a relay that was there") };
        if *count == 0 {
            relays.remove(&(relaying == Relaying::Udp, port));
        }
    }

    fn is_relay(&self, relaying: Relaying, port: u16) -> bool {
        self.0.lock().expect("one thread").relays.contains_key(&(relaying == Relaying::Udp, port))
    }
}

impl Place for Held {
    fn spend(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Option<Duration> {
        let spent = &mut self.0.0.lock().expect("one thread").spent;
        let until = spent.entry((self.1[0].clone(), direction == Direction::Sent)).or_insert(now);
        let (wait, ahead) = turn::pace::spend(until.saturating_duration_since(now), octets, rate)?;
        *until = now + ahead;
        Some(wait)
    }

    fn charge(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Duration {
        let spent = &mut self.0.0.lock().expect("one thread").spent;
        let until = spent.entry((self.1[0].clone(), direction == Direction::Sent)).or_insert(now);
        let (wait, ahead) = turn::pace::charge(until.saturating_duration_since(now), octets, rate);
        *until = now + ahead;
        wait
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let seats = &mut self.0.0.lock().expect("one thread").seats;
        for name in &self.1 {
            let count = seats.get_mut(name).expect("a seat that was taken");
            *count = count.checked_sub(1).expect("a seat is given back once");
        }
    }
}

/// The accounts, with this password. Joe may be gone.
pub(super) fn accounts(password: &str, with_joe: bool) -> Arc<Directory> {
    let account = |name: &str| {
        let address: Address = format!("{name}@{REALM}").parse().expect("an address");
        let md5 = |user: &str| {
            use md5::Digest;
            Some(md5::Md5::digest(format!("{user}:{REALM}:{password}")).into())
        };
        let keys = Keys { md5: md5(name), md5_whole: md5(&format!("{name}@{REALM}")), ..Keys::default() };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    let names = if with_joe { &["roland", "joe"][..] } else { &["roland"] };
    let realm = Domain::new(REALM).expect("a name");
    let accounts: Vec<_> = names.iter().map(|name| account(name)).collect();
    Arc::new(Directory::new([(&realm, &[][..])]).with(accounts))
}
