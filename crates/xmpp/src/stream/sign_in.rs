//! The SASL stage of a stream: as RFC 6120 §6.4 has it, and in one go with all that follows (XEP-0388).

use super::request::Request;
use super::stage::{Checking, Deriving, Next, Proving, Settling, SignIn, Stage};
use super::welcome::Welcome;
use super::{Common, Context, Output, StreamCondition, StreamError};
use crate::ns;
use crate::sasl::plain::Derived;
use crate::sasl::token::{Hashed, Shown, Tokens};
use crate::sasl::{Exchange, Failure, House, Mechanism, Offer, Step};
use crate::xml::{Element, Fragment};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use wire::Address;

/// In which elements a sign-in is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// RFC 6120 §6.
    Rfc,
    /// XEP-0388.
    OneGo,
}

impl Profile {
    const fn namespace(self) -> &'static str {
        match self {
            Self::Rfc => ns::SASL,
            Self::OneGo => ns::SASL2,
        }
    }

    /// `<failure/>`; its condition is RFC 6120's in either.
    pub(super) fn failure(self, failure: Failure) -> String {
        let condition = Element::new(failure.name(), ns::SASL);
        Element::new("failure", self.namespace()).child(condition).to_xml(ns::CLIENT)
    }

    fn challenge(self, data: &str) -> Vec<u8> {
        Element::new("challenge", self.namespace()).text(encoded(data)).to_xml(ns::CLIENT).into_bytes()
    }
}

/// How a client signs in, and what it wants to follow.
#[derive(Debug)]
pub(super) enum Way {
    /// As RFC 6120 has it: a new stream follows.
    Rfc,
    /// With these wishes.
    OneGo(Box<Request>),
}

impl Way {
    const fn profile(&self) -> Profile {
        match self {
            Self::Rfc => Profile::Rfc,
            Self::OneGo(_) => Profile::OneGo,
        }
    }
}

/// Data of an exchange as it stands in XML.
pub(super) fn encoded(data: impl AsRef<[u8]>) -> String {
    BASE64.encode(data)
}

pub(super) fn write_features(offer: &Offer, out: &mut String) {
    out.push_str("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    write_mechanisms(offer, out);
    out.push_str("</mechanisms><authentication xmlns='urn:xmpp:sasl:2'>");
    write_mechanisms(offer, out);
    out.push_str(concat!(
        "<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>",
        "<feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/><feature var='urn:xmpp:sm:3'/>",
        "</inline></bind><fast xmlns='urn:xmpp:fast:0'>"
    ));
    for hashed in Hashed::ALL.into_iter().filter(|hashed| hashed.data(&offer.channel).is_some()) {
        out.push_str("<mechanism>");
        out.push_str(hashed.name());
        out.push_str("</mechanism>");
    }
    out.push_str("</fast></inline></authentication>");
    if offer.binds() {
        out.push_str("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>");
        for name in offer.channel.types() {
            out.push_str("<channel-binding type='");
            out.push_str(name);
            out.push_str("'/>");
        }
        out.push_str("</sasl-channel-binding>");
    }
    out.push_str("</stream:features>");
}

fn write_mechanisms(offer: &Offer, out: &mut String) {
    for mechanism in offer.mechanisms() {
        out.push_str("<mechanism>");
        out.push_str(mechanism.name());
        out.push_str("</mechanism>");
    }
}

pub(super) fn element(
    stage: SignIn,
    element: &Fragment<'_>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let profile = match &*element.namespace() {
        ns::SASL => Profile::Rfc,
        ns::SASL2 => Profile::OneGo,
        _ => return Err(StreamError::from(StreamCondition::NotAuthorized).saying("sign in first")),
    };
    match (element.name(), stage.exchange.map(|exchange| *exchange)) {
        ("auth", None) if profile == Profile::Rfc => auth(element, common, context, out),
        ("authenticate", None) if profile == Profile::OneGo => authenticate(element, common, context, out),
        ("response", Some((exchange, way))) if way.profile() == profile => {
            match decode(&element.element()?.content()) {
                Ok(data) => step(exchange, way, &data.unwrap_or_default(), common, context, out),
                Err(failure) => fail(failure, profile, common, out),
            }
        }
        ("abort", _) => fail(Failure::Aborted, profile, common, out),
        _ => fail(Failure::MalformedRequest, profile, common, out),
    }
}

fn auth(
    element: &Fragment<'_>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let tree = element.element()?;
    begin(tree.get("mechanism"), decode(&tree.content()), Way::Rfc, common, context, out)
}

/// XEP-0388 §4.2.
fn authenticate(
    element: &Fragment<'_>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let tree = element.element()?;
    let initial = match tree.find("initial-response", ns::SASL2).map(Element::content) {
        // The element is there, and its text has no length.
        Some(text) if text.is_empty() => Ok(Some(Vec::new())),
        Some(text) => decode(text.trim()),
        None => Ok(None),
    };
    let request = Box::new(Request::read(&tree));
    if let Some(hashed) = tree.get("mechanism").and_then(Hashed::from_name) {
        return show(hashed, initial, request, common, context, out);
    }
    let way = Way::OneGo(request);
    begin(tree.get("mechanism"), initial, way, common, context, out)
}

/// A client shows a token (XEP-0484 §5.3): what is kept of it has to be looked up.
fn show(
    hashed: Hashed,
    initial: Result<Option<Vec<u8>>, Failure>,
    request: Box<Request>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    if hashed.data(&common.offer.channel).is_none() {
        return fail(Failure::InvalidMechanism, Profile::OneGo, common, out);
    }
    let domain = common.domain.clone().ok_or(StreamCondition::InternalServerError)?;
    let (directory, entropy, secret) = (context.directory, &mut *context.entropy, &context.policy.secret);
    let house = House { directory, domain: &domain, entropy, secret, offer: &common.offer };
    let shown = match (initial, request.installation()) {
        (Ok(Some(data)), Some(client)) if request.fast => Shown::read(hashed, &data, client, &house),
        (Err(failure), _) => Err(failure),
        _ => Err(Failure::MalformedRequest),
    };
    match shown {
        Ok(shown) => {
            out.push(Output::LoadTokens(shown.holder.clone()));
            Ok(Stage::Checking(Box::new(Checking { shown, request })))
        }
        Err(failure) => fail(failure, Profile::OneGo, common, out),
    }
}

/// What is kept of the tokens of whoever showed one.
pub(super) fn checked(
    stage: Checking,
    tokens: Option<&Tokens>,
    common: &mut Common,
    context: &Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let Checking { shown, request } = stage;
    // Nobody shall throw a good token away because of us.
    let Some(tokens) = tokens else {
        return fail(Failure::TemporaryAuthFailure, Profile::OneGo, common, out);
    };
    let account = context.directory.get(&shown.holder.account);
    // As an account that has given this client no token: nobody learns whether there is one.
    let checked = account.ok_or(Failure::CredentialsExpired).and_then(|account| {
        let (channel, secret) = (&common.offer.channel, &context.policy.secret);
        shown.check(tokens, context.unix, &account.keys, channel, secret)
    });
    match checked {
        Ok((kept, proof)) => {
            let way = Way::OneGo(request);
            let next = succeed(shown.holder.account, Some(proof), way, common, context, out)?;
            Ok(match next {
                Stage::Settling(Settling::Welcomed(welcome)) => {
                    Stage::Settling(Settling::Welcomed(Box::new(welcome.by_token(kept))))
                }
                next => next,
            })
        }
        Err(failure) => fail(failure, Profile::OneGo, common, out),
    }
}

fn begin(
    mechanism: Option<&str>,
    initial: Result<Option<Vec<u8>>, Failure>,
    way: Way,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let mechanism = mechanism.and_then(Mechanism::from_name);
    let Some(mechanism) = mechanism.filter(|m| common.offer.mechanisms().contains(m)) else {
        return fail(Failure::InvalidMechanism, way.profile(), common, out);
    };
    let exchange = Exchange::Named(mechanism);
    match initial {
        Err(failure) => fail(failure, way.profile(), common, out),
        Ok(Some(data)) => step(exchange, way, &data, common, context, out),
        // No initial response: the client is asked for it with an empty challenge (RFC 4422 §3.3).
        Ok(None) => {
            let challenge = Element::new("challenge", way.profile().namespace());
            out.push(Output::write(&challenge.to_xml(ns::CLIENT)));
            Ok(Stage::SignIn(SignIn { exchange: Some(Box::new((exchange, way))) }))
        }
    }
}

fn step(
    exchange: Exchange,
    way: Way,
    data: &[u8],
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let domain = common.domain.clone().ok_or(StreamCondition::InternalServerError)?;
    let policy = context.policy;
    let (directory, entropy) = (context.directory, &mut *context.entropy);
    let mut house =
        House { directory, domain: &domain, entropy, secret: &policy.secret, offer: &common.offer };
    match exchange.step(data, &mut house) {
        Step::Challenge(exchange, said) => {
            out.push(Output::Write(way.profile().challenge(&said)));
            Ok(Stage::SignIn(SignIn { exchange: Some(Box::new((exchange, way))) }))
        }
        Step::Derive(pending) => {
            out.push(Output::Derive(pending.derive.clone()));
            Ok(Stage::Deriving(Box::new(Deriving { pending, way })))
        }
        Step::Look(pending) => {
            out.push(Output::Prove(pending.clone()));
            Ok(Stage::Proving(Box::new(Proving { pending, way })))
        }
        Step::Success(address, data) => {
            succeed(address, data.map(String::into_bytes), way, common, context, out)
        }
        Step::Failure(failure) => fail(failure, way.profile(), common, out),
    }
}

/// It was looked up whether a certificate is still good.
pub(super) fn proven(
    stage: Proving,
    good: Option<bool>,
    common: &mut Common,
    context: &Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let Proving { pending, way } = stage;
    match good {
        Some(true) => succeed(pending.address, None, way, common, context, out),
        Some(false) => fail(Failure::NotAuthorized, way.profile(), common, out),
        None => fail(Failure::TemporaryAuthFailure, way.profile(), common, out),
    }
}

/// Keys were derived elsewhere.
pub(super) fn derived(
    stage: Deriving,
    derived: &Derived,
    common: &mut Common,
    context: &Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let Deriving { pending, way } = stage;
    match pending.derived(derived) {
        Ok(address) => succeed(address, None, way, common, context, out),
        Err(failure) => fail(failure, way.profile(), common, out),
    }
}

/// The client has signed in; the stream waits until the connection is where the account lives.
fn succeed(
    address: Address,
    data: Option<Vec<u8>>,
    way: Way,
    common: &mut Common,
    context: &Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    // Whoever guesses hears the same as if it were wrong.
    if context.bar(&address) {
        return fail(Failure::NotAuthorized, way.profile(), common, out);
    }
    let settling = match way {
        Way::Rfc => {
            let success = Element::new("success", ns::SASL);
            let success = data.map_or(success.clone(), |data| success.text(encoded(&data)));
            out.push(Output::write(&success.to_xml(ns::CLIENT)));
            Settling::Plain(address.clone())
        }
        Way::OneGo(request) => {
            if !is_who_it_said(common, &address, context) {
                return fail(Failure::InvalidAuthzid, Profile::OneGo, common, out);
            }
            common.agent =
                Some(Box::new(request.agent.clone())).filter(|agent| **agent != super::Agent::default());
            Settling::Welcomed(Box::new(Welcome::new(address.clone(), data, *request)))
        }
    };
    out.push(Output::Authenticated(address));
    Ok(Stage::Settling(settling))
}

/// A header that names somebody names who signs in (XEP-0388 §4.2); many clients name nobody.
fn is_who_it_said(common: &Common, address: &Address, context: &Context<'_>) -> bool {
    let said = common.from.as_ref().and_then(|from| from.address());
    said.is_none_or(|said| context.directory.canonical(said).as_ref() == Some(address))
}

/// The client may try again, but not for ever.
pub(super) fn fail(failure: Failure, profile: Profile, common: &mut Common, out: &mut Vec<Output>) -> Next {
    common.count_failure(failure, profile, out)?;
    Ok(Stage::SignIn(SignIn::default()))
}

/// Nothing is no data; `=` is data of no length (RFC 6120 §6.4.2).
fn decode(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    match text {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        _ => BASE64.decode(text).map(Some).map_err(|_| Failure::IncorrectEncoding),
    }
}
