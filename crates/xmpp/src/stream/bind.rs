//! The binding of a resource (RFC 6120 §7). Which resources an account may have is the router's to say.

use super::stage::{Active, Bind, Binding, Next, Stage};
use super::{Common, Context, Output, Policy, StreamCondition, StreamError, management};
use crate::jid::{Jid, JidError};
use crate::ns;
use crate::stanza::{Condition, IqType, Refused, Stanza};
use crate::xml::{Element, Fragment};

/// What a session may use on its stream.
pub(super) const SESSION_FEATURES: &str = "<sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>";

pub(super) fn write_features(policy: &Policy, out: &mut String) {
    out.push_str(concat!(
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
        "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
    ));
    out.push_str(SESSION_FEATURES);
    out.push_str(&policy.features);
    out.push_str("</stream:features>");
}

pub(super) fn element(stage: Bind, element: &Fragment<'_>, out: &mut Vec<Output>) -> Next {
    if element.namespace() == ns::STREAM_MANAGEMENT {
        return management::early(stage, element, out);
    }
    let sender = Jid::from(stage.0.clone());
    let request = match Stanza::receive(element, &sender, None) {
        Ok(stanza) => stanza,
        Err(Refused::Error(stanza, error)) => {
            out.extend(stanza.error(error).map(|answer| Output::write(answer.as_str())));
            return Ok(Stage::Bind(stage));
        }
        Err(_) => return Err(early()),
    };
    if request.iq_type() != Some(IqType::Set) || !request.payload_is("bind", ns::BIND) {
        return Err(early());
    }
    match wanted(&request, &sender) {
        Ok(resource) => {
            out.push(Output::Bind(resource));
            Ok(Stage::Binding(Binding::Asked { address: stage.0, request: Box::new(request) }))
        }
        Err(_) => {
            refuse(&request, Condition::BadRequest, out);
            Ok(Stage::Bind(stage))
        }
    }
}

/// Stanzas before a resource is bound (RFC 6120 §7.1).
fn early() -> StreamError {
    StreamError::from(StreamCondition::NotAuthorized).saying("bind a resource first")
}

/// The resource that is asked for, in normal form; `None` where any will do.
fn wanted(request: &Stanza, account: &Jid) -> Result<Option<Box<str>>, JidError> {
    let bind = request.payload_element();
    let resource = bind.as_ref().and_then(|bind| bind.find("resource", ns::BIND)).map(Element::content);
    match resource.filter(|resource| !resource.is_empty()) {
        Some(resource) => Ok(account.with_resource(&resource)?.resource().map(Into::into)),
        None => Ok(None),
    }
}

impl Binding {
    /// The router gave the session its name.
    pub(super) fn bound(
        self,
        jid: Jid,
        common: &mut Common,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Stage {
        let request = match self {
            Self::Asked { request, .. } => request,
            Self::Welcomed(welcome) => return welcome.bound(jid, common, context, out),
        };
        let name = Element::new("jid", ns::BIND).text(jid.to_string());
        let bind = Element::new("bind", ns::BIND).child(name);
        out.push(Output::write(anonymous(&request).child(&bind).build().as_str()));
        Stage::Active(Active(jid))
    }

    /// The router refused; the client may ask for another.
    pub(super) fn refused(self, condition: Condition, context: &Context<'_>, out: &mut Vec<Output>) -> Stage {
        match self {
            Self::Asked { address, request } => {
                refuse(&request, condition, out);
                Stage::Bind(Bind(address))
            }
            Self::Welcomed(welcome) => welcome.not_bound(context, out),
        }
    }
}

/// Nobody is bound yet: the answer names no addresses.
fn anonymous(request: &Stanza) -> crate::stanza::Draft {
    request.answer("result").from(None).to(None)
}

fn refuse(request: &Stanza, condition: Condition, out: &mut Vec<Output>) {
    let answer = request.error(condition).map(|answer| answer.readdressed(None, None));
    out.extend(answer.map(|answer| Output::write(answer.as_str())));
}
