//! The commands on who is shut out for failed sign-ins.

use super::answers::{Banned, Bans, Done, LockedOut};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::config::length_of_time;
use crate::doorman::{Ban, Letter, Reason};
use serde_json::Value;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use wire::Source;

/// The longest that an administrator may ban.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How long unless said otherwise.
const USUAL: &str = "1h";

/// `parlour sip bans`
pub(crate) fn list<'a>(house: &'a dyn Backend, _: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let listed = house.bans().await?;
        let now = Instant::now();
        let left = |until: Instant| until.saturating_duration_since(now).as_secs();
        let banned = listed.bans.iter().map(|(source, ban)| Banned {
            source: source.to_string(),
            reason: ban.reason.to_string(),
            remaining: left(ban.until),
        });
        let locked = listed.locks.iter().map(|(account, lock)| LockedOut {
            account: account.to_string(),
            known: lock.known.iter().map(ToString::to_string).collect(),
            remaining: left(lock.until),
        });
        reply(&Bans { sources: banned.collect(), accounts: locked.collect() })
    })
}

/// `parlour sip ban`
pub(crate) fn ban<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let address = address(arguments.required("address"))?;
        let text = arguments.text("for").unwrap_or(USUAL);
        let time = length_of_time(text, Duration::from_secs(1)..=LONGEST)
            .map_err(|wrong| Failure::usage(format!("--for: {wrong}")))?;
        if house.plan().sip.bans.trusts(address) {
            return Err(Failure::new(Kind::Conflict, format!("{address} is in sip.bans.trusted")));
        }
        let source = Source::of(address);
        let ban = Ban { until: Instant::now() + time, reason: Reason::Administrator };
        house.tell_doormen(Letter::Ban(source, ban)).await?;
        reply(&Done { done: format!("banned {source} for {text}") })
    })
}

/// `parlour sip unban`
pub(crate) fn unban<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let text = arguments.required("address");
        let listed = house.bans().await?;
        let letter = if text.contains('@') {
            let account = arguments.address("address", &house.accounts().directory())?;
            let locked = listed.locks.iter().any(|(other, _)| *other == account);
            locked.then_some(Letter::Unlock(account))
        } else {
            let source = Source::of(address(text)?);
            listed.bans.iter().any(|(other, _)| *other == source).then_some(Letter::Lift(source))
        };
        let none =
            || Failure::new(Kind::NotFound, format!("{text} is not banned; `parlour sip bans` says who is"));
        house.tell_doormen(letter.ok_or_else(none)?).await?;
        reply(&Done { done: format!("{text} is not banned any more") })
    })
}

/// An address, or a source as the list has it.
fn address(text: &str) -> Result<IpAddr, Failure> {
    let bare = text.strip_suffix("/64").filter(|bare| bare.contains(':')).unwrap_or(text);
    bare.parse()
        .map_err(|_| Failure::usage(format!("`{text}` is not an address, as 192.0.2.1 or 2001:db8::1")))
}
