//! Where sign-ins come from, and accounts that take them only from where they came before.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::Address;

/// Whoever is taken for one peer: an IPv4 address, or the /64 network of an IPv6 address, which one host has to itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(Net);

/// What there is of an address, without gaps: many sources are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Net {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(ip) => Net::V4(ip.octets()),
            IpAddr::V6(ip) => Net::V6(*ip.octets().first_chunk().expect("half of sixteen")),
        })
    }

    /// Its address, or the first of its network.
    pub fn first(self) -> IpAddr {
        match self.0 {
            Net::V4(ip) => ip.into(),
            Net::V6(half) => {
                let mut octets = [0; 16];
                octets[..8].copy_from_slice(&half);
                octets.into()
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first() {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An account that is locked for all but those who have signed in to it lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// How long.
    pub until: Instant,
    /// For whom it is not.
    pub known: Arc<[Source]>,
}

/// The accounts that are locked: a snapshot, as the directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(BTreeMap<Address, Lock>);

impl Locks {
    /// Those of a list.
    pub fn new(all: impl IntoIterator<Item = (Address, Lock)>) -> Self {
        Self(all.into_iter().collect())
    }

    /// Whether nobody may sign in to `account` from there now, whatever the password.
    pub fn bar(&self, now: Instant, account: &Address, from: IpAddr) -> bool {
        !self.0.is_empty()
            && self
                .0
                .get(account)
                .is_some_and(|lock| lock.until > now && !lock.known.contains(&Source::of(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_source_is_an_address_or_a_network_of_one_host() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(Source::of(address.parse().expect("valid")).to_string(), expected);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
    fn a_lock_bars_the_unknown_for_its_time() {
        let now = Instant::now();
        let [joe, roland] = ["joe", "roland"].map(|user| Address::new(user, "falcot.com").expect("valid"));
        let [home, away] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().expect("valid"));
        let lock = Lock { until: now + Duration::from_secs(9), known: [Source::of(home)].into() };
        let locks = Locks::new([(joe.clone(), lock)]);
        assert!(locks.bar(now, &joe, away));
        assert!(!locks.bar(now, &joe, home));
        assert!(!locks.bar(now, &roland, away));
        assert!(!locks.bar(now + Duration::from_secs(9), &joe, away));
    }
}
