//! Sign-in by a certificate (EXTERNAL).

use super::*;
use crate::sasl::external::Proven;

/// A stream whose client has shown a certificate for these.
fn shown(named: &[&str]) -> Play {
    let addresses = named.iter().map(|name| name.parse().unwrap()).collect();
    let certificate = Some(Proven { addresses, serial: "2a".into() });
    let mut play = Play::new(false);
    play.send(OPEN);
    play.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    play.give(Input::Secured(Channel { certificate, ..Channel::default() }));
    play
}

const OFFERED: &str = "<mechanism>EXTERNAL</mechanism>";

#[test]
fn it_is_offered_to_whom_a_certificate_proves_and_works_while_that_is_good() {
    for (good, expected) in [
        (Some(true), format!("{SUCCESS}{{Authenticated roland@falcot.com}}")),
        (Some(false), failure("not-authorized")),
        (None, failure("temporary-auth-failure")),
    ] {
        let mut play = shown(&["roland@falcot.com"]);
        assert_eq!(play.send(OPEN).matches(OFFERED).count(), 2);
        let auth = format!("<auth xmlns='{}' mechanism='EXTERNAL'>=</auth>", ns::SASL);
        assert_eq!(play.send(&auth), "{Prove roland@falcot.com 2a}");
        assert_eq!(play.give(Input::Proven(good)), expected);
    }
}

#[test]
fn nobody_acts_for_somebody_else() {
    for authzid in ["md5@falcot.com", "roland@falcot.org", "roland"] {
        let mut play = shown(&["roland@falcot.com"]);
        play.send(OPEN);
        let data = BASE64.encode(authzid);
        let auth = format!("<auth xmlns='{}' mechanism='EXTERNAL'>{data}</auth>", ns::SASL);
        assert_eq!(play.send(&auth), failure("invalid-authzid"), "{authzid}");
    }
}

#[test]
fn it_is_not_offered_and_not_taken_where_nobody_of_the_domain_is_proven() {
    for named in [&["roland@falcot.org"][..], &["nobody@falcot.com"], &[]] {
        let mut play = shown(named);
        assert!(!play.send(OPEN).contains(OFFERED), "{named:?}");
        let auth = format!("<auth xmlns='{}' mechanism='EXTERNAL'>=</auth>", ns::SASL);
        assert_eq!(play.send(&auth), failure("invalid-mechanism"), "{named:?}");
    }
}

#[test]
fn in_one_go() {
    const AUTHENTICATE: &str =
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='EXTERNAL'><initial-response/></authenticate>";
    let mut play = shown(&["roland@falcot.com"]);
    play.send(OPEN);
    assert_eq!(play.send(AUTHENTICATE), "{Prove roland@falcot.com 2a}");
    assert_eq!(play.give(Input::Proven(Some(true))), "{Authenticated roland@falcot.com}");
    // What the header says of its sender must be true here as well.
    let mut play = shown(&["roland@falcot.com"]);
    play.send(&OPEN.replace(" to=", " from='md5@falcot.com' to="));
    play.send(AUTHENTICATE);
    assert!(play.give(Input::Proven(Some(true))).contains("invalid-authzid"));
}

#[test]
fn nothing_but_the_answer_is_taken_for_one() {
    let mut play = shown(&["roland@falcot.com"]);
    play.send(OPEN);
    play.send(&format!("<auth xmlns='{}' mechanism='EXTERNAL'>=</auth>", ns::SASL));
    assert_eq!(play.send(OPEN), "");
    assert_eq!(play.give(Input::Settled), "");
    assert_eq!(play.give(Input::Tokens(None)), "");
    assert!(play.give(Input::Proven(Some(true))).contains("{Authenticated roland@falcot.com}"));
}
