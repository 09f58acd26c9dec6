//! Which certificates of users are good: one document of the account for each. One that is not there was taken back.

use super::{Mail, Xmpp};
use crate::desk::Desk;
use serde::{Deserialize, Serialize};
use store::{Answer, Query};
use wire::ConnectionId;
use xmpp::sasl::external::Pending;

/// The kind of these documents in the store; their titles are serial numbers.
pub const KIND: i64 = 20;
/// Octets of all of an account: some hundreds of certificates.
pub const MOST: u64 = 16 * 1024;

/// What is kept of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it was issued, in seconds since 1970.
    pub issued: u64,
    /// When it ends.
    pub ends: u64,
}

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
