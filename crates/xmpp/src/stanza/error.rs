//! Stanza errors (RFC 6120 §8.3).

use crate::ns;
use crate::xml::Element;
use std::borrow::Cow;

/// What the sender should do about it (RFC 6120 §8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Go on: only a warning.
    Continue,
    /// Retry with other data.
    Modify,
    /// Retry later.
    Wait,
}

impl ErrorType {
    /// The `type` attribute of `<error/>`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $condition:ident $name:literal $type_:ident;)*) => {
        /// What went wrong (RFC 6120 §8.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])* $condition,)*
        }

        impl Condition {
            /// Every condition there is.
            pub const ALL: &[Self] = &[$(Self::$condition),*];

            /// The element's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$condition => $name,)* }
            }

            /// The type that RFC 6120 §8.3.3 associates with it.
            pub const fn usual_type(self) -> ErrorType {
                match self { $(Self::$condition => ErrorType::$type_,)* }
            }
        }
    };
}

conditions! {
    /// XML that does not fit the schema, or a type that nobody knows (§8.3.3.1).
    BadRequest "bad-request" Modify;
    /// Something of that name exists already (§8.3.3.2).
    Conflict "conflict" Cancel;
    /// Asked of somebody who does not do such things (§8.3.3.3).
    FeatureNotImplemented "feature-not-implemented" Cancel;
    /// The sender may not do that (§8.3.3.4).
    Forbidden "forbidden" Auth;
    /// The addressee has moved (§8.3.3.5).
    Gone "gone" Cancel;
    /// The server's own fault (§8.3.3.6).
    InternalServerError "internal-server-error" Cancel;
    /// No such JID or item (§8.3.3.7).
    ItemNotFound "item-not-found" Cancel;
    /// An address that is no JID (§8.3.3.8).
    JidMalformed "jid-malformed" Modify;
    /// Does not meet the policy of whom it is for (§8.3.3.9).
    NotAcceptable "not-acceptable" Modify;
    /// Nobody may do that (§8.3.3.10).
    NotAllowed "not-allowed" Cancel;
    /// Credentials first (§8.3.3.11).
    NotAuthorized "not-authorized" Auth;
    /// Against a local policy (§8.3.3.12).
    PolicyViolation "policy-violation" Modify;
    /// Nobody there just now (§8.3.3.13).
    RecipientUnavailable "recipient-unavailable" Wait;
    /// Ask somebody else for a while (§8.3.3.14).
    Redirect "redirect" Modify;
    /// Registration first (§8.3.3.15).
    RegistrationRequired "registration-required" Auth;
    /// No such server (§8.3.3.16).
    RemoteServerNotFound "remote-server-not-found" Cancel;
    /// That server does not answer (§8.3.3.17).
    RemoteServerTimeout "remote-server-timeout" Wait;
    /// Too busy, or too much of something (§8.3.3.18).
    ResourceConstraint "resource-constraint" Wait;
    /// Not offered here (§8.3.3.19).
    ServiceUnavailable "service-unavailable" Cancel;
    /// A subscription first (§8.3.3.20).
    SubscriptionRequired "subscription-required" Auth;
    /// None of the others (§8.3.3.21).
    UndefinedCondition "undefined-condition" Cancel;
    /// Out of order, or not now (§8.3.3.22).
    UnexpectedRequest "unexpected-request" Wait;
}

/// A stanza error: what went wrong, what to do about it, a word for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What went wrong.
    pub condition: Condition,
    /// What the sender should do about it.
    pub type_: ErrorType,
    /// For people, in English.
    pub text: Option<Cow<'static, str>>,
    /// What an application says of it: name and namespace.
    pub detail: Option<(&'static str, &'static str)>,
    /// The feature that the application misses: an attribute of `detail` (XEP-0060 §6.5.9.4).
    pub feature: Option<&'static str>,
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self { condition, type_: condition.usual_type(), text: None, detail: None, feature: None }
    }
}

impl StanzaError {
    /// The same with a word for people.
    #[must_use]
    pub fn saying(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with another type.
    #[must_use]
    pub fn as_type(mut self, type_: ErrorType) -> Self {
        self.type_ = type_;
        self
    }

    /// The `<error/>` element.
    pub fn element(&self) -> Element {
        let error = Element::new("error", ns::CLIENT).attr("type", self.type_.name());
        let error = error.child(Element::new(self.condition.name(), ns::STANZA_ERRORS));
        let text = self
            .text
            .as_ref()
            .map(|text| Element::new("text", ns::STANZA_ERRORS).attr("xml:lang", "en").text(text.as_ref()));
        let detail = self
            .detail
            .map(|(name, namespace)| Element::new(name, namespace).attr_opt("feature", self.feature));
        error.children_from(text.into_iter().chain(detail))
    }

    /// Who sends to somebody whom they block themselves (XEP-0191 §3.3).
    pub fn blocked() -> Self {
        Self { detail: Some(("blocked", ns::BLOCKING_ERRORS)), ..Condition::NotAcceptable.into() }
    }
}
