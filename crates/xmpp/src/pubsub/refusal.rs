//! Why a request is refused, as XEP-0060 names it: a condition, what the errors' namespace says of it, and the feature
//! that is missing.

use crate::ns;
use crate::stanza::{Condition, StanzaError};

/// A condition with what XEP-0060 says of it.
fn with(condition: Condition, detail: &'static str) -> StanzaError {
    StanzaError { detail: Some((detail, ns::PUBSUB_ERRORS)), ..condition.into() }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $condition:ident $detail:literal;)*) => {
        $($(#[$doc])* pub(super) fn $name() -> StanzaError { with(Condition::$condition, $detail) })*
    };
}

refusals! {
    /// §7.1.3.5, §8.5.3.3 and others.
    nodeid_required BadRequest "nodeid-required";
    /// §7.1.3.6, §7.2.3.3.
    item_required BadRequest "item-required";
    /// §7.1.3.6.
    payload_required BadRequest "payload-required";
    /// §7.1.3.5.
    invalid_payload BadRequest "invalid-payload";
    /// §7.1.3.4.
    payload_too_big NotAcceptable "payload-too-big";
    /// §12.18.
    max_items_exceeded NotAllowed "max-items-exceeded";
    /// §7.1.5.
    precondition_not_met Conflict "precondition-not-met";
    /// §6.1.3.1.
    invalid_jid BadRequest "invalid-jid";
    /// §6.1.3.2, §6.5.9.5.
    presence_subscription_required NotAuthorized "presence-subscription-required";
    /// §6.1.3.3, §6.5.9.6.
    not_in_roster_group NotAuthorized "not-in-roster-group";
    /// §6.1.3.4, §6.5.9.7.
    closed_node NotAllowed "closed-node";
    /// §6.1.3.7.
    pending_subscription NotAuthorized "pending-subscription";
    /// §6.1.3.9.
    too_many_subscriptions PolicyViolation "too-many-subscriptions";
    /// §6.2.3.2.
    not_subscribed UnexpectedRequest "not-subscribed";
    /// §6.5.9.3.
    items_not_subscribed NotAuthorized "not-subscribed";
    /// §6.2.3.5.
    invalid_subid NotAcceptable "invalid-subid";
    /// §8.1.3 in all but its name: as many as there may be.
    max_nodes_exceeded Conflict "max-nodes-exceeded";
}

/// A feature that is not offered (§6.5.9.4 and others).
pub(super) fn unsupported(feature: &'static str) -> StanzaError {
    StanzaError { feature: Some(feature), ..with(Condition::FeatureNotImplemented, "unsupported") }
}
