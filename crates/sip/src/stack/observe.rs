//! What the stack writes into its trace, one line each.

use super::calls::NOBODY_S_PORT;
use super::{Client, Path, Server, Stack};
use crate::message::{Message, Method};
use crate::proxy::Refusal;
use crate::slab::Id;
use crate::trace::{Mark, Note, Peer, Row, Side, What, Word, first_line};
use crate::transport::Arrival;
use std::time::Instant;
use wire::Transport;

const NOBODY: Peer = (None, None);

impl Stack {
    /// Everything that is known here of each of these calls, by Call-ID.
    pub fn trace(&self, calls: &[Box<[u8]>]) -> Vec<Vec<Row>> {
        self.trace.of(calls)
    }

    /// The Call-IDs of the latest calls that came here, the last one first, with when they did.
    pub fn latest(&self, most: usize) -> Vec<(Instant, Box<[u8]>)> {
        self.trace.latest(most)
    }

    /// A request has come; `is_new`: to any worker.
    pub(super) fn saw(&mut self, now: Instant, arrival: &Arrival, request: &Message<'_>, is_new: bool) {
        if !is_new {
            return;
        }
        let mark = self.trace.mark(request);
        let line = (0, first_line(request.bytes()));
        self.trace.add(now, mark, What::Came, Side::Caller, of_arrival(arrival), line);
    }

    /// It is a new one: who calls.
    pub(super) fn introduce(&mut self, now: Instant, request: &Message<'_>) {
        if request.to().tag().is_none() {
            let mark = self.trace.mark(request);
            self.say_who(now, mark, request);
        }
    }

    fn say_who(&mut self, now: Instant, mark: Mark, request: &Message<'_>) {
        let (call_id, from) = (request.call_id(), request.from().uri_bytes());
        self.trace.add(now, mark, What::CallId, Side::Here, NOBODY, (0, call_id));
        self.trace.add(now, mark, What::From, Side::Here, NOBODY, (0, from));
    }

    /// An answer leaves for whoever sent the request.
    pub(super) fn told(
        &mut self,
        now: Instant,
        mark: Mark,
        (arrival, again): (&Arrival, bool),
        answer: &[u8],
    ) {
        // A request of our own is answered to nobody.
        if arrival.peer.port() == NOBODY_S_PORT {
            return;
        }
        let what = if again { What::LeftAgain } else { What::Left };
        self.trace.add(now, mark, what, Side::Caller, of_arrival(arrival), (0, first_line(answer)));
    }

    /// A request of this client transaction leaves.
    pub(super) fn sent_on(&mut self, now: Instant, id: Id, again: bool, request: &[u8]) {
        let Some((mark, peer)) = self.client_end(id) else { return };
        let what = if again { What::LeftAgain } else { What::Left };
        // The ACK of a refusal is its INVITE's transaction's.
        let mark = if request.starts_with(b"ACK ") { mark.of(Word::Ack) } else { mark };
        self.trace.add(now, mark, what, Side::Called, peer, (0, first_line(request)));
    }

    /// A request leaves without a transaction.
    pub(crate) fn sent_past(&mut self, now: Instant, path: &Path, request: &Message<'_>, copy: &[u8]) {
        let (mark, peer) = (self.trace.mark(request), Self::of_path(path));
        self.trace.add(now, mark, What::Left, Side::Called, peer, (0, first_line(copy)));
    }

    /// An answer to this client transaction has come.
    pub(super) fn heard(&mut self, now: Instant, id: Id, answer: &Message<'_>) {
        let Some((mark, peer)) = self.client_end(id) else { return };
        self.trace.add(now, mark, What::Came, Side::Called, peer, (0, first_line(answer.bytes())));
    }

    /// Something was found out about a request, whether or not its kind is traced: rows of requests that are not begin
    /// with the request itself.
    pub(crate) fn note_request(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        note: Note,
        text: &[u8],
    ) {
        let mut mark = self.trace.mark(request);
        if mark == Mark::default() && request.method() == Method::Register {
            mark = self.trace.mark_any(request);
            let line = (0, first_line(request.bytes()));
            self.say_who(now, mark, request);
            self.trace.add(now, mark, What::Came, Side::Caller, of_arrival(arrival), line);
        }
        self.trace.add(now, mark, What::Note(note), Side::Here, of_arrival(arrival), (0, text));
    }

    /// Something was found out about what is being forwarded.
    pub(crate) fn note_server(&mut self, now: Instant, id: Id, note: Note, said: (u32, &[u8])) {
        if let Some(mark) = self.table.server(id).map(|server| server.mark) {
            self.trace.add(now, mark, What::Note(note), Side::Here, NOBODY, said);
        }
    }

    /// Something was decided about a whole call.
    pub(super) fn note_call(&mut self, now: Instant, call_id: &[u8], note: Note) {
        let mark = self.trace.mark_call(call_id);
        self.trace.add(now, mark, What::Note(note), Side::Here, NOBODY, (0, b""));
    }

    /// The same, about a peer.
    pub(crate) fn note_peer(&mut self, now: Instant, id: Id, note: Note, peer: Peer) {
        if let Some(mark) = self.table.server(id).map(|server| server.mark) {
            self.trace.add(now, mark, What::Note(note), Side::Here, peer, (0, b""));
        }
    }

    /// Something was found out about one branch.
    pub(crate) fn note_client(&mut self, now: Instant, id: Id, note: Note, text: &[u8]) {
        let Some((mark, peer)) = self.client_end(id) else { return };
        self.trace.add(now, mark, What::Note(note), Side::Called, peer, (0, text));
    }

    /// A request is refused without a transaction: what the story needs beside the answer.
    pub(super) fn note_refusal(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        refusal: &Refusal,
    ) {
        let text: Vec<u8> = match refusal {
            // What was shown was judged, and noted, before.
            Refusal::Challenge { .. } | Refusal::NotYours => return,
            Refusal::NotFound => request.uri_bytes().unwrap_or_default().to_vec(),
            Refusal::Extension(tags) => tags.clone(),
            _ => format!("{} {}", refusal.code(), refusal.reason()).into_bytes(),
        };
        let note = match refusal {
            Refusal::NotFound => Note::NoAccount,
            Refusal::Relaying => Note::Relaying,
            Refusal::Overload => Note::Overload,
            Refusal::Unreachable => Note::NoWay,
            _ => Note::Refused,
        };
        self.note_request(now, arrival, request, note, &text);
    }

    fn client_end(&self, id: Id) -> Option<(Mark, Peer)> {
        let Client { mark, path, .. } = self.table.client(id)?;
        Some((*mark, Self::of_path(path)))
    }

    pub(super) fn of_path(path: &Path) -> Peer {
        match path {
            Path::Datagram { to, .. } => (Some(Transport::Udp), Some(*to)),
            Path::Stream { peer, transport, .. } => (Some(*transport), Some(*peer)),
            Path::Dial { peer } => (Some(peer.transport), Some(peer.at)),
        }
    }

    /// The mark of what a client transaction is for.
    pub(super) fn mark_of_owner(&self, owner: Option<(Id, usize)>) -> Mark {
        let server = owner.and_then(|(server, _)| self.table.server(server));
        server.map_or_else(Mark::default, |Server { mark, .. }| *mark)
    }
}

fn of_arrival(arrival: &Arrival) -> Peer {
    (Some(arrival.transport), Some(arrival.peer))
}
