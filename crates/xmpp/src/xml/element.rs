//! A small owned tree, for what the server itself answers or keeps. Routed stanzas never become one.

use super::lex::Attribute;
use super::scope::Scope;
use super::text::{unescape_attribute, unescape_text};
use super::walk::{Opened, Visitor, Walk};
use super::writer::{escape_attribute, escape_text};
use super::{Fault, Limits, Span};
use crate::ns;
use std::borrow::Cow;

/// An element, its namespace resolved: prefixes are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: Cow<'static, str>,
    namespace: Cow<'static, str>,
    attributes: Vec<(Cow<'static, str>, String)>,
    children: Vec<Node>,
}

/// What stands in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Another element.
    Element(Element),
    /// Text, references resolved.
    Text(String),
}

impl Element {
    /// An element with nothing in it.
    pub fn new(name: impl Into<Cow<'static, str>>, namespace: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), attributes: Vec::new(), children: Vec::new() }
    }

    /// Reads an element whose surroundings have `namespace` as their default. It came through a reader already, or was
    /// kept by us: only what no stream can carry is refused.
    pub fn parse(text: &str, namespace: &str) -> Result<Self, Fault> {
        let mut walk = Walk::new(Scope::with_default(namespace), Limits::OWN);
        let mut tree = Tree::default();
        super::text::check(text.as_bytes())?;
        match walk.go(text.as_bytes(), &mut tree)? {
            Some(end) if text[end..].bytes().all(super::lex::is_white) => {
                tree.root.ok_or(Fault::NotWellFormed)
            }
            _ => Err(Fault::NotWellFormed),
        }
    }

    /// The same with an attribute more.
    #[must_use]
    pub fn attr(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// The same with an attribute more where there is a value.
    #[must_use]
    pub fn attr_opt(self, name: impl Into<Cow<'static, str>>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// The same with a child more.
    #[must_use]
    pub fn child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// The same with more children.
    #[must_use]
    pub fn children_from(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// The same with text more.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// Sets an attribute. `xml:lang` is the only name with a prefix that may be given here.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let name = name.into();
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((name, value.into())),
        }
    }

    /// Adds a child.
    pub fn push(&mut self, child: Element) {
        self.children.push(Node::Element(child));
    }

    /// The name without prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// The value of an attribute; `xml:lang` is found under that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All attributes, in order: names as [`Self::get`] takes them, values with references resolved.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// The child elements, in order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name and namespace.
    pub fn find(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, namespace))
    }

    /// The text that stands directly in it.
    pub fn content(&self) -> String {
        let texts = self.children.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// Appends the element, for surroundings whose default namespace is `default`.
    pub fn write(&self, default: &str, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        if self.namespace != default {
            push_attribute("xmlns", &self.namespace, out);
        }
        for (name, value) in &self.attributes {
            self.write_attribute(name, value, out);
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(&self.namespace, out),
                Node::Text(text) => escape_text(text, out),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }

    /// A foreign attribute is kept as `{namespace}name`: it gets a prefix of its own.
    fn write_attribute(&self, name: &str, value: &str, out: &mut String) {
        match name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
            None => push_attribute(name, value, out),
            Some((namespace, local)) => {
                let prefix = format!("p{}", out.len());
                push_attribute(&format!("xmlns:{prefix}"), namespace, out);
                push_attribute(&format!("{prefix}:{local}"), value, out);
            }
        }
    }

    /// The element as text, for surroundings whose default namespace is `default`.
    pub fn to_xml(&self, default: &str) -> String {
        let mut out = String::new();
        self.write(default, &mut out);
        out
    }
}

fn push_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape_attribute(value, out);
    out.push('\'');
}

/// Builds the tree. The bytes were checked to be UTF-8 before the walk.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("checked before the walk; markup never cuts a character")
}

impl Visitor for Tree {
    fn open(&mut self, opened: &Opened<'_>) {
        let text = utf8(opened.bytes);
        let namespace = match opened.scope.uri(text, opened.namespace()) {
            uri if ns::known(&uri).is_some() => Cow::Borrowed(ns::known(&uri).unwrap_or_default()),
            uri => Cow::Owned(uri.into_owned()),
        };
        let name = opened.tag.name.local_span().str(text).to_owned();
        let mut element = Element::new(name, namespace);
        for attribute in opened.attributes {
            if let Some(name) = attribute_name(text, opened.scope, attribute) {
                let value = unescape_attribute(attribute.value.str(text)).into_owned();
                element.attributes.push((name.into(), value));
            }
        }
        self.open.push(element);
    }

    fn text(&mut self, bytes: &[u8], at: Span, literal: bool) {
        let raw = utf8(at.of(bytes));
        let text = if literal { raw.into() } else { unescape_text(raw) };
        if let Some(element) = self.open.last_mut() {
            match element.children.last_mut() {
                Some(Node::Text(before)) => before.push_str(&text),
                _ if text.is_empty() => {}
                _ => element.children.push(Node::Text(text.into_owned())),
            }
        }
    }

    fn close(&mut self, _: usize, _: usize) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }
}

/// `name`, `xml:lang` or `{namespace}name`; `None` for a declaration.
fn attribute_name(text: &str, scope: &Scope, attribute: &Attribute) -> Option<String> {
    let name = &attribute.name;
    match name.prefix(text.as_bytes()) {
        b"" if name.whole(text.as_bytes()) == b"xmlns" => None,
        b"xmlns" => None,
        b"" | b"xml" => Some(name.span().str(text).to_owned()),
        _ => {
            let namespace = scope.uri(text, scope.resolve(text.as_bytes(), name));
            Some(format!("{{{namespace}}}{}", name.local_span().str(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, Fault>) {
        let read = Element::parse(input, ns::CLIENT).map(|element| element.to_xml(ns::CLIENT));
        assert_eq!(read.as_deref().map_err(|e| *e), expected, "{input}");
    }

    #[test]
    fn reads_what_it_writes() {
        check("<iq/>", Ok("<iq/>"));
        check(
            "<iq type='get' id='&lt;1'> <q xmlns='a:b'/> </iq>",
            Ok("<iq type='get' id='&lt;1'> <q xmlns='a:b'/> </iq>"),
        );
        check(
            "<a:b xmlns:a='x:y' c='1'><a:d/><e/></a:b>",
            Ok("<b xmlns='x:y' c='1'><d/><e xmlns='jabber:client'/></b>"),
        );
        check("<a xml:lang='en'><![CDATA[<&]]>!</a>", Ok("<a xml:lang='en'>&lt;&amp;!</a>"));
        check("<a xmlns=''><b xmlns='jabber:client'/></a>", Ok("<a xmlns=''><b xmlns='jabber:client'/></a>"));
        check("<a xmlns:p='u:v' p:b='1'/>", Ok("<a xmlns:p2='u:v' p2:b='1'/>"));
        check("<a xmlns:p='u}v' p:b='1'/>", Ok("<a xmlns:p2='u}v' p2:b='1'/>"));
    }

    #[test]
    fn refuses_what_is_no_element() {
        for bad in ["", "x", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<p:a/>", "<a b='1' b='2'/>", "</a>"] {
            check(bad, Err(Fault::NotWellFormed));
        }
        check("<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", Err(Fault::NotWellFormed));
        check("<a xmlns:xml='u'/>", Err(Fault::NotWellFormed));
        check("<a xmlns:b=''/>", Err(Fault::NotWellFormed));
        // Nobody may write with references what could not be written anew.
        check("<a xmlns='http://www.w3.org/XML/1998/namespac&#101;'/>", Err(Fault::NotWellFormed));
        check("<p:a xmlns:p='http://www.w3.org/2000/xmlns&#x2f;'/>", Err(Fault::NotWellFormed));
        check("<a><!-- --></a>", Err(Fault::Restricted));
        check("<a>&b;</a>", Err(Fault::Restricted));
        check(&"<a>".repeat(1025), Err(Fault::TooDeep));
    }

    #[test]
    fn finds_things() {
        let element = Element::new("query", ns::ROSTER)
            .attr("ver", "1")
            .child(Element::new("item", ns::ROSTER).attr("jid", "a@b").text("x").text("y"));
        assert!(element.is("query", ns::ROSTER) && element.get("ver") == Some("1"));
        let item = element.find("item", ns::ROSTER).unwrap();
        assert_eq!((item.get("jid"), item.get("name"), item.content().as_str()), (Some("a@b"), None, "xy"));
        assert_eq!(element.to_xml(ns::ROSTER), "<query ver='1'><item jid='a@b'>xy</item></query>");
    }
}
