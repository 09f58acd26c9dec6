//! What `[sip]` and `tls.roots` may say, and what is said of what they must not.

use super::{DOMAIN, TLS, check, house, plan, read, write};
use parlour::authority::Authority;
use std::time::Duration;

#[test]
fn what_absence_means() {
    let plan = plan(DOMAIN);
    assert!(plan.sip.authenticate && plan.roots.is_empty());
    let limits = &plan.sip.limits;
    assert_eq!((limits.bindings, limits.message, limits.header), (32, 65_536, 32_768));
    assert_eq!((limits.per_source, limits.connections), (100_000, 100_000));
    let seconds = [limits.expires, limits.expires_min, limits.expires_max].map(|length| length.as_secs());
    assert_eq!((seconds, limits.ping.as_secs()), ([3_600, 10, 86_400], 25));
}

#[test]
fn everything_that_can_be_written() {
    let text = format!(
        "{DOMAIN}[sip]\nauthenticate = false\n[sip.limits]\ncontacts = 2\nexpires-min = \"1m\"\nexpires-max = \"5m\"\nping = \"0s\"\n\
         message = 4096\ntransactions-per-source = 7\nconnections = 9\n"
    );
    let plan = plan(&text);
    let limits = &plan.sip.limits;
    assert_eq!((limits.bindings, limits.message, limits.header), (2, 4_096, 2_048));
    assert_eq!((limits.per_source, limits.connections), (7, 9));
    assert_eq!((limits.expires_min, limits.expires_max), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(limits.expires, Duration::from_secs(300), "no longer than the longest");
    assert!(limits.ping.is_zero());
    let warning = "sip.authenticate: whoever reaches this server may register as anybody and call anywhere; only in a closed laboratory";
    assert_eq!((plan.sip.authenticate, plan.warnings), (false, vec![warning.to_owned()]));
}

#[test]
fn what_strangers_may_ask_for() {
    let bans = |text: &str| plan(&format!("{DOMAIN}[sip]\nbans = {{ {text} }}\n")).sip.bans;
    let rate = |text: &str| (bans(text).rate, bans(text).burst);
    assert_eq!(rate(""), (100, 1000));
    assert_eq!(rate("rate = 7"), (7, 70));
    assert_eq!(rate("rate = 7, burst = 3"), (7, 3));
    assert_eq!(rate("rate = 0"), (0, 1), "any number");
    assert_eq!(rate("rate = 1000000000"), (1_000_000_000, 1_000_000_000));
}

#[test]
fn who_may_call_under_another_name() {
    let text =
        format!("{DOMAIN}[sip]\nspeak-for = [\"PBX@falcot.com=*\", \"door@falcot.com = Reception\"]\n");
    let speakers = plan(&text).sip.speak_for;
    let read: Vec<_> = speakers
        .iter()
        .map(|speaker| (speaker.account.as_str(), speaker.name.as_ref().map(wire::Address::as_str)))
        .collect();
    assert_eq!(read, [("pbx@falcot.com", None), ("door@falcot.com", Some("reception@falcot.com"))]);
    let help = "write \"ACCOUNT=USER\", as in \"pbx@example.org=*\"";
    check(
        &format!(
            "{DOMAIN}[sip]\nspeak-for = [\"pbx@falcot.com\", \"pbx=*\", \"pbx@falcot.com=a b\", \"x@example.net=*\"]\n"
        ),
        &[
            &format!("4:14 sip.speak-for: `pbx@falcot.com` is not an account and a user | {help}"),
            &format!("4:32 sip.speak-for: `pbx=*` is not an account and a user | {help}"),
            &format!("4:41 sip.speak-for: `pbx@falcot.com=a b` is not an account and a user | {help}"),
            "4:63 sip.speak-for: example.net is not a domain of this house | ",
        ],
    );
}

#[test]
fn limits_that_contradict_one_another_or_everybody() {
    check(
        &format!(
            "{DOMAIN}[sip]\nlimits = {{ expires = \"2h\", expires-max = \"1h\", contacts = 0, message = 100, conections = 1 }}\n"
        ),
        &[
            "4:22 sip.limits.expires: `2h` is longer than expires-max | at most 1h",
            "4:59 sip.limits.contacts: 0 is out of bounds | from 1 to 1000",
            "4:72 sip.limits.message: 100 is out of bounds | from 2048 to 1048576",
            "4:77 sip.limits.conections: there is no key `conections` under `[sip.limits]` | did you mean `connections`?",
        ],
    );
}

#[test]
fn authorities_come_from_files_of_certificates() {
    let dir = house();
    let text = format!("{DOMAIN}[tls]\nroots = [\"c.pem\"]\n");
    let plan = read(dir.path(), &text).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(plan.roots.len(), 1);
    assert!(plan.tls.is_none(), "whoever only connects needs no certificate");
    write(dir.path(), "empty.pem", b"");
    check(
        &format!("{DOMAIN}[tls]\nroots = [\"nowhere.pem\", \"c.key\"]\n"),
        &[
            "4:10 tls.roots: nowhere.pem cannot be read: No such file or directory (os error 2) | ",
            "4:25 tls.roots: no certificate is in c.key | ",
        ],
    );
    let text = format!("{DOMAIN}[tls]\ndomain-roots = [\"Example.org = c.pem\"]\n");
    let plan = read(dir.path(), &text).unwrap_or_else(|refusal| panic!("{refusal}"));
    let of_domains: Vec<_> =
        plan.domain_roots.iter().map(|(domain, roots)| (domain.as_str(), roots.len())).collect();
    assert_eq!((of_domains, plan.roots.len()), (vec![("example.org", 1)], 0));
    check(
        &format!("{DOMAIN}[tls]\ndomain-roots = [\"c.pem\", \"example.org=nowhere.pem\"]\n"),
        &[
            "4:17 tls.domain-roots: `c.pem` is not a domain and a file | write \"DOMAIN=FILE\", as in \
             \"example.org=roots/example.org.pem\"",
            "4:26 tls.domain-roots: nowhere.pem cannot be read: No such file or directory (os error 2) | ",
        ],
    );
}

#[test]
fn a_wildcard_is_nothing_to_other_servers() {
    let dir = house();
    let wild =
        Authority::new("falcot.com").and_then(|authority| authority.issue(&["*.falcot.com".into()], &[]));
    let wild = wild.expect("a certificate");
    write(dir.path(), "c.pem", wild.certificate.as_bytes());
    write(dir.path(), "c.key", wild.key.expose());
    let text = format!("[[domains]]\nname = \"sip.falcot.com\"\n{TLS}[sip]\ntls = [\"127.0.0.1:0\"]\n");
    let warnings = |text: &str| read(dir.path(), text).unwrap_or_else(|refusal| panic!("{refusal}")).warnings;
    let warning = "tls.certificate: sip.falcot.com is covered by a wildcard alone, which other SIP servers do not take (RFC 5922)";
    assert_eq!(warnings(&text), [warning]);
    assert!(warnings(&text.replace("[sip]", "[xmpp]").replace("tls =", "client-tls =")).is_empty());
}
