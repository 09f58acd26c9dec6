//! Stream errors (RFC 6120 §4.9): each of them ends the stream.

use crate::ns;
use crate::xml::{Element, Fault, Writer};
use std::borrow::Cow;

macro_rules! conditions {
    ($($(#[$doc:meta])* $condition:ident $name:literal;)*) => {
        /// Why a stream ends (RFC 6120 §4.9.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StreamCondition {
            $($(#[$doc])* $condition,)*
        }

        impl StreamCondition {
            /// Every condition there is.
            pub const ALL: &[Self] = &[$(Self::$condition),*];

            /// The element's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$condition => $name,)* }
            }
        }
    };
}

conditions! {
    /// XML that is no stream (§4.9.3.1).
    BadFormat "bad-format";
    /// A prefix where there must be none, or none where there must be one (§4.9.3.2).
    BadNamespacePrefix "bad-namespace-prefix";
    /// A newer session took the place of this one (§4.9.3.3).
    Conflict "conflict";
    /// The peer was silent for too long (§4.9.3.4).
    ConnectionTimeout "connection-timeout";
    /// The domain is not served here any more (§4.9.3.5).
    HostGone "host-gone";
    /// The domain is not served here (§4.9.3.6).
    HostUnknown "host-unknown";
    /// No `to`, or one that is no address (§4.9.3.7).
    ImproperAddressing "improper-addressing";
    /// Our own fault (§4.9.3.8).
    InternalServerError "internal-server-error";
    /// `from` is somebody else (§4.9.3.9).
    InvalidFrom "invalid-from";
    /// Not the namespaces of a stream (§4.9.3.10).
    InvalidNamespace "invalid-namespace";
    /// Against a schema (§4.9.3.11).
    InvalidXml "invalid-xml";
    /// Stanzas before sign-in or binding (§4.9.3.12).
    NotAuthorized "not-authorized";
    /// No XML (§4.9.3.13).
    NotWellFormed "not-well-formed";
    /// More than the house allows (§4.9.3.14).
    PolicyViolation "policy-violation";
    /// Another server cannot be reached (§4.9.3.15).
    RemoteConnectionFailed "remote-connection-failed";
    /// What the stream stands on has changed: begin anew (§4.9.3.16).
    Reset "reset";
    /// No room for the stream (§4.9.3.17).
    ResourceConstraint "resource-constraint";
    /// DTDs, comments, processing instructions, entities (§4.9.3.18).
    RestrictedXml "restricted-xml";
    /// Somebody else serves this (§4.9.3.19).
    SeeOtherHost "see-other-host";
    /// The server goes down (§4.9.3.20).
    SystemShutdown "system-shutdown";
    /// None of the others (§4.9.3.21).
    UndefinedCondition "undefined-condition";
    /// Not UTF-8 (§4.9.3.22).
    UnsupportedEncoding "unsupported-encoding";
    /// A feature that must be used is not (§4.9.3.23).
    UnsupportedFeature "unsupported-feature";
    /// A first-level element that is no stanza (§4.9.3.24).
    UnsupportedStanzaType "unsupported-stanza-type";
    /// Not XMPP 1.0 (§4.9.3.25).
    UnsupportedVersion "unsupported-version";
}

/// Why a stream ends, with a word for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// Why.
    pub condition: StreamCondition,
    /// For people, in English.
    pub text: Option<Cow<'static, str>>,
    /// A condition of somebody's own beside it, of XEP-0182 say.
    pub detail: Option<Box<Element>>,
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self { condition, text: None, detail: None }
    }
}

impl From<Fault> for StreamError {
    fn from(fault: Fault) -> Self {
        let condition = match fault {
            Fault::NotWellFormed => return StreamCondition::NotWellFormed.into(),
            Fault::Restricted => return StreamCondition::RestrictedXml.into(),
            Fault::Encoding => return StreamCondition::UnsupportedEncoding.into(),
            Fault::Format => return StreamCondition::BadFormat.into(),
            Fault::TooBig | Fault::TooDeep | Fault::TooManyAttributes | Fault::NameTooLong => {
                StreamCondition::PolicyViolation
            }
        };
        let detail =
            (fault == Fault::TooBig).then(|| Box::new(Element::new("stanza-too-big", ns::XMPP_ERRORS)));
        Self { condition, text: Some(fault.to_string().into()), detail }
    }
}

impl StreamError {
    /// Whether the client did nothing to end its session by it: what was resumable may be resumed (XEP-0198 §7).
    pub const fn is_resumable(&self) -> bool {
        matches!(self.condition, StreamCondition::ConnectionTimeout | StreamCondition::SystemShutdown)
    }

    /// The same with a word for people.
    #[must_use]
    pub fn saying(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The `<stream:error/>` element and the end of the stream.
    pub fn farewell(&self) -> String {
        let mut w = Writer::new();
        w.open("stream:error").open(self.condition.name()).attr("xmlns", ns::STREAM_ERRORS).close();
        if let Some(text) = &self.text {
            w.open("text").attr("xmlns", ns::STREAM_ERRORS).attr("xml:lang", "en").text(text).close();
        }
        if let Some(detail) = &self.detail {
            w.raw(&detail.to_xml(ns::CLIENT));
        }
        w.close().raw(super::END);
        w.finish()
    }
}
