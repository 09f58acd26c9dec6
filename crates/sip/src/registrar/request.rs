//! What a REGISTER asks for: its Contacts with their lives (RFC 3261 §10.2, §10.3 step 6).

use super::{Rules, binding};
use crate::message::{self, HeaderName, Message, NameAddr, Param, Params};
use crate::proxy::Refusal;
use crate::transport::{Arrival, Hop, is_behind_nat};
use crate::uri::Uri;
use std::time::Duration;

/// Contact parameters that the registrar itself writes into its answer.
const OURS: [&str; 4] = ["q", "expires", "pub-gruu", "temp-gruu"];

/// One Contact of a REGISTER.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Its URI.
    pub uri: &'a [u8],
    /// Its parameters but for `q` and `expires`, each with its semicolon.
    pub params: &'a [u8],
    /// Its preference in thousandths.
    pub q: u16,
    /// Its life; zero removes it.
    pub expires: Duration,
    /// It is reached by the flow of its REGISTER, not at its URI.
    pub by_flow: bool,
}

impl Change<'_> {
    /// `+sip.instance` and `reg-id`, where both are there (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<(&[u8], &[u8])> {
        binding::instance(self.params)
    }

    /// `+sip.instance`, as written.
    pub fn phone(&self) -> Option<&[u8]> {
        Params(self.params).get("+sip.instance")
    }
}

/// All that a REGISTER asks for.
#[derive(Clone, Debug)]
pub enum Changes<'a> {
    /// Nothing: it asks which bindings there are.
    Query,
    /// `Contact: *`
    RemoveAll,
    /// These.
    Each(Vec<Change<'a>>),
}

/// The Contacts, and the bytes of their rewritten parameters, owned by the caller of [`read`] so that changes can borrow
/// them.
pub type Scratch<'a> = Vec<(Result<message::Contact<'a>, message::Fault>, Vec<u8>)>;

/// Reads the Contacts, and collects the parameters that are kept of each. `keeps_flows`: the phone's flow ends here, or at a
/// proxy that keeps it; else a `reg-id` says nothing (RFC 5626 §6).
pub fn scratch<'a>(request: &Message<'a>, keeps_flows: bool) -> Scratch<'a> {
    let is_kept =
        |param: &Param<'_>| !OURS.iter().any(|name| param.is(name)) && (keeps_flows || !param.is("reg-id"));
    let kept = |contact: &NameAddr<'_>| {
        let mut text = Vec::new();
        for param in contact.params().iter().filter(is_kept) {
            text.push(b';');
            text.extend_from_slice(param.name);
            if let Some(value) = param.value {
                text.push(b'=');
                text.extend_from_slice(value);
            }
        }
        text
    };
    request
        .contacts()
        .map(|contact| match &contact {
            Ok(message::Contact::At(address)) => (contact, kept(address)),
            _ => (contact, Vec::new()),
        })
        .collect()
}

/// Reads the Contacts of a REGISTER. `scratch` is what [`scratch`] made of the same request.
pub fn read<'a>(
    request: &Message<'a>,
    scratch: &'a Scratch<'a>,
    rules: &Rules,
    arrival: &Arrival,
) -> Result<Changes<'a>, Refusal> {
    if !request.has(HeaderName::Contact) {
        return Ok(Changes::Query);
    }
    let mut changes = Vec::new();
    let mut all = false;
    for (contact, params) in scratch {
        match contact.as_ref().map_err(|_| Refusal::BadContact)? {
            message::Contact::All => all = true,
            message::Contact::At(address) => {
                changes.push(change((request, arrival), address, params, rules)?)
            }
        }
    }
    match (all, changes.is_empty()) {
        (true, true) if request.expires() == Some(0) => Ok(Changes::RemoveAll),
        (false, false) if has_flows_beside_others(&changes) => {
            Err(Refusal::BadRequest("More Than One Contact With Reg-Id"))
        }
        (false, false) => Ok(Changes::Each(changes)),
        _ => Err(Refusal::BadContact),
    }
}

/// Whether a flow is not the only Contact that is registered: a request comes by one flow (RFC 5626 §6).
fn has_flows_beside_others(changes: &[Change<'_>]) -> bool {
    let mut registered = changes.iter().filter(|change| !change.expires.is_zero());
    registered.clone().nth(1).is_some() && registered.any(|change| change.instance().is_some())
}

fn change<'a>(
    (request, arrival): (&Message<'a>, &Arrival),
    address: &NameAddr<'a>,
    params: &'a [u8],
    rules: &Rules,
) -> Result<Change<'a>, Refusal> {
    let (hop, ob) = match address.uri() {
        Ok(Uri::Sip(uri)) => (Hop::of_uri(&uri), uri.params.has("ob")),
        _ => return Err(Refusal::BadContact),
    };
    let asked = match address.expires().or(request.expires()) {
        Some(seconds) => Duration::from_secs(u64::from(seconds)),
        None => rules.expires,
    };
    if !asked.is_zero() && asked < rules.expires_min {
        return Err(Refusal::IntervalTooBrief(rules.expires_min));
    }
    Ok(Change {
        uri: address.uri_bytes(),
        params,
        q: address.q().unwrap_or(1000),
        expires: asked.min(rules.expires_max),
        by_flow: ob
            || binding::instance(params).is_some()
            || is_behind_nat(request.via(), hop.as_ref(), arrival),
    })
}
