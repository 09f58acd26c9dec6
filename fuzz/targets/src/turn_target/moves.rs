//! Clients that go elsewhere and take their allocations along (RFC 8016), perhaps to another worker.

use super::grammar;
use super::world::{WORKERS, World};
use crate::tape::Tape;
use turn::Input;
use turn::mobility::Cargo;
use wire::{Flow, SocketId, WorkerId};

/// What befalls the next allocation that moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mishap {
    #[default]
    None,
    /// The other worker does not take it.
    Back,
    /// Its sockets could not be taken along.
    Lost,
}

impl World {
    /// Goes on from another port or by a new connection, on this worker or another, and says so.
    pub(super) fn person_moves(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let there = tape.below(WORKERS);
        let person = &mut self.people[who];
        if person.is_joined {
            return;
        }
        match &mut person.client.flow {
            Flow::Datagram { peer, .. } => {
                peer.set_port(peer.port() + 1);
                person.client.peer = *peer;
            }
            Flow::Stream(connection) => {
                person.former.push(Flow::Stream(*connection));
                connection.generation += 1;
                connection.worker = WorkerId(there as u16);
                person.stream.clear();
            }
        }
        person.worker = there;
        self.person_sends(tape, grammar::announcement);
    }

    /// A connection that somebody has left breaks.
    pub(super) fn former_stream_breaks(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let index = tape.below(self.people[who].former.len());
        if let Some(Flow::Stream(connection)) = self.people[who].former.get(index).copied() {
            self.people[who].former.remove(index);
            self.input(connection.worker.0.into(), Input::Closed(connection));
        }
    }

    /// An allocation goes to another worker with its sockets, or without, or comes back.
    pub(super) fn depart(&mut self, from: usize, cargo: Box<Cargo>) {
        let mishap = std::mem::take(&mut self.mishap);
        let mut sockets = Vec::new();
        for old in cargo.sockets() {
            let local = self.rules.closed(old);
            if mishap == Mishap::Lost {
                self.taken.remove(&local);
                sockets.push(None);
                continue;
            }
            self.sockets += 1;
            let new = SocketId(SocketId::OWN + self.sockets);
            self.rules.bound(new, local);
            sockets.push(Some(new));
        }
        let to = usize::from(cargo.to().0);
        assert!(to < WORKERS, "nobody is sent to nobody");
        let to = if mishap == Mishap::Back { from } else { to };
        self.input(to, Input::Settle { cargo, sockets });
    }
}
