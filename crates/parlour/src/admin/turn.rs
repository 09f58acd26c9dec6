//! The commands on STUN and TURN: who is served, the end of some, the end of taking on more.
//!
//! Workers are asked page by page, so that none of them is held up by a look at 100 000 sessions.

pub(crate) mod credentials;

use super::answers::turn::{
    TurnChannel, TurnDisconnected, TurnDrain, TurnPermission, TurnSession, TurnSessionDetails, TurnSessions,
    TurnTraffic,
};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::services::turn::sessions::{Look, Seen, Want};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::time::{Duration, Instant};
use turn::{Page, Pick, Session, SessionId, Survey, Traffic};
use wire::{Address, WorkerId};

/// How many places of a worker's table are looked at before it goes on with its clients.
const PLACES: u32 = 2048;
/// How many sessions are listed unless more are asked for.
const USUAL: u64 = 1_000;
/// The most that are listed at once.
const MOST: u64 = 10_000;
/// Over how long the current rate is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// `parlour turn sessions`
pub(crate) fn sessions<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let pick = match arguments.text("user") {
            Some(user) => Pick::User(address(house, user)?),
            None => Pick::All,
        };
        let from = arguments.text("after").map_or(Ok(Place::default()), place)?;
        let limit = arguments.number("limit").unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Failure::usage(format!("`limit` must be from 1 to {MOST}")));
        }
        let list = Listing { house, pick, want: Want::Sessions, limit: usize::try_from(limit).unwrap_or(1) };
        let listed = list.from(from).await?;
        let rates = list.rates(from, &listed.sessions).await?;
        let now = Instant::now();
        reply(&TurnSessions {
            total: total(house).await?,
            sessions: listed
                .sessions
                .iter()
                .map(|session| shown(now, session, rates.get(&session.id)))
                .collect(),
            next: listed.next.map(|Place { worker, from }| format!("{worker}.{from}")),
        })
    })
}

/// `parlour turn show`
pub(crate) fn show<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let text = arguments.required("id");
        let pick = Pick::One(id(text)?);
        let list = Listing { house, pick: pick.clone(), want: Want::Details, limit: 1 };
        let details = list.from(Place::default()).await?.details;
        let detail = details.into_iter().next().ok_or_else(|| none(text))?;
        let list = Listing { house, pick, want: Want::Sessions, limit: 1 };
        let rates = list.rates(Place::default(), std::slice::from_ref(&detail.session)).await?;
        let now = Instant::now();
        let permission = |(peer, until): &(std::net::IpAddr, Instant)| TurnPermission {
            peer: peer.to_string(),
            remaining: remaining(now, *until),
        };
        let channel =
            |(number, peer, until): &(stun::attribute::ChannelNumber, std::net::SocketAddr, Instant)| {
                TurnChannel { number: number.0, peer: peer.to_string(), remaining: remaining(now, *until) }
            };
        reply(&TurnSessionDetails {
            session: shown(now, &detail.session, rates.get(&detail.session.id)),
            permissions: detail.permissions.iter().map(permission).collect(),
            channels: detail.channels.iter().map(channel).collect(),
        })
    })
}

/// `parlour turn disconnect`
pub(crate) fn disconnect<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let text = arguments.required("who");
        let pick = if text.contains('@') { Pick::User(address(house, text)?) } else { Pick::One(id(text)?) };
        let list = Listing { house, pick, want: Want::End, limit: usize::MAX };
        let ended = list.from(Place::default()).await?.sessions;
        if ended.is_empty() {
            return Err(none(text));
        }
        reply(&TurnDisconnected { ended: ended.iter().map(|session| session.id.to_string()).collect() })
    })
}

/// `parlour turn drain`
pub(crate) fn drain<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let draining = !arguments.flag("off");
        house.drain_turn(draining).await?;
        reply(&TurnDrain { draining, sessions: total(house).await? })
    })
}

/// A place in the tables of all workers.
#[derive(Clone, Copy, Default)]
struct Place {
    worker: u16,
    from: u32,
}

/// What is looked for in all workers' tables.
struct Listing<'a> {
    house: &'a dyn Backend,
    pick: Pick,
    want: Want,
    limit: usize,
}

/// What was found there.
#[derive(Default)]
struct Listed {
    sessions: Vec<Session>,
    details: Vec<turn::Detail>,
    /// Where to go on, where the limit was reached before the end.
    next: Option<Place>,
}

impl Listed {
    fn count(&self) -> usize {
        self.sessions.len() + self.details.len()
    }
}

impl Listing<'_> {
    /// From a place on, until there are no more or the limit is reached.
    async fn from(&self, place: Place) -> Result<Listed, Failure> {
        let mut listed = Listed::default();
        let mut next = Some(place).filter(|place| place.worker < self.house.workers());
        while let Some(place) = next.filter(|_| listed.count() < self.limit) {
            let seen = self.look(place, self.limit - listed.count()).await?;
            let following = Place { worker: place.worker + 1, from: 0 };
            let following = (following.worker < self.house.workers()).then_some(following);
            next = seen.next.map(|from| Place { from, ..place }).or(following);
            listed.sessions.extend(seen.sessions);
            listed.details.extend(seen.details);
        }
        Ok(Listed { next, ..listed })
    }

    async fn look(&self, place: Place, most: usize) -> Result<Seen, Failure> {
        let page = Page { from: place.from, places: PLACES, most };
        let look = Look { pick: self.pick.clone(), want: self.want, page };
        self.house.look(WorkerId(place.worker), look).await
    }

    /// What goes through these sessions now, each way in octets a second: by a second look a little later.
    async fn rates(&self, from: Place, before: &[Session]) -> Result<FxHashMap<SessionId, Traffic>, Failure> {
        if before.is_empty() {
            return Ok(FxHashMap::default());
        }
        let begin = Instant::now();
        tokio::time::sleep(MEASURE).await;
        let after = self.from(from).await?.sessions;
        let took = begin.elapsed().as_millis().max(1);
        let old: FxHashMap<_, _> = before.iter().map(|session| (session.id, session.traffic)).collect();
        let rate = |session: &Session| {
            let since = session.traffic.since(old.get(&session.id)?);
            Some((session.id, a_second(since, took)))
        };
        Ok(after.iter().filter_map(rate).collect())
    }
}

/// What traffic in so many milliseconds is in a second.
fn a_second(traffic: Traffic, millis: u128) -> Traffic {
    let scale = |octets: u64| u64::try_from(u128::from(octets) * 1000 / millis).unwrap_or(u64::MAX);
    let (sent_bytes, received_bytes) = (scale(traffic.sent_bytes), scale(traffic.received_bytes));
    Traffic { sent_bytes, received_bytes, ..traffic }
}

/// How many sessions there are by transport, and what went through all that there have been.
pub async fn survey(house: &dyn Backend) -> Result<(Survey, Traffic), Failure> {
    let (mut survey, mut traffic) = (Survey::default(), Traffic::default());
    for worker in (0..house.workers()).map(WorkerId) {
        let mut next = Some(0);
        while let Some(from) = next {
            let page = Page { from, places: PLACES, most: 0 };
            let seen = house.look(worker, Look { pick: Pick::All, want: Want::Survey, page }).await?;
            survey.merge(seen.survey);
            next = seen.next;
            if next.is_none() {
                traffic.add(seen.traffic);
            }
        }
    }
    Ok((survey, traffic))
}

/// How many sessions there are.
async fn total(house: &dyn Backend) -> Result<u64, Failure> {
    let mut total = 0;
    for worker in 0..house.workers() {
        let page = Page { from: 0, places: 0, most: 0 };
        total +=
            house.look(WorkerId(worker), Look { pick: Pick::All, want: Want::Sessions, page }).await?.all;
    }
    Ok(total)
}

fn shown(now: Instant, session: &Session, rate: Option<&Traffic>) -> TurnSession {
    let traffic = session.traffic;
    let rate = rate.copied().unwrap_or_default();
    let relays = std::iter::once(session.relayed).chain(session.second);
    TurnSession {
        id: session.id.to_string(),
        user: session.user.to_string(),
        client: session.client.peer.to_string(),
        transport: session.client.transport.to_string(),
        relaying: session.relaying.to_string(),
        relays: relays.map(|relay| relay.to_string()).collect(),
        permissions: session.permissions as u64,
        channels: session.channels as u64,
        sent: TurnTraffic {
            packets: traffic.sent_packets,
            octets: traffic.sent_bytes,
            rate: rate.sent_bytes,
        },
        received: TurnTraffic {
            packets: traffic.received_packets,
            octets: traffic.received_bytes,
            rate: rate.received_bytes,
        },
        dropped: traffic.dropped_packets,
        age: now.saturating_duration_since(session.began).as_secs(),
        remaining: remaining(now, session.expires),
    }
}

/// Whole seconds until then.
fn remaining(now: Instant, until: Instant) -> u64 {
    until.saturating_duration_since(now).as_secs()
}

/// An account by its address; an alias of one of our domains stands for the domain.
pub(crate) fn address(house: &dyn Backend, text: &str) -> Result<Address, Failure> {
    let address: Address = text.parse().map_err(|error| Failure::usage(format!("{text}: {error}")))?;
    let directory = house.accounts().directory();
    Ok(directory.domain(address.domain()).map_or(address.clone(), |main| address.at(main)))
}

fn place(text: &str) -> Result<Place, Failure> {
    let place = text
        .split_once('.')
        .and_then(|(worker, from)| Some(Place { worker: worker.parse().ok()?, from: from.parse().ok()? }));
    place.ok_or_else(|| Failure::usage(format!("`{text}` is not a place in the list, as 0.1000 is")))
}

fn id(text: &str) -> Result<SessionId, Failure> {
    let id = text.split_once('.').and_then(|(worker, number)| {
        Some(SessionId { worker: WorkerId(worker.parse().ok()?), number: number.parse().ok()? })
    });
    id.ok_or_else(|| {
        Failure::usage(format!("`{text}` is neither the name of a session, as 0.17 is, nor an address"))
    })
}

fn none(what: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("there is no session {what}; `parlour turn sessions` lists them"))
}
