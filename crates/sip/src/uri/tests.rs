//! URIs: parse, reject, and the examples of RFC 3261 §19.1.4.

use super::*;

fn sip(text: &str) -> SipUri<'_> {
    SipUri::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn text(part: Option<&[u8]>) -> Option<&str> {
    part.map(|p| std::str::from_utf8(p).unwrap())
}

#[test]
fn parts() {
    let uri = sip("sips:alice:pa$s@Atlanta.com:5062;transport=TCP;lr;x=%3b?subject=a%20b&priority=urgent");
    assert!(uri.secure && uri.is_loose());
    assert_eq!((text(uri.user), text(uri.password), uri.port), (Some("alice"), Some("pa$s"), Some(5062)));
    assert_eq!(uri.host, Host::Name(b"atlanta.com"));
    assert_eq!((text(uri.transport()), text(uri.params.get("X"))), (Some("TCP"), Some("%3b")));
    assert_eq!(uri.headers, b"subject=a%20b&priority=urgent");
    let bare = sip("SIP:[2001:db8::1]:5060;maddr=[2001:db8::2]");
    assert_eq!((bare.user, bare.host.to_string().as_str(), bare.port), (None, "[2001:db8::1]", Some(5060)));
    assert_eq!(bare.maddr().and_then(|host| host.ip()), Some("2001:db8::2".parse().unwrap()));
}

#[test]
fn the_user_part_may_hold_what_separates_elsewhere() {
    let uri = sip("sip:user;par=u%40example.net@example.com");
    assert_eq!(text(uri.user), Some("user;par=u%40example.net"));
    assert_eq!(unescape(uri.user.unwrap()).as_ref(), b"user;par=u@example.net");
    assert_eq!(text(sip("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com").password),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
}

#[test]
fn addresses_are_in_the_houses_normal_form() {
    let address = |text| sip(text).address().map(|address| address.to_string());
    assert_eq!(address("sip:Roland@Falcot.COM:5060;transport=tcp").as_deref(), Ok("roland@falcot.com"));
    assert_eq!(address("sip:r%6Fland@falcot.com").as_deref(), Ok("roland@falcot.com"));
    assert_eq!(address("sip:falcot.com"), Err(AddressError::NoUser));
    assert_eq!(address("sip:a%00b@falcot.com"), Err(AddressError::User));
    assert_eq!(address("sip:%ff@falcot.com"), Err(AddressError::User));
}

#[test]
fn other_schemes() {
    assert!(
        matches!(Uri::parse(b"tel:+1-201-555-0123;phone-context=x"), Ok(Uri::Tel(tel)) if tel.number == b"+1-201-555-0123")
    );
    let uri = Uri::parse(b"nobodyKnowsThisScheme:totallyopaquecontent");
    assert!(matches!(
        uri,
        Ok(Uri::Other { scheme: b"nobodyKnowsThisScheme", rest: b"totallyopaquecontent" })
    ));
    assert!(matches!(Uri::parse(b"soap.beep://192.0.2.103:3002"), Ok(Uri::Other { .. })));
}

#[test]
fn reject() {
    for bad in [
        "",
        "sip",
        "sip:",
        ":a",
        "1sip:a",
        "sip:@a",
        "sip:a@",
        "sip:a b@c",
        "sip:a@b c",
        "<sip:a@b>",
        "sip:a@b;",
        "sip:a@b;;x",
        "sip:a@b;=x",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a@b:99999",
        "sip:a@b:;x",
        "sip:a@b?x=%",
        "sip:a\"@b",
        "sip:a@[::1",
        "sip:a@b;x=\"y\"",
        "sip:a@b@c",
        "sip: a@b",
        "tel:1 2",
        "http:a b",
        "sip:a@b>",
    ] {
        assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[track_caller]
fn compare(a: &str, b: &str, same: bool) {
    let (one, other) = (Uri::parse(a.as_bytes()).unwrap(), Uri::parse(b.as_bytes()).unwrap());
    assert_eq!((one.matches(&other), other.matches(&one)), (same, same), "{a} and {b}");
}

#[test]
fn rfc_3261_19_1_4_equivalent() {
    compare("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true);
    compare("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true);
    compare("sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true);
    compare("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true);
    compare(
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        true,
    );
    compare(
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        true,
    );
}

#[test]
fn rfc_3261_19_1_4_not_equivalent() {
    compare("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false);
    compare("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false);
    compare("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false);
    compare("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false);
    compare("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false);
    compare("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false);
    compare("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false);
}

#[test]
fn further_comparisons() {
    compare("sip:a@b.c", "sips:a@b.c", false);
    compare("sip:a@b.c", "sip:a:p@b.c", false);
    compare("sip:a@[2001:db8::1]", "sip:a@[2001:0db8:0::1]", true);
    compare("sip:a@b.c;x=%41", "sip:a@b.c;x=a", true);
    compare("tel:+1-201-555-0123", "tel:+12015550123", true);
    compare("tel:123;phone-context=a", "tel:123;phone-context=b", false);
    compare("urn:service:sos", "URN:service:sos", true);
    compare("urn:service:sos", "sip:sos@b.c", false);
}
