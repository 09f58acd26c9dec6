//! Names of SIP's: the stack's questions to the worker's resolver, and those that it will ask next, side by side
//! (RFC 3263 §4).

use super::Sip;
use crate::config::plan::Service;
use crate::desk::Desk;
use crate::resolver::Asker;
use ::sip::stack::{Input, Token};
use std::sync::Arc;
use wire::Machine;
use wire::names::{Found, Question};

impl Sip {
    /// The stack wants to know something of a name.
    pub(super) fn resolve(&mut self, desk: &mut Desk<'_, '_>, token: Token, question: Question) {
        let asker = Asker { service: Service::Sip, token };
        let known = desk.resolver.look_up(desk.net, desk.shared, asker, question.clone());
        // A domain without NAPTR records is asked for everything else; name servers that are slow are waited for once.
        if let Question::Naptr(name) = &question {
            let services = ["_sip._udp", "_sip._tcp", "_sips._tcp"];
            let next = services.map(|service| Question::Srv(format!("{service}.{name}").into()));
            let itself = Question::Addresses(name.clone());
            desk.resolver.ahead(desk.net, desk.shared, next.into_iter().chain([itself]));
        }
        if let Some(known) = known {
            self.tell(desk, token, &known);
        }
    }

    /// Tells the stack what is known, and asks for the addresses of every server that was found.
    pub(super) fn tell(&mut self, desk: &mut Desk<'_, '_>, token: Token, known: &Arc<Found>) {
        if let Found::Srv(servers) = &**known {
            let servers = servers.iter().take(MAX_SERVERS).filter(|server| server.leads_somewhere());
            let names = servers.map(|server| Question::Addresses(server.host()));
            desk.resolver.ahead(desk.net, desk.shared, names);
        }
        let found = Found::clone(known);
        self.stack.handle(desk.net.now(), Input::Resolved { token, found, random: chance() });
    }
}

/// How many of a service's servers are looked up before it is their turn.
const MAX_SERVERS: usize = 8;

/// Decides among servers of the same priority: it only spreads what they get.
fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
}
