//! The torture messages of RFC 4475, as published in its appendix A, and of RFC 5118, with the verdict for each.
//!
//! Where a message is fine and only a proxy or registrar refuses it, the table says so in words: that part is
//! tested with the proxy.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by a panic and say what it did"
)]

use sip::message::{Contact, Edit};
use sip::{Fault, HeaderName, Host, Malformed, Message, Method, Uri};

/// What becomes of a message.
#[derive(Clone, Copy)]
enum Verdict {
    /// It is read, and these things are true of it. What a proxy, registrar or user agent then makes of it.
    Read(fn(&Message<'_>), &'static str),
    /// It is answered 400, or what else the fault says.
    Answered(Fault),
    /// It gets no answer.
    Dropped,
}

use Verdict::{Answered, Dropped, Read};

/// File, section of RFC 4475, verdict.
const TABLE: [(&str, &str, Verdict); 50] = [
    ("wsinv", "3.1.1.1", Read(wsinv, "forwarded")),
    ("intmeth", "3.1.1.2", Read(intmeth, "forwarded")),
    ("esc01", "3.1.1.3", Read(esc01, "forwarded")),
    ("escnull", "3.1.1.4", Read(escnull, "registrar: both contacts are kept apart, or 400")),
    ("esc02", "3.1.1.5", Read(esc02, "forwarded; no REGISTER")),
    ("lwsdisp", "3.1.1.6", Read(lwsdisp, "forwarded")),
    ("longreq", "3.1.1.7", Read(longreq, "forwarded")),
    ("dblreq", "3.1.1.8", Read(dblreq, "registered; what lies behind the message is left out")),
    ("semiuri", "3.1.1.9", Read(semiuri, "forwarded")),
    ("transports", "3.1.1.10", Read(transports, "forwarded")),
    ("mpart01", "3.1.1.11", Read(mpart01, "forwarded, not one byte of the body changed")),
    ("unreason", "3.1.1.12", Read(unreason, "forwarded")),
    ("noreason", "3.1.1.13", Read(noreason, "forwarded")),
    ("badinv01", "3.1.2.1", Answered(Fault::Via)),
    ("clerr", "3.1.2.2", Answered(Fault::BodyShort)),
    ("ncl", "3.1.2.3", Answered(Fault::ContentLength)),
    ("scalar02", "3.1.2.4", Answered(Fault::CSeq)),
    ("scalarlg", "3.1.2.5", Dropped),
    ("quotbal", "3.1.2.6", Answered(Fault::Parties)),
    ("ltgtruri", "3.1.2.7", Answered(Fault::RequestUri)),
    ("lwsruri", "3.1.2.8", Answered(Fault::RequestUri)),
    ("lwsstart", "3.1.2.9", Answered(Fault::RequestUri)),
    ("trws", "3.1.2.10", Answered(Fault::StartLine)),
    ("escruri", "3.1.2.11", Answered(Fault::RequestUri)),
    ("baddate", "3.1.2.12", Read(baddate, "forwarded: the Date is not for proxies")),
    ("regbadct", "3.1.2.13", Read(regbadct, "registrar: 400, the contact breaks the grammar")),
    ("badaspec", "3.1.2.14", Answered(Fault::Parties)),
    ("baddn", "3.1.2.15", Answered(Fault::Parties)),
    ("badvers", "3.1.2.16", Answered(Fault::Version)),
    ("mismatch01", "3.1.2.17", Answered(Fault::CSeqMethod)),
    ("mismatch02", "3.1.2.18", Answered(Fault::CSeqMethod)),
    ("bigcode", "3.1.2.19", Dropped),
    ("badbranch", "3.2.1", Read(badbranch, "forwarded; told from others as RFC 2543 says")),
    ("insuf", "3.3.1", Answered(Fault::Missing(HeaderName::CallId))),
    ("unkscm", "3.3.2", Read(unkscm, "proxy: 416")),
    ("novelsc", "3.3.3", Read(novelsc, "proxy: 416")),
    ("unksm2", "3.3.4", Read(unksm2, "registrar: 400, the To names no SIP address; proxy: forwarded")),
    ("bext01", "3.3.5", Read(bext01, "proxy: 420, Unsupported names both of Proxy-Require")),
    ("invut", "3.3.6", Read(invut, "forwarded; user agent: 415")),
    ("regaut01", "3.3.7", Read(regaut01, "registrar: 401")),
    ("multi01", "3.3.8", Answered(Fault::Repeated(HeaderName::CSeq))),
    ("mcl01", "3.3.9", Answered(Fault::ContentLengths)),
    ("bcast", "3.3.10", Read(bcast, "proxy: dropped, nothing goes to a broadcast address")),
    ("zeromf", "3.3.11", Read(zeromf, "proxy: 483; answered like a user agent where it is for us")),
    ("cparam01", "3.3.12", Read(cparam01, "registered; the parameter is the contact's")),
    ("cparam02", "3.3.13", Read(cparam02, "registered; the parameter is the URI's")),
    ("regescrt", "3.3.14", Read(regescrt, "registered; the header in the URI is kept")),
    ("sdp01", "3.3.15", Read(sdp01, "forwarded; user agent: 406")),
    ("inv2543", "3.4.1", Read(inv2543, "forwarded, Max-Forwards added")),
    ("test", "none; it lies in the archive", Dropped),
];

/// The same for RFC 5118, as its text prints them, with the line ends and the Content-Length of a message that travels: what
/// it prints counts other line ends, or nothing that is there. Its §4.10 says that both forms must be tolerated.
const TABLE_IPV6: [(&str, &str, Verdict); 12] = [
    ("ipv6-good", "4.1", Read(|m| assert_eq!(host(m), ("2001:db8::10", None)), "registered")),
    ("ipv6-bad", "4.2", Answered(Fault::RequestUri)),
    ("port-ambiguous", "4.3", Read(|m| assert_eq!(host(m), ("2001:db8::10:5070", None)), "registered")),
    ("port-unambiguous", "4.4", Read(|m| assert_eq!(host(m), ("2001:db8::10", Some(5070))), "registered")),
    ("via-received-param-with-delim", "4.5", Read(received, "forwarded")),
    ("via-received-param-no-delim", "4.5", Read(received, "forwarded")),
    ("ipv6-in-sdp", "4.6", Read(|m| assert!(m.body().starts_with(b"v=0")), "forwarded")),
    ("mult-ip-in-header", "4.7", Read(mult_ip_in_header, "forwarded")),
    ("mult-ip-in-sdp", "4.8", Read(|m| assert!(m.body().starts_with(b"v=0")), "forwarded")),
    ("ipv4-mapped-ipv6", "4.9", Read(ipv4_mapped_ipv6, "forwarded")),
    (
        "ipv6-bug-abnf-3-colons",
        "4.10",
        Read(|m| assert_eq!(host(m), ("2001:db8::c000:201", None)), "forwarded"),
    ),
    (
        "ipv6-correct-abnf-2-colons",
        "4.10",
        Read(|m| assert_eq!(host(m), ("2001:db8::c000:201", None)), "forwarded"),
    ),
];

fn file(folder: &str, name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{folder}/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn rfc_4475() {
    check("torture", &TABLE);
}

#[test]
fn rfc_5118() {
    check("torture-ipv6", &TABLE_IPV6);
}

fn check(folder: &str, table: &[(&str, &str, Verdict)]) {
    names_every_file(folder, table);
    for &(name, section, verdict) in table {
        let bytes = file(folder, name);
        let then = if let Read(_, then) = verdict { then } else { "" };
        println!("{folder} {name}, §{section}: {then}");
        match (verdict, Message::parse(&bytes)) {
            (Read(facts, _), Ok(message)) => {
                facts(&message);
                goes_on_unchanged(&message);
            }
            (Read(..), Err(malformed)) => panic!("{name} is refused: {malformed:?}"),
            (Answered(fault), Err(malformed)) => answered(name, fault, &malformed),
            (Dropped, Err(malformed)) => {
                let mut out = Vec::new();
                assert!(!malformed.reply(&mut out, None, "t") && out.is_empty());
            }
            (Answered(_) | Dropped, Ok(_)) => panic!("{name} is taken"),
        }
    }
}

fn names_every_file(folder: &str, table: &[(&str, &str, Verdict)]) {
    let path = format!("{}/tests/data/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(path).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut names: Vec<_> = table.iter().map(|row| format!("{}.dat", row.0)).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

fn goes_on_unchanged(message: &Message<'_>) {
    let mut out = Vec::new();
    Edit::new(message, &mut out).finish();
    assert_eq!(out, message.bytes());
}

/// The answer carries everything that can be repeated, and the right code.
fn answered(name: &str, fault: Fault, malformed: &Malformed<'_>) {
    assert_eq!(malformed.fault(), fault, "{name}");
    let mut out = Vec::new();
    assert!(malformed.reply(&mut out, Some("192.0.2.99:5060".parse().unwrap()), "t"), "{name}");
    let text = String::from_utf8_lossy(&out);
    assert!(text.starts_with(&format!("SIP/2.0 {} {}\r\nV", fault.code(), fault.reason())), "{name}: {text}");
    assert!(text.contains("\r\nCall-ID: ") || name == "insuf", "{name}: {text}");
    assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{name}: {text}");
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn user<'a>(message: &Message<'a>) -> &'a str {
    text(message.uri().and_then(Uri::sip).and_then(|uri| uri.user).expect("a user part"))
}

fn wsinv(m: &Message<'_>) {
    assert_eq!((m.method(), m.max_forwards(), m.cseq().number), (Method::Invite, Some(68), 9));
    assert_eq!(m.uri().unwrap().sip().unwrap().params.as_bytes(), b";unknownparam");
    assert_eq!(
        (m.to().uri_bytes(), m.to().tag()),
        (&b"sip:vivekg@chair-dnrc.example.com"[..], Some(&b"1918181833n"[..]))
    );
    assert_eq!(
        (m.from().display().as_ref(), m.from().tag()),
        (&b"J Rosenberg \\\""[..], Some(&b"98asjd8"[..]))
    );
    assert_eq!(
        (m.call_id(), m.header(HeaderName::Subject)),
        (&b"wsinv.ndaksdj@192.0.2.1"[..], Some(&b""[..]))
    );
    let vias: Vec<_> = m.vias().map(Result::unwrap).collect();
    let transports: Vec<_> = vias.iter().map(|via| text(via.transport())).collect();
    let branches: Vec<_> = vias.iter().map(|via| text(via.branch().unwrap())).collect();
    assert_eq!(transports, ["UDP", "TCP", "UDP"]);
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(vias[1].host(), Host::Name(b"spindle.example.com"));
    assert_eq!(
        m.named("NewFangledHeader").next().unwrap(),
        b"newfangled value\r\n continued newfangled value"
    );
    assert_eq!(m.named("unknownheaderwithunusualvalue").next().unwrap(), b";;,,;;,;");
    let route = m.routes().next().unwrap().unwrap();
    assert_eq!(route.uri_bytes(), b"sip:services.example.com;lr;unknownwith=value;unknown-no-value");
    let Contact::At(contact) = m.contacts().next().unwrap().unwrap() else { panic!("an address") };
    assert_eq!((contact.display().as_ref(), contact.q()), (&b"Quoted string \"\""[..], Some(330)));
    assert_eq!(
        (contact.params().get("newparam"), contact.params().has("secondparam")),
        (Some(&b"newvalue"[..]), true)
    );
    assert_eq!(m.body().len(), 150);
}

fn intmeth(m: &Message<'_>) {
    assert_eq!(m.method(), Method::Other(b"!interesting-Method0123456789_*+`.%indeed'~"));
    assert_eq!(user(m), "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    let sip = *m.uri().unwrap().sip().unwrap();
    assert_eq!(sip.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(m.to().display().as_ref(), b"BEL:\x07 NUL:\0 DEL:\x7f");
    assert_eq!(m.from().display().as_ref(), b"token1~` token2'+_ token3*%!.-");
    assert_eq!(m.from().tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(
        m.from().params().find("fromParam''~+*_!.-%").unwrap().text().as_ref(),
        "работающий".as_bytes()
    );
    assert_eq!(m.call_id(), b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
}

fn esc01(m: &Message<'_>) {
    assert_eq!(user(m), "sips%3Auser%40example.com");
    assert_eq!(m.uri().unwrap().sip().unwrap().host, Host::Name(b"example.net"));
    assert!(m.to().uri().unwrap().matches(&Uri::parse(b"sip:user@example.com").unwrap()));
    let Contact::At(contact) = m.contacts().next().unwrap().unwrap() else { panic!("an address") };
    assert!(
        contact
            .uri()
            .unwrap()
            .matches(&Uri::parse(b"sip:caller@host5.example.net;lr;name=value%2541").unwrap())
    );
}

fn escnull(m: &Message<'_>) {
    let contacts: Vec<_> =
        m.contacts().map(|c| if let Ok(Contact::At(c)) = c { c.uri().unwrap() } else { panic!() }).collect();
    assert_eq!(contacts.len(), 2);
    assert!(!contacts[0].matches(&contacts[1]), "%00 and %00%00 are two users");
    assert!(
        m.to().uri().unwrap().sip().unwrap().address().is_err(),
        "no account may have a null in its name"
    );
}

fn esc02(m: &Message<'_>) {
    assert_eq!(m.method(), Method::Other(b"RE%47IST%45R"));
    assert_eq!(m.to().display().as_ref(), b"%Z%45");
    assert_eq!((m.contacts().count(), m.named("C%6Fntact").count()), (2, 1));
    assert_eq!(m.via().branch(), Some(&b"z9hG4bK209%fzsnel234"[..]));
}

fn lwsdisp(m: &Message<'_>) {
    assert_eq!(
        (m.from().display().as_ref(), m.from().uri_bytes()),
        (&b"caller"[..], &b"sip:caller@example.com"[..])
    );
}

fn longreq(m: &Message<'_>) {
    assert_eq!((m.vias().filter(Result::is_ok).count(), m.vias().count()), (34, 34));
    let to = m.to().uri().unwrap();
    assert_eq!((to.sip().unwrap().port, to.sip().unwrap().params.iter().count()), (Some(6000), 3));
    assert!(m.to().display().len() > 100 && m.from().uri_bytes().len() > 100 && m.call_id().len() > 100);
    assert!(m.headers().any(|h| h.name_bytes.len() > 90));
    assert_eq!(m.body().len(), 150);
}

fn dblreq(m: &Message<'_>) {
    assert_eq!((m.method(), m.body()), (Method::Register, &b""[..]));
    assert!(m.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
}

fn semiuri(m: &Message<'_>) {
    assert_eq!(user(m), "user;par=u%40example.net");
    assert!(m.uri().unwrap().sip().unwrap().params.as_bytes().is_empty());
}

fn transports(m: &Message<'_>) {
    let all: Vec<_> = m.vias().map(|via| text(via.unwrap().transport())).collect();
    assert_eq!(all, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

fn mpart01(m: &Message<'_>) {
    assert_eq!(m.method(), Method::Message);
    assert!(m.header(HeaderName::ContentType).unwrap().starts_with(b"multipart/mixed;boundary="));
    assert_eq!(m.header(HeaderName::ContentLength), Some(m.body().len().to_string().as_bytes()));
}

fn unreason(m: &Message<'_>) {
    assert_eq!((m.code(), m.method()), (Some(200), Method::Invite));
    assert!(
        m.bytes().starts_with("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое\r\n".as_bytes())
    );
}

fn noreason(m: &Message<'_>) {
    assert_eq!(m.code(), Some(100));
}

fn baddate(m: &Message<'_>) {
    assert_eq!(m.header(HeaderName::Date), Some(&b"Fri, 01 Jan 2010 16:00:00 EST"[..]));
}

fn regbadct(m: &Message<'_>) {
    assert!(m.contacts().next().unwrap().is_err());
}

fn badbranch(m: &Message<'_>) {
    assert_eq!((m.via().branch(), m.via().has_magic_branch()), (Some(&b"z9hG4bK"[..]), false));
}

fn unkscm(m: &Message<'_>) {
    assert!(matches!(
        m.uri(),
        Some(Uri::Other { scheme: b"nobodyKnowsThisScheme", rest: b"totallyopaquecontent" })
    ));
}

fn novelsc(m: &Message<'_>) {
    assert!(matches!(m.uri(), Some(Uri::Other { scheme: b"soap.beep", rest: b"//192.0.2.103:3002" })));
}

fn unksm2(m: &Message<'_>) {
    assert!(matches!(m.to().uri(), Ok(Uri::Other { scheme: b"isbn", .. })));
    assert!(matches!(m.from().uri(), Ok(Uri::Other { scheme: b"http", .. })));
    assert!(
        matches!(m.contacts().next(), Some(Ok(Contact::At(contact))) if contact.uri_bytes() == b"name:John_Smith")
    );
}

fn bext01(m: &Message<'_>) {
    let tags: Vec<_> = m.list(HeaderName::ProxyRequire).map(text).collect();
    assert_eq!(tags, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    assert!(m.lists(HeaderName::Require, "nothingsupportsthis") && !m.lists(HeaderName::Require, "100rel"));
}

fn invut(m: &Message<'_>) {
    assert_eq!(
        (m.header(HeaderName::ContentType), m.body().len()),
        (Some(&b"application/unknownformat"[..]), 40)
    );
}

fn regaut01(m: &Message<'_>) {
    let value = m.header(HeaderName::Authorization).unwrap();
    assert!(sip::digest::Credentials::parse(value).is_none());
}

fn bcast(m: &Message<'_>) {
    assert_eq!(m.code(), Some(200));
    let next = m.vias().nth(1).unwrap().unwrap();
    assert_eq!(next.answer_to(), Some("255.255.255.255:5060".parse().unwrap()));
}

fn zeromf(m: &Message<'_>) {
    assert_eq!(m.max_forwards(), Some(0));
}

fn only_contact<'a>(m: &Message<'a>) -> sip::message::NameAddr<'a> {
    let mut all = m.contacts();
    let (Some(Ok(Contact::At(contact))), None) = (all.next(), all.next()) else { panic!("one address") };
    contact
}

fn cparam01(m: &Message<'_>) {
    let contact = only_contact(m);
    assert_eq!(contact.uri_bytes(), b"sip:+19725552222@gw1.example.net");
    assert!(contact.params().has("unknownparam"));
}

fn cparam02(m: &Message<'_>) {
    let contact = only_contact(m);
    assert!(contact.uri().unwrap().sip().unwrap().params.has("unknownparam"));
    assert!(contact.params().as_bytes().is_empty());
}

fn regescrt(m: &Message<'_>) {
    assert_eq!(only_contact(m).uri().unwrap().sip().unwrap().headers, b"Route=%3Csip:sip.example.com%3E");
}

fn sdp01(m: &Message<'_>) {
    assert_eq!((m.named("accept").next(), m.body().len()), (Some(&b"text/nobodyKnowsThis"[..]), 150));
}

fn inv2543(m: &Message<'_>) {
    assert_eq!((m.max_forwards(), m.via().branch(), m.from().tag()), (None, None, None));
    assert_eq!(m.to().params().get("user"), Some(&b"phone"[..]));
    assert!(m.body().starts_with(b"v=0\r\n"));
}

fn host(m: &Message<'_>) -> (&'static str, Option<u16>) {
    let uri = m.uri().unwrap().sip().unwrap();
    let ip = uri.host.ip().expect("an address");
    let known = ["2001:db8::10", "2001:db8::10:5070", "2001:db8::c000:201"];
    (known.into_iter().find(|known| known.parse() == Ok(ip)).expect("one of them"), uri.port)
}

fn received(m: &Message<'_>) {
    assert_eq!(m.via().host().ip(), Some("2001:db8::9:1".parse().unwrap()));
    assert_eq!(m.via().answer_to(), Some("[2001:db8::9:255]:5060".parse().unwrap()));
}

fn mult_ip_in_header(m: &Message<'_>) {
    let answers: Vec<_> = m.vias().map(|via| via.unwrap().answer_to().unwrap().to_string()).collect();
    assert_eq!(answers, ["[2001:db8::9:1]:6050", "192.0.2.1:5060", "192.0.2.200:5060"]);
}

fn ipv4_mapped_ipv6(m: &Message<'_>) {
    let written = |text: &str| Some(text.parse::<std::net::IpAddr>().unwrap());
    assert_eq!((m.via().host().ip(), m.via().port()), (written("::ffff:192.0.2.10"), Some(19823)));
    let contact = only_contact(m).uri().unwrap();
    assert_eq!(contact.sip().unwrap().host.ip(), written("::ffff:192.0.2.2"));
}
