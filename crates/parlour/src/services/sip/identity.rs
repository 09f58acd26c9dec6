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

/// A certificate that somebody has shown.
#[derive(Clone, Debug)]
struct Shown {
    conn: ConnectionId,
    /// Whom it names.
    user: Address,
    serial: Box<str>,
}

/// What has become of the question for a certificate.
#[derive(Debug)]
pub struct Identified {
    shown: Shown,
    /// When it was asked.
    asked: Tide,
    /// Until when it is good, as time since 1970; `None`: it is not.
    until: Option<Duration>,
}

/// How often certificates were taken back. What was asked before that may have been answered from before, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tide(u64);

impl Tide {
    /// Certificates are being taken back.
    pub(super) fn turn(&mut self) {
        self.0 += 1;
    }
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
        if self.ask_for(desk, Shown { conn, user, serial: proven.serial }) {
            desk.net.pause(conn);
        }
    }

    /// Asks whether a certificate is good; `false` where the store takes no question.
    fn ask_for(&self, desk: &Desk<'_, '_>, shown: Shown) -> bool {
        let title = shown.serial.clone().into();
        let query = Query::LoadDocument { account: shown.user.clone(), kind: KIND, title };
        let (postbox, me, asked) = (desk.shared.postbox.clone(), desk.shared.me, self.tide);
        let runtime = tokio::runtime::Handle::current();
        let sent = desk.shared.store.ask(query, move |outcome| {
            let identified = Identified { shown, asked, until: until(outcome) };
            let identified = mail::Mail::Sip(Mail::Identified(identified));
            if let Err(mail) = postbox.post(me, identified) {
                // A full queue must not lose an answer for which a client waits.
                runtime.spawn(async move { drop(postbox.deliver(me, mail).await) });
            }
        });
        sent.is_ok()
    }

    /// It is known whether a certificate is good; what its client says is read from now on.
    pub(super) fn identified(&mut self, desk: &mut Desk<'_, '_>, identified: Identified) {
        let Identified { shown, asked, until } = identified;
        if until.is_some() && asked != self.tide && self.ask_for(desk, shown.clone()) {
            return;
        }
        let until = until.filter(|_| asked == self.tide);
        let Shown { conn, user, .. } = shown;
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
