//! The commands on SIP: who is registered and from where, who calls whom, how a call went and why.
//!
//! Workers are asked page by page, so that none of them is held up by a look at 100 000 rows.

use super::answers::Done;
use super::answers::sip::{
    SipBinding, SipBindings, SipCall, SipCalls, SipPast, SipRecent, SipStep, SipStory,
};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::services::sip::overview::{CallId, Order};
use ::sip::dialog::book::Call;
use ::sip::stack::{Registered, Ringing};
use ::sip::trace::story::{Step, Way};
use ::sip::trace::{Row, Story};
use ::sip::{Found, Page, shown};
use serde_json::Value;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Instant;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::{Transport, WorkerId};

/// How many places of a worker's table are looked at before it goes on with its clients.
const PLACES: u32 = 2048;
/// How many rows are listed unless more are asked for.
const USUAL: u64 = 1_000;
/// The most that are listed at once.
const MOST: u64 = 10_000;

/// How many of the latest calls are told of unless more are asked for.
const USUALLY_RECENT: u64 = 20;
/// The most of them.
const MOST_RECENT: u64 = 500;

/// `parlour sip bindings`
pub(crate) fn bindings<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let now = Instant::now();
        let shown = |found: Vec<Registered>| found.iter().map(|one| binding(now, one)).collect();
        if let Some(user) = arguments.text("user") {
            let address = super::turn::address(house, user)?;
            let home = address.home(house.workers().max(1));
            let found = ask(house, home, |sender| Order::BindingsOf(address, sender)).await?;
            return reply(&SipBindings { bindings: shown(found), next: None });
        }
        let (from, limit) = part(arguments)?;
        let look = |worker, page| ask(house, worker, move |sender| Order::Bindings(page, sender));
        let (found, next) = pages(house, from, limit, look).await?;
        reply(&SipBindings { bindings: shown(found), next: next.map(Place::name) })
    })
}

/// A binding in words.
fn binding(now: Instant, binding: &Registered) -> SipBinding {
    SipBinding {
        address: binding.address.to_string(),
        contact: shown::with_uri(&binding.contact),
        transport: binding.flow.map(|(transport, _)| transport.to_string()),
        source: binding.flow.map(|(_, peer)| peer.to_string()),
        path: Some(shown::text(&binding.path)).filter(|path| !path.is_empty()),
        instance: binding.instance.as_deref().map(shown::text),
        flow: binding.flow_number.as_deref().map(shown::text),
        q: f64::from(binding.q) / 1000.0,
        remaining: binding.expires.saturating_duration_since(now).as_secs(),
    }
}

/// Where the places of calls that ring begin, in the one list of a worker's calls.
const RINGING: u32 = 1 << 31;

/// `parlour sip calls`
pub(crate) fn calls<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let (from, limit) = part(arguments)?;
        tell_homes(house).await?;
        let (mut calls, next) =
            pages(house, from, limit, |worker, page| calls_on(house, worker, page)).await?;
        if let Some(user) = arguments.text("user") {
            let user = super::turn::address(house, user)?.to_string();
            calls.retain(|call| is_of(&call.from, &user) || is_of(&call.to, &user));
        }
        reply(&SipCalls { calls, next: next.map(Place::name) })
    })
}

/// Lets every worker know of the calls at home there: what it is told comes before what it is asked next.
async fn tell_homes(house: &dyn Backend) -> Result<(), Failure> {
    for worker in (0..house.workers()).map(WorkerId) {
        ask(house, worker, Order::TellHomes).await?;
    }
    Ok(())
}

/// A page of one worker's calls: those at home there that stand, then those that ring.
async fn calls_on(house: &dyn Backend, worker: WorkerId, page: Page) -> Result<Found<SipCall>, Failure> {
    let now = Instant::now();
    if let Some(from) = page.from.checked_sub(RINGING) {
        let page = Page { from, ..page };
        let Found { found, next } = ask(house, worker, |sender| Order::Ringing(page, sender)).await?;
        let found = found.iter().map(|call| ringing(now, call)).collect();
        return Ok(Found { found, next: next.map(|next| next.saturating_add(RINGING)) });
    }
    let Found { found, next } = ask(house, worker, |sender| Order::Calls(page, sender)).await?;
    Ok(Found { found: found.iter().map(|call| standing(now, call)).collect(), next: next.or(Some(RINGING)) })
}

fn ringing(now: Instant, call: &Ringing) -> SipCall {
    SipCall {
        call_id: shown::text(&call.call_id),
        state: "ringing".into(),
        from: shown::with_uri(&call.from),
        to: shown::with_uri(&call.called),
        caller: peer(&call.caller),
        called: call.phones.iter().map(peer).collect(),
        age: now.saturating_duration_since(call.began).as_secs(),
    }
}

fn standing(now: Instant, call: &Call) -> SipCall {
    let [caller, called] = &call.parties;
    SipCall {
        call_id: shown::text(&call.call_id),
        state: "answered".into(),
        from: shown::with_uri(caller.uri()),
        to: shown::with_uri(&call.called),
        caller: peer(&caller.peer),
        called: vec![peer(&called.peer)],
        age: now.saturating_duration_since(call.began).as_secs(),
    }
}

fn peer((transport, address): &(Option<Transport>, Option<SocketAddr>)) -> String {
    let address = address.map_or_else(|| "–".into(), |address| address.to_string());
    transport.map_or(address.clone(), |transport| format!("{address} {transport}"))
}

/// Whether a URI is this account's, as it is written.
fn is_of(uri: &str, user: &str) -> bool {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split([';', '?']).next().is_some_and(|address| address.eq_ignore_ascii_case(user))
}

/// `parlour sip hangup`
pub(crate) fn hangup<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let call_id = arguments.required("call-id");
        let mut ended = 0;
        tell_homes(house).await?;
        for worker in (0..house.workers()).map(WorkerId) {
            ended += ask(house, worker, |sender| Order::HangUp(call_id.into(), sender)).await?;
        }
        match ended {
            0 => Err(Failure::new(
                Kind::NotFound,
                format!("there is no call {call_id}; `parlour sip calls` lists them"),
            )),
            1 => reply(&Done { done: format!("ended {call_id}") }),
            n => reply(&Done { done: format!("ended {n} calls {call_id}") }),
        }
    })
}

/// `parlour sip why`
pub(crate) fn why<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let call_id = arguments.required("call-id");
        let story = stories(house, vec![call_id.as_bytes().into()]).await?.pop().flatten();
        let story = story.ok_or_else(|| {
            let text = format!(
                "nothing is known (any more) of a call {call_id}; `parlour sip recent` lists the latest"
            );
            Failure::new(Kind::NotFound, text)
        })?;
        reply(&told(call_id, story))
    })
}

/// What all workers together tell of these calls; `None` of those of which they know nothing.
async fn stories(house: &dyn Backend, calls: Vec<CallId>) -> Result<Vec<Option<Story>>, Failure> {
    let calls: Box<[CallId]> = calls.into();
    let mut rows: Vec<Vec<Row>> = calls.iter().map(|_| Vec::new()).collect();
    for worker in (0..house.workers()).map(WorkerId) {
        let found = ask(house, worker, |sender| Order::Trace(calls.clone(), sender)).await?;
        rows.iter_mut().zip(found).for_each(|(all, new)| all.extend(new));
    }
    Ok(rows.into_iter().map(Story::of).collect())
}

/// `parlour sip recent`
pub(crate) fn recent<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let limit = arguments.number("limit").unwrap_or(USUALLY_RECENT);
        if !(1..=MOST_RECENT).contains(&limit) {
            return Err(Failure::usage(format!("`limit` must be from 1 to {MOST_RECENT}")));
        }
        let user = arguments.text("user").map(|user| super::turn::address(house, user)).transpose()?;
        let user = user.map(|user| user.to_string());
        // Whose calls they are shows in their stories alone.
        let most = usize::try_from(if user.is_some() { MOST_RECENT } else { limit }).unwrap_or(1);
        let mut latest = Vec::new();
        for worker in (0..house.workers()).map(WorkerId) {
            latest.extend(ask(house, worker, |sender| Order::Latest(most, sender)).await?);
        }
        latest.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        latest.truncate(most);
        let calls: Vec<CallId> = latest.into_iter().map(|(_, call_id)| call_id).collect();
        let told = stories(house, calls.clone()).await?;
        let all = calls.iter().zip(told).filter_map(|(call_id, story)| Some(past(call_id, story?)));
        let of_user = |call: &SipPast| {
            user.as_ref().is_none_or(|user| is_of(&call.from, user) || is_of(&call.to, user))
        };
        reply(&SipRecent { calls: all.filter(of_user).take(usize::try_from(limit).unwrap_or(1)).collect() })
    })
}

fn past(call_id: &[u8], story: Story) -> SipPast {
    SipPast {
        call_id: shown::text(call_id),
        began: date(story.began),
        from: story.from,
        to: story.to,
        outcome: story.outcome.to_string(),
        reason: story.reason,
    }
}

/// A moment of this process as a date (RFC 3339), to the second.
fn date(at: Instant) -> String {
    let date = OffsetDateTime::now_utc() - Instant::now().saturating_duration_since(at);
    date.replace_nanosecond(0).unwrap_or(date).format(&Rfc3339).unwrap_or_default()
}

fn told(call_id: &str, story: Story) -> SipStory {
    SipStory {
        call_id: shown::text(call_id.as_bytes()),
        from: story.from,
        to: story.to,
        began: date(story.began),
        outcome: story.outcome.to_string(),
        reason: story.reason,
        tried: story.legs,
        steps: story.steps.into_iter().map(step).collect(),
    }
}

fn step(step: Step) -> SipStep {
    let way = match step.way {
        Way::In => "in",
        Way::Out => "out",
        Way::Here => "here",
    };
    SipStep {
        after: (step.after.as_secs_f64() * 1000.0).round() / 1000.0,
        way: way.into(),
        peer: step.peer.map(|peer| peer.to_string()),
        transport: step.transport.map(|transport| transport.to_string()),
        text: step.text,
    }
}

/// Asks one worker.
async fn ask<T>(
    house: &dyn Backend,
    worker: WorkerId,
    order: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Order,
) -> Result<T, Failure> {
    let (sender, answer) = tokio::sync::oneshot::channel();
    house.order_sip(worker, order(sender)).await?;
    answer.await.map_err(|_| super::backend::gone(worker))
}

/// A place in the tables of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    worker: u16,
    from: u32,
}

impl Place {
    fn name(self) -> String {
        format!("{}.{}", self.worker, self.from)
    }
}

/// Where a list is to begin, and how long it may be.
fn part(arguments: &Arguments) -> Result<(Place, usize), Failure> {
    let limit = arguments.number("limit").unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::usage(format!("`limit` must be from 1 to {MOST}")));
    }
    let place = |text: &str| {
        let (worker, from) = text.split_once('.')?;
        Some(Place { worker: worker.parse().ok()?, from: from.parse().ok()? })
    };
    let from = match arguments.text("after") {
        None => Place::default(),
        Some(text) => place(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` is not a place in the list, as 0.1000 is")))?,
    };
    Ok((from, usize::try_from(limit).unwrap_or(1)))
}

/// Rows from a place on, until there are no more or the limit is reached; where to go on then.
async fn pages<T, F: Future<Output = Result<Found<T>, Failure>>>(
    house: &dyn Backend,
    from: Place,
    limit: usize,
    look: impl Fn(WorkerId, Page) -> F,
) -> Result<(Vec<T>, Option<Place>), Failure> {
    let mut rows = Vec::new();
    let mut next = Some(from).filter(|place| place.worker < house.workers());
    while let Some(place) = next.filter(|_| rows.len() < limit) {
        let page = Page { from: place.from, places: PLACES, most: limit - rows.len() };
        let found = look(WorkerId(place.worker), page).await?;
        rows.extend(found.found);
        let following = Place { worker: place.worker + 1, from: 0 };
        let following = (following.worker < house.workers()).then_some(following);
        next = found.next.map(|from| Place { from, ..place }).or(following);
    }
    Ok((rows, next))
}
