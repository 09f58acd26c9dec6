//! Several services at one listener: rows of the plan for streams that are written alike become one listener that they share,
//! told apart by what each declares. Nothing is known here of what they speak.

use super::HTTP;
use crate::config::plan::{Plan, Service};
use crate::marks::{self, tag};
use crate::services::{sip, turn, xmpp};
use net::{Begins, Choice, Endpoint, Kind, Spec, Tag};
use wire::Transport;

/// One of the plan's listeners, as it would be alone.
pub(super) struct Row {
    pub(super) service: Service,
    pub(super) transport: Transport,
    pub(super) spec: Spec,
}

/// The role of a listener that several services share; the services whose WebSockets come in there stand in the low bits.
const SHARED: u32 = 1 << 23;

/// The services whose WebSockets come in by a shared listener; none if it is not shared.
pub fn web_services(tag: Tag) -> impl Iterator<Item = Service> {
    let role = marks::role(tag);
    let has = move |service: &Service| role & SHARED != 0 && role & bit(*service) != 0;
    [Service::Sip, Service::Xmpp].into_iter().filter(has)
}

/// Whether several services share this listener.
pub fn is_shared(tag: Tag) -> bool {
    marks::role(tag) & SHARED != 0
}

const fn bit(service: Service) -> u32 {
    1 << service as u32
}

/// The listeners of the plan, one for all rows of streams that have the same endpoint and are both plain or both inside TLS.
pub(super) fn merge(plan: &Plan, rows: Vec<Row>) -> Vec<Spec> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| go_together(&group[0], &row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.into_iter().map(|group| together(plan, group)).collect()
}

fn go_together(one: &Row, other: &Row) -> bool {
    let has_port = match one.spec.at {
        Endpoint::Every(port) => port != 0,
        Endpoint::At(address) => address.port() != 0,
    };
    let key = |row: &Row| (row.transport.is_stream(), row.transport.is_secure());
    has_port && one.transport.is_stream() && one.spec.at == other.spec.at && key(one) == key(other)
}

/// One listener for all of them.
fn together(plan: &Plan, mut group: Vec<Row>) -> Spec {
    if let [only] = &mut group[..] {
        return std::mem::replace(&mut only.spec, Spec::new("", Tag(0), Kind::Udp, Endpoint::Every(0)));
    }
    // HTTP behind all others, as there are clients that offer it beside what they speak (coturn's); its better version first.
    let pages = || group.iter().filter(|row| row.service == Service::Web);
    let mut alpn: Vec<Vec<u8>> = Vec::new();
    let is_http = |name: &&Vec<u8>| pages().any(|row| row.spec.kind.alpn().contains(name));
    let others = group.iter().flat_map(|row| row.spec.kind.alpn()).filter(|name| !is_http(name));
    for name in others.chain(pages().flat_map(|row| row.spec.kind.alpn())) {
        if !alpn.contains(name) {
            alpn.push(name.clone());
        }
    }
    let web = group.iter().filter(|row| row.spec.web || row.transport.is_web());
    let web = web.fold(0, |web, row| web | bit(row.service));
    let first = &group[0];
    let kind = if first.transport.is_secure() { Kind::Tls { alpn } } else { Kind::Tcp { alpn } };
    let name = group.iter().map(|row| row.spec.name.as_str()).collect::<Vec<_>>().join(", ");
    Spec {
        web: web != 0,
        requests: group
            .iter()
            .find_map(|row| row.spec.requests)
            .or_else(|| pages().next().map(|row| row.spec.tag)),
        choices: choices(plan, &group),
        proxies: first.spec.proxies.clone(),
        asks: group.iter().any(|row| row.spec.asks),
        usual: pages().next().unwrap_or(first).spec.usual.clone(),
        ..Spec::new(&name, tag(first.service, SHARED | web), kind, first.spec.at)
    }
}

/// Each service of a group, in the order of their rows.
fn choices(plan: &Plan, group: &[Row]) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for row in group {
        let alone = row.spec.tag;
        if let Some(choice) = choices.iter_mut().find(|choice| choice.tag == alone) {
            choice.transports.push(row.transport);
            continue;
        }
        // That browsers speak HTTP says nothing of whose WebSockets they want.
        let is_own = |name: &&Vec<u8>| name.as_slice() != HTTP.as_bytes() || row.service == Service::Web;
        choices.push(Choice {
            tag: alone,
            alpn: row.spec.kind.alpn().iter().filter(is_own).cloned().collect(),
            names: names(plan, row.service),
            transports: vec![row.transport],
            begins: pattern(row.service),
        });
    }
    choices
}

/// What a service's clients say first.
fn pattern(service: Service) -> fn(&[u8]) -> Begins {
    match service {
        Service::Turn => turn::begins,
        Service::Sip => sip::begins,
        Service::Xmpp => xmpp::begins,
        // What comes by HTTP is known to be that.
        Service::Media | Service::Web => |_| Begins::No,
    }
}

/// The host names that are this service's alone.
fn names(plan: &Plan, service: Service) -> Vec<String> {
    let dns = &plan.dns;
    let hosts = [(Service::Turn, &dns.turn), (Service::Sip, &dns.sip), (Service::Xmpp, &dns.xmpp)];
    let of = |host: &crate::config::plan::HostPlan| -> Vec<String> {
        plan.domains.iter().map(|domain| host.name_for(&domain.name)).collect()
    };
    let (own, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|(whose, _)| *whose == service);
    let others: Vec<String> = others.into_iter().flat_map(|(_, host)| of(host)).collect();
    let domains = || plan.domain_names().flat_map(|(name, aliases)| std::iter::once(name).chain(aliases));
    let mut names: Vec<String> = own.into_iter().flat_map(|(_, host)| of(host)).collect();
    names.retain(|name| !others.contains(name) && !domains().any(|domain| domain.as_str() == name));
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<Service>) {
        let all = [Service::Turn, Service::Sip, Service::Xmpp];
        let says = |wanted| all.into_iter().filter(move |service| pattern(*service)(bytes) == wanted);
        assert_eq!(says(Begins::Yes).next(), expected, "{bytes:?}");
        assert!(says(Begins::Yes).count() <= 1, "{bytes:?}");
        assert!(bytes.len() < 16 || says(Begins::More).count() == 0, "{bytes:?}");
        if let Some(service) = expected {
            let decided = (0..bytes.len()).find(|length| pattern(service)(&bytes[..*length]) != Begins::More);
            let decided = decided.map_or(bytes, |length| &bytes[..length]);
            assert_eq!(pattern(service)(decided), Begins::Yes, "{bytes:?}: {decided:?}");
        }
    }

    #[test]
    fn services_are_told_apart_by_what_their_clients_say_first() {
        check(b"\0\x01\0\0\x21\x12\xa4\x42transaction.", Some(Service::Turn));
        check(b"\0\x03\0\x24\x21\x12\xa4\x42transaction.", Some(Service::Turn));
        check(b"\0\x01\0\x01\x21\x12\xa4\x42transaction.", None);
        check(b"\0\x01\0\0\x21\x12\xa4\x43transaction.", None);
        check(b"REGISTER sip:falcot.com SIP/2.0\r\n", Some(Service::Sip));
        check(b"SUBSCRIBE sips:a@falcot.com SIP/2.0\r\n", Some(Service::Sip));
        check(b"OPTIONS sip:falcot.com SIP/2.0\r\n", Some(Service::Sip));
        check(b"SIP/2.0 200 OK\r\nVia: ", Some(Service::Sip));
        check(b"\r\n\r\n", Some(Service::Sip));
        check(b"\r\nINVITE sip:a@falcot.com SIP/2.0\r\n", Some(Service::Sip));
        check(b"<?xml version='1.0'?><stream:stream", Some(Service::Xmpp));
        check(b"<stream:stream xmlns='jabber:client'", Some(Service::Xmpp));
        check(b"POST /http-bind HTTP/1.1\r\n", None);
        check(b"SSH-2.0-OpenSSH_9.2p1 Debian", None);
        check(b"\x05\x01\0", None);
        check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", Some(Service::Sip));
        check(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", None);
        check(b"", None);
    }

    #[test]
    fn a_shared_mark_says_whose_websockets_come_in() {
        let shared = tag(Service::Turn, SHARED | bit(Service::Xmpp));
        assert_eq!(web_services(shared).collect::<Vec<_>>(), [Service::Xmpp]);
        assert!(is_shared(shared) && !is_shared(tag(Service::Turn, super::super::LISTENER)));
        assert_eq!(web_services(tag(Service::Sip, bit(Service::Sip))).count(), 0);
    }
}
