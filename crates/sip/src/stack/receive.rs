//! Bytes to messages: keep-alives, framing, what cannot be read, and which worker a response belongs to.

use super::{Output, Parcel, Stack, scanner};
use crate::framing::{self, Frame, Framer};
use crate::message::{Fault, List, Malformed, Message, Via};
use crate::transaction::Timer;
use crate::transport::{Arrival, Branch, return_address};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::{ConnectionId, Flow, SocketId, Transport};

impl Stack {
    pub(super) fn datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        (local, peer): (IpAddr, SocketAddr),
        bytes: &[u8],
    ) {
        // Keep-alives of phones behind NAT: nothing answers them (RFC 5626 §3.5.1 has STUN for that).
        if bytes.len() <= 4 || peer.port() == 0 {
            return;
        }
        let Some(listener) = self.config.listeners.by_socket(socket) else { return };
        let flow = Flow::Datagram { socket, local, peer };
        let local = SocketAddr::new(local, listener.bound.port());
        let arrival = Arrival { flow, transport: Transport::Udp, local, peer };
        if let Some(to) = self.registers_at(&arrival, bytes) {
            if !self.has_room(now, &arrival) {
                return;
            }
            let parcel = Parcel::Unread { arrival, bytes: bytes.to_vec() };
            return self.out.push_back(Output::HandOver { to, parcel });
        }
        self.message(now, arrival, bytes, None);
    }

    pub(super) fn received(&mut self, now: Instant, conn: ConnectionId, bytes: &[u8]) {
        let empty = Framer::new(self.config.framing());
        let Some(connection) = self.connections.get_mut(conn) else { return };
        connection.heard = now;
        let arrival = connection.arrival;
        if arrival.transport.is_web() {
            return self.web_message(now, arrival, conn, bytes);
        }
        let mut framer = std::mem::replace(&mut connection.framer, empty);
        let mut rest = bytes;
        let mut whole = false;
        while let Some(frame) = framer.next(&mut rest) {
            whole = true;
            match frame {
                Frame::Message(message) => self.read(now, arrival, &message, None),
                Frame::Bytes(bytes) => self.message(now, arrival, bytes, None),
                Frame::Ping => self.out.push_back(Output::Write { conn, bytes: framing::PONG.to_vec() }),
                Frame::Bad(malformed) => {
                    self.malformed(now, &arrival, &malformed);
                    self.out.push_back(Output::Close { conn });
                }
            }
        }
        let partial = framer.is_partial();
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.framer = framer;
        }
        self.watch(now, conn, partial, whole);
    }

    /// What a WebSocket brings is one message, as a datagram is: its end is known without a Content-Length (RFC 7118 §5.1).
    fn web_message(&mut self, now: Instant, arrival: Arrival, conn: ConnectionId, bytes: &[u8]) {
        match bytes {
            framing::PING => self.out.push_back(Output::Write { conn, bytes: framing::PONG.to_vec() }),
            framing::PONG | [] => {}
            _ if bytes.len() > self.config.limits.message => {
                self.malformed(now, &arrival, &Malformed::new(bytes, Fault::BodyTooLarge));
                self.out.push_back(Output::Close { conn });
            }
            _ => self.message(now, arrival, bytes, None),
        }
    }

    /// A message that has begun must end in time (`whole`: one has just ended): whoever sends a byte a minute holds a buffer for nothing.
    fn watch(&mut self, now: Instant, conn: ConnectionId, partial: bool, whole: bool) {
        let timer = Timer::Partial(conn);
        if !partial {
            self.timers.cancel(timer);
        } else if whole || self.timers.get(timer).is_none() {
            self.timers.set(timer, now + self.config.timing.patience());
        }
    }

    /// A stream may have been silent for too long.
    pub(super) fn perhaps_idle(&mut self, now: Instant, conn: ConnectionId) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        let due = connection.heard + self.config.limits.idle;
        if due <= now {
            self.out.push_back(Output::Close { conn });
        } else {
            self.timers.set(Timer::Idle(conn), due);
        }
    }

    /// A whole message. `stray`: it came to another worker, and if it is nothing to this one, so many more may be asked.
    pub(super) fn message(&mut self, now: Instant, arrival: Arrival, bytes: &[u8], stray: Option<u16>) {
        // Where it lies: it is long.
        match &Message::parse(bytes) {
            Ok(message) => self.read(now, arrival, message, stray),
            Err(malformed) => self.malformed(now, &arrival, malformed),
        }
    }

    /// The same, read.
    fn read(&mut self, now: Instant, arrival: Arrival, message: &Message<'_>, stray: Option<u16>) {
        if stray.is_none() {
            self.tally.came(arrival.transport, message);
        }
        if scanner::is(message) {
            self.pass_over(&arrival);
        } else if message.is_request() {
            self.request(now, arrival, message, stray);
        } else {
            self.response(now, message);
        }
    }

    pub(super) fn response_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if let Ok(message) = Message::parse(bytes)
            && !message.is_request()
        {
            self.response(now, &message);
        }
    }

    /// A response goes to the transaction that its topmost Via names; whatever is not of our making is dropped.
    fn response(&mut self, now: Instant, response: &Message<'_>) {
        let Some(branch) = response.via().branch().and_then(|text| Branch::read(text, &self.seal)) else {
            return;
        };
        if branch.worker != self.config.me {
            if branch.worker.0 < self.config.workers {
                let parcel = Parcel::Response { bytes: response.bytes().to_vec() };
                self.out.push_back(Output::HandOver { to: branch.worker, parcel });
            }
            return;
        }
        self.client_response(now, branch, response);
    }

    /// Answers what cannot be read, if it is to be answered.
    fn malformed(&mut self, now: Instant, arrival: &Arrival, malformed: &Malformed<'_>) {
        if !self.takes(now, arrival) {
            return;
        }
        let mut bytes = Vec::new();
        if !malformed.reply(&mut bytes, Some(arrival.peer), "malformed") {
            return;
        }
        // The reply repeats the Vias, the topmost in its second line: it says where the reply goes. Where it cannot
        // be read, the reply goes back to where the message came from.
        let line = bytes.split(|&b| b == b'\n').nth(1).unwrap_or_default();
        let value = line.splitn(2, |&b| b == b':').nth(1).unwrap_or_default();
        let first = List::new(value).next().unwrap_or_default().to_vec();
        match Via::parse(&first) {
            Ok(via) => self.send_back(now, arrival, return_address(&via, arrival), bytes),
            Err(_) => self.send_to_source(now, arrival, bytes),
        }
    }
}
