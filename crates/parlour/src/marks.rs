//! Whose a socket or a connection is: the marks that net carries and only the product reads.

use crate::config::plan::Service;
use net::Tag;

/// The mark of what a service owns. `role` is the service's own word for what it is (below 2^24).
pub const fn tag(service: Service, role: u32) -> Tag {
    Tag((service as u32) << 24 | role)
}

/// Whose mark this is.
pub const fn owner(tag: Tag) -> Service {
    match tag.0 >> 24 {
        0 => Service::Turn,
        1 => Service::Sip,
        2 => Service::Xmpp,
        3 => Service::Media,
        _ => Service::Web,
    }
}

/// What the service called it.
pub const fn role(tag: Tag) -> u32 {
    tag.0 & 0x00ff_ffff
}

/// The role of every listener: what a service binds or connects by itself has a role of its own, from 1 on.
pub const LISTENER: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_leads_back_to_its_owner() {
        for service in [Service::Turn, Service::Sip, Service::Xmpp, Service::Media, Service::Web] {
            assert_eq!((owner(tag(service, 77)), role(tag(service, 77))), (service, 77));
        }
    }
}
