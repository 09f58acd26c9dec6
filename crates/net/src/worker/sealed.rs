//! DTLS as it arrives: datagrams find their session, sessions get on with their handshakes, and messages go to the handler.

use crate::core::{Core, Manner};
use crate::dtls::Entrance;
use crate::dtls::{self, Hello, Next, Path, Session, Stage};
use crate::{Batch, CloseReason, Handler, Net};
use wire::{ConnectionId, SocketId};

/// Takes the DTLS out of a batch; whether anything is left for the handler. What was taken is empty afterwards.
pub(super) fn sift<H: Handler>(
    handler: &mut H,
    core: &mut Core<H::Mail>,
    socket: SocketId,
    entrance: Entrance,
    batch: &mut Batch<'_>,
) -> bool {
    let mut left = false;
    for index in 0..batch.len() {
        let data = batch.data(index);
        if entrance.alone || data.first().is_some_and(|&octet| dtls::begins_with(octet)) {
            let path = Path { socket, local: batch.local(index), peer: batch.peer(index) };
            take(handler, core, entrance, path, data);
            batch.hide(index);
        } else {
            left = true;
        }
    }
    left
}

/// One datagram of DTLS.
fn take<H: Handler>(handler: &mut H, core: &mut Core<H::Mail>, entrance: Entrance, path: Path, data: &[u8]) {
    let known = core.dtls.by_path(&path);
    let is_its_own = |hello: &Hello<'_>| {
        known.and_then(|id| core.dtls.get(id)).is_some_and(|peer| peer.random == hello.random)
    };
    let fresh = Hello::parse(data).filter(|hello| !is_its_own(hello));
    let id = match (fresh, known) {
        (Some(_), _) if entrance.closed || core.leaving.refuses(path.socket) => return,
        (Some(hello), _) => {
            let Some(id) = core.greet(entrance, path, &hello, data) else { return };
            // It has shown that it is the same client: only now the session of before is given up (RFC 6347 §4.2.8).
            if let Some(old) = known {
                core.end_session(old, CloseReason::Peer, Manner::AtOnce);
            }
            id
        }
        (None, Some(id)) => {
            Session::take_in(&mut core.dtls.pipe, data);
            id
        }
        (None, None) => return,
    };
    advance(handler, core, id);
}

fn advance<H: Handler>(handler: &mut H, core: &mut Core<H::Mail>, id: ConnectionId) {
    let Some((peer, pipe, _)) = core.dtls.at_work(id) else { return };
    if peer.stage == Stage::Handshaking {
        let (path, shaken) = (peer.path, peer.session.shake(pipe));
        core.send_sealed(path);
        match shaken {
            Ok(true) => open(handler, core, id),
            Ok(false) => return core.mind_session(id),
            Err(what) => return core.end_session(id, CloseReason::Tls(what), Manner::AtOnce),
        }
    }
    while read(handler, core, id) {}
}

/// A handshake is done.
fn open<H: Handler>(handler: &mut H, core: &mut Core<H::Mail>, id: ConnectionId) {
    let now = core.now;
    let Some((peer, ..)) = core.dtls.at_work(id) else { return };
    peer.stage = Stage::Open { fresh: true };
    peer.half = None;
    (peer.since, peer.heard) = (now, now);
    peer.facts = peer.session.facts().map(Box::new);
    let info = peer.info();
    core.counters.handshakes.add(1);
    core.mind_session(id);
    handler.opened(&mut Net::new(core), id, &info);
}

/// Lets the handler see the next message of a session; whether there may be another.
fn read<H: Handler>(handler: &mut H, core: &mut Core<H::Mail>, id: ConnectionId) -> bool {
    let now = core.now;
    let Some((peer, pipe, room)) = core.dtls.at_work(id) else { return false };
    let Stage::Open { fresh } = peer.stage else { return false };
    let (path, next) = (peer.path, peer.session.next(pipe, room));
    if matches!(next, Next::Message(_)) {
        peer.stage = Stage::Open { fresh: false };
        peer.heard = now;
    }
    // Its last flight once more, where the client has not got it; or an alert.
    core.send_sealed(path);
    match next {
        Next::Message(length) => {
            if fresh {
                core.mind_session(id);
            }
            let room = std::mem::take(&mut core.dtls.room);
            handler.received(&mut Net::new(core), id, &room[..length]);
            core.dtls.room = room;
            return true;
        }
        Next::Nothing => {}
        Next::Closed => core.end_session(id, CloseReason::Peer, Manner::Orderly),
        Next::Broken(what) => core.end_session(id, CloseReason::Tls(what), Manner::AtOnce),
    }
    false
}
