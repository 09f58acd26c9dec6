//! Requests of HTTP for pages that another service has: whole requests in one direction, whole answers in the other.

use super::{Mail, Switchboard, Wanted};
use crate::mail;
use net::Net;
use std::net::SocketAddr;
use wire::WorkerId;

/// Which request an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The worker that has its connection.
    pub worker: WorkerId,
    /// That worker's mark.
    pub id: u64,
}

/// A request for a page of another service, with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where the answer goes: [`Switchboard::reply_to_page`]. Every page wants one, sooner or later.
    pub ticket: Ticket,
    /// `POST`, `OPTIONS`, `GET`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
    /// The server's name as the client knows it, with the port where it is not the usual one. May be empty.
    pub host: String,
    /// The page whose script asks, where a browser does (RFC 6454).
    pub origin: Option<String>,
    /// What kind of thing the body is, as the client says.
    pub content_type: Option<String>,
    /// Who asks.
    pub peer: SocketAddr,
    /// Whether it came inside TLS.
    pub sealed: bool,
    /// Whether it came from this host itself.
    pub local: bool,
    /// No longer than `web.limits` has it.
    pub body: Vec<u8>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of which request.
    pub ticket: Ticket,
    /// The status code, from 200 on.
    pub status: u16,
    /// Header fields, beside those that HTTP itself adds (`Date`, `Content-Length`).
    pub headers: Vec<(&'static str, String)>,
    /// The body; none is sent to who asks by `HEAD`.
    pub body: Vec<u8>,
}

impl Reply {
    /// There is no such page.
    pub fn nothing(ticket: Ticket) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { ticket, status: 404, headers, body: b"404: there is nothing at this path\n".to_vec() }
    }
}

impl Switchboard {
    /// Hands a request to the service that has the page.
    pub(crate) fn ask_for_page(&mut self, page: Box<Page>) {
        self.wanted.push_back(Wanted::Page(page));
    }

    /// Whoever asked for a page has gone away; an answer would be dropped.
    pub(crate) fn abandon_page(&mut self, ticket: Ticket) {
        self.wanted.push_back(Wanted::Abandoned(ticket));
    }

    /// Answers a request; without effect where whoever asked has gone away. Where the queue of the worker that has the
    /// request is full, it is answered by its end of time.
    pub fn reply_to_page(&mut self, net: &mut Net<'_, mail::Mail>, reply: Reply) {
        let worker = reply.ticket.worker;
        if worker == net.me() {
            self.wanted.push_back(Wanted::Reply(reply));
        } else if net.post(worker, mail::Mail::Switchboard(Mail::Reply(reply))).is_err() {
            tracing::warn!(worker = worker.0, "a worker's queue is full: an answer is lost");
        }
    }
}
