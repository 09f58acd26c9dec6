//! Clients are asked what they have handled, and say so; and are told what of theirs is (XEP-0198 §4).

use super::{Managed, Output, Piece, Timer};
use crate::router;
use crate::stream::management;
use std::time::Duration;
use wire::ConnectionId;

/// After so many stanzas a client is asked at once what it has handled …
const MANY: usize = 5;
/// … and after this time in any case.
const PATIENCE: Duration = Duration::from_secs(1);

impl Managed {
    /// Asks a client what it has handled, where that is worth it.
    pub(super) fn ask_for_more(&mut self, session: ConnectionId) {
        let Some(managed) = self.sessions.get(&session) else { return };
        if managed.asked || managed.queue.is_empty() || managed.carrier.is_none() {
            return;
        }
        let at_once = || managed.queue.iter().any(|sent| sent.given.receipt.is_some());
        if managed.queue.len() >= MANY || at_once() {
            self.request(session);
        } else if self.timers.get(Timer::Request(session)).is_none() {
            self.timers.set(Timer::Request(session), self.now + PATIENCE);
        }
    }

    /// Asks a client what it has handled.
    pub(super) fn request(&mut self, session: ConnectionId) {
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        let Some(connection) = managed.carrier.filter(|_| !managed.asked && !managed.queue.is_empty()) else {
            return;
        };
        managed.asked = true;
        self.write(connection, Piece::Bytes(management::REQUEST.into()));
        self.output(Output::Asked(connection));
    }

    /// A client acknowledges.
    pub(super) fn acknowledged(&mut self, connection: ConnectionId, handled: u32) {
        let Some(session) = self.session(connection) else { return };
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        match managed.queue.acknowledge(handled) {
            Ok(receipts) => {
                managed.asked = false;
                receipts.into_iter().for_each(|receipt| self.route(router::Input::Delivered(receipt)));
                self.ask_for_more(session);
            }
            Err(too_high) => {
                self.output(Output::End(connection, management::too_high(handled, too_high.sent)));
            }
        }
    }

    /// So many stanzas of a session are handled, and what they did is durable: who asked is told.
    pub(super) fn handled(&mut self, session: ConnectionId, handled: u32) {
        let Some(managed) = self.sessions.get(&session) else { return };
        match (managed.carrier, managed.next) {
            (Some(connection), _) => {
                self.write(connection, Piece::Bytes(management::acknowledgement(handled).into()));
            }
            // An earlier question, from before the connection was lost, may be answered only now.
            (None, Some(connection)) if handled == managed.handled => {
                let (jid, name) = (managed.jid.clone(), managed.name.clone().unwrap_or_default());
                self.output(Output::Resumed { connection, jid, name, handled });
            }
            (None, _) => {}
        }
    }
}
