//! Sessions that wait for their clients outlive the server, where it ends in order: each is a document of its account
//! meanwhile. It is forgotten when its client is back, or when nobody has come for it in time.

use super::managed::{Managed, Manageds};
use super::{Mail, Timer, Xmpp};
use crate::desk::Desk;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use store::{Document, Query};
use wire::{Address, ConnectionId, Epoch, Machine, WorkerId};
use xmpp::router::{self, Receipt, Suspended};
use xmpp::stream::{Sent, Unacknowledged};
use xmpp::{Jid, Stanza, StreamCondition, StreamError};

/// The kind of these documents in the store.
pub const KIND: i64 = 17;
/// Octets of all of an account.
const MOST: u64 = 16 * 1024 * 1024;
/// Octets of one: what the store takes.
const LONGEST: usize = 1 << 20;
/// How long to wait before a look whether all is done that has to be done before the end.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// How long to wait before the store is asked again to forget.
const AGAIN: Duration = Duration::from_secs(1);
/// How many it is asked for again.
const UNFORGOTTEN: usize = 10_000;

/// Where a document is: its account and its title.
pub type Place = (Address, String);

/// A session as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    jid: String,
    handled: u32,
    sent: u32,
    /// Until when it waits, in seconds since 1970.
    until: u64,
    presence: Option<String>,
    interested: bool,
    #[serde(default)]
    versions: bool,
    carbons: bool,
    blocklist: bool,
    directed: Vec<String>,
    queue: Vec<KeptStanza>,
}

/// A stanza that its client has not acknowledged.
#[derive(Debug, Serialize, Deserialize)]
struct KeptStanza {
    text: String,
    /// When it was sent first, in seconds since 1970.
    since: u64,
    /// Which kept message it is.
    up_to: Option<i64>,
}

impl Manageds {
    /// Where the document of a session is, or would be.
    pub(super) fn document(&self, session: ConnectionId) -> Option<Place> {
        let managed = self.sessions.get(&session)?;
        Some((managed.account.clone(), managed.name.as_deref()?.to_owned()))
    }
}

impl Xmpp {
    /// The server is to end, and everybody was told: once all is done that was under way, sessions are written.
    pub(super) fn suspend(&mut self, desk: &mut Desk<'_, '_>) {
        if !self.clients.is_empty() || !self.router.is_idle() || !self.unasked.is_empty() {
            return self.timers.set(Timer::Suspend, desk.net.now() + LOOK);
        }
        let now = desk.net.now();
        for session in self.managed.away().collect::<Vec<_>>() {
            let wait = self.timers.get(Timer::Expire(session)).map_or(Duration::ZERO, |due| due - now);
            match self.kept(desk, session, wait) {
                Some((account, document)) => self.keep_suspended(desk, session, account, document),
                None => self.expire(desk, session),
            }
        }
        self.suspending = false;
    }

    fn kept(
        &self,
        desk: &Desk<'_, '_>,
        session: ConnectionId,
        wait: Duration,
    ) -> Option<(Address, Document)> {
        let (epoch, now) = (desk.net.epoch(), desk.net.now());
        let suspended = self.router.suspend(session)?;
        let managed = self.managed.sessions.get(&session)?;
        let stanza = |sent: &Sent| KeptStanza {
            text: sent.stanza.as_str().to_owned(),
            since: epoch.unix(sent.since).as_secs(),
            up_to: sent.receipt.map(|receipt| receipt.up_to()),
        };
        let kept = Kept {
            jid: suspended.jid.to_string(),
            handled: managed.handled,
            sent: managed.queue.sent(),
            until: (epoch.unix(now) + wait).as_secs(),
            presence: suspended.presence.map(|presence| presence.as_str().to_owned()),
            interested: suspended.interested,
            versions: suspended.versions,
            carbons: suspended.carbons,
            blocklist: suspended.blocklist,
            directed: suspended.directed.iter().map(Jid::to_string).collect(),
            queue: managed.queue.iter().map(stanza).collect(),
        };
        let payload = serde_json::to_vec(&kept).ok().filter(|payload| payload.len() <= LONGEST)?;
        let (account, title) = self.managed.document(session)?;
        Some((account, Document { kind: KIND, title, payload: Some(payload) }))
    }

    fn keep_suspended(
        &mut self,
        desk: &Desk<'_, '_>,
        session: ConnectionId,
        account: Address,
        document: Document,
    ) {
        self.writing += 1;
        let query = Query::PutDocument { account, document, limit: MOST };
        self.post_outcome(desk, query, move |outcome| Mail::Suspended(session, outcome.is_ok()));
    }

    /// Whether a session was written. One that was not is over: what it has not acknowledged finds another way.
    pub(super) fn suspended(&mut self, desk: &Desk<'_, '_>, session: ConnectionId, kept: bool) {
        self.writing = self.writing.saturating_sub(1);
        if !kept {
            self.expire(desk, session);
        }
    }

    /// The store is to forget a session; then it may go on.
    pub(super) fn forget_suspended(&self, desk: &Desk<'_, '_>, place: Place, then: Option<ConnectionId>) {
        let (account, title) = place.clone();
        let document = Document { kind: KIND, title, payload: None };
        let query = Query::PutDocument { account, document, limit: MOST };
        self.post_outcome(desk, query, move |outcome| {
            Mail::Unsuspended(place.clone(), then, outcome.is_ok())
        });
    }

    /// Whether the store has forgotten a session. Where it could not, the session is still there when the server comes back:
    /// it must not go on meanwhile, and what is over must not be there again.
    pub(super) fn unsuspended(
        &mut self,
        desk: &mut Desk<'_, '_>,
        place: Place,
        then: Option<ConnectionId>,
        forgotten: bool,
    ) {
        match (then, forgotten) {
            (Some(session), true) => self.go_on(desk, session),
            (Some(session), false) => {
                let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
                managed.stored = true;
                let next = managed.next.take();
                self.timers.set(Timer::Expire(session), desk.net.now() + self.policy.resume);
                if let Some(conn) = next {
                    let error = StreamError::from(StreamCondition::ResourceConstraint);
                    self.end(desk, conn, error.saying("not now"));
                }
            }
            (None, false) if self.unforgotten.len() < UNFORGOTTEN => {
                self.unforgotten.push(place);
                self.timers.set(Timer::Forget, desk.net.now() + AGAIN);
            }
            (None, _) => {}
        }
    }

    /// The store is asked again to forget what is over.
    pub(super) fn forget_again(&mut self, desk: &Desk<'_, '_>) {
        for place in std::mem::take(&mut self.unforgotten) {
            self.forget_suspended(desk, place, None);
        }
    }

    /// Sessions from before the server's last end are back: each waits for its client, if only for a moment.
    pub(super) fn restore(
        &mut self,
        now: Instant,
        epoch: Epoch,
        me: WorkerId,
        kept: Vec<(Address, Document)>,
    ) {
        for (number, (account, document)) in (0..).zip(kept) {
            let connection = ConnectionId { worker: me, slot: u32::MAX - number, generation: u32::MAX };
            let payload = document.payload.unwrap_or_default();
            let kept: Option<Kept> = serde_json::from_slice(&payload).ok();
            let Some((suspended, managed)) =
                kept.as_ref().and_then(|kept| read(kept, connection, account, &document.title, (now, epoch)))
            else {
                tracing::warn!("a session that waited for its client cannot be read: it is over");
                continue;
            };
            let until = kept.map_or(0, |kept| kept.until);
            let wait = Duration::from_secs(until).saturating_sub(epoch.unix(now));
            self.router.handle(now, router::Input::Restore { connection, suspended: Box::new(suspended) });
            self.managed.names.insert(document.title.into(), connection);
            self.managed.sessions.insert(connection, managed);
            self.timers.set(Timer::Expire(connection), now + wait);
        }
    }
}

fn read(
    kept: &Kept,
    connection: ConnectionId,
    account: Address,
    name: &str,
    (now, epoch): (Instant, Epoch),
) -> Option<(Suspended, Managed)> {
    let stanza = |kept: &KeptStanza| {
        let age = epoch.unix(now).saturating_sub(Duration::from_secs(kept.since));
        Some(Sent {
            stanza: Stanza::parse(&kept.text).ok()?,
            receipt: kept.up_to.map(|up_to| Receipt::of(connection, up_to)),
            since: now.checked_sub(age).unwrap_or(now),
        })
    };
    let jid: Jid = kept.jid.parse().ok()?;
    let queue: Option<Vec<Sent>> = kept.queue.iter().map(stanza).collect();
    let suspended = Suspended {
        jid: jid.clone(),
        presence: kept.presence.as_deref().and_then(|presence| Stanza::parse(presence).ok()),
        interested: kept.interested,
        versions: kept.versions,
        carbons: kept.carbons,
        blocklist: kept.blocklist,
        directed: kept.directed.iter().filter_map(|jid| jid.parse().ok()).collect(),
        given: kept.queue.iter().filter_map(|kept| kept.up_to).max(),
    };
    let managed = Managed {
        account,
        jid,
        agent: None,
        name: Some(name.into()),
        queue: Unacknowledged::restore(kept.sent, queue?),
        carrier: None,
        next: None,
        handled: kept.handled,
        paused: false,
        asked: false,
        stored: true,
    };
    Some((suspended, managed))
}
