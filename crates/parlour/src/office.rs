//! One worker's office: it owns the services of that worker and hands each what is for it.

use crate::config::plan;
use crate::desk::{Desk, Shared};
use crate::doorman::{Doorman, Output};
use crate::listen;
use crate::mail::Mail;
use crate::marks;
use crate::report::Report;
use crate::resolver::{Answer, Resolver};
use crate::services::media::keeper::Share;
use crate::services::{Service, media::Media, sip, sip::Sip, turn::Turn, web::Web, xmpp::Xmpp};
use crate::switchboard::{Errand, Mediated, Reach, Switchboard, Wanted};
use net::{
    Batch, CloseReason, ConnectionInfo, Handler, IcmpError, Net, Start, Subprotocol, Tag, Unwanted,
    WebRequest,
};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use store::Document;
use wire::{Address, ConnectionId, SocketId};

/// XMPP sessions of addresses at home on one worker, from before the server's last end.
pub type Suspended = Vec<(Address, Document)>;

/// What one worker begins with: of before the server's last end.
#[derive(Debug, Default)]
pub struct Before {
    /// The bindings of addresses at home there.
    pub kept: sip::Kept,
    /// Their sessions.
    pub suspended: Suspended,
    /// The calls at home there that are relayed.
    pub calls: Share,
}

/// One worker's services and what they share.
#[derive(Debug)]
pub struct Office {
    shared: Shared,
    switchboard: Switchboard,
    resolver: Resolver,
    doorman: Doorman,
    turn: Turn,
    sip: Sip,
    xmpp: Xmpp,
    media: Media,
    web: Web,
}

impl Office {
    /// An office with what was kept for its addresses.
    pub fn new(shared: Shared, start: &Start<'_, Mail>, before: Before) -> Self {
        let Before { kept, suspended, calls } = before;
        Self {
            switchboard: Switchboard::default(),
            resolver: Resolver::default(),
            doorman: Doorman::new(shared.me, shared.workers, shared.plan.sip.bans.clone()),
            turn: Turn::new(&shared, start.now, start.epoch),
            sip: Sip::new(&shared, start.now, start.epoch, kept),
            xmpp: Xmpp::new(&shared, start.now, start.epoch, suspended),
            media: Media::new(&shared, calls),
            web: Web::new(&shared),
            shared,
        }
    }

    /// Lets the service that owns `tag` work at its desk.
    fn serve<R>(
        &mut self,
        net: &mut Net<'_, Mail>,
        tag: Tag,
        work: impl FnOnce(&mut dyn Service, &mut Desk<'_, '_>) -> R,
    ) -> R {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        let service: &mut dyn Service = match marks::owner(tag) {
            plan::Service::Turn => &mut self.turn,
            plan::Service::Sip => &mut self.sip,
            plan::Service::Xmpp => &mut self.xmpp,
            plan::Service::Media => &mut self.media,
            plan::Service::Web => &mut self.web,
        };
        let result = work(service, &mut desk);
        self.settle(net);
        result
    }

    /// Lets every service work at its desk.
    fn serve_all(
        &mut self,
        net: &mut Net<'_, Mail>,
        mut work: impl FnMut(&mut dyn Service, &mut Desk<'_, '_>),
    ) {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        let services: [&mut dyn Service; 5] =
            [&mut self.turn, &mut self.sip, &mut self.xmpp, &mut self.media, &mut self.web];
        for service in services {
            work(service, &mut desk);
        }
        self.settle(net);
    }

    /// Answers the questions that came up about addresses at home here, and passes on answers.
    fn settle(&mut self, net: &mut Net<'_, Mail>) {
        loop {
            if let Some(question) = self.switchboard.next_question() {
                let reach = self.reach(net.now(), &question.address);
                self.switchboard.reply(net, &question, reach);
            } else if let Some(answer) = self.switchboard.next_answer() {
                let mut desk = Desk {
                    net,
                    shared: &self.shared,
                    switchboard: &mut self.switchboard,
                    resolver: &mut self.resolver,
                    doorman: &mut self.doorman,
                };
                self.sip.located(&mut desk, answer);
            } else if let Some(wanted) = self.switchboard.next_wanted() {
                self.mediate(net, wanted);
            } else if let Some(output) = self.doorman.poll() {
                self.guard(net, output);
            } else {
                return;
            }
        }
    }

    /// What a service wants of another.
    fn mediate(&mut self, net: &mut Net<'_, Mail>, wanted: Wanted) {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        match wanted {
            Wanted::Errand(Errand { asker, token, passage }) => {
                let body = self.media.pass(&mut desk, *passage);
                self.switchboard.mediated(net, asker, Mediated { token, body });
            }
            Wanted::Mediated(Mediated { token, body }) => self.sip.mediated(&mut desk, token, body),
            Wanted::Over(over) => self.media.over(&mut desk, &over),
            Wanted::Page(page) => self.xmpp.page(&mut desk, *page),
            Wanted::Reply(reply) => self.web.replied(&mut desk, reply),
            Wanted::Abandoned(ticket) => self.xmpp.abandoned(&mut desk, ticket),
        }
    }

    /// A name was looked up: whoever wanted to know is told.
    fn resolved(&mut self, net: &mut Net<'_, Mail>, answer: Answer) {
        let (askers, found) = self.resolver.answered(net.now(), answer);
        for asker in askers {
            let tag = marks::tag(asker.service, marks::LISTENER);
            self.serve(net, tag, |service, desk| service.resolved(desk, asker.token, &found));
        }
    }

    /// What the doorman wants done.
    fn guard(&mut self, net: &mut Net<'_, Mail>, output: Output) {
        match output {
            Output::Post(to, letter) => {
                // A failure less is counted; a ban that is lost comes again with the next failures.
                if net.post(to, Mail::Doorman(letter)).is_err() {
                    tracing::warn!(
                        worker = to.0,
                        "a worker's queue is full: it does not hear of a failed sign-in or a ban"
                    );
                }
            }
            Output::Banned(source, ban) => {
                let seconds = ban.until.saturating_duration_since(net.now()).as_secs();
                tracing::warn!(%source, seconds, reason = %ban.reason, "banned");
            }
            Output::Locked(account, lock) => {
                let seconds = lock.until.saturating_duration_since(net.now()).as_secs();
                tracing::warn!(
                    seconds,
                    "an account is tried from everywhere: it takes nobody new for a while"
                );
                tracing::debug!(%account, "locked");
            }
            Output::Locks(locks) => {
                self.sip.set_locks(Arc::clone(&locks));
                self.xmpp.set_locks(locks);
            }
        }
    }

    /// How an address at home here is reached now.
    fn reach(&self, now: Instant, address: &Address) -> Reach {
        Reach { contacts: self.sip.contacts(now, address), sessions: self.xmpp.sessions(address) }
    }

    /// Whether a service wants a WebSocket.
    fn upgrades_for(
        &self,
        service: plan::Service,
        request: &WebRequest<'_>,
    ) -> Result<Subprotocol, Unwanted> {
        match service {
            plan::Service::Sip => self.sip.upgrades(&self.shared, request),
            plan::Service::Xmpp => self.xmpp.upgrades(&self.shared, request),
            plan::Service::Turn | plan::Service::Media | plan::Service::Web => Err(Unwanted::Path),
        }
    }

    /// How this worker is.
    fn report(&self, now: Instant) -> Report {
        let mut report = Report::default();
        let services: [&dyn Service; 5] = [&self.turn, &self.sip, &self.xmpp, &self.media, &self.web];
        services.iter().for_each(|service| service.report(&mut report));
        self.doorman.report(&mut report, now);
        report
    }
}

impl Handler for Office {
    type Mail = Mail;

    fn begin(&mut self, net: &mut Net<'_, Mail>) {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        self.media.begin(&mut desk);
        self.settle(net);
    }

    fn datagrams(&mut self, net: &mut Net<'_, Mail>, socket: SocketId, batch: &mut Batch<'_>) {
        if let Some(tag) = net.socket_tag(socket) {
            self.serve(net, tag, |service, desk| service.datagrams(desk, socket, batch));
        }
    }

    fn unreachable(&mut self, net: &mut Net<'_, Mail>, socket: SocketId, peer: SocketAddr, error: IcmpError) {
        if let Some(tag) = net.socket_tag(socket) {
            self.serve(net, tag, |service, desk| service.unreachable(desk, socket, peer, error));
        }
    }

    fn welcomes(&self, now: Instant, tag: Tag, peer: SocketAddr) -> bool {
        match marks::owner(tag) {
            plan::Service::Turn => true,
            plan::Service::Sip => self.sip.has_room(&self.shared) && !self.doorman.bans(now, peer.ip()),
            plan::Service::Xmpp | plan::Service::Media | plan::Service::Web => {
                !self.doorman.bans(now, peer.ip())
            }
        }
    }

    fn upgrades(&mut self, tag: Tag, request: &WebRequest<'_>) -> Result<(Tag, Subprotocol), Unwanted> {
        if !listen::is_shared(tag) {
            return self.upgrades_for(marks::owner(tag), request).map(|subprotocol| (tag, subprotocol));
        }
        if !self.web.is_ours(request.host) {
            return Err(Unwanted::Path);
        }
        // The first that grants it; failing that, the one that knows the path says why it does not.
        let mut why = Unwanted::Path;
        // SIP has no path of its own.
        let may = |service: &plan::Service| *service != plan::Service::Sip || request.offers("sip");
        for service in listen::web_services(tag).filter(may) {
            match self.upgrades_for(service, request) {
                Ok(subprotocol) => return Ok((marks::tag(service, marks::LISTENER), subprotocol)),
                Err(Unwanted::Path) => {}
                Err(other) => why = other,
            }
        }
        Err(why)
    }

    fn opened(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, info: &ConnectionInfo) {
        self.serve(net, info.tag, |service, desk| service.opened(desk, conn, info));
    }

    fn refused(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, tag: Tag, error: &io::Error) {
        self.serve(net, tag, |service, desk| service.refused(desk, conn, tag, error));
    }

    fn secured(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, info: &ConnectionInfo) {
        self.serve(net, info.tag, |service, desk| service.secured(desk, conn, info));
    }

    fn received(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
        match net.tag(conn) {
            Some(tag) => self.serve(net, tag, |service, desk| service.received(desk, conn, data)),
            None => data.len(),
        }
    }

    fn ended(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId) {
        if let Some(tag) = net.tag(conn) {
            self.serve(net, tag, |service, desk| service.ended(desk, conn));
        }
    }

    fn room(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId) {
        if let Some(tag) = net.tag(conn) {
            self.serve(net, tag, |service, desk| service.room(desk, conn));
        }
    }

    fn closed(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, reason: CloseReason) {
        if let Some(tag) = net.tag(conn) {
            self.serve(net, tag, |service, desk| service.closed(desk, conn, reason));
        }
    }

    fn adopted(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, info: &ConnectionInfo, baggage: Mail) {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        match baggage {
            Mail::Xmpp(baggage) => self.xmpp.adopted(&mut desk, conn, info, baggage),
            Mail::Turn(baggage) => self.turn.adopted(&mut desk, conn, info, baggage),
            // Nobody else moves connections; what comes with anything else has no owner here.
            _ => desk.net.abort(conn),
        }
        self.settle(net);
    }

    fn mail(&mut self, net: &mut Net<'_, Mail>, mail: Mail) {
        let mut desk = Desk {
            net,
            shared: &self.shared,
            switchboard: &mut self.switchboard,
            resolver: &mut self.resolver,
            doorman: &mut self.doorman,
        };
        match mail {
            Mail::Turn(mail) => self.turn.mail(&mut desk, mail),
            Mail::Sip(mail) => self.sip.mail(&mut desk, mail),
            Mail::Xmpp(mail) => self.xmpp.mail(&mut desk, mail),
            Mail::Switchboard(mail) => self.switchboard.mail(mail),
            Mail::Resolved(answer) => return self.resolved(net, answer),
            Mail::Doorman(letter) => self.doorman.letter(net.now(), letter),
            // The administrator may have gone away meanwhile.
            Mail::Bans(reply) => drop(reply.send(self.doorman.listed(net.now()))),
            Mail::Directory(directory) => {
                self.shared.directory = directory;
                return self.serve_all(net, |service, desk| service.refresh(desk));
            }
            Mail::Plan(plan, bound, trust) => {
                self.doorman.set_rules(plan.sip.bans.clone());
                self.resolver.forget();
                (self.shared.plan, self.shared.bound, self.shared.trust) = (plan, bound, trust);
                return self.serve_all(net, |service, desk| service.refresh(desk));
            }
            // The administrator may have gone away meanwhile.
            Mail::Report(reply) => drop(reply.send(self.report(net.now()))),
            Mail::Drain(until) => return self.serve_all(net, |service, desk| service.drain(desk, until)),
        }
        self.settle(net);
    }

    fn tick(&mut self, net: &mut Net<'_, Mail>) {
        let now = net.now();
        self.serve_all(net, |service, desk| {
            if service.deadline().is_some_and(|due| due <= now) {
                service.tick(desk);
            }
        });
    }

    fn deadline(&self) -> Option<Instant> {
        let services: [&dyn Service; 5] = [&self.turn, &self.sip, &self.xmpp, &self.media, &self.web];
        services.iter().filter_map(|service| service.deadline()).min()
    }

    fn holds(&self, socket: SocketId) -> bool {
        self.turn.holds(socket)
    }

    fn drained(&self) -> bool {
        let services: [&dyn Service; 5] = [&self.turn, &self.sip, &self.xmpp, &self.media, &self.web];
        services.iter().all(|service| service.drained())
    }
}
