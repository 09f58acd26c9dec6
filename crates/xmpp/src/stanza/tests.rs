//! Stanzas in, stamped and out again.

use super::*;
use crate::xml::{Event, Limits, Reader};

const ROMEO: &str = "romeo@example.net/orchard";

fn received(header: &str, xml: &str, lang: Option<&str>) -> Result<Stanza, Refused> {
    received_again(header, xml, lang, None)
}

fn received_again(
    header: &str,
    xml: &str,
    lang: Option<&str>,
    lately: Option<&Jid>,
) -> Result<Stanza, Refused> {
    let mut reader = Reader::new(Limits::MEMBER);
    let input = format!("{header}{xml}");
    let (used, _) = reader.next(input.as_bytes()).unwrap();
    match reader.next(&input.as_bytes()[used..]).unwrap().1 {
        Some(Event::Element(fragment)) => {
            Stanza::receive_again(&fragment, &ROMEO.parse().unwrap(), lang, lately)
        }
        other => panic!("{other:?}"),
    }
}

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:x='urn:x' version='1.0'>";

fn receive(xml: &str) -> Stanza {
    received(HEADER, xml, None).unwrap()
}

#[test]
fn is_stamped_and_keeps_its_bytes() {
    let stanza = receive(
        "<message  id='a&amp;1'\n to=\"Juliet@example.net\" type='chat' from='romeo@example.net' foo='bar'><body>Art &lt;thou&gt; <![CDATA[<not>]]></body><x xmlns='urn:y'/></message>",
    );
    assert_eq!(
        stanza.as_str(),
        "<message from='romeo@example.net/orchard' to='juliet@example.net'  id='a&amp;1' type='chat' foo='bar'><body>Art &lt;thou&gt; <![CDATA[<not>]]></body><x xmlns='urn:y'/></message>"
    );
    assert_eq!((stanza.kind(), stanza.message_type()), (Kind::Message, MessageType::Chat));
    assert_eq!(stanza.id().as_deref(), Some("a&1"));
    assert_eq!(stanza.to().unwrap().to_string(), "juliet@example.net");
    assert_eq!(stanza.payload(), Some(("body", ns::CLIENT.into())));
    assert_eq!(stanza.children(), 2);
    assert_eq!(stanza.inner(), "<body>Art &lt;thou&gt; <![CDATA[<not>]]></body><x xmlns='urn:y'/>");
}

#[test]
fn whom_somebody_wrote_to_before_is_taken_for_nobody_else() {
    let lately: Jid = "juliet@example.net/it's".parse().unwrap();
    for to in ["juliet@example.net/it's", "juliet@example.net/it&apos;s", "Juliet@example.net/it's"] {
        let stanza = received_again(HEADER, &format!("<message to=\"{to}\"/>"), None, Some(&lately)).unwrap();
        assert_eq!(stanza.to(), Some(&lately), "{to}");
        assert_eq!(stanza, receive(&format!("<message to=\"{to}\"/>")));
    }
    for to in ["juliet@example.net", "juliet@example.net/it", "juliet@example.ne", "tybalt@example.net/it's"]
    {
        let stanza = received_again(HEADER, &format!("<message to=\"{to}\"/>"), None, Some(&lately)).unwrap();
        assert_eq!(stanza.to(), Some(&to.parse().unwrap()));
    }
    let refused = received_again(HEADER, "<message to='juliet@'/>", None, Some(&lately));
    assert!(matches!(refused, Err(Refused::Error(..))), "{refused:?}");
    let nobody = received_again(HEADER, "<message/>", None, Some(&lately)).unwrap();
    assert_eq!(nobody.to(), None);
}

#[test]
fn goes_out_under_other_addresses() {
    let stanza = receive("<presence xml:lang='fr'><x:y a='1'/></presence>");
    let jid = |text: &str| text.parse::<Jid>().unwrap();
    let other = stanza.readdressed(Some(jid("room@muc/it's")), None);
    assert_eq!(
        other.as_str(),
        "<presence from='room@muc/it&apos;s' xmlns:x='urn:x' xml:lang='fr'><x:y a='1'/></presence>"
    );
    assert!(other.payload_is("y", "urn:x") && stanza.payload_is("y", "urn:x"));
    assert_eq!((other.lang().as_deref(), other.inner()), (Some("fr"), "<x:y a='1'/>"));
    assert_eq!(Stanza::parse(other.as_str()), Ok(other.clone()));
    let mut out = String::new();
    stanza.write_with(None, Some(&jid("a@b")), &mut out);
    assert_eq!(out, "<presence to='a@b' xmlns:x='urn:x' xml:lang='fr'><x:y a='1'/></presence>");
}

#[test]
fn the_language_of_the_stream_is_written_on_a_stanza_that_names_none() {
    let with = |xml| received(HEADER, xml, Some("de")).unwrap().as_str().to_owned();
    assert_eq!(with("<message to='a@b'/>"), format!("<message from='{ROMEO}' to='a@b' xml:lang='de'/>"));
    assert_eq!(received(HEADER, "<message/>", Some("de")).unwrap().lang().as_deref(), Some("de"));
    assert_eq!(
        with("<message xml:lang='en' to='a@b'/>"),
        format!("<message from='{ROMEO}' to='a@b' xml:lang='en'/>")
    );
}

#[test]
fn payloads_know_their_namespace() {
    let payload = |xml: &str| {
        let stanza = receive(xml);
        let moved = stanza.readdressed(None, None);
        assert_eq!(stanza.payload(), moved.payload());
        moved.payload().map(|(name, namespace)| format!("{name} {namespace}"))
    };
    assert_eq!(payload("<presence/>"), None);
    assert_eq!(payload("<presence>x</presence>"), None);
    assert_eq!(payload("<presence><a/></presence>").as_deref(), Some("a jabber:client"));
    assert_eq!(payload("<presence><a xmlns='b&amp;c'/></presence>").as_deref(), Some("a b&c"));
    assert_eq!(payload("<presence><a xmlns=''/></presence>").as_deref(), Some("a "));
    assert_eq!(payload("<presence xmlns:p='urn:p'><p:a/></presence>").as_deref(), Some("a urn:p"));
    assert_eq!(payload("<presence><x:a/></presence>").as_deref(), Some("a urn:x"));
}

#[test]
fn nobody_speaks_for_somebody_else() {
    for from in ["juliet@example.net", "romeo@example.net/other", "example.net", "@", ""] {
        let refused = received(HEADER, &format!("<message from='{from}'/>"), None);
        assert!(matches!(refused, Err(Refused::From)), "{from}");
    }
    for from in [ROMEO, "romeo@example.net", "Romeo@Example.NET/orchard"] {
        assert!(received(HEADER, &format!("<message from='{from}'/>"), None).is_ok(), "{from}");
    }
}

#[test]
fn what_is_no_stanza_or_a_bad_one() {
    let check = |xml: &str, expected: &str| {
        let told = match received(HEADER, xml, None) {
            Ok(_) => "taken".to_owned(),
            Err(Refused::Error(stanza, error)) => stanza.error(error).unwrap().as_str().to_owned(),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(told, expected, "{xml}");
    };
    check("<message xmlns='urn:other'/>", "NoStanza");
    check("<other/>", "NoStanza");
    check("<c:message xmlns:c='jabber:client'/>", "Prefix");
    check("<iq type='result' id='1'/>", "taken");
    let bad = |id, type_| {
        format!(
            "<iq to='{ROMEO}'{id} type='error'><error type='{type_}'><bad-request xmlns='{}'/></error></iq>",
            ns::STANZA_ERRORS
        )
    };
    check("<iq type='get' id='1'/>", &bad(" id='1'", "modify"));
    check("<iq type='set' id='1'><a/><b/></iq>", &bad(" id='1'", "modify"));
    check("<iq type='get'><a/></iq>", &bad("", "modify"));
    check("<iq id='1'><a/></iq>", &bad(" id='1'", "modify"));
    check(
        "<message to='a b@c'/>",
        &format!(
            "<message to='{ROMEO}' type='error'><error type='modify'><jid-malformed xmlns='{}'/></error></message>",
            ns::STANZA_ERRORS
        ),
    );
}

#[test]
fn answers_go_back_to_the_sender() {
    let iq = receive("<iq type='get' id='7' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(
        iq.result(None).as_str(),
        format!("<iq from='example.net' to='{ROMEO}' id='7' type='result'/>")
    );
    let error = StanzaError::from(Condition::Forbidden).as_type(ErrorType::Cancel).saying("no <you>");
    let error = iq.error(error).unwrap();
    assert_eq!(
        error.as_str(),
        format!(
            "<iq from='example.net' to='{ROMEO}' id='7' type='error'><error type='cancel'><forbidden xmlns='{0}'/><text xmlns='{0}' xml:lang='en'>no &lt;you&gt;</text></error></iq>",
            ns::STANZA_ERRORS
        )
    );
    assert!(error.error(Condition::Forbidden).is_none());
    assert!(iq.result(None).error(Condition::Forbidden).is_none());
}

#[test]
fn conditions_have_names_and_types() {
    assert_eq!(Condition::ALL.len(), 22);
    assert_eq!(Condition::RecipientUnavailable.name(), "recipient-unavailable");
    assert_eq!(Condition::RecipientUnavailable.usual_type().name(), "wait");
}

/// What is as deep as a stream may be can still be wrapped: forwarded, kept, sent back.
#[test]
fn what_was_read_can_be_wrapped() {
    let depth = usize::from(Limits::MEMBER.depth) - 1;
    let declared: String = (0..60).map(|n| format!(" xmlns:n{n}='u'")).collect();
    let inner = format!("{}<b{declared}/>{}", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    let stanza = receive(&format!("<message to='a@b'>{inner}</message>"));
    let forwarded = Element::new("forwarded", ns::FORWARD).child(stanza.element().unwrap());
    let wrapped = Draft::new(Kind::Message).child(&forwarded).raw(stanza.inner()).build();
    assert_eq!(Stanza::parse(wrapped.as_str()), Ok(wrapped.clone()));
    assert_eq!(wrapped.children(), 2);
}
