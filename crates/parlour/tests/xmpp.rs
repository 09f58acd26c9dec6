//! XMPP through the real binary: slixmpp's clients, and peers that do not behave.
//!
//! The clients' scenarios are in `clients/xmpp_client.py`; here is what happens to the server meanwhile.

#[path = "xmpp/bosh.rs"]
mod bosh;
#[path = "xmpp/components.rs"]
mod components;
#[path = "xmpp/conformance.rs"]
mod conformance;
#[path = "xmpp/external.rs"]
mod external;
#[path = "xmpp/killed.rs"]
mod killed;
#[path = "xmpp/names.rs"]
mod names;
#[path = "xmpp/password.rs"]
mod password;
#[path = "xmpp/profanity.rs"]
mod profanity;
#[path = "xmpp/raw.rs"]
mod raw;
#[path = "xmpp/rooms.rs"]
mod rooms;
#[path = "xmpp/sessions.rs"]
mod sessions;
#[path = "xmpp/web.rs"]
mod web;

use raw::Raw;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::process::Program;

const PACKAGE: &str = "python3 with slixmpp (pip install slixmpp)";
const LIMIT: Duration = Duration::from_secs(90);

/// A house with the accounts that the scenarios know.
fn house() -> House {
    builder().start()
}

fn builder() -> testkit::house::Builder {
    let builder = House::of(env!("CARGO_BIN_EXE_parlour"));
    let accounts = ["roland", "joe", "nina"];
    let with = |builder: testkit::house::Builder, name: &&str| {
        builder.account(&format!("{name}@falcot.com"), &format!("secret-{name}"))
    };
    accounts.iter().fold(builder, with)
}

/// Starts a scenario of `clients/xmpp_client.py`.
fn start(house: &House, scenario: &str) -> Program {
    start_with(house, scenario, &[])
}

fn start_with(house: &House, scenario: &str, arguments: &[&str]) -> Program {
    start_script(house, "clients/xmpp_client.py", scenario, arguments)
}

fn start_script(house: &House, script: &str, scenario: &str, arguments: &[&str]) -> Program {
    let mut command = testkit::house::python(script);
    command
        .arg(scenario)
        .args(["--port", &house.port("xmpp.client").to_string()])
        .args(["--tls-port", &house.port("xmpp.client-tls").to_string()])
        .arg("--ca")
        .arg(house.dir().join("data/certs/authority.pem"))
        .args(arguments);
    Program::start(&mut command, PACKAGE)
}

/// Runs a scenario to its end, which must be a good one.
fn play(house: &House, scenario: &str) {
    end_well(start(house, scenario), scenario);
}

fn end_well(mut program: Program, scenario: &str) {
    let code = program.wait(LIMIT);
    assert_eq!(code, Some(0), "{scenario}:\n{}", program.output());
}

#[test]
fn what_one_publishes_the_other_hears() {
    play(&house(), "published");
}

#[test]
fn two_clients_sign_in_subscribe_and_chat() {
    play(&house(), "chat");
}

#[test]
fn every_mechanism_over_starttls_and_direct_tls() {
    play(&house(), "mechanisms");
}

#[test]
fn copies_archive_blocks_and_cards() {
    play(&house(), "account");
}

#[test]
fn a_session_is_resumed_by_slixmpp() {
    play(&house(), "resume");
}

/// A certificate of the house's own authority signs in instead of a password, until it is taken back.
#[test]
fn a_certificate_signs_in_until_it_is_taken_back() {
    let house = house();
    let issued = house.cli(&["cert", "user", "roland@falcot.com", "--days", "2"], "");
    assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
    let file = house.dir().join("roland.pem");
    std::fs::write(&file, &issued.stdout).unwrap();
    let arguments = ["--certificate", &file.to_string_lossy()];
    end_well(start_with(&house, "certificate", &arguments), "certificate");
    assert!(house.cli(&["cert", "revoke", "roland@falcot.com"], "").status.success());
    end_well(start_with(&house, "certificate-taken-back", &arguments), "certificate-taken-back");
    let nobody = house.cli(&["cert", "user", "nobody@falcot.com"], "");
    assert!(!nobody.status.success() && nobody.stdout.is_empty());
}

#[test]
fn roster_versions_approvals_and_last_activity_by_slixmpp() {
    let house = house();
    end_well(start_script(&house, "clients/xmpp_im.py", "contacts", &[]), "contacts");
}

#[test]
fn receipts_markers_corrections_and_reactions_by_slixmpp() {
    let house = house();
    end_well(start_script(&house, "clients/xmpp_im.py", "conversation", &[]), "conversation");
}

#[test]
fn contacts_are_kept_and_pushed() {
    play(&house(), "roster");
}

#[test]
fn a_wrong_password_is_refused() {
    play(&house(), "wrong-password");
}

#[test]
fn a_message_to_somebody_away_arrives_at_the_next_login() {
    let house = house();
    play(&house, "away-send");
    play(&house, "away-receive");
}

/// What was acknowledged survives: contacts, subscriptions, messages to somebody away.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let mut house = house();
    play(&house, "chat");
    house.kill_and_restart();
    play(&house, "friends");
    let sender = start(&house, "away-send");
    sender.expect("kept", LIMIT);
    house.kill_and_restart();
    play(&house, "away-receive");
    house.kill_and_restart();
    play(&house, "friends");
}

/// The last number that the load was told is kept.
fn last_kept(output: &str, who: &str) -> Option<u32> {
    let prefix = format!("kept {who} ");
    output.lines().rev().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
}

/// The same in the midst of many writes, again and again at another moment.
#[test]
fn kill_9_under_load_loses_nothing_acknowledged() {
    let mut house = house();
    for round in 0..3 {
        let mut load = start(&house, "load");
        load.expect("kept contact 3", LIMIT);
        load.expect("kept joe 2", LIMIT);
        std::thread::sleep(Duration::from_millis(137 * round));
        house.kill();
        // What the clients were told last is still on its way through their pipes.
        std::thread::sleep(Duration::from_millis(200));
        load.kill();
        let said = load.output();
        let kept = |who| last_kept(&said, who).unwrap_or_else(|| panic!("nothing of {who}: {said}"));
        let told = format!("joe={},nina={},contact={}", kept("joe"), kept("nina"), kept("contact"));
        house.start();
        end_well(start_with(&house, "after-load", &["--acknowledged", &told]), "after-load");
    }
}

/// A client that stays signed in while others misbehave.
struct Witness(Program);

impl Witness {
    fn of(house: &House) -> Self {
        let witness = start(house, "stay");
        witness.expect("here", LIMIT);
        Self(witness)
    }

    fn is_unharmed(&mut self) {
        // One answer may have been on its way before; the second was asked for after.
        self.0.expect("alive", LIMIT);
        self.0.expect("alive", LIMIT);
        assert!(self.0.is_running(), "{}", self.0.output());
    }
}

const HEADER: &str = "<stream:stream to='falcot.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// Each attack gets its stream error and the end of its connection; nobody else notices.
#[test]
fn malformed_xml_is_refused_and_others_are_unharmed() {
    let house = house();
    let mut witness = Witness::of(&house);
    let header = |inner: &str| format!("{HEADER}{inner}");
    let deep = "<a>".repeat(50);
    let attributes: String = (0..50).map(|n| format!(" a{n}=''")).collect();
    for (input, condition) in [
        ("<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>".to_owned(), "restricted-xml"),
        (header("<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>"), "restricted-xml"),
        (header("<a><!-- hidden --></a>"), "restricted-xml"),
        (header("<a><?php evil ?></a>"), "restricted-xml"),
        (header("<a>&lol;</a>"), "restricted-xml"),
        (header("<a></b>"), "not-well-formed"),
        (header("<p:a/>"), "not-well-formed"),
        (header("<a b='' b=''/>"), "not-well-formed"),
        ("GET / HTTP/1.1\r\nHost: falcot.com\r\n\r\n".to_owned(), "not-well-formed"),
        (header("hello"), "bad-format"),
        (header(&deep), "policy-violation"),
        (header(&format!("<a{attributes}/>")), "policy-violation"),
        (header(&format!("<{}/>", "a".repeat(5000))), "policy-violation"),
        (header(&format!("<a b='{}", "x".repeat(20_000))), "policy-violation"),
        (HEADER.replace("falcot.com", "example.org"), "host-unknown"),
        (HEADER.replace("1.0", "3.0"), "unsupported-version"),
        (HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"),
        (header("<message to='joe@falcot.com'/>"), "not-authorized"),
    ] {
        let mut raw = Raw::plain(&house);
        raw.send(&input);
        raw.ends_with_error(condition);
    }
    let mut raw = Raw::plain(&house);
    raw.send_bytes(&[HEADER.as_bytes(), b"<a>\xC0\x80</a>"].concat());
    raw.ends_with_error("unsupported-encoding");
    witness.is_unharmed();
}

/// Passwords are not taken outside TLS, and what was sent before TLS is not read as if it had come inside.
#[test]
fn nothing_goes_around_tls() {
    let house = house();
    let auth = raw::plain_auth("roland", "secret-roland");
    let mut raw = Raw::plain(&house);
    raw.send(HEADER);
    raw.expect("<required/></starttls>");
    raw.send(&auth);
    raw.expect("<encryption-required/>");
    let mut raw = Raw::plain(&house);
    raw.send(&format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{HEADER}{auth}"));
    let mut raw = raw.secure(&house);
    raw.send(HEADER);
    raw.expect("<mechanism>SCRAM-SHA-256</mechanism>");
    assert!(!raw.heard().contains("<success"), "{}", raw.heard());
}

/// Slow senders are waited for; those who say nothing at all are not waited for for ever, and cost others nothing.
#[test]
fn slow_and_half_open_connections() {
    let house = house();
    let mut witness = Witness::of(&house);
    let silent: Vec<_> = (0..200).map(|_| Raw::plain(&house)).collect();
    let halves: Vec<_> = (0..50)
        .map(|_| {
            let mut raw = Raw::plain(&house);
            raw.send(&HEADER[..40]);
            raw
        })
        .collect();
    let mut slow = Raw::tls(&house);
    for byte in format!("{HEADER}{}", raw::plain_auth("roland", "secret-roland")).bytes() {
        slow.send_bytes(&[byte]);
    }
    slow.expect("<success");
    for byte in format!("{HEADER}{}", raw::bind("slow")).bytes() {
        slow.send_bytes(&[byte]);
    }
    slow.expect("<jid>roland@falcot.com/slow</jid>");
    witness.is_unharmed();
    drop((silent, halves));
    witness.is_unharmed();
    slow.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    slow.expect("id='p'");
}

/// Connections on which nobody signs in are closed in the end: at once without a byte, or amid the handshakes.
#[test]
fn half_open_connections_are_closed() {
    let house = house();
    let mut silent = Raw::plain(&house);
    let mut silent_tls = Raw::tls(&house);
    let mut half = Raw::plain(&house);
    half.send(&HEADER[..40]);
    let mut nobody = Raw::tls(&house);
    nobody.send(HEADER);
    let limit = Duration::from_secs(80);
    assert!(silent.closes_within(limit) && silent_tls.closes_within(limit), "somebody silent is waited for");
    assert!(half.closes_within(limit) && nobody.closes_within(limit), "somebody slow is waited for");
    half.ends_with_error("connection-timeout");
    nobody.ends_with_error("connection-timeout");
}

/// Somebody who has signed in may not send more than a stanza may be, and loses the stream, not the house.
#[test]
fn an_oversized_stanza_ends_its_stream() {
    let house = house();
    let mut witness = Witness::of(&house);
    let mut raw = Raw::session(&house, "roland", "large");
    let body = |length| format!("<message to='joe@falcot.com'><body>{}</body></message>", "x".repeat(length));
    raw.send(&body(100_000));
    raw.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    raw.expect("id='p'");
    raw.send(&body(2_000_000));
    raw.ends_with_error("policy-violation");
    assert!(raw.heard().contains("<stanza-too-big xmlns='urn:xmpp:errors'/>"));
    witness.is_unharmed();
}

/// A few wrong passwords on one stream are enough (RFC 6120 §6.4.5: two to five).
#[test]
fn guessing_ends_the_stream() {
    let house = house();
    let mut raw = Raw::tls(&house);
    raw.send(HEADER);
    raw.expect("</stream:features>");
    for _ in 0..5 {
        raw.send(&raw::plain_auth("roland", "guess"));
    }
    raw.ends_with_error("policy-violation");
    let tries = raw.heard().matches("<not-authorized/>").count();
    assert!((2..=5).contains(&tries), "{}", raw.heard());
}

/// Nobody speaks for somebody else, and a session that tries loses its stream.
#[test]
fn a_forged_sender_ends_the_stream() {
    let house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    joe.send("<presence/>");
    joe.expect("<presence");
    let mut raw = Raw::session(&house, "roland", "forger");
    raw.send("<message from='nina@falcot.com' to='joe@falcot.com'><body>trust me</body></message>");
    raw.ends_with_error("invalid-from");
    let mut raw = Raw::session(&house, "roland", "honest");
    raw.send("<message to='joe@falcot.com' id='m'><body>it is me</body></message>");
    joe.expect("<body>it is me</body>");
    assert!(joe.heard().contains("from='roland@falcot.com/honest'") && !joe.heard().contains("trust me"));
}

/// A second session of the same name takes the place of the first, or gets another; both ways one of them works.
#[test]
fn two_sessions_of_one_name() {
    let house = house();
    let mut first = Raw::session(&house, "roland", "desk");
    let mut second = Raw::session(&house, "roland", "desk");
    second.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    second.expect("id='p'");
    if second.heard().contains("<jid>roland@falcot.com/desk</jid>") {
        first.ends_with_error("conflict");
    }
}

/// A client that does not wait for answers loses nothing, though its connection moves to another worker meanwhile.
#[test]
fn a_hasty_client() {
    let house = house();
    for user in ["roland", "joe", "nina"] {
        for n in 0..5 {
            let mut raw = Raw::tls(&house);
            raw.send(HEADER);
            raw.expect("</stream:features>");
            let (auth, bind) =
                (raw::plain_auth(user, &format!("secret-{user}")), raw::bind(&format!("hasty{n}")));
            let ping = "<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>";
            raw.send(&format!("{auth}{HEADER}{bind}<presence/>{ping}"));
            raw.expect(&format!("<jid>{user}@falcot.com/hasty{n}</jid>"));
            raw.hears("id='ping' type='result'/>");
        }
    }
}

/// Many logins at once, over both ways, on two workers: every session is at its account's home.
#[test]
fn messages_between_workers() {
    let house = house();
    let begin = Instant::now();
    let mut sessions: Vec<_> = ["roland", "joe", "nina"]
        .iter()
        .flat_map(|user| (0..6).map(move |n| (*user, format!("r{n}"))))
        .map(|(user, resource)| (user, resource.clone(), Raw::session(&house, user, &resource)))
        .collect();
    let names: Vec<String> = sessions.iter().map(|(user, r, _)| format!("{user}@falcot.com/{r}")).collect();
    for (_, _, session) in &mut sessions {
        session.send("<presence/>");
        for name in &names {
            session.send(&format!("<message to='{name}' type='chat'><body>hello</body></message>"));
        }
    }
    for (user, resource, session) in &mut sessions {
        for name in &names {
            session.hears(&format!("<message from='{name}' to='{user}@falcot.com/{resource}'"));
        }
    }
    assert!(begin.elapsed() < LIMIT);
}
