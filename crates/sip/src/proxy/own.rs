//! What we send to ourselves, because a contact is an address of ours: it was let through when it came first, and the
//! credentials for that have stayed here. Our Via says so, for this request to this target alone.

use crate::message::Message;
use crate::stack::Stack;
use crate::transport::Hop;

/// The parameter of our Via.
const PARAM: &str = "own";

impl Stack {
    /// The parameter that our Via gets on the way to ourselves; empty on every other. `uri` is the Request-URI as it leaves.
    pub(super) fn vouch(&self, hop: &Hop, request: &Message<'_>, uri: &[u8]) -> String {
        match self.leads_to_us(hop) {
            true => format!(";{PARAM}={:016x}", self.voucher(request, uri)),
            false => String::new(),
        }
    }

    /// Whether a way leads to this server itself.
    pub(super) fn leads_to_us(&self, hop: &Hop) -> bool {
        let Hop::Address { transport, to, .. } = hop else { return false };
        self.config.listeners.is_us(to.ip(), Some(to.port()), *transport)
    }

    /// Whether we have sent this request to ourselves. Whoever sees the Via later, further on its way, learns how to ask the
    /// same of the same target once more, which that one can do anyway.
    pub(crate) fn is_vouched(&self, request: &Message<'_>) -> bool {
        let Some(said) = request.via().params().get(PARAM) else { return false };
        let voucher = self.voucher(request, request.uri_bytes().unwrap_or_default());
        format!("{voucher:016x}").as_bytes() == said
    }

    fn voucher(&self, request: &Message<'_>, uri: &[u8]) -> u64 {
        let number = request.cseq().number.to_be_bytes();
        let method = request.method();
        let parts: [&[u8]; 5] =
            [method.as_bytes(), uri, request.from().as_bytes(), request.call_id(), &number];
        self.seal.hash("own", parts)
    }
}
