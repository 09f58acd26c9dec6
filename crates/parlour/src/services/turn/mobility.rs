//! Allocations that go on at another worker (RFC 8016): letters about them, and their sockets on the way.

use super::{Mail, Turn};
use crate::desk::Desk;
use net::Loose;
use turn::mobility::{Cargo, Letter};
use turn::{Input, Refusal};
use wire::{Machine, SocketId, WorkerId};

impl Turn {
    /// Writes to another worker. Its number comes from a client's ticket, so it may be nobody's.
    pub(super) fn write_to(&mut self, desk: &mut Desk<'_, '_>, to: WorkerId, letter: Letter) {
        let refusal = if to.0 < desk.net.workers() {
            Refusal::InsufficientCapacity
        } else {
            Refusal::AllocationMismatch
        };
        let Err(mail) = desk.net.post(to, crate::mail::Mail::Turn(Mail::Letter(letter))) else { return };
        if let crate::mail::Mail::Turn(Mail::Letter(Letter::Announce { from, client, .. })) = mail {
            let answer = Letter::Answer { flow: client.flow, result: Err(refusal) };
            if from == desk.net.me() {
                self.server.handle(desk.net.now(), Input::Letter(answer));
            } else {
                self.write_to(desk, from, answer);
            }
        }
    }

    /// Sends an allocation off with its sockets; what cannot be sent stays.
    pub(super) fn depart(&mut self, desk: &mut Desk<'_, '_>, cargo: Box<Cargo>) {
        let sockets = cargo.sockets().into_iter().map(|socket| take(desk, socket)).collect();
        let to = cargo.to();
        let mail = crate::mail::Mail::Turn(Mail::Cargo { cargo, sockets });
        if let Err(crate::mail::Mail::Turn(Mail::Cargo { cargo, sockets })) = desk.net.post(to, mail) {
            self.settle(desk, cargo, sockets);
        }
    }

    /// Takes in an allocation that has come, or has come back.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_, '_>, cargo: Box<Cargo>, sockets: Vec<Option<Loose>>) {
        let take_in = |loose: Option<Loose>| Some(desk.net.adopt_datagram(loose?).ok()?.0);
        let sockets = sockets.into_iter().map(take_in).collect();
        self.server.handle(desk.net.now(), Input::Settle { cargo, sockets });
    }
}

/// A socket for the way; closed where that fails, as no descriptor is left.
fn take(desk: &mut Desk<'_, '_>, socket: SocketId) -> Option<Loose> {
    let loose = desk.net.release_datagram(socket);
    if let Err(error) = &loose {
        tracing::warn!(%error, "a relay cannot be moved to another worker");
        desk.net.unbind(socket);
    }
    loose.ok()
}
