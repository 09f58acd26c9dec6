//! What a worker has besides its handler: sockets, streams, timers, and what callbacks have asked for.

use crate::admission::Admission;
use crate::counters::Counters;
use crate::datagram::Sockets;
use crate::dtls;
use crate::gate;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::running::Envelope;
use crate::stream::{Phase, Spare, Stream, Streams};
use crate::sys::{Events, Interest};
use crate::tls::{Accepts, Session, Towards};
use crate::token::Token;
use crate::worker::Leaving;
use crate::{Bound, Choice, CloseReason, Limits, Postbox, Proxies, Tag};
use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::OwnedPermit;
use wire::{ConnectionId, Epoch, SocketId, Timers, WorkerId};

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// What each spec offers; it grows when listeners are added.
    pub(crate) offers: ArcSwap<Vec<Arc<Offer>>>,
    pub(crate) admission: Arc<Admission>,
    /// Those of DTLS clients that are not through with their handshake.
    pub(crate) half_open: Arc<Admission>,
    /// How often each source begins a handshake.
    pub(crate) pace: Pace,
    pub(crate) cookies: dtls::Cookies,
    pub(crate) started: Instant,
    pub(crate) bound: Vec<Bound>,
}

impl Shared {
    /// What the listener of this spec offers.
    pub(crate) fn offer(&self, spec: u16) -> Arc<Offer> {
        self.offers.load().get(usize::from(spec)).cloned().unwrap_or_default()
    }
}

/// The server's side of TLS and of DTLS for one listener, neither where there is no identity; and who shares it.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    pub(crate) tls: Option<Accepts>,
    pub(crate) dtls: Option<Arc<dtls::Side>>,
    /// Who shares it.
    pub(crate) choices: Vec<Choice>,
    /// Who says whom a stream is from.
    pub(crate) proxies: Proxies,
}

/// The timers of net itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Due {
    /// What it means is told by the stream's phase: connected, secured, first byte, or flushed.
    Stream(u32),
    /// A listener that rested because no file descriptor was left.
    Listener(u32),
    /// The same of one that this worker alone has.
    Gate(SocketId),
    /// What it means is told by the DTLS session's stage: to send again, handshake, first message, or idle.
    Session(u32),
    /// Former listeners are looked at.
    Retired,
}

/// What callbacks have asked for and is still to be done.
#[derive(Debug)]
pub(crate) struct Chores<M> {
    pub(crate) endings: VecDeque<(ConnectionId, CloseReason)>,
    pub(crate) refusals: VecDeque<(ConnectionId, Tag, io::Error)>,
    pub(crate) moves: VecDeque<Move<M>>,
    pub(crate) revisits: VecDeque<ConnectionId>,
    pub(crate) dirty: Vec<ConnectionId>,
    /// Whether so much waits on one of these that it is to go out before anything else happens.
    pub(crate) hurry: bool,
    pub(crate) unbinding: Vec<SocketId>,
    /// Streams that have the room that was waited for.
    pub(crate) rooms: VecDeque<ConnectionId>,
}

impl<M> Default for Chores<M> {
    fn default() -> Self {
        Self {
            endings: VecDeque::new(),
            refusals: VecDeque::new(),
            moves: VecDeque::new(),
            revisits: VecDeque::new(),
            dirty: Vec::new(),
            hurry: false,
            unbinding: Vec::new(),
            rooms: VecDeque::new(),
        }
    }
}

/// A stream on its way to another worker, whose queue has a place reserved for it.
#[derive(Debug)]
pub(crate) struct Move<M> {
    pub(crate) conn: ConnectionId,
    pub(crate) place: OwnedPermit<Envelope<M>>,
    pub(crate) baggage: M,
}

/// A connection that is to be opened.
#[derive(Debug)]
pub(crate) struct Out {
    /// The address and port of ours to leave from, where that matters.
    pub(crate) from: Option<SocketAddr>,
    pub(crate) to: SocketAddr,
    pub(crate) tls: Option<Towards>,
    pub(crate) tag: Tag,
}

/// What a WebSocket is closed with where nothing is wrong (RFC 6455 §7.4.1).
const DONE: u16 = 1000;
/// The same where the server ends.
const GOING_AWAY: u16 = 1001;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What is left goes out first.
    Orderly,
    /// Nothing more is sent.
    AtOnce,
}

/// Everything of a worker but its handler and the buffers that it lends.
#[derive(Debug)]
pub(crate) struct Core<M> {
    pub(crate) me: WorkerId,
    pub(crate) now: Instant,
    pub(crate) epoch: Epoch,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: Events,
    pub(crate) sockets: Sockets,
    pub(crate) outbox: Outbox,
    pub(crate) streams: Streams,
    pub(crate) dtls: dtls::Sessions,
    pub(crate) leaving: Leaving,
    pub(crate) spare: Spare,
    pub(crate) timers: Timers<Due>,
    pub(crate) postbox: Postbox<M>,
    pub(crate) chores: Chores<M>,
}

impl<M> Core<M> {
    /// Takes a stream into the table and the event queue. The stream's wishes are followed from then on.
    pub(crate) fn register(&mut self, mut stream: Box<Stream>) -> io::Result<ConnectionId> {
        let interest = stream.wants();
        stream.interest = interest;
        let id = self.streams.insert(stream);
        let token = Token::Stream { slot: id.slot, generation: id.generation }.pack();
        let stream = self.streams.get(id).expect("it was inserted just now");
        if let Err(error) = self.events.add(&stream.socket, token, interest) {
            self.streams.remove(id);
            return Err(error);
        }
        self.counters.open.add(1);
        Ok(id)
    }

    /// Takes a stream out of table, event queue and timers.
    pub(crate) fn unregister(&mut self, id: ConnectionId) -> Option<Box<Stream>> {
        let stream = self.streams.remove(id)?;
        // It may live on elsewhere, so that closing the descriptor does not do this.
        let _ = self.events.remove(&stream.socket);
        self.timers.cancel(Due::Stream(id.slot));
        self.counters.open.take(1);
        Some(stream)
    }

    /// Makes the event queue watch a stream for what it wants now.
    pub(crate) fn watch(&mut self, id: ConnectionId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let wanted = stream.wants();
        if wanted == stream.interest || (stream.parked && !wanted.any()) {
            return;
        }
        stream.interest = wanted;
        let token = Token::Stream { slot: id.slot, generation: id.generation }.pack();
        let watched = if std::mem::take(&mut stream.parked) {
            self.events.add(&stream.socket, token, wanted)
        } else {
            self.events.change(&stream.socket, token, wanted)
        };
        if let Err(error) = watched {
            self.end(id, CloseReason::Failed(error.kind()), Manner::AtOnce);
        }
    }

    /// Leaves a stream out of the event queue until something of it is wanted again: both directions have ended, which
    /// the queue would tell for ever, and what the peer sent before is still to be read.
    pub(crate) fn park(&mut self, id: ConnectionId) {
        if let Some(stream) = self.streams.get_mut(id)
            && !std::mem::replace(&mut stream.parked, true)
        {
            stream.interest = Interest::default();
            // It is in there, and if not, that is what was wanted.
            let _ = self.events.remove(&stream.socket);
        }
    }

    /// Has a stream flushed, and watched for what it wants, after the current callback.
    pub(crate) fn touch(&mut self, id: ConnectionId) {
        if let Some(stream) = self.streams.get_mut(id)
            && !std::mem::replace(&mut stream.dirty, true)
        {
            self.chores.dirty.push(id);
        }
    }

    /// Ends a stream: the handler is told if it has seen it, and what is left goes out if that was asked for.
    pub(crate) fn end(&mut self, id: ConnectionId, reason: CloseReason, manner: Manner) {
        if dtls::is_dtls(id) {
            return self.end_session(id, reason, manner);
        }
        let limits = &self.shared.limits;
        // A stream that is leaving is its new owner's affair: what broke here will show there.
        let ends = |stream: &&mut Stream| stream.phase != Phase::Gone && !stream.leaving;
        let Some(stream) = self.streams.get_mut(id).filter(ends) else { return };
        let unseen = matches!(
            stream.phase,
            Phase::Connecting | Phase::Announcing | Phase::Handshaking | Phase::Asking
        );
        let outgoing = stream.spec.is_none();
        let close = if reason == CloseReason::Shutdown { GOING_AWAY } else { DONE };
        match stream.phase {
            Phase::Connecting => self.chores.refusals.push_back((id, stream.tag, reason.into_error())),
            Phase::Handshaking | Phase::Securing => {
                self.counters.handshake_failures.add(1);
                tracing::debug!(connection = %id, peer = %stream.peer, ?reason, "no TLS session");
                if unseen && outgoing {
                    self.chores.refusals.push_back((id, stream.tag, reason.into_error()));
                } else if !unseen {
                    self.chores.endings.push_back((id, reason));
                }
            }
            Phase::Open => self.chores.endings.push_back((id, reason)),
            Phase::Announcing | Phase::Asking | Phase::Closing | Phase::Gone => {}
        }
        let orderly = manner == Manner::Orderly && stream.phase != Phase::Connecting;
        let already = stream.phase == Phase::Closing;
        if orderly && let Some(mut web) = stream.web.take() {
            web.write_close(close, stream.queue(&mut self.spare));
            stream.web = Some(web);
        }
        stream.phase = if orderly { Phase::Closing } else { Phase::Gone };
        if orderly && !already {
            self.timers.set(Due::Stream(id.slot), self.now + limits.linger);
        }
        self.touch(id);
    }

    /// Begins a connection; how it goes on is told by events.
    pub(crate) fn connect(&mut self, out: Out, patience: Duration) -> ConnectionId {
        let tag = out.tag;
        let begun = self.begin(out).and_then(|stream| self.register(stream));
        match begun {
            Ok(id) => {
                self.timers.set(Due::Stream(id.slot), self.now + patience);
                id
            }
            Err(error) => {
                let id = self.streams.unused();
                self.chores.refusals.push_back((id, tag, error));
                id
            }
        }
    }

    fn begin(&self, out: Out) -> io::Result<Box<Stream>> {
        let Out { from, to, tls, tag } = out;
        let session = tls.map(client_session).transpose()?;
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.shared.limits.prepare_stream(&socket)?;
        from.map_or(Ok(()), |local| gate::bind_beside(&socket, local))?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let local = socket.local_addr()?.as_socket().unwrap_or(to);
        let mut stream = Box::new(Stream::new(socket.into(), tag, None, local, to));
        stream.phase = Phase::Connecting;
        stream.sealing = session.is_some();
        stream.session = session;
        Ok(stream)
    }

    /// Whether somebody may begin a handshake now, which costs us more than it.
    pub(crate) fn may_shake(&self, source: IpAddr) -> bool {
        let may = self.shared.pace.may(self.now, source);
        if !may {
            self.counters.handshakes_refused.add(1);
        }
        may
    }

    /// A session in which we are the server, for a stream that this spec's listener accepted.
    pub(crate) fn server_session(&self, spec: u16, meant: Option<Arc<str>>) -> Result<Box<Session>, String> {
        let offer = self.shared.offer(spec);
        let accepts = offer.tls.as_ref().ok_or("there is no certificate")?;
        Session::server(accepts, meant).map(Box::new).map_err(|error| error.to_string())
    }

    /// Starts TLS on an open stream, as the client by this session, or as the server: for a name of ours, where the client meant one.
    pub(crate) fn start_tls(
        &mut self,
        id: ConnectionId,
        session: Option<Box<Session>>,
        meant: Option<Arc<str>>,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.phase != Phase::Open || stream.sealing || stream.leaving {
            return;
        }
        stream.phase = Phase::Securing;
        stream.sealing = true;
        stream.session = session;
        stream.meant = meant;
        stream.paused = false;
        stream.fresh = false;
        stream.unread = Vec::new();
        self.timers.set(Due::Stream(id.slot), self.now + self.shared.limits.handshake);
        self.touch(id);
    }

    /// How many connections there are of either kind, those that are closing too.
    pub(crate) fn open_connections(&self) -> usize {
        self.streams.len() + self.dtls.len()
    }

    /// Changes what a listener is watched for.
    pub(crate) fn rest_listener(&mut self, index: u32, listener: &Socket, interest: Interest) {
        if let Err(error) = self.events.change(listener, Token::Listener(index).pack(), interest) {
            tracing::error!(%error, "a listener is lost");
        }
    }
}

/// A session in which we are the client.
pub(crate) fn client_session(towards: Towards) -> io::Result<Box<Session>> {
    Session::client(towards).map(Box::new).map_err(io::Error::other)
}

impl CloseReason {
    /// The reason as a failed `connect` tells it.
    fn into_error(self) -> io::Error {
        match self {
            Self::Failed(kind) => kind.into(),
            Self::HandshakeTimeout => io::ErrorKind::TimedOut.into(),
            Self::Tls(what) => io::Error::other(what),
            Self::Peer => io::ErrorKind::UnexpectedEof.into(),
            _ => io::ErrorKind::ConnectionAborted.into(),
        }
    }
}
