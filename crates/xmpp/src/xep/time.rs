//! Entity time (XEP-0202): the server's clock, in UTC.

use super::{Answer, Context, Target, delay};
use crate::ns;
use crate::stanza::Condition;
use crate::xml::Element;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    if context.target != Target::Server {
        return Err(Condition::ServiceUnavailable);
    }
    let field = |name, value: String| Element::new(name, ns::TIME).text(value);
    Ok(Some(
        Element::new("time", ns::TIME)
            .child(field("tzo", "+00:00".to_owned()))
            .child(field("utc", delay::date(context.now))),
    ))
}
