//! Binding for NAT behaviour discovery (RFC 5780 §6.1), where the listeners make a rectangle.

use crate::discovery::Place;
use crate::{Client, Refusal, Server};
use std::net::SocketAddr;
use std::time::Instant;
use stun::attribute::{
    ChangeRequest, MappedAddress, OtherAddress, Padding, ResponseOrigin, ResponsePort, XorMappedAddress,
};
use stun::{Kind, Message};
use wire::Flow;

/// The longest PADDING: what most interfaces take in one packet (§7.6), so that a padded answer is sent in fragments.
const MTU: usize = 1500;

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    change: ChangeRequest,
    port: Option<u16>,
    padding: bool,
}

impl Server {
    /// Answers a Binding request from the address and to the port that it asks for.
    pub(super) fn discover(&mut self, now: Instant, client: Client, request: &Message<'_>, place: Place) {
        let exchange = self.exchange(client, request);
        let buffer = self.buffer();
        let wish = match wish(request) {
            Ok(wish) => wish,
            Err(refusal) => return self.refuse(now, &exchange, &refusal, ""),
        };
        let (origin, other) = (place.origin(wish.change), place.other().address);
        let public = |at: SocketAddr| SocketAddr::new(self.config.relays.advertised(at.ip()), at.port());
        let bytes = exchange.success(buffer, |writer| {
            let writer = writer
                .with(&XorMappedAddress(client.peer))
                .with(&MappedAddress(client.peer))
                .with(&ResponseOrigin(public(origin.address)))
                .with(&OtherAddress(public(other)));
            if wish.padding { writer.with(&Padding(padding(request, client.peer))) } else { writer }
        });
        let peer = SocketAddr::new(client.peer.ip(), wish.port.unwrap_or(client.peer.port()));
        let flow = Flow::Datagram { socket: origin.socket, local: origin.address.ip(), peer };
        self.answer_stranger(now, &exchange, flow, bytes);
    }
}

/// What must be understood is (420), and each attribute keeps its rules; PADDING and RESPONSE-PORT exclude one another
/// (400, §6.1), and nobody is reached at port 0.
fn wish(request: &Message<'_>) -> Result<Wish, Refusal> {
    let unknown: Vec<Kind> = request.unknown(is_known).collect();
    if !unknown.is_empty() {
        return Err(Refusal::UnknownAttributes(unknown));
    }
    let change = request.get::<ChangeRequest>()?.unwrap_or_default();
    let port = request.get::<ResponsePort>()?.map(|ResponsePort(port)| port);
    let padding = request.get::<Padding>()?.is_some();
    if port == Some(0) || port.is_some() && padding {
        return Err(Refusal::BadRequest);
    }
    Ok(Wish { change, port, padding })
}

/// How much padding makes the answer twice as long as its request at most: anybody may have sent it in anybody's name.
fn padding(request: &Message<'_>, peer: SocketAddr) -> usize {
    let address = if peer.is_ipv4() { 12 } else { 24 };
    // Header, four addresses, the header of PADDING, FINGERPRINT.
    let rest = 20 + 4 * address + 4 + 8;
    MTU.min((2 * request.bytes().len()).saturating_sub(rest)) / 4 * 4
}

fn is_known(kind: Kind) -> bool {
    super::binding::is_credential(kind)
        || matches!(kind, Kind::CHANGE_REQUEST | Kind::RESPONSE_PORT | Kind::PADDING)
}
