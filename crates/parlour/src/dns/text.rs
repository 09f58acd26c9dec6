//! A TXT record that is there for a while, by dynamic update (RFC 2136) or a provider's interface: an authority looks for it (RFC 8555 §8.4).

use super::ask::ask;
use super::provider::Books;
use super::update;
use crate::config::plan::PushPlan;
use domain::base::iana::Rtype;
use domains::message::{Answer, Manner, Update};
use domains::record::{Data, Record};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long others may remember it, in seconds.
const TTL: u32 = 60;

/// How long all servers of the zone may take to have it, and how often they are asked.
const PATIENCE: Duration = Duration::from_secs(120);
const OFTEN: Duration = Duration::from_secs(1);

/// The most aliases on the way.
const ALIASES: usize = 8;

/// A TXT record that was put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Where it stands, behind all aliases.
    pub owner: String,
    /// The zone of the server that it lies in.
    pub zone: String,
    /// What it says.
    pub value: String,
}

impl Text {
    fn record(&self) -> Record {
        Record { owner: self.owner.clone(), data: Data::Text(self.value.clone()) }
    }
}

/// Where a TXT record for this name is to be put: another place, where the name is an alias.
pub(crate) async fn place(push: &PushPlan, name: &str, value: &str) -> Result<Text, String> {
    let mut owner = name.to_owned();
    for _ in 0..ALIASES {
        match alias(push, &owner).await? {
            Some(target) => owner = target,
            None => {
                let zone = match push {
                    PushPlan::Server(server) => update::server_zone(server, &owner).await?,
                    PushPlan::Provider(plan) => Books::open(plan)?.zone_of(&owner).await,
                };
                return Ok(Text { owner, zone, value: value.to_owned() });
            }
        }
    }
    Err(format!("{name} is an alias of an alias without end"))
}

/// Whose alias a name is. A wildcard's alias is none that would be in the way of a record there.
async fn alias(push: &PushPlan, owner: &str) -> Result<Option<String>, String> {
    let question = (owner.to_owned(), Rtype::TXT.to_int());
    match push {
        PushPlan::Server(server) => {
            let answer = update::tell(server, &question).await?;
            let Some(target) = answer.alias(owner) else { return Ok(None) };
            let zone = update::server_zone(server, owner).await?;
            let found = [Data::Alias(target.to_owned())];
            let free = update::is_wildcards(server, &question, &found, &zone).await?;
            Ok((!free).then(|| target.to_owned()))
        }
        PushPlan::Provider(plan) => {
            let answer = Books::open(plan)?.resolve(&question).await;
            Ok(answer.as_ref().and_then(|answer| answer.alias(owner)).map(str::to_owned))
        }
    }
}

/// Puts it there.
pub(crate) async fn put(push: &PushPlan, text: &Text) -> Result<(), String> {
    match push {
        PushPlan::Server(server) => {
            let add = vec![(text.record(), TTL)];
            let update = Update { zone: text.zone.clone(), add, ..Update::default() };
            update::update(server, &update).await.map(drop)
        }
        PushPlan::Provider(plan) => Books::open(plan)?.add(&[text.record()], TTL, &text.zone).await,
    }
}

/// Takes it away: this one, and no other at that name.
pub(crate) async fn take_away(push: &PushPlan, text: &Text) -> Result<(), String> {
    let remove = vec![text.record()];
    match push {
        PushPlan::Server(server) => {
            let update = Update { zone: text.zone.clone(), remove, ..Update::default() };
            update::update(server, &update).await.map(drop)
        }
        PushPlan::Provider(plan) => Books::open(plan)?.remove(&remove, &text.zone).await,
    }
}

/// Waits until each of the servers shows it. Those that do not answer hold up nobody; one that does not show it for long does
/// not for ever.
pub(crate) async fn wait_for(servers: &[SocketAddr], text: &Text) {
    let until = Instant::now() + PATIENCE;
    for server in servers {
        while Instant::now() < until && !shows(*server, text).await {
            tokio::time::sleep(OFTEN).await;
        }
    }
}

async fn shows(server: SocketAddr, text: &Text) -> bool {
    let question = (text.owner.clone(), Rtype::TXT.to_int());
    match ask(server, &question, Manner::default()).await {
        Ok(answer) if answer.is_good() => {
            answer.of(&text.owner, Rtype::TXT).any(|data| *data == Data::Text(text.value.clone()))
        }
        _ => true,
    }
}

/// The servers of a zone, as its first one names them and this host finds them.
pub(crate) async fn servers(push: &PushPlan, zone: &str) -> Vec<SocketAddr> {
    let question = (zone.to_owned(), Rtype::NS.to_int());
    let answer: Option<Answer> = match push {
        PushPlan::Server(server) => update::tell(server, &question).await.ok(),
        PushPlan::Provider(plan) => match Books::open(plan) {
            Ok(books) => books.resolve(&question).await,
            Err(_) => None,
        },
    };
    let Some(answer) = answer else { return vec![] };
    let mut all = vec![];
    for data in answer.of(zone, Rtype::NS) {
        let Data::Ns(name) = data else { continue };
        // The port is that of the first, where that is none of its own: a hidden primary's others have the usual one.
        let found = tokio::net::lookup_host((name.as_str(), 53)).await;
        all.extend(found.into_iter().flatten());
    }
    all.truncate(16);
    all
}
