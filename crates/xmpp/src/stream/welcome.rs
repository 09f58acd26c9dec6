//! What follows a sign-in by XEP-0388 where the account lives: an earlier stream goes on, or a resource is bound, or
//! nothing of that; then the client is told all at once, and no stream begins anew.

use super::request::{Agent, Bind as Begin, Request};
use super::stage::{Active, Bind, Binding, Next, Resuming, Stage};
use super::{Common, Context, Output, StreamCondition, bind, management, sign_in};
use crate::jid::Jid;
use crate::ns;
use crate::sasl::scram::{Algorithm, Sha256};
use crate::sasl::token::{self, Holder, Issued, Tokens};
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
    data: Option<Vec<u8>>,
    request: Request,
    /// What is kept of the client's tokens, where that is known.
    tokens: Option<Tokens>,
    /// What came of its wishes so far.
    said: Vec<Element>,
}

impl Welcome {
    pub(super) fn new(address: Address, data: Option<Vec<u8>>, request: Request) -> Self {
        Self { address, data, request, tokens: None, said: Vec::new() }
    }

    /// The client has signed in by a token: what is to be kept from now on.
    pub(super) fn by_token(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// The connection is where the account lives: tokens come first, of which the client must have heard whatever
    /// follows.
    pub(super) fn begin(self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        match (&self.tokens, self.holder()) {
            (Some(_), Some(_)) => self.renew(context, out),
            (None, Some(holder)) if self.request.token.is_some() => {
                out.push(Output::LoadTokens(holder));
                Stage::Tokens(Box::new(self))
            }
            _ => self.resume(context, out),
        }
    }

    fn holder(&self) -> Option<Holder> {
        let client = self.request.installation()?.into();
        Some(Holder { account: self.address.clone(), client })
    }

    /// What is kept of the client's tokens so far.
    pub(super) fn loaded(
        mut self,
        tokens: Option<&Tokens>,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Stage {
        // Where the store does not answer, there is no token this time.
        let Some(tokens) = tokens else { return self.resume(context, out) };
        self.tokens = Some(tokens.clone());
        self.renew(context, out)
    }

    /// Gives the client another token, where it wants one or has to, and takes away what it does not want any more
    /// (XEP-0484 §5).
    fn renew(mut self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        let account = context.directory.get(&self.address);
        let (Some(mut tokens), Some(holder), Some(account)) = (self.tokens.take(), self.holder(), account)
        else {
            return self.resume(context, out);
        };
        let due = self.request.fast && token::is_due(&tokens, context.unix) && !self.request.invalidate;
        let own = tokens.current.as_ref().map(|current| current.hashed).filter(|_| due);
        if self.request.invalidate {
            (tokens.current, tokens.new) = (None, None);
        }
        if let Some(hashed) = self.request.token.or(own) {
            let issued = Issued::new(hashed, context.entropy.token(crate::stream::UNGUESSABLE), context.unix);
            let expiry = crate::xep::delay::date(issued.expires);
            let token = token::issue(&mut tokens, issued, &holder, &account.keys, &context.policy.secret);
            self.said.push(Element::new("token", ns::FAST).attr("token", token).attr("expiry", expiry));
        }
        tokens.name = self.request.agent.name().into();
        let spent = tokens.is_spent(context.unix);
        out.push(Output::KeepTokens(holder, (!spent).then_some(tokens)));
        Stage::Tokens(Box::new(self))
    }

    /// Whether tokens are kept as they should be. One that is not kept is none.
    pub(super) fn kept(mut self, kept: bool, context: &mut Context<'_>, out: &mut Vec<Output>) -> Next {
        if !kept && self.request.invalidate {
            return Err(StreamCondition::InternalServerError.into());
        }
        self.said.retain(|said| kept || !said.is("token", ns::FAST));
        Ok(self.resume(context, out))
    }

    /// An earlier stream comes before a new session (XEP-0198 §9.2).
    fn resume(mut self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
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
