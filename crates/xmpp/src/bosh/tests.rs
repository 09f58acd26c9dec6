//! Sessions of requests, from the first to the last.

mod bodies;
mod chaos;

use super::*;
use crate::xml;
use std::borrow::Cow;
use std::time::{Duration, Instant};

impl Payload for String {
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn octets(&self) -> usize {
        self.len()
    }
}

const EMPTY: &str = "<body xmlns='http://jabber.org/protocol/httpbind'/>";
const AGAIN: &str = "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>";
const END: &str = "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'/>";

/// The answer that says why a session is over.
fn over(condition: &str) -> String {
    END.replace("/>", &format!(" condition='{condition}'/>"))
}

/// The answer that carries this.
fn carries(payload: &str) -> String {
    EMPTY.replace("/>", &format!(">{payload}</body>"))
}

fn body(attributes: &str, payload: &str) -> Body {
    let text = format!(
        "<body {attributes} xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'>{payload}</body>"
    );
    Body::parse(text.as_bytes(), xml::Limits::MEMBER).expect(&text)
}

/// A session, its time, and what it has done: answers by their tickets, what was taken in brackets.
struct Talk {
    session: Session<u32, String>,
    now: Instant,
    tickets: u32,
    /// What the stream has read.
    read: String,
}

impl Talk {
    /// A session that has been answered once. Its tickets are counted from 1, its requests from 100.
    fn new(attributes: &str) -> Self {
        let mut talk = Self::begun(attributes);
        talk.done();
        talk
    }

    fn begun(attributes: &str) -> Self {
        let now = testkit::start();
        let first = body(&format!("rid='100' {attributes}"), "");
        let mut session = Session::begin(now, "secret", 1, &first, &Limits::default());
        let read = session.take().expect("a header");
        session.greet(Some("falcot.com".into()), "stream-1".into());
        Self { session, now, tickets: 1, read }
    }

    /// The usual terms.
    fn usual() -> Self {
        Self::new("to='falcot.com' ver='1.6' wait='60' hold='1'")
    }

    fn with(
        &mut self,
        act: impl FnOnce(&mut Session<u32, String>, Instant, &mut Vec<Output<u32, String>>),
    ) -> String {
        let mut out = Vec::new();
        act(&mut self.session, self.now, &mut out);
        while let Some(work) = self.session.take() {
            self.read.push_str(&work);
        }
        self.session.settle(self.now, &mut out);
        let told = |output: Output<u32, String>| match output {
            Output::Answer { ticket, status: 200, text } => format!("{ticket}:{text}"),
            Output::Answer { ticket, status, .. } => format!("{ticket}:{status}"),
            Output::Taken(what) => format!("[{what}]"),
        };
        out.into_iter().map(told).collect()
    }

    fn done(&mut self) -> String {
        self.with(|_, _, _| {})
    }

    fn ask(&mut self, attributes: &str, payload: &str) -> String {
        self.tickets += 1;
        let (ticket, body) = (self.tickets, body(&format!("sid='secret' {attributes}"), payload));
        self.with(|session, now, out| session.request(now, ticket, body, out))
    }

    /// A request with nothing but its number.
    fn empty(&mut self, rid: u64) -> String {
        self.ask(&format!("rid='{rid}'"), "")
    }

    fn say(&mut self, text: &str) -> String {
        assert!(self.session.say(text.to_owned(), 10_000_000).is_none());
        self.done()
    }

    fn later(&mut self, seconds: u64) -> String {
        self.now += Duration::from_secs(seconds);
        self.with(Session::tick)
    }

    /// The seconds until something is due.
    fn due(&self) -> Option<u64> {
        self.session.deadline().map(|due| due.saturating_duration_since(self.now).as_secs())
    }

    /// What the stream has read since.
    fn read(&mut self) -> String {
        std::mem::take(&mut self.read)
    }
}

#[test]
fn the_first_answer_says_what_was_agreed_on() {
    let mut talk = Talk::begun(
        "to='falcot.com' from='joe@falcot.com' xml:lang='de' ver='1.6' wait='30' hold='1' xmpp:version='1.0'",
    );
    assert_eq!(
        talk.read(),
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='joe@falcot.com' \
         to='falcot.com' version='1.0' xml:lang='de'>"
    );
    assert_eq!(
        talk.say("<stream:features/>"),
        "1:<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:xmpp='urn:xmpp:xbosh' sid='secret' wait='30' requests='2' hold='1' inactivity='90' polling='2' \
         maxpause='300' ver='1.6' from='falcot.com' authid='stream-1' xmpp:version='1.0' xmpp:restartlogic='true'>\
         <stream:features/></body>"
    );
    assert_eq!(talk.session.content(), "text/xml; charset=utf-8");
    assert_eq!(talk.empty(101), "[<stream:features/>]", "it waits");
}

#[test]
fn nobody_gets_more_than_the_house_allows() {
    let said = Talk::begun("to='falcot.com' ver='1.99' wait='3600' hold='100'").done();
    assert!(said.contains("wait='60' requests='5' hold='1' inactivity='90'"), "{said}");
    assert!(said.contains("ver='1.11'"), "{said}");
    let said = Talk::begun("to='falcot.com' ver='1.9'").done();
    assert!(said.contains("wait='60' requests='2' hold='1'") && said.contains("ver='1.9'"), "{said}");
    let said = Talk::begun("to='falcot.com' wait='0' hold='1'").done();
    assert!(
        said.contains("wait='0'") && said.contains("inactivity='94'") && !said.contains("ver="),
        "{said}"
    );
}

#[test]
fn answers_have_the_type_that_the_client_can_read() {
    let talk = Talk::new("to='falcot.com' content='text/html; charset=utf-8'");
    assert_eq!(talk.session.content(), "text/html; charset=utf-8");
}

#[test]
fn what_there_is_goes_to_the_oldest_request() {
    let mut talk = Talk::usual();
    assert_eq!(talk.say("<a/>"), "", "nobody asks");
    assert_eq!(talk.say("<b/>"), "");
    assert_eq!(talk.empty(101), format!("2:{}", carries("<a/><b/>")));
    assert_eq!(talk.empty(102), "[<a/>][<b/>]");
    assert_eq!(talk.say("<c/>"), format!("3:{}", carries("<c/>")));
    assert_eq!(talk.due(), Some(90), "until it counts as gone");
}

#[test]
fn a_request_waits_no_longer_than_was_agreed_on() {
    let mut talk = Talk::usual();
    talk.empty(101);
    assert_eq!((talk.due(), talk.later(59)), (Some(60), String::new()));
    assert_eq!(talk.later(1), format!("2:{EMPTY}"));
}

#[test]
fn no_more_requests_wait_than_was_agreed_on() {
    let mut talk = Talk::usual();
    talk.empty(101);
    assert_eq!(talk.ask("rid='102'", "<iq/>"), format!("2:{EMPTY}"), "the new one waits in its place");
    assert_eq!(talk.say("<r/>"), format!("3:{}", carries("<r/>")));
    assert!(talk.read().ends_with("<iq/>"));
}

#[test]
fn requests_are_read_and_answered_in_order() {
    let mut talk = Talk::usual();
    talk.read();
    assert_eq!(talk.ask("rid='102'", "<b/>"), "");
    assert_eq!(talk.read(), "", "it is not its turn");
    assert_eq!(talk.say("<x/>"), "");
    assert_eq!(talk.ask("rid='101'", "<a/>"), format!("3:{}", carries("<x/>")));
    assert_eq!(talk.read(), "<a/><b/>");
    assert_eq!(talk.say("<y/>"), format!("2:{}", carries("<y/>")));
}

#[test]
fn a_request_whose_predecessor_does_not_come_is_to_come_again() {
    let mut talk = Talk::usual();
    talk.ask("rid='102'", "<b/>");
    assert_eq!(talk.due(), Some(60));
    assert_eq!(talk.later(60), format!("2:{AGAIN}"));
    talk.read();
    talk.ask("rid='101'", "<a/>");
    assert_eq!(talk.read(), "<a/>");
    assert_eq!(talk.ask("rid='102'", "<b/>"), format!("3:{EMPTY}"));
    assert_eq!(talk.read(), "<b/>");
}

#[test]
fn numbers_beyond_the_window_end_the_session() {
    let mut talk = Talk::usual();
    talk.empty(101);
    assert_eq!(talk.empty(104), format!("3:{}2:{}", over("item-not-found"), over("other-request")));
    assert!(talk.session.is_over());
    assert_eq!(talk.empty(102), format!("4:{}", over("item-not-found")));
    assert_eq!(talk.due(), None);
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let mut talk = Talk::usual();
    talk.say("<a/>");
    talk.empty(101);
    talk.ask("rid='102'", "<iq/>");
    talk.say("<b/>");
    let read = talk.read();
    assert_eq!(talk.ask("rid='102'", "<iq/>"), format!("4:{}", carries("<b/>")));
    assert_eq!(talk.empty(101), format!("5:{}", carries("<a/>")));
    assert_eq!(read.matches("<iq/>").count(), 1);
    assert_eq!(talk.read(), "", "nothing is read twice");
    talk.ask("rid='103'", "<iq/>");
    talk.say("<c/>");
    assert_eq!(talk.empty(100), format!("7:{}", over("item-not-found")), "it is too long ago");
}

#[test]
fn an_answer_that_is_due_goes_to_who_asked_last() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.later(50);
    assert_eq!(talk.empty(101), format!("2:{AGAIN}"));
    assert_eq!(talk.due(), Some(60));
    assert_eq!(talk.say("<a/>"), format!("3:{}", carries("<a/>")));
}

#[test]
fn nobody_asks_for_one_thing_for_ever() {
    let mut talk = Talk::usual();
    talk.empty(101);
    for ticket in 2..11 {
        assert_eq!(talk.empty(101), format!("{ticket}:{AGAIN}"));
    }
    assert_eq!(talk.empty(101), format!("11:{AGAIN}12:{}", over("policy-violation")));
    let mut talk = Talk::usual();
    for _ in 0..9 {
        assert!(talk.empty(100).contains("sid='secret'"));
    }
    assert_eq!(talk.empty(100), format!("11:{}", over("policy-violation")));
    let mut talk = Talk::usual();
    for _ in 0..10 {
        talk.empty(102);
    }
    assert_eq!(talk.empty(102), format!("11:{AGAIN}12:{}", over("policy-violation")));
}

#[test]
fn what_nobody_waits_for_waits() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.with(|session, now, _| session.abandoned(now, 2));
    assert_eq!(talk.due(), Some(60));
    assert_eq!(talk.say("<a/>"), "");
    assert_eq!(talk.empty(101), format!("3:{}", carries("<a/>")), "it comes again");
    // The same where the client goes on instead.
    talk.empty(102);
    talk.with(|session, now, _| session.abandoned(now, 4));
    assert_eq!(talk.say("<b/>"), "");
    assert_eq!(talk.ask("rid='103'", "<iq/>"), format!("5:{}", carries("<b/>")));
    assert_eq!(talk.empty(102), format!("6:{EMPTY}"));
    // One that has come too early and is lost is to come again.
    talk.ask("rid='105'", "<e/>");
    talk.with(|session, now, _| session.abandoned(now, 7));
    talk.read();
    talk.ask("rid='104'", "<d/>");
    assert_eq!(talk.read(), "<d/>");
}

#[test]
fn who_is_away_for_too_long_is_gone() {
    let mut talk = Talk::usual();
    talk.say("<a/>");
    talk.empty(101);
    talk.say("<b/>");
    assert_eq!((talk.later(89), talk.session.is_over()), (String::new(), false));
    talk.later(1);
    assert!(talk.session.is_over());
    assert_eq!(talk.session.rest(), ["<a/>", "<b/>"], "what may not have come, and what has not been sent");
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.with(|session, now, _| session.abandoned(now, 2));
    talk.later(90);
    assert!(talk.session.is_over(), "the connection was lost, and nobody has come since");
}

/// A pause comes beside as many others as there may be, and may overtake all of them.
#[test]
fn a_pause_comes_before_the_others() {
    let mut talk = Talk::usual();
    assert_eq!(talk.ask("rid='103' pause='10'", ""), "");
    assert_eq!(talk.ask("rid='101'", "<a/>"), format!("3:{EMPTY}"));
    assert_eq!(talk.ask("rid='102'", "<b/>"), format!("4:{EMPTY}2:{EMPTY}"));
    assert!(talk.read().ends_with("<a/><b/>"));
}

#[test]
fn a_pause_ends_all_that_waits() {
    let mut talk = Talk::usual();
    talk.empty(101);
    assert_eq!(talk.ask("rid='102' pause='200'", ""), format!("2:{EMPTY}3:{EMPTY}"));
    assert_eq!(talk.say("<a/>"), "");
    assert_eq!(talk.due(), Some(200));
    talk.later(199);
    assert_eq!(talk.empty(103), format!("4:{}", carries("<a/>")));
    assert_eq!(talk.due(), Some(90), "the pause is over");
    // What has come meanwhile goes to the others.
    let mut talk = Talk::usual();
    talk.empty(101);
    assert!(talk.session.say("<a/>".to_owned(), 100).is_none());
    assert_eq!(talk.ask("rid='102' pause='10'", ""), format!("2:{}3:{EMPTY}", carries("<a/>")));
    assert_eq!(talk.due(), Some(10));
    // It comes beside all others that there may be: the first of them may not have had its answer.
    let mut talk = Talk::usual();
    talk.empty(101);
    assert!(talk.session.say("<a/>".to_owned(), 100).is_none());
    assert_eq!(talk.ask("rid='102'", "<iq/>"), format!("2:{}", carries("<a/>")));
    assert_eq!(talk.ask("rid='103' pause='10'", ""), format!("3:{EMPTY}4:{EMPTY}"));
    assert_eq!(talk.empty(101), format!("5:{}", carries("<a/>")));
    assert_eq!(talk.session.rest(), ["<a/>"]);
    // Too long a one is none.
    let mut talk = Talk::usual();
    assert_eq!((talk.ask("rid='101' pause='301'", ""), talk.due()), (String::new(), Some(60)));
}

#[test]
fn a_client_takes_leave() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.read();
    assert_eq!(
        talk.ask("rid='102' type='terminate'", "<presence type='unavailable'/>"),
        format!("2:{EMPTY}")
    );
    assert_eq!(talk.read(), "<presence type='unavailable'/></stream:stream>");
    talk.session.end(None);
    assert_eq!(talk.done(), format!("3:{END}"));
    assert!(talk.session.is_over());
}

#[test]
fn the_end_is_told_on_the_oldest_request_or_the_next() {
    let error = "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict \
                 xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let told = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams' \
         type='terminate' condition='remote-stream-error'><a/>{error}</body>"
    );
    let told = |ticket: u32, payload: &str| format!("{ticket}:{}{payload}", told.replace("<a/>", payload));
    let mut talk = Talk::usual();
    talk.empty(101);
    assert!(talk.session.say("<a/>".to_owned(), 100).is_none());
    talk.session.end(Some(error.to_owned()));
    assert_eq!(talk.done(), told(2, "<a/>").replace("</body><a/>", "</body>[<a/>]"));
    let mut talk = Talk::usual();
    talk.session.end(Some(error.to_owned()));
    assert_eq!((talk.done(), talk.session.is_over()), (String::new(), false));
    assert_eq!(talk.empty(101), told(2, ""));
    assert!(talk.session.is_over());
    // Or nobody comes to hear it.
    let mut talk = Talk::usual();
    talk.session.end(Some(error.to_owned()));
    talk.done();
    talk.later(90);
    assert!(talk.session.is_over());
}

/// A time that is over and does nothing would be waited for at once, again and again.
#[test]
fn a_session_that_ends_waits_for_nothing_but_its_client() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.later(10);
    talk.with(|session, now, _| session.abandoned(now, 2));
    talk.session.end(None);
    assert_eq!((talk.done(), talk.due()), (String::new(), Some(90)));
    assert_eq!(
        (talk.later(50), talk.due()),
        (String::new(), Some(40)),
        "its last request would be answered now"
    );
    assert_eq!((talk.later(40), talk.session.is_over()), (String::new(), true));
}

#[test]
fn a_stream_that_never_began_is_no_session() {
    for (fault, condition) in [
        ("host-unknown", "host-unknown"),
        ("host-gone", "host-gone"),
        ("improper-addressing", "improper-addressing"),
        ("system-shutdown", "system-shutdown"),
    ] {
        let mut talk = Talk::begun("ver='1.6'");
        talk.session.end(Some(format!(
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><{fault} \
             xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        )));
        assert_eq!(talk.done(), format!("1:{}", over(condition)));
    }
    let mut talk = Talk::begun("to='falcot.com' xmpp:version='0.9'");
    talk.session.end(Some(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><unsupported-version \
         xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            .to_owned(),
    ));
    let said = talk.done();
    assert!(
        said.contains("condition='remote-stream-error'><stream:error") && !said.contains("sid="),
        "{said}"
    );
}

#[test]
fn the_stream_begins_anew() {
    let mut talk = Talk::new("to='falcot.com' from='joe@falcot.com' xml:lang='de' ver='1.6'");
    talk.read();
    assert_eq!(talk.ask("rid='101' to='falcot.com' xmpp:restart='true'", "<ignored/>"), "");
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                  from='joe@falcot.com' to='falcot.com' version='1.0' xml:lang='de'>";
    assert_eq!(talk.read(), header);
    talk.session.greet(Some("falcot.com".into()), "stream-2".into());
    assert_eq!(
        talk.say("<stream:features/>"),
        "2:<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams'>\
         <stream:features/></body>"
    );
}

#[test]
fn one_request_more_than_agreed_on_is_too_many() {
    // The stream has not read what came: nothing is answered meanwhile.
    let untaken = || {
        let mut talk = Talk::usual();
        for (ticket, rid) in [(2, 101), (3, 102)] {
            let mut out = Vec::new();
            talk.session.request(
                talk.now,
                ticket,
                body(&format!("sid='secret' rid='{rid}'"), "<iq/>"),
                &mut out,
            );
            talk.session.settle(talk.now, &mut out);
            assert_eq!(out, []);
            assert_eq!(talk.session.deadline(), None, "there is nothing to be done about it");
        }
        talk.tickets = 3;
        talk
    };
    let gone = over("other-request");
    assert_eq!(
        untaken().ask("rid='103'", "<iq/>"),
        format!("4:{}2:{gone}3:{gone}", over("policy-violation"))
    );
    assert_eq!(untaken().ask("rid='103' pause='10'", ""), format!("2:{EMPTY}3:{EMPTY}4:{EMPTY}"));
    assert_eq!(untaken().ask("rid='103' type='terminate'", ""), format!("2:{EMPTY}3:{EMPTY}"));
}

#[test]
fn who_asks_for_nothing_beside_another_request_does_so_seldom() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.later(1);
    assert_eq!(talk.empty(102), format!("3:{}2:{}", over("policy-violation"), over("other-request")));
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.later(2);
    assert_eq!(talk.empty(102), format!("2:{EMPTY}"));
    talk.later(1);
    assert_eq!(talk.ask("rid='103'", "<iq/>"), format!("3:{EMPTY}"), "it asks for something");
    // One that asks for something and has overtaken one that does not.
    let mut talk = Talk::usual();
    assert_eq!(talk.ask("rid='102'", "<iq/>"), "");
    assert_eq!(talk.empty(101), format!("3:{EMPTY}"));
}

#[test]
fn who_polls_does_so_seldom() {
    let mut talk = Talk::new("to='falcot.com' ver='1.6' wait='0' hold='1'");
    assert_eq!(talk.empty(101), format!("2:{EMPTY}"));
    talk.later(2);
    assert_eq!(talk.empty(102), format!("3:{EMPTY}"));
    talk.say("<a/>");
    talk.later(1);
    assert_eq!(talk.empty(103), format!("4:{}", over("policy-violation")));
    // Where the last answer has brought something, there may be more.
    let mut talk = Talk::new("to='falcot.com' ver='1.6' wait='60' hold='0'");
    talk.say("<a/>");
    assert_eq!(talk.empty(101), format!("2:{}", carries("<a/>")));
    assert_eq!(talk.empty(102), format!("[<a/>]3:{EMPTY}"));
}

#[test]
fn clients_of_old_hear_the_status_of_http() {
    for (requests, status) in [(vec![101, 104], 404), (vec![101, 102], 403)] {
        let mut talk = Talk::new("to='falcot.com' wait='60' hold='1'");
        let said: String = requests.iter().map(|rid| talk.empty(*rid)).collect();
        assert!(said.starts_with(&format!("3:{status}2:<body ")), "{said}");
    }
}

#[test]
fn keys_show_whose_session_it_is() {
    use sha1::Digest;
    let next = |key: &str| sha1::Sha1::digest(key).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let k1 = next("seed");
    let k2 = next(&k1);
    let k3 = next(&k2);
    let other = next("another seed");
    let terms = format!("to='falcot.com' ver='1.6' newkey='{}'", k3.to_uppercase());
    let mut talk = Talk::new(&terms);
    // The second comes first.
    assert_eq!(talk.ask(&format!("rid='102' key='{k1}' newkey='{other}'"), "<b/>"), "");
    assert_eq!(talk.ask(&format!("rid='101' key='{k2}'"), "<a/>"), format!("3:{EMPTY}"));
    assert!(talk.read().ends_with("<a/><b/>"));
    assert_eq!(talk.ask("rid='103' key='another seed'", "<c/>"), format!("2:{EMPTY}"));
    for forged in ["", "key='0000'"] {
        let mut talk = Talk::new(&terms);
        talk.read();
        let said = talk.ask(&format!("rid='101' {forged}"), "<a/>");
        assert_eq!((said, talk.read()), (format!("2:{}", over("item-not-found")), String::new()));
    }
}

#[test]
fn both_say_what_they_have() {
    let mut talk = Talk::begun("to='falcot.com' ver='1.6' ack='1'");
    assert!(talk.done().contains(" ack='100'"));
    assert_eq!(talk.ask("rid='101'", ""), "");
    assert_eq!(talk.ask("rid='102'", "<iq/>"), format!("2:{}", EMPTY.replace("/>", " ack='102'/>")));
    assert_eq!(talk.say("<a/>"), format!("3:{}", carries("<a/>")), "it says nothing new");
    // The client has not had that answer.
    talk.later(4);
    let report = EMPTY.replace("/>", " report='102' time='4000'/>");
    assert_eq!(talk.ask("rid='103' ack='101'", "<iq/>"), format!("4:{report}"));
    assert_eq!(talk.ask("rid='102' ack='101'", "<iq/>"), format!("5:{}", carries("<a/>")));
    assert_eq!(talk.ask("rid='104'", ""), "[<a/>]", "it has had all");
    // What it misses may only be on its way.
    talk.say("<b/>");
    assert_eq!(talk.ask("rid='105' ack='103'", ""), "");
    assert!(!talk.session.is_idle());
}

#[test]
fn what_has_come_is_known_at_last() {
    let mut talk = Talk::usual();
    talk.empty(101);
    talk.say("<a/>");
    assert_eq!(talk.ask("rid='102'", "<iq/>"), "", "that may have crossed it");
    assert!(!talk.session.is_idle());
    talk.say("<b/>");
    assert_eq!(talk.ask("rid='103'", "<iq/>"), "[<a/>]", "without that answer it could not have gone on");
    assert_eq!(talk.ask("rid='104' type='terminate'", "<presence/>"), format!("[<b/>]4:{EMPTY}"));
    assert!(talk.session.is_idle());
}

#[test]
fn answers_have_a_bound_and_so_has_what_waits() {
    let mut talk = Talk::usual();
    let long = format!("<a>{}</a>", "x".repeat(40_000));
    for _ in 0..3 {
        assert!(talk.session.say(long.clone(), 3 * long.len()).is_none());
    }
    assert_eq!(talk.session.say("<b/>".to_owned(), 3 * long.len()), Some("<b/>".to_owned()));
    assert_eq!(talk.empty(101), format!("2:{}", carries(&(long.clone() + &long))));
    assert!(talk.session.say("<b/>".to_owned(), 3 * long.len()).is_none(), "there is room again");
    assert!(talk.empty(102).ends_with(&format!("3:{}", carries(&(long + "<b/>")))));
}

#[test]
fn what_a_stream_of_ours_says() {
    let said = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                id='a' from='falcot.com' version='1.0' xml:lang='en'><stream:features><a xmlns='x'/></stream:features>";
    let stream = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
    assert_eq!(
        words(said.as_bytes()),
        [
            Word::Header { from: Some("falcot.com".into()), id: "a".into() },
            Word::Element(format!("<stream:features {stream}><a xmlns='x'/></stream:features>")),
        ]
    );
    let said = "<iq id='1'/><stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
    assert_eq!(
        words(said.as_bytes()),
        [
            Word::Element("<iq xmlns='jabber:client' id='1'/>".into()),
            Word::Error(format!(
                "<stream:error {stream}><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            )),
            Word::End,
        ]
    );
}
