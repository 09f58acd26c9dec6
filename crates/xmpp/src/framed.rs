//! XMPP in messages that each are an XML document of their own, as WebSockets carry them (RFC 7395): translated to the
//! stream that everything else here speaks, and back.

use crate::ns;
use crate::xml::lex;
use crate::xml::writer::escape_attribute;
use crate::xml::{Element, Event, Header, Limits, Reader};
use std::borrow::Cow;

/// The longest `<open/>` or `<close/>` that is looked at.
const LONGEST: usize = 4096;

/// What a message of a client is as a part of a stream.
pub fn inbound(message: &[u8]) -> Cow<'_, [u8]> {
    let frames = message.starts_with(b"<open") || message.starts_with(b"<close");
    let text = std::str::from_utf8(message).ok().filter(|text| frames && text.len() <= LONGEST);
    let element = text.and_then(|text| Element::parse(text.trim_end(), "").ok());
    match element.filter(|element| element.namespace() == ns::FRAMING) {
        Some(open) if open.name() == "open" => header(&open).into_bytes().into(),
        Some(close) if close.name() == "close" => crate::stream::END.as_bytes().into(),
        _ => message.into(),
    }
}

/// The header of a stream that says what `<open/>` says.
fn header(open: &Element) -> String {
    write_header(|name| open.get(name).map(Cow::from))
}

/// The header of a client's stream with these attributes.
pub(crate) fn write_header<'a>(get: impl Fn(&str) -> Option<Cow<'a, str>>) -> String {
    let mut text = format!("<stream:stream xmlns='{}' xmlns:stream='{}'", ns::CLIENT, ns::STREAM);
    push_attributes(&mut text, get);
    text + ">"
}

fn push_attributes<'a>(text: &mut String, get: impl Fn(&str) -> Option<Cow<'a, str>>) {
    for name in ["from", "to", "id", "version", "xml:lang"] {
        if let Some(value) = get(name) {
            text.push_str(&format!(" {name}='"));
            escape_attribute(&value, text);
            text.push('\'');
        }
    }
}

/// A part of what a stream of ours says.
pub(crate) enum Said<'a> {
    /// Its header.
    Header(&'a Header<'a>),
    /// An element of it, which stands alone.
    Element(Cow<'a, str>),
    /// Its end.
    End,
}

/// The messages that carry what a stream of ours says: its header, elements, its end, each whole.
pub fn outbound(said: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    each(said, |part| {
        messages.push(match part {
            Said::Header(header) => {
                let mut text = format!("<open xmlns='{}'", ns::FRAMING);
                push_attributes(&mut text, |name| header.get(name));
                text + "/>"
            }
            Said::Element(element) => element.into_owned(),
            Said::End => format!("<close xmlns='{}'/>", ns::FRAMING),
        });
    });
    messages
}

/// Tells `hear` the parts of what a stream of ours says.
pub(crate) fn each(said: &[u8], mut hear: impl FnMut(Said<'_>)) {
    let mut reader = Reader::new(Limits::OWN);
    let mut begins = said.starts_with(b"<?xml");
    let surroundings = format!("<stream:stream xmlns='{}' xmlns:stream='{}'>", ns::CLIENT, ns::STREAM);
    let before: &[u8] = if begins { b"" } else { surroundings.as_bytes() };
    let all = [before, said].concat();
    let mut rest = &all[..];
    while !rest.is_empty() {
        // What we say is well-formed.
        let Ok((used, event)) = reader.next(rest) else { break };
        rest = &rest[used..];
        match event {
            Some(Event::Open(header)) if std::mem::take(&mut begins) => hear(Said::Header(&header)),
            Some(Event::Open(_)) | None => {}
            Some(Event::Element(element)) => hear(Said::Element(stanza(element.raw()))),
            Some(Event::Close) => hear(Said::End),
        }
    }
}

/// A stanza, or another element of a stream of ours, that says itself which namespace it is in.
pub fn stanza(raw: &str) -> Cow<'_, str> {
    within(raw, ns::CLIENT)
}

/// An element that says itself which namespace it is in, where its surroundings did.
pub(crate) fn within<'a>(raw: &'a str, namespace: &str) -> Cow<'a, str> {
    let mut attributes = Vec::new();
    let Ok(Some(tag)) = lex::tag(raw.as_bytes(), 0, Limits::OWN, &mut attributes) else { return raw.into() };
    if attributes.iter().any(|attribute| attribute.name.whole(raw.as_bytes()) == b"xmlns") {
        return raw.into();
    }
    let (name, rest) = raw.split_at(tag.name.whole(raw.as_bytes()).len() + 1);
    let mut text = format!("{name} xmlns='");
    escape_attribute(namespace, &mut text);
    (text + "'" + rest).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in(message: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&inbound(message.as_bytes())), expected, "{message}");
    }

    #[test]
    fn what_clients_send() {
        check_in(
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='falcot.com' version='1.0' xml:lang='d&apos;e'/>",
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='falcot.com' \
             version='1.0' xml:lang='d&apos;e'>",
        );
        check_in("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />\n", "</stream:stream>");
        for other in [
            "<message xmlns='jabber:client'/>",
            "<open xmlns='urn:example' to='falcot.com'/>",
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='falcot.com'>",
            "<open/><open/>",
        ] {
            check_in(other, other);
        }
    }

    fn check_out(said: &str, expected: &[&str]) {
        assert_eq!(outbound(said.as_bytes()), expected, "{said}");
    }

    #[test]
    fn what_we_say() {
        check_out(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             id='a' from='falcot.com' version='1.0' xml:lang='en'><stream:features><a xmlns='x'/></stream:features>",
            &[
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='falcot.com' id='a' version='1.0' xml:lang='en'/>",
                "<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><a xmlns='x'/>\
                 </stream:features>",
            ],
        );
        check_out(
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
            &[
                "<stream:error xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
                 <reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
                "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            ],
        );
        check_out(
            "<success xmlns='s'/><r xmlns='urn:xmpp:sm:3'/>",
            &["<success xmlns='s'/>", "<r xmlns='urn:xmpp:sm:3'/>"],
        );
        check_out("<iq id='1' type='result'/>", &["<iq xmlns='jabber:client' id='1' type='result'/>"]);
    }

    #[test]
    fn stanzas_name_their_namespace_once() {
        for (raw, expected) in [
            ("<message/>", "<message xmlns='jabber:client'/>"),
            (
                "<message to='x>y'><body>a</body></message>",
                "<message xmlns='jabber:client' to='x>y'><body>a</body></message>",
            ),
            ("<message from='a' xmlns='jabber:client'/>", "<message from='a' xmlns='jabber:client'/>"),
            (
                "<c:message xmlns:c='jabber:client'><c:body/><x/></c:message>",
                "<c:message xmlns='jabber:client' xmlns:c='jabber:client'><c:body/><x/></c:message>",
            ),
        ] {
            assert_eq!(stanza(raw), expected);
        }
    }
}
