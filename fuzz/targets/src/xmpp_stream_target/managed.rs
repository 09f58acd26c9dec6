//! Carries out what the keeper of sessions wants (XEP-0198, XEP-0352), as the server does.

use super::world::World;
use wire::{ConnectionId, Machine};
use xmpp::managed::{Input, Output, Piece};
use xmpp::stream;
use xmpp::{StreamCondition, StreamError};

impl World {
    /// Lets the keeper have an input, and does at once what it wants.
    pub(super) fn manage(&mut self, input: Input<'_>) {
        self.managed.handle(self.now, input);
        self.manage_all();
    }

    pub(super) fn manage_all(&mut self) {
        while let Some(output) = self.managed.poll() {
            self.tell(&"keeper wants", &output);
            match output {
                Output::Write(conn, piece) => self.send(conn, piece),
                Output::Route(input) => self.route_of(input),
                Output::Asked(conn) => self.with_stream(conn, |stream, context, _| stream.asked(context)),
                Output::Pause(conn) => {
                    if let Some(client) = self.clients.get_mut(&conn) {
                        client.paused = true;
                    }
                }
                Output::Read(conn) => self.resume(conn),
                Output::NotResumed(conn) => self.feed(conn, stream::Input::NotResumed),
                Output::Resumed { connection, jid, name, handled } => {
                    self.feed(connection, stream::Input::Resumed { jid, name: &name, handled });
                }
                Output::End(conn, error) => self.end_stream(conn, error),
                Output::Supersede(conn) => self.supersede(conn),
                Output::Superseded(session) => self.manage(Input::Superseded(session)),
                // Nobody is kept over the end of the server here.
                Output::Forget { .. } => {}
            }
        }
    }

    /// Another connection takes a connection's session over.
    fn supersede(&mut self, old: ConnectionId) {
        self.hear_out(old);
        self.lost(old, true, Vec::new());
        self.end_stream(old, StreamError::from(StreamCondition::Conflict));
    }

    /// A connection carries its session no more.
    pub(super) fn lost(&mut self, connection: ConnectionId, resumable: bool, unsent: Vec<Piece>) {
        let handled = self.clients.get(&connection).and_then(|client| client.stream.handled());
        let handled = handled.unwrap_or_default();
        self.manage(Input::Lost { connection, handled, resumable, unsent });
    }

    /// A client counts from now on.
    pub(super) fn enable(&mut self, connection: ConnectionId, answer: Vec<u8>, name: Option<Box<str>>) {
        let Some(client) = self.clients.get(&connection) else { return };
        let Some(jid) = client.stream.jid() else { return };
        let (agent, paused) = (client.stream.agent(), client.paused);
        let input = Input::Enable { connection, jid, agent, paused, answer, name };
        self.managed.handle(self.now, input);
        self.manage_all();
    }

    /// A client wants an earlier session back.
    pub(super) fn take_back(&mut self, connection: ConnectionId, name: &str, handled: u32) {
        let account = self.clients.get(&connection).and_then(|client| client.account.clone());
        match account {
            Some(account) => {
                self.manage(Input::Resume { connection, account: &account, name, handled });
            }
            None => self.feed(connection, stream::Input::NotResumed),
        }
    }
}
