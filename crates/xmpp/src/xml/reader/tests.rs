//! Streams in any pieces: the same events, every attack its own fault, memory within bounds.

use super::*;
use crate::ns;
use proptest::prelude::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='a&amp;b' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:x='urn:x'>";

/// What came of a stream, as text; a fault ends it.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Vec<String> {
    let mut reader = Reader::new(limits);
    let mut told = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            match reader.next(rest) {
                Ok((used, event)) => {
                    assert!(used > 0 || event.is_some());
                    rest = &rest[used..];
                    told.extend(event.map(|event| tell(&event)));
                }
                Err(fault) => {
                    told.push(format!("{fault:?}"));
                    return told;
                }
            }
            assert!(reader.partial.len() <= limits.size as usize + piece.len(), "memory is bounded");
        }
    }
    told
}

fn tell(event: &Event<'_>) -> String {
    match event {
        Event::Open(h) => format!("open {} {} {:?}", h.name(), h.content(), h.get("to").as_deref()),
        Event::Element(f) => {
            let head = f.head();
            let child = head.child.map(|c| format!("{}@{}", c.name.str(f.raw()), f.uri(c.namespace)));
            format!("{}@{} {:?} {} {}", f.name(), f.namespace(), child, head.children, f.raw())
        }
        Event::Close => "close".to_owned(),
    }
}

/// The last event of a stream with this behind its header, however it is cut in two.
fn last(inner: &str) -> String {
    last_bytes(inner.as_bytes(), Limits::STRANGER)
}

fn last_bytes(inner: &[u8], limits: Limits) -> String {
    let whole = [HEADER.as_bytes(), inner].concat();
    let told = events([&whole[..]], limits);
    let bytewise = events(whole.chunks(1), limits);
    assert_eq!(told, bytewise);
    for cut in 0..whole.len().min(2000) {
        assert_eq!(told, events([&whole[..cut], &whole[cut..]], limits), "cut at {cut}");
    }
    told.last().cloned().unwrap()
}

#[test]
fn a_stream_from_header_to_end() {
    let xml = format!(
        "{HEADER} <message to='b' id='1'><body>a &lt; b ]] &gt;</body><x:y/></message>\n<presence/><iq><q xmlns='urn:q'><![CDATA[<a>]]></q></iq></stream:stream>trailing"
    );
    let expected = vec![
        "open stream jabber:client Some(\"a&b\")".to_owned(),
        "message@jabber:client Some(\"body@jabber:client\") 2 <message xmlns:x='urn:x' to='b' id='1'><body>a &lt; b ]] &gt;</body><x:y/></message>".to_owned(),
        "presence@jabber:client None 0 <presence/>".to_owned(),
        "iq@jabber:client Some(\"q@urn:q\") 1 <iq><q xmlns='urn:q'><![CDATA[<a>]]></q></iq>".to_owned(),
        "close".to_owned(),
    ];
    assert_eq!(events([xml.as_bytes()], Limits::STRANGER), expected);
    for size in 1..40 {
        assert_eq!(events(xml.as_bytes().chunks(size), Limits::STRANGER), expected, "pieces of {size}");
    }
}

#[test]
fn elements_stand_alone() {
    for (inner, expected) in [
        ("<x:a/>", "a@urn:x None 0 <x:a xmlns:x='urn:x'/>"),
        ("<a x:b='1'/>", "a@jabber:client None 0 <a xmlns:x='urn:x' x:b='1'/>"),
        (
            "<a><b x:c=''/></a>",
            "a@jabber:client Some(\"b@jabber:client\") 1 <a xmlns:x='urn:x'><b x:c=''/></a>",
        ),
        (
            "<a xmlns:x='urn:z'><x:b/></a>",
            "a@jabber:client Some(\"b@urn:z\") 1 <a xmlns:x='urn:z'><x:b/></a>",
        ),
        (
            "<stream:a/>",
            "a@http://etherx.jabber.org/streams None 0 <stream:a xmlns:stream='http://etherx.jabber.org/streams'/>",
        ),
        ("<a xml:lang='de'/>", "a@jabber:client None 0 <a xml:lang='de'/>"),
        (
            "<a xmlns=''><b xmlns='u&#x72;n:c'/></a>",
            "a@ Some(\"b@urn:c\") 1 <a xmlns=''><b xmlns='u&#x72;n:c'/></a>",
        ),
    ] {
        assert_eq!(last(inner), expected);
    }
}

#[test]
fn attacks_have_their_fault() {
    for restricted in [
        "<!DOCTYPE a [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]><a>&lol2;</a>",
        "<a><!-- no --></a>",
        "<!-- no -->",
        "<a><?php no ?></a>",
        "<?xml version='1.0'?><a/>",
        "<a>&lol;</a>",
        "<a b='&lol;'/>",
        "<![CDATA[no]]>",
        "<a><!ELEMENT b ANY></a>",
    ] {
        assert_eq!(last(restricted), "Restricted", "{restricted}");
    }
    for wrong in [
        "<a></b>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a p:b=''/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<a xmlns:p='u' xmlns:q='&#x75;' p:b='' q:b=''/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<xml:a/>",
        "<xmlns:a/>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFF}</a>",
        "<a>&#1;</a>",
        "<a b=c/>",
        "<a b='<'/>",
        "<1/>",
        "<a:b:c xmlns:a='u'/>",
        "</stream:strea>",
        "</x>",
    ] {
        assert_eq!(last(wrong), "NotWellFormed", "{wrong}");
    }
    assert_eq!(last("hello"), "Format");
    assert_eq!(last("<a/>hello"), "Format");
}

#[test]
fn bytes_that_are_not_utf_8() {
    for bad in [
        &b"<a>\xC0\x80</a>"[..],
        b"<a>\xED\xA0\x80</a>",
        b"<a b='\xFF'/>",
        b"<a\xFF/>",
        b"<a>\xF4\x90\x80\x80</a>",
    ] {
        assert_eq!(last_bytes(bad, Limits::STRANGER), "Encoding");
    }
    assert!(last("<a>\u{e9}\u{10FFFF}</a>").starts_with("a@jabber:client"));
}

#[test]
fn limits_hold_exactly() {
    let limits = Limits { size: 400, depth: 4, attributes: 6, name: 20 };
    let check = |inner: String, expected: &str| {
        let told = last_bytes(inner.as_bytes(), limits);
        assert!(told.starts_with(expected), "{inner}: {told}");
    };
    check(format!("<a>{}</a>", "x".repeat(393)), "a@");
    check(format!("<a>{}</a>", "x".repeat(394)), "TooBig");
    check(format!("<a b='{}'/>", "x".repeat(391)), "a@");
    check(format!("<a b='{}'/>", "x".repeat(392)), "TooBig");
    check(format!("<a b='{}", "x".repeat(3000)), "TooBig");
    check(format!("<a{}", " ".repeat(3000)), "TooBig");
    check(format!("<{}", "a".repeat(3000)), "TooBig");
    check(format!("<a><![CDATA[{}", "x".repeat(3000)), "TooBig");
    check("<a><a><a><a/></a></a></a>".into(), "a@");
    check("<a><a><a><a><a/></a></a></a></a>".into(), "TooDeep");
    check("<a b='' c='' d='' e='' f='' g=''/>".into(), "a@");
    check("<a b='' c='' d='' e='' f='' g='' h=''/>".into(), "TooManyAttributes");
    check("<a xmlns:b='u' xmlns:c='u'><a xmlns:d='u' xmlns:e='u'><a xmlns:f='u' xmlns:g='u' xmlns:h='u'/></a></a>".into(), "TooManyAttributes");
    check(format!("<{}/>", "a".repeat(20)), "a");
    check(format!("<{}/>", "a".repeat(21)), "NameTooLong");
    check(format!("<a {}=''/>", "b".repeat(21)), "NameTooLong");
    check(format!("</stream:stream{}", " ".repeat(100)), "NotWellFormed");
    check(format!("</stream:stream{}>", " ".repeat(10)), "close");
}

#[test]
fn headers() {
    let check = |header: &str, expected: &str| {
        let told = events([header.as_bytes()], Limits::STRANGER);
        assert_eq!(told, events(header.as_bytes().chunks(1), Limits::STRANGER), "{header}");
        assert_eq!(told.first().map_or("", String::as_str), expected, "{header}");
    };
    let root = "<s xmlns='u'>";
    check("", "");
    check("<s xmlns='u'", "");
    check(&format!("\n {root}"), "open s u None");
    for declaration in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>",
    ] {
        check(&format!("{declaration}{root}"), "open s u None");
    }
    for declaration in
        ["<?xml version='1.0' encoding='ISO-8859-1'?>", "<?xml version='1.0' encoding='UTF-16'?>"]
    {
        check(&format!("{declaration}{root}"), "Encoding");
    }
    for wrong in [
        "<?xml version='1.1'?>",
        "<?xml encoding='utf-8'?>",
        "<?xml version='1.0' a='b'?>",
        "<?xml ?>",
        "x",
        "\u{FEFF}",
        "GET / HTTP/1.1\r\n",
    ] {
        check(&format!("{wrong}{root}"), "NotWellFormed");
    }
    for restricted in [
        "<!DOCTYPE s>",
        "<!-- -->",
        "<?php ?>",
        "<?xmlx version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
        "<?xml version='1.0'?><!DOCTYPE s>",
    ] {
        check(&format!("{restricted}{root}"), "Restricted");
    }
    check(&format!("<?xml version='1.0'{}", " ".repeat(300)), "Restricted");
    check("<s xmlns='u'/>", "Format");
    check("<p:s>", "NotWellFormed");
    check("<s p:b=''>", "NotWellFormed");
    check("<s a='' a=''>", "NotWellFormed");
    check("<s xmlns:xml='u'>", "NotWellFormed");
    check(&format!("<s a='{}'>", "x".repeat(10_000)), "TooBig");
    check(&format!("<s a='{}", "x".repeat(10_000)), "TooBig");
}

#[test]
fn a_closed_or_broken_stream_takes_nothing_more() {
    let mut reader = Reader::new(Limits::STRANGER);
    assert!(reader.next(b"<s>").is_ok());
    assert_eq!(reader.next(b"</t>").err(), Some(Fault::NotWellFormed));
    assert!(matches!(reader.next(b"<a/>"), Ok((4, None))));
    reader.restart();
    assert!(matches!(reader.next(b"<s><a/>"), Ok((3, Some(Event::Open(_))))));
    assert!(matches!(reader.next(b"<a/>"), Ok((4, Some(Event::Element(_))))));
}

/// Nothing is kept of what was read, whatever its size.
#[test]
fn an_idle_stream_keeps_nothing() {
    let mut reader = Reader::new(Limits::MEMBER);
    let large = format!("<a {}>{}", "b=''", "<b>".repeat(60)) + &"x".repeat(100_000);
    for piece in [HEADER, &large, &"</b>".repeat(60), "</a>", " "] {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() {
            let (used, _) = reader.next(rest).unwrap();
            rest = &rest[used..];
        }
    }
    assert_eq!((reader.partial.capacity(), reader.alone.capacity(), reader.is_amid()), (0, 0, false));
    assert_eq!(reader.attributes.capacity(), 0);
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_\u{e9}][a-zA-Z0-9._\u{e9}\u{b7}-]{0,6}"
}

fn text() -> impl Strategy<Value = String> {
    "([ -%'-;=?-~\u{e9}\u{1F600}\n\r\t]|&lt;|&gt;|&amp;|&#x41;|&quot;){0,12}"
        .prop_filter("XML 1.0 §2.4", |text| !text.contains("]]>"))
}

/// Elements that are well-formed.
fn element() -> impl Strategy<Value = String> {
    let attributes = || {
        proptest::collection::btree_map(name(), "([ -%(-;=?-~\u{e9}\t]|&lt;|&#9;){0,8}", 0..4)
            .prop_map(|all| all.iter().map(|(name, value)| format!(" {name}='{value}'")).collect::<String>())
    };
    let namespace = || prop_oneof![3 => Just(String::new()), 1 => Just(" xmlns='urn:o'".to_owned()), 1 => Just(" xmlns:x='urn:y'".to_owned())];
    let leaf = (name(), attributes(), namespace()).prop_map(|(n, a, s)| format!("<{n}{s}{a}/>"));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let child = prop_oneof![inner, text(), "[a-z<&]{0,4}".prop_map(|t| format!("<![CDATA[{t}]]>"))];
        let children = proptest::collection::vec(child, 0..4);
        (name(), prop_oneof![4 => Just(""), 1 => Just("x:")], attributes(), namespace(), children)
            .prop_map(|(n, p, a, s, c)| format!("<{p}{n}{s}{a} >{}</{p}{n}\n>", c.concat()))
    })
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events(elements in proptest::collection::vec(element(), 1..4), sizes in proptest::collection::vec(1_usize..40, 1..20)) {
        let xml = format!("{HEADER}{}</stream:stream>", elements.join(" "));
        let whole = events([xml.as_bytes()], Limits::STRANGER);
        prop_assert_eq!(whole.last().map(String::as_str), Some("close"));
        prop_assert_eq!(whole.len(), elements.len() + 2);
        prop_assert_eq!(whole, events(pieces(xml.as_bytes(), &sizes), Limits::STRANGER));
    }

    #[test]
    fn any_damage_gives_the_same_events(element in element(), at in any::<prop::sample::Index>(), damage in proptest::collection::vec(any::<u8>(), 0..4), skip in 0_usize..4, sizes in proptest::collection::vec(1_usize..40, 1..20)) {
        let mut xml = format!("{HEADER}{element}{element}").into_bytes();
        let at = at.index(xml.len());
        let end = xml.len().min(at + skip);
        xml.splice(at..end, damage);
        let whole = events([&xml[..]], Limits::STRANGER);
        prop_assert_eq!(whole, events(pieces(&xml, &sizes), Limits::STRANGER));
    }

    #[test]
    fn markup_at_random_gives_the_same_events(parts in proptest::collection::vec(prop_oneof![
        Just("<a"), Just("<x:b"), Just(">"), Just("/>"), Just("</a>"), Just("</x:b>"), Just(" c='"), Just("'"), Just("\""), Just("&lt;"), Just("&"), Just(";"),
        Just("]]>"), Just("<![CDATA["), Just("<!"), Just("<?"), Just("d"), Just(" "), Just("="), Just("xmlns"), Just(":"), Just("</stream:stream>"), Just("\u{e9}"),
    ], 0..30), sizes in proptest::collection::vec(1_usize..5, 1..9)) {
        let xml = format!("{HEADER}{}", parts.concat());
        let whole = events([xml.as_bytes()], Limits::STRANGER);
        prop_assert_eq!(whole, events(pieces(xml.as_bytes(), &sizes), Limits::STRANGER));
    }

    #[test]
    fn a_second_parser_agrees(xml in element()) {
        let xml = format!("<w xmlns:x='urn:x'>{xml}</w>");
        let ours = Element::parse(&xml, ns::CLIENT);
        let theirs = minidom(&xml);
        prop_assert_eq!(ours.as_ref().ok().map(|e| e.to_xml(ns::CLIENT)), theirs.map(|e| from_minidom(&e).to_xml(ns::CLIENT)), "{}", xml);
        if let Ok(ours) = ours {
            prop_assert_eq!(Element::parse(&ours.to_xml(ns::CLIENT), ns::CLIENT), Ok(ours));
        }
    }
}

/// `bytes` in pieces of these sizes, over and over.
fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(rest.len().min(*size));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn minidom(xml: &str) -> Option<xmpp_parsers::minidom::Element> {
    let reader = std::io::Cursor::new(xml.as_bytes());
    xmpp_parsers::minidom::Element::from_reader_with_prefixes(reader, ns::CLIENT.to_owned()).ok()
}

fn from_minidom(element: &xmpp_parsers::minidom::Element) -> Element {
    let mut ours = Element::new(element.name().to_owned(), element.ns());
    for ((_, name), value) in element.attrs() {
        ours.set(name.to_string(), value.as_str());
    }
    for node in element.nodes() {
        ours = match node {
            xmpp_parsers::minidom::Node::Element(child) => ours.child(from_minidom(child)),
            xmpp_parsers::minidom::Node::Text(text) => ours.text(text.as_str()),
        };
    }
    ours
}
