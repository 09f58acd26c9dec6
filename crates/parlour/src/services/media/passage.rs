//! From what SIP knows of a message to what the relay wants to know.

use ::media::relay::{Branch, End, Kind, Message};
use ::sip::proxy::media::{End as SipEnd, Fork, Kind as SipKind, Passage};

pub(super) fn message(passage: Passage) -> Message {
    let Passage { call, fork, by, to, kind, seat, body } = passage;
    let branch = fork.map(|(fork, index)| branch(fork, index));
    let kind = match kind {
        SipKind::Request => Kind::Request,
        SipKind::Response => Kind::Response,
        SipKind::Answer => Kind::Answer,
    };
    Message { call, branch, by: end(by), to: end(to), kind, seat, body }
}

pub(super) fn branch(Fork { worker, request }: Fork, index: u32) -> Branch {
    Branch { worker, request, index }
}

fn end(SipEnd { tag, source, local }: SipEnd) -> End {
    End { tag, source, local }
}
