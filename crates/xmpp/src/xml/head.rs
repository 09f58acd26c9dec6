//! What routing needs to know of a first-level element, noted down while the walk passes it.

use super::Span;
use super::lex::Attribute;
use super::scope::NsRef;
use super::walk::{Opened, Visitor};
use crate::stanza::marks::Marks;

/// An attribute of the opening tag that means something to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// With the white space before it.
    pub(crate) whole: Span,
    pub(crate) value: Span,
}

impl From<&Attribute> for Part {
    fn from(attribute: &Attribute) -> Self {
        Self { whole: attribute.whole, value: attribute.value }
    }
}

/// The first child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) name: Span,
    pub(crate) namespace: NsRef,
}

/// The opening tag of a first-level element, and what stands directly in it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Without prefix.
    pub(crate) name: Span,
    /// Behind the whole name, prefix and all.
    pub(crate) name_end: u32,
    pub(crate) has_prefix: bool,
    pub(crate) namespace: NsRef,
    pub(crate) from: Option<Part>,
    pub(crate) to: Option<Part>,
    pub(crate) kind: Option<Part>,
    pub(crate) id: Option<Part>,
    pub(crate) lang: Option<Part>,
    /// Behind the opening tag.
    pub(crate) tag_end: u32,
    pub(crate) child: Option<Child>,
    /// How many elements stand directly in it.
    pub(crate) children: u32,
    /// What stands directly in it.
    pub(crate) marks: Marks,
    /// What the last of these is.
    last: Marks,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            name: Span::default(),
            name_end: 0,
            has_prefix: false,
            namespace: NsRef::Absent,
            from: None,
            to: None,
            kind: None,
            id: None,
            lang: None,
            tag_end: 0,
            child: None,
            children: 0,
            marks: Marks::NONE,
            last: Marks::NONE,
        }
    }
}

impl Head {
    fn begin(&mut self, opened: &Opened<'_>) {
        let name = opened.tag.name;
        *self = Self {
            name: name.local_span(),
            name_end: name.span().end,
            has_prefix: name.has_prefix(),
            namespace: opened.namespace(),
            tag_end: Span::new(0, opened.tag.end).end,
            ..Self::default()
        };
        for attribute in opened.attributes {
            let part = Some(Part::from(attribute));
            match attribute.name.whole(opened.bytes) {
                b"from" => self.from = part,
                b"to" => self.to = part,
                b"type" => self.kind = part,
                b"id" => self.id = part,
                b"xml:lang" => self.lang = part,
                _ => {}
            }
        }
    }
}

impl Visitor for Head {
    fn open(&mut self, opened: &Opened<'_>) {
        match opened.depth {
            0 => self.begin(opened),
            1 => {
                self.children += 1;
                let (name, namespace) = (opened.tag.name.local_span(), opened.namespace());
                self.child.get_or_insert(Child { name, namespace });
                self.last = Marks::of_child(opened, namespace);
                self.marks = self.marks | self.last;
            }
            2 => self.marks = self.marks | Marks::of_grandchild(self.last, opened),
            _ => {}
        }
    }

    fn text(&mut self, _: &[u8], _: Span, _: bool) {}

    fn close(&mut self, _: usize, _: usize) {}
}
