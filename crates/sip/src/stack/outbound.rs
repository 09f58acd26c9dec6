//! What a REGISTER and its answer say about flows (RFC 5626) and about the way back to us (RFC 3608).

use super::Stack;
use crate::message::{Contact, HeaderName, Message, NameAddr, Reply};
use crate::transport::Arrival;
use crate::uri::Uri;
use std::time::Duration;

/// How often phones are to show over UDP that their flow lives: less than the half minute that NATs remember.
const DATAGRAMS: Duration = Duration::from_secs(29);

/// The same over streams.
const STREAMS: Duration = Duration::from_secs(120);

/// Whether a REGISTER asks for a flow: a Contact with `+sip.instance` and `reg-id`, and the option tag.
pub(super) fn asked(request: &Message<'_>) -> bool {
    let is_flow =
        |contact: &NameAddr<'_>| contact.params().has("reg-id") && contact.params().has("+sip.instance");
    let mut contacts = request.contacts().flatten();
    supports(request, "outbound")
        && contacts.any(|contact| matches!(contact, Contact::At(contact) if is_flow(&contact)))
}

/// Whether a phone says that it knows an extension.
pub(super) fn supports(request: &Message<'_>, tag: &str) -> bool {
    let is = |known: &[u8]| known.eq_ignore_ascii_case(tag.as_bytes());
    request.list(HeaderName::Supported).chain(request.list(HeaderName::Require)).any(is)
}

/// Whether the phone's flow ends here, or at a proxy that keeps it: the one that was there first, whose Path is the last
/// (RFC 5626 §6).
pub(super) fn first_hop_knows(request: &Message<'_>) -> bool {
    let knows = |path: &[u8]| {
        let uri = NameAddr::parse(path).ok().map(|path| Uri::parse(path.uri_bytes()));
        matches!(uri, Some(Ok(Uri::Sip(uri))) if uri.params.has("ob"))
    };
    request.vias().count() == 1 || request.list(HeaderName::Path).last().is_some_and(knows)
}

impl Stack {
    /// What the 200 says about the phone's flow and its way to us.
    pub(super) fn outbound_headers(&self, reply: &mut Reply<'_>, arrival: &Arrival, request: &Message<'_>) {
        if asked(request) {
            let longest = if arrival.transport.is_stream() { STREAMS } else { DATAGRAMS };
            let timer = longest.min(self.config.limits.idle / 2).as_secs().max(1);
            reply.header("Require", "outbound").header("Flow-Timer", timer.to_string());
        }
        if supports(request, "path")
            && let Some(listener) = self.config.listeners.by_local(arrival.transport, arrival.local)
        {
            let called = self.called(request, arrival);
            let host =
                called.unwrap_or_else(|| self.config.listeners.sent_by(listener, Some(arrival.local.ip())));
            let param = crate::proxy::transport_param(arrival.transport);
            reply.header("Service-Route", format!("<sip:{host}{param};lr>"));
        }
    }
}
