//! Sessions that wait for their clients outlive the server, where it ends in order: each is a document of its account
//! meanwhile. It is forgotten when its client is back, or when nobody has come for it in time.

use super::{Mail, Timer, Xmpp};
use crate::desk::Desk;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use store::{Document, Query};
use wire::{Address, ConnectionId, Epoch, Machine, WorkerId};
use xmpp::managed::{self, Asleep, Shared, Unheard};
use xmpp::router::{self, Suspended};
use xmpp::{Jid, Stanza};

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
    /// What it was given before it acknowledged anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<KeptStanza>,
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
    /// What it is known by where other sessions were given it as well …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<u64>,
    /// … and whether one of them has taken it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken: bool,
}

impl Xmpp {
    /// The server is to end, and everybody was told: once all is done that was under way, sessions are written.
    pub(super) fn suspend(&mut self, desk: &mut Desk<'_, '_>) {
        self.route(desk, router::Input::Release);
        self.settle(desk);
        if !self.clients.is_empty() || !self.router.is_idle() || !self.unasked.is_empty() {
            return self.timers.set(Timer::Suspend, desk.net.now() + LOOK);
        }
        let (now, epoch) = (desk.net.now(), desk.net.epoch());
        // What several hold has a number that it never had before.
        let first = u64::try_from(epoch.unix(now).as_micros()).unwrap_or_default();
        for (session, asleep) in self.managed.asleep(now, first) {
            let kept = self.router.suspend(session).map(|known| keep(&asleep, known, now, epoch));
            let payload = kept.and_then(|kept| serde_json::to_vec(&kept).ok());
            match payload.filter(|payload| payload.len() <= LONGEST) {
                Some(payload) => {
                    let document = Document { kind: KIND, title: asleep.name.into(), payload: Some(payload) };
                    self.keep_suspended(desk, session, asleep.account, document);
                }
                None => self.manage(desk, managed::Input::Expire(session)),
            }
        }
        self.suspending = false;
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
    pub(super) fn suspended(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId, kept: bool) {
        self.writing = self.writing.saturating_sub(1);
        if !kept {
            self.manage(desk, managed::Input::Expire(session));
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
        match then {
            Some(session) => self.manage(desk, managed::Input::Forgotten { session, forgotten }),
            None if !forgotten && self.unforgotten.len() < UNFORGOTTEN => {
                self.unforgotten.push(place);
                self.timers.set(Timer::Forget, desk.net.now() + AGAIN);
            }
            None => {}
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
        let mut all = Vec::with_capacity(kept.len());
        for (number, (account, document)) in (0..).zip(kept) {
            let connection = ConnectionId { worker: me, slot: u32::MAX - number, generation: u32::MAX };
            let payload = document.payload.unwrap_or_default();
            let kept: Option<Kept> = serde_json::from_slice(&payload).ok();
            let read = kept.as_ref().and_then(|kept| read(kept, account, &document.title, (now, epoch)));
            let Some((suspended, asleep)) = read else {
                tracing::warn!("a session that waited for its client cannot be read: it is over");
                continue;
            };
            self.router.handle(now, router::Input::Restore { connection, suspended: Box::new(suspended) });
            all.push((connection, asleep));
        }
        self.managed.handle(now, managed::Input::Restore(all));
    }
}

/// A session as it is to be kept.
fn keep(asleep: &Asleep, known: Suspended, now: Instant, epoch: Epoch) -> Kept {
    let stanza = |unheard: &Unheard| KeptStanza {
        text: unheard.stanza.as_str().to_owned(),
        since: epoch.unix(unheard.since).as_secs(),
        up_to: unheard.up_to,
        shared: unheard.shared.map(|shared| shared.number),
        taken: unheard.shared.is_some_and(|shared| shared.taken),
    };
    Kept {
        jid: known.jid.to_string(),
        handled: asleep.handled,
        sent: asleep.sent,
        until: (epoch.unix(now) + asleep.wait).as_secs(),
        presence: known.presence.map(|presence| presence.as_str().to_owned()),
        interested: known.interested,
        versions: known.versions,
        carbons: known.carbons,
        blocklist: known.blocklist,
        directed: known.directed.iter().map(Jid::to_string).collect(),
        before: asleep.before.iter().map(stanza).collect(),
        queue: asleep.queue.iter().map(stanza).collect(),
    }
}

fn read(
    kept: &Kept,
    account: Address,
    name: &str,
    (now, epoch): (Instant, Epoch),
) -> Option<(Suspended, Asleep)> {
    let unheard = |kept: &KeptStanza| {
        let age = epoch.unix(now).saturating_sub(Duration::from_secs(kept.since));
        Some(Unheard {
            stanza: Stanza::parse(&kept.text).ok()?,
            since: now.checked_sub(age).unwrap_or(now),
            up_to: kept.up_to,
            shared: kept.shared.map(|number| Shared { number, taken: kept.taken }),
        })
    };
    let jid: Jid = kept.jid.parse().ok()?;
    let [before, queue] =
        [&kept.before, &kept.queue].map(|all| all.iter().map(unheard).collect::<Option<Vec<_>>>());
    let suspended = Suspended {
        jid: jid.clone(),
        presence: kept.presence.as_deref().and_then(|presence| Stanza::parse(presence).ok()),
        interested: kept.interested,
        versions: kept.versions,
        carbons: kept.carbons,
        blocklist: kept.blocklist,
        directed: kept.directed.iter().filter_map(|jid| jid.parse().ok()).collect(),
        given: kept.before.iter().chain(&kept.queue).filter_map(|kept| kept.up_to).max(),
    };
    let asleep = Asleep {
        account,
        jid,
        name: name.into(),
        sent: kept.sent,
        handled: kept.handled,
        wait: Duration::from_secs(kept.until).saturating_sub(epoch.unix(now)),
        before: before?,
        queue: queue?,
    };
    Some((suspended, asleep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let now = testkit::start();
        let epoch = testkit::epoch(now);
        let account: Address = "romeo@verona.example".parse().unwrap();
        let jid: Jid = "romeo@verona.example/orchard".parse().unwrap();
        let unheard = |id: u32, up_to, shared| Unheard {
            stanza: Stanza::parse(&format!("<message id='{id}'><body>x</body></message>")).unwrap(),
            since: now,
            up_to,
            shared,
        };
        let asleep = Asleep {
            account: account.clone(),
            jid: jid.clone(),
            name: "name".into(),
            sent: 7,
            handled: 5,
            wait: Duration::from_secs(60),
            before: vec![unheard(1, Some(4), None)],
            queue: vec![unheard(2, Some(3), Some(Shared { number: 9, taken: true })), unheard(3, None, None)],
        };
        let known = Suspended {
            jid,
            presence: None,
            interested: true,
            versions: false,
            carbons: true,
            blocklist: false,
            directed: vec!["juliet@verona.example".parse().unwrap()],
            given: Some(4),
        };
        let kept = serde_json::to_string(&keep(&asleep, known.clone(), now, epoch)).unwrap();
        let kept: Kept = serde_json::from_str(&kept).unwrap();
        assert_eq!(read(&kept, account, "name", (now, epoch)), Some((known, asleep)));
    }
}
