//! Who serves which host: the house itself, its rooms, its components, or somebody elsewhere; and what service
//! discovery lists below a domain (XEP-0030 §4).

use rustc_hash::FxHashMap;
use wire::{Directory, Domain};

/// Who serves an address, by its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The server: accounts, and what the server itself answers.
    House,
    /// A room service (XEP-0045).
    Rooms,
    /// A component beside the server (XEP-0114).
    Component,
    /// Another server's business.
    Elsewhere,
}

/// A service of the house that has a host of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its host.
    pub host: Domain,
    /// The domain that lists it.
    pub domain: Domain,
    /// What it is called in lists.
    pub name: Option<String>,
}

/// The table of hosts that are not the house's own names.
#[derive(Debug, Default)]
pub(crate) struct Places {
    map: FxHashMap<Domain, (Place, Neighbour)>,
}

impl Places {
    /// Sets which services are of one kind, in place of those before. A host that another kind has keeps it.
    pub(crate) fn set(&mut self, place: Place, services: impl IntoIterator<Item = Neighbour>) {
        self.map.retain(|_, (other, _)| *other != place);
        for service in services {
            self.map.entry(service.host.clone()).or_insert((place, service));
        }
    }

    /// Who serves a host.
    pub(crate) fn of(&self, host: &str, directory: &Directory) -> Place {
        if directory.domain(host).is_some() {
            return Place::House;
        }
        self.map.get(host).map_or(Place::Elsewhere, |(place, _)| *place)
    }

    /// Whether a component serves a host.
    pub(crate) fn is_component(&self, host: &str) -> bool {
        self.map.get(host).is_some_and(|(place, _)| *place == Place::Component)
    }

    /// What a domain lists, in order of hosts.
    pub(crate) fn below(&self, domain: &str) -> Vec<&Neighbour> {
        let all = self.map.values().map(|(_, service)| service);
        let mut below: Vec<&Neighbour> = all.filter(|service| service.domain.as_str() == domain).collect();
        below.sort_by(|a, b| a.host.as_str().cmp(b.host.as_str()));
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn service(host: &str, of: &str) -> Neighbour {
        Neighbour { host: domain(host), domain: domain(of), name: None }
    }

    #[test]
    fn a_host_has_one_place() {
        let directory = Directory::new([(&domain("a.org"), &[domain("b.org")][..])]);
        let mut places = Places::default();
        places.set(Place::Rooms, [service("rooms.a.org", "a.org"), service("a.org", "a.org")]);
        places.set(Place::Component, [service("rooms.a.org", "a.org"), service("irc.a.org", "a.org")]);
        for (host, place) in [
            ("a.org", Place::House),
            ("b.org", Place::House),
            ("rooms.a.org", Place::Rooms),
            ("irc.a.org", Place::Component),
            ("c.org", Place::Elsewhere),
        ] {
            assert_eq!(places.of(host, &directory), place, "{host}");
        }
        let below: Vec<&str> = places.below("a.org").iter().map(|service| service.host.as_str()).collect();
        assert_eq!(below, ["a.org", "irc.a.org", "rooms.a.org"]);
        places.set(Place::Rooms, []);
        assert_eq!(places.of("rooms.a.org", &directory), Place::Elsewhere);
        assert!(places.below("c.org").is_empty());
    }
}
