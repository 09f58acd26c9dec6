//! Software version (XEP-0092). The operating system is nobody's business.

use super::{Answer, Context, Target};
use crate::ns;
use crate::stanza::Condition;
use crate::xml::Element;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    if context.target != Target::Server {
        return Err(Condition::ServiceUnavailable);
    }
    let field = |name, value| Element::new(name, ns::VERSION).text(value);
    Ok(Some(
        Element::new("query", ns::VERSION)
            .child(field("name", "Parlour"))
            .child(field("version", env!("CARGO_PKG_VERSION"))),
    ))
}
