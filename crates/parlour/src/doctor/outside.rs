//! A domain as a stranger meets it from another host: the DNS leads to servers, each answers its protocol and shows a certificate that
//! is believed (`parlour doctor --outside DOMAIN`). No configuration is needed, and nobody signs in.

use super::certificates::follow;
use super::network::nat;
use super::notes::{Finding, Notes};
use super::places::Place;
use super::sip::Phone;
use super::visitors::Visitor;
use super::way::Way;
use super::xmpp;
use crate::admin::Failure;
use crate::admin::here;
use crate::config::plan::Service;
use crate::config::{certificate_facts, covers, days_left};
use crate::dns::ask::ask;
use crate::relay_test;
use domain::base::iana::Rtype;
use domains::message::{Answer, Manner};
use domains::record::Data;
use openssl::x509::{X509, X509VerifyResult};
use std::net::{IpAddr, SocketAddr};
use wire::{Address, Domain, Transport};

const RECURSIVE: Manner = Manner { recursive: true, secure: false, unchecked: false };

/// The most servers of a service that are tried.
const MOST: usize = 8;

/// What is looked for in the DNS, and what is spoken there.
const OFFERS: &[(&str, Service, Transport)] = &[
    ("_stun._udp", Service::Turn, Transport::Udp),
    ("_turn._udp", Service::Turn, Transport::Udp),
    ("_turn._tcp", Service::Turn, Transport::Tcp),
    ("_turns._tcp", Service::Turn, Transport::Tls),
    ("_turns._udp", Service::Turn, Transport::Dtls),
    ("_sip._udp", Service::Sip, Transport::Udp),
    ("_sip._tcp", Service::Sip, Transport::Tcp),
    ("_sips._tcp", Service::Sip, Transport::Tls),
    ("_xmpp-client._tcp", Service::Xmpp, Transport::Tcp),
    ("_xmpps-client._tcp", Service::Xmpp, Transport::Tls),
];

/// A server that a record leads to.
struct Offer {
    record: String,
    host: String,
    place: Place,
}

/// Looks at a domain.
pub(super) fn look(domain: &Domain, resolver: SocketAddr, notes: &mut Notes) -> Result<(), Failure> {
    let found = here::block_on(offers(domain, resolver, notes))?;
    match found {
        Ok(offers) if offers.is_empty() => {
            let message = format!("the DNS leads to nothing of {domain}");
            let fix = format!(
                "parlour dns push --apply   # on its server; or paste what `parlour dns zone {domain}` prints"
            );
            notes.found(
                Finding::error("nothing", message).seen(format!("no SRV record, asked {resolver}")).mend(fix),
            );
        }
        Ok(offers) => offers.iter().for_each(|offer| try_out(domain, offer, notes)),
        Err(error) => {
            let finding = Finding::error("resolver", format!("the resolver {resolver} does not answer"));
            notes.found(finding.seen(error).mend("--server ADDRESS names another; or see /etc/resolv.conf"));
        }
    }
    Ok(())
}

/// Where the DNS leads.
async fn offers(domain: &Domain, resolver: SocketAddr, notes: &mut Notes) -> Result<Vec<Offer>, String> {
    let mut all = vec![];
    for (label, service, transport) in OFFERS {
        let record = format!("{label}.{domain}");
        let answer = ask(resolver, &(record.clone(), Rtype::SRV.to_int()), RECURSIVE).await?;
        let targets = answer.of(&record, Rtype::SRV).filter_map(|data| match data {
            Data::Srv { port, target: Some(host), .. } => Some((host.clone(), *port)),
            _ => None,
        });
        let targets: Vec<_> = targets.take(MOST).collect();
        if targets.is_empty() {
            notes.fine(format!("{record}: not offered"));
        }
        for (host, port) in targets {
            let addresses = addresses(&host, resolver).await?;
            if addresses.is_empty() {
                let finding =
                    Finding::error("no-address", format!("{record} leads to {host}, which has no address"));
                let fix = format!("{host}. IN A ADDRESS   # parlour dns zone {domain} says which");
                notes.found(finding.seen(format!("neither A nor AAAA, asked {resolver}")).mend(fix));
            }
            for ip in addresses {
                let address = SocketAddr::new(ip, port);
                let place = Place {
                    service: *service,
                    transport: *transport,
                    address,
                    behind: None,
                    proxies: [].into(),
                };
                if !all.iter().any(|offer: &Offer| offer.place == place) {
                    all.push(Offer { record: record.clone(), host: host.clone(), place });
                }
            }
        }
    }
    Ok(all)
}

async fn addresses(host: &str, resolver: SocketAddr) -> Result<Vec<IpAddr>, String> {
    let mut all = vec![];
    for kind in [Rtype::A, Rtype::AAAA] {
        let answer: Answer = ask(resolver, &(host.to_owned(), kind.to_int()), RECURSIVE).await?;
        all.extend(answer.records.iter().filter_map(|(record, _)| match record.data {
            Data::Address(address) => Some(address),
            _ => None,
        }));
    }
    // A host without IPv6 asks nobody by it.
    let mut reached = vec![];
    for ip in all {
        if crate::dns::ask::has_way(SocketAddr::new(ip, 9)).await {
            reached.push(ip);
        }
    }
    Ok(reached)
}

fn try_out(domain: &Domain, offer: &Offer, notes: &mut Notes) {
    let Offer { record, host, place } = offer;
    let chain = match speak(domain, host, place) {
        Ok(chain) => chain,
        Err(said) => {
            let (port, carrier) = (place.address.port(), place.carrier());
            let message = format!("{record} leads to {host}, and it does not answer there");
            let fix = format!(
                "on that host: ufw allow {port}/{carrier}   # behind a NAT: forward the port; `parlour doctor` there looks further"
            );
            return notes.found(Finding::error("silent", message).seen(format!("{place}: {said}")).mend(fix));
        }
    };
    notes.fine(format!("{record}: {place} answers"));
    // TURN's name is the one of its host, that of the others what people have typed (RFC 5922, RFC 6120 §13.7).
    let name = if place.service == Service::Turn { host.as_str() } else { domain.as_str() };
    if let Some(leaf) = chain.first() {
        certificate(name, leaf, &chain, place, notes);
    }
}

/// What a server says to a stranger: the certificates that it shows, if any.
fn speak(domain: &Domain, host: &str, place: &Place) -> Result<Vec<X509>, String> {
    let stranger = || {
        let address = Address::new("doctor", domain.as_str()).map_err(|error| error.to_string())?;
        Ok::<_, String>(Visitor::named(address, String::new()))
    };
    match (place.service, place.transport) {
        (Service::Turn, Transport::Udp) => {
            nat::ask_binding(place.address).map(|_| vec![]).map_err(|e| e.to_string())
        }
        (Service::Turn, transport) => {
            let shown =
                relay_test::greet(transport, place.address, host).map_err(|failure| failure.to_string())?;
            Ok(shown.and_then(|der| X509::from_der(&der).ok()).into_iter().collect())
        }
        (Service::Sip, _) => {
            let stranger = stranger()?;
            let mut phone = Phone::open(place, &stranger).map_err(|trouble| trouble.said)?;
            phone.greet().map_err(|trouble| trouble.said)?;
            Ok(phone.way.chain())
        }
        (Service::Xmpp, _) => {
            let stranger = stranger()?;
            let client = xmpp::Client::open(place, &stranger).map_err(|trouble| trouble.said)?;
            Ok(client.way.chain())
        }
        _ => Way::to(place).map(|_| vec![]).map_err(|error| error.to_string()),
    }
}

/// Whether clients go on with what they are shown.
fn certificate(name: &str, leaf: &X509, chain: &[X509], place: &Place, notes: &mut Notes) {
    let Ok((names, ends)) = leaf.to_der().map_err(|e| e.to_string()).and_then(|der| certificate_facts(&der))
    else {
        return;
    };
    let seen = format!("{place}: for {}, until {}", names.join(", "), leaf.not_after());
    if days_left(ends) < 0 {
        let finding =
            Finding::error("certificate-ended", format!("{name} shows a certificate that has ended"));
        notes.found(finding.seen(seen.clone()).mend("on that host: parlour doctor --only certificates"));
    }
    if !covers(&names, name) {
        let finding = Finding::error(
            "certificate-names",
            format!("the certificate is not for {name}: clients go away"),
        );
        notes.found(finding.seen(seen.clone()).mend("on that host: parlour doctor --only certificates"));
    }
    let result = follow(chain, None);
    // Of a datagram's handshake only the first certificate is known here.
    if place.transport != Transport::Dtls
        && place.service != Service::Turn
        && let Ok(result) = result
        && result != X509VerifyResult::OK
    {
        let message = format!("this host does not believe the certificate that {name} shows");
        let fix = "on that host: [tls]\nsource = \"acme\"   # or fullchain.pem; for a house's own authority install `parlour ca show` on the clients";
        let finding = Finding::warning("certificate-untrusted", message);
        notes.found(finding.seen(format!("{seen}: {}", result.error_string())).mend(fix));
    }
}
