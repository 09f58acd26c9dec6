//! A TXT record that is there for a while, by dynamic update (RFC 2136) or a provider's interface: an authority looks for it (RFC 8555 §8.4).

use super::ask::ask;
use super::provider::Books;
use super::update;
use crate::config::plan::{PushPlan, ServerPlan};
use domain::base::iana::Rtype;
use domains::message::{Answer, Manner, Update};
use domains::record::{Data, Record};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long others may remember it, in seconds.
const TTL: u32 = 60;

/// How long all servers may take to have all of them, and how often they are asked.
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

/// Where such records are put: a name server, or a provider's books, opened once for all of them.
#[derive(Clone)]
pub(crate) enum Desk {
    Server(ServerPlan),
    Books(Box<Books>),
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Books(_) => "Books",
        })
    }
}

impl Desk {
    pub(crate) fn open(push: &PushPlan) -> Result<Self, String> {
        Ok(match push {
            PushPlan::Server(server) => Self::Server(server.clone()),
            PushPlan::Provider(plan) => Self::Books(Box::new(Books::open(plan)?)),
        })
    }

    /// Where a TXT record for this name is to be put: another place, where the name is an alias.
    pub(crate) async fn place(&self, name: &str, value: &str) -> Result<Text, String> {
        let mut owner = name.to_owned();
        for _ in 0..ALIASES {
            match self.alias(&owner).await? {
                Some(target) => owner = target,
                None => {
                    let zone = match self {
                        Self::Server(server) => update::server_zone(server, &owner).await?,
                        Self::Books(books) => books.zone_of(&owner).await,
                    };
                    return Ok(Text { owner, zone, value: value.to_owned() });
                }
            }
        }
        Err(format!("{name} is an alias of an alias without end"))
    }

    /// Whose alias a name is. A wildcard's alias is none that would be in the way of a record there.
    async fn alias(&self, owner: &str) -> Result<Option<String>, String> {
        let question = (owner.to_owned(), Rtype::TXT.to_int());
        match self {
            Self::Server(server) => {
                let answer = update::tell(server, &question).await?;
                let Some(target) = answer.alias(owner) else { return Ok(None) };
                let zone = update::server_zone(server, owner).await?;
                let found = [Data::Alias(target.to_owned())];
                let free = update::is_wildcards(server, &question, &found, &zone).await?;
                Ok((!free).then(|| target.to_owned()))
            }
            Self::Books(books) => {
                let answer = books.resolve(&question).await;
                Ok(answer.as_ref().and_then(|answer| answer.alias(owner)).map(str::to_owned))
            }
        }
    }

    /// Puts it there.
    pub(crate) async fn put(&self, text: &Text) -> Result<(), String> {
        match self {
            Self::Server(server) => {
                let add = vec![(text.record(), TTL)];
                let update = Update { zone: text.zone.clone(), add, ..Update::default() };
                update::update(server, &update).await.map(drop)
            }
            Self::Books(books) => books.add(&[text.record()], TTL, &text.zone).await,
        }
    }

    /// Takes it away: this one, and no other at that name.
    pub(crate) async fn take_away(&self, text: &Text) -> Result<(), String> {
        let remove = vec![text.record()];
        match self {
            Self::Server(server) => {
                let update = Update { zone: text.zone.clone(), remove, ..Update::default() };
                update::update(server, &update).await.map(drop)
            }
            Self::Books(books) => books.remove(&remove, &text.zone).await,
        }
    }

    /// Waits until each of the servers of their zones shows them. Those that do not answer hold up nobody; what is not shown for long
    /// is not waited for any more, nor is what comes behind it.
    pub(crate) async fn wait_for(&self, texts: &[Text]) {
        let zones: BTreeSet<&String> = texts.iter().map(|text| &text.zone).collect();
        let (mut all, until) = (vec![], Instant::now() + PATIENCE);
        for zone in zones {
            let servers = self.servers(zone).await;
            for text in texts.iter().filter(|text| text.zone == *zone) {
                all.extend(servers.iter().map(|server| (*server, text)));
            }
        }
        wait_for(&all, until, shows).await;
    }

    /// The servers of a zone, as its first one names them and this host finds them.
    async fn servers(&self, zone: &str) -> Vec<SocketAddr> {
        let question = (zone.to_owned(), Rtype::NS.to_int());
        let answer: Option<Answer> = match self {
            Self::Server(server) => update::tell(server, &question).await.ok(),
            Self::Books(books) => books.resolve(&question).await,
        };
        let Some(answer) = answer else { return vec![] };
        let mut all = vec![];
        for data in answer.of(zone, Rtype::NS) {
            let Data::Ns(name) = data else { continue };
            let found = tokio::net::lookup_host((name.as_str(), 53)).await;
            all.extend(found.into_iter().flatten());
        }
        all.truncate(16);
        all
    }
}

async fn wait_for<'a, S: Future<Output = bool>>(
    all: &[(SocketAddr, &'a Text)],
    until: Instant,
    shows: impl Fn(SocketAddr, &'a Text) -> S,
) {
    for (server, text) in all {
        while !shows(*server, text).await {
            if Instant::now() >= until {
                return;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::future::ready;

    #[tokio::test]
    async fn what_comes_behind_one_that_is_not_shown_is_not_waited_for_anew() {
        let text = |owner: &str| Text { owner: owner.into(), zone: "x".into(), value: "v".into() };
        let texts = [text("shown"), text("never"), text("never too")];
        let server = SocketAddr::from(([192, 0, 2, 53], 53));
        let all: Vec<_> = texts.iter().map(|text| (server, text)).collect();
        let asked = RefCell::new(vec![]);
        let shows = |_, text: &Text| {
            asked.borrow_mut().push(text.owner.clone());
            ready(text.owner == "shown")
        };
        wait_for(&all, Instant::now(), shows).await;
        assert_eq!(asked.into_inner(), ["shown", "never"]);
    }
}
