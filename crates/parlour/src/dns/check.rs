//! `parlour dns check`: what the domain's own servers, a resolver and this host say, beside what they should say.

use super::ask::{ask, ask_all};
use super::wanted;
use crate::admin::Failure;
use crate::admin::answers::dns::{DnsCheck, DnsFinding, DnsFound, DnsRecord, DnsZone};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::here;
use crate::config::Plan;
use crate::config::plan::DomainPlan;
use crate::site;
use domain::base::iana::Rtype;
use domain::resolv::stub::conf::ResolvConf;
use domains::check::{Finding, Question, Severity, Signatures, View, differences, questions};
use domains::message::{Answer, Manner, word};
use domains::record::{Data, Record};
use domains::zone::elsewhere;
use domains::{Site, Zone, zones};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use wire::inside::is_public;

/// How many of a domain's servers are asked.
const MAX_SERVERS: usize = 16;

/// How long this host may take to find a name.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) const RECURSIVE: Manner = Manner { recursive: true, secure: false, unchecked: false };
const SECURE: Manner = Manner { recursive: true, secure: true, unchecked: false };
const UNCHECKED: Manner = Manner { recursive: true, secure: true, unchecked: true };

/// `parlour dns check`
pub fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let plan = here::settled(invocation)?;
    let domains = wanted(&plan, arguments)?;
    reply(&examine(&plan, &domains, arguments.text("server"), &arguments.texts("authority"))?)
}

/// What the DNS says of these domains: asked are this resolver and these name servers, or those that there are.
pub(crate) fn examine(
    plan: &Plan,
    domains: &[&DomainPlan],
    server: Option<&str>,
    authorities: &[&str],
) -> Result<DnsCheck, Failure> {
    let sites: Vec<Site> = domains.iter().map(|domain| site::of(plan, domain)).collect();
    let own = authorities.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    let looker = Looker { resolver: resolver(plan, server)?, own };
    let checked = here::block_on(async {
        let mut checked = Checked::default();
        for site in &sites {
            looker.site(site, &mut checked).await;
        }
        checked
    })?;
    Ok(checked.answer())
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let address = text.trim_matches(['[', ']']).parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    let wrong = || {
        Failure::usage(format!(
            "`{text}` is not the address of a name server, as 192.0.2.53 or 192.0.2.53:5353"
        ))
    };
    address.or_else(|_| text.parse()).map_err(|_| wrong())
}

/// The one that was named, or the configuration's, or the system's.
fn resolver(plan: &Plan, named: Option<&str>) -> Result<SocketAddr, Failure> {
    match (named, plan.network.resolver.first()) {
        (None, Some(first)) => Ok(*first),
        (named, _) => resolver_of_host(named),
    }
}

/// The one that was named, or the system's.
pub(crate) fn resolver_of_host(named: Option<&str>) -> Result<SocketAddr, Failure> {
    if let Some(text) = named {
        return address(text);
    }
    let first = ResolvConf::default().servers.first().map(|server| server.addr);
    first.ok_or_else(|| Failure::usage("this host has no resolver: name one with --server"))
}

#[derive(Default)]
struct Checked {
    zones: Vec<DnsZone>,
    findings: Vec<Finding>,
    /// Nobody answers.
    is_deaf: bool,
}

impl Checked {
    fn answer(mut self) -> DnsCheck {
        self.findings.sort_by_key(|finding| finding.severity);
        let good = self.findings.iter().all(|finding| finding.severity != Severity::Error);
        let finding = |found: Finding| DnsFinding {
            severity: found.severity.word().into(),
            what: found.what.into(),
            name: found.owner,
            message: found.message,
            evidence: found.evidence,
            fix: found.fix,
            seen_by: found.views,
        };
        DnsCheck { good, zones: self.zones, findings: self.findings.into_iter().map(finding).collect() }
    }
}

fn finding(severity: Severity, what: &'static str, owner: &str, message: String) -> Finding {
    let owner = owner.to_owned();
    Finding { severity, what, owner, message, evidence: String::new(), fix: String::new(), views: vec![] }
}

/// Who is asked.
struct Looker {
    resolver: SocketAddr,
    /// In the place of those that the NS records name.
    own: Vec<SocketAddr>,
}

impl Looker {
    async fn site(&self, site: &Site, checked: &mut Checked) {
        for zone in zones(site) {
            // Who has not answered once need not be waited for again.
            if !checked.is_deaf {
                self.zone(site, &zone, checked).await;
            }
        }
        if checked.is_deaf {
            return;
        }
        let others = Zone { apex: site.name.clone(), records: elsewhere(site), ttl: site.ttl };
        if !others.records.is_empty() {
            let view = self.view_of_resolver(&questions(&others.records)).await;
            checked.findings.extend(differences(&others, &[view]));
        }
        checked.findings.extend(private(site));
        if !self.own.is_empty() {
            // The zone is not delegated to them, perhaps: this host cannot know it.
            return;
        }
        for (_, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
            let known =
                checked.findings.iter().any(|f| f.owner == host.name && matches!(f.what, "host" | "missing"));
            if !known {
                checked.findings.extend(from_here(&host.name, &host.addresses).await);
            }
        }
    }

    async fn zone(&self, site: &Site, zone: &Zone, checked: &mut Checked) {
        let name = zone.apex.as_str();
        let parent = match self.zone_above(name).await {
            Ok(parent) => parent,
            Err(trouble) => {
                checked.is_deaf = trouble.what == "silent";
                return checked.findings.push(trouble);
            }
        };
        let Some(parent) = parent else {
            let message = format!("{name} is in no zone of the DNS");
            checked.findings.push(Finding {
                evidence: "no SOA record".into(),
                fix: format!("register the name, and serve its zone: parlour dns zone {}", site.name),
                views: vec![self.resolver.to_string()],
                ..finding(Severity::Error, "zone", name, message)
            });
            return;
        };
        let servers = self.servers(&parent, &mut checked.findings).await;
        let wanted = questions(&zone.records);
        let mut views = vec![];
        for (label, server) in &servers {
            let answers = ask_all(*server, &wanted, Manner::default()).await;
            views.push(View { name: label.clone(), own: true, answers });
        }
        views.push(self.view_of_resolver(&wanted).await);
        checked.findings.extend(differences(zone, &views));
        let silent =
            |label: &str| views.iter().any(|v| v.name == label && v.answers.values().any(Result::is_err));
        let heard: Vec<_> = servers.into_iter().filter(|(label, _)| !silent(label)).collect();
        checked.findings.extend(serials(&parent, &heard).await);
        let signatures = self.signatures(name, &parent).await;
        checked.findings.extend(signatures.findings(&parent, site.is_pinned(), &self.resolver.to_string()));
        checked.zones.push(DnsZone {
            name: name.to_owned(),
            zone: parent,
            asked: views.iter().map(|view| view.name.clone()).collect(),
            dnssec: signatures.word().into(),
            records: zone.records.iter().map(|record| row(zone, record, &views)).collect(),
        });
    }

    async fn view_of_resolver(&self, wanted: &[Question]) -> View {
        let answers = ask_all(self.resolver, wanted, RECURSIVE).await;
        View { name: format!("resolver {}", self.resolver), own: false, answers }
    }

    /// Somebody who knows, for a question that any of them can answer.
    async fn ask(&self, name: &str, kind: Rtype, manner: Manner) -> Option<Answer> {
        ask(self.resolver, &(name.to_owned(), kind.to_int()), manner).await.ok()
    }

    /// The zone that a name lies in, as the first one says who answers; why nobody does.
    async fn zone_above(&self, name: &str) -> Result<Option<String>, Finding> {
        let soa = (name.to_owned(), Rtype::SOA.to_int());
        let (asked, manner) = match &self.own[..] {
            [] => (std::slice::from_ref(&self.resolver), UNCHECKED),
            own => (own, Manner::default()),
        };
        let mut first = None;
        for server in asked {
            let (what, message, evidence) = match ask(*server, &soa, manner).await {
                Ok(answer) if answer.is_good() => return Ok(apex_above(name, &answer)),
                Ok(answer) => ("refused", format!("{server} does not say what {name} is"), word(answer.code)),
                Err(error) => ("silent", format!("{server} does not answer"), error),
            };
            first.get_or_insert(Finding {
                evidence,
                fix: self.other_way(),
                views: vec![server.to_string()],
                ..finding(Severity::Error, what, name, message)
            });
        }
        Err(first.expect("somebody was asked"))
    }

    /// What to do where nobody answers who was asked.
    fn other_way(&self) -> String {
        match self.own.is_empty() {
            true => "--server ADDRESS or network.resolver names another resolver; or see /etc/resolv.conf",
            false => "see that the name server runs, serves the zone, and that UDP and TCP port 53 reach it",
        }
        .to_owned()
    }

    /// The zone's own servers, each address of each.
    async fn servers(&self, zone: &str, findings: &mut Vec<Finding>) -> Vec<(String, SocketAddr)> {
        if !self.own.is_empty() {
            return self.own.iter().map(|server| (server.to_string(), *server)).collect();
        }
        let answer = self.ask(zone, Rtype::NS, UNCHECKED).await.unwrap_or_default();
        let names: Vec<String> = answer
            .of(zone, Rtype::NS)
            .filter_map(|data| if let Data::Ns(name) = data { Some(name.clone()) } else { None })
            .collect();
        if names.len() == 1 {
            let message = format!("{zone} has one name server alone");
            findings.push(Finding {
                evidence: names[0].clone(),
                fix: "have a second one elsewhere (RFC 2182)".into(),
                views: vec![self.resolver.to_string()],
                ..finding(Severity::Notice, "single", zone, message)
            });
        }
        let mut servers = vec![];
        for name in names {
            let mut addresses = vec![];
            for kind in [Rtype::A, Rtype::AAAA] {
                let answer = self.ask(&name, kind, UNCHECKED).await.unwrap_or_default();
                let found = answer.records.iter().filter_map(|(record, _)| match record.data {
                    Data::Address(address) => Some(address),
                    _ => None,
                });
                addresses.extend(found);
            }
            if addresses.is_empty() {
                let message = format!("the name server {name} of {zone} has no address");
                findings.push(Finding {
                    evidence: "neither A nor AAAA".into(),
                    fix: format!("give {name} an address, or take it out of the NS records"),
                    views: vec![self.resolver.to_string()],
                    ..finding(Severity::Error, "lame", zone, message)
                });
            }
            for address in addresses.into_iter().map(|ip| SocketAddr::new(ip, 53)) {
                if super::ask::has_way(address).await && servers.len() < MAX_SERVERS {
                    servers.push((format!("{name} ({})", address.ip()), address));
                }
            }
        }
        servers
    }

    async fn signatures(&self, name: &str, zone: &str) -> Signatures {
        let soa = self.ask(name, Rtype::SOA, SECURE).await.unwrap_or_default();
        let keys = match self.own.first() {
            Some(server) => {
                ask(*server, &(zone.to_owned(), Rtype::DNSKEY.to_int()), Manner::default()).await.ok()
            }
            None => self.ask(zone, Rtype::DNSKEY, UNCHECKED).await,
        };
        let delegation = self.ask(zone, Rtype::DS, UNCHECKED).await.unwrap_or_default();
        // SERVFAIL unless told not to verify.
        let broken = soa.code == 2
            && self.ask(name, Rtype::SOA, UNCHECKED).await.is_some_and(|answer| answer.code == 0);
        Signatures {
            keys: keys.unwrap_or_default().of(zone, Rtype::DNSKEY).next().is_some(),
            delegated: delegation.of(zone, Rtype::DS).next().is_some(),
            verified: soa.verified && soa.is_good(),
            broken,
        }
    }
}

/// The zone of an answer about a name. The root's word is that there is no such name.
fn apex_above(name: &str, answer: &Answer) -> Option<String> {
    let zone = answer.zone()?.owner.clone();
    let is_above = zone.contains('.') && domains::zone::lies_in(name, &wire::Domain::new(&zone).ok()?);
    is_above.then_some(zone)
}

fn row(zone: &Zone, record: &Record, views: &[View]) -> DnsRecord {
    let question = (record.owner.clone(), record.data.kind().to_int());
    let found = views.iter().map(|view| {
        let answer = view.answers.get(&question).and_then(|answer| answer.as_ref().ok());
        let records = answer.map(|answer| answer.of(&record.owner, record.data.kind()).collect::<Vec<_>>());
        (view, records.unwrap_or_default())
    });
    let found: Vec<_> = found.collect();
    DnsRecord {
        expected: record.to_line(zone.ttl).unwrap_or_default(),
        good: found.iter().all(|(_, records)| records.contains(&&record.data)),
        found: found
            .into_iter()
            .map(|(view, records)| DnsFound {
                server: view.name.clone(),
                records: records.iter().filter_map(|data| data.to_text().ok()).collect(),
            })
            .collect(),
    }
}

/// Whether all servers have the same version of the zone.
async fn serials(zone: &str, servers: &[(String, SocketAddr)]) -> Option<Finding> {
    let mut seen: Vec<(u32, String)> = vec![];
    for (label, server) in servers {
        let answer = ask(*server, &(zone.to_owned(), Rtype::SOA.to_int()), Manner::default()).await.ok()?;
        let serial = answer.of(zone, Rtype::SOA).find_map(|data| match data {
            Data::Soa { serial, .. } => Some(*serial),
            _ => None,
        });
        seen.push((serial?, label.clone()));
    }
    let newest = seen.iter().map(|(serial, _)| *serial).max()?;
    let behind: Vec<_> = seen.iter().filter(|(serial, _)| *serial != newest).collect();
    let message = format!("the name servers of {zone} have different versions of it");
    (!behind.is_empty()).then(|| Finding {
        evidence: seen
            .iter()
            .map(|(serial, label)| format!("{label}: {serial}"))
            .collect::<Vec<_>>()
            .join(", "),
        fix: "see why the zone is not transferred (NOTIFY, AXFR, serial number)".into(),
        views: behind.into_iter().map(|(_, label)| label.clone()).collect(),
        ..finding(Severity::Warning, "serial", zone, message)
    })
}

/// Addresses that the world does not reach.
fn private(site: &Site) -> Vec<Finding> {
    let mut all: Vec<Finding> = vec![];
    for (label, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
        let near: Vec<String> =
            host.addresses.iter().filter(|a| !is_public(**a)).map(IpAddr::to_string).collect();
        let (message, evidence) = match (host.addresses.is_empty(), near.is_empty()) {
            (true, _) => (format!("no address is known for {label}"), "network.addresses".to_owned()),
            (false, true) => continue,
            (false, false) => {
                (format!("{} has addresses that the world does not reach", host.name), near.join(", "))
            }
        };
        let private = near.first().map_or("PRIVATE", String::as_str);
        all.push(Finding {
            evidence,
            fix: format!("behind NAT: [network] external = [\"PUBLIC={private}\"]"),
            views: vec!["the configuration".into()],
            ..finding(Severity::Warning, "private", &host.name, message)
        });
    }
    all
}

/// What this host itself takes a name for, its hosts file included.
async fn from_here(name: &str, wanted: &[IpAddr]) -> Option<Finding> {
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, 0))).await;
    let found: Vec<IpAddr> = found.into_iter().flatten().flatten().map(|found| found.ip()).collect();
    let (message, evidence) = match found.iter().find(|address| !wanted.contains(&address.to_canonical())) {
        Some(other) => (format!("this host takes {name} for {other}"), other.to_string()),
        None if found.is_empty() => (format!("this host does not find {name}"), "no address".to_owned()),
        None => return None,
    };
    Some(Finding {
        evidence,
        fix: "see /etc/hosts, /etc/nsswitch.conf and /etc/resolv.conf".into(),
        views: vec!["this host".into()],
        ..finding(Severity::Warning, "host", name, message)
    })
}
