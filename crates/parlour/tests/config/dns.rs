//! What `[dns]` may say, and what is said of what it must not.

use super::{DOMAIN, check, plan};
use parlour::config::plan::{HostName, PushPlan};

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
    let Some(PushPlan::Server(push)) = plan(&format!("{DOMAIN}{text}")).dns.push else { panic!("it is set") };
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

#[test]
fn which_provider_takes_the_records() {
    let provider = "{ name = \"desec\", token = \"t0ken\" }";
    let dns = plan(&format!("{DOMAIN}[dns]\nprovider = {provider}\ninstallation = \"berlin\"\n")).dns;
    assert_eq!(dns.push.as_ref().map(PushPlan::to_string).as_deref(), Some("desec"));
    assert_eq!(dns.installation.as_deref(), Some("berlin"));
    assert!(!format!("{dns:?}").contains("t0ken"), "it is never shown");
    assert!(plan(&format!("{DOMAIN}[dns]\nprovider = {{}}\n")).dns.push.is_none());
    let takes = "ovh takes name, user, secret, token, region";
    check(
        &format!(
            "{DOMAIN}[dns.provider]\nname = \"ovh\"\nuser = \"me\"\nregion = \"ovh-eu\"\naccount = \"7\"\n"
        ),
        &[
            &format!("3:1 dns.provider.token: `token` is missing | {takes}"),
            &format!("3:1 dns.provider.secret: `secret` is missing | {takes}"),
            &format!("3:1 dns.provider.account: ovh has no use for `account` | {takes}"),
        ],
    );
    check(
        &format!("{DOMAIN}[dns.provider]\ntoken = \"t0ken\"\n"),
        &["3:1 dns.provider.name: `name` is missing | as in name = \"desec\""],
    );
    check(
        &format!("{DOMAIN}[dns]\ninstallation = \"Two words\"\n"),
        &[
            "4:16 dns.installation: `Two words` is not a name for an installation | up to 32 small letters, digits and hyphens",
        ],
    );
    let both = "push = { server = \"192.0.2.53\", key = \"k\", secret = \"c2VjcmV0\" }";
    check(
        &format!("{DOMAIN}[dns]\n{both}\nprovider = {provider}\n"),
        &[
            "5:12 dns.provider: dns.push is set, too | records are pushed to a name server or to a provider: take one out",
        ],
    );
    let text = format!("{DOMAIN}[dns.provider]\nname = \"bind\"\ntoken = \"t0ken\"\n");
    let Err(refusal) = super::read(super::house().path(), &text) else { panic!("not refused") };
    let faults: Vec<String> = refusal
        .findings()
        .iter()
        .map(|f| format!("{}:{} {}: {} | {}", f.line, f.column, f.key, f.message, f.help))
        .collect();
    assert!(
        faults[0].starts_with(
            "4:8 dns.provider.name: `bind` is not a provider that parlour knows | one of alidns, "
        ),
        "{faults:?}"
    );
}
