//! The SASL stage of a stream (RFC 6120 §6.4).

use super::stage::{Deriving, Next, SignIn, Stage};
use super::{Common, Context, Output, StreamCondition, StreamError};
use crate::ns;
use crate::sasl::{Exchange, Failure, House, Mechanism, Offer, Step};
use crate::xml::Fragment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use wire::Address;

pub(super) fn write_features(offer: &Offer, out: &mut String) {
    out.push_str("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    write_mechanisms(offer, out);
    out.push_str("</mechanisms>");
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
    if element.namespace() != ns::SASL {
        return Err(StreamError::from(StreamCondition::NotAuthorized).saying("sign in first"));
    }
    match (element.name(), stage.exchange) {
        ("auth", None) => auth(element, common, context, out),
        ("response", Some(exchange)) => match content(element)? {
            Ok(data) => step(exchange, &data.unwrap_or_default(), common, context, out),
            Err(failure) => fail(failure, common, out),
        },
        ("abort", _) => fail(Failure::Aborted, common, out),
        _ => fail(Failure::MalformedRequest, common, out),
    }
}

fn auth(
    element: &Fragment<'_>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Next {
    let tree = element.element()?;
    let mechanism = tree.get("mechanism").and_then(Mechanism::from_name);
    let Some(mechanism) = mechanism.filter(|m| common.offer.mechanisms().contains(m)) else {
        return fail(Failure::InvalidMechanism, common, out);
    };
    let exchange = Exchange::Named(mechanism);
    match decode(&tree.content()) {
        Err(failure) => fail(failure, common, out),
        Ok(Some(data)) => step(exchange, &data, common, context, out),
        // No initial response: the client is asked for it with an empty challenge (RFC 4422 §3.3).
        Ok(None) => {
            out.push(Output::write("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
            Ok(Stage::SignIn(SignIn { exchange: Some(exchange) }))
        }
    }
}

fn step(
    exchange: Exchange,
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
            out.push(Output::Write(sasl("challenge", &said)));
            Ok(Stage::SignIn(SignIn { exchange: Some(exchange) }))
        }
        Step::Derive(pending) => {
            out.push(Output::Derive(pending.derive.clone()));
            Ok(Stage::Deriving(Deriving(pending)))
        }
        // Whoever guesses hears the same as if it were wrong.
        Step::Success(address, _) if context.bar(&address) => fail(Failure::NotAuthorized, common, out),
        Step::Success(address, data) => Ok(succeed(address, data, out)),
        Step::Failure(failure) => fail(failure, common, out),
    }
}

/// The client has signed in; the stream waits until the connection is where the account lives.
pub(super) fn succeed(address: Address, data: Option<String>, out: &mut Vec<Output>) -> Stage {
    out.push(match data {
        Some(data) => Output::Write(sasl("success", &data)),
        None => Output::write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    });
    out.push(Output::Authenticated(address.clone()));
    Stage::Settling(address)
}

/// The client may try again, but not for ever.
pub(super) fn fail(failure: Failure, common: &mut Common, out: &mut Vec<Output>) -> Next {
    common.count_failure(failure, out)?;
    Ok(Stage::SignIn(SignIn::default()))
}

fn sasl(name: &str, data: &str) -> Vec<u8> {
    format!("<{name} xmlns='{}'>{}</{name}>", ns::SASL, BASE64.encode(data)).into_bytes()
}

/// The text of a SASL element, base64 undone.
fn content(element: &Fragment<'_>) -> Result<Result<Option<Vec<u8>>, Failure>, StreamError> {
    Ok(decode(&element.element()?.content()))
}

/// Nothing is no data; `=` is data of no length (RFC 6120 §6.4.2).
fn decode(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    match text {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        _ => BASE64.decode(text).map(Some).map_err(|_| Failure::IncorrectEncoding),
    }
}
