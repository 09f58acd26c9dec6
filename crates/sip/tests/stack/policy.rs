//! Who may do what: challenges, wrong passwords, other people's names, relaying; and what every request must be.

use crate::house::{House, Sent};
use crate::{answer, request};
use md5::{Digest, Md5};
use sha2::Sha256;
use sip::digest::Role;
use sip::proxy::media::Relaying;
use sip::stack::Speaker;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use wire::Address;

const ALICE: &str = "198.51.100.1:5060";

static COUNT: AtomicU32 = AtomicU32::new(1);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What a phone answers to a challenge, with a new nonce-count each time.
pub(crate) fn credentials(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let param = |name: &str| {
        let rest = challenge.split_once(&format!("{name}=")).unwrap().1;
        rest.split(',').next().unwrap().trim().trim_matches('"').to_owned()
    };
    let (realm, nonce, algorithm) = (param("realm"), param("nonce"), param("algorithm"));
    let hash = |text: String| match algorithm.as_str() {
        "MD5" => hex(&Md5::digest(text)),
        "SHA-256" => hex(&Sha256::digest(text)),
        _ => panic!("no account here has a key for {algorithm}"),
    };
    let count = format!("{:08x}", COUNT.fetch_add(1, Ordering::Relaxed));
    let first = hash(format!("{user}:{realm}:{password}"));
    let second = hash(format!("{method}:{uri}"));
    let response = hash(format!("{first}:{nonce}:{count}:c:auth:{second}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={algorithm}, qop=auth, nc={count}, cnonce=\"c\""
    )
}

fn house() -> House {
    House::with(1, |config| config.authenticate = true)
}

fn register(branch: &str, to: &str, more: &str) -> String {
    let to = format!("<sip:{to}>");
    request("REGISTER", "sip:falcot.com", ALICE, branch, (&format!("{to};tag=r"), &to), more)
}

fn last(sent: Vec<Sent>) -> Sent {
    sent.into_iter().next_back().expect("an answer")
}

#[test]
fn a_registration_proves_who_asks() {
    let mut house = house();
    let contact = "Contact: <sip:alice@198.51.100.1:5060>\r\n";
    let challenge = last(house.datagram(ALICE, &register("1", "alice@sip.falcot.com", contact)));
    assert_eq!(challenge.first_line(), "SIP/2.0 401 Unauthorized");
    let challenges = challenge.header("WWW-Authenticate");
    assert_eq!(challenges.len(), 2);
    assert!(challenges[0].contains("algorithm=MD5") && challenges[1].contains("algorithm=SHA-256"));
    let mut tries = 1;
    let mut attempt = |to: &str, user: &str, password: &str, challenge: &str| {
        tries += 1;
        let proof = credentials(challenge, user, password, "REGISTER", "sip:falcot.com");
        let more = format!("{contact}Authorization: {proof}\r\n");
        let text = register(&tries.to_string(), to, &more).replace("CSeq: 1 ", &format!("CSeq: {tries} "));
        last(house.datagram(ALICE, &text)).first_line().to_owned()
    };
    for challenge in challenges.iter().copied() {
        assert_eq!(attempt("alice@sip.falcot.com", "alice", "hunter2", challenge), "SIP/2.0 200 OK");
        assert_eq!(attempt("alice@falcot.com", "alice", "hunter3", challenge), "SIP/2.0 401 Unauthorized");
        assert_eq!(attempt("alice@falcot.com", "nobody", "hunter2", challenge), "SIP/2.0 401 Unauthorized");
        assert_eq!(attempt("alice@falcot.com", "bob", "hunter2", challenge), "SIP/2.0 403 Not Your Account");
        assert_eq!(attempt("nobody@falcot.com", "nobody", "x", challenge), "SIP/2.0 401 Unauthorized");
    }
    house.now += std::time::Duration::from_secs(301);
    let proof = credentials(challenges[0], "alice", "hunter2", "REGISTER", "sip:falcot.com");
    let stale = last(
        house.datagram(ALICE, &register("s", "alice@falcot.com", &format!("Authorization: {proof}\r\n"))),
    );
    assert!(stale.header("WWW-Authenticate")[0].contains("stale=true"), "{stale:?}");
}

#[test]
fn our_callers_prove_who_they_are() {
    let mut house = house();
    let call = |from: &str, branch: &str, more: &str| {
        request(
            "MESSAGE",
            "sip:bob@falcot.com",
            ALICE,
            branch,
            (&format!("<sip:{from}>;tag=a"), "<sip:bob@falcot.com>"),
            more,
        )
    };
    let challenge = last(house.datagram(ALICE, &call("alice@falcot.com", "1", "")));
    assert_eq!(challenge.first_line(), "SIP/2.0 407 Proxy Authentication Required");
    let proof = |user| {
        let proof = credentials(
            challenge.header("Proxy-Authenticate")[0],
            user,
            "hunter2",
            "MESSAGE",
            "sip:bob@falcot.com",
        );
        format!("Proxy-Authorization: {proof}\r\n")
    };
    let mut check = |from: &str, branch: &str, more: &str, status: &str| {
        assert_eq!(last(house.datagram(ALICE, &call(from, branch, more))).first_line(), status);
    };
    check("alice@falcot.com", "2", &proof("alice"), "SIP/2.0 480 Temporarily Unavailable");
    check("carol@falcot.com", "3", &proof("alice"), "SIP/2.0 403 Not Your Account");
    let seen = proof("alice");
    check("alice@falcot.com", "6", &seen, "SIP/2.0 480 Temporarily Unavailable");
    check("alice@falcot.com", "7", &seen, "SIP/2.0 407 Proxy Authentication Required");
    check("falcot.com", "4", "", "SIP/2.0 403 Not Your Account");
    check("x@example.org", "5", "", "SIP/2.0 480 Temporarily Unavailable");
}

/// Telephone systems and gateways call for those behind them, and nobody registers for another all the same.
#[test]
fn who_may_calls_under_another_name() {
    let address = |user: &str| Address::new(user, "falcot.com").unwrap();
    let mut house = House::with(1, |config| {
        config.authenticate = true;
        let speaker = |account: &str, name: Option<&str>| Speaker {
            account: address(account),
            name: name.map(address),
        };
        config.speakers =
            vec![speaker("alice", Some("carol")), speaker("alice", Some("17")), speaker("dave", None)];
    });
    for (n, (user, name, code)) in [
        ("alice", "carol", "480"),
        ("alice", "17", "480"),
        ("alice", "alice", "480"),
        ("alice", "dave", "403"),
        ("dave", "anybody", "480"),
        ("carol", "alice", "403"),
    ]
    .into_iter()
    .enumerate()
    {
        let from = format!("<sip:{name}@falcot.com>");
        let registers =
            ("REGISTER", "sip:falcot.com", &*from, Role::Server, if user == name { "200" } else { "403" });
        let bob = "<sip:bob@falcot.com>";
        for (method, uri, to, role, expected) in
            [("MESSAGE", "sip:bob@falcot.com", bob, Role::Proxy, code), registers]
        {
            let mut ask =
                |n: &str, more: &str| {
                    last(house.datagram(
                        ALICE,
                        &request(method, uri, ALICE, n, (&format!("{from};tag=a"), to), more),
                    ))
                };
            let challenge = ask(&format!("{method}{n}"), "");
            let proof = credentials(challenge.header(role.challenge())[0], user, "hunter2", method, uri);
            let answer =
                ask(&format!("{method}{n}b"), &format!("{}: {proof}\r\n", role.credentials().as_str()));
            assert_eq!(answer.first_line().split(' ').nth(1), Some(expected), "{method} {user} as {name}");
        }
    }
}

/// Under as many names as it likes, a telephone system has one account's share of the relay.
#[test]
fn who_speaks_for_others_pays_for_their_media() {
    let account = Address::new("alice", "falcot.com").unwrap();
    let mut house = House::with(1, |config| {
        (config.authenticate, config.relaying) = (true, Relaying::Always);
        config.speakers = vec![Speaker { account: account.clone(), name: None }];
    });
    let uri = "sip:x@203.0.113.9";
    for (n, name) in ["alice", "17", "18"].into_iter().enumerate() {
        let mut ask = |n: &str, more: &str| {
            let parties = (&*format!("<sip:{name}@falcot.com>;tag=a"), "<sip:x@203.0.113.9>");
            house.datagram(ALICE, &request("INVITE", uri, ALICE, n, parties, more))
        };
        let challenge = last(ask(&format!("a{n}"), ""));
        let proof = credentials(challenge.header("Proxy-Authenticate")[0], "alice", "hunter2", "INVITE", uri);
        ask(&format!("b{n}"), &format!("Proxy-Authorization: {proof}\r\n"));
    }
    let seats: Vec<_> = house.passages.iter().map(|passage| passage.seat).collect();
    assert!(seats[0].is_some() && seats == [seats[0]; 3], "{seats:?}");
}

#[test]
fn credentials_for_us_go_no_further_and_others_do() {
    let mut house = house();
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let call = |branch: &str, more: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
        request("INVITE", "sip:x@peer.example", ALICE, branch, parties, more)
    };
    let challenge = last(house.datagram(ALICE, &call("1", "")));
    let proof = || {
        let challenge = challenge.header("Proxy-Authenticate")[0];
        credentials(challenge, "alice", "hunter2", "INVITE", "sip:x@peer.example")
    };
    let theirs = "Digest username=\"x\", realm=\"peer.example\", nonce=\"n\", uri=\"u\", response=\"00\"";
    let more = || format!("Proxy-Authorization: {}\r\nProxy-Authorization: {theirs}\r\n", proof());
    let sent = house.datagram(ALICE, &call("2", &more()));
    assert_eq!(sent[1].to, "203.0.113.1:5060");
    assert_eq!(sent[1].header("Proxy-Authorization"), [theirs]);
    let spaced = more().replacen("realm=\"falcot.com\"", "Realm = \"falcot.com\"", 1);
    assert_eq!(house.datagram(ALICE, &call("4", &spaced))[1].header("Proxy-Authorization"), [theirs]);
    let by_address = call("3", &more()).replace("alice@falcot.com", "alice@192.0.2.1");
    assert_eq!(house.datagram(ALICE, &by_address)[1].header("Proxy-Authorization"), [theirs]);
}

#[test]
fn nobody_asserts_who_is_calling() {
    let mut house = House::new(1);
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
    let more = "P-Asserted-Identity: <sip:boss@falcot.com>, <tel:+1>\r\np-asserted-identity: <sip:b@c>\r\n\
                Remote-Party-ID: <sip:boss@falcot.com>;party=calling\r\nP-Other: <sip:boss@falcot.com>\r\n";
    let sent =
        last(house.datagram(ALICE, &request("INVITE", "sip:x@peer.example", ALICE, "1", parties, more)));
    assert_eq!(sent.header("P-Other"), ["<sip:boss@falcot.com>"]);
    assert_eq!(sent.text.matches("boss").count(), 1, "{}", sent.text);
    assert!(sent.header("P-Asserted-Identity").is_empty());
}

#[test]
fn never_an_open_relay() {
    let mut house = house();
    let strange = |uri: &str, more: &str| {
        request("INVITE", uri, ALICE, "1", ("<sip:x@example.org>;tag=x", "<sip:y@example.net>"), more)
    };
    for (uri, more) in [
        ("sip:y@203.0.113.9", ""),
        ("sip:y@203.0.113.9", "Route: <sip:192.0.2.1;lr>\r\n"),
        ("sip:bob@falcot.com", "Route: <sip:falcot.com;lr>, <sip:203.0.113.9;lr>\r\n"),
        ("sip:00112233445566778899@192.0.2.1", "Route: <sip:203.0.113.9;lr>\r\n"),
    ] {
        let sent = house.datagram(ALICE, &strange(uri, more));
        assert_eq!(last(sent).first_line(), "SIP/2.0 403 Relaying Denied", "{uri} {more}");
    }
}

#[test]
fn what_every_request_must_be() {
    let mut house = House::new(1);
    let mut check = |change: (&str, &str), status: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let text = request("OPTIONS", "sip:bob@falcot.com", ALICE, "1", parties, "X: y\r\n");
        let sent = last(house.datagram(ALICE, &text.replace(change.0, change.1)));
        assert_eq!(sent.first_line(), status);
        sent
    };
    check(("Max-Forwards: 70", "Max-Forwards: 0"), "SIP/2.0 483 Too Many Hops");
    check(("OPTIONS sip:bob@falcot.com", "OPTIONS tel:+1"), "SIP/2.0 416 Unsupported URI Scheme");
    check(("OPTIONS sip:bob@falcot.com", "OPTIONS nobody:x"), "SIP/2.0 416 Unsupported URI Scheme");
    let refused = check(("X: y", "Proxy-Require: foo, bar"), "SIP/2.0 420 Bad Extension");
    assert_eq!(refused.header("Unsupported"), ["foo, bar"]);
    check(("X: y", "Route: <nonsense>"), "SIP/2.0 400 Malformed Route");
    check(("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), "SIP/2.0 400 CSeq Method Does Not Match");
    check(("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), "SIP/2.0 505 Version Not Supported");
    let options = check(("OPTIONS sip:bob@falcot.com", "OPTIONS sip:falcot.com"), "SIP/2.0 200 OK");
    assert!(options.header("Allow")[0].contains("INVITE"));
    check(("bob@falcot.com SIP/2.0", "192.0.2.1:5060 SIP/2.0"), "SIP/2.0 200 OK");
}

/// What has arrived needs no more hops, and of a dialog with the server itself there is none.
#[test]
fn what_the_server_itself_is_asked() {
    let mut house = House::new(1);
    let mut ask = |method: &str, tag: &str, n: usize| {
        let parties = ("<sip:alice@falcot.com>;tag=a", &*format!("<sip:alice@falcot.com>{tag}"));
        let text = request(method, "sip:falcot.com", ALICE, &n.to_string(), parties, "");
        last(house.datagram(ALICE, &text.replace("Max-Forwards: 70", "Max-Forwards: 0")))
    };
    for (n, (method, tag, status)) in [
        ("OPTIONS", "", "200 OK"),
        ("REGISTER", "", "200 OK"),
        ("INVITE", "", "484 Address Incomplete"),
        ("INVITE", ";tag=b", "481 Call/Transaction Does Not Exist"),
        ("BYE", ";tag=b", "481 Call/Transaction Does Not Exist"),
        ("NOTIFY", "", "481 Call/Transaction Does Not Exist"),
        ("PUBLISH", "", "405 Method Not Allowed"),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = ask(method, tag, n);
        assert_eq!(sent.first_line(), format!("SIP/2.0 {status}"), "{method}{tag}");
        if status.starts_with("405") {
            assert_eq!(sent.header("Allow"), ["OPTIONS, REGISTER"]);
        }
    }
}

#[test]
fn loops_are_seen_and_spirals_are_not_loops() {
    let mut house = House::new(1);
    // bob's phone is a forwarder that sends everything back to us.
    let bob = "<sip:bob@falcot.com>";
    let more = "Contact: <sip:carol@falcot.com>, <sip:bob@falcot.com>\r\n";
    house.names.insert("falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
    house.datagram(
        ALICE,
        &request("REGISTER", "sip:falcot.com", ALICE, "r", (&format!("{bob};tag=r"), bob), more),
    );
    let text =
        request("MESSAGE", "sip:bob@falcot.com", ALICE, "1", ("<sip:alice@falcot.com>;tag=a", bob), "");
    let sent = house.datagram(ALICE, &text);
    let back: Vec<&Sent> = sent.iter().filter(|sent| sent.to == "192.0.2.1:5060").collect();
    let [spiral, looped] = back[..] else { panic!("{sent:?}") };
    let sent = house.datagram("192.0.2.1:5060", &looped.text);
    assert_eq!(sent[0].first_line(), "SIP/2.0 482 Loop Detected");
    let sent = house.datagram("192.0.2.1:5060", &spiral.text);
    assert_eq!(sent[0].first_line(), "SIP/2.0 480 Temporarily Unavailable", "carol is nowhere");
}

#[test]
fn branches_share_the_breadth_of_their_request() {
    let mut house = House::new(1);
    let bob = "<sip:bob@falcot.com>";
    let more = "Contact: <sip:bob@198.51.100.2>, <sip:bob@198.51.100.3>\r\n";
    house.datagram(
        ALICE,
        &request("REGISTER", "sip:falcot.com", ALICE, "r", (&format!("{bob};tag=r"), bob), more),
    );
    let mut call = |branch: &str, more: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", bob);
        house.datagram(ALICE, &request("MESSAGE", "sip:bob@falcot.com", ALICE, branch, parties, more))
    };
    for (branch, more, share) in [
        ("1", "", "30"),
        ("2", "Max-Breadth: 5\r\n", "2"),
        ("3", "Max-Breadth: 99999999999\r\n", "30"),
        ("4", "Max-Breadth: -1\r\n", "30"),
    ] {
        let sent = call(branch, more);
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|copy| copy.header("Max-Breadth") == [share]), "{sent:?}");
    }
    let refused = last(call("5", "Max-Breadth: 1\r\n"));
    assert_eq!(refused.first_line(), "SIP/2.0 440 Max-Breadth Exceeded");
}

/// RFC 5393 §5.3.3: who comes without gets one, and nobody may have more than we allow.
#[test]
fn a_request_that_goes_one_way_has_a_breadth_too() {
    let mut house = House::new(1);
    let bob = "<sip:bob@falcot.com>";
    let more = "Contact: <sip:bob@198.51.100.2>\r\n";
    let register = request("REGISTER", "sip:falcot.com", ALICE, "r", (&format!("{bob};tag=r"), bob), more);
    house.datagram(ALICE, &register);
    for (branch, more, passed) in [
        ("1", "", "60"),
        ("2", "Max-Breadth: 5\r\n", "5"),
        ("3", "Max-Breadth: 1\r\n", "1"),
        ("4", "Max-Breadth: 99999999999\r\n", "60"),
        ("5", "max-breadth: 61\r\n", "60"),
        ("6", "Max-Breadth:  7\r\n", "7"),
    ] {
        let parties = ("<sip:alice@falcot.com>;tag=a", bob);
        let text = request("MESSAGE", "sip:bob@falcot.com", ALICE, branch, parties, more);
        let sent = last(house.datagram(ALICE, &text));
        assert_eq!(sent.header("Max-Breadth").iter().map(|value| value.trim()).collect::<Vec<_>>(), [passed]);
    }
    let parties = ("<sip:alice@falcot.com>;tag=a", bob);
    let text = request("MESSAGE", "sip:bob@falcot.com", ALICE, "0", parties, "Max-Breadth: 0\r\n");
    assert_eq!(last(house.datagram(ALICE, &text)).first_line(), "SIP/2.0 440 Max-Breadth Exceeded");
}

#[test]
fn too_much_to_do() {
    let mut house = House::with(1, |config| config.limits.transactions = 3);
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let call = |n: usize| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
        request("INVITE", "sip:x@peer.example", ALICE, &n.to_string(), parties, "")
    };
    let first: Vec<String> =
        (0..3).map(|n| last(house.datagram(ALICE, &call(n))).first_line().to_owned()).collect();
    assert_eq!(first[0], "INVITE sip:x@peer.example SIP/2.0");
    assert!(first[2].starts_with("SIP/2.0 503"));
    let refused = last(house.datagram(ALICE, &call(9)));
    assert_eq!(
        (refused.first_line(), refused.header("Retry-After")),
        ("SIP/2.0 503 Service Unavailable", vec!["5"])
    );
    house.wait(std::time::Duration::from_secs(120));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn few_long_requests_do_not_take_all_memory() {
    let mut house = House::with(1, |config| config.limits.transactions = 10);
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let message = |house: &mut House, n: usize, length: usize| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
        let more = format!("X: {}\r\n", "x".repeat(length));
        let text = request("MESSAGE", "sip:x@peer.example", ALICE, &n.to_string(), parties, &more);
        last(house.datagram(ALICE, &text))
    };
    for n in 1..=4 {
        let sent = message(&mut house, n, 12_000);
        assert!(sent.first_line().starts_with("MESSAGE"), "{n}: what is answered keeps no request");
        house.datagram("203.0.113.1:5060", &answer(&sent.text, "200 OK", "x", ""));
    }
    assert!(message(&mut house, 5, 20_000).first_line().starts_with("MESSAGE"));
    assert!(message(&mut house, 6, 20_000).first_line().starts_with("SIP/2.0 503"));
    house.wait(std::time::Duration::from_secs(70));
    assert!(message(&mut house, 7, 20_000).first_line().starts_with("MESSAGE"));
}

#[test]
fn shown_credentials_are_told_and_nothing_else() {
    let mut house = house();
    let plain = register("1", "alice@falcot.com", "");
    let challenge = last(house.datagram(ALICE, &plain));
    assert_eq!(house.proofs, []);
    let challenge = challenge.header("WWW-Authenticate")[0].to_owned();
    for (branch, user, password, told) in [
        ("2", "alice", "wrong", (Some("alice@falcot.com".to_owned()), false)),
        ("3", "nobody", "wrong", (None, false)),
        ("4", "alice", "hunter2", (Some("alice@falcot.com".to_owned()), true)),
    ] {
        let proof = credentials(&challenge, user, password, "REGISTER", "sip:falcot.com");
        house.datagram(ALICE, &register(branch, "alice@falcot.com", &format!("Authorization: {proof}\r\n")));
        assert_eq!(house.proofs.pop(), Some(told), "{user} {password}");
    }
    assert_eq!(house.proofs, []);
}

#[test]
fn a_locked_account_takes_known_sources_alone() {
    let mut house = house();
    let challenge = last(house.datagram(ALICE, &register("1", "alice@falcot.com", "")));
    let challenge = challenge.header("WWW-Authenticate")[0].to_owned();
    for (branch, known, line) in
        [("2", None, "SIP/2.0 401 Unauthorized"), ("3", Some(ALICE), "SIP/2.0 200 OK")]
    {
        house.lock("alice@falcot.com", known);
        let proof = credentials(&challenge, "alice", "hunter2", "REGISTER", "sip:falcot.com");
        let text = register(branch, "alice@falcot.com", &format!("Authorization: {proof}\r\n"));
        assert_eq!(last(house.datagram(ALICE, &text)).first_line(), line);
    }
}

#[test]
fn scanners_hear_nothing() {
    let mut house = house();
    for agent in ["friendly-scanner", "sipcli/v1.8", "VaxSIPUserAgent/3.1", "pplsip"] {
        let text = register(agent, "alice@falcot.com", &format!("User-Agent: {agent}\r\n"));
        assert!(house.datagram(ALICE, &text).is_empty(), "{agent}");
    }
    let conn = house.connect(0, wire::Transport::Tcp, ALICE);
    let text = register("9", "alice@falcot.com", "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n");
    assert!(house.stream(conn, &text).is_empty());
    assert!(house.is_closed(conn));
    assert_eq!(house.scanned(), 5);
}

#[test]
fn a_source_does_not_take_the_whole_server() {
    let mut house = House::with(1, |config| config.limits.per_source = 3);
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
    let ask = |house: &mut House, peer: &str, branch: &str| {
        let text = request("MESSAGE", "sip:x@peer.example", peer, branch, parties, "");
        house.datagram(peer, &text)[0].clone()
    };
    let first = "198.51.100.1:5060";
    for branch in ["1", "2", "3"] {
        assert!(ask(&mut house, first, branch).first_line().starts_with("MESSAGE "));
    }
    let refused = ask(&mut house, "198.51.100.1:7000", "4");
    assert_eq!(refused.first_line(), "SIP/2.0 503 Service Unavailable", "whatever its port");
    assert_eq!(refused.header("Retry-After"), ["5"]);
    assert!(ask(&mut house, "198.51.100.2:5060", "5").first_line().starts_with("MESSAGE "), "another may");
    house.wait(Duration::from_secs(70));
    assert_eq!(house.transactions(), 0);
    assert!(ask(&mut house, first, "6").first_line().starts_with("MESSAGE "), "what is over does not count");
}

/// Bob's contact is carol at our own domain. What comes back to us there was let through when it came first; it is asked for
/// no credentials, which have stayed here. Nobody else can say that.
#[test]
fn what_comes_back_to_us_is_not_asked_again() {
    const US: &str = "192.0.2.1:5060";
    const CAROL: &str = "198.51.100.9:5060";
    let mut house = House::new(1);
    house.names.insert("falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
    for (user, contact) in [("bob", "carol@falcot.com"), ("carol", "carol@198.51.100.9:5060")] {
        let aor = format!("<sip:{user}@falcot.com>");
        let more = format!("Contact: <sip:{contact}>\r\n");
        house.datagram(
            CAROL,
            &request("REGISTER", "sip:falcot.com", CAROL, user, (&format!("{aor};tag=r"), &aor), &more),
        );
    }
    let mut config = crate::house::config(0, 1);
    config.authenticate = true;
    house.stacks[0].set_config(config, testkit::epoch(testkit::start()));
    for method in ["INVITE", "MESSAGE"] {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let call = |n: u32, more: &str| {
            request(method, "sip:bob@falcot.com", ALICE, &format!("{method}{n}"), parties, more)
        };
        let challenge = last(house.datagram(ALICE, &call(1, "")));
        let challenge = challenge.header("Proxy-Authenticate")[0];
        let proof = credentials(challenge, "alice", "hunter2", method, "sip:bob@falcot.com");
        let sent = last(house.datagram(ALICE, &call(2, &format!("Proxy-Authorization: {proof}\r\n"))));
        assert_eq!(sent.to, US);
        // Another target, another caller, another call, another method, another Via: who says so is asked.
        let host = sent.header("Via")[0].to_owned();
        let forged = |n: u32| host.replace(";branch=z9hG4bK", &format!(";branch=z9hG4bKx{n}."));
        for (n, (from, to)) in [
            ("sip:carol@falcot.com SIP".to_owned(), "sip:dave@falcot.com SIP".to_owned()),
            ("<sip:alice@".to_owned(), "<sip:dave@".to_owned()),
            ("Call-ID: ".to_owned(), "Call-ID: x".to_owned()),
            (method.to_owned(), "INFO".to_owned()),
            (host.rsplit_once(';').unwrap().1.to_owned(), "x".to_owned()),
        ]
        .into_iter()
        .enumerate()
        {
            let text = sent.text.replace(&from, &to).replace(&host, &forged(u32::try_from(n).unwrap()));
            let answer = last(house.datagram(US, &text));
            assert!(answer.first_line().starts_with("SIP/2.0 407"), "{from}: {answer:?}");
        }
        let back = last(house.datagram(US, &sent.text));
        assert_eq!((&*back.to, back.first_line().split(' ').next()), (CAROL, Some(method)), "{back:?}");
    }
}

/// Telephones are told the name of the host, and take it for the domain, or for a proxy on the way there.
#[test]
fn the_names_of_this_host_are_its_domains() {
    const BOB: &str = "198.51.100.2:5060";
    let named = |config: &mut sip::stack::Config| {
        let domain = |name: &str| wire::Domain::new(name).unwrap();
        let names = [("host.falcot.com", "falcot.com"), ("host.lab.falcot.com", "lab.falcot.com")];
        config.listeners.names = names.into_iter().map(|(host, name)| (host.into(), domain(name))).collect();
    };
    let mut house = House::with(1, named);
    let at = "<sip:bob@Sip.Falcot.com>";
    let route = "Route: <sip:host.falcot.com:5060;lr>\r\n";
    let more = format!("Contact: <sip:bob@{BOB}>\r\n{route}");
    let register = request("REGISTER", "sip:host.falcot.com", BOB, "r", (&format!("{at};tag=r"), at), &more);
    assert_eq!(last(house.datagram(BOB, &register)).first_line(), "SIP/2.0 200 OK");
    for (branch, uri) in [
        ("1", "sip:bob@falcot.com"),
        ("2", "sip:bob@host.falcot.com"),
        ("3", "sip:bob@HOST.falcot.com.:5061"),
    ] {
        let parties = ("<sip:alice@host.falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let sent = last(house.datagram(ALICE, &request("MESSAGE", uri, ALICE, branch, parties, route)));
        assert_eq!((sent.to.as_str(), sent.header("Route")), (BOB, vec![]), "{uri}: {}", sent.text);
    }
    // The host of another domain, and another server at this host.
    for (branch, uri, code) in
        [("4", "sip:bob@host.lab.falcot.com", "404"), ("5", "sip:bob@host.falcot.com:5070", "503")]
    {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let sent = last(house.datagram(ALICE, &request("MESSAGE", uri, ALICE, branch, parties, "")));
        assert_eq!(sent.first_line().split(' ').nth(1), Some(code), "{uri}");
    }
    // Nobody calls as one of us by such a name.
    let mut house = House::with(1, |config| {
        named(config);
        config.authenticate = true;
    });
    let parties = ("<sip:alice@host.falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let sent = last(house.datagram(BOB, &request("MESSAGE", "sip:bob@falcot.com", BOB, "6", parties, "")));
    assert_eq!(sent.first_line(), "SIP/2.0 407 Proxy Authentication Required");
}
