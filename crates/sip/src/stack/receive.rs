//! Bytes to messages: keep-alives, framing, what cannot be read, and which worker a response belongs to.

use super::{Output, Parcel, Stack};
use crate::framing::{self, Frame, Framer};
use crate::message::{Malformed, Message, Via};
use crate::transport::{Arrival, Branch};
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
        self.message(now, arrival, bytes, None);
    }

    pub(super) fn received(&mut self, now: Instant, conn: ConnectionId, bytes: &[u8]) {
        let empty = Framer::new(self.config.framing());
        let Some(connection) = self.connections.get_mut(conn) else { return };
        let arrival = connection.arrival;
        let mut framer = std::mem::replace(&mut connection.framer, empty);
        let mut rest = bytes;
        while let Some(frame) = framer.next(&mut rest) {
            match frame {
                Frame::Message(bytes) => self.message(now, arrival, bytes, None),
                Frame::Ping => self.out.push_back(Output::Write { conn, bytes: framing::PONG.to_vec() }),
                Frame::Bad(malformed) => {
                    self.malformed(now, &arrival, &malformed);
                    self.out.push_back(Output::Close { conn });
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.framer = framer;
        }
    }

    /// A whole message. `stray`: another worker found nothing for it, and this many more may be asked.
    pub(super) fn message(&mut self, now: Instant, arrival: Arrival, bytes: &[u8], stray: Option<u16>) {
        match Message::parse(bytes) {
            Ok(message) if message.is_request() => self.request(now, arrival, &message, stray),
            Ok(message) => self.response(now, &message),
            Err(malformed) => self.malformed(now, &arrival, &malformed),
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
        self.client_response(now, branch.id, response);
    }

    /// Answers what cannot be read, if it is to be answered.
    fn malformed(&mut self, now: Instant, arrival: &Arrival, malformed: &Malformed<'_>) {
        let mut bytes = Vec::new();
        if !malformed.reply(&mut bytes, Some(arrival.peer), "malformed") {
            return;
        }
        // The reply repeats the Vias: the topmost says where it goes. One that cannot be read says nothing.
        let way = Message::parse(&bytes).ok().map(|reply| reply.via().as_bytes().to_vec());
        if let Some(Ok(via)) = way.as_deref().map(Via::parse) {
            self.send_back(now, arrival, &via, bytes);
        } else if let Flow::Stream(_) = arrival.flow
            && let Ok(via) = Via::parse(b"SIP/2.0/TCP unknown.invalid")
        {
            self.send_back(now, arrival, &via, bytes);
        }
    }
}
