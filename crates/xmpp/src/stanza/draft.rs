//! Stanzas that the server itself writes.

use super::{Kind, Stanza};
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Element, Writer};

/// A stanza in the making.
///
/// ```
/// use xmpp::{Draft, Element, Kind, ns};
/// let roland = "roland@falcot.com/desk".parse().unwrap();
/// let ping = Draft::new(Kind::Iq).to(Some(&roland)).id(Some("p1")).type_("get");
/// let ping = ping.child(&Element::new("ping", ns::PING)).build();
/// assert_eq!(
///     ping.as_str(),
///     "<iq to='roland@falcot.com/desk' id='p1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Draft {
    kind: Kind,
    from: Option<Jid>,
    to: Option<Jid>,
    id: Option<String>,
    type_: Option<String>,
    lang: Option<String>,
    inner: String,
}

impl Draft {
    /// Begins with nothing but the kind.
    pub fn new(kind: Kind) -> Self {
        Self { kind, from: None, to: None, id: None, type_: None, lang: None, inner: String::new() }
    }

    /// Who sends it.
    #[must_use]
    pub fn from(mut self, from: Option<&Jid>) -> Self {
        self.from = from.cloned();
        self
    }

    /// Whom it is for.
    #[must_use]
    pub fn to(mut self, to: Option<&Jid>) -> Self {
        self.to = to.cloned();
        self
    }

    /// Its `id`.
    #[must_use]
    pub fn id(mut self, id: Option<&str>) -> Self {
        self.id = id.map(str::to_owned);
        self
    }

    /// Its `type`.
    #[must_use]
    pub fn type_(mut self, type_: &str) -> Self {
        self.type_ = Some(type_.to_owned());
        self
    }

    /// Its `xml:lang`.
    #[must_use]
    pub fn lang(mut self, lang: Option<&str>) -> Self {
        self.lang = lang.map(str::to_owned);
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn child(mut self, child: &Element) -> Self {
        child.write(ns::CLIENT, &mut self.inner);
        self
    }

    /// Adds content that is ready: well-formed, written for surroundings whose default is `jabber:client`
    /// (`Stanza::inner` of another stanza, say).
    #[must_use]
    pub fn raw(mut self, inner: &str) -> Self {
        self.inner.push_str(inner);
        self
    }

    /// The stanza as text, for where nobody looks into it any more.
    pub fn text(&self) -> String {
        let mut w = Writer::after(String::with_capacity(self.inner.len() + 192));
        w.open(self.kind.name()).jid("from", self.from.as_ref()).jid("to", self.to.as_ref());
        w.attr_opt("id", self.id.as_deref()).attr_opt("type", self.type_.as_deref());
        w.attr_opt("xml:lang", self.lang.as_deref()).raw(&self.inner);
        w.finish()
    }

    /// The stanza.
    pub fn build(self) -> Stanza {
        Stanza::parse(&self.text()).expect("a writer writes well-formed XML; raw content was read before")
    }
}
