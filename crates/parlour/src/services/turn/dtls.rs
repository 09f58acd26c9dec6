//! Clients over DTLS (RFC 7350): each record is one message, with the boundaries of a datagram and no padding.

use super::Turn;
use crate::desk::Desk;
use turn::Client;
use turn::stream::STRANGER;

impl Turn {
    /// One record of a client's session.
    pub(super) fn record(&mut self, desk: &mut Desk<'_, '_>, client: Client, message: &[u8]) {
        let limit = desk.shared.plan.turn.limits.message;
        if message.len() <= STRANGER || (message.len() <= limit && self.server.is_allocated(client.flow)) {
            self.stream_message(desk, client, message);
        }
    }
}
