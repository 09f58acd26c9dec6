//! Sessions from the administrator's side, and clients that take more than their turn.

use super::raw::{self, Raw};
use super::{HEADER, builder, house};
use std::time::{Duration, Instant};
use testkit::House;

const LIMIT: Duration = Duration::from_secs(30);

/// A message to an account.
fn message(to: &str, number: usize, body: &str) -> String {
    format!("<message to='{to}@falcot.com' type='chat' id='m{number}'><body>{body}</body></message>")
}

/// An account that is removed loses its sessions at once, and nobody signs in to it; a new one is there at once.
#[test]
fn accounts_come_and_go_while_it_runs() {
    let house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    let mut nina = Raw::session(&house, "nina", "desk");
    assert!(house.cli(&["user", "remove", "joe@falcot.com"], "").status.success());
    joe.ends_with_error("not-authorized");
    let mut again = Raw::tls(&house);
    again.send(HEADER);
    again.expect("</stream:features>");
    again.send(&raw::plain_auth("joe", "secret-joe"));
    again.expect("<not-authorized/>");
    nina.send(&message("joe", 1, "Where art thou?"));
    nina.expect("<service-unavailable");
    house.add("lucie@falcot.com", "secret-lucie");
    let mut lucie = Raw::session(&house, "lucie", "desk");
    lucie.send("<presence/>");
    lucie.expect("<presence");
    nina.send(&message("lucie", 2, "Welcome"));
    lucie.expect("<body>Welcome</body>");
}

/// Who knows an old password alone does not stay: a changed password ends the sessions of its account, and of no
/// other.
#[test]
fn a_changed_password_ends_the_sessions_of_its_account() {
    let house = house();
    let mut nina = Raw::session(&house, "nina", "desk");
    let mut joe = Raw::session(&house, "joe", "desk");
    assert!(house.cli(&["user", "passwd", "joe@falcot.com"], "secret-new\n").status.success());
    joe.ends_with_error("reset");
    let mut again = Raw::tls(&house);
    again.send(HEADER);
    again.expect("</stream:features>");
    again.send(&raw::plain_auth("joe", "secret-joe"));
    again.expect("<not-authorized/>");
    again.send(&raw::plain_auth("joe", "secret-new"));
    again.expect("<success");
    nina.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    nina.expect("id='p' type='result'/>");
}

/// Ending in order tells every client, and what was accepted before is kept.
#[test]
fn the_server_takes_its_leave() {
    let mut house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    let mut roland = Raw::session(&house, "roland", "desk");
    let many: String = (1..=50).map(|number| message("nina", number, "kept")).collect();
    joe.send(&many);
    joe.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    joe.expect("id='p' type='result'/>");
    house.server().terminate();
    joe.ends_with_error("system-shutdown");
    roland.ends_with_error("system-shutdown");
    assert_eq!(house.server().wait(LIMIT), Some(0));
    house.start();
    let mut nina = Raw::session(&house, "nina", "desk");
    nina.send("<presence/>");
    (1..=50).for_each(|number| nina.expect(&format!("id='m{number}'>")));
}

/// Who sends far faster than the disk can follow is read no faster than that: everything is kept, in order, also
/// when the stream is closed right behind it.
#[test]
fn a_flood_is_kept_to_the_last_word() {
    let house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    let many: String = (1..=900).map(|number| message("nina", number, "flood")).collect();
    joe.send(&format!("{many}</stream:stream>"));
    assert!(joe.closes_within(LIMIT));
    assert!(!joe.heard().contains("type='error'"), "{}", joe.heard());
    let mut nina = Raw::session(&house, "nina", "desk");
    nina.send("<presence/>");
    (1..=900).for_each(|number| nina.expect(&format!("id='m{number}'>")));
}

/// A client that reads nothing is given up, and costs others nothing.
#[test]
fn a_client_that_does_not_listen() {
    let house = house();
    let mut deaf = Raw::session(&house, "joe", "deaf");
    deaf.send("<presence/>");
    deaf.expect("<presence");
    let mut roland = Raw::session(&house, "roland", "desk");
    let body = "x".repeat(8_000);
    let (end, mut sent) = (Instant::now() + LIMIT, 0);
    let mut given_up = false;
    while !given_up && Instant::now() < end {
        let many: String = (0..100).map(|n| message("joe/deaf", sent + n, &body)).collect();
        let many = many.replace("joe/deaf@falcot.com", "joe@falcot.com/deaf");
        sent += 100;
        roland.send(&format!("{many}<iq type='get' id='p{sent}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        roland.expect(&format!("id='p{sent}' type='result'/>"));
        let status = house.cli(&["status", "--json"], "");
        let status = String::from_utf8_lossy(&status.stdout).replace(char::is_whitespace, "");
        given_up = status.contains("\"xmpp.sessions\":1");
    }
    assert!(given_up, "a deaf client holds {sent} messages of 8 kB");
    roland.send("<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
    roland.expect("id='last'");
    // What the deaf one was not sent is kept for another, in order, without a gap, to the last.
    let mut joe = Raw::session(&house, "joe", "desk");
    joe.send("<presence/>");
    joe.expect(&format!("id='m{}'>", sent - 1));
    let heard = joe.heard();
    let numbers =
        heard.split("id='m").skip(1).filter_map(|rest| rest.split_once('\'')?.0.parse::<usize>().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
}

/// Who acknowledges what it does not read is cut off at last, in the midst of what it says: whatever counts as handled then is
/// done, also what stood behind the word that was too much.
#[test]
fn what_was_read_of_a_client_that_is_cut_off_is_done() {
    let house = builder().set("xmpp", "archive", "false").start();
    let mut joe = Raw::session(&house, "joe", "desk");
    joe.send("<presence/>");
    joe.expect("<presence");
    let mut deaf = Raw::session(&house, "roland", "deaf");
    // What is known of the account is at hand then: messages to itself come at once.
    deaf.send("<presence/>");
    deaf.expect("<presence");
    deaf.send("<iq type='get' id='p' to='roland@falcot.com'><ping xmlns='urn:xmpp:ping'/></iq>");
    deaf.expect("id='p' type='result'/>");
    deaf.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    deaf.expect("<enabled");
    let name = deaf.quoted("id='");
    let much = message("roland", 0, &"x".repeat(30_000)).replace("@falcot.com", "@falcot.com/deaf");
    let (end, mut units) = (Instant::now() + LIMIT, 0);
    while !is_away(&house) {
        assert!(Instant::now() < end, "a deaf client has said {units} times 30 kB");
        for _ in 0..20 {
            let words: String = (3 * units..3 * units + 3).map(|n| message("joe", n, "so much")).collect();
            units += 1;
            deaf.send(&format!("{much}{words}<a xmlns='urn:xmpp:sm:3' h='{units}'/>"));
        }
    }
    // How much it was sent, it does not know.
    let mut roland = resume(&house, "roland", &name, "4294967295");
    let sent = roland.quoted("send-count='");
    let mut roland = resume(&house, "roland", &name, &sent);
    roland.expect("<resumed");
    let handled: usize = roland.quoted("h='").parse().expect("a number");
    let words = handled / 4 * 3 + (handled % 4).saturating_sub(1);
    assert!(words > 0);
    (0..words).for_each(|n| joe.expect(&format!("id='m{n}'>")));
}

/// Whether a session waits for its client.
fn is_away(house: &House) -> bool {
    let status = house.cli(&["status", "--json"], "").stdout;
    let status = String::from_utf8_lossy(&status).replace(char::is_whitespace, "");
    status.contains("\"xmpp.sessions.away\":1")
}

/// Signs in, and wants an earlier session back.
fn resume(house: &House, user: &str, name: &str, handled: &str) -> Raw {
    let mut raw = Raw::tls(house);
    raw.send(HEADER);
    raw.expect("</stream:features>");
    raw.send(&raw::plain_auth(user, &format!("secret-{user}")));
    raw.expect("<success");
    raw.send(HEADER);
    raw.expect("</stream:features>");
    raw.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='{handled}'/>"));
    raw
}

/// Who leaves in the same instant as a kept message comes has had it: it does not come again.
#[test]
fn a_kept_message_comes_once_however_soon_its_reader_leaves() {
    let house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    for round in 1..=20 {
        joe.send(&message("nina", round, "kept"));
        joe.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
        joe.expect("id='p' type='result'/>");
        let mut nina = Raw::session(&house, "nina", "desk");
        nina.send("<presence/>");
        nina.expect(&format!("id='m{round}'>"));
        if round % 2 == 0 {
            nina.send("</stream:stream>");
        } else {
            nina.hang_up();
        }
        assert!(nina.closes_within(LIMIT));
        let before = format!("id='m{}'>", round - 1);
        assert!(!nina.heard().contains(&before), "twice: {}", nina.heard());
    }
}

/// Kept messages that are together far longer than any buffer come one after the other, as they are read.
#[test]
fn long_messages_wait_for_room() {
    let house = house();
    let mut joe = Raw::session(&house, "joe", "desk");
    let body = "x".repeat(200_000);
    for number in 1..=40 {
        joe.send(&message("nina", number, &body));
    }
    joe.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    joe.expect("id='p' type='result'/>");
    let mut nina = Raw::session(&house, "nina", "desk");
    nina.send("<presence/>");
    (1..=40).for_each(|number| nina.expect(&format!("id='m{number}'>")));
    // Live ones too: more than the connection's own buffer, less than what is too much.
    let live: String = (41..=60).map(|number| message("nina", number, &body)).collect();
    joe.send(&live);
    (41..=60).for_each(|number| nina.expect(&format!("id='m{number}'>")));
}

/// Who hangs up with much unread reads what was on its way, and the rest at the next login: nothing is lost.
#[test]
fn what_was_not_sent_yet_when_somebody_hangs_up_is_kept() {
    let house = house();
    let mut nina = Raw::session(&house, "nina", "desk");
    nina.send("<presence/>");
    nina.expect("<presence");
    let mut joe = Raw::session(&house, "joe", "desk");
    // More than the connection's buffer, less than what has a client given up that the kernel takes nothing for.
    let body = "x".repeat(200_000);
    (1..=24).for_each(|number| joe.send(&message("nina", number, &body)));
    joe.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    joe.expect("id='p' type='result'/>");
    nina.hang_up();
    assert!(nina.closes_within(LIMIT));
    let mut again = Raw::session(&house, "nina", "desk");
    again.send("<presence/>");
    again.send("<message to='nina@falcot.com' type='chat' id='last'><body>x</body></message>");
    again.hears("id='last'");
    let heard = [nina.heard(), again.heard()].concat();
    // One that was cut off comes again whole.
    let whole = |number: &usize| heard.contains(&format!("id='m{number}'><body>{body}</body>"));
    let lost: Vec<usize> = (1..=24).filter(|number| !whole(number)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

/// Messages of ten thousand octets, and a question behind them whose answer shows that all were read.
fn say_much(raw: &mut Raw, to: &str, count: usize) {
    let body = "x".repeat(10_000);
    (0..count).for_each(|number| raw.send(&message(to, number, &body)));
    raw.send("<iq type='get' id='read'><ping xmlns='urn:xmpp:ping'/></iq>");
}

/// Who says more than the rate allows is read more slowly and loses nothing; others notice nothing of it.
#[test]
fn who_says_too_much_is_read_more_slowly() {
    let limits = "{ rate = 20000, account-rate = \"8 Mbit/s\" }";
    let house = super::builder().set("xmpp", "limits", limits).start();
    let mut joe = Raw::session(&house, "joe", "desk");
    joe.send("<presence/>");
    joe.expect("<presence");
    let mut roland = Raw::session(&house, "roland", "desk");
    let mut nina = Raw::session(&house, "nina", "desk");
    let begin = Instant::now();
    say_much(&mut roland, "joe", 10);
    nina.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    nina.expect("id='p' type='result'/>");
    roland.expect("id='read' type='result'/>");
    // A hundred thousand octets, of which a second's worth may come at once.
    assert!(begin.elapsed() >= Duration::from_secs(3), "it took {:?}", begin.elapsed());
    (0..10).for_each(|number| joe.expect(&format!("id='m{number}'")));
    assert!(!roland.heard().contains("error"), "{}", roland.heard());
}

/// Several connections of an account may together say no more than the account may.
#[test]
fn an_account_says_no_more_by_more_connections() {
    let limits = "{ rate = \"80 Mbit/s\", account-rate = 20000 }";
    let house = super::builder().set("xmpp", "limits", limits).start();
    let mut all: Vec<Raw> =
        ["desk", "phone"].iter().map(|resource| Raw::session(&house, "roland", resource)).collect();
    let begin = Instant::now();
    all.iter_mut().for_each(|raw| say_much(raw, "joe", 5));
    all.iter_mut().for_each(|raw| raw.expect("id='read' type='result'/>"));
    assert!(begin.elapsed() >= Duration::from_secs(3), "it took {:?}", begin.elapsed());
}

/// The most memory that the server has had, in KiB.
fn peak(house: &mut House) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.server().id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Who comes into a room again and again is told each time what was said there, and where it does not listen it is given up: what
/// came of what it said in one go does not fill the memory.
#[test]
fn a_deaf_client_that_comes_into_a_room_again_and_again() {
    // The room is where the session is: all that is said to it comes of one read.
    let mut house = builder().set("network", "workers", "1").start();
    let mut deaf = Raw::session(&house, "joe", "deaf");
    let room = "ball@rooms.falcot.com";
    let enter = format!("<presence to='{room}/joe'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    deaf.send(&enter);
    deaf.expect("<subject/>");
    let long = "x".repeat(60_000);
    for n in 0..4 {
        let body = format!("<body>{long}</body>");
        deaf.send(&format!("<message to='{room}' type='groupchat' id='said{n}'>{body}</message>"));
        deaf.expect(&format!("id='said{n}'"));
        deaf.expect("</message>");
    }
    let before = peak(&mut house);
    deaf.send(&enter.repeat(160));
    let end = Instant::now() + LIMIT;
    while sessions(&house) > 0 {
        assert!(Instant::now() < end, "it is still there");
    }
    let more = peak(&mut house) - before;
    assert!(more < 24 << 10, "{more} KiB");
}

/// How many sessions there are.
fn sessions(house: &House) -> u64 {
    let status = house.cli(&["status", "--json"], "").stdout;
    let status = String::from_utf8_lossy(&status).replace(char::is_whitespace, "");
    let count = status.split_once("\"xmpp.sessions\":").map(|(_, rest)| rest);
    let count = count.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    count.and_then(|count| count.parse().ok()).expect("a number")
}
