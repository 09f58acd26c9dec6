//! The transactions of one worker: one row each, found by key or by number, bounded.

mod chains;

pub(crate) use self::chains::Chain;
use self::chains::Chains;
use super::send::Path;
use crate::page::{Found, Page};
use crate::proxy::Context;
use crate::proxy::media::Mediated;
use crate::proxy::route::Plan;
use crate::slab::{Id, Slab};
use crate::trace::Mark;
use crate::transaction::Key;
use crate::transaction::client_invite::{self, ClientInvite};
use crate::transaction::client_request::{self, ClientRequest};
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_request::{self, ServerRequest};
use crate::transport::{Arrival, Hop};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use wire::{ConnectionId, Source};

/// The machine of a server transaction.
#[derive(Debug)]
pub(crate) enum ServerKind {
    Invite(ServerInvite),
    Request(ServerRequest),
}

/// The machine of a client transaction.
#[derive(Debug)]
pub(crate) enum ClientKind {
    Invite(ClientInvite),
    Request(ClientRequest),
}

/// A request that came, and what it was answered.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) key: Key,
    pub(crate) mark: Mark,
    /// When it came.
    pub(crate) began: Instant,
    pub(crate) arrival: Arrival,
    /// Where its responses go if not over the stream it came by.
    pub(crate) back: SocketAddr,
    /// The request as it came; empty once nobody needs it.
    pub(crate) request: Arc<[u8]>,
    /// The last response as it left; empty before.
    pub(crate) last: Vec<u8>,
    /// Where it was forwarded; `None` for what this server answers itself.
    pub(crate) context: Option<Box<Context>>,
    /// The machine has ended; the row stays for its client transactions.
    pub(crate) ended: bool,
    /// It no longer counts as unanswered.
    pub(crate) settled: bool,
}

/// Whether a client transaction is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    No,
    /// As soon as a provisional response comes (RFC 3261 §9.1).
    Wanted,
    /// This transaction carries the CANCEL, if there was room for one.
    Sent(Option<Id>),
}

impl Server {
    /// Whether a final answer has left.
    pub(crate) fn is_answered(&self) -> bool {
        match &self.kind {
            ServerKind::Invite(machine) => machine.state() != server_invite::State::Proceeding,
            ServerKind::Request(machine) => {
                !matches!(machine.state(), server_request::State::Trying | server_request::State::Proceeding)
            }
        }
    }
}

/// A request that left.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) kind: ClientKind,
    /// The server transaction and its branch; `None` for a CANCEL of ours.
    pub(crate) owner: Option<(Id, usize)>,
    pub(crate) mark: Mark,
    pub(crate) path: Path,
    /// The request as it left.
    pub(crate) request: Vec<u8>,
    pub(crate) cancel: Cancel,
    /// The Reason lines of the CANCEL, once it is wanted.
    pub(crate) reason: Vec<u8>,
    /// Its neighbours among those that depend on the same end.
    pub(crate) chain: Chain,
}

impl Client {
    /// Whether it has had a provisional response, and no final one.
    pub(crate) fn is_proceeding(&self) -> bool {
        match &self.kind {
            ClientKind::Invite(machine) => machine.state() == client_invite::State::Proceeding,
            ClientKind::Request(machine) => machine.state() == client_request::State::Proceeding,
        }
    }

    /// Whether it is an INVITE that has had a 2xx.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(&self.kind, ClientKind::Invite(machine) if machine.state() == client_invite::State::Accepted)
    }

    /// Whether it has had a final response.
    pub(crate) fn is_answered(&self) -> bool {
        match &self.kind {
            ClientKind::Invite(machine) => machine.is_answered(),
            ClientKind::Request(machine) => machine.is_answered(),
        }
    }
}

/// One transaction.
#[derive(Debug)]
pub(crate) enum Entry {
    Server(Server),
    Client(Client),
}

/// A question that was asked, and what goes on when the answer comes.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Where the user is that this server transaction is for.
    Locate(Id),
    /// The addresses of a branch's next hop.
    Resolve { server: Id, branch: usize, hop: Hop },
    /// The same for a request that is forwarded without a transaction.
    Stateless { arrival: Arrival, bytes: Vec<u8>, plan: Box<Plan>, hop: Hop },
    /// Where the user is that this ACK is for.
    Acknowledge { arrival: Arrival, bytes: Vec<u8>, plan: Box<Plan> },
    /// The session description that goes on in place of a message's own.
    Media(Box<Mediated>),
    /// Whether the bindings of this address are on the disk; the REGISTER that waits for that; whether the disk had more.
    Store { server: Option<Id>, address: wire::Address, fewer: bool },
}

/// Whom a client transaction depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Datagrams(SocketAddr),
    Stream(ConnectionId),
}

/// All transactions.
#[derive(Debug)]
pub(crate) struct Table {
    /// Boxed: a crowd that has gone leaves only their places behind.
    rows: Slab<Box<Entry>>,
    by_key: FxHashMap<Key, Id>,
    /// Client transactions by whom they depend on, so that a closed port or stream ends them at once.
    by_end: Chains,
    unanswered: usize,
    /// Bytes of the requests and answers that are kept, and how many there may be for another to be taken in.
    kept: usize,
    most_kept: usize,
    /// Server transactions of each source, and how many one may have.
    by_source: FxHashMap<Source, usize>,
    per_source: usize,
}

/// What a transaction may keep of its request and its answer, on average: their number alone would let few long ones take
/// all memory.
const KEPT_EACH: usize = 4096;

impl Table {
    pub(crate) fn new(limit: usize, per_source: usize) -> Self {
        Self {
            rows: Slab::new(limit),
            by_key: FxHashMap::default(),
            by_end: Chains::default(),
            unanswered: 0,
            kept: 0,
            most_kept: limit.saturating_mul(KEPT_EACH),
            by_source: FxHashMap::default(),
            per_source,
        }
    }

    /// How many server transactions one source may have from now on.
    pub(crate) fn set_per_source(&mut self, per_source: usize) {
        self.per_source = per_source;
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether a server transaction of that source, with a request of that length, finds room.
    pub(crate) fn takes(&self, source: IpAddr, length: usize) -> bool {
        let own = self.by_source.get(&Source::of(source)).copied().unwrap_or(0);
        own < self.per_source && self.rows.room() > 0 && self.kept + length <= self.most_kept
    }

    /// Whether somebody finds room whom nobody knows: half of all is for those who have proven who they are, and for dialogs.
    pub(crate) fn takes_strangers(&self) -> bool {
        self.rows.room() > self.rows.len() && self.kept <= self.most_kept / 2
    }

    /// How many requests are not finally answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// A server transaction was finally answered, or ends without an answer.
    pub(crate) fn settle(&mut self, id: Id) {
        if let Some(server) = self.server_mut(id)
            && !std::mem::replace(&mut server.settled, true)
        {
            self.unanswered -= 1;
        }
    }

    pub(crate) fn find(&self, key: Key) -> Option<Id> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn insert_server(&mut self, server: Server) -> Option<Id> {
        let (key, length) = (server.key, server.request.len());
        let source = server.arrival.peer.ip();
        if !self.takes(source, length) {
            return None;
        }
        let id = self.rows.insert(Box::new(Entry::Server(server)))?;
        *self.by_source.entry(Source::of(source)).or_default() += 1;
        self.kept += length;
        self.by_key.insert(key, id);
        self.unanswered += 1;
        Some(id)
    }

    /// Keeps the request of a client transaction as it leaves; nothing of it once nobody needs it.
    pub(crate) fn keep(&mut self, id: Id, request: Vec<u8>) {
        let Some(client) = self.client_mut(id) else { return };
        let length = request.len();
        let before = std::mem::replace(&mut client.request, request).len();
        self.kept = self.kept - before + length;
    }

    /// Nobody needs the request of a server transaction any more.
    pub(crate) fn forget_request(&mut self, id: Id) {
        let Some(server) = self.server_mut(id) else { return };
        self.kept -= std::mem::take(&mut server.request).len();
    }

    /// Whether so many octets of an answer may be kept for later.
    pub(crate) fn keeps(&self, length: usize) -> bool {
        self.kept + length <= self.most_kept
    }

    /// Counts the answers of branches that are kept until all have answered.
    pub(crate) fn count_answers(&mut self, id: Id) {
        let Some(context) = self.context_mut(id) else { return };
        let now = context.keeps();
        let before = std::mem::replace(&mut context.counted, now);
        self.kept = self.kept - before + now;
    }

    /// Keeps the last answer of a server transaction, to be sent again; none where too much is kept already: what a phone
    /// answers is as long as it likes.
    pub(crate) fn keep_answer(&mut self, id: Id, answer: &[u8]) {
        let room = self.most_kept.saturating_sub(self.kept);
        let Some(server) = self.server_mut(id) else { return };
        let before = server.last.len();
        server.last.clear();
        server.last.shrink_to(2 * answer.len());
        if answer.len() <= room + before {
            server.last.extend_from_slice(answer);
        }
        self.kept = self.kept - before + self.server(id).map_or(0, |server| server.last.len());
    }

    /// Keeps the answer of a server transaction that is to leave later, whatever else is kept.
    pub(crate) fn hold_answer(&mut self, id: Id, answer: Vec<u8>) {
        let Some(server) = self.server_mut(id) else { return };
        let length = answer.len();
        let before = std::mem::replace(&mut server.last, answer).len();
        self.kept = self.kept - before + length;
    }

    /// Takes the answer out that is to leave now.
    pub(crate) fn take_answer(&mut self, id: Id) -> Vec<u8> {
        let Some(server) = self.server_mut(id) else { return Vec::new() };
        let answer = std::mem::take(&mut server.last);
        self.kept -= answer.len();
        answer
    }

    pub(crate) fn insert_client(&mut self, client: Client) -> Option<Id> {
        let id = self.rows.insert(Box::new(Entry::Client(client)))?;
        self.by_end.join(&mut self.rows, id);
        Some(id)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Entry> {
        self.rows.get(id).map(|row| &**row)
    }

    pub(crate) fn server(&self, id: Id) -> Option<&Server> {
        match &**self.rows.get(id)? {
            Entry::Server(server) => Some(server),
            Entry::Client(_) => None,
        }
    }

    pub(crate) fn server_mut(&mut self, id: Id) -> Option<&mut Server> {
        match &mut **self.rows.get_mut(id)? {
            Entry::Server(server) => Some(server),
            Entry::Client(_) => None,
        }
    }

    pub(crate) fn context_mut(&mut self, id: Id) -> Option<&mut Context> {
        self.server_mut(id)?.context.as_deref_mut()
    }

    pub(crate) fn client(&self, id: Id) -> Option<&Client> {
        match &**self.rows.get(id)? {
            Entry::Client(client) => Some(client),
            Entry::Server(_) => None,
        }
    }

    pub(crate) fn client_mut(&mut self, id: Id) -> Option<&mut Client> {
        match &mut **self.rows.get_mut(id)? {
            Entry::Client(client) => Some(client),
            Entry::Server(_) => None,
        }
    }

    /// A client transaction's request now goes another way.
    pub(crate) fn moved(&mut self, id: Id, path: Path) {
        self.by_end.leave(&mut self.rows, id);
        let Some(client) = self.client_mut(id) else { return };
        client.path = path;
        self.by_end.join(&mut self.rows, id);
    }

    /// Takes a client transaction out.
    pub(crate) fn remove_client(&mut self, id: Id) -> Option<Client> {
        self.client(id)?;
        self.by_end.leave(&mut self.rows, id);
        let Entry::Client(client) = *self.rows.remove(id)? else { return None };
        self.kept -= client.request.len();
        Some(client)
    }

    /// Takes a server transaction's name away: the same request is a new one from now on.
    pub(crate) fn forget_key(&mut self, key: Key, id: Id) {
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
            if self.by_key.capacity() > 1024 && self.by_key.len() < self.by_key.capacity() / 8 {
                self.by_key.shrink_to(self.by_key.len() * 2);
            }
        }
    }

    pub(crate) fn remove_server(&mut self, id: Id) {
        self.forget_request(id);
        drop(self.take_answer(id));
        self.kept -= self.context_mut(id).map_or(0, |context| std::mem::take(&mut context.counted));
        if let Some(server) = self.server(id) {
            let source = Source::of(server.arrival.peer.ip());
            self.forget_key(server.key, id);
            self.rows.remove(id);
            self.forget_source(source);
        }
    }

    fn forget_source(&mut self, source: Source) {
        if let Slot::Occupied(mut count) = self.by_source.entry(source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if self.by_source.capacity() > 1024 && self.by_source.len() < self.by_source.capacity() / 8 {
            self.by_source.shrink_to(self.by_source.len() * 2);
        }
    }

    /// A page of transactions.
    pub(crate) fn page<T>(&self, page: Page, mut read: impl FnMut(Id, &Entry, &mut Vec<T>)) -> Found<T> {
        Found::on(page, &self.rows, |id, row, found| read(id, row, found))
    }

    /// Those that are wanted; for what is seldom asked.
    pub(crate) fn find_all(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Id> {
        self.rows.iter().filter(|(_, row)| wanted(row)).map(|(id, _)| id).collect()
    }

    /// The client transactions that wait for something over this stream.
    pub(crate) fn waiting_on_stream(&self, conn: ConnectionId) -> Vec<Id> {
        self.by_end.of(&self.rows, End::Stream(conn))
    }

    /// The client transactions that wait for something from this address.
    pub(crate) fn waiting_on_datagrams(&self, peer: SocketAddr) -> Vec<Id> {
        self.by_end.of(&self.rows, End::Datagrams(peer))
    }
}
