//! What all connections of one source hold of what this worker has for everybody: one source never gets all of it.

use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use wire::Source;

/// What one source may have at most: one part of so many.
const PARTS: usize = 4;

/// What one source holds.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// A proxy on this host speaks for many.
    is_local: bool,
    bodies: Cell<usize>,
    servers: Cell<usize>,
}

impl Share {
    /// Whether so many octets of bodies may be held, of `all` that there are for everybody; they count from now on.
    pub(super) fn hold(&self, octets: usize, all: usize) -> bool {
        let held = self.bodies.get() + octets;
        let may = self.is_local || held <= part(all);
        if may {
            self.bodies.set(held);
        }
        may
    }

    /// So many octets are held no more.
    pub(super) fn release(&self, octets: usize) {
        self.bodies.set(self.bodies.get() - octets);
    }
}

/// A connection to the web server behind us; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Way(Rc<Share>);

impl Way {
    /// One more for this source, of `all` that there are for everybody, if it may have one.
    pub(super) fn new(share: &Rc<Share>, all: usize) -> Option<Self> {
        let open = share.servers.get();
        if !share.is_local && open >= part(all) {
            return None;
        }
        share.servers.set(open + 1);
        Some(Self(Rc::clone(share)))
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.0.servers.set(self.0.servers.get() - 1);
    }
}

fn part(all: usize) -> usize {
    all.div_ceil(PARTS)
}

/// The sources that have connections.
#[derive(Debug, Default)]
pub(super) struct Shares(RefCell<FxHashMap<Source, Rc<Share>>>);

impl Shares {
    /// That of whoever has this address.
    pub(super) fn of(&self, address: IpAddr) -> Rc<Share> {
        let new = || Rc::new(Share { is_local: address.to_canonical().is_loopback(), ..Share::default() });
        Rc::clone(self.0.borrow_mut().entry(Source::of(address)).or_insert_with(new))
    }

    /// A connection of it is gone.
    pub(super) fn forget(&self, address: IpAddr) {
        let mut all = self.0.borrow_mut();
        let source = Source::of(address);
        if all.get(&source).is_some_and(|share| Rc::strong_count(share) == 1) {
            all.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_source_has_a_part_and_leaves_the_rest_to_others() {
        let shares = Shares::default();
        let (one, other) = (shares.of(address("2001:db8::1")), shares.of(address("192.0.2.1")));
        let ways: Vec<_> = (0..9).filter_map(|_| Way::new(&one, 8)).collect();
        assert_eq!(ways.len(), 2);
        assert!(Way::new(&shares.of(address("2001:db8::2")), 8).is_none(), "a /64 is one source");
        assert!(Way::new(&other, 8).is_some());
        drop(ways);
        assert!(Way::new(&one, 8).is_some());
        assert!(one.hold(100, 400) && !one.hold(1, 400) && other.hold(1, 400));
        one.release(100);
        assert!(one.hold(1, 400));
    }

    #[test]
    fn a_proxy_on_this_host_has_all_and_who_is_gone_is_forgotten() {
        let shares = Shares::default();
        let here = shares.of(address("::ffff:127.0.0.1"));
        assert_eq!((0..9).map(|_| Way::new(&here, 8)).filter(Option::is_some).count(), 9);
        assert!(here.hold(400, 400));
        let second = shares.of(address("127.0.0.1"));
        drop(here);
        shares.forget(address("127.0.0.1"));
        assert_eq!(shares.0.borrow().len(), 1, "there is another connection");
        drop(second);
        shares.forget(address("127.0.0.1"));
        assert!(shares.0.borrow().is_empty());
    }
}
