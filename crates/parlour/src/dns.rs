//! What the DNS must say about the domains of a plan: `parlour dns zone` prints it, `check` looks whether it does, and
//! `push` puts it there.

pub(crate) mod ask;
pub mod check;
pub(crate) mod installation;
pub(crate) mod provider;
pub mod push;
pub(crate) mod text;
mod update;

use crate::admin::Failure;
use crate::admin::answers::Text;
use crate::admin::arguments::Arguments;
use crate::admin::command::reply;
use crate::config::Plan;
use crate::config::plan::DomainPlan;
use crate::site;
use domains::{Authority, Site};
use serde_json::Value;
use std::fmt::Write;
use time::OffsetDateTime;
use wire::Domain;
use wire::inside::is_public;

/// `parlour dns zone`
pub fn zone(plan: &Plan, arguments: &Arguments) -> Result<Value, Failure> {
    let servers = arguments.texts("name-server").into_iter().map(|name| {
        Domain::new(name).map_err(|_| Failure::usage(format!("`{name}` is not a name server's name")))
    });
    let authority =
        Authority { servers: servers.collect::<Result<_, _>>()?, serial: serial(OffsetDateTime::now_utc()) };
    let mut text = String::new();
    for domain in wanted(plan, arguments)? {
        let site = site::of(plan, domain);
        zone_texts(&mut text, &site, &authority, arguments.flag("records"))
            .map_err(|e| Failure::failed(e.to_string()))?;
    }
    reply(&Text { text: text.trim_end().to_owned() })
}

/// The domain that was named, or all of them.
fn wanted<'a>(plan: &'a Plan, arguments: &Arguments) -> Result<Vec<&'a DomainPlan>, Failure> {
    let Some(name) = arguments.text("domain") else { return Ok(plan.domains.iter().collect()) };
    let domain = Domain::new(name).ok();
    let ours = plan.domains.iter().find(|plan| Some(&plan.name) == domain.as_ref());
    ours.map(|ours| vec![ours]).ok_or_else(|| Failure::usage(format!("{name} is not a domain of this house")))
}

fn zone_texts(
    text: &mut String,
    site: &Site,
    authority: &Authority,
    records: bool,
) -> Result<(), domains::record::NameTooLong> {
    for zone in domains::zones(site) {
        let body = if records { zone.fragment()? } else { zone.text(site, authority)? };
        let _ = writeln!(text, "; {}", zone.apex);
        for note in notes(site) {
            let _ = writeln!(text, "; {note}");
        }
        let _ = writeln!(text, "{body}");
    }
    Ok(())
}

/// What a reader of the zone should know.
fn notes(site: &Site) -> Vec<String> {
    let mut notes = vec![];
    for (label, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
        if host.addresses.is_empty() {
            notes.push(format!("no address is known for {label}: set network.addresses or network.external"));
        }
        for address in host.addresses.iter().filter(|address| !is_public(**address)) {
            notes.push(format!(
                "{label}: the world does not reach {address}; behind NAT set network.external"
            ));
        }
    }
    if site.is_pinned() {
        notes.push("TLSA records help only where this zone is signed (DNSSEC)".into());
    }
    notes
}

/// The date with two digits to count a day's versions, as zones have it (RFC 1912 §2.2): quarters of an hour, so that what is printed
/// later on a day is seen to be newer by those who copy the zone.
fn serial(now: OffsetDateTime) -> u32 {
    let (date, time) = (now.date(), now.time());
    let day = date.year() * 10_000 + i32::from(u8::from(date.month())) * 100 + i32::from(date.day());
    let quarter = u32::from(time.hour()) * 4 + u32::from(time.minute()) / 15;
    u32::try_from(day).unwrap_or(0).saturating_mul(100).saturating_add(quarter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(since_1970: i64, expected: u32) {
        let now = OffsetDateTime::from_unix_timestamp(since_1970).expect("a time");
        assert_eq!(serial(now), expected);
    }

    #[test]
    fn versions_of_a_zone_are_told_apart_within_a_day() {
        check(1_795_305_600, 2_026_112_200);
        check(1_795_305_600 + 14 * 60, 2_026_112_200);
        check(1_795_305_600 + 15 * 60, 2_026_112_201);
        check(1_795_305_600 + 24 * 3600 - 1, 2_026_112_295);
        check(1_795_305_600 + 24 * 3600, 2_026_112_300);
    }
}
