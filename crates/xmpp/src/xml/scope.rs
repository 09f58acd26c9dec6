//! Which prefix stands for which namespace where (Namespaces in XML 1.0), without a copy of any name.
//!
//! Declarations of a stanza are kept as places in its bytes; only those of the stream header are copied.

use super::lex::{Attribute, Name, check_names};
use super::text::unescape_attribute;
use super::{Fault, Span};
use crate::ns;
use std::borrow::Cow;
use std::collections::HashSet;

/// Which namespace a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NsRef {
    /// None was declared.
    Absent,
    /// What the `xml` prefix always stands for.
    Xml,
    /// The so-manieth declaration of the stream header.
    Root(u16),
    /// Declared in the bytes at hand, here (references and all).
    Here(Span),
}

/// A declaration in force. An empty prefix is the default namespace.
#[derive(Clone, Copy, Debug)]
struct Binding {
    prefix: Span,
    uri: Span,
}

/// The declarations in force. Those of the stream header come first and stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The text that the header's bindings point into.
    root: String,
    roots: u16,
    bindings: Vec<Binding>,
    /// Which of the header's prefixes the bytes at hand lean on, one bit each.
    leaned: u64,
}

impl Scope {
    /// A scope in which `uri` is the default.
    pub(crate) fn with_default(uri: &str) -> Self {
        let mut scope = Self::default();
        scope.keep("", uri);
        scope
    }

    fn keep(&mut self, prefix: &str, uri: &str) {
        let start = self.root.len();
        self.root.push_str(prefix);
        self.root.push_str(uri);
        let middle = start + prefix.len();
        self.bindings
            .push(Binding { prefix: Span::new(start, middle), uri: Span::new(middle, self.root.len()) });
        self.roots += 1;
    }

    /// Takes what a stream header declares for as long as the stream lasts.
    pub(crate) fn begin(&mut self, header: &str, name: &Name, attributes: &[Attribute]) -> Result<(), Fault> {
        *self = Self::default();
        for attribute in attributes {
            if let Some(prefix) = declares(header.as_bytes(), attribute)? {
                let prefix = std::str::from_utf8(prefix).map_err(|_| Fault::Encoding)?.to_owned();
                self.keep(&prefix, &unescape_attribute(attribute.value.str(header)));
            }
        }
        // One bit each in `leaned`.
        if self.roots > 64 {
            return Err(Fault::TooManyAttributes);
        }
        self.check_prefixes(header.as_bytes(), name, attributes)?;
        self.reset();
        Ok(())
    }

    /// Back to what the header declared.
    pub(crate) fn reset(&mut self) {
        self.bindings.truncate(usize::from(self.roots));
        self.leaned = 0;
    }

    /// How many declarations are in force: for `leave`.
    pub(crate) fn mark(&self) -> u32 {
        u32::try_from(self.bindings.len()).expect("`enter` keeps them below u16::MAX")
    }

    /// Takes what an element declares and checks the prefixes that it uses.
    pub(crate) fn enter(
        &mut self,
        bytes: &[u8],
        name: &Name,
        attributes: &[Attribute],
        most: u16,
    ) -> Result<(), Fault> {
        for attribute in attributes {
            if let Some(prefix) = declares(bytes, attribute)? {
                let prefix = if prefix.is_empty() { Span::default() } else { attribute.name.local_span() };
                self.bindings.push(Binding { prefix, uri: attribute.value });
            }
        }
        // So that looking one up stays cheap whatever a peer declares.
        if self.bindings.len() > usize::from(most) + usize::from(self.roots) {
            return Err(Fault::TooManyAttributes);
        }
        self.check_prefixes(bytes, name, attributes)
    }

    /// Forgets what was declared since `mark`.
    pub(crate) fn leave(&mut self, mark: u32) {
        self.bindings.truncate(mark as usize);
    }

    fn check_prefixes(&mut self, bytes: &[u8], name: &Name, attributes: &[Attribute]) -> Result<(), Fault> {
        if name.has_prefix() {
            if name.prefix(bytes) == b"xml" {
                return Err(Fault::NotWellFormed);
            }
            self.lean(bytes, name)?;
        }
        let mut prefixed = 0;
        for attribute in attributes.iter().filter(|a| a.name.has_prefix()) {
            if !matches!(attribute.name.prefix(bytes), b"xml" | b"xmlns") {
                prefixed += 1;
                self.lean(bytes, &attribute.name)?;
            }
        }
        check_names(bytes, attributes)?;
        if prefixed > 1 { self.check_expanded(bytes, attributes) } else { Ok(()) }
    }

    /// Namespaces in XML §6.3: two prefixes for one namespace do not make two attributes.
    fn check_expanded(&self, bytes: &[u8], attributes: &[Attribute]) -> Result<(), Fault> {
        let mut seen = HashSet::new();
        let prefixed = attributes.iter().filter(|a| a.name.has_prefix());
        for name in prefixed.map(|a| a.name).filter(|n| n.prefix(bytes) != b"xmlns") {
            let uri = self.uri_bytes(bytes, self.resolve(bytes, &name));
            if !seen.insert((uri, name.local(bytes))) {
                return Err(Fault::NotWellFormed);
            }
        }
        Ok(())
    }

    /// Checks that a prefix is declared, and notes where the stream header did it.
    fn lean(&mut self, bytes: &[u8], name: &Name) -> Result<(), Fault> {
        match self.resolve(bytes, name) {
            NsRef::Absent => Err(Fault::NotWellFormed),
            NsRef::Root(at) => {
                self.leaned |= 1_u64.checked_shl(u32::from(at)).unwrap_or(0);
                Ok(())
            }
            NsRef::Xml | NsRef::Here(_) => Ok(()),
        }
    }

    /// The namespace of an element's name (an attribute without prefix has none: do not ask).
    pub(crate) fn resolve(&self, bytes: &[u8], name: &Name) -> NsRef {
        let prefix = name.prefix(bytes);
        if prefix == b"xml" {
            return NsRef::Xml;
        }
        for (at, binding) in self.bindings.iter().enumerate().rev() {
            if at < usize::from(self.roots) {
                if binding.prefix.str(&self.root).as_bytes() == prefix {
                    let at = u16::try_from(at).expect("below roots, a u16");
                    return NsRef::Root(at);
                }
            } else if binding.prefix.of(bytes) == prefix {
                return NsRef::Here(binding.uri);
            }
        }
        NsRef::Absent
    }

    /// What a reference to a namespace means; `text` is what the scope's bytes were.
    pub(crate) fn uri<'a>(&'a self, text: &'a str, namespace: NsRef) -> Cow<'a, str> {
        match namespace {
            NsRef::Absent => "".into(),
            NsRef::Xml => ns::XML.into(),
            NsRef::Root(at) => self.bindings[usize::from(at)].uri.str(&self.root).into(),
            NsRef::Here(span) => unescape_attribute(span.str(text)),
        }
    }

    /// The same for bytes of which nobody knows yet that they are UTF-8.
    pub(crate) fn uri_bytes<'a>(&'a self, bytes: &'a [u8], namespace: NsRef) -> Cow<'a, [u8]> {
        match namespace {
            NsRef::Here(span) => match std::str::from_utf8(span.of(bytes)).map(unescape_attribute) {
                Ok(Cow::Owned(uri)) => uri.into_bytes().into(),
                _ => span.of(bytes).into(),
            },
            NsRef::Root(at) => self.bindings[usize::from(at)].uri.str(&self.root).as_bytes().into(),
            NsRef::Xml => ns::XML.as_bytes().into(),
            NsRef::Absent => Cow::Borrowed(b""),
        }
    }

    /// The header's declarations that the bytes at hand lean on, as (prefix, namespace).
    pub(crate) fn leaned_on(&self) -> impl Iterator<Item = (&str, &str)> {
        let of = |binding: &Binding| (binding.prefix.range(), binding.uri.range());
        let roots = self.bindings.iter().take(usize::from(self.roots)).map(of);
        let leaned = roots.enumerate().filter(|(at, _)| self.leaned >> at & 1 == 1);
        leaned.map(|(_, (prefix, uri))| (&self.root[prefix], &self.root[uri]))
    }

    /// Whether the bytes at hand lean on the header.
    pub(crate) fn leans(&self) -> bool {
        self.leaned != 0
    }
}

/// The prefix that an attribute declares (empty for the default namespace), `None` where it declares none.
fn declares<'a>(bytes: &'a [u8], attribute: &Attribute) -> Result<Option<&'a [u8]>, Fault> {
    let name = &attribute.name;
    let prefix: &[u8] = match name.prefix(bytes) {
        b"" if name.whole(bytes) == b"xmlns" => b"",
        b"xmlns" => name.local(bytes),
        _ => return Ok(None),
    };
    // Namespaces in XML §3: the two reserved prefixes and their namespaces, and no prefix for nothing.
    // What counts is what the value means: a reference in it would be gone as soon as it is written anew.
    let raw = std::str::from_utf8(attribute.value.of(bytes)).map_err(|_| Fault::Encoding)?;
    let uri = unescape_attribute(raw);
    let reserved = uri == ns::XML || uri == ns::XMLNS;
    let right = match prefix {
        b"xml" => uri == ns::XML,
        b"xmlns" => false,
        b"" => !reserved,
        _ => !reserved && !uri.is_empty(),
    };
    if right { Ok(Some(prefix)) } else { Err(Fault::NotWellFormed) }
}
