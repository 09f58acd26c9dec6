//! Users who show a certificate of our own authority (RFC 6120 §13.7.1.4 has its form): they need no password on that connection.
//! What it says is read when it is known that the certificate was not taken back.

use super::{Mail, Sip};
use crate::desk::Desk;
use crate::mail;
use crate::users::{KIND, Kept};
use ::sip::stack::Input;
use net::ConnectionInfo;
use std::time::Duration;
use store::{Answer, Outcome, Query};
use wire::{Address, ConnectionId};

/// What has become of the question for a certificate.
#[derive(Debug)]
pub struct Identified {
    /// Who has shown it.
    pub(super) conn: ConnectionId,
    /// Whom it names.
    pub(super) user: Address,
    /// Until when it is good, as time since 1970; `None`: it is not.
    pub(super) until: Option<Duration>,
}

impl Sip {
    /// A client may have shown who it is.
    pub(super) fn look_at(&self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo) {
        let Some(proven) = info.chain.as_ref().and_then(|chain| desk.shared.trust.user(chain)) else {
            return;
        };
        // Ours name one account each.
        let mut accounts = proven.addresses.iter().filter_map(|address| desk.shared.directory.get(address));
        let Some(user) = accounts.next().map(|account| account.address.clone()) else { return };
        let query = Query::LoadDocument { account: user.clone(), kind: KIND, title: proven.serial.into() };
        let (postbox, me) = (desk.shared.postbox.clone(), desk.shared.me);
        let runtime = tokio::runtime::Handle::current();
        let asked = desk.shared.store.ask(query, move |outcome| {
            let identified =
                mail::Mail::Sip(Mail::Identified(Identified { conn, user, until: until(outcome) }));
            if let Err(mail) = postbox.post(me, identified) {
                // A full queue must not lose an answer for which a client waits.
                runtime.spawn(async move { drop(postbox.deliver(me, mail).await) });
            }
        });
        if asked.is_ok() {
            desk.net.pause(conn);
        }
    }

    /// It is known whether a certificate is good; what its client says is read from now on.
    pub(super) fn identified(&mut self, desk: &mut Desk<'_, '_>, identified: Identified) {
        let Identified { conn, user, until } = identified;
        match until {
            Some(until) => self.handle(desk, Input::Identified { conn, users: [user].into(), until }),
            None => tracing::debug!(%conn, %user, "a certificate that is not good any more"),
        }
        desk.net.resume(conn);
    }
}

fn until(outcome: Outcome) -> Option<Duration> {
    let Ok(Answer::Document(Some(kept))) = outcome else { return None };
    let kept: Kept = serde_json::from_slice(&kept).ok()?;
    Some(Duration::from_secs(kept.ends))
}
