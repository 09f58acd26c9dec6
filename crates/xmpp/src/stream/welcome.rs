//! What follows a sign-in by XEP-0388 where the account lives: an earlier stream goes on, or a resource is bound, or
//! nothing of that; then the client is told all at once, and no stream begins anew.

use super::request::{Agent, Bind as Begin, Request};
use super::stage::{Active, Bind, Binding, Resuming, Stage};
use super::{Common, Context, Output, bind, management, sign_in};
use crate::jid::Jid;
use crate::ns;
use crate::sasl::scram::{Algorithm, Sha256};
use crate::stanza::Condition;
use crate::xml::Element;
use wire::{Address, Secret};

/// Octets of a resource that the server makes, without the client's own beginning.
const RESOURCE: usize = 12;

/// What is to be said to a client that has signed in.
#[derive(Debug)]
pub(super) struct Welcome {
    address: Address,
    /// The mechanism's last word.
    data: Option<String>,
    request: Request,
    /// What came of its wishes so far.
    said: Vec<Element>,
}

impl Welcome {
    pub(super) fn new(address: Address, data: Option<String>, request: Request) -> Self {
        Self { address, data, request, said: Vec::new() }
    }

    /// The connection is where the account lives: an earlier stream comes first (XEP-0198 §9.2).
    pub(super) fn begin(mut self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        let Some(wish) = self.request.resume.take() else { return self.bind(context, out) };
        out.push(Output::Resume { previous: wish.previous, handled: wish.handled });
        let address = self.address.clone();
        Stage::Resuming(Resuming { address, welcome: Some(Box::new(self)) })
    }

    fn bind(self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        let Some(begin) = &self.request.bind else { return self.unbound(context, out) };
        let resource = resource(begin, &self.request.agent, &self.address, context);
        // What no resource may be called is left out.
        let resource = Jid::from(self.address.clone()).with_resource(&resource).ok();
        out.push(Output::Bind(resource.and_then(|jid| jid.resource().map(Into::into))));
        Stage::Binding(Binding::Welcomed(Box::new(self)))
    }

    /// Nobody wants a resource yet.
    fn unbound(self, context: &Context<'_>, out: &mut Vec<Output>) -> Stage {
        let mut said = self.success(&self.address.to_string());
        bind::write_features(context.policy, &mut said);
        out.push(Output::Write(said.into_bytes()));
        Stage::Bind(Bind(self.address))
    }

    /// The earlier stream goes on: no features follow.
    pub(super) fn resumed(
        mut self,
        jid: Jid,
        name: &str,
        common: &mut Common,
        handled: u32,
        out: &mut Vec<Output>,
    ) -> Stage {
        self.said.push(management::resumed(name, handled));
        common.handled = Some(handled);
        out.push(Output::Attached { answer: self.success(&jid.to_string()).into_bytes() });
        Stage::Active(Active(jid))
    }

    /// There is no such stream: a new session may begin.
    pub(super) fn not_resumed(mut self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        self.said.push(management::failed(Condition::ItemNotFound));
        self.bind(context, out)
    }

    /// The session has begun (XEP-0386 §5.2).
    pub(super) fn bound(
        mut self,
        jid: Jid,
        common: &mut Common,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Stage {
        let begin = self.request.bind.take().unwrap_or_default();
        let mut bound = Element::new("bound", ns::BIND2);
        let mut name = None;
        if let Some(wanted) = &begin.management {
            let (enabled, resumable) = management::enable(common, wanted, context);
            bound.push(enabled);
            name = Some(resumable);
        }
        self.said.push(bound);
        let mut said = self.success(&jid.to_string());
        said.push_str("<stream:features>");
        said.push_str(bind::SESSION_FEATURES);
        said.push_str(&context.policy.features);
        said.push_str("</stream:features>");
        out.push(match name {
            Some(name) => Output::Managed { answer: said.into_bytes(), name },
            None => Output::Write(said.into_bytes()),
        });
        out.extend(begin.carbons.then_some(Output::Carbons));
        out.extend(begin.inactive.then_some(Output::Active(false)));
        Stage::Active(Active(jid))
    }

    /// No resource could be had: the client may ask for another.
    pub(super) fn not_bound(self, context: &Context<'_>, out: &mut Vec<Output>) -> Stage {
        self.unbound(context, out)
    }

    /// `<success/>`, with what came of all wishes.
    fn success(&self, identity: &str) -> String {
        let mut success = Element::new("success", ns::SASL2);
        if let Some(data) = &self.data {
            success.push(Element::new("additional-data", ns::SASL2).text(sign_in::encoded(data)));
        }
        success.push(Element::new("authorization-identifier", ns::SASL2).text(identity));
        success.children_from(self.said.iter().cloned()).to_xml(ns::CLIENT)
    }
}

/// The resource of a new session: the client's own beginning, and an end that is the same whenever this installation
/// comes, so that it takes its own place again, and from which nobody learns its id.
fn resource(begin: &Begin, agent: &Agent, account: &Address, context: &mut Context<'_>) -> String {
    let end = match &agent.id {
        Some(id) => stable(&context.policy.secret, account, id),
        None => context.entropy.token(RESOURCE),
    };
    begin.tag.as_ref().map_or(end.clone(), |tag| format!("{tag}/{end}"))
}

fn stable(secret: &Secret, account: &Address, id: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::hmac(secret.expose(), format!("resource\0{account}\0{id}").as_bytes());
    hash.iter().take(RESOURCE).map(|octet| char::from(ALPHABET[usize::from(octet & 31)])).collect()
}
