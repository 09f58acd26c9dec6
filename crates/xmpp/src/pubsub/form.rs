//! Data forms as requests carry them (XEP-0004): fields with their values, and forms that we write.

use crate::ns;
use crate::xml::Element;

/// The fields of a form that was submitted, with its FORM_TYPE left out; `None`: it is not of this type, or not submitted.
pub(crate) fn submitted(form: &Element, form_type: &str) -> Option<Vec<(String, Vec<String>)>> {
    if form.get("type") != Some("submit") {
        return None;
    }
    let mut fields = fields(form);
    let typed = fields.iter().position(|(var, _)| var == "FORM_TYPE");
    if let Some(typed) = typed
        && fields.remove(typed).1.first().is_some_and(|value| value != form_type)
    {
        return None;
    }
    Some(fields)
}

/// All fields with a name, and their values.
pub(crate) fn fields(form: &Element) -> Vec<(String, Vec<String>)> {
    let fields = form.children().filter(|child| child.is("field", ns::DATA_FORMS));
    let values = |field: &Element| {
        let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
        values.map(Element::content).collect()
    };
    fields.filter_map(|field| Some((field.get("var")?.to_owned(), values(field)))).collect()
}

/// A form of this kind (`form`, `submit`, `result`) and type.
pub(crate) fn begin(kind: &'static str, form_type: &str) -> Element {
    let own = field("FORM_TYPE", "hidden", [form_type.to_owned()]);
    Element::new("x", ns::DATA_FORMS).attr("type", kind).child(own)
}

/// A field with its values.
pub(crate) fn field(
    var: impl Into<String>,
    kind: &'static str,
    values: impl IntoIterator<Item = String>,
) -> Element {
    let values = values.into_iter().map(|value| Element::new("value", ns::DATA_FORMS).text(value));
    Element::new("field", ns::DATA_FORMS).attr("var", var.into()).attr("type", kind).children_from(values)
}
