//! What a client asks of an archive: the filters of its form (XEP-0313 §4.1) and the page that it wants (XEP-0059).

use crate::jid::Jid;
use crate::ns;
use crate::router::ask::Span;
use crate::stanza::Condition;
use crate::xep::delay;
use crate::xml::Element;

/// How many messages a page has where the client names no number.
const USUAL: u32 = 50;
/// The longest name of a question.
const LONGEST_ID: usize = 1024;
/// The most ids that a client may ask for at once.
const MOST_IDS: usize = 100;

/// A question to an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) span: Span,
    /// Whether the end of the span is wanted.
    pub(crate) last: bool,
    /// How many; 0 = only their number.
    pub(crate) max: u32,
    /// Whether the newest is to come first.
    pub(crate) flip: bool,
    pub(crate) queryid: Option<String>,
    /// Ids that must be in the archive, or the question is at fault; each once.
    pub(crate) named: Vec<i64>,
}

/// Reads the `<query/>`.
pub(crate) fn read(query: &Element, most: u32) -> Result<Asked, Condition> {
    if query.get("node").is_some_and(|node| !node.is_empty()) {
        return Err(Condition::ItemNotFound);
    }
    // Each message of the answer says it again.
    if query.get("queryid").is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(Condition::PolicyViolation);
    }
    let mut asked = Asked {
        span: Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None },
        last: false,
        max: USUAL.min(most),
        flip: query.find("flip-page", ns::MAM).is_some(),
        queryid: query.get("queryid").map(str::to_owned),
        named: Vec::new(),
    };
    if let Some(form) = query.find("x", ns::DATA_FORMS) {
        read_form(form, &mut asked)?;
    }
    if let Some(set) = query.find("set", ns::RSM) {
        read_page(set, &mut asked, most)?;
    }
    // Those that are asked for, and the ends of a page.
    if asked.named.len() > MOST_IDS + 2 {
        return Err(Condition::PolicyViolation);
    }
    asked.named.sort_unstable();
    asked.named.dedup();
    Ok(asked)
}

fn values<'a>(field: &'a Element) -> impl Iterator<Item = String> + 'a {
    field.children().filter(|child| child.is("value", ns::DATA_FORMS)).map(Element::content)
}

fn read_form(form: &Element, asked: &mut Asked) -> Result<(), Condition> {
    if form.get("type") != Some("submit") {
        return Err(Condition::BadRequest);
    }
    for field in form.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
        let Some(value) = values(field).next() else { continue };
        match field.get("var").unwrap_or_default() {
            "FORM_TYPE" if value != ns::MAM => return Err(Condition::BadRequest),
            "FORM_TYPE" | "include-groupchat" => {}
            "with" => {
                let with: Jid = value.parse().map_err(|_| Condition::JidMalformed)?;
                asked.span.peer = Some(with.bare().as_str().to_owned());
                asked.span.resource = with.resource().map(str::to_owned);
            }
            "start" => {
                let start = super::id_at(delay::read(&value).ok_or(Condition::BadRequest)?);
                asked.span.after = asked.span.after.max(start - 1);
            }
            "end" => {
                // To the end of that microsecond.
                let end = super::id_at(delay::read(&value).ok_or(Condition::BadRequest)?);
                asked.span.before = asked.span.before.min(end.saturating_add(super::PER_MICROSECOND));
            }
            "after-id" => after(&value, asked)?,
            "before-id" => before(&value, asked)?,
            "ids" => {
                let ids = values(field).map(|id| number(&id)).collect::<Result<Vec<i64>, _>>()?;
                asked.named.extend(&ids);
                asked.span.only = Some(ids);
            }
            _ => return Err(Condition::FeatureNotImplemented),
        }
    }
    Ok(())
}

/// XEP-0059 §2.
fn read_page(set: &Element, asked: &mut Asked, most: u32) -> Result<(), Condition> {
    for child in set.children().filter(|child| child.namespace() == ns::RSM) {
        let text = child.content();
        match child.name() {
            "max" => asked.max = text.trim().parse::<u32>().map_err(|_| Condition::BadRequest)?.min(most),
            "after" if !text.is_empty() => after(&text, asked)?,
            "before" => {
                asked.last = true;
                if !text.is_empty() {
                    before(&text, asked)?;
                }
            }
            "index" => return Err(Condition::FeatureNotImplemented),
            _ => {}
        }
    }
    Ok(())
}

fn after(text: &str, asked: &mut Asked) -> Result<(), Condition> {
    let id = number(text)?;
    asked.named.push(id);
    asked.span.after = asked.span.after.max(id);
    Ok(())
}

fn before(text: &str, asked: &mut Asked) -> Result<(), Condition> {
    let id = number(text)?;
    asked.named.push(id);
    asked.span.before = asked.span.before.min(id);
    Ok(())
}

/// An id that we never gave is in no archive (§4.3.1).
fn number(text: &str) -> Result<i64, Condition> {
    text.parse().ok().filter(|id| *id > 0).ok_or(Condition::ItemNotFound)
}

/// The form that says what may be asked (§4.1.5).
pub(crate) fn form() -> Element {
    let field = |var: &'static str, kind: &'static str| {
        Element::new("field", ns::DATA_FORMS).attr("type", kind).attr("var", var)
    };
    let own = field("FORM_TYPE", "hidden").child(Element::new("value", ns::DATA_FORMS).text(ns::MAM));
    let fields = [
        own,
        field("with", "jid-single"),
        field("start", "text-single"),
        field("end", "text-single"),
        field("before-id", "text-single"),
        field("after-id", "text-single"),
        field("ids", "list-multi"),
        field("include-groupchat", "boolean"),
    ];
    let form = Element::new("x", ns::DATA_FORMS).attr("type", "form").children_from(fields);
    Element::new("query", ns::MAM).child(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(inner: &str) -> Result<Asked, Condition> {
        let query =
            Element::parse(&format!("<query xmlns='urn:xmpp:mam:2' queryid='q'>{inner}</query>"), ns::CLIENT);
        read(&query.unwrap(), 100)
    }

    fn form(fields: &str) -> Result<Asked, Condition> {
        asked(&format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>"))
    }

    fn field(var: &str, value: &str) -> String {
        format!("<field var='{var}'><value>{value}</value></field>")
    }

    #[test]
    fn filters() {
        let all = asked("").unwrap();
        assert_eq!((all.span.after, all.span.before, all.max, all.last), (0, i64::MAX, 50, false));
        let one =
            form(&(field("FORM_TYPE", "urn:xmpp:mam:2") + &field("with", "Romeo@Verona.example/a"))).unwrap();
        assert_eq!(one.span.peer.as_deref(), Some("romeo@verona.example"));
        assert_eq!(one.span.resource.as_deref(), Some("a"));
        let day =
            form(&(field("start", "1970-01-01T00:00:01Z") + &field("end", "1970-01-01T00:00:02Z"))).unwrap();
        assert_eq!((day.span.after, day.span.before), (1_000_000 * 1024 - 1, 2_000_001 * 1024));
        let ids = form("<field var='ids'><value>7</value><value>9</value></field>").unwrap();
        assert_eq!((ids.span.only, ids.named), (Some(vec![7, 9]), vec![7, 9]));
    }

    #[test]
    fn pages() {
        let set = |inner: &str| asked(&format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"));
        let last = set("<max>10</max><before/>").unwrap();
        assert_eq!((last.max, last.last), (10, true));
        let next = set("<max>1000</max><after>7</after>").unwrap();
        assert_eq!((next.max, next.span.after, next.named), (100, 7, vec![7]));
        assert_eq!(set("<max>x</max>"), Err(Condition::BadRequest));
        assert_eq!(set("<max>-1</max>"), Err(Condition::BadRequest));
        assert_eq!(set("<index>3</index>"), Err(Condition::FeatureNotImplemented));
        assert_eq!(set("<after>1' OR '1'='1</after>"), Err(Condition::ItemNotFound));
        assert_eq!(set("<before>99999999999999999999</before>"), Err(Condition::ItemNotFound));
    }

    #[test]
    fn what_nobody_understands_is_refused() {
        assert_eq!(form(&field("FORM_TYPE", "urn:xmpp:mam:1")), Err(Condition::BadRequest));
        assert_eq!(form(&field("start", "yesterday")), Err(Condition::BadRequest));
        assert_eq!(form(&field("with", "a b@c")), Err(Condition::JidMalformed));
        let ids = "<field var='ids'><value>1</value><value>2</value></field>";
        assert!(form(&ids.repeat(50)).is_ok());
        assert_eq!(form(&ids.repeat(52)), Err(Condition::PolicyViolation));
        assert_eq!(form(&field("fulltext", "x")), Err(Condition::FeatureNotImplemented));
        assert_eq!(asked("<x xmlns='jabber:x:data' type='cancel'/>"), Err(Condition::BadRequest));
        let named = |length: usize| {
            let id = "x".repeat(length);
            let query = format!("<query xmlns='urn:xmpp:mam:2' queryid='{id}'/>");
            read(&Element::parse(&query, ns::CLIENT).unwrap(), 100).map(|asked| asked.queryid.is_some())
        };
        assert_eq!(named(LONGEST_ID), Ok(true));
        assert_eq!(named(LONGEST_ID + 1), Err(Condition::PolicyViolation));
        let node = Element::parse("<query xmlns='urn:xmpp:mam:2' node='n'/>", ns::CLIENT).unwrap();
        assert_eq!(read(&node, 100), Err(Condition::ItemNotFound));
    }
}
