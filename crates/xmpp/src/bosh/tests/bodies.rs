//! Bodies, read and refused.

use super::super::*;
use crate::xml;

const NS: &str = "xmlns='http://jabber.org/protocol/httpbind'";

fn parse(text: &str) -> Result<Body, Condition> {
    Body::parse(text.as_bytes(), xml::Limits::STRANGER)
}

fn check(text: &str, expected: Body) {
    assert_eq!(parse(text), Ok(expected), "{text}");
}

#[test]
fn the_first_request() {
    check(
        &format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<body content='text/xml; charset=utf-8' from='u@falcot.com' hold='1' \
             rid='1573741820' to='falcot.com' route='xmpp:falcot.com:9999' ver='1.11' wait='60' ack='1' xml:lang='en' \
             newkey='ca39' q:version='1.0' {NS} xmlns:q='urn:xmpp:xbosh'/>\n"
        ),
        Body {
            rid: 1_573_741_820,
            ack: Some(1),
            newkey: Some("ca39".into()),
            wish: Wish {
                to: Some("falcot.com".into()),
                from: Some("u@falcot.com".into()),
                lang: Some("en".into()),
                version: Some("1.0".into()),
                ver: Some((1, 11)),
                wait: Some(60),
                hold: Some(1),
                content: Some("text/xml; charset=utf-8".into()),
            },
            ..Body::default()
        },
    );
}

#[test]
fn later_requests() {
    let with = |body: Body| Body { rid: 7, sid: Some("s&".into()), ..body };
    check(
        &format!("<body rid='7' sid='s&amp;' key='k' pause='60' {NS}></body>"),
        with(Body { key: Some("k".into()), pause: Some(60), ..Body::default() }),
    );
    for truth in ["true", "1"] {
        check(
            &format!("<body rid='7' sid='s&amp;' x:restart='{truth}' {NS} xmlns:x='urn:xmpp:xbosh'/>"),
            with(Body { restart: true, ..Body::default() }),
        );
    }
    check(
        &format!("<body rid='7' sid='s&amp;' restart='true' x:restart='true' {NS} xmlns:x='urn:example'/>"),
        with(Body::default()),
    );
    check(
        &format!(
            "<body type='terminate' sid='s&amp;' rid='7' {NS}>\n <presence type='unavailable'/>\n</body>"
        ),
        with(Body { terminate: true, payload: "<presence type='unavailable'/>".into(), ..Body::default() }),
    );
}

/// What the stream reads of what stands in the wrapper.
fn carried(attributes: &str, inner: &str, expected: &str) {
    let text = format!(
        "<b:body rid='7' xmlns:b='http://jabber.org/protocol/httpbind' {attributes}>{inner}</b:body>"
    );
    assert_eq!(parse(&text).map(|body| body.payload).as_deref(), Ok(expected), "{text}");
}

#[test]
fn elements_keep_their_namespaces() {
    let message = "<message to='a@b'><body>&lt;x&gt;</body></message>";
    for default in ["", "xmlns='jabber:client'", NS] {
        carried(default, message, message);
    }
    let own = "<message xmlns='jabber:client'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>a</auth>";
    carried(NS, own, own);
    carried("xmlns='urn:x&amp;y'", "<x/><x xmlns='z'/>", "<x xmlns='urn:x&amp;y'/><x xmlns='z'/>");
    carried(
        "xmlns:p='urn:p' xmlns:q='urn:q'",
        "<iq><p:a/></iq><iq/>",
        "<iq xmlns:p='urn:p'><p:a/></iq><iq/>",
    );
}

#[test]
fn what_is_no_request() {
    let long = "x".repeat(10_001);
    for bad in [
        String::new(),
        "<".into(),
        "no XML".into(),
        format!("<body rid='7' {NS}>"),
        format!("<body rid='7' {NS}><a></body>"),
        format!("<body rid='7' {NS}><a/>"),
        format!("<body rid='7' {NS}>text</body>"),
        format!("<body rid='7' {NS}><a/>text<b/></body>"),
        format!("<body rid='7' {NS}/><body/>"),
        format!("<body rid='7' {NS}></body> x"),
        format!("<body rid='7' {NS}><!-- --></body>"),
        format!("<body rid='7' {NS}><?a?></body>"),
        format!("<!DOCTYPE body><body rid='7' {NS}/>"),
        format!("<body rid='7' {NS}><a>&x;</a></body>"),
        format!("<body rid='7' {NS}><a>{long}</a></body>"),
        format!("<body rid='7' {NS}><x:a/></body>"),
        "<body rid='7'/>".into(),
        "<body rid='7' xmlns='jabber:client'/>".into(),
        format!("<html rid='7' {NS}/>"),
        format!("<body {NS}/>"),
        format!("<body rid='' {NS}/>"),
        format!("<body rid='0' {NS}/>"),
        format!("<body rid='-1' {NS}/>"),
        format!("<body rid='+1' {NS}/>"),
        format!("<body rid='9007199254740992' {NS}/>"),
        format!("<body rid='99999999999999999999999999' {NS}/>"),
        format!("<body rid='7' rid='8' {NS}/>"),
        format!("<body rid='7' wait='soon' {NS}/>"),
        format!("<body rid='7' hold='-1' {NS}/>"),
        format!("<body rid='7' ver='1' {NS}/>"),
        format!("<body rid='7' ack='x' {NS}/>"),
        format!("<body rid='7' pause='1.5' {NS}/>"),
        format!("<body rid='7' content='text' {NS}/>"),
        format!("<body rid='7' content='text/xml&#10;X: y' {NS}/>"),
        format!("<body rid='7' content='text/{}' {NS}/>", "x".repeat(100)),
    ] {
        assert_eq!(parse(&bad), Err(Condition::BadRequest), "{bad}");
    }
    assert_eq!(Body::parse(b"<body rid='7'\xff/>", xml::Limits::MEMBER), Err(Condition::BadRequest));
    assert!(parse(&format!("<body rid='9007199254740991' {NS}/>")).is_ok());
}

/// What a body carries is read by a stream as whole elements, whatever it looked like: it neither ends the stream nor leaves
/// it amid something.
#[test]
fn whatever_is_carried_stands_in_a_stream() {
    let sample = "<?xml version='1.0'?><b:body rid='7' sid='s' xmlns:b='http://jabber.org/protocol/httpbind' xmlns='jabber:client' \
         xmlns:p='urn:p'><message to='a'><body>x &lt; y</body><p:a q='1'/></message>\n<iq p:b='c'/><r xmlns='s'/></b:body>";
    assert!(parse(sample).is_ok());
    let mut taken = 0;
    for at in 0..sample.len() {
        for byte in b"<>/'\"=: &;!?-]apb7\0\n\xff" {
            for cut in [0, 1] {
                let text = [&sample.as_bytes()[..at], &[*byte], &sample.as_bytes()[at + cut..]].concat();
                if let Ok(body) = Body::parse(&text, xml::Limits::STRANGER) {
                    taken += 1;
                    stands(&body, &String::from_utf8_lossy(&text));
                }
            }
        }
    }
    assert!(taken > 1_000, "{taken}");
}

fn stands(body: &Body, text: &str) {
    let header = body.wish.header();
    let mut reader = xml::Reader::new(xml::Limits::MEMBER);
    for part in [header.as_bytes(), body.payload.as_bytes()] {
        let mut rest = part;
        while !rest.is_empty() {
            let (used, event) = reader.next(rest).expect(text);
            assert!(!matches!(event, Some(xml::Event::Close)), "{text}");
            rest = &rest[used..];
        }
    }
    assert!(!reader.is_amid(), "{text}");
}

#[test]
fn no_cut_is_a_request() {
    let whole =
        format!("<?xml version='1.0'?><body rid='7' {NS} xmlns:p='urn:p'><iq><p:a b='c'/></iq></body>");
    assert!(parse(&whole).is_ok());
    for end in 0..whole.len() {
        assert_eq!(parse(&whole[..end]), Err(Condition::BadRequest), "{end}");
    }
}
