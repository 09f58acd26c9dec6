//! Stream management as a client speaks it (XEP-0198): enabling it, counting, asking, acknowledging, resuming.
//!
//! What was sent and not acknowledged is kept by the caller ([`super::Unacknowledged`]): it outlives the stream.

use super::stage::{Bind, Next, Resuming, Stage};
use super::{Common, Context, Output, StreamCondition, StreamError};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Element, Fragment};
use wire::Address;

/// Octets of a stream's name: nobody guesses 120 bits.
pub(super) const NAME: usize = super::UNGUESSABLE;

/// Asks the client how much it has handled.
pub const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// Tells the client how much of it was handled.
pub fn acknowledgement(handled: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

/// The refusal of `<enable/>` or `<resume/>`.
pub(super) fn failed(condition: Condition) -> Element {
    let error = StanzaError::from(condition).element();
    Element::new("failed", ns::STREAM_MANAGEMENT).children_from(error.children().next().cloned())
}

/// A client that has signed in and not bound a resource yet wants its earlier stream back, or is too early.
pub(super) fn early(stage: Bind, element: &Fragment<'_>, out: &mut Vec<Output>) -> Next {
    if element.name() != "resume" {
        out.push(Output::write(&failed(Condition::UnexpectedRequest).to_xml(ns::CLIENT)));
        return Ok(Stage::Bind(stage));
    }
    match wish(&element.element()?) {
        Some(wish) => {
            let address = stage.0;
            out.push(Output::Resume { previous: wish.previous, handled: wish.handled });
            Ok(Stage::Resuming(Resuming { address, welcome: None }))
        }
        None => {
            out.push(Output::write(&failed(Condition::BadRequest).to_xml(ns::CLIENT)));
            Ok(Stage::Bind(stage))
        }
    }
}

/// Which stream is to go on, and how much of it the client has handled.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) previous: Box<str>,
    pub(super) handled: u32,
}

/// Reads `<resume/>`.
pub(super) fn wish(resume: &Element) -> Option<Wish> {
    let previous = resume.get("previd").filter(|name| !name.is_empty())?;
    Some(Wish { previous: previous.into(), handled: resume.get("h")?.parse().ok()? })
}

/// `<resumed/>`.
pub(super) fn resumed(previous: &str, handled: u32) -> Element {
    Element::new("resumed", ns::STREAM_MANAGEMENT).attr("previd", previous).attr("h", handled.to_string())
}

/// Turns it on: what the client is told, and the name by which the stream may be resumed.
pub(super) fn enable(
    common: &mut Common,
    enable: &Element,
    context: &mut Context<'_>,
) -> (Element, Option<Box<str>>) {
    common.handled = Some(0);
    let most = context.policy.resume.as_secs();
    let wanted = matches!(enable.get("resume"), Some("true" | "1"));
    let enabled = Element::new("enabled", ns::STREAM_MANAGEMENT);
    if !wanted || most == 0 {
        return (enabled, None);
    }
    let name = context.entropy.token(NAME);
    let enabled = enabled.attr("id", &*name).attr("max", most.to_string()).attr("resume", "true");
    (enabled, Some(name.into()))
}

/// What a session says about the management of its stream.
pub(super) fn element(
    common: &mut Common,
    element: &Fragment<'_>,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Result<(), StreamError> {
    match (element.name(), common.handled) {
        ("enable", None) => {
            let (enabled, name) = enable(common, &element.element()?, context);
            let answer = enabled.to_xml(ns::CLIENT).into_bytes();
            out.push(Output::Managed { answer, name });
        }
        ("enable" | "resume", _) => {
            out.push(Output::write(&failed(Condition::UnexpectedRequest).to_xml(ns::CLIENT)));
        }
        ("r", Some(handled)) => out.push(Output::Asked(handled)),
        ("a", Some(_)) => match element.element()?.get("h").and_then(|h| h.parse().ok()) {
            Some(handled) => out.push(Output::Acknowledged(handled)),
            None => return Err(StreamError::from(StreamCondition::InvalidXml).saying("how many?")),
        },
        // Who has not enabled it may not know that it asks for nothing.
        ("r" | "a", None) => {}
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    Ok(())
}

/// The client has acknowledged more than it was sent (XEP-0198 §6).
pub fn too_high(handled: u32, sent: u32) -> StreamError {
    let detail = Element::new("handled-count-too-high", ns::STREAM_MANAGEMENT)
        .attr("h", handled.to_string())
        .attr("send-count", sent.to_string());
    StreamError { detail: Some(Box::new(detail)), ..StreamCondition::UndefinedCondition.into() }
}

/// Whose stream went on is somebody else than who asks.
pub(super) fn is_theirs(jid: &crate::Jid, address: &Address) -> bool {
    jid.address() == Some(address)
}
