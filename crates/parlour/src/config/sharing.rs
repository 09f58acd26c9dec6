//! One port for everything: every service that is on is reached by the listeners for HTTPS too (`web.share`).

use super::listener::Place;
use super::plan::{Listener, SipPlan, TurnPlan, WebPlan, XmppPlan};
use wire::Transport;

/// Adds the listeners of HTTPS to each service that is on, and its datagrams' port to TURN, behind those that it has.
pub(super) fn spread(
    web: &WebPlan,
    places: &[Place<'_>],
    turn: &mut TurnPlan,
    sip: &mut SipPlan,
    xmpp: &mut XmppPlan,
) {
    let is_on = |lists: &[&Vec<Listener>]| lists.iter().any(|list| !list.is_empty());
    let shared: Vec<Listener> = web.https.iter().filter(|one| web.share && one.port != 0).copied().collect();
    // Who has TURN by streams alone wants no port for datagrams.
    let by_datagrams = is_on(&[&turn.udp, &turn.dtls]);
    let (for_turn, for_sip, for_xmpp) = (
        is_on(&[&turn.udp, &turn.tcp, &turn.tls, &turn.dtls]),
        is_on(&[&sip.udp, &sip.tcp, &sip.tls, &sip.ws, &sip.wss]),
        is_on(&[&xmpp.client, &xmpp.client_tls, &xmpp.web]),
    );
    for listener in shared {
        if for_turn {
            add(&mut turn.tls, listener);
            let range = &turn.relay_ports;
            if by_datagrams && !has_datagrams(places, listener) && !range.contains(&listener.port) {
                add(&mut turn.udp, listener);
                add(&mut turn.dtls, listener);
            }
        }
        if for_sip {
            add(&mut sip.tls, listener);
            add(&mut sip.wss, listener);
        }
        if for_xmpp {
            add(&mut xmpp.client_tls, listener);
        }
        if for_xmpp && !xmpp.web.contains(&listener) {
            add(&mut xmpp.wss, listener);
        }
    }
}

/// Whether somebody else's datagrams come in there, or TURN's in another way.
fn has_datagrams(places: &[Place<'_>], listener: Listener) -> bool {
    let takes = |place: &&Place<'_>| matches!(place.transport, Transport::Udp | Transport::Dtls);
    let is_other = |place: &Place<'_>| !place.typed.key.starts_with("turn.") || place.listener != listener;
    places.iter().filter(takes).any(|place| place.listener.clashes(&listener) && is_other(place))
}

fn add(list: &mut Vec<Listener>, listener: Listener) {
    if !list.contains(&listener) {
        list.push(listener);
    }
}
