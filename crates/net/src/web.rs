//! WebSockets as a server has them (RFC 6455): a stream that begins as an HTTP request becomes messages, each handed to the
//! handler whole. What is spoken on one is for the handler to say. Left out: extensions (none is agreed to), and being a
//! client.

mod frames;
mod request;
mod session;

use crate::Tag;

pub(crate) use frames::{Fault, Item, Opcode, Reader};
pub(crate) use request::{Answer, Asked};
pub use request::{Subprotocol, Unwanted, WebRequest};
pub(crate) use session::{Beat, Session};

/// What was agreed on when a WebSocket was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebFacts {
    /// The subprotocol.
    pub protocol: &'static str,
    /// What was asked for: path and query.
    pub target: String,
    /// The page whose script asked, where a browser did (RFC 6454).
    pub origin: Option<String>,
}

/// Whether streams of a listener may be WebSockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admits {
    /// None is.
    #[default]
    Never,
    /// Those that begin as an HTTP request.
    Also,
    /// Nothing else comes in here.
    Only,
}

/// What may come of a stream besides that its listener's handler sees it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prospects {
    pub(crate) web: Admits,
    /// Whose other HTTP requests are.
    pub(crate) requests: Option<Tag>,
    /// Several services share its listener.
    pub(crate) shared: bool,
}

impl Prospects {
    /// Whether its first octets have to be looked at.
    pub(crate) fn are_open(self) -> bool {
        self.shared || self.takes_http()
    }

    /// Whether it may be HTTP.
    pub(crate) fn takes_http(self) -> bool {
        self.web != Admits::Never || self.requests.is_some()
    }

    /// Whether a stream that begins with `bytes` is HTTP; `None`: that cannot be said yet.
    pub(crate) fn is_http(self, bytes: &[u8]) -> Option<bool> {
        match self.requests {
            _ if !self.takes_http() => Some(false),
            Some(_) => begins_as_request(bytes),
            None => begins_with(bytes, START),
        }
    }
}

/// What a request for a WebSocket begins with (RFC 6455 §4.1).
pub(crate) const START: &[u8] = b"GET ";

/// What other requests begin with (RFC 9110 §9, RFC 5789), HTTP/2's preface (RFC 9113 §3.4) too.
const METHODS: [&[u8]; 10] =
    [START, b"POST ", b"HEAD ", b"OPTIONS ", b"PUT ", b"DELETE ", b"PATCH ", b"TRACE ", b"CONNECT ", b"PRI "];

/// Whether `bytes` begin as any request. A target is a path, `*` or begins with `http` (RFC 9112 §3.2): SIP has methods of the
/// same names, and others. CONNECT's, which names a host, is taken whatever it is: SIP has none such.
fn begins_as_request(bytes: &[u8]) -> Option<bool> {
    let mut known = METHODS.iter().map(|method| (method, begins_with(bytes, method)));
    let (method, _) = known.find(|(_, begins)| *begins != Some(false)).unzip();
    let Some(method) = method else { return Some(false) };
    let target = bytes.get(method.len())?;
    Some(*method == b"CONNECT " || matches!(target, b'/' | b'*' | b'h' | b'H'))
}

fn begins_with(bytes: &[u8], start: &[u8]) -> Option<bool> {
    let length = bytes.len().min(start.len());
    match bytes[..length] == start[..length] {
        true if length < start.len() => None,
        same => Some(same),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_octets_tell() {
        let web = Prospects { web: Admits::Also, ..Prospects::default() };
        let check = |bytes: &[u8], expected| assert_eq!(web.is_http(bytes), expected, "{bytes:?}");
        check(b"", None);
        check(b"GET", None);
        check(b"GET / HTTP/1.1", Some(true));
        check(b"GETS", Some(false));
        check(b"R", Some(false));
        check(b"<open", Some(false));
        check(b"POST / HTTP/1.1", Some(false));
        assert!(web.are_open() && !Prospects::default().are_open());
    }

    #[test]
    fn requests_of_all_kinds_and_what_sip_says() {
        let all = Prospects { requests: Some(Tag(1)), ..Prospects::default() };
        let check = |bytes: &[u8], expected| assert_eq!(all.is_http(bytes), expected, "{bytes:?}");
        for method in METHODS {
            for length in 0..=method.len() {
                check(&method[..length], None);
            }
            check(&[method, b"/"].concat(), Some(true));
        }
        check(b"PRI * HTTP/2.0\r\n", Some(true));
        check(b"OPTIONS * HTTP/1.1", Some(true));
        check(b"GET http://falcot.com/ HTTP/1.1", Some(true));
        check(b"OPTIONS sip:falcot.com SIP/2.0", Some(false));
        check(b"PUBLISH sip:", Some(false));
        check(b"PRACK sip:", Some(false));
        check(b"P", None);
        check(b"REGISTER ", Some(false));
        check(b"\r\n\r\n", Some(false));
        check(b"\0\x01", Some(false));
    }
}
