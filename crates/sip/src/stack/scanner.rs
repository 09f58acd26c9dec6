//! Programs that look for telephone systems to break into and say so: they hear nothing, and so find nothing here.

use super::{Output, Stack};
use crate::message::{HeaderName, Message};
use crate::transport::Arrival;
use wire::Flow;

/// How the User-Agents of such programs begin, in whatever letters.
const NAMES: [&str; 10] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sundayddr",
    "sivus",
    "vaxsipuseragent",
    "pplsip",
];

/// Whether a message is a request of such a program.
pub(super) fn is(message: &Message<'_>) -> bool {
    message.is_request() && message.header(HeaderName::UserAgent).is_some_and(is_name)
}

fn is_name(agent: &[u8]) -> bool {
    let begins =
        |name: &str| agent.get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()));
    NAMES.into_iter().any(begins)
}

impl Stack {
    /// A scanner's request: it is counted, its stream is closed.
    pub(super) fn pass_over(&mut self, arrival: &Arrival) {
        self.scanned += 1;
        if let Flow::Stream(conn) = arrival.flow {
            self.out.push_back(Output::Close { conn });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_are_known_by_their_names() {
        for (agent, expected) in [
            (&b"friendly-scanner"[..], true),
            (b"SIPVicious/0.3", true),
            (b"VaxSIPUserAgent/3.1", true),
            (b"pplsip", true),
            (b"sipcli/v1.8", true),
            (b"baresip v3.9.0 (x86_64/linux)", false),
            (b"Yealink SIP-T46S 66.84.0.15", false),
            (b"LinphoneiOS/5.0 (iPhone) LinphoneSDK/5.2", false),
            (b"", false),
        ] {
            assert_eq!(is_name(agent), expected, "{}", String::from_utf8_lossy(agent));
        }
    }
}
