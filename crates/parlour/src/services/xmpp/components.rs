//! Connections of external components (XEP-0114): a stream each, and what waits for room in it.

use super::client::Unsent;
use super::{Mail, Timer, Xmpp};
use crate::desk::Desk;
use crate::mail;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;
use wire::{ConnectionId, Domain};
use xmpp::component::{self, Input, Link, Output};
use xmpp::managed::Piece;
use xmpp::router::{self, Eviction, Given};
use xmpp::{Condition, Stanza, StreamCondition, StreamError};

/// The role of their listeners.
pub const ROLE: u32 = 1;
/// How long to wait before a look whether a component has read what it was sent.
const FLUSH: Duration = Duration::from_millis(5);

/// A component's connection.
#[derive(Debug)]
pub(super) struct Component {
    link: Link,
    /// What it serves, once it is known to.
    host: Option<Domain>,
    source: IpAddr,
    /// What does not fit into the connection's buffer yet.
    unsent: Unsent,
    /// Whether the router wants no more of it for now.
    paused: bool,
    /// What it said while it was paused, in order.
    waiting: VecDeque<Output>,
    /// Whether the stream has ended.
    over: bool,
}

/// All of one worker.
#[derive(Debug, Default)]
pub(super) struct Components {
    known: Vec<component::Component>,
    here: FxHashMap<ConnectionId, Component>,
    /// What they want done, in order.
    work: VecDeque<(ConnectionId, Output)>,
}

impl Components {
    pub(super) fn new(known: Vec<component::Component>) -> Self {
        Self { known, ..Self::default() }
    }

    pub(super) fn set_known(&mut self, known: Vec<component::Component>) {
        self.known = known;
    }

    pub(super) fn has(&self, conn: ConnectionId) -> bool {
        self.here.contains_key(&conn)
    }

    pub(super) fn len(&self) -> usize {
        self.here.len()
    }

    /// Whether nothing is to be read from a component now.
    pub(super) fn is_paused(&self, conn: ConnectionId) -> bool {
        self.here.get(&conn).is_some_and(|component| component.paused)
    }

    pub(super) fn next(&mut self) -> Option<(ConnectionId, Output)> {
        self.work.pop_front()
    }
}

impl Component {
    fn new(link: Link, source: IpAddr) -> Self {
        Self {
            link,
            host: None,
            source,
            unsent: Unsent::default(),
            paused: false,
            waiting: VecDeque::new(),
            over: false,
        }
    }
}

impl Xmpp {
    /// A connection came in by a listener for components.
    pub(super) fn component_came(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId, source: IpAddr) {
        let link = Link::new(desk.net.now(), &self.policy);
        self.timers.set(Timer::Stream(conn), desk.net.now() + self.policy.login);
        self.components.here.insert(conn, Component::new(link, source));
    }

    /// Something came on a connection that is no client's.
    pub(super) fn component_received(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        data: &[u8],
    ) -> usize {
        if self.components.is_paused(conn) {
            return 0;
        }
        if self.components.has(conn) {
            self.component_feed(desk, conn, Input::Bytes(data));
            self.settle(desk);
        }
        data.len()
    }

    /// A component has moved here, where it is at home.
    pub(super) fn component_adopted(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        source: IpAddr,
        link: Link,
    ) {
        self.components.here.insert(conn, Component::new(link, source));
        self.component_settled(desk, conn);
        if self.draining {
            self.component_end(desk, conn, StreamCondition::SystemShutdown.into());
        }
    }

    /// The connection is where its stanzas go.
    fn component_settled(&mut self, desk: &Desk<'_, '_>, connection: ConnectionId) {
        let Some(component) = self.components.here.get_mut(&connection) else { return };
        let Some(host) = component.link.host().cloned() else { return };
        component.host = Some(host.clone());
        tracing::info!(conn = %connection, component = %host, "a component is there");
        self.component_feed(desk, connection, Input::Settled);
        self.route(desk, router::Input::ComponentOpened { connection, host });
    }

    /// Lets a component's stream have an input; what it wants is done by `settle`.
    pub(super) fn component_feed(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId, input: Input<'_>) {
        self.component_does(desk, conn, |link, context, out| link.handle(input, context, out));
    }

    pub(super) fn component_tick(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId) {
        self.component_does(desk, conn, Link::tick);
    }

    fn component_does(
        &mut self,
        desk: &Desk<'_, '_>,
        conn: ConnectionId,
        act: impl FnOnce(&mut Link, &mut component::Context<'_>, &mut Vec<Output>),
    ) {
        let Some(component) = self.components.here.get_mut(&conn) else { return };
        let mut context = component::Context {
            now: desk.net.now(),
            components: &self.components.known,
            entropy: &mut self.entropy,
            policy: &self.policy,
        };
        let mut outputs = Vec::new();
        act(&mut component.link, &mut context, &mut outputs);
        if component.link.deadline().is_none() {
            self.timers.cancel(Timer::Stream(conn));
        }
        self.components.work.extend(outputs.into_iter().map(|output| (conn, output)));
    }

    pub(super) fn component_end(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId, error: StreamError) {
        self.component_feed(desk, conn, Input::End(error));
    }

    /// All components hear that the server ends.
    pub(super) fn end_components(&mut self, desk: &Desk<'_, '_>) {
        for conn in self.components.here.keys().copied().collect::<Vec<_>>() {
            self.component_end(desk, conn, StreamCondition::SystemShutdown.into());
        }
    }

    /// Something that a component's stream wants done.
    pub(super) fn component_step(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, output: Output) {
        let Some(component) = self.components.here.get_mut(&conn) else { return };
        if component.paused {
            return component.waiting.push_back(output);
        }
        match output {
            Output::Write(bytes) => self.component_send(desk, conn, Piece::Bytes(bytes)),
            Output::Is(host) => self.component_is(desk, conn, &host),
            Output::Failed => {
                tracing::warn!(%conn, source = %component.source, "a component does not know its secret");
                self.failures += 1;
                // What is on this host is shut out by nobody: its neighbours would be, too.
                if !component.source.to_canonical().is_loopback() {
                    desk.doorman.failed(desk.net.now(), component.source, None);
                }
            }
            Output::Stanza(stanza) => {
                self.route(desk, router::Input::ComponentSaid { connection: conn, stanza });
            }
            Output::Refused(stanza, error) => {
                let input = router::Input::Refused { connection: conn, stanza: &stanza, error };
                self.route(desk, input);
            }
            Output::Close => {
                component.over = true;
                self.component_gone(desk, conn);
                desk.net.close(conn);
            }
        }
    }

    /// It is who it says it is: its connection goes to where it is at home.
    fn component_is(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, host: &Domain) {
        let home = host.home(desk.net.workers());
        if home == desk.net.me() {
            return self.component_settled(desk, conn);
        }
        self.timers.cancel(Timer::Stream(conn));
        let Some(component) = self.components.here.remove(&conn) else { return };
        let baggage = mail::Mail::Xmpp(Mail::ComponentMoved(Box::new(component.link)));
        if desk.net.migrate(conn, home, baggage).is_err() {
            // It will try again.
            desk.net.abort(conn);
        }
    }

    /// Sends a stanza to a component; where it does not read what it is sent, the sender is told.
    pub(super) fn for_component(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, stanza: Stanza) {
        let stanza = match component::outbound(stanza.as_str()) {
            std::borrow::Cow::Owned(text) => Stanza::parse(&text).unwrap_or(stanza),
            std::borrow::Cow::Borrowed(_) => stanza,
        };
        self.component_send(desk, conn, Piece::Given(stanza.into()));
    }

    fn component_send(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, piece: Piece) {
        let Some(component) = self.components.here.get_mut(&conn).filter(|component| !component.over) else {
            return self.component_returns(desk, [piece], Condition::RemoteServerTimeout);
        };
        if component.unsent.is_empty() && desk.net.write(conn, piece.bytes()).is_ok() {
            return;
        }
        let most = desk.shared.plan.xmpp.limits.unread;
        self.timers.set(Timer::Flush(conn), desk.net.now() + FLUSH);
        if let Some(piece) = component.unsent.push(piece, most) {
            self.component_returns(desk, [piece], Condition::ResourceConstraint);
        }
    }

    /// Who sent what a component was not given hears of it.
    fn component_returns(
        &mut self,
        desk: &Desk<'_, '_>,
        pieces: impl IntoIterator<Item = Piece>,
        condition: Condition,
    ) {
        for piece in pieces {
            if let Piece::Given(Given { stanza, .. }) = piece {
                self.route(desk, router::Input::Returned { stanza, condition });
            }
        }
    }

    /// Writes what there is room for.
    pub(super) fn component_flush(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(component) = self.components.here.get_mut(&conn) else { return };
        let most = desk.shared.plan.network.limits.write_buffer;
        while let Some(next) = component.unsent.next(most.saturating_sub(desk.net.queued(conn))) {
            let octets = next.len();
            if octets == 0 || desk.net.write(conn, next).is_err() {
                return self.timers.set(Timer::Flush(conn), desk.net.now() + FLUSH);
            }
            component.unsent.advance(octets);
        }
    }

    /// The router wants no more of a component for now, or more again.
    pub(super) fn component_pause(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, pause: bool) {
        let Some(component) = self.components.here.get_mut(&conn) else { return };
        component.paused = pause;
        if pause {
            return desk.net.pause(conn);
        }
        for output in std::mem::take(&mut component.waiting).into_iter().rev() {
            self.components.work.push_front((conn, output));
        }
        desk.net.resume(conn);
    }

    /// The router has ended a component's session.
    pub(super) fn component_evicted(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, why: Eviction) {
        self.component_pause(desk, conn, false);
        let error = match why {
            Eviction::Replaced => {
                StreamError::from(StreamCondition::Conflict).saying("replaced by a new connection")
            }
            _ => StreamError::from(StreamCondition::HostGone).saying("not configured any more"),
        };
        self.component_end(desk, conn, error);
    }

    /// A component is there no more: who wrote to it meanwhile is told.
    fn component_gone(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId) {
        let Some(component) = self.components.here.get_mut(&conn) else { return };
        let unsent = std::mem::take(&mut component.unsent);
        if let Some(host) = component.host.take() {
            tracing::info!(%conn, component = %host, "a component is gone");
        }
        self.route(desk, router::Input::Closed(conn));
        self.component_returns(desk, unsent.into_pieces(), Condition::RemoteServerTimeout);
    }

    /// Its connection is closed.
    pub(super) fn component_closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.component_pause(desk, conn, false);
        self.settle(desk);
        if self.components.here.get(&conn).is_some_and(|component| !component.over) {
            self.component_gone(desk, conn);
        }
        self.components.here.remove(&conn);
        self.timers.cancel(Timer::Stream(conn));
        self.timers.cancel(Timer::Flush(conn));
        self.settle(desk);
    }
}
