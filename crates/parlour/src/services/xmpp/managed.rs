//! Carries out what the keeper of sessions wants (`xmpp::managed`: XEP-0198, XEP-0352): writes, and tells router, streams
//! and store.

use super::Xmpp;
use crate::desk::{Desk, Shared};
use wire::{ConnectionId, Machine};
use xmpp::managed::{self, Bounds, Piece};
use xmpp::stream;
use xmpp::stream::unacknowledged::Most;
use xmpp::{StreamCondition, StreamError};

/// What is bounded by the plan.
pub(super) fn bounds(shared: &Shared, policy: &stream::Policy) -> Bounds {
    let limits = &shared.plan.xmpp.limits;
    let most = Most { stanzas: limits.unacknowledged, octets: limits.unacknowledged_octets };
    Bounds { most, resume: policy.resume }
}

impl Xmpp {
    /// Lets the keeper of sessions have an input, and does at once what it wants.
    pub(super) fn manage(&mut self, desk: &mut Desk<'_, '_>, input: managed::Input<'_>) {
        self.managed.handle(desk.net.now(), input);
        self.manage_all(desk);
    }

    /// Does what the keeper of sessions wants.
    pub(super) fn manage_all(&mut self, desk: &mut Desk<'_, '_>) {
        while let Some(output) = self.managed.poll() {
            self.managed_wants(desk, output);
        }
    }

    fn managed_wants(&mut self, desk: &mut Desk<'_, '_>, output: managed::Output) {
        match output {
            managed::Output::Write(conn, piece) => self.send(desk, conn, piece),
            managed::Output::Route(input) => self.route(desk, input),
            managed::Output::Asked(conn) => {
                self.with_stream(desk, conn, |stream, context, _| stream.asked(context));
            }
            managed::Output::Pause(conn) => {
                if let Some(client) = self.clients.get_mut(&conn) {
                    client.paused = true;
                    desk.net.pause(conn);
                }
            }
            managed::Output::Read(conn) => self.resume(desk, conn),
            managed::Output::NotResumed(conn) => self.feed(desk, conn, stream::Input::NotResumed),
            managed::Output::Resumed { connection, jid, name, handled } => {
                self.feed(desk, connection, stream::Input::Resumed { jid, name: &name, handled });
            }
            managed::Output::End(conn, error) => self.end(desk, conn, error),
            managed::Output::Supersede(conn) => self.supersede(desk, conn),
            managed::Output::Superseded(session) => {
                self.manage(desk, managed::Input::Superseded(session));
            }
            managed::Output::Forget { account, name, then } => {
                self.forget_suspended(desk, (account, name.into()), then);
            }
        }
    }

    /// Another connection takes a connection's session over.
    fn supersede(&mut self, desk: &mut Desk<'_, '_>, old: ConnectionId) {
        self.hear_out(desk, old);
        self.lost(desk, old, true, Vec::new());
        let error = StreamError::from(StreamCondition::Conflict);
        self.end(desk, old, error.saying("resumed on another connection"));
    }

    /// A connection carries its session no more.
    pub(super) fn lost(
        &mut self,
        desk: &mut Desk<'_, '_>,
        connection: ConnectionId,
        resumable: bool,
        unsent: Vec<Piece>,
    ) {
        let client = self.clients.get(&connection);
        let handled = client.and_then(|client| client.stream.handled()).unwrap_or_default();
        self.manage(desk, managed::Input::Lost { connection, handled, resumable, unsent });
    }

    /// A client counts stanzas from now on.
    pub(super) fn enable(
        &mut self,
        desk: &mut Desk<'_, '_>,
        connection: ConnectionId,
        answer: Vec<u8>,
        name: Option<Box<str>>,
    ) {
        let Some(client) = self.clients.get(&connection) else { return };
        let Some(jid) = client.stream.jid() else { return };
        let (agent, paused) = (client.stream.agent(), client.paused);
        let input = managed::Input::Enable { connection, jid, agent, paused, answer, name };
        self.managed.handle(desk.net.now(), input);
        self.manage_all(desk);
    }

    /// A client wants an earlier session back.
    pub(super) fn take_back(
        &mut self,
        desk: &mut Desk<'_, '_>,
        connection: ConnectionId,
        name: &str,
        handled: u32,
    ) {
        let account = self.clients.get(&connection).and_then(|client| client.account.clone());
        match account {
            Some(account) => {
                let input = managed::Input::Resume { connection, account: &account, name, handled };
                self.manage(desk, input);
            }
            None => self.feed(desk, connection, stream::Input::NotResumed),
        }
    }

    /// The time has come for something of a session.
    pub(super) fn tick_managed(&mut self, desk: &mut Desk<'_, '_>) {
        self.managed.tick(desk.net.now());
        self.manage_all(desk);
    }
}
