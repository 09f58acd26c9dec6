//! A worker's datagram sockets: its twins of the listeners, and relays of its own.

use crate::Tag;
use crate::appetite::Appetite;
use crate::gate::Gate;
use crate::sys::{self, Events, Interest};
use crate::token::Token;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use wire::SocketId;

/// One datagram socket.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) socket: Socket,
    pub(crate) tag: Tag,
    pub(crate) local: SocketAddr,
    pub(crate) appetite: Appetite,
    /// Whether it is bound to one address, which replies leave from without being told.
    pub(crate) is_fixed: bool,
    /// Whether the kernel may hand over datagrams of one sender and size as one (UDP GRO), once that was tried.
    joined: Option<bool>,
}

/// So many messages at one time are many.
const CROWD: usize = 8;

impl Datagram {
    /// Binds a socket. `shared` ones have a twin in every worker and are bound to the same address.
    pub(crate) fn bind(address: SocketAddr, shared: bool, buffer: usize, tag: Tag) -> io::Result<Self> {
        let socket = open(address)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        sys::prepare_datagrams(&socket, address.is_ipv6(), address.ip().is_unspecified())?;
        match shared {
            // Nearly all that a listener sends fits its path: what is never cut needs no number of its own from the kernel, which
            // all cores draw from one place. The first that does not fit ends that.
            true => sys::allow_fragments(&socket, address.is_ipv6(), false)?,
            // A relayed datagram goes through in fragments unless its sender asks for one piece (RFC 8656 §14).
            false => sys::allow_fragments(&socket, address.is_ipv6(), true)?,
        }
        // The kernel grants what its own limits allow; less is no reason not to start.
        let _ = socket.set_recv_buffer_size(buffer);
        let _ = socket.set_send_buffer_size(buffer);
        socket.bind(&address.into())?;
        let local = if address.port() == 0 { socket.local_addr()?.as_socket() } else { None };
        let local = local.unwrap_or(address);
        Ok(Self::new(socket, tag, local))
    }

    /// Whether nothing needs to be told with a datagram but who sent it.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_fixed && self.joined != Some(true)
    }

    /// Takes note of how many messages of the kernel were there. A socket that gets many at one time has them joined from
    /// then on, where the kernel can; one with the pace of a voice would only pay for being told that they are not.
    pub(crate) fn learn(&mut self, found: usize) {
        self.appetite.learn(found);
        if found >= CROWD && self.joined.is_none() {
            self.joined = Some(sys::join_datagrams(&self.socket).is_ok());
        }
    }

    fn new(socket: Socket, tag: Tag, local: SocketAddr) -> Self {
        let is_fixed = !local.ip().is_unspecified();
        Self { socket, tag, local, appetite: Appetite::default(), is_fixed, joined: None }
    }
}

/// An unbound datagram socket of the address's family; an IPv6 one sees no IPv4.
pub(crate) fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// A worker's sockets by their ids. Ids of own sockets carry a generation, so that one that was closed does not soon
/// name another.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// Those of listeners, by their numbers.
    shared: Vec<Option<Datagram>>,
    own: Vec<Place>,
    free: Vec<u32>,
    buffer: usize,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    held: Held,
}

/// What an own socket is.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Datagram(Box<Datagram>),
    Gate(Box<Gate>),
}

/// A datagram socket on its way to another worker.
#[derive(Debug)]
pub struct Loose(Datagram);

/// Bits of an own socket's number that tell its place; those above are its generation.
const PLACE_BITS: u32 = 20;
const PLACES: u32 = 1 << PLACE_BITS;
const GENERATIONS: u32 = 1 << 11;

fn own_id(place: u32, generation: u32) -> SocketId {
    SocketId(SocketId::OWN + (generation << PLACE_BITS | place))
}

fn place_of(id: SocketId) -> (u32, u32) {
    let number = id.0.wrapping_sub(SocketId::OWN);
    (number & (PLACES - 1), number >> PLACE_BITS)
}

impl Sockets {
    /// Starts with none; own sockets get buffers of this size.
    pub(crate) fn new(buffer: usize) -> Self {
        Self { buffer, ..Self::default() }
    }

    /// Takes in this worker's twin of a listener.
    pub(crate) fn open(&mut self, id: SocketId, datagram: Datagram, events: &Events) -> io::Result<()> {
        events.add(&datagram.socket, Token::Datagram(id).pack(), Interest::READ)?;
        let index = id.0 as usize;
        let length = self.shared.len().max(index + 1);
        self.shared.resize_with(length, || None);
        self.shared[index] = Some(datagram);
        Ok(())
    }

    /// Closes this worker's twin of a listener.
    pub(crate) fn close(&mut self, id: SocketId) {
        if let Some(place) = self.shared.get_mut(id.0 as usize) {
            *place = None;
        }
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Datagram> {
        if id.is_shared() {
            return self.shared.get(id.0 as usize)?.as_ref();
        }
        match self.held(id)? {
            Held::Datagram(datagram) => Some(datagram),
            Held::Gate(_) | Held::Nothing => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Datagram> {
        if id.is_shared() {
            return self.shared.get_mut(id.0 as usize)?.as_mut();
        }
        let (place, generation) = place_of(id);
        let place = self.own.get_mut(place as usize).filter(|place| place.generation == generation)?;
        match &mut place.held {
            Held::Datagram(datagram) => Some(datagram),
            Held::Gate(_) | Held::Nothing => None,
        }
    }

    /// The own socket that listens under this id.
    pub(crate) fn gate(&self, id: SocketId) -> Option<&Gate> {
        match self.held(id)? {
            Held::Gate(gate) => Some(gate),
            Held::Datagram(_) | Held::Nothing => None,
        }
    }

    /// The mark of a socket.
    pub(crate) fn tag(&self, id: SocketId) -> Option<Tag> {
        self.get(id).map(|datagram| datagram.tag).or_else(|| self.gate(id).map(|gate| gate.tag))
    }

    fn held(&self, id: SocketId) -> Option<&Held> {
        if id.is_shared() {
            return None;
        }
        let (place, generation) = place_of(id);
        let place = self.own.get(place as usize)?;
        (place.generation == generation).then_some(&place.held)
    }

    /// Binds an own socket.
    pub(crate) fn bind(
        &mut self,
        local: SocketAddr,
        tag: Tag,
        events: &Events,
    ) -> io::Result<(SocketId, SocketAddr)> {
        self.adopt(Loose(Datagram::bind(local, false, self.buffer, tag)?), events)
    }

    /// Takes a socket in.
    pub(crate) fn adopt(&mut self, loose: Loose, events: &Events) -> io::Result<(SocketId, SocketAddr)> {
        let local = loose.0.local;
        let place = self.free_place()?;
        let id = own_id(place, self.own[place as usize].generation);
        self.watch(place, events.add(&loose.0.socket, Token::Datagram(id).pack(), Interest::READ))?;
        self.own[place as usize].held = Held::Datagram(Box::new(loose.0));
        Ok((id, local))
    }

    /// Takes a listening socket in.
    pub(crate) fn keep_gate(&mut self, gate: Gate, events: &Events) -> io::Result<SocketId> {
        let place = self.free_place()?;
        let id = own_id(place, self.own[place as usize].generation);
        self.watch(place, events.add(&gate.socket, Token::Datagram(id).pack(), Interest::READ))?;
        self.own[place as usize].held = Held::Gate(Box::new(gate));
        Ok(id)
    }

    /// Takes a socket out; here it stays open until [`Self::unbind`], so that what was sent from it can leave.
    pub(crate) fn release(&mut self, id: SocketId, events: &Events) -> io::Result<Loose> {
        let datagram = self.get(id).filter(|_| !id.is_shared()).ok_or(io::ErrorKind::NotFound)?;
        let Datagram { tag, local, joined, .. } = *datagram;
        let socket = datagram.socket.try_clone()?;
        events.remove(&datagram.socket)?;
        // Both are the same socket of the kernel, which goes on joining datagrams where it was told to.
        Ok(Loose(Datagram { joined, ..Datagram::new(socket, tag, local) }))
    }

    /// A place gives itself back if its socket cannot be watched.
    fn watch(&mut self, place: u32, watched: io::Result<()>) -> io::Result<()> {
        if watched.is_err() {
            self.free.push(place);
        }
        watched
    }

    fn free_place(&mut self) -> io::Result<u32> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.own.len() < PLACES as usize => {
                self.own.push(Place::default());
                self.own.len() as u32 - 1
            }
            None => return Err(io::Error::other("no more sockets of one worker")),
        };
        Ok(place)
    }

    /// Closes an own socket. Listeners stay.
    pub(crate) fn unbind(&mut self, id: SocketId) {
        if self.held(id).is_none_or(|held| matches!(held, Held::Nothing)) {
            return;
        }
        let (index, _) = place_of(id);
        let place = &mut self.own[index as usize];
        // Closing the only descriptor also takes it out of the event queue.
        place.held = Held::Nothing;
        place.generation = (place.generation + 1) % GENERATIONS;
        self.free.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_socket_s_id_does_not_name_the_next_one() {
        let events = Events::new().unwrap();
        let mut sockets = Sockets::new(65_536);
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (first, _) = sockets.bind(any, Tag(1), &events).unwrap();
        assert!(!first.is_shared());
        sockets.unbind(first);
        let (second, local) = sockets.bind(any, Tag(2), &events).unwrap();
        assert!(sockets.get(first).is_none());
        assert_eq!(sockets.get(second).map(|d| (d.tag, d.local)), Some((Tag(2), local)));
        sockets.unbind(first);
        assert!(sockets.get(second).is_some());
    }

    #[test]
    fn ids_of_own_sockets_unpack_to_what_they_were_packed_from() {
        for (place, generation) in [(0, 0), (PLACES - 1, 0), (65_536, 5), (PLACES - 1, GENERATIONS - 1)] {
            let id = own_id(place, generation);
            assert!(!id.is_shared());
            assert_eq!(place_of(id), (place, generation));
        }
    }

    #[test]
    fn a_socket_that_has_moved_still_tells_joined_datagrams_apart() {
        use crate::sys::{Arrivals, Departures};
        let events = Events::new().unwrap();
        let (mut here, mut there) = (Sockets::new(65_536), Sockets::new(65_536));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (id, local) = here.bind(any, Tag(1), &events).unwrap();
        here.get_mut(id).unwrap().learn(CROWD);
        let loose = here.release(id, &events).unwrap();
        here.unbind(id);
        let (id, _) = there.adopt(loose, &events).unwrap();
        let (sender, mut departures) = (open(any).unwrap(), Departures::new());
        let mut both = departures.gather();
        assert!(both.push(local, None, &[1; 160], true) && both.push(local, None, &[2; 160], true));
        assert_eq!(both.send(&sender).unwrap(), 2, "as one message");
        let (datagram, mut arrivals) = (there.get(id).unwrap(), Arrivals::new());
        while arrivals.len() < 2 && arrivals.receive(&datagram.socket, 1, datagram.is_plain()).is_ok() {}
        let lengths: Vec<_> = (0..arrivals.len()).map(|index| arrivals.length(index)).collect();
        assert_eq!(lengths, [160, 160]);
    }
}
