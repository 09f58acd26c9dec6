//! The XML reader: a stream cut anywhere, each element as a tree and as a stanza.

use xmpp::jid::Jid;
use xmpp::stanza::Stanza;
use xmpp::xml::{Event, Limits, Reader};

/// Reads `data` as a client's stream.
///
/// # Panics
/// When a reader breaks its promise.
pub fn xml(data: &[u8]) {
    let cut = data.first().map_or(0, |first| usize::from(*first).min(data.len()));
    assert_eq!(
        stream(&[data]),
        stream(&[&data[..cut], &data[cut..]]),
        "where a stream is cut does not matter"
    );
}

/// What comes of a stream that arrives in these pieces.
fn stream(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = Reader::new(Limits::STRANGER);
    let mut found = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.next(rest) {
                Ok((taken, event)) => {
                    assert!(taken > 0 || event.is_some(), "every call gets on");
                    rest = &rest[taken..];
                    found.extend(event.map(|event| look(&event)));
                }
                Err(fault) => {
                    found.push(format!("{fault:?}"));
                    return found;
                }
            }
        }
    }
    found
}

fn look(event: &Event<'_>) -> String {
    match event {
        Event::Open(header) => format!("open {} {:?}", header.namespace(), header.get("to")),
        Event::Close => "close".into(),
        Event::Element(fragment) => {
            let sender: Jid = "romeo@falcot.com/orchard".parse().expect("a full JID");
            if let Ok(stanza) = Stanza::receive(fragment, &sender, None) {
                let _ = format!("{stanza:?}");
            }
            if let Ok(element) = fragment.element() {
                let again = xmpp::xml::Element::parse(&element.to_xml(""), "");
                assert!(again.is_ok_and(|again| again == element), "what we write can be read: {element:?}");
            }
            format!("{} {}", fragment.name(), fragment.raw())
        }
    }
}
