//! `kill -9` under load, for clients that count (XEP-0198) and an account with an archive (XEP-0313): whatever a sender was told
//! is handled is in both archives, once; what is delivered after the start was not delivered before.

use super::house;
use super::raw::Raw;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use testkit::House;

const LIMIT: Duration = Duration::from_secs(60);
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
/// Messages that are sent before the server is asked what it has handled.
const BATCH: u32 = 7;

/// A session that counts.
fn managed(house: &House, user: &str) -> Raw {
    let mut raw = Raw::session(house, user, "desk");
    raw.send(ENABLE);
    raw.expect("<enabled");
    raw
}

/// Sends until the connection is gone; `told`: how many the server has said are handled.
fn send(mut raw: Raw, user: &str, told: &AtomicU32) {
    let mut sent = 0;
    loop {
        let batch = sent + 1..=sent + BATCH;
        let message = |n| {
            format!("<message to='roland@falcot.com' type='chat' id='{user}-{n}'><body>{n}</body></message>")
        };
        raw.send(&batch.map(message).collect::<String>());
        raw.send("<r xmlns='urn:xmpp:sm:3'/>");
        sent += BATCH;
        if !raw.hears_or_ends(&format!("h='{sent}'")) {
            return;
        }
        told.store(sent, Ordering::SeqCst);
    }
}

/// Reads until the connection is gone, and acknowledges: all that came.
fn receive(mut raw: Raw) -> String {
    let (mut asked, mut said) = (0, 0);
    while !raw.closes_within(Duration::from_millis(1)) {
        let heard = raw.heard();
        let now = heard.matches("<r xmlns").count();
        if now > asked {
            let handled = heard.matches("</message>").count() + heard.matches("<presence").count();
            assert!(handled >= said, "it has heard less than before");
            (asked, said) = (now, handled);
            raw.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>"));
        }
    }
    raw.heard()
}

/// How often each message of the senders stands in a text: by its id.
fn count(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for sender in ["joe", "nina"] {
        let mark = format!("id='{sender}-");
        for rest in text.split(&mark).skip(1) {
            let number = rest.split('\'').next().unwrap_or_default();
            *counts.entry(format!("{sender}-{number}")).or_default() += 1;
        }
    }
    counts
}

/// All that is in somebody's archive.
fn archive(house: &House, user: &str) -> String {
    let mut raw = Raw::session(house, user, "reader");
    let (mut after, mut page) = (String::new(), 0);
    loop {
        page += 1;
        let before = raw.heard().len();
        raw.send(&format!(
            "<iq type='set' id='p{page}'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
             <max>100</max>{after}</set></query></iq>"
        ));
        raw.hears(&format!("id='p{page}' type='result'>"));
        raw.hears_from(before, "</iq>");
        let heard = raw.heard();
        let fin = &heard[heard.rfind("<fin").expect("the end of a page")..];
        if fin.contains("complete='true'") {
            return heard;
        }
        let last =
            fin.split("<last>").nth(1).and_then(|rest| rest.split('<').next()).expect("the last of it");
        after = format!("<after>{last}</after>");
    }
}

/// What comes for somebody who signs in: with an answer behind it, so that it is all.
fn kept(house: &House, user: &str) -> String {
    let mut raw = Raw::session(house, user, "desk");
    raw.send("<presence/>");
    raw.expect("<presence");
    raw.send("<message to='roland@falcot.com/desk' type='chat' id='end'><body>end</body></message>");
    raw.hears("id='end'");
    raw.heard()
}

/// One round: everybody is at it, the server is killed, and comes back. What was told, by sender.
fn round(house: &mut House, pause: Duration) -> ([u32; 2], String) {
    let mut roland = managed(house, "roland");
    roland.send("<presence/>");
    roland.expect("<presence");
    let senders = ["joe", "nina"].map(|user| (user, managed(house, user)));
    let told = [AtomicU32::new(0), AtomicU32::new(0)];
    let heard = std::thread::scope(|scope| {
        let receiver = scope.spawn(move || receive(roland));
        for ((user, raw), told) in senders.into_iter().zip(&told) {
            scope.spawn(move || send(raw, user, told));
        }
        let end = Instant::now() + LIMIT;
        while told.iter().any(|told| told.load(Ordering::SeqCst) < 5 * BATCH) {
            assert!(Instant::now() < end, "nothing is acknowledged");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(pause);
        house.kill();
        receiver.join().expect("the receiver reads to the end")
    });
    house.start();
    (told.map(AtomicU32::into_inner), heard)
}

#[test]
fn what_senders_were_told_is_in_both_archives_once() {
    for pause in [0, 61, 174] {
        let mut house = house();
        let (told, heard) = round(&mut house, Duration::from_millis(pause));
        let later = count(&kept(&house, "roland"));
        let of_roland = count(&archive(&house, "roland"));
        for (user, told) in ["joe", "nina"].iter().zip(told) {
            let own = count(&archive(&house, user));
            for number in 1..=told {
                let id = format!("{user}-{number}");
                assert_eq!(of_roland.get(&id), Some(&1), "{id} in the archive of the receiver");
                assert_eq!(own.get(&id), Some(&1), "{id} in the archive of its sender");
            }
        }
        let before = count(&heard);
        for (id, times) in before.iter().chain(&later).chain(&of_roland) {
            assert_eq!(*times, 1, "{id} comes more than once");
        }
        let again: Vec<&String> = later.keys().filter(|id| before.contains_key(*id)).collect();
        assert!(again.is_empty(), "delivered again: {again:?}");
    }
}
