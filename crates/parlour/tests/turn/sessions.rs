//! What an administrator sees of the sessions of a running server and does to them: list, detail, end, drain.

use crate::client::{Client, Line};
use crate::strangers::Talk;
use crate::{configure, house, prepare};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};
use stun::Method;
use stun::attribute::Lifetime;
use testkit::House;
use testkit::process::Program;

/// The answer of a command that does what it should.
pub(crate) fn done(house: &House, arguments: &[&str]) -> Value {
    let output = house.cli(&[arguments, &["--json"]].concat(), "");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The exit code and the reason of one that does not.
pub(crate) fn refused(house: &House, arguments: &[&str], code: i32, reason: &str) {
    let output = house.cli(arguments, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(code) && said.contains(reason), "{arguments:?}: {said}");
}

fn ids(list: &Value) -> Vec<String> {
    let sessions = list["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

fn talks(house: &House) -> [Talk; 3] {
    let (udp, tcp) = (house.port("turn.udp"), house.port("turn.tcp"));
    [("roland", Line::udp(udp)), ("joe", Line::udp(udp)), ("roland", Line::tcp(tcp))]
        .map(|(name, line)| Talk::of(house, name, line))
}

#[test]
fn sessions_are_listed_with_what_goes_through_them() {
    let house = house();
    let mut talks = talks(&house);
    talks[0].goes_on();
    let list = done(&house, &["turn", "sessions"]);
    assert_eq!((&list["total"], ids(&list).len(), &list["next"]), (&3.into(), 3, &Value::Null));
    let client = talks[0].client.line.local().to_string();
    let sessions = list["sessions"].as_array().unwrap();
    let session = sessions.iter().find(|session| session["client"] == client.as_str()).unwrap();
    assert_eq!((&session["user"], &session["transport"]), (&"roland@falcot.com".into(), &"udp".into()));
    assert_eq!((&session["permissions"], &session["channels"]), (&1.into(), &1.into()));
    assert_eq!((&session["sent"]["packets"], &session["sent"]["octets"]), (&2.into(), &8.into()));
    assert_eq!((&session["received"]["packets"], &session["received"]["octets"]), (&2.into(), &8.into()));
    assert!(session["relays"][0].as_str().unwrap().starts_with("127.0.0.1:"), "{session}");
    assert!(
        session["remaining"].as_u64().unwrap() > 590 && session["age"].as_u64().unwrap() < 10,
        "{session}"
    );
    let of_joe = done(&house, &["turn", "sessions", "--user", "joe@sip.falcot.com"]);
    assert_eq!((&of_joe["total"], ids(&of_joe).len()), (&3.into(), 1));
    assert_eq!(of_joe["sessions"][0]["user"], "joe@falcot.com");
    let human = house.cli(&["turn", "sessions"], "");
    let human = String::from_utf8_lossy(&human.stdout).into_owned();
    assert!(
        human.starts_with("ID") && human.contains("3 of 3 sessions") && human.contains(" tcp "),
        "{human}"
    );
}

#[test]
fn a_long_list_comes_in_parts() {
    let house = house();
    let _talks = talks(&house);
    let (mut after, mut seen) = (None, vec![]);
    for _ in 0..4 {
        let mut arguments = vec!["turn".to_owned(), "sessions".into(), "--limit".into(), "1".into()];
        arguments.extend(after.map(|after| format!("--after={after}")));
        let part = done(&house, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ids(&part).len() <= 1 && part["total"] == 3, "{part}");
        seen.extend(ids(&part));
        after = part["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert!(after.is_none(), "the list does not end");
    seen.sort();
    let mut all = ids(&done(&house, &["turn", "sessions"]));
    all.sort();
    assert_eq!(seen, all);
    refused(&house, &["turn", "sessions", "--limit", "0"], 2, "from 1 to 10000");
    refused(&house, &["turn", "sessions", "--after", "x"], 2, "is not a place in the list");
    refused(&house, &["turn", "sessions", "--user", "x"], 2, "no user part");
}

/// The current rate is what went through in the last second, not on average.
#[test]
fn the_rate_is_that_of_now() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let id = ids(&done(&house, &["turn", "sessions"])).remove(0);
    let end = Instant::now() + Duration::from_millis(1500);
    let talking = std::thread::spawn(move || {
        while Instant::now() < end {
            talk.goes_on();
            std::thread::sleep(Duration::from_millis(10));
        }
        talk
    });
    let asked = done(&house, &["turn", "show", &id]);
    let _talk = talking.join().unwrap();
    for way in ["sent", "received"] {
        let rate = asked["session"][way]["rate"].as_u64().unwrap();
        assert!((40..=500).contains(&rate), "4 octets up to 100 times a second: {rate}");
    }
    let later = done(&house, &["turn", "show", &id]);
    assert_eq!(later["session"]["sent"]["rate"], 0);
}

#[test]
fn one_session_in_detail() {
    let house = house();
    let talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let id = ids(&done(&house, &["turn", "sessions"])).remove(0);
    let shown = done(&house, &["turn", "show", &id]);
    let peer = talk.peer.local_addr().unwrap();
    assert_eq!(
        (&shown["permissions"][0]["peer"], &shown["channels"][0]["number"]),
        (&"127.0.0.1".into(), &0x4000.into())
    );
    assert_eq!(shown["channels"][0]["peer"], peer.to_string());
    assert!(shown["permissions"][0]["remaining"].as_u64().unwrap() > 290, "{shown}");
    let human = house.cli(&["turn", "show", &id], "");
    let human = String::from_utf8_lossy(&human.stdout).into_owned();
    assert!(human.contains(&format!("channel     0x4000 to {peer} for 9m")), "{human}");
    refused(&house, &["turn", "show", "0.999"], 1, "there is no session 0.999");
    refused(&house, &["turn", "show", "seven"], 2, "is neither the name of a session");
}

#[test]
fn sessions_are_ended_by_name_and_by_account() {
    let mut house = house();
    let mut talks = talks(&house);
    let [first, joe, stream] = &mut talks;
    let of_joe = ids(&done(&house, &["turn", "sessions", "--user", "joe@falcot.com"])).remove(0);
    let ended = done(&house, &["turn", "disconnect", &of_joe]);
    assert_eq!(ended["ended"], serde_json::json!([of_joe]));
    let gone = joe.client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(600)));
    assert_eq!(gone, 437);
    first.goes_on();
    let ended = done(&house, &["turn", "disconnect", "roland@falcot.com"]);
    assert_eq!(ended["ended"].as_array().unwrap().len(), 2);
    assert!(stream.client.line.is_closed(), "an ended client's stream is closed");
    assert_eq!(done(&house, &["turn", "sessions"])["total"], 0);
    refused(&house, &["turn", "disconnect", &of_joe], 1, "there is no session");
    refused(&house, &["turn", "disconnect", "roland@falcot.com"], 1, "there is no session");
    let said = house.server().output();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("session ended")).collect();
    assert_eq!(lines.len(), 3, "{said}");
    let line = lines[0];
    for part in [
        &format!("session={of_joe}")[..],
        "reason=disconnected",
        "sent_packets=1",
        "sent_octets=4",
        "received_octets=4",
        "seconds=",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    for personal in ["joe", "roland", "127.0.0.1"] {
        assert!(!lines.iter().any(|line| line.contains(personal)), "{personal}: {lines:?}");
    }
}

#[test]
fn a_drained_server_makes_no_new_sessions_and_keeps_the_old() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let drained = done(&house, &["turn", "drain"]);
    assert_eq!((&drained["draining"], &drained["sessions"]), (&true.into(), &1.into()));
    assert_eq!(crate::counter(&house, "turn.draining"), 1);
    for line in [Line::udp(house.port("turn.udp")), Line::tcp(house.port("turn.tcp"))] {
        let refused = Client::new(line, "joe", "tr0mbone").allocate();
        assert!([486, 508].contains(&refused), "{refused}");
    }
    done(&house, &["reload"]);
    let refused = Client::new(Line::udp(house.port("turn.udp")), "joe", "tr0mbone").allocate();
    assert!([486, 508].contains(&refused), "a reload does not end it: {refused}");
    talk.goes_on();
    assert_eq!(talk.client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(600))), 0);
    done(&house, &["turn", "drain", "--off"]);
    assert_eq!(Client::new(Line::udp(house.port("turn.udp")), "joe", "tr0mbone").allocate(), 0);
}

fn draining(seconds: u64) -> House {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .account("joe@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)
        .set("turn", "drain", &format!("\"{seconds}s\""))
        .set("network", "addresses", r#"["127.0.0.1"]"#);
    house.start()
}

#[test]
fn the_end_waits_for_sessions() {
    let mut house = draining(60);
    let mut talk = Talk::start(&house, Line::tcp(house.port("turn.tcp")));
    house.server().terminate();
    house.server().expect("when TURN sessions have ended", Duration::from_secs(10));
    talk.goes_on();
    let refused = Client::new(Line::udp(house.port("turn.udp")), "joe", "tr0mbone").allocate();
    assert!([486, 508].contains(&refused), "{refused}");
    assert!(house.server().is_running());
    let begin = Instant::now();
    assert_eq!(talk.client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    assert_eq!(house.server().wait(Duration::from_secs(20)), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn the_end_does_not_wait_for_longer_than_it_may_nor_when_told_twice() {
    let mut house = draining(1);
    let _talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let begin = Instant::now();
    house.server().terminate();
    assert_eq!(house.server().wait(Duration::from_secs(20)), Some(0));
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());

    let mut house = draining(600);
    let _talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    house.server().terminate();
    house.server().expect("when TURN sessions have ended", Duration::from_secs(10));
    house.server().terminate();
    assert_eq!(house.server().wait(Duration::from_secs(20)), Some(0));
}

/// The service manager is told that the end takes its time: for as long as that lasts, and no more often than it must be.
#[test]
fn the_service_manager_is_asked_for_patience() {
    let mut house = prepare();
    configure(&house, "drain", "\"60s\"");
    let place = house.dir().join("notify");
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    command.arg("--config").arg(house.config()).arg("serve").env("NOTIFY_SOCKET", &place);
    let mut server = Program::start(&mut command, "cargo build");
    let hear = |wanted: &str| {
        let mut buffer = [0; 1000];
        loop {
            let length = manager.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..length]).contains(wanted) {
                return;
            }
        }
    };
    hear("READY=1");
    let _talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    server.terminate();
    hear("EXTEND_TIMEOUT_USEC=30000000");
    hear("EXTEND_TIMEOUT_USEC=30000000");
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(20)), Some(0));
    house.start();
}
