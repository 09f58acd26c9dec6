//! The server is killed while hundreds register: what it has acknowledged is there when it comes back.

use crate::PASSWORD;
use crate::agent::{Agent, proof};
use md5::{Digest, Md5};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::House;

const ACCOUNTS: usize = 800;
const THREADS: usize = 4;

/// A house with u0, u1 and so on, imported with the keys that SIP needs.
fn house() -> House {
    let mut house = House::of(env!("CARGO_BIN_EXE_parlour")).prepare();
    let mut csv = "address,ha1-md5\n".to_owned();
    for n in 0..ACCOUNTS {
        let key = Md5::digest(format!("u{n}:falcot.com:{PASSWORD}"));
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(csv, "u{n}@falcot.com,{key}").unwrap();
    }
    let file = house.dir().join("accounts.csv");
    std::fs::write(&file, csv).unwrap();
    let output = house.cli(&["user", "import", &file.to_string_lossy()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    house.start();
    house
}

/// A REGISTER with credentials; whether it was acknowledged, and with which contacts. `None` without an answer.
fn register(agent: &mut Agent, contact: &str) -> Option<Vec<String>> {
    let (uri, to) = ("sip:falcot.com", format!("sip:{}@falcot.com", agent.user));
    let own = format!("Contact: {}\r\n", agent.contact());
    let first = agent.request("REGISTER", uri, &to, "Expires: 600\r\n", "").replace(&own, contact);
    agent.send(first);
    let challenge = agent.hear(Duration::from_secs(2))?;
    let proof = proof(challenge.header("WWW-Authenticate"), &agent.user, PASSWORD, "REGISTER", uri);
    let more = format!("Authorization: {proof}\r\nExpires: 600\r\n");
    let second = agent.request("REGISTER", uri, &to, &more, "").replace(&own, contact);
    agent.send(second);
    let answer = agent.hear(Duration::from_secs(2))?;
    assert_eq!(answer.line(), "SIP/2.0 200 OK");
    Some(answer.all("Contact").into_iter().map(str::to_owned).collect())
}

/// Registers one after the other until no answer comes; those that were acknowledged.
fn registered(agents: Vec<Agent>, done: &AtomicUsize) -> Vec<Agent> {
    let mut kept = Vec::new();
    for mut agent in agents {
        let contact = format!("Contact: {}\r\n", agent.contact());
        let Some(contacts) = register(&mut agent, &contact) else { break };
        assert_eq!(contacts.len(), 1);
        done.fetch_add(1, Ordering::Relaxed);
        kept.push(agent);
    }
    kept
}

#[test]
fn acknowledged_registrations_outlive_the_server() {
    let mut house = house();
    let (done, id) = (AtomicUsize::new(0), house.server().id());
    let mut agents: Vec<_> = (0..ACCOUNTS).map(|n| Agent::udp(&house, &format!("u{n}"))).collect();
    let acknowledged: Vec<Agent> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (share, done) = (agents.split_off(agents.len() - ACCOUNTS / THREADS), &done);
                scope.spawn(move || registered(share, done))
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(30);
        while done.load(Ordering::Relaxed) < ACCOUNTS / 4 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(
        (ACCOUNTS / 4..ACCOUNTS).contains(&acknowledged.len()),
        "{} were acknowledged",
        acknowledged.len()
    );
    house.kill_and_restart();
    for mut agent in acknowledged {
        let uri = agent.contact();
        let contacts = register(&mut agent, "").expect("an answer");
        let user = &agent.user;
        assert!(contacts.len() == 1 && contacts[0].starts_with(&uri), "{user}: {uri} is not in {contacts:?}");
    }
}

/// A refresh writes one row of several: the others stay as they were, as does what it has refreshed.
#[test]
fn several_phones_of_one_account_outlive_the_server_whichever_was_refreshed() {
    let mut house = crate::house();
    let mut phones: Vec<Agent> = (0..3).map(|_| Agent::udp(&house, "joe")).collect();
    for place in [0, 1, 2, 1, 0, 1] {
        let contact = format!("Contact: {}\r\n", phones[place].contact());
        assert!(register(&mut phones[place], &contact).is_some());
    }
    let known = register(&mut phones[0], "").expect("an answer");
    house.kill_and_restart();
    let mut phone = Agent::udp(&house, "joe");
    let left = register(&mut phone, "").expect("an answer");
    let uris = |contacts: &[String]| {
        let mut uris: Vec<_> = contacts.iter().map(|c| c.split(';').next().unwrap().to_owned()).collect();
        uris.sort_unstable();
        uris
    };
    assert_eq!((left.len(), uris(&left)), (3, uris(&known)));
    // The one that goes is gone after the next, too.
    let gone = format!("Contact: {};expires=0\r\n", phones[1].contact());
    assert_eq!(register(&mut phone, &gone).map(|left| left.len()), Some(2));
    house.kill_and_restart();
    assert_eq!(register(&mut Agent::udp(&house, "joe"), "").map(|left| left.len()), Some(2));
}
