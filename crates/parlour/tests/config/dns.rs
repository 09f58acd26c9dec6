//! What `[dns]` may say, and what is said of what it must not.

use super::{DOMAIN, check, plan};
use parlour::config::plan::HostName;

#[test]
fn what_absence_means_and_everything_that_can_be_written() {
    let absent = plan(DOMAIN);
    let domain = &absent.domains[0].name;
    assert_eq!(absent.dns.turn.name_for(domain), "turn.falcot.com");
    assert_eq!((absent.dns.sip.priority, absent.dns.sip.weight), (0, 0));
    assert_eq!((absent.dns.ttl, absent.dns.caa.len(), absent.dns.tlsa), (3600, 0, false));
    let text = "[dns]\nturn = { host = \"Relay\", priority = 10, weight = 65535 }\nsip = { host = \"sip.example.net.\" }\n\
                ttl = \"5m\"\ncaa = [\"letsencrypt.org\", \";\"]\ntlsa = true\n";
    let dns = plan(&format!("{DOMAIN}{text}")).dns;
    assert_eq!((dns.turn.priority, dns.turn.weight), (10, 65_535));
    assert_eq!(dns.turn.name, HostName::Below("relay".into()));
    assert_eq!(dns.sip.name_for(domain), "sip.example.net");
    assert_eq!((dns.ttl, dns.caa.len(), dns.tlsa), (300, 2, true));
}

#[test]
fn where_changes_are_pushed_to() {
    assert!(
        plan(DOMAIN).dns.push.is_none() && plan(&format!("{DOMAIN}[dns]\npush = {{}}\n")).dns.push.is_none()
    );
    let text = "[dns.push]\nserver = \"192.0.2.53\"\nkey = \"Parlour.\"\nsecret = \"c2VjcmV0\"\n";
    let push = plan(&format!("{DOMAIN}{text}")).dns.push.expect("it is set");
    assert_eq!(push.server, "192.0.2.53:53".parse().expect("valid"));
    assert_eq!((push.key.name.as_str(), push.key.algorithm.name()), ("parlour", "hmac-sha256"));
    assert_eq!(push.key.secret.expose(), b"secret");
    assert!(!format!("{push:?}").contains("secret\""), "it is never shown");
    check(
        &format!("{DOMAIN}[dns.push]\nserver = \"ns1\"\nsecret = \"not base64\"\nalgorithm = \"hmac-md5\"\n"),
        &[
            "3:1 dns.push.key: `key` is missing | dns.push takes server, key and secret",
            "4:10 dns.push.server: `ns1` is not the address of a name server | write \"192.0.2.53\" or \"192.0.2.53:5353\"",
            "5:10 dns.push.secret: the secret is not base64 | as `tsig-keygen` writes it",
            "6:13 dns.push.algorithm: `hmac-md5` is not an algorithm that parlour signs with | write \"hmac-sha256\", \
             \"hmac-sha384\" or \"hmac-sha512\"",
        ],
    );
}

#[test]
fn what_is_refused() {
    let check = |line: &str, expected: &str| check(&format!("{DOMAIN}[dns]\n{line}\n"), &[expected]);
    check(
        "turn = { host = \"turn server\" }",
        "4:17 dns.turn.host: `turn server` is not the name of a host | write \"turn\" for turn.DOMAIN, or a whole name as \
         \"turn.falcot.com\"",
    );
    check(
        "sip = { host = \"192.0.2.1\" }",
        "4:16 dns.sip.host: `192.0.2.1` is not the name of a host | write \"turn\" for turn.DOMAIN, or a whole name as \
         \"turn.falcot.com\"",
    );
    check("xmpp = { priority = 65536 }", "4:21 dns.xmpp.priority: 65536 is out of bounds | from 0 to 65535");
    check(
        "caa = [\"Let's Encrypt\"]",
        "4:8 dns.caa: `Let's Encrypt` is not the name of an authority | write \"letsencrypt.org\", or \";\" for none at all",
    );
}
