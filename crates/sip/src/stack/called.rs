//! By which name whoever comes by TLS reaches us. It expects a certificate for that name (RFC 5922 §7.2), also where our Service-Route
//! or Record-Route sends it; one for our address is rare.

use super::Stack;
use crate::message::{HeaderName, Message, NameAddr};
use crate::transport::{Arrival, default_port};
use crate::uri::{SipUri, Uri};
use wire::{Flow, Transport};

impl Stack {
    /// Our name as the sender of a request has written it, with the port where it has written one. `None` where it is not sure that
    /// this name has led it here: the handshake has to have asked for it, too.
    pub(crate) fn called(&self, request: &Message<'_>, arrival: &Arrival) -> Option<String> {
        let Flow::Stream(conn) = arrival.flow else { return None };
        if arrival.transport != Transport::Tls {
            return None;
        }
        let asked = self.handed_name.as_deref().or_else(|| self.connections.asked(conn))?;
        match request.list(HeaderName::Route).next() {
            Some(route) => {
                let route = NameAddr::parse(route).ok()?;
                let uri = Uri::parse(route.uri_bytes()).ok()?;
                self.named_so(uri.sip()?, asked, arrival)
            }
            None => self.named_so(request.uri()?.sip()?, asked, arrival),
        }
    }

    fn named_so(&self, uri: &SipUri<'_>, asked: &str, arrival: &Arrival) -> Option<String> {
        let is_asked = uri.host.name()?.eq_ignore_ascii_case(asked.as_bytes());
        if !is_asked || !self.place().is_us(uri, arrival) {
            return None;
        }
        match uri.port {
            Some(port) => self.config.listeners.has_port(port).then(|| format!("{asked}:{port}")),
            // The URI of a call may leave out a port that the phone's settings name.
            None => (arrival.local.port() == default_port(arrival.transport)).then(|| asked.to_owned()),
        }
    }
}
