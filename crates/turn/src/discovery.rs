//! NAT behaviour discovery (RFC 5780): which listeners answer for one another. Over datagrams alone: a stream has no
//! other address to be answered from, so its requests with CHANGE-REQUEST are refused (§6.1: 420).

use std::net::SocketAddr;
use stun::attribute::ChangeRequest;
use wire::{Flow, SocketId};

/// A datagram listener at a corner of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corner {
    /// Its socket, of which every worker has a twin.
    pub socket: SocketId,
    /// Its address and port.
    pub address: SocketAddr,
}

/// Two addresses of one family, each with the same two ports (RFC 5780 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle([Corner; 4]);

/// In the number of a corner: the other port, the other address.
const PORT: usize = 1;
const ADDRESS: usize = 2;

impl Rectangle {
    /// The corner among these that a datagram came in at; `None`: at another listener, or by a stream.
    pub(crate) fn place(rectangles: &[Self], flow: Flow) -> Option<Place> {
        let Flow::Datagram { socket, .. } = flow else { return None };
        rectangles.iter().find_map(|rectangle| rectangle.find(socket))
    }

    /// Every rectangle among these listeners, in their order; no listener belongs to two.
    pub fn among(listeners: &[Corner]) -> Vec<Self> {
        let addresses: Vec<_> = listeners.iter().map(|corner| corner.address).collect();
        rectangles(&addresses).into_iter().map(|corners| Self(corners.map(|n| listeners[n]))).collect()
    }

    fn find(&self, socket: SocketId) -> Option<Place> {
        let number = self.0.iter().position(|corner| corner.socket == socket)?;
        Some(Place { rectangle: *self, number })
    }
}

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    rectangle: Rectangle,
    number: usize,
}

impl Place {
    /// Where the answer leaves from (RFC 5780 §6.1, table 1).
    pub(crate) fn origin(self, change: ChangeRequest) -> Corner {
        let port = if change.port { PORT } else { 0 };
        let address = if change.ip { ADDRESS } else { 0 };
        self.rectangle.0[self.number ^ port ^ address]
    }

    /// What OTHER-ADDRESS says, whatever the request wants changed.
    pub(crate) fn other(self) -> Corner {
        self.origin(ChangeRequest { ip: true, port: true })
    }
}

/// The numbers of the listeners at the corners of each rectangle: next to one another differ in the port, the halves in
/// the address.
pub fn rectangles(listeners: &[SocketAddr]) -> Vec<[usize; 4]> {
    let mut found: Vec<[usize; 4]> = Vec::new();
    for first in 0..listeners.len() {
        let taken: Vec<usize> = found.iter().flatten().copied().collect();
        found.extend(sides(listeners, first).find_map(|(port, address)| {
            let last = corner(listeners, port, address)?;
            let corners = [first, port, address, last];
            corners.iter().all(|n| !taken.contains(n)).then_some(corners)
        }));
    }
    found
}

/// The listeners that are missing where three of four are there.
pub fn missing(listeners: &[SocketAddr]) -> Vec<SocketAddr> {
    let whole: Vec<usize> = rectangles(listeners).into_iter().flatten().collect();
    let mut missing: Vec<SocketAddr> = Vec::new();
    for first in (0..listeners.len()).filter(|n| !whole.contains(n)) {
        for (port, address) in sides(listeners, first) {
            let last = SocketAddr::new(listeners[address].ip(), listeners[port].port());
            if !listeners.contains(&last) && !missing.contains(&last) {
                missing.push(last);
            }
        }
    }
    missing
}

/// Pairs of listeners: one that differs from this one in the port, one in the address. A listener for every address has
/// none that it could be told from.
fn sides(listeners: &[SocketAddr], first: usize) -> impl Iterator<Item = (usize, usize)> {
    let here = listeners[first];
    let is_one = move |there: SocketAddr| there.port() != 0 && !there.ip().is_unspecified();
    let ports = (0..listeners.len()).filter(move |n| {
        let there = listeners[*n];
        there.ip() == here.ip() && there.port() != here.port() && is_one(there)
    });
    ports.flat_map(move |port| {
        let addresses = (0..listeners.len()).filter(move |n| {
            let there = listeners[*n];
            there.port() == here.port()
                && there.ip() != here.ip()
                && there.is_ipv4() == here.is_ipv4()
                && is_one(there)
        });
        addresses.map(move |address| (port, address))
    })
}

/// The listener with the port of one and the address of another.
fn corner(listeners: &[SocketAddr], port: usize, address: usize) -> Option<usize> {
    let wanted = SocketAddr::new(listeners[address].ip(), listeners[port].port());
    listeners.iter().position(|listener| *listener == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn check(texts: &[&str], whole: &[[usize; 4]], lacking: &[&str]) {
        let all = listeners(texts);
        assert_eq!(rectangles(&all), whole, "{texts:?}");
        assert_eq!(missing(&all), listeners(lacking), "{texts:?}");
    }

    #[test]
    fn two_addresses_with_the_same_two_ports() {
        check(
            &["192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"],
            &[[0, 1, 2, 3]],
            &[],
        );
        check(
            &["192.0.2.2:3479", "192.0.2.1:3478", "192.0.2.2:3478", "192.0.2.1:3479"],
            &[[0, 2, 3, 1]],
            &[],
        );
        let both = [
            "192.0.2.1:1",
            "[2001:db8::1]:1",
            "192.0.2.1:2",
            "[2001:db8::1]:2",
            "192.0.2.2:1",
            "[2001:db8::2]:1",
            "192.0.2.2:2",
            "[2001:db8::2]:2",
            "10.0.0.1:5000",
        ];
        check(&both, &[[0, 2, 4, 6], [1, 3, 5, 7]], &[]);
    }

    #[test]
    fn no_rectangle() {
        check(&[], &[], &[]);
        check(&["192.0.2.1:3478", "192.0.2.2:3478"], &[], &[]);
        check(&["192.0.2.1:3478", "192.0.2.2:3479"], &[], &[]);
        check(&["192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478"], &[], &["192.0.2.2:3479"]);
        check(&["0.0.0.0:3478", "0.0.0.0:3479", "192.0.2.2:3478", "192.0.2.2:3479"], &[], &[]);
        check(&["192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:1", "[2001:db8::1]:2"], &[], &[]);
        check(&["192.0.2.1:0", "192.0.2.1:0", "192.0.2.2:0", "192.0.2.2:0"], &[], &[]);
    }

    #[test]
    fn where_an_answer_leaves_from() {
        let all = listeners(&["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.2:2"]);
        let corners: Vec<_> =
            (0..4).map(|n| Corner { socket: SocketId(n), address: all[n as usize] }).collect();
        let rectangle = Rectangle::among(&corners)[0];
        for (socket, [none, port, ip, both]) in
            [(0, [0, 1, 2, 3]), (1, [1, 0, 3, 2]), (2, [2, 3, 0, 1]), (3, [3, 2, 1, 0])]
        {
            let place = rectangle.find(SocketId(socket)).unwrap();
            let origin = |ip, port| place.origin(ChangeRequest { ip, port }).socket.0;
            assert_eq!(origin(false, false), none);
            assert_eq!(origin(false, true), port);
            assert_eq!(origin(true, false), ip);
            assert_eq!((origin(true, true), place.other().socket.0), (both, both));
        }
        assert!(rectangle.find(SocketId(4)).is_none());
    }
}
