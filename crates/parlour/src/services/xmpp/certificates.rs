//! Which certificates of users are good.

use super::{Mail, Xmpp};
use crate::desk::Desk;
use crate::users::KIND;
use store::{Answer, Query};
use wire::ConnectionId;
use xmpp::sasl::external::Pending;

impl Xmpp {
    /// Looks up whether a certificate is still good.
    pub(super) fn prove(&self, desk: &Desk<'_, '_>, conn: ConnectionId, pending: Pending) {
        let Pending { address, serial } = pending;
        let query = Query::LoadDocument { account: address, kind: KIND, title: serial.into() };
        self.post_outcome(desk, query, move |outcome| {
            let good = match outcome {
                Ok(Answer::Document(kept)) => Some(kept.is_some()),
                Ok(_) => Some(false),
                Err(_) => None,
            };
            Mail::Proven(conn, good)
        });
    }
}
