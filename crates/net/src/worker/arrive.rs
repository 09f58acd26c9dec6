//! Datagrams and ICMP errors that arrive.

use super::{Worker, sealed};
use crate::sys::{self, Arrivals, Event};
use crate::{Batch, Handler, Net};
use wire::SocketId;

/// Entries of one socket's error queue that are read at one time.
const ERRORS: usize = 32;

impl<H: Handler> Worker<H> {
    pub(super) fn datagram_event(&mut self, socket: SocketId, event: Event) {
        if event.broken {
            self.read_errors(socket);
            self.settle();
        }
        if event.read {
            self.read_datagrams(socket);
        }
    }

    fn read_datagrams(&mut self, socket: SocketId) {
        let Some(datagram) = self.core.sockets.get_mut(socket) else { return self.accept_own(socket) };
        let fixed = datagram.local.ip();
        let quota = if self.rested { Arrivals::AT_ONCE } else { datagram.appetite.quota() };
        // Whatever error there is, is that of an earlier datagram, told now; what has arrived is told again.
        let count = self.arrivals.receive(&datagram.socket, quota, datagram.is_plain()).unwrap_or(0);
        self.crowded |= count == Arrivals::AT_ONCE;
        datagram.learn(count);
        if count == 0 {
            return;
        }
        let (count, octets) = (self.arrivals.len(), self.arrivals.octets());
        self.core.counters.datagrams_in.add(count);
        self.core.counters.datagram_bytes_in.add(octets);
        self.core.outbox.batch = count;
        let mut batch = Batch::new(&mut self.arrivals, fixed);
        if let Some(entrance) = self.core.dtls.entrance(socket)
            && !sealed::sift(&mut self.handler, &mut self.core, socket, entrance, &mut batch)
        {
            return;
        }
        self.handler.datagrams(&mut Net::new(&mut self.core), socket, &mut batch);
    }

    fn read_errors(&mut self, socket: SocketId) {
        for _ in 0..ERRORS {
            let Some(datagram) = self.core.sockets.get(socket) else { return };
            match sys::next_error(&datagram.socket) {
                Some(Some((named, error))) => {
                    let Some(peer) = self.core.outbox.whom(socket, named) else { continue };
                    self.core.counters.icmp_errors.add(1);
                    self.handler.unreachable(&mut Net::new(&mut self.core), socket, peer, error);
                }
                Some(None) => {}
                None => {
                    // An error without an entry would be reported for ever.
                    let _ = datagram.socket.take_error();
                    self.core.outbox.told(socket);
                    return;
                }
            }
        }
    }
}
