//! Digest: the examples of RFC 2617 and RFC 7616, and every verdict.

use super::*;
use std::net::Ipv4Addr;
use std::sync::Arc;
use wire::WorkerId;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// The response of an RFC's example with this password.
fn example(header: &str, password: &str, method: &str) -> String {
    let credentials = Credentials::parse(header.as_bytes()).expect("the RFC's own example");
    let key =
        Hex::of(credentials.algorithm, &[&credentials.username, &credentials.realm, password.as_bytes()]);
    let method = Method::new(method.as_bytes()).unwrap();
    let response = response(&credentials, &key, method, b"");
    assert_eq!(response.as_bytes(), credentials.response.as_ref());
    String::from_utf8(response.as_bytes().to_vec()).unwrap()
}

#[test]
fn rfc_2617_3_5() {
    example(
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         uri=\"/dir/index.html\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
         response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        "Circle Of Life",
        "GET",
    );
}

#[test]
fn rfc_7616_3_9_1() {
    let header = |algorithm: &str, response: &str| {
        format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    example(&header("MD5", "8ca523f5e9506fed4657c9700eebdbec"), "Circle of Life", "GET");
    let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    example(&header("SHA-256", sha), "Circle of Life", "GET");
    // Not in the RFC; computed with another implementation.
    let sha = "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0";
    example(&header("SHA-512-256", sha), "Circle of Life", "GET");
}

/// A client with a password, and what it says wrong on purpose.
struct Client<'a> {
    username: &'a str,
    password: &'a str,
    algorithm: Option<&'a str>,
    qop: Option<&'a str>,
    uri: &'a str,
    nonce: String,
}

impl Default for Client<'_> {
    fn default() -> Self {
        let nonce =
            written(&Mint::new(&Secret::new("secret")), &domain(), SOURCE, Name::new(NOW, WorkerId(0), 0));
        let (qop, uri) = (Some("auth"), "sip:falcot.com");
        Self { username: "roland", password: "hunter2", algorithm: Some("MD5"), qop, uri, nonce }
    }
}

fn written(mint: &Mint, realm: &Domain, source: IpAddr, name: Name) -> String {
    String::from_utf8(nonce::write(mint, realm, source, name).to_vec()).unwrap()
}

fn domain() -> Domain {
    Domain::new("falcot.com").unwrap()
}

/// `roland` has every key, `joe` an MD5 key alone.
fn directory() -> Directory {
    let hash = |user: &str| format!("{user}:falcot.com:hunter2");
    let md5 = |user: &str| <[u8; 16]>::from(<md5::Md5 as sha2::Digest>::digest(hash(user)));
    let sha = |user: &str| <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(hash(user)));
    let sha512 = |user: &str| <[u8; 32]>::from(<sha2::Sha512_256 as sha2::Digest>::digest(hash(user)));
    let all = Keys {
        md5: Some(md5("roland")),
        sha256: Some(sha("roland")),
        md5_whole: Some(md5("roland@falcot.com")),
        sha256_whole: Some(sha("roland@falcot.com")),
        sha512_256: Some(sha512("roland")),
        sha512_256_whole: Some(sha512("roland@falcot.com")),
        ..Keys::default()
    };
    let some = Keys { md5: Some(md5("joe")), ..Keys::default() };
    let account = |user: &str, keys| {
        let address = Address::new(user, "falcot.com").unwrap();
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    let alias = [Domain::new("sip.falcot.com").unwrap()];
    Directory::new([(&domain(), &alias[..])]).with([account("roland", all), account("joe", some)])
}

fn request(header: &str) -> String {
    format!(
        "REGISTER sip:falcot.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\nt: <sip:b@c>\r\n\
         i: x\r\nCSeq: 7 REGISTER\r\n{header}l: 4\r\n\r\nbody"
    )
}

impl Client<'_> {
    fn header(&self) -> String {
        let Self { username, uri, nonce, .. } = self;
        let mut text =
            format!("Digest username=\"{username}\", realm=\"falcot.com\", nonce=\"{nonce}\", uri=\"{uri}\"");
        if let Some(algorithm) = self.algorithm {
            text += &format!(", algorithm={algorithm}");
        }
        if let Some(qop) = self.qop {
            text += &format!(", qop={qop}, cnonce=\"abc\", nc=00000001");
        }
        let draft = format!("{text}, response=\"\"");
        let credentials = Credentials::parse(draft.as_bytes()).expect("valid");
        let key =
            Hex::of(credentials.algorithm, &[username.as_bytes(), b"falcot.com", self.password.as_bytes()]);
        let response = response(&credentials, &key, Method::Register, b"body");
        format!("{text}, response=\"{}\"", String::from_utf8_lossy(response.as_bytes()).to_uppercase())
    }

    fn verdict(&self) -> Verdict {
        verdict(&request(&format!("Authorization: {}\r\n", self.header())), NOW)
    }
}

fn verdict(request: &str, now: Duration) -> Verdict {
    let mut digest = digest();
    let request = Message::parse(request.as_bytes()).unwrap();
    digest.verify(&request, Role::Server, &domain(), &directory(), (SOURCE, now))
}

/// It has run since before `NOW`.
fn digest() -> Digest {
    let mut digest = Digest::new((WorkerId(0), 1), Secret::new("secret"), Duration::from_secs(300));
    digest.began = Some(nonce::seconds(NOW) - 1000);
    digest
}

fn roland() -> Address {
    Address::new("roland", "falcot.com").unwrap()
}

#[test]
fn granted_in_every_form() {
    for algorithm in [Some("MD5"), Some("md5"), Some("SHA-256"), Some("SHA-512-256"), None] {
        for qop in [Some("auth"), Some("\"auth\""), Some("auth-int"), None] {
            for username in ["roland", "roland@falcot.com"] {
                let client = Client { algorithm, qop, username, ..Client::default() };
                assert_eq!(client.verdict(), Verdict::Granted(roland()), "{algorithm:?} {qop:?} {username}");
            }
        }
    }
}

#[test]
fn refused() {
    let refused = Verdict::Refused(Some(roland()));
    assert_eq!(Client { password: "hunter3", ..Client::default() }.verdict(), refused);
    assert_eq!(Client { uri: "sip:other.example", ..Client::default() }.verdict(), refused);
    assert_eq!(Client { uri: "sip:roland@falcot.com", ..Client::default() }.verdict(), refused);
    assert_eq!(
        Client { username: "Roland", ..Client::default() }.verdict(),
        refused,
        "keys are of the normal form"
    );
    assert_eq!(Client { username: "nobody", ..Client::default() }.verdict(), Verdict::Refused(None));
    assert_eq!(
        Client { username: "roland@other.example", ..Client::default() }.verdict(),
        Verdict::Refused(None)
    );
    let old = Client { password: "x", nonce: "theirs".to_owned(), ..Client::default() };
    assert_eq!(old.verdict(), Verdict::Stale, "nobody is blamed for a nonce that was another's, or too old");
}

#[test]
fn the_uri_may_lack_what_proxies_add() {
    for uri in [
        "sip:FALCOT.com:5060;transport=udp",
        "sips:falcot.com",
        "sip:192.0.2.1:5060",
        "sip:2001:db8::1:15060",
        "sip:sip.falcot.com",
    ] {
        assert_eq!(Client { uri, ..Client::default() }.verdict(), Verdict::Granted(roland()), "{uri}");
    }
}

#[test]
fn stale() {
    let text = request(&format!("Authorization: {}\r\n", Client::default().header()));
    assert_eq!(verdict(&text, NOW + Duration::from_secs(300)), Verdict::Granted(roland()));
    assert_eq!(verdict(&text, NOW + Duration::from_secs(301)), Verdict::Stale);
    assert_eq!(
        Client { nonce: "of another server".to_owned(), ..Client::default() }.verdict(),
        Verdict::Stale
    );
}

#[test]
fn credentials_that_came_before_are_stale() {
    let check = |digest: &mut Digest, client: &Client<'_>| {
        let text = request(&format!("Authorization: {}\r\n", client.header()));
        let request = Message::parse(text.as_bytes()).unwrap();
        digest.verify(&request, Role::Server, &domain(), &directory(), (SOURCE, NOW))
    };
    for qop in [Some("auth"), None] {
        let (mut digest, client) = (digest(), Client { qop, ..Client::default() });
        assert_eq!(check(&mut digest, &client), Verdict::Granted(roland()));
        assert_eq!(check(&mut digest, &client), Verdict::Stale);
        assert_eq!(check(&mut digest, &Client { password: "x", ..client }), Verdict::Refused(Some(roland())));
    }
    let nonce = |worker, unix| {
        written(&Mint::new(&Secret::new("secret")), &domain(), SOURCE, Name::new(unix, WorkerId(worker), 7))
    };
    let theirs = Name::new(NOW, WorkerId(0), 7);
    let theirs = written(&Mint::new(&Secret::new("secret")), &domain(), Ipv4Addr::LOCALHOST.into(), theirs);
    let theirs = Client { nonce: theirs, ..Client::default() };
    assert_eq!(check(&mut digest(), &theirs), Verdict::Stale, "a nonce is for one source");
    let elsewhere = Client { nonce: nonce(1, NOW), ..Client::default() };
    assert_eq!(check(&mut digest(), &elsewhere), Verdict::Stale, "another worker knows what it was used for");
    let before = Client { nonce: nonce(0, NOW - Duration::from_secs(2)), ..Client::default() };
    assert_eq!(check(&mut digest(), &before), Verdict::Granted(roland()));
    let mut new = Digest::new((WorkerId(0), 1), Secret::new("secret"), Duration::from_secs(300));
    assert_eq!(check(&mut new, &before), Verdict::Stale, "from before this server was started");
}

#[test]
fn a_key_that_the_account_lacks() {
    let joe = Address::new("joe", "falcot.com").unwrap();
    let client = |algorithm, username| Client { algorithm: Some(algorithm), username, ..Client::default() };
    assert_eq!(client("MD5", "joe").verdict(), Verdict::Granted(joe.clone()));
    assert_eq!(client("SHA-256", "joe").verdict(), Verdict::Missing(joe.clone()));
    assert_eq!(client("MD5", "joe@falcot.com").verdict(), Verdict::Missing(joe.clone()));
    let algorithms = Algorithms::of(&directory().get(&joe).unwrap().keys);
    assert_eq!(algorithms, Algorithms::MD5);
    assert_eq!(Algorithms::of(&Keys::default()), Algorithms::ALL);
}

#[test]
fn absent() {
    let header = Client::default().header();
    for lines in [
        String::new(),
        format!("Proxy-Authorization: {header}\r\n"),
        format!("Authorization: {}\r\n", header.replace("falcot.com\", n", "other.example\", n")),
        "Authorization: Basic cm9sYW5kOmh1bnRlcjI=\r\n".to_owned(),
        "Authorization: Digest\r\n".to_owned(),
    ] {
        assert_eq!(verdict(&request(&lines), NOW), Verdict::Absent, "{lines}");
    }
}

#[test]
fn the_best_of_several_counts_up_to_a_bound() {
    let bad = format!("Authorization: {}\r\n", Client { password: "x", ..Client::default() }.header());
    let good = format!("Authorization: {}\r\n", Client::default().header());
    assert_eq!(verdict(&request(&format!("{bad}{good}{bad}")), NOW), Verdict::Granted(roland()));
    assert_eq!(
        verdict(&request(&format!("{bad}{bad}{bad}{bad}{good}")), NOW),
        Verdict::Refused(Some(roland()))
    );
}

#[test]
fn challenges() {
    let digest = digest();
    let nonce =
        written(&Mint::new(&Secret::new("secret")), &domain(), SOURCE, Name::new(NOW, WorkerId(0), 0));
    let mut out = Vec::new();
    digest.challenge(&mut out, (Role::Proxy, WorkerId(0)), &domain(), Algorithms::ALL, true, (SOURCE, NOW));
    let line = |algorithm| {
        format!(
            "Proxy-Authenticate: Digest realm=\"falcot.com\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\", stale=true\r\n"
        )
    };
    assert_eq!(String::from_utf8(out).unwrap(), line("MD5") + &line("SHA-256") + &line("SHA-512-256"));
    let mut out = Vec::new();
    digest.challenge(&mut out, (Role::Server, WorkerId(0)), &domain(), Algorithms::MD5, false, (SOURCE, NOW));
    let second =
        written(&Mint::new(&Secret::new("secret")), &domain(), SOURCE, Name::new(NOW, WorkerId(0), 1));
    let line = line("MD5").replace("Proxy-A", "WWW-A").replace(", stale=true", "");
    assert_eq!(String::from_utf8(out).unwrap(), line.replace(&nonce, &second), "no two nonces are alike");
}

#[test]
fn clients_that_stumble_are_offered_md5_alone() {
    let offer = |header: &str, keys: &Keys| {
        let request = request(header);
        let request = match header.starts_with("User-Agent: JsSIP") {
            true => request.replace("SIP/2.0/UDP", "SIP/2.0/WSS"),
            false => request,
        };
        Algorithms::offer(&Message::parse(request.as_bytes()).unwrap(), Some(keys))
    };
    let all = directory().get(&roland()).unwrap().keys.clone();
    assert_eq!(offer("User-Agent: Linphone/5.1\r\n", &all), Algorithms::ALL);
    assert_eq!(offer("User-Agent: baresip v3.2.0 (x86_64/Linux)\r\n", &all), Algorithms::ALL);
    assert_eq!(offer("User-Agent: baresip v1.0.0 (x86_64/linux)\r\n", &all), Algorithms::MD5);
    for stumbles in [
        "Twinkle/1.10.2",
        "Asterisk PBX 16.28.0",
        "FPBX-16.0.40(18.9)",
        "MicroSIP/3.19.22",
        "MicroSIP/3.20.7",
    ] {
        assert_eq!(offer(&format!("User-Agent: {stumbles}\r\n"), &all), Algorithms::MD5, "{stumbles}");
    }
    for other in ["Asterisk PBX 20.6.0", "MicroSIP/3.21.3", "PJSUA v2.15.1"] {
        assert_eq!(offer(&format!("User-Agent: {other}\r\n"), &all), Algorithms::ALL, "{other}");
    }
    assert_eq!(offer("User-Agent: JsSIP 3.13.8\r\n", &all), Algorithms::MD5);
    assert_eq!(offer("", &all), Algorithms::ALL);
    let sha256 = Keys { sha256: all.sha256, ..Keys::default() };
    assert_eq!(
        offer("User-Agent: baresip v1.0.0 (x86_64/linux)\r\n", &sha256),
        Algorithms { md5: false, sha256: true, sha512_256: false },
        "what the account cannot answer helps nobody"
    );
}
