//! One request and its answer, as a future: what it needs of the worker it leaves in the hub, and waits.

use super::pages::{self, Answer, Door, Route};
use super::passage;
use super::share::{Share, Shares};
use super::site::Site;
use crate::switchboard::pages::{Page, Reply, Ticket};
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, Version};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wire::{ConnectionId, WorkerId};

/// What exchanges want done.
#[derive(Debug)]
pub(super) enum Effect {
    /// A request is to end, one way or another, within this time.
    Within(u64, Duration),
    /// It is over.
    Over(u64),
    /// For another service.
    Page(Box<Page>),
    /// Nobody waits for its answer any more.
    Abandoned(u64),
    /// A connection to the web server behind us is wanted.
    Connect(u64),
    /// Such a connection is of no more use.
    Leave(ConnectionId),
}

/// What all exchanges of a worker share.
#[derive(Debug)]
pub(super) struct Hub {
    me: WorkerId,
    site: RefCell<Arc<Site>>,
    effects: RefCell<VecDeque<Effect>>,
    waiting: RefCell<FxHashMap<u64, Rc<Slot>>>,
    next: Cell<u64>,
    /// Octets of bodies that are held.
    held: Cell<usize>,
    /// How much of it all each source has.
    pub(super) shares: Shares,
    pub(super) counts: Counts,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: Cell<u64>,
    /// Requests that the web server behind us has not answered.
    pub(super) unanswered: Cell<u64>,
}

/// Where an exchange waits.
#[derive(Debug)]
pub(super) struct Slot {
    /// Of which connection.
    pub(super) conn: ConnectionId,
    /// What its source holds.
    pub(super) share: Rc<Share>,
    word: RefCell<Option<Word>>,
    waker: RefCell<Option<Waker>>,
}

/// What an exchange is told.
#[derive(Debug)]
pub(super) enum Word {
    /// The other service has answered.
    Reply(Reply),
    /// The way to the web server behind us.
    Server(ConnectionId, SendRequest<Upload>),
    /// There are too many such ways.
    Full,
    /// It takes too long.
    Late,
}

impl Slot {
    /// Tells the exchange something; the first word counts.
    pub(super) fn tell(&self, word: Word) {
        self.word.borrow_mut().get_or_insert(word);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether the exchange has not listened to what it was told.
    pub(super) fn is_deaf(&self) -> bool {
        self.word.borrow().is_some()
    }

    fn poll(&self, context: &Context<'_>) -> Option<Word> {
        let word = self.word.take();
        if word.is_none() {
            *self.waker.borrow_mut() = Some(context.waker().clone());
        }
        word
    }
}

impl Hub {
    pub(super) fn new(me: WorkerId, site: Site) -> Self {
        Self {
            me,
            site: RefCell::new(Arc::new(site)),
            effects: RefCell::default(),
            waiting: RefCell::default(),
            next: Cell::new(1),
            held: Cell::new(0),
            shares: Shares::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.borrow())
    }

    pub(super) fn set_site(&self, site: Site) {
        *self.site.borrow_mut() = Arc::new(site);
    }

    pub(super) fn next_effect(&self) -> Option<Effect> {
        self.effects.borrow_mut().pop_front()
    }

    pub(super) fn slot(&self, id: u64) -> Option<Rc<Slot>> {
        self.waiting.borrow().get(&id).cloned()
    }

    fn want(&self, effect: Effect) {
        self.effects.borrow_mut().push_back(effect);
    }
}

/// What is known of a connection by all its exchanges.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) conn: ConnectionId,
    pub(super) peer: SocketAddr,
    /// What its source holds.
    pub(super) share: Rc<Share>,
    pub(super) door: Door,
    /// Requests so far.
    pub(super) requests: Cell<u32>,
    /// Those under way.
    pub(super) under_way: Cell<u32>,
    /// The connection whose other end it is, after both have changed the protocol.
    pub(super) tunnel: Cell<Option<ConnectionId>>,
}

/// What hyper hands requests to.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) hub: Rc<Hub>,
    pub(super) guest: Rc<Guest>,
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchange = Exchange::new(self);
        // Whoever has asked for so much opens another connection; in HTTP/2 it is told so by other means.
        let is_last = exchange.is_last() && request.version() < Version::HTTP_2;
        Box::pin(async move {
            let mut response = exchange.answer(request).await?;
            if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// A request that is under way.
#[derive(Debug)]
struct Exchange {
    hub: Rc<Hub>,
    guest: Rc<Guest>,
    site: Arc<Site>,
    id: u64,
    slot: Rc<Slot>,
    /// Octets of its body that are held.
    held: usize,
    /// Whether another service has it, and has not answered.
    asked: bool,
    /// Whether its end has a time.
    timed: bool,
    /// The connection that was opened for it.
    server: Option<ConnectionId>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let guest = &self.guest;
        guest.under_way.set(guest.under_way.get() - 1);
        self.hub.held.set(self.hub.held.get() - self.held);
        guest.share.release(self.held);
        self.hub.waiting.borrow_mut().remove(&self.id);
        if self.asked {
            self.hub.want(Effect::Abandoned(self.id));
        }
        if self.timed {
            self.hub.want(Effect::Over(self.id));
        }
        if let Some(server) = self.server {
            self.hub.want(Effect::Leave(server));
        }
    }
}

impl Exchange {
    fn new(front: &Front) -> Self {
        let Front { hub, guest } = front.clone();
        let id = hub.next.replace(hub.next.get() + 1);
        let (conn, share) = (guest.conn, Rc::clone(&guest.share));
        let slot = Rc::new(Slot { conn, share, word: RefCell::default(), waker: RefCell::default() });
        guest.requests.set(guest.requests.get() + 1);
        guest.under_way.set(guest.under_way.get() + 1);
        hub.counts.requests.set(hub.counts.requests.get() + 1);
        let site = hub.site();
        Self { hub, guest, site, id, slot, held: 0, asked: false, timed: false, server: None }
    }

    /// Whether its connection has had all the requests that it may.
    fn is_last(&self) -> bool {
        self.guest.requests.get() >= self.site.limits.requests
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let authority = match pages::authority(&parts) {
            Ok(authority) => authority,
            Err(why) => {
                let answer = Answer::failure(StatusCode::BAD_REQUEST, why);
                return Ok(last(&parts.method, parts.version, answer));
            }
        };
        match pages::route(&self.site, self.guest.door, &authority, &parts) {
            Route::Known(answer) => Ok(self.known(&parts, body, answer).await),
            Route::Page => Ok(match self.page(&parts, body, authority).await {
                Ok(answer) => respond(&parts.method, answer),
                Err(answer) => last(&parts.method, parts.version, answer),
            }),
            Route::Upstream => {
                let (method, version) = (parts.method.clone(), parts.version);
                let failed = |answer| last(&method, version, answer);
                Ok(self.pass(parts, body, &authority).await.unwrap_or_else(failed))
            }
        }
    }

    /// An answer for which nothing of the body matters. It is read all the same, up to a bound: there are clients that take
    /// an answer in the middle of their words for a failure.
    async fn known(&mut self, parts: &Parts, mut body: Incoming, answer: Answer) -> Response<Body> {
        if !body.is_end_stream() {
            self.within(self.site.limits.begin);
            self.wait();
            let mut length = 0;
            while let Ok(Some(part)) = self.part(&mut body).await {
                length += part.len();
                if length > self.site.limits.body {
                    break;
                }
            }
        }
        match body.is_end_stream() {
            true => respond(&parts.method, answer),
            false => last(&parts.method, parts.version, answer),
        }
    }

    /// Has to be over within this time, from now on.
    fn within(&mut self, time: Duration) {
        self.timed = true;
        self.hub.want(Effect::Within(self.id, time));
    }

    /// Lets another service answer.
    async fn page(&mut self, parts: &Parts, body: Incoming, authority: String) -> Result<Answer, Answer> {
        self.within(3 * self.site.limits.begin);
        self.wait();
        let body = self.whole(body).await?;
        let text = |name: HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
        let page = Page {
            ticket: Ticket { worker: self.hub.me, id: self.id },
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            host: authority,
            origin: text(ORIGIN),
            content_type: text(CONTENT_TYPE),
            peer: self.guest.peer,
            sealed: self.guest.door.sealed,
            local: self.guest.door.local,
            body,
        };
        self.within(self.site.limits.answer);
        self.asked = true;
        self.hub.want(Effect::Page(Box::new(page)));
        match std::future::poll_fn(|context| self.slot.poll(context).map_or(Poll::Pending, Poll::Ready)).await
        {
            Word::Reply(reply) => {
                self.asked = false;
                Ok(Answer::from(reply))
            }
            _ => Err(Answer::failure(StatusCode::GATEWAY_TIMEOUT, "the answer takes too long")),
        }
    }

    /// May be told something from now on.
    fn wait(&self) {
        self.hub.waiting.borrow_mut().insert(self.id, Rc::clone(&self.slot));
    }

    /// The whole body of a request, within its bounds of size and time.
    async fn whole(&mut self, mut body: Incoming) -> Result<Vec<u8>, Answer> {
        let too_long = || Answer::failure(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
        let limit = self.site.limits.body;
        if body.size_hint().lower() > limit as u64 {
            return Err(too_long());
        }
        let mut whole = Vec::new();
        while let Some(part) = self.part(&mut body).await? {
            if whole.len() + part.len() > limit {
                return Err(too_long());
            }
            self.hold(part.len())?;
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }

    /// The next part of a body; `None` is its end.
    async fn part(&self, body: &mut Incoming) -> Result<Option<Bytes>, Answer> {
        let late = || Answer::failure(StatusCode::REQUEST_TIMEOUT, "the body takes too long");
        let broken = |_| Answer::failure(StatusCode::BAD_REQUEST, "the body is broken");
        loop {
            let next = std::future::poll_fn(|context| match self.slot.poll(context) {
                Some(_) => Poll::Ready(Err(late())),
                None => Pin::new(&mut *body).poll_frame(context).map(Ok),
            });
            let Some(frame) = next.await? else { return Ok(None) };
            // What is no data are trailers, which say nothing here.
            if let Ok(part) = frame.map_err(broken)?.into_data() {
                return Ok(Some(part));
            }
        }
    }

    /// Takes room for a part of a body.
    fn hold(&mut self, octets: usize) -> Result<(), Answer> {
        let held = self.hub.held.get() + octets;
        let all = self.site.limits.bodies;
        if held > all || !self.guest.share.hold(octets, all) {
            return Err(Answer::failure(StatusCode::SERVICE_UNAVAILABLE, "too much is to be read at once"));
        }
        self.hub.held.set(held);
        self.held += octets;
        Ok(())
    }
}

impl Exchange {
    /// Lets the web server behind us answer.
    async fn pass(mut self, parts: Parts, body: Incoming, authority: &str) -> Result<Response<Body>, Answer> {
        self.within(self.site.limits.answer);
        self.wait();
        self.hub.want(Effect::Connect(self.id));
        let late = || Answer::failure(StatusCode::GATEWAY_TIMEOUT, "the answer takes too long");
        let busy = || Answer::failure(StatusCode::SERVICE_UNAVAILABLE, "too much is asked at once");
        let word = std::future::poll_fn(|context| self.slot.poll(context).map_or(Poll::Pending, Poll::Ready));
        let mut sender = match word.await {
            Word::Server(server, sender) => {
                self.server = Some(server);
                sender
            }
            Word::Late => return Err(late()),
            Word::Full | Word::Reply(_) => return Err(busy()),
        };
        let wants_more = passage::upgrade(&parts).is_some();
        let upload =
            Upload { body, exchange: self.id, hub: Rc::clone(&self.hub), time: self.site.limits.answer };
        let sending = sender.send_request(passage::request(parts, authority, &self.guest, upload));
        let mut sending = pin!(sending);
        let next = std::future::poll_fn(|context| match self.slot.poll(context) {
            Some(_) => Poll::Ready(Err(late())),
            None => sending.as_mut().poll(context).map(Ok),
        });
        let unanswered = &self.hub.counts.unanswered;
        let (mut head, body) = match next.await? {
            Ok(response) => response.into_parts(),
            Err(error) => {
                tracing::debug!(%error, "the web server behind us does not answer");
                unanswered.set(unanswered.get() + 1);
                let why = "the web server behind this one does not answer";
                return Err(Answer::failure(StatusCode::BAD_GATEWAY, why));
            }
        };
        let body = if head.status == StatusCode::SWITCHING_PROTOCOLS && wants_more {
            passage::switched(&mut head.headers);
            self.guest.tunnel.set(self.server.take());
            Body::Whole(None)
        } else {
            passage::answer(&mut head.headers, head.version);
            Body::Passed(Box::new(Passed { body, exchange: Some(self) }))
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
        Ok(response)
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let field = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
        };
        Self {
            status: StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: reply.headers.into_iter().filter_map(field).collect(),
            body: reply.body.into(),
        }
    }
}

fn respond(method: &Method, answer: Answer) -> Response<Body> {
    let length = answer.body.len();
    let is_head = method == Method::HEAD;
    let mut response = Response::new(Body::Whole((!is_head).then_some(answer.body)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = HeaderMap::from_iter(answer.headers);
    if is_head {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// An answer that is the connection's last, in HTTP/1.1.
fn last(method: &Method, version: Version, answer: Answer) -> Response<Body> {
    let mut response = respond(method, answer);
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The body of a request that goes on to the web server behind us.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    exchange: u64,
    hub: Rc<Hub>,
    /// How long the next part may take.
    time: Duration,
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() && self.hub.slot(self.exchange).is_some() {
            self.hub.want(Effect::Within(self.exchange, self.time));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer that the web server behind us gives.
#[derive(Debug)]
pub(super) struct Passed {
    body: Incoming,
    /// Until it has ended.
    exchange: Option<Exchange>,
}

impl Passed {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
        if exchange.slot.poll(context).is_some() {
            self.exchange = None;
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &frame {
            exchange.within(exchange.site.limits.answer);
            if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
                self.exchange = None;
            }
        }
        frame.map_err(io::Error::other)
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// All there.
    Whole(Option<Bytes>),
    /// As it comes from the web server behind us.
    Passed(Box<Passed>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passed(passed) => passed.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.as_ref().is_none_or(Bytes::is_empty),
            Self::Passed(passed) => passed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Passed(passed) => passed.body.size_hint(),
        }
    }
}
