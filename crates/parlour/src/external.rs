//! The public side of NAT by name (`network.external = ["NAME=PRIVATE"]`), as a line has whose address changes: asked for at the start, at
//! a reload, and as often as the answer is good for. Where the name leads elsewhere, every service hears of it.

use crate::config::Plan;
use crate::config::plan::{External, NamedExternal, NetworkPlan};
use crate::resolver;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How soon a name is asked for again that was not found, and how often one whose answer says nothing of its time.
const SOON: Duration = Duration::from_secs(5);
const USUAL: Duration = Duration::from_secs(60);

/// How long a plan without names is left alone.
const IDLE: Duration = Duration::from_secs(5);

/// The same plan with the addresses of its names by now; those of `before` where one is not found.
pub async fn settle(plan: Arc<Plan>, before: &[External]) -> Arc<Plan> {
    if plan.network.named.is_empty() {
        return plan;
    }
    let (found, _) = find(&plan.network, before).await;
    let mut new = plan.with_external(&found);
    for named in &plan.network.named {
        if !found.iter().any(|pair| pair.private == named.private) {
            let warning = format!(
                "network.external: no address of {} is found; until one is, others are told {}",
                named.name, named.private
            );
            tracing::warn!("{warning}");
            new.warnings.push(warning);
        }
    }
    Arc::new(new)
}

/// Looks again: what is found, if that is another than is in force, and after how long to look once more.
pub async fn look(network: &NetworkPlan) -> (Option<Vec<External>>, Duration) {
    if network.named.is_empty() {
        return (None, IDLE);
    }
    let (found, good_for) = find(network, &network.external).await;
    let changed = has_changed(network, &found);
    (changed.then_some(found), good_for)
}

/// Where the names lead, and how long that is good for.
async fn find(network: &NetworkPlan, before: &[External]) -> (Vec<External>, Duration) {
    let (mut all, mut good_for) = (Vec::new(), Duration::MAX);
    for NamedExternal { name, private } in &network.named {
        let before = before.iter().find(|pair| pair.private == *private).map(|pair| pair.public);
        let answer = resolver::addresses(&network.resolver, name).await;
        let found = answer.as_ref().and_then(|(found, _)| choose(found, *private, before));
        good_for = good_for.min(match (&answer, found) {
            (Some((_, ttl)), Some(_)) => ttl.unwrap_or(USUAL),
            _ => SOON,
        });
        all.extend(found.or(before).map(|public| External { public, private: *private }));
    }
    (all, good_for)
}

/// One address of a name, of the family that is wanted: the one of before, if it still is one of them.
fn choose(found: &[IpAddr], private: IpAddr, before: Option<IpAddr>) -> Option<IpAddr> {
    let fits = |ip: &IpAddr| {
        ip.is_ipv6() == private.is_ipv6() && !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback())
    };
    let fitting = || found.iter().map(IpAddr::to_canonical).filter(fits);
    before.filter(|before| fitting().any(|ip| ip == *before)).or_else(|| fitting().min())
}

/// Whether something else was found than is in force; says so.
fn has_changed(network: &NetworkPlan, found: &[External]) -> bool {
    let new = |pair: &&External| !network.external.contains(pair);
    for External { public, private } in found.iter().filter(new) {
        let name =
            network.named.iter().find(|named| named.private == *private).map(|named| named.name.as_str());
        tracing::info!("network.external: {} leads to {public} by now", name.unwrap_or_default());
    }
    found.iter().any(|pair| new(&pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], private: &str, before: Option<&str>, expected: Option<&str>) {
        let read = |text: &str| text.parse::<IpAddr>().unwrap();
        let found: Vec<_> = found.iter().map(|text| read(text)).collect();
        assert_eq!(choose(&found, read(private), before.map(read)), expected.map(read), "{found:?}");
    }

    #[test]
    fn of_several_addresses_one_is_kept_while_it_is_there() {
        check(&["203.0.113.9", "203.0.113.5"], "192.0.2.5", None, Some("203.0.113.5"));
        check(&["203.0.113.9", "203.0.113.5"], "192.0.2.5", Some("203.0.113.9"), Some("203.0.113.9"));
        check(&["203.0.113.9"], "192.0.2.5", Some("203.0.113.5"), Some("203.0.113.9"));
        check(&["2001:db8::1", "::ffff:203.0.113.9"], "192.0.2.5", None, Some("203.0.113.9"));
        check(&["2001:db8::1", "203.0.113.9"], "fd00::5", None, Some("2001:db8::1"));
        check(&["0.0.0.0", "127.0.0.1", "224.0.0.1", "2001:db8::1"], "192.0.2.5", None, None);
        check(&[], "192.0.2.5", Some("203.0.113.5"), None);
    }
}
