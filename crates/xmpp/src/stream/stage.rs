//! The stages of a client's stream, one type each, so that an illegal state cannot be kept.
//!
//! A stage takes an event and says which stage comes next. What a stage does not name does not exist in it.

use super::request::Request;
use super::sign_in::{Profile, Way};
use super::welcome::Welcome;
use super::{Common, Context, Output, StreamCondition, StreamError, bind, header, management, sign_in};
use crate::jid::Jid;
use crate::ns;
use crate::sasl::token::Shown;
use crate::sasl::{Exchange, external, plain};
use crate::stanza::{Condition, Draft, Kind, Refused, Stanza};
use crate::xml::{Element, Event, Fragment};
use wire::Address;

/// Where a stream stands.
#[derive(Debug)]
pub(super) enum Stage {
    Opening(Opening),
    Tls(Tls),
    Securing,
    SignIn(SignIn),
    Deriving(Box<Deriving>),
    /// A certificate was shown: whether it was taken back is looked up.
    Proving(Box<Proving>),
    /// A token was shown: what is kept of it is looked up.
    Checking(Box<Checking>),
    Settling(Settling),
    /// What is kept of tokens is looked up, or written.
    Tokens(Box<Welcome>),
    Bind(Bind),
    Binding(Binding),
    Resuming(Resuming),
    Active(Active),
    Over,
}

/// A step ends in the next stage or the end of the stream.
pub(super) type Next = Result<Stage, StreamError>;

/// What was reached before the header that is waited for.
#[derive(Debug)]
pub(super) enum Layer {
    Plain,
    Secure,
    Authenticated(Address),
}

/// Waits for a stream header.
#[derive(Debug)]
pub(super) struct Opening(pub(super) Layer);

/// Waits for `<starttls/>`.
#[derive(Debug)]
pub(super) struct Tls;

/// Waits for a mechanism, or amid an exchange.
#[derive(Debug, Default)]
pub(super) struct SignIn {
    /// Apart, so that a stream that is long signed in has no room for it.
    pub(super) exchange: Option<Box<(Exchange, Way)>>,
}

/// Waits for keys that are derived elsewhere.
#[derive(Debug)]
pub(super) struct Deriving {
    pub(super) pending: plain::Pending,
    pub(super) way: Way,
}

/// Waits for whether a certificate is still good.
#[derive(Debug)]
pub(super) struct Proving {
    pub(super) pending: external::Pending,
    pub(super) way: Way,
}

/// Waits for what is kept of a token.
#[derive(Debug)]
pub(super) struct Checking {
    pub(super) shown: Shown,
    pub(super) request: Box<Request>,
}

/// Waits until the connection is where the account lives.
#[derive(Debug)]
pub(super) enum Settling {
    /// A new stream begins then.
    Plain(Address),
    /// The stream goes on then.
    Welcomed(Box<Welcome>),
}

/// Waits for the client to ask for a resource.
#[derive(Debug)]
pub(super) struct Bind(pub(super) Address);

/// Waits for the router's word on the resource.
#[derive(Debug)]
pub(super) enum Binding {
    /// It was asked for by itself.
    Asked {
        address: Address,
        /// The request.
        request: Box<Stanza>,
    },
    /// It came with the sign-in.
    Welcomed(Box<Welcome>),
}

/// Waits for the word whether an earlier stream goes on here.
#[derive(Debug)]
pub(super) struct Resuming {
    pub(super) address: Address,
    /// Where it came with the sign-in.
    pub(super) welcome: Option<Box<Welcome>>,
}

/// Stanzas come and go.
#[derive(Debug)]
pub(super) struct Active(pub(super) Jid);

impl Stage {
    /// Whether bytes must wait until an answer has come.
    pub(super) fn waits(&self) -> bool {
        matches!(
            self,
            Self::Deriving(_)
                | Self::Proving(_)
                | Self::Checking(_)
                | Self::Settling(_)
                | Self::Tokens(_)
                | Self::Binding(_)
                | Self::Resuming(_)
        )
    }

    pub(super) fn event(
        self,
        event: &Event<'_>,
        common: &mut Common,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Next {
        match (self, event) {
            (Self::Opening(stage), Event::Open(theirs)) => stage.open(theirs, common, context, out),
            (Self::Tls(stage), Event::Element(element)) => stage.element(element, common, out),
            (Self::SignIn(stage), Event::Element(element)) => {
                sign_in::element(stage, element, common, context, out)
            }
            (Self::Bind(stage), Event::Element(element)) => bind::element(stage, element, out),
            (Self::Active(stage), Event::Element(element)) => {
                stage.element(element, common, context, out)?;
                Ok(Self::Active(stage))
            }
            (_, Event::Close) => {
                out.push(Output::write(super::END));
                out.push(Output::Close { resumable: false });
                Ok(Self::Over)
            }
            // Bytes are held back while an answer is due, and the reader opens no stream twice.
            _ => Err(StreamCondition::BadFormat.into()),
        }
    }
}

impl Opening {
    fn open(
        self,
        theirs: &crate::xml::Header<'_>,
        common: &mut Common,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Next {
        let greeting = header::read(theirs, context)?;
        if let Layer::Authenticated(address) = &self.0
            && address.domain() != greeting.domain.as_str()
        {
            let error = StreamError::from(StreamCondition::NotAuthorized);
            return Err(error.saying("signed in to another domain"));
        }
        common.greet(&greeting, context);
        let mut said = String::with_capacity(640);
        common.write_header(Some(&greeting.called), greeting.from.as_ref(), &mut said);
        let next = match self.0 {
            Layer::Plain => {
                said.push_str(FEATURES_TLS);
                Stage::Tls(Tls)
            }
            Layer::Secure => {
                common.offer.narrow(context.directory, &greeting.domain);
                sign_in::write_features(&common.offer, &mut said);
                Stage::SignIn(SignIn::default())
            }
            Layer::Authenticated(address) => {
                bind::write_features(context.policy, &mut said);
                Stage::Bind(Bind(address))
            }
        };
        out.push(Output::Write(said.into_bytes()));
        Ok(next)
    }
}

const FEATURES_TLS: &str = concat!(
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
    "</stream:features>"
);

impl Tls {
    fn element(self, element: &Fragment<'_>, common: &mut Common, out: &mut Vec<Output>) -> Next {
        if element.is("starttls", ns::TLS) {
            out.push(Output::write("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
            out.push(Output::StartTls);
            return Ok(Stage::Securing);
        }
        if element.is("auth", ns::SASL) {
            common.count_failure(crate::sasl::Failure::EncryptionRequired, Profile::Rfc, out)?;
            return Ok(Stage::Tls(self));
        }
        Err(StreamError::from(StreamCondition::NotAuthorized).saying("TLS first"))
    }
}

impl Active {
    /// Asks the client whether it is there: by a ping (XEP-0199 §4.3), or how much it has handled, which does not
    /// count. Any byte is answer enough.
    pub(super) fn ask(&self, common: &Common) -> Output {
        if common.handled.is_some() {
            return Output::write(management::REQUEST);
        }
        let domain = self.0.to_bare().domain().parse().ok();
        let ping = Draft::new(Kind::Iq).from(domain.as_ref()).to(Some(&self.0)).id(Some("still-there"));
        Output::write(ping.type_("get").child(&Element::new("ping", ns::PING)).build().as_str())
    }

    pub(super) fn element(
        &self,
        element: &Fragment<'_>,
        common: &mut Common,
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), StreamError> {
        match Stanza::receive_again(element, &self.0, common.lang.as_deref(), common.lately.as_ref()) {
            Ok(stanza) => {
                common.remember(&stanza);
                out.push(Output::Stanza(stanza));
            }
            Err(Refused::Error(stanza, error)) => out.push(Output::Refused(stanza, error)),
            Err(Refused::NoStanza) => return nonza(element, common, context, out),
            Err(Refused::Prefix) => return Err(StreamCondition::BadNamespacePrefix.into()),
            Err(Refused::From) => return Err(StreamCondition::InvalidFrom.into()),
        }
        common.handled = common.handled.map(|handled| handled.wrapping_add(1));
        Ok(())
    }
}

/// What is no stanza and is about the stream itself.
fn nonza(
    element: &Fragment<'_>,
    common: &mut Common,
    context: &mut Context<'_>,
    out: &mut Vec<Output>,
) -> Result<(), StreamError> {
    match &*element.namespace() {
        ns::STREAM_MANAGEMENT => return management::element(common, element, context, out),
        ns::CLIENT_STATE if element.name() == "active" => out.push(Output::Active(true)),
        ns::CLIENT_STATE if element.name() == "inactive" => out.push(Output::Active(false)),
        _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
    }
    Ok(())
}

impl Resuming {
    /// The earlier stream goes on here, with the stanzas that it counted.
    pub(super) fn resumed(
        self,
        jid: Jid,
        name: &str,
        common: &mut Common,
        handled: u32,
        out: &mut Vec<Output>,
    ) -> Stage {
        if let Some(welcome) = self.welcome {
            return welcome.resumed(jid, name, common, handled, out);
        }
        let answer = management::resumed(name, handled).to_xml(ns::CLIENT).into_bytes();
        out.push(Output::Attached { answer });
        common.handled = Some(handled);
        Stage::Active(Active(jid))
    }

    /// There is no such stream; the client may bind a resource.
    pub(super) fn not_resumed(self, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        if let Some(welcome) = self.welcome {
            return welcome.not_resumed(context, out);
        }
        out.push(Output::write(&management::failed(Condition::ItemNotFound).to_xml(ns::CLIENT)));
        Stage::Bind(Bind(self.address))
    }
}
