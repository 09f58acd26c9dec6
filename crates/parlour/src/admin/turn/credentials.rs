//! `parlour turn credentials`: a time-limited credential in the form that WebRTC takes (RTCIceServer).

use crate::admin::answers::turn::TurnCredentials;
use crate::admin::arguments::Arguments;
use crate::admin::backend::Backend;
use crate::admin::command::{Reply, reply};
use crate::admin::failure::Failure;
use crate::clock;
use crate::config::length_of_time;
use crate::config::plan::Plan;
use crate::reach::{self, Office, Reached};
use crate::secret;
use serde_json::Value;
use std::time::Duration;
use turn::credentials::temporary::Issued;
use wire::{Address, Secret};

/// How long a credential is good for unless it is said.
const USUAL: &str = "1h";
/// The longest; it cannot be taken back before.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

pub(crate) fn run<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
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
        Ok(Secret::new(secret::key(&secret, reach::HOUSE_SECRET)))
    };
    let secret = plan.turn.secrets.first().cloned().map_or_else(own, Ok)?;
    let now = clock::now();
    Ok(Office(secret).until(user, now + ttl))
}

/// Where clients reach the listeners, as browsers want it. DTLS is left out: none of them speaks it.
fn urls(plan: &Plan) -> Vec<String> {
    let places = reach::turn(plan);
    places.iter().filter(|place| !(place.secure && place.transport == "udp")).map(Reached::url).collect()
}
