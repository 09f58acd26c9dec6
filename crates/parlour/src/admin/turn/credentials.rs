//! `parlour turn credentials`: a time-limited credential in the form that WebRTC takes (RTCIceServer).

use crate::admin::answers::turn::TurnCredentials;
use crate::admin::arguments::Arguments;
use crate::admin::backend::Backend;
use crate::admin::command::{Reply, reply};
use crate::admin::failure::Failure;
use crate::config::plan::{Listener, Plan};
use crate::config::{covers, length_of_time};
use crate::dns::site::reached_at;
use crate::secret;
use crate::services::turn::HOUSE_SECRET;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use turn::credentials::temporary::{Issued, issue};
use wire::{Address, Secret};

/// How long a credential is good for unless it is said.
const USUAL: &str = "1h";
/// The longest; it cannot be taken back before.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

pub(in crate::admin) fn run<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let user = arguments.address("address", &house.accounts().directory())?;
        let text = arguments.text("ttl").unwrap_or(USUAL);
        let ttl = length_of_time(text, Duration::from_secs(1)..=LONGEST)
            .map_err(|wrong| Failure::usage(format!("--ttl: {wrong}")))?;
        let plan = house.plan();
        let urls = urls(&plan);
        if urls.is_empty() {
            return Err(Failure::failed(
                "no listener of turn.udp, turn.tcp or turn.tls can be named to others",
            ));
        }
        let Issued { username, credential } = for_user(&plan, &user, ttl)?;
        reply(&TurnCredentials { urls, username, credential })
    })
}

/// A credential for an account, by the first of the configured secrets, or by the house's own.
pub(crate) fn for_user(plan: &Plan, user: &Address, ttl: Duration) -> Result<Issued, Failure> {
    let own = || -> Result<Secret, Failure> {
        let secret = secret::load(plan).map_err(|error| Failure::failed(format!("{error:#}")))?;
        Ok(Secret::new(secret::key(&secret, HOUSE_SECRET)))
    };
    let secret = plan.turn.secrets.first().cloned().map_or_else(own, Ok)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(issue(secret.expose(), (now + ttl).as_secs(), user.as_str()))
}

/// Where clients reach the listeners, as browsers want it (RFC 7065). DTLS is left out: none of them speaks it.
fn urls(plan: &Plan) -> Vec<String> {
    let turn = &plan.turn;
    let plain = |listeners: &[Listener], transport: &str| {
        each(plan, listeners, |at| format!("turn:{at}?transport={transport}"))
    };
    let mut urls = [plain(&turn.udp, "udp"), plain(&turn.tcp, "tcp"), secure(plan)].concat();
    let mut seen = std::collections::BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}

fn each(plan: &Plan, listeners: &[Listener], write: impl Fn(SocketAddr) -> String) -> Vec<String> {
    let named = listeners.iter().filter(|listener| listener.port != 0);
    let places = named.flat_map(|at| reached_at(plan, at).into_iter().map(|ip| SocketAddr::new(ip, at.port)));
    places.map(write).collect()
}

/// Those inside TLS: by a name that the certificate is for, by the address only where it is for that.
fn secure(plan: &Plan) -> Vec<String> {
    let names = plan.tls.as_ref().map_or(&[][..], |tls| &tls.names);
    let domains = plan.domains.iter().map(|domain| domain.name.as_str());
    let hosts = domains.flat_map(|domain| [format!("turn.{domain}"), domain.to_owned()]);
    let host = hosts.into_iter().find(|host| covers(names, host));
    each(plan, &plan.turn.tls, |at| {
        let has_address = names.contains(&at.ip().to_string());
        let place = match &host {
            Some(host) if !has_address => format!("{host}:{}", at.port()),
            _ => bracketed(at.ip(), at.port()),
        };
        format!("turns:{place}?transport=tcp")
    })
}

fn bracketed(ip: IpAddr, port: u16) -> String {
    SocketAddr::new(ip, port).to_string()
}
