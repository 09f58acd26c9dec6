//! Which of the bound listeners answer for one another in NAT behaviour discovery (RFC 5780).

use crate::config::plan::Service;
use crate::marks;
use net::Bound;
use turn::discovery::{Corner, Rectangle};
use wire::Transport;

/// The rectangles among TURN's datagram listeners.
pub(super) fn rectangles(bound: &[Bound]) -> Vec<Rectangle> {
    let ours =
        bound.iter().filter(|one| one.transport == Transport::Udp && marks::owner(one.tag) == Service::Turn);
    let corners: Vec<_> =
        ours.filter_map(|one| Some(Corner { socket: one.socket?, address: one.address })).collect();
    Rectangle::among(&corners)
}
