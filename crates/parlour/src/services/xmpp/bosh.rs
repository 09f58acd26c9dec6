//! Clients that come by HTTP requests (BOSH: XEP-0124, XEP-0206). Each has the place of a connection here, with a session of
//! requests where others have a socket.
//!
//! The name of a session says on which worker it began; after sign-in it goes on where its account is at home. A request
//! goes there by mail from wherever it came, and its answer comes back the same way.

mod http;
mod visits;

pub use visits::{Asking, Letter, Traveller};
pub(super) use visits::{Visit, Visits};

use super::client::Client;
use super::{Mail, Timer, Xmpp};
use crate::config::plan::XmppLimits;
use crate::desk::Desk;
use crate::mail;
use crate::switchboard::pages::{Page, Reply, Ticket};
use std::sync::Arc;
use std::time::Duration;
use visits::{Answer, Place};
use wire::{Address, ConnectionId, WorkerId};
use xmpp::bosh::{self, Condition, Output, Session, Word};
use xmpp::managed::Piece;
use xmpp::sasl::Channel;
use xmpp::stream::{self, Stream};
use xmpp::{StreamCondition, router};

/// What a request counts beside its body, where it is counted what a client says.
const HEAD: usize = 512;

/// What sessions are offered.
fn limits(plan: &XmppLimits, answer: Duration) -> bosh::Limits {
    bosh::Limits {
        // The answer has to come before HTTP gives it up.
        wait: Duration::from_secs(plan.bosh_wait.min(answer / 2).as_secs()),
        inactivity: plan.bosh_inactivity,
        pause: plan.bosh_pause,
        polling: plan.bosh_polling,
        ..bosh::Limits::default()
    }
}

impl Xmpp {
    /// A request of HTTP for us.
    pub fn page(&mut self, desk: &mut Desk<'_, '_>, page: Page) {
        if page.path != http::PATH {
            return desk.switchboard.reply_to_page(desk.net, Reply::nothing(page.ticket));
        }
        let (ticket, origin) = (page.ticket, page.origin.clone());
        let plan = &desk.shared.plan;
        let outcome = http::judge(plan, &page, self.policy.member);
        let sid = outcome.as_ref().ok().and_then(|body| body.sid.clone());
        self.visits.note(ticket, origin, sid);
        match outcome {
            Ok(body) => {
                let (octets, source) = (page.body.len() + HEAD, page.peer.ip());
                self.follow(desk, Asking { ticket, body, octets, source, sealed: page.sealed }, false);
            }
            Err(answer) => self.answer(desk, ticket, answer),
        }
        self.settle(desk);
    }

    /// Nobody waits any more for the answer to a request.
    pub fn abandoned(&mut self, desk: &mut Desk<'_, '_>, ticket: Ticket) {
        let Some(sid) = self.visits.forget(ticket).and_then(|asked| asked.sid) else { return };
        self.abandon(desk, ticket, sid, false);
        self.settle(desk);
    }

    fn abandon(&mut self, desk: &mut Desk<'_, '_>, ticket: Ticket, sid: Box<str>, last: bool) {
        match self.visits.place(&sid, (desk.shared.me, desk.shared.workers), last) {
            Place::Here(conn) => {
                let visit = self.clients.get_mut(&conn).and_then(|client| client.visit.as_mut());
                if let Some(visit) = visit {
                    visit.session.abandoned(desk.net.now(), ticket);
                    self.visits.push(conn);
                }
            }
            Place::There { worker, last } => {
                let letter = Letter::Abandoned { ticket, sid, last };
                // Where it does not come, the client asks again for an answer that went nowhere.
                let _ = desk.net.post(worker, mail(letter));
            }
            Place::Nowhere => {}
        }
    }

    /// Mail about sessions.
    pub(super) fn bosh_mail(&mut self, desk: &mut Desk<'_, '_>, letter: Letter) {
        match letter {
            Letter::Request(asking, last) => self.follow(desk, *asking, last),
            Letter::Abandoned { ticket, sid, last } => self.abandon(desk, ticket, sid, last),
            Letter::Answer(ticket, answer) => self.answer(desk, ticket, answer),
            Letter::Moved(traveller) => self.arrive(desk, *traveller),
            Letter::Gone(sid) => self.visits.gone(&sid),
        }
    }

    /// Takes a request to its session. `last`: it was here that it had to be.
    fn follow(&mut self, desk: &mut Desk<'_, '_>, asking: Asking, last: bool) {
        let Some(sid) = &asking.body.sid else { return self.begin(desk, asking) };
        match self.visits.place(sid, (desk.shared.me, desk.shared.workers), last) {
            Place::Here(conn) => self.ask_session(desk, conn, asking),
            Place::There { worker, last } => {
                let ticket = asking.ticket;
                if desk.net.post(worker, mail(Letter::Request(Box::new(asking), last))).is_err() {
                    self.answer(desk, ticket, Answer::again());
                }
            }
            Place::Nowhere => self.answer(desk, asking.ticket, Answer::over(Condition::ItemNotFound)),
        }
    }

    /// A first request: a session begins, if there is room for one.
    fn begin(&mut self, desk: &mut Desk<'_, '_>, asking: Asking) {
        let (now, limits) = (desk.net.now(), &desk.shared.plan.xmpp.limits);
        if self.draining {
            return self.answer(desk, asking.ticket, Answer::over(Condition::SystemShutdown));
        }
        if desk.doorman.drops(now, asking.source) {
            return self.answer(desk, asking.ticket, Answer::forbidden());
        }
        if asking.octets > HEAD + limits.stanza_stranger || !self.visits.has_room(asking.source, limits) {
            tracing::debug!(source = %asking.source, "no room for a session by requests");
            return self.answer(desk, asking.ticket, Answer::over(Condition::PolicyViolation));
        }
        let sid = visits::name(desk.shared.me, &mut self.entropy);
        let conn = self.visits.open(desk.shared.me, &sid, asking.source);
        let terms = self::limits(limits, desk.shared.plan.web.limits.answer);
        let session = Session::begin(now, &sid, asking.ticket, &asking.body, &terms);
        // Scripts do not know the TLS session that they are in: nothing is bound to it.
        let stream = Stream::new(now, Some(Channel::default()), &self.policy);
        let visit = Some(Box::new(Visit { session, sealed: asking.sealed }));
        let client = Client { visit, ..Client::new(stream, asking.source) };
        self.clients.insert(conn, Box::new(client));
        self.with_stream(desk, conn, |_, _, _| {});
        self.keep_pace(desk, conn, asking.octets);
    }

    /// A request of a session that is here.
    fn ask_session(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, asking: Asking) {
        let Asking { ticket, body, octets, source, sealed } = asking;
        let now = desk.net.now();
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let is_stranger = client.account.is_none();
        let Some(visit) = &mut client.visit else { return };
        // Somebody has read along who could not have, inside TLS (XEP-0124 §19.1).
        let leaks = visit.sealed && !sealed;
        if leaks || (is_stranger && desk.doorman.drops(now, source)) {
            return self.answer(desk, ticket, Answer::forbidden());
        }
        // What comes before its turn would wait whole.
        if is_stranger && octets > HEAD + desk.shared.plan.xmpp.limits.stanza_stranger {
            self.end(desk, conn, StreamCondition::PolicyViolation.into());
            return self.answer(desk, ticket, Answer::over(Condition::PolicyViolation));
        }
        let mut out = Vec::new();
        visit.session.request(now, ticket, body, &mut out);
        self.bosh_outputs(desk, conn, out);
        self.keep_pace(desk, conn, octets);
        // Whoever asks is there.
        self.with_stream(desk, conn, |stream, context, _| stream.excuse(context));
        // The calendar may have been set since.
        self.route(desk, router::Input::Epoch(desk.net.epoch()));
        self.visits.push(conn);
    }

    /// What the stream of a session says.
    pub(super) fn bosh_say(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, said: &[u8]) {
        for word in bosh::words(said) {
            let visit = self.clients.get_mut(&conn).and_then(|client| client.visit.as_mut());
            let Some(Visit { session, .. }) = visit.map(|visit| &mut **visit) else { return };
            match word {
                Word::Header { from, id } => session.greet(from, id),
                Word::Element(text) => self.bosh_send(desk, conn, Piece::Bytes(text.into_bytes())),
                Word::Error(text) => session.end(Some(text)),
                Word::End => session.end(None),
            }
            self.visits.push(conn);
        }
    }

    /// Something is to be carried by a session. A client that leaves too much is no client any more.
    pub(super) fn bosh_send(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, piece: Piece) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let Some(visit) = client.visit.as_mut() else { return };
        let most = if client.cut { usize::MAX } else { desk.shared.plan.xmpp.limits.unread };
        self.visits.push(conn);
        let Some(piece) = visit.session.say(piece, most) else { return };
        visit.session.say(piece, usize::MAX);
        client.cut = true;
        self.cut.push(conn);
    }

    /// Lets a session do what it can do now: its stream reads, its requests are answered.
    pub(super) fn bosh_turn(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let may_read = !client.paused && !client.slowed && !client.over;
        let Some(visit) = &mut client.visit else { return };
        if may_read && let Some(work) = visit.session.take() {
            // What comes of it comes first.
            self.visits.push(conn);
            return self.feed(desk, conn, stream::Input::Bytes(work.as_bytes()));
        }
        let mut out = Vec::new();
        visit.session.settle(desk.net.now(), &mut out);
        self.bosh_outputs(desk, conn, out);
        self.bosh_look(desk, conn);
    }

    /// It is time for something.
    pub(super) fn bosh_tick(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let visit = self.clients.get_mut(&conn).and_then(|client| client.visit.as_mut());
        let Some(visit) = visit else { return };
        let mut out = Vec::new();
        visit.session.tick(desk.net.now(), &mut out);
        self.bosh_outputs(desk, conn, out);
        self.bosh_look(desk, conn);
    }

    /// Whether a session is over, or else when it is looked at next.
    fn bosh_look(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let visit = self.clients.get(&conn).and_then(|client| client.visit.as_ref());
        let Some(visit) = visit else { return };
        if visit.session.is_over() {
            return self.depart(desk, conn);
        }
        match visit.session.deadline() {
            Some(due) => self.timers.set(Timer::Visit(conn), due),
            None => drop(self.timers.cancel(Timer::Visit(conn))),
        }
    }

    /// What a session wants done.
    fn bosh_outputs(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        outputs: Vec<Output<Ticket, Piece>>,
    ) {
        let visit = self.clients.get(&conn).and_then(|client| client.visit.as_ref());
        let content: Arc<str> = visit.map(|visit| visit.session.content()).unwrap_or_default().into();
        for output in outputs {
            match output {
                Output::Answer { ticket, status, text } => {
                    let content = Arc::clone(&content);
                    self.answer(desk, ticket, Answer { status, content, text, headers: &[] });
                }
                Output::Taken(piece) => {
                    if let Some(receipt) = piece.receipt() {
                        self.route(desk, router::Input::Delivered(receipt));
                    }
                }
            }
        }
    }

    /// The stream of a session is over. Its client is told on a request that waits, or on the next.
    pub(super) fn bosh_over(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, resumable: bool) {
        let visit = self.clients.get_mut(&conn).and_then(|client| client.visit.as_mut());
        let Some(visit) = visit else { return };
        let mut out = Vec::new();
        visit.session.settle(desk.net.now(), &mut out);
        let rest = visit.session.rest();
        self.bosh_outputs(desk, conn, out);
        self.lost(desk, conn, resumable, rest);
        match self.draining {
            true => self.depart(desk, conn),
            false => self.bosh_look(desk, conn),
        }
    }

    /// A session is gone: its client has been away for too long, has broken the rules, or knows that it is over.
    pub(super) fn depart(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.hear_out(desk, conn);
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if let Some(visit) = client.visit.as_mut().filter(|_| !client.over) {
            client.over = true;
            let rest = visit.session.rest();
            self.lost(desk, conn, true, rest);
        }
        self.dismiss(desk, conn);
        let Some(Client { visit: Some(visit), account, source, .. }) =
            self.forget(conn).map(|client| *client)
        else {
            return;
        };
        let sid = visit.session.sid();
        self.visits.close(sid, account.is_none().then_some(source));
        if let Some(birth) = visits::birth(sid).filter(|birth| *birth != desk.shared.me) {
            deliver(desk, birth, Letter::Gone(sid.into()));
        }
    }

    /// Requests that still wait, where no answer is to come, hear so.
    fn dismiss(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let visit = self.clients.get_mut(&conn).and_then(|client| client.visit.as_mut());
        let Some(visit) = visit else { return };
        let mut out = Vec::new();
        visit.session.abort(Condition::PolicyViolation, &mut out);
        self.bosh_outputs(desk, conn, out);
    }

    /// The server ends: clients that have not come to hear that their sessions are over do not hear it any more.
    pub(super) fn bosh_drain(&mut self, desk: &mut Desk<'_, '_>) {
        let is_told = |client: &Client| client.over && client.visit.is_some();
        let over = self.clients.iter().filter(|(_, client)| is_told(client)).map(|(conn, _)| *conn);
        for conn in over.collect::<Vec<_>>() {
            self.depart(desk, conn);
        }
    }

    /// The client of a session has signed in, and its account is at home elsewhere.
    pub(super) fn travel(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        home: WorkerId,
        account: Address,
    ) {
        let Some(Client { visit: Some(visit), stream, source, .. }) = self.forget(conn).map(|client| *client)
        else {
            return;
        };
        let Visit { session, sealed } = *visit;
        let sid: Box<str> = session.sid().into();
        let session = session.map(|piece| piece.bytes().to_vec());
        let traveller = Traveller { session, sealed, stream, source, account };
        match desk.net.post(home, mail(Letter::Moved(Box::new(traveller)))) {
            Ok(()) => self.visits.moved(&sid, home),
            Err(mail::Mail::Xmpp(Mail::Bosh(letter))) => {
                let Letter::Moved(back) = *letter else { return };
                self.settle_in(conn, *back);
                self.end(desk, conn, StreamCondition::ResourceConstraint.into());
            }
            Err(_) => {}
        }
    }

    /// A session goes on here, where its account is at home.
    fn arrive(&mut self, desk: &mut Desk<'_, '_>, traveller: Traveller) {
        let conn = self.visits.adopt(desk.shared.me, traveller.session.sid());
        self.settle_in(conn, traveller);
        self.feed(desk, conn, stream::Input::Settled);
        if self.draining {
            self.end(desk, conn, StreamCondition::SystemShutdown.into());
        }
        self.visits.push(conn);
    }

    fn settle_in(&mut self, conn: ConnectionId, traveller: Traveller) {
        let Traveller { session, sealed, stream, source, account } = traveller;
        let visit = Some(Box::new(Visit { session: session.map(Piece::Bytes), sealed }));
        let client = Client { visit, account: Some(account), ..Client::new(stream, source) };
        self.clients.insert(conn, Box::new(client));
    }

    /// Answers a request, wherever its connection is.
    fn answer(&mut self, desk: &mut Desk<'_, '_>, ticket: Ticket, answer: Answer) {
        if ticket.worker != desk.shared.me {
            return deliver(desk, ticket.worker, Letter::Answer(ticket, answer));
        }
        let Some(asked) = self.visits.forget(ticket) else { return };
        desk.switchboard.reply_to_page(desk.net, http::reply(ticket, asked.origin, &answer));
    }
}

fn mail(letter: Letter) -> mail::Mail {
    mail::Mail::Xmpp(Mail::Bosh(Box::new(letter)))
}

/// Sends a letter that must not be lost, however full the queue of the worker is.
fn deliver(desk: &mut Desk<'_, '_>, to: WorkerId, letter: Letter) {
    if let Err(mail) = desk.net.post(to, mail(letter)) {
        let postbox = desk.shared.postbox.clone();
        tokio::spawn(async move { drop(postbox.deliver(to, mail).await) });
    }
}
