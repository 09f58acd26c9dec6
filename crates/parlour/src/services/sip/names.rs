//! Names of SIP's: the stack's questions to the worker's resolver, and those that it will ask next, side by side
//! (RFC 3263 §4).

use super::Sip;
use crate::config::plan::Service;
use crate::desk::Desk;
use crate::resolver::{self, Asker, Found as Known, Question as Wanted};
use ::sip::stack::{Input, Token};
use ::sip::transport::lookup::{Found, Naptr, Question, Srv};
use std::sync::Arc;
use wire::Machine;

impl Sip {
    /// The stack wants to know something of a name.
    pub(super) fn resolve(&mut self, desk: &mut Desk<'_, '_>, token: Token, question: Question) {
        let wanted = wanted(&question);
        let asker = Asker { service: Service::Sip, token };
        let known = desk.resolver.look_up(desk.net, desk.shared, asker, wanted.clone());
        // A domain without NAPTR records is asked for everything else; name servers that are slow are waited for once.
        if let Question::Naptr(name) = &question {
            let services = ["_sip._udp", "_sip._tcp", "_sips._tcp"];
            let next = services.map(|service| Wanted::Srv(format!("{service}.{name}").into()));
            let itself = Wanted::Addresses(name.clone());
            desk.resolver.ahead(desk.net, desk.shared, next.into_iter().chain([itself]));
        }
        if let Some(known) = known {
            self.tell(desk, token, &known);
        }
    }

    /// Tells the stack what is known, and asks for the addresses of every server that was found.
    pub(super) fn tell(&mut self, desk: &mut Desk<'_, '_>, token: Token, known: &Arc<Known>) {
        if let Known::Srv(servers) = &**known {
            let names = servers.iter().take(MAX_SERVERS).map(|server| server.target.trim_end_matches('.'));
            let names = names.filter(|name| !name.is_empty()).map(str::to_ascii_lowercase);
            desk.resolver.ahead(desk.net, desk.shared, names.map(|name| Wanted::Addresses(name.into())));
        }
        let found = found(known);
        self.stack.handle(desk.net.now(), Input::Resolved { token, found, random: chance() });
    }
}

/// How many of a service's servers are looked up before it is their turn.
const MAX_SERVERS: usize = 8;

/// Decides among servers of the same priority: it only spreads what they get.
fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn wanted(question: &Question) -> Wanted {
    match question {
        Question::Naptr(name) => Wanted::Naptr(name.clone()),
        Question::Srv(name) => Wanted::Srv(name.clone()),
        Question::Addresses(name) => Wanted::Addresses(name.clone()),
    }
}

fn found(known: &Known) -> Found {
    match known {
        Known::Naptr(records) => Found::Naptr(records.iter().map(naptr).collect()),
        Known::Srv(records) => Found::Srv(records.iter().map(srv).collect()),
        Known::Addresses(addresses) => Found::Addresses(addresses.clone()),
    }
}

fn naptr(record: &resolver::Naptr) -> Naptr {
    let resolver::Naptr { order, preference, service, replacement } = record.clone();
    Naptr { order, preference, service, replacement }
}

fn srv(record: &resolver::Srv) -> Srv {
    let resolver::Srv { priority, weight, port, target } = record.clone();
    Srv { priority, weight, port, target }
}
