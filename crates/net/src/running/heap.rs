//! A datagram's way through a worker touches no heap: a whole worker, run on the thread of the test, counted by an allocator
//! that counts.

use super::{Postbox, Seat, share};
use crate::worker::Worker;
use crate::{
    Batch, CloseReason, ConnectionInfo, Endpoint, HEADROOM, Handler, IcmpError, Kind, Limits, Net, Setup,
    Spec, Start, Tag, listen,
};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::{ConnectionId, SocketId, WorkerId};

/// Forwards as a relay does: what comes to the listener leaves from a socket of its own without its first octets, and what
/// comes to that goes to the client with a header in front.
struct Forwarder {
    relay: SocketId,
    client: SocketAddr,
    peer: SocketAddr,
}

impl Handler for Forwarder {
    type Mail = ();

    fn datagrams(&mut self, net: &mut Net<'_, ()>, socket: SocketId, batch: &mut Batch<'_>) {
        for index in 0..batch.len() {
            let end = HEADROOM + batch.data(index).len();
            if socket.is_shared() {
                if self.relay == SocketId(0) {
                    (self.relay, _) = net.bind_datagram("127.0.0.1:0".parse().unwrap(), Tag(2)).unwrap();
                }
                let part = batch.part(index, HEADROOM + 4..end);
                net.forward(self.relay, None, self.peer, part);
            } else {
                batch.whole_mut(index)[HEADROOM - 4..HEADROOM].copy_from_slice(b"@@@@");
                let part = batch.part(index, HEADROOM - 4..end);
                net.forward(SocketId(0), Some(batch.local(index)), self.client, part);
            }
        }
    }

    fn unreachable(&mut self, _: &mut Net<'_, ()>, _: SocketId, _: SocketAddr, _: IcmpError) {}
    fn opened(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, _: &ConnectionInfo) {}
    fn refused(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, _: Tag, _: &io::Error) {}
    fn secured(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, _: &ConnectionInfo) {}
    fn received(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, data: &[u8]) -> usize {
        data.len()
    }
    fn closed(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, _: CloseReason) {}
    fn adopted(&mut self, _: &mut Net<'_, ()>, _: ConnectionId, _: &ConnectionInfo, (): ()) {}
    fn mail(&mut self, _: &mut Net<'_, ()>, (): ()) {}
    fn tick(&mut self, _: &mut Net<'_, ()>) {}
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

struct Bench {
    worker: Worker<Forwarder>,
    client: UdpSocket,
    peer: UdpSocket,
    _orders: mpsc::UnboundedSender<super::Order>,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn bench() -> Bench {
    let at = Endpoint::At("127.0.0.1:0".parse().unwrap());
    let spec = Spec::new("test", Tag(1), Kind::Udp, at);
    let mut listeners = listen(&[spec], 1, &Limits::default()).unwrap();
    let bound = listeners.bound().to_vec();
    let (client, peer) = (socket(), socket());
    client.connect(bound[0].address).unwrap();
    let (queue, inbox) = mpsc::channel(1);
    let (order, orders) = mpsc::unbounded_channel();
    let (shared, _) = share(Setup::default(), bound, &listeners.registry).unwrap();
    let seat = Seat {
        me: WorkerId(0),
        change: listeners.changes.remove(0),
        inbox,
        orders,
        counters: Arc::default(),
        shared: Arc::new(shared),
        postbox: Postbox { queues: Arc::new([queue]) },
    };
    let (from, to) = (client.local_addr().unwrap(), peer.local_addr().unwrap());
    let make = move |_: &Start<'_, ()>| Forwarder { relay: SocketId(0), client: from, peer: to };
    let mut worker = seat.make_worker(&make).unwrap();
    worker.begin();
    Bench { worker, client, peer, _orders: order }
}

impl Bench {
    /// Has so many packets relayed there and back, all of which wait together.
    fn relay(&mut self, count: usize) {
        let mut bytes = [0; 2048];
        for _ in 0..count {
            self.client.send(b"head and payload").unwrap();
        }
        let mut back = None;
        for _ in 0..count {
            self.turn_until_readable(true);
            let (length, relay) = self.peer.recv_from(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b" and payload");
            back = Some(relay);
        }
        for _ in 0..count {
            self.peer.send_to(b"payload", back.unwrap()).unwrap();
        }
        for _ in 0..count {
            self.turn_until_readable(false);
            let length = self.client.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"@@@@payload");
        }
    }

    /// Lets the worker work until a datagram waits at the peer, or at the client.
    fn turn_until_readable(&mut self, at_peer: bool) {
        let socket = if at_peer { &self.peer } else { &self.client };
        socket.set_nonblocking(true).unwrap();
        while socket.peek_from(&mut [0; 1]).is_err() {
            self.worker.turn();
        }
        socket.set_nonblocking(false).unwrap();
    }
}

#[test]
fn a_datagram_passes_through_a_worker_without_the_heap() {
    let mut bench = bench();
    // Queues and tables find their size.
    (0..20).for_each(|_| bench.relay(40));
    for count in [1, 2, 40] {
        let asked = allocation_counter::measure(|| (0..10).for_each(|_| bench.relay(count))).count_total;
        assert_eq!(asked, 0, "{count} at one time");
    }
}
