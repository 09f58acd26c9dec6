//! Where certificates come from: what `[tls]` and `[acme]` mean, and what is refused.

use super::{DOMAIN, TLS, check, house, plan, read};
use domains::certificate::Challenge;
use parlour::config::plan::{AcmePlan, TlsPlan, TlsSource};
use std::path::Path;

const ACME: &str = "[tls]\nsource = \"acme\"\n[acme]\nterms-accepted = true\n";

fn tls(dir: &Path, text: &str) -> (TlsPlan, Vec<String>) {
    let plan = read(dir, text).unwrap_or_else(|refusal| panic!("{refusal}"));
    (plan.tls.expect("it is on"), plan.warnings)
}

fn acme(more: &str) -> AcmePlan {
    let text = format!("{DOMAIN}{ACME}{more}");
    match plan(&text).tls.expect("it is on").source {
        TlsSource::Acme(acme) => acme,
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_are_our_own_where_none_is_named() {
    let (own, warnings) = tls(house().path(), &format!("{DOMAIN}[xmpp]\nclient = [\":5222\"]\n"));
    assert!(matches!(own.source, TlsSource::Own) && own.certificates.is_empty());
    let missing =
        "tls.source: there is no certificate for falcot.com yet; the server issues one when it starts";
    assert_eq!(warnings, [missing]);
    let (files, _) = tls(house().path(), &format!("{DOMAIN}{TLS}"));
    assert!(matches!(files.source, TlsSource::Files), "as before there were sources");
    assert!(plan(&format!("{DOMAIN}{}", "[tls]\ncertificate = \"\"\nkey = \"\"\n")).tls.is_none());
}

#[test]
fn several_may_be_named_and_each_name_has_its_own() {
    let (dir, other) = (house(), house());
    let more = other.path().join("c");
    let text = format!(
        "{DOMAIN}{TLS}[[tls.certificates]]\ncertificate = \"{0}.pem\"\nkey = \"{0}.key\"\n",
        more.display()
    );
    let (files, _) = tls(dir.path(), &text);
    assert_eq!(files.certificates.len(), 2);
    assert_eq!(files.shown_for("falcot.com")[0].certificate, dir.path().join("c.pem"));
    assert!(files.covers("falcot.com") && !files.covers("example.org"));
    check(
        &format!("{DOMAIN}{TLS}certificates = [{{ certificate = \"c.pem\" }}]\n"),
        &[
            "0:0 tls.certificates.key: `key` is missing under `[tls.certificates]` | a certificate of \"files\" has both, \
             `certificate` and `key`",
        ],
    );
}

#[test]
fn what_an_acme_authority_needs_to_know() {
    let usual = acme("");
    assert_eq!(usual.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(
        (&usual.challenges[..], usual.external, usual.roots.len()),
        (&[Challenge::TlsAlpn][..], None, 0)
    );
    let all = acme(
        "directory = \"https://ca.example:14000/dir\"\ncontact = [\"joe@falcot.com\", \"mailto:ops@falcot.com\"]\n\
         challenge = \"http-01\"\nexternal-account = { kid = \"k1\", key = \"c2VjcmV0_w\" }\nroots = [\"c.pem\"]\n",
    );
    assert_eq!(all.contact, ["mailto:joe@falcot.com", "mailto:ops@falcot.com"]);
    assert_eq!(all.directory.as_str(), "https://ca.example:14000/dir");
    assert_eq!(all.challenges, [Challenge::Http]);
    let external = all.external.expect("it is there");
    assert_eq!((external.kid.as_str(), external.key.expose()), ("k1", &b"secret\xff"[..]));
    assert!(!format!("{external:?}").contains("secret"), "secrets are not shown");
    assert_eq!(all.roots.len(), 1);
    let push = "challenge = [\"tls-alpn-01\", \"dns-01\"]\n[dns]\npush = { server = \"127.0.0.1\", key = \"k\", secret = \"c2VjcmV0\" }\n";
    assert_eq!(acme(push).challenges, [Challenge::TlsAlpn, Challenge::Dns], "in their order");
}

#[test]
fn a_challenge_that_no_listener_answers_is_told() {
    let warnings = |challenge: &str, listeners: &str| {
        let warnings = plan(&format!("{DOMAIN}{ACME}challenge = {challenge}\n{listeners}")).warnings;
        let about = warnings.into_iter().filter_map(|one| {
            let (said, _) = one.strip_prefix("acme.challenge: an authority looks for ")?.split_once(',')?;
            Some(said.to_owned())
        });
        about.collect::<Vec<_>>()
    };
    let both = "[\"tls-alpn-01\", \"http-01\"]";
    let (sealed, plain) = ("tls-alpn-01 at port 443", "http-01 at port 80");
    assert_eq!(
        warnings(both, "[turn]\nudp = [\":443\"]\ndtls = [\":443\"]\ntcp = [\":80\"]\n"),
        [sealed, plain]
    );
    assert_eq!(warnings(both, "[web]\nhttps = [\":443\"]\nhttp = [\":8080\"]\n"), [plain]);
    assert_eq!(warnings(both, "[turn]\ntls = [\":443\"]\n[web]\nhttp = [\":80\"]\n"), [""; 0]);
    assert_eq!(warnings("\"http-01\"", "[web]\nhttp = [\":80\"]\n"), [""; 0]);
}

#[test]
fn what_is_refused() {
    check(
        &format!("{DOMAIN}[tls]\nsource = \"lego\"\n"),
        &[
            "4:10 tls.source: `lego` is nowhere that certificates come from | write \"own\", \"files\" or \"acme\"",
        ],
    );
    check(
        &format!("{DOMAIN}{TLS}source = \"own\"\n"),
        &[
            "4:15 tls.certificate: it is for `source = \"files\"` alone | take it out, or write that source",
            "5:7 tls.key: it is for `source = \"files\"` alone | take it out, or write that source",
        ],
    );
    check(
        &format!("{DOMAIN}[tls]\nsource = \"acme\"\n"),
        &[
            "0:0 acme.terms-accepted: the authority's terms of service are not accepted | read them, then write \
             `terms-accepted = true` under `[acme]`",
        ],
    );
    check(
        &format!(
            "{DOMAIN}{ACME}directory = \"http://ca.example\"\ncontact = [\"joe\"]\nchallenge = \"dns-01\"\n\
             external-account = {{ kid = \"k1\" }}\nroots = [\"none.pem\"]\n"
        ),
        &[
            "7:13 acme.directory: `http://ca.example` is not the URL of a directory | write it as \
             \"https://acme-v02.api.letsencrypt.org/directory\"",
            "8:12 acme.contact: `joe` is not a mail address | write \"joe@falcot.com\"",
            "9:13 acme.challenge: dns-01 needs a name server that takes our records | set `push` or `provider` under `[dns]`",
            "10:20 acme.external-account.key: `key` is missing | acme.external-account takes kid and key",
            "11:10 acme.roots: none.pem cannot be read: No such file or directory (os error 2) | ",
        ],
    );
    check(
        &format!(
            "{DOMAIN}{ACME}challenge = \"email\"\nexternal-account = {{ kid = \"k1\", key = \"not base64\" }}\n"
        ),
        &[
            "7:13 acme.challenge: `email` is no challenge that parlour answers | write \"tls-alpn-01\", \"http-01\" or \
             \"dns-01\"",
            "8:40 acme.external-account.key: the key is not base64url | as the authority gives it",
        ],
    );
    check(
        &format!("{DOMAIN}{ACME}challenge = [\"http-01\", \"dns-01\", \"http-01\"]\n"),
        &[
            "7:25 acme.challenge: dns-01 needs a name server that takes our records | set `push` or `provider` under `[dns]`",
            "7:35 acme.challenge: http-01 stands here twice | take one of them out",
        ],
    );
    check(
        &format!("{DOMAIN}{ACME}challenge = 1\n"),
        &["7:13 acme.challenge: `challenge` takes a text in quotes, or a list of texts | as in \
             `challenge = \"tls-alpn-01\"`"],
    );
    check(
        &format!("{DOMAIN}{ACME}challenge = []\n"),
        &[
            "5:2 acme.challenge: there is no challenge in it | write \"tls-alpn-01\", \"http-01\" or \"dns-01\"",
        ],
    );
}
