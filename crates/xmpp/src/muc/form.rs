//! Data forms (XEP-0004) as rooms use them.

use crate::ns;
use crate::stanza::Condition;
use crate::xml::Element;

/// A field of a form in the making.
pub(crate) fn field(var: &str, kind: &'static str, label: &str) -> Element {
    let field = Element::new("field", ns::DATA_FORMS).attr("var", var).attr("type", kind);
    if label.is_empty() { field } else { field.attr("label", label) }
}

pub(crate) fn value(text: impl Into<String>) -> Element {
    Element::new("value", ns::DATA_FORMS).text(text)
}

/// The hidden field that says what the form is.
pub(crate) fn form_type(name: &str) -> Element {
    field("FORM_TYPE", "hidden", "").child(value(name))
}

pub(crate) fn text(var: &str, label: &str, content: &str) -> Element {
    let field = field(var, "text-single", label);
    if content.is_empty() { field } else { field.child(value(content)) }
}

pub(crate) fn flag(var: &str, label: &str, on: bool) -> Element {
    field(var, "boolean", label).child(value(if on { "1" } else { "0" }))
}

/// One of several: values with their labels.
pub(crate) fn choice(var: &str, label: &str, chosen: &str, options: &[(&str, &str)]) -> Element {
    let option = |(name, label): &(&str, &str)| {
        Element::new("option", ns::DATA_FORMS).attr("label", *label).child(value(*name))
    };
    field(var, "list-single", label).child(value(chosen)).children_from(options.iter().map(option))
}

/// A form around its fields.
pub(crate) fn form(kind: &'static str, fields: impl IntoIterator<Item = Element>) -> Element {
    Element::new("x", ns::DATA_FORMS).attr("type", kind).children_from(fields)
}

/// What somebody has filled in.
#[derive(Debug)]
pub(crate) struct Filled<'a>(&'a Element);

impl<'a> Filled<'a> {
    /// A form of type `submit` that says to be a `kind`.
    pub(crate) fn read(form: &'a Element, kind: &str) -> Result<Self, Condition> {
        let filled = Self(form);
        let named = filled.get("FORM_TYPE");
        if form.get("type") != Some("submit") || named.is_some_and(|named| named != kind) {
            return Err(Condition::BadRequest);
        }
        Ok(filled)
    }

    fn find(&self, var: &str) -> Option<&'a Element> {
        let mut fields = self.0.children().filter(|child| child.is("field", ns::DATA_FORMS));
        fields.find(|field| field.get("var") == Some(var))
    }

    /// Whether the field is there at all.
    pub(crate) fn has(&self, var: &str) -> bool {
        self.find(var).is_some()
    }

    /// The first value of a field; empty where the field has none.
    pub(crate) fn get(&self, var: &str) -> Option<String> {
        Some(self.all(var)?.into_iter().next().unwrap_or_default())
    }

    /// All values of a field.
    pub(crate) fn all(&self, var: &str) -> Option<Vec<String>> {
        let values = self.find(var)?.children().filter(|child| child.is("value", ns::DATA_FORMS));
        Some(values.map(Element::content).collect())
    }

    /// A truth (XEP-0004 §3.3).
    pub(crate) fn flag(&self, var: &str) -> Result<Option<bool>, Condition> {
        match self.get(var).as_deref() {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false" | "") => Ok(Some(false)),
            Some(_) => Err(Condition::BadRequest),
        }
    }
}
