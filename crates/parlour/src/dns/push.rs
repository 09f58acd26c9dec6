//! `parlour dns push`: puts the records into the zone, by dynamic update (RFC 2136) or by a provider's interface, shows first
//! what it would change, and takes out nothing but what it has put in.

use super::provider::Books;
use super::update::{self, Taken, Wildcards};
use super::wanted;
use crate::admin::Failure;
use crate::admin::answers::dns::{DnsChange, DnsPush};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::failure::Kind;
use crate::admin::here;
use crate::config::Plan;
use crate::config::plan::{DomainPlan, PushPlan, ServerPlan};
use crate::site;
use domains::changes::Changes;
use domains::record::Record;
use domains::{Zone, zones};
use serde_json::Value;
use wire::Domain;

/// `parlour dns push`
pub fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let apply = match (arguments.flag("apply"), arguments.flag("dry-run")) {
        (apply, dry) if apply != dry => apply,
        _ => return Err(Failure::usage("say --dry-run to see what would change, or --apply to change it")),
    };
    let plan = here::settled(invocation)?;
    let push = plan.dns.push.as_ref().ok_or_else(|| {
        let message = "neither dns.push nor dns.provider is set, or its secret is a credential of the service: see docs/domains.md";
        Failure::new(Kind::Configuration, message)
    })?;
    let installation = super::installation::name(&plan, apply).map_err(Failure::failed)?;
    let zones = match arguments.text("withdraw") {
        Some(name) => vec![withdrawn(&plan, name, arguments)?],
        None => zones_of(&plan, &wanted(&plan, arguments)?),
    };
    let job = Job { push, installation, apply };
    let done = here::block_on(async {
        let mut done = DnsPush { applied: apply, good: true, server: push.to_string(), zones: vec![] };
        for zone in &zones {
            let change = job.carry_out(zone).await;
            done.good &= change.error.is_empty() && change.foreign.is_empty();
            done.zones.push(change);
        }
        done
    })?;
    reply(&done)
}

fn zones_of(plan: &Plan, domains: &[&DomainPlan]) -> Vec<Zone> {
    domains.iter().flat_map(|domain| zones(&site::of(plan, domain))).collect()
}

/// A zone in which nothing is wanted any more, of a domain that was ours, or a name of one.
fn withdrawn(plan: &Plan, name: &str, arguments: &Arguments) -> Result<Zone, Failure> {
    let apex = Domain::new(name).map_err(|_| Failure::usage(format!("`{name}` is not a domain name")))?;
    let all: Vec<&DomainPlan> = plan.domains.iter().collect();
    if arguments.text("domain").is_some() || zones_of(plan, &all).iter().any(|zone| zone.apex == apex) {
        let message =
            format!("what is withdrawn is not in the configuration any more: take {apex} out of it first");
        return Err(Failure::usage(message));
    }
    Ok(Zone { apex, records: vec![], ttl: plan.dns.ttl })
}

/// What is to be done, and as whom.
struct Job<'a> {
    push: &'a PushPlan,
    installation: String,
    apply: bool,
}

impl Job<'_> {
    async fn carry_out(&self, zone: &Zone) -> DnsChange {
        let mut change = DnsChange { name: zone.apex.to_string(), ..DnsChange::default() };
        let done = match self.push {
            PushPlan::Server(server) => self.at_server(server, zone, &mut change).await,
            PushPlan::Provider(plan) => match Books::open(plan) {
                Ok(books) => self.in_books(&books, zone, &mut change).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            change.error = error;
        }
        change
    }

    async fn at_server(&self, at: &ServerPlan, zone: &Zone, change: &mut DnsChange) -> Result<(), String> {
        change.zone = update::server_zone(at, zone.apex.as_str()).await?;
        for believed in [Wildcards::Seen, Wildcards::Denied] {
            let changes = update::look(at, zone, &change.zone, &self.installation, believed).await?;
            tell(change, zone, &changes)?;
            if !self.apply || changes.is_empty() {
                return Ok(());
            }
            if update::update(at, &changes.update(zone, &change.zone)).await? == Taken::Done {
                let after = update::look(at, zone, &change.zone, &self.installation, believed).await?;
                return shown(&after);
            }
        }
        Err("somebody else has changed our records just now: try again".into())
    }

    async fn in_books(&self, books: &Books, zone: &Zone, change: &mut DnsChange) -> Result<(), String> {
        change.zone = books.zone_of(zone.apex.as_str()).await;
        let look = books.look(zone, &change.zone, &self.installation).await?;
        tell(change, zone, &look.changes)?;
        change.by_hand = lines(zone, &look.by_hand)?;
        change.unchanged += look.there;
        if !self.apply || look.changes.is_empty() {
            return Ok(());
        }
        books.carry_out(&change.zone, zone.ttl, &look.changes).await?;
        shown(&books.look(zone, &change.zone, &self.installation).await?.changes)
    }
}

fn shown(after: &Changes) -> Result<(), String> {
    if after.is_empty() { Ok(()) } else { Err("the change was taken, and does not show".into()) }
}

fn lines(zone: &Zone, records: &[Record]) -> Result<Vec<String>, String> {
    let lines = records.iter().map(|record| record.to_line(zone.ttl));
    lines.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn tell(change: &mut DnsChange, zone: &Zone, changes: &Changes) -> Result<(), String> {
    change.add = lines(zone, &changes.add)?;
    change.renew = lines(zone, &changes.renew)?;
    change.remove = lines(zone, &changes.remove)?;
    change.foreign = vec![];
    for foreign in &changes.foreign {
        let whose = foreign.by.as_ref().map(|by| format!("    ; of the installation {by}"));
        let line = foreign.record.to_line(zone.ttl).map_err(|error| error.to_string())?;
        change.foreign.push(line + &whose.unwrap_or_default());
    }
    change.unchanged = changes.good - changes.renew.len();
    Ok(())
}
