//! A routed stanza: its bytes, and what routing needs to know of them (RFC 6120 §8).
//!
//! The bytes are never taken apart and put together again. `from` and `to` are written at the front once, when
//! the stanza comes in; delivering it as it stands is one copy, delivering it under other addresses is a splice.

pub mod draft;
pub mod error;

pub(crate) mod marks;
mod receive;

pub use draft::Draft;
pub use error::{Condition, ErrorType, StanzaError};
pub use receive::Refused;

use crate::jid::Jid;
use crate::ns;
use crate::xml::text::unescape_attribute;
use crate::xml::{Element, Fault, Span};
pub(crate) use marks::Marks;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The three kinds of stanza (RFC 6120 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One way, to whom it may reach.
    Message,
    /// One way, to whoever subscribed.
    Presence,
    /// A question that must be answered.
    Iq,
}

impl Kind {
    /// The element's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    /// The kind that has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

/// What a message is (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// Part of a conversation between two.
    Chat,
    /// An earlier message could not be delivered.
    Error,
    /// Said in a room.
    Groupchat,
    /// News; nobody answers.
    Headline,
    /// Anything else, and every type that nobody knows.
    Normal,
}

/// What a presence says (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceType {
    /// No type: somebody is there.
    Available,
    /// Somebody has gone.
    Unavailable,
    /// Asks to see presence.
    Subscribe,
    /// Lets somebody see presence.
    Subscribed,
    /// Does not want to see presence any more.
    Unsubscribe,
    /// Does not let somebody see presence (any more).
    Unsubscribed,
    /// A server asks what somebody's presence is.
    Probe,
    /// An earlier presence could not be delivered.
    Error,
}

impl PresenceType {
    /// Whether it is one of the four that manage subscriptions.
    pub const fn is_subscription(self) -> bool {
        matches!(self, Self::Subscribe | Self::Subscribed | Self::Unsubscribe | Self::Unsubscribed)
    }

    /// The `type` attribute; none for available presence.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Unavailable => Some("unavailable"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
            Self::Probe => Some("probe"),
            Self::Error => Some("error"),
        }
    }
}

/// What an IQ is (RFC 6120 §8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IqType {
    /// Asks for something.
    Get,
    /// Wants something set or done.
    Set,
    /// The answer.
    Result,
    /// The refusal.
    Error,
}

impl IqType {
    /// Whether an answer is due.
    pub const fn is_request(self) -> bool {
        matches!(self, Self::Get | Self::Set)
    }
}

/// Where the namespace of the first child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    /// There is no child.
    None,
    /// In the namespace of the stanza itself.
    Content(Span),
    /// In the namespace written there; an empty span is no namespace.
    Of(Span, Span),
}

/// A stanza. Cheap to clone and to pass on: it is shared as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Stanza(Arc<Parts>);

/// All of a stanza.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    kind: Kind,
    from: Option<Jid>,
    to: Option<Jid>,
    /// Opening tag with `from` and `to` first, then all else as it came.
    text: String,
    /// Behind `from` and `to`.
    tail: u32,
    /// Behind the opening tag.
    inner: u32,
    /// These three where they are; else at 0.
    id: Span,
    type_: Span,
    lang: Span,
    payload: Payload,
    children: u32,
    marks: Marks,
}

impl Stanza {
    /// Message, presence or IQ.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Who sent it, as stamped by us.
    pub fn from(&self) -> Option<&Jid> {
        self.0.from.as_ref()
    }

    /// Whom it is for.
    pub fn to(&self) -> Option<&Jid> {
        self.0.to.as_ref()
    }

    /// The `id` attribute.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.0.id.somewhere().map(|span| unescape_attribute(span.str(&self.0.text)))
    }

    /// The `xml:lang` attribute.
    pub fn lang(&self) -> Option<Cow<'_, str>> {
        self.0.lang.somewhere().map(|span| unescape_attribute(span.str(&self.0.text)))
    }

    /// The `type` attribute, as it stands.
    pub fn type_attr(&self) -> Option<&str> {
        self.0.type_.somewhere().map(|span| span.str(&self.0.text))
    }

    /// The type of a message.
    pub fn message_type(&self) -> MessageType {
        match self.type_attr() {
            Some("chat") => MessageType::Chat,
            Some("error") => MessageType::Error,
            Some("groupchat") => MessageType::Groupchat,
            Some("headline") => MessageType::Headline,
            _ => MessageType::Normal,
        }
    }

    /// Whether it says that somebody goes.
    pub fn is_unavailable(&self) -> bool {
        self.presence_type() == Some(PresenceType::Unavailable)
    }

    /// The type of a presence, `None` for one that nobody knows: `bad-request`. Other stanzas have none, whatever their
    /// attribute says.
    pub fn presence_type(&self) -> Option<PresenceType> {
        if self.0.kind != Kind::Presence {
            return None;
        }
        Some(match self.type_attr() {
            None => PresenceType::Available,
            Some("unavailable") => PresenceType::Unavailable,
            Some("subscribe") => PresenceType::Subscribe,
            Some("subscribed") => PresenceType::Subscribed,
            Some("unsubscribe") => PresenceType::Unsubscribe,
            Some("unsubscribed") => PresenceType::Unsubscribed,
            Some("probe") => PresenceType::Probe,
            Some("error") => PresenceType::Error,
            Some(_) => return None,
        })
    }

    /// The type of an IQ, `None` where it is missing or unknown: `bad-request`.
    pub fn iq_type(&self) -> Option<IqType> {
        match self.type_attr() {
            Some("get") => Some(IqType::Get),
            Some("set") => Some(IqType::Set),
            Some("result") => Some(IqType::Result),
            Some("error") => Some(IqType::Error),
            _ => None,
        }
    }

    /// Whether `type` is `error`: no error may ever answer it (RFC 6120 §8.3.1).
    pub fn is_error(&self) -> bool {
        self.type_attr() == Some("error")
    }

    /// Name and namespace of the first child.
    pub fn payload(&self) -> Option<(&str, Cow<'_, str>)> {
        match self.0.payload {
            Payload::None => None,
            Payload::Content(name) => Some((name.str(&self.0.text), ns::CLIENT.into())),
            Payload::Of(name, namespace) => {
                Some((name.str(&self.0.text), unescape_attribute(namespace.str(&self.0.text))))
            }
        }
    }

    /// Whether the first child has this name and namespace.
    pub fn payload_is(&self, name: &str, namespace: &str) -> bool {
        self.payload().is_some_and(|(n, space)| n == name && space == namespace)
    }

    /// How many elements stand directly in it.
    pub fn children(&self) -> u32 {
        self.0.children
    }

    /// The whole stanza as text, `from` and `to` as they are, for a stream of `jabber:client`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The same text, to be kept.
    pub fn to_shared(&self) -> Arc<str> {
        self.as_str().into()
    }

    /// What stands between opening and closing tag, as it came.
    pub fn inner(&self) -> &str {
        if self.is_empty() {
            return "";
        }
        &self.0.text[self.0.inner as usize..self.end()]
    }

    /// Whether the opening tag is all there is: `<message/>`.
    fn is_empty(&self) -> bool {
        self.0.inner as usize == self.0.text.len()
    }

    /// Where the closing tag begins; ask only where there is one.
    fn end(&self) -> usize {
        memchr::memrchr(b'<', self.0.text.as_bytes()).expect("a stanza has a tag")
    }

    /// Appends the stanza under other addresses.
    pub fn write_with(&self, from: Option<&Jid>, to: Option<&Jid>, out: &mut String) {
        open_tag(self.0.kind, from, to, out);
        out.push_str(&self.0.text[self.0.tail as usize..]);
    }

    /// The same stanza under other addresses.
    #[must_use]
    pub fn readdressed(&self, from: Option<Jid>, to: Option<Jid>) -> Self {
        let mut text = String::with_capacity(self.0.text.len() + 64);
        open_tag(self.0.kind, from.as_ref(), to.as_ref(), &mut text);
        let tail = Span::new(0, text.len()).end;
        text.push_str(&self.0.text[self.0.tail as usize..]);
        let moved = |span: Span| match span.somewhere() {
            Some(Span { start, end }) => {
                Span { start: start - self.0.tail + tail, end: end - self.0.tail + tail }
            }
            None => span,
        };
        Self(Arc::new(Parts {
            kind: self.0.kind,
            from,
            to,
            text,
            tail,
            inner: self.0.inner - self.0.tail + tail,
            id: moved(self.0.id),
            type_: moved(self.0.type_),
            lang: moved(self.0.lang),
            payload: match self.0.payload {
                Payload::None => Payload::None,
                Payload::Content(name) => Payload::Content(moved(name)),
                Payload::Of(name, namespace) => Payload::Of(moved(name), moved(namespace)),
            },
            children: self.0.children,
            marks: self.0.marks,
        }))
    }

    /// The stanza as another one carries it (XEP-0297), behind `note`: ready XML, a delay say.
    pub fn forwarded(&self, note: &str) -> String {
        let name = self.0.kind.name();
        let rest = &self.0.text[1 + name.len()..];
        let own = if declares_namespace(&self.0.text[..self.0.inner as usize]) { "" } else { ns::CLIENT };
        let mut text = String::with_capacity(self.0.text.len() + note.len() + 128);
        text.extend(["<forwarded xmlns='", ns::FORWARD, "'>", note, "<", name]);
        if !own.is_empty() {
            text.extend([" xmlns='", own, "'"]);
        }
        text.extend([rest, "</forwarded>"]);
        text
    }

    /// The whole stanza as a tree, for what the server itself answers.
    pub fn element(&self) -> Result<Element, Fault> {
        Element::parse(&self.0.text, ns::CLIENT)
    }

    /// The first child as a tree.
    pub fn payload_element(&self) -> Option<Element> {
        self.element().ok()?.children().next().cloned()
    }

    /// A result that answers this request: addresses swapped, `id` the same (RFC 6120 §8.2.3).
    pub fn result(&self, payload: Option<&Element>) -> Self {
        let mut draft = self.answer("result");
        if let Some(payload) = payload {
            draft = draft.child(payload);
        }
        draft.build()
    }

    /// The error that answers this stanza, `None` where none may: errors and results are never answered.
    pub fn error(&self, error: impl Into<StanzaError>) -> Option<Self> {
        if self.is_error() || (self.0.kind == Kind::Iq && self.type_attr() == Some("result")) {
            return None;
        }
        Some(self.answer("error").child(&error.into().element()).build())
    }

    /// A stanza that goes back to the sender.
    pub fn answer(&self, type_: &str) -> Draft {
        let id = self.id();
        Draft::new(self.0.kind)
            .from(self.0.to.as_ref())
            .to(self.0.from.as_ref())
            .id(id.as_deref())
            .type_(type_)
    }
}

impl fmt::Debug for Stanza {
    /// Nothing of what people say to one another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<{} from={:?} to={:?} type={:?}",
            self.0.kind.name(),
            self.0.from,
            self.0.to,
            self.type_attr()
        )?;
        write!(f, " payload={:?}> ({} octets)", self.payload().map(|(name, _)| name), self.0.text.len())
    }
}

/// The beginning of an opening tag, as far as the addresses.
fn open_tag(kind: Kind, from: Option<&Jid>, to: Option<&Jid>, out: &mut String) {
    out.push('<');
    out.push_str(kind.name());
    for (name, jid) in [(" from='", from), (" to='", to)] {
        if let Some(jid) = jid {
            out.push_str(name);
            jid.push_escaped(out);
            out.push('\'');
        }
    }
}

/// Whether an opening tag says what the default namespace is.
fn declares_namespace(tag: &str) -> bool {
    let mut rest = tag;
    while let Some((before, value)) = rest.split_once('=') {
        let name = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
        let value = value.trim_start();
        let quote = value.chars().next().unwrap_or('\'');
        if name == "xmlns" {
            return true;
        }
        rest = value.get(1..).and_then(|value| value.split_once(quote)).map_or("", |(_, rest)| rest);
    }
    false
}

#[cfg(test)]
mod tests;
