//! What an administrator sees of one worker's XMPP sessions, and the end of them.

use super::Xmpp;
use crate::desk::Desk;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::oneshot;
use wire::Address;
use xmpp::Jid;
use xmpp::router::{self, SessionInfo};
use xmpp::stream::Agent;

/// What an administrator wants of a worker. It holds the way back.
#[derive(Debug)]
pub enum Order {
    /// At most so many sessions, of one account or of all.
    Sessions(Option<Address>, usize, oneshot::Sender<Vec<Seen>>),
    /// End an account's sessions, or the one of a resource: those that were ended.
    Disconnect(Address, Option<String>, oneshot::Sender<Vec<Seen>>),
}

/// A session.
#[derive(Debug)]
pub struct Seen {
    /// Its full JID.
    pub jid: Jid,
    /// Its priority, once it is available.
    pub priority: Option<i8>,
    /// From where its client comes; none while it waits for it.
    pub source: Option<IpAddr>,
    /// What the client said of itself.
    pub agent: Agent,
    /// For how long it has been there.
    pub age: Duration,
    /// How many stanzas its client has not acknowledged, where it does that.
    pub unacknowledged: Option<usize>,
}

impl Xmpp {
    /// An administrator's order. He may have gone away meanwhile.
    pub(super) fn order(&mut self, desk: &Desk<'_, '_>, order: Order) {
        match order {
            Order::Sessions(Some(account), most, reply) => {
                let sessions: Vec<SessionInfo> = self.router.sessions_at(&account).take(most).collect();
                let _ = reply.send(self.seen(desk, sessions));
            }
            Order::Sessions(None, most, reply) => {
                let sessions: Vec<SessionInfo> = self.router.sessions().take(most).collect();
                let _ = reply.send(self.seen(desk, sessions));
            }
            Order::Disconnect(account, resource, reply) => {
                let named = |info: &SessionInfo| {
                    resource.as_deref().is_none_or(|resource| info.jid.resource() == Some(resource))
                };
                let sessions: Vec<SessionInfo> = self.router.sessions_at(&account).filter(named).collect();
                let seen = self.seen(desk, sessions);
                self.route(desk, router::Input::Kick { account: &account, resource: resource.as_deref() });
                let _ = reply.send(seen);
            }
        }
    }

    fn seen(&self, desk: &Desk<'_, '_>, sessions: Vec<SessionInfo>) -> Vec<Seen> {
        sessions.into_iter().map(|info| self.seen_one(desk, info)).collect()
    }

    fn seen_one(&self, desk: &Desk<'_, '_>, info: SessionInfo) -> Seen {
        let carrier = self.managed.carrier(info.connection).and_then(|conn| self.clients.get(&conn));
        let agent =
            carrier.and_then(|client| client.stream.agent()).or_else(|| self.managed.agent(info.connection));
        Seen {
            jid: info.jid,
            priority: info.priority,
            source: carrier.map(|client| client.source),
            agent: agent.cloned().unwrap_or_default(),
            age: desk.net.now().saturating_duration_since(info.since),
            unacknowledged: self.managed.unacknowledged(info.connection),
        }
    }
}
