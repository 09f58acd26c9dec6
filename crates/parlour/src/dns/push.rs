//! `parlour dns push`: puts the records into the zone by dynamic update (RFC 2136), shows first what it would change, and
//! takes out nothing but what it has put in.

use super::ask::{ask, ask_all, by_tcp, random};
use super::wanted;
use crate::admin::Failure;
use crate::admin::answers::dns::{DnsChange, DnsPush};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::failure::Kind;
use crate::admin::here;
use crate::clock;
use crate::config::plan::PushPlan;
use crate::site;
use domains::changes::{Changes, Seen, changes, marks_of, to_look_up};
use domains::check::Question;
use domains::message::{Answer, Manner, Update, word};
use domains::record::{Data, Record};
use domains::{Zone, zones};
use serde_json::Value;

/// `parlour dns push`
pub fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let apply = match (arguments.flag("apply"), arguments.flag("dry-run")) {
        (apply, dry) if apply != dry => apply,
        _ => return Err(Failure::usage("say --dry-run to see what would change, or --apply to change it")),
    };
    let plan = here::settled(invocation)?;
    let push = plan.dns.push.as_ref().ok_or_else(|| {
        let message =
            "dns.push is not set, or its secret is a credential of the service: see docs/domains.md";
        Failure::new(Kind::Configuration, message)
    })?;
    let sites = wanted(&plan, arguments)?.into_iter().map(|domain| site::of(&plan, domain));
    let zones: Vec<Zone> = sites.flat_map(|site| zones(&site)).collect();
    let done = here::block_on(async {
        let mut done = DnsPush { applied: apply, good: true, server: push.server.to_string(), zones: vec![] };
        for zone in &zones {
            let change = carry_out(push, zone, apply).await;
            done.good &= change.error.is_empty() && change.foreign.is_empty();
            done.zones.push(change);
        }
        done
    })?;
    reply(&done)
}

async fn carry_out(push: &PushPlan, zone: &Zone, apply: bool) -> DnsChange {
    let mut change = DnsChange { name: zone.apex.to_string(), ..DnsChange::default() };
    if let Err(error) = attempt(push, zone, apply, &mut change).await {
        change.error = error;
    }
    change
}

async fn attempt(push: &PushPlan, zone: &Zone, apply: bool, change: &mut DnsChange) -> Result<(), String> {
    change.zone = server_zone(push, zone.apex.as_str()).await?;
    let changes = look(push, zone).await?;
    let lines = |records: &[Record]| {
        records
            .iter()
            .map(|record| record.to_line(zone.ttl))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())
    };
    change.add = lines(&changes.add)?;
    change.remove = lines(&changes.remove)?;
    change.foreign = lines(&changes.foreign)?;
    change.unchanged = changes.good;
    if !apply || changes.is_empty() {
        return Ok(());
    }
    send(push, zone, &change.zone, &changes).await?;
    match look(push, zone).await?.is_empty() {
        true => Ok(()),
        false => Err("the server has taken the change, and does not show it".into()),
    }
}

/// The zone of the server that a name lies in.
pub(super) async fn server_zone(push: &PushPlan, name: &str) -> Result<String, String> {
    let soa = (name.to_owned(), domain::base::iana::Rtype::SOA.to_int());
    let answer = tell(push, &soa).await?;
    let found = answer.zone().map(|record| record.owner.clone());
    found.ok_or_else(|| format!("{} does not say which zone {name} lies in", push.server))
}

pub(super) async fn tell(push: &PushPlan, question: &Question) -> Result<Answer, String> {
    spoken_for(push, question, ask(push.server, question, Manner::default()).await)
}

fn spoken_for(
    push: &PushPlan,
    (name, _): &Question,
    answer: Result<Answer, String>,
) -> Result<Answer, String> {
    let answer = answer.map_err(|error| format!("{}: {error}", push.server))?;
    match (answer.is_good(), answer.authoritative) {
        (true, true) => Ok(answer),
        (true, false) => Err(format!("{} does not serve {name}", push.server)),
        (false, _) => Err(format!("{} does not serve {name} ({})", push.server, word(answer.code))),
    }
}

/// What there is to do.
async fn look(push: &PushPlan, zone: &Zone) -> Result<Changes, String> {
    let question = marks_of(zone);
    let marks = of(&tell(push, &question).await?, &question);
    let questions = to_look_up(zone, &marks);
    let mut seen = Seen::new();
    for (question, answer) in ask_all(push.server, &questions, Manner::default()).await {
        let answer = spoken_for(push, &question, answer)?;
        seen.insert(question.clone(), of(&answer, &question));
    }
    changes(zone, &marks, &seen).map_err(|error| error.to_string())
}

/// What stands at a name, of one type; if it is an alias, that.
fn of(answer: &Answer, (owner, kind): &Question) -> Vec<Data> {
    match answer.alias(owner) {
        Some(target) => vec![Data::Alias(target.to_owned())],
        None => answer.of(owner, domain::base::iana::Rtype::from_int(*kind)).cloned().collect(),
    }
}

async fn send(push: &PushPlan, zone: &Zone, server_zone: &str, changes: &Changes) -> Result<(), String> {
    update(push, &changes.update(zone, server_zone)).await
}

/// Has the server make a change.
pub(super) async fn update(push: &PushPlan, update: &Update) -> Result<(), String> {
    let now = || clock::now().as_secs();
    let id = random();
    let message = update.message(id).map_err(|error| error.to_string())?;
    let signed = push.key.sign(message, now()).map_err(|error| error.to_string())?;
    let octets = by_tcp(push.server, &signed.message).await?;
    let answer = Answer::read(&octets, id).ok_or("what came back is no answer")?;
    let believed = push.key.verify(&signed, &octets, now());
    match (believed, answer.code) {
        (Ok(()), 0) => Ok(()),
        (Err(distrust), 0) => Err(format!("{}: {distrust}", push.server)),
        (Err(distrust), code) => {
            Err(format!("{} refuses the change ({}): {distrust}", push.server, word(code)))
        }
        // Our condition was that the marks are still the same (RFC 2136 §3.2).
        (Ok(()), 6..=8) => Err("somebody else has changed our records just now: try again".into()),
        (Ok(()), code) => {
            let why = "the key may not change this zone: see the server's update policy and its log";
            Err(format!("{} refuses the change ({}): {why}", push.server, word(code)))
        }
    }
}
