//! A TXT record that is there for a while, by dynamic update (RFC 2136): an authority looks for it (RFC 8555 §8.4).

use super::ask::ask;
use super::push;
use crate::config::plan::PushPlan;
use domain::base::iana::Rtype;
use domains::message::{Manner, Update};
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
        let answer = push::tell(push, &(owner.clone(), Rtype::TXT.to_int())).await?;
        match answer.alias(&owner) {
            Some(target) => owner = target.to_owned(),
            None => {
                let zone = push::server_zone(push, &owner).await?;
                return Ok(Text { owner, zone, value: value.to_owned() });
            }
        }
    }
    Err(format!("{name} is an alias of an alias without end"))
}

/// Puts it there.
pub(crate) async fn put(push: &PushPlan, text: &Text) -> Result<(), String> {
    let add = vec![(text.record(), TTL)];
    push::update(push, &Update { zone: text.zone.clone(), add, ..Update::default() }).await
}

/// Takes it away: this one, and no other at that name.
pub(crate) async fn take_away(push: &PushPlan, text: &Text) -> Result<(), String> {
    let remove = vec![text.record()];
    push::update(push, &Update { zone: text.zone.clone(), remove, ..Update::default() }).await
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
    let Ok(answer) = push::tell(push, &question).await else { return vec![] };
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
