//! Streams from the first byte to the last.

mod external;

use super::*;
use crate::ns;
use crate::sasl::scram::{Sha1, Sha256};
use crate::sasl::tests::{Fixed, answer, directory};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const OPEN: &str = "<?xml version='1.0'?><stream:stream to='falcot.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const OURS: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='aaaaaaaaaaaaaaaaaaaaaaaaaa' from='falcot.com' version='1.0' xml:lang='en'>";
const MECHANISMS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms><authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism><inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/><feature var='urn:xmpp:sm:3'/></inline></bind><fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication></stream:features>";
const PLAIN: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbGFuZABwZW5jaWw=</auth>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const BIND: &str = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind></iq>";

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

pub(crate) fn policy() -> Policy {
    Policy {
        stranger: Limits::STRANGER,
        member: Limits::MEMBER,
        mechanisms: Mechanism::ALL.to_vec(),
        attempts: 3,
        login: Duration::from_secs(60),
        idle: Duration::from_secs(300),
        pong: Duration::from_secs(60),
        resume: Duration::from_secs(300),
        features: "<ver xmlns='urn:xmpp:features:rosterver'/>".into(),
        secret: Secret::new("house"),
    }
}

/// One stream, its time, and what it wants done as one text per call.
pub(super) struct Play {
    stream: Stream,
    policy: Policy,
    locks: Locks,
    now: Instant,
}

impl Play {
    fn new(secure: bool) -> Self {
        let (policy, now) = (policy(), testkit::start());
        Self {
            stream: Stream::new(now, secure.then(Channel::default), &policy),
            policy,
            locks: Locks::default(),
            now,
        }
    }

    /// Runs `act` with the surroundings it needs; what came out, one effect after the other.
    fn with(&mut self, act: impl FnOnce(&mut Stream, &mut Context<'_>, &mut Vec<Output>)) -> String {
        let (directory, entropy) = (directory(), &mut Fixed(Vec::new()));
        let mut context = Context {
            now: self.now,
            unix: Duration::from_secs(1_700_000_000),
            directory: &directory,
            entropy,
            policy: &self.policy,
            locks: &self.locks,
            source: HOME,
        };
        let mut out = Vec::new();
        act(&mut self.stream, &mut context, &mut out);
        out.iter().map(told).collect()
    }

    fn give(&mut self, input: Input<'_>) -> String {
        self.with(|stream, context, out| stream.handle(input, context, out))
    }

    fn send(&mut self, text: &str) -> String {
        self.give(Input::Bytes(text.as_bytes()))
    }

    fn later(&mut self, seconds: u64) -> String {
        self.now += Duration::from_secs(seconds);
        self.with(Stream::tick)
    }

    /// As far as a bound resource.
    fn active() -> Self {
        let mut play = Self::new(true);
        play.send(OPEN);
        play.send(PLAIN);
        play.give(Input::Settled);
        play.send(OPEN);
        play.send(BIND);
        play.give(Input::Bound("roland@falcot.com/desk".parse().unwrap()));
        play
    }
}

fn told(output: &Output) -> String {
    match output {
        Output::Write(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Output::Stanza(stanza) => format!("[{}]", stanza.as_str()),
        Output::Derive(_) => "{Derive}".to_owned(),
        Output::Authenticated(who) => format!("{{Authenticated {who}}}"),
        Output::Bind(resource) => format!("{{Bind {resource:?}}}"),
        Output::Refused(stanza, error) => format!("{{Refused {stanza:?} {}}}", error.condition.name()),
        Output::Failed(failure) => format!("{{Failed {}}}", failure.name()),
        Output::StartTls => "{StartTls}".to_owned(),
        Output::Close { .. } => "{Close}".to_owned(),
        Output::Managed { answer, name } => {
            format!("{}{{Managed {name:?}}}", String::from_utf8_lossy(answer))
        }
        Output::Attached { answer } => format!("{}{{Attached}}", String::from_utf8_lossy(answer)),
        Output::Asked(handled) => format!("{{Asked {handled}}}"),
        Output::Acknowledged(handled) => format!("{{Acknowledged {handled}}}"),
        Output::Resume { previous, handled } => format!("{{Resume {previous} {handled}}}"),
        Output::LoadTokens(holder) => format!("{{LoadTokens {}}}", holder.client),
        Output::KeepTokens(holder, tokens) => {
            format!("{{KeepTokens {} {}}}", holder.client, tokens.is_some())
        }
        Output::Prove(pending) => format!("{{Prove {} {}}}", pending.address, pending.serial),
        Output::Carbons => "{Carbons}".to_owned(),
        Output::Active(active) => format!("{{Active {active}}}"),
    }
}

fn error(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='{}'/></stream:error></stream:stream>{{Close}}",
        ns::STREAM_ERRORS
    )
}

fn failure(condition: &str) -> String {
    format!("<failure xmlns='{}'><{condition}/></failure>{{Failed {condition}}}", ns::SASL)
}

/// Whether the last thing that was said is this stream error, whatever its text.
fn ends_with(said: &str, condition: &str) -> bool {
    let start = format!("<stream:error><{condition} xmlns='{}'/>", ns::STREAM_ERRORS);
    said.contains(&start) && said.ends_with("</stream:error></stream:stream>{Close}")
}

#[test]
fn from_the_first_byte_to_the_last() {
    let mut play = Play::new(false);
    assert_eq!(
        play.send(OPEN),
        format!(
            "{OURS}<stream:features><starttls xmlns='{}'><required/></starttls></stream:features>",
            ns::TLS
        )
    );
    assert_eq!(
        play.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{StartTls}"
    );
    assert_eq!(play.give(Input::Secured(Channel::default())), "");
    assert_eq!(play.send(OPEN), format!("{OURS}{MECHANISMS}"));
    assert_eq!(play.send(PLAIN), format!("{SUCCESS}{{Authenticated roland@falcot.com}}"));
    assert_eq!(play.give(Input::Settled), "");
    assert_eq!(
        play.send(OPEN),
        format!(
            "{OURS}<stream:features><bind xmlns='{}'/><session xmlns='{}'><optional/></session><sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/><ver xmlns='{}'/></stream:features>",
            ns::BIND,
            ns::SESSION,
            ns::ROSTER_VERSIONS
        )
    );
    assert_eq!(play.send(BIND), "{Bind Some(\"desk\")}");
    let jid: Jid = "roland@falcot.com/desk".parse().unwrap();
    assert_eq!(
        play.give(Input::Bound(jid.clone())),
        format!(
            "<iq id='b1' type='result'><bind xmlns='{}'><jid>roland@falcot.com/desk</jid></bind></iq>",
            ns::BIND
        )
    );
    assert_eq!(play.stream.jid(), Some(&jid));
    assert_eq!(
        play.send(" <message to='joe@falcot.com'><body>hi</body></message>\n<presence/>"),
        "[<message from='roland@falcot.com/desk' to='joe@falcot.com'><body>hi</body></message>][<presence from='roland@falcot.com/desk'/>]"
    );
    assert_eq!(play.send("</stream:stream>"), "</stream:stream>{Close}");
    assert_eq!(play.send("<presence/>"), "");
    assert_eq!(play.stream.deadline(), None);
}

/// Others had to mend this: what nobody may guess has 128 bits, all of them from the generator that was lent.
#[test]
fn what_must_not_be_guessed_has_128_bits() {
    const { assert!(UNGUESSABLE * 5 >= 128 && management::NAME * 5 >= 128) };
    let mut play = Play::new(true);
    play.send(OPEN);
    assert_eq!(play.stream.id().len(), UNGUESSABLE);
    let mut counted = Fixed(vec![31; 100]);
    assert_eq!(wire::Entropy::token(&mut counted, UNGUESSABLE), "7".repeat(UNGUESSABLE));
    assert_eq!(counted.0.len(), 100 - UNGUESSABLE, "an octet for each character");
}

#[test]
fn scram_both_ways() {
    for sha256 in [false, true] {
        let mut play = Play::new(true);
        play.send(OPEN);
        let name = if sha256 { "SCRAM-SHA-256" } else { "SCRAM-SHA-1" };
        let first = BASE64.encode("n,,n=roland,r=abc");
        let said = play.send(&format!("<auth xmlns='{}' mechanism='{name}'>{first}</auth>", ns::SASL));
        let data = said.strip_prefix(&format!("<challenge xmlns='{}'>", ns::SASL)).unwrap();
        let data = BASE64.decode(data.strip_suffix("</challenge>").unwrap()).unwrap();
        let server_first = String::from_utf8(data).unwrap();
        let last = if sha256 {
            answer::<Sha256, 32>("n,,", "n=roland,r=abc", &server_first, "pencil")
        } else {
            answer::<Sha1, 20>("n,,", "n=roland,r=abc", &server_first, "pencil")
        };
        let response = format!("<response xmlns='{}'>{}</response>", ns::SASL, BASE64.encode(last));
        let said = play.send(&response);
        assert!(said.starts_with(&format!("<success xmlns='{}'>dj", ns::SASL)), "{said}");
        assert!(said.ends_with("</success>{Authenticated roland@falcot.com}"), "{said}");
    }
}

#[test]
fn the_initial_response_may_come_later() {
    let mut play = Play::new(true);
    play.send(OPEN);
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>";
    assert_eq!(play.send(auth), "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(
        play.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AHJvbGFuZABwZW5jaWw=</response>"),
        format!("{SUCCESS}{{Authenticated roland@falcot.com}}")
    );
}

#[test]
fn sign_in_fails_three_times_and_no_more() {
    let auth = |mechanism: &str, data: &str| {
        format!("<auth xmlns='{}' mechanism='{mechanism}'>{data}</auth>", ns::SASL)
    };
    let mut play = Play::new(true);
    play.send(OPEN);
    assert_eq!(play.send(&auth("DIGEST-MD5", "")), failure("invalid-mechanism"));
    assert_eq!(play.send(&auth("PLAIN", "!")), failure("incorrect-encoding"));
    let said = play.send(&auth("PLAIN", &BASE64.encode("\0roland\0pen")));
    assert!(said.starts_with(&failure("not-authorized")) && ends_with(&said, "policy-violation"), "{said}");
    for (element, expected) in [
        (auth("PLAIN", "="), "malformed-request"),
        ("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "aborted"),
        ("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "malformed-request"),
        (auth("PLAIN", &BASE64.encode("joe@falcot.com\0roland\0pencil")), "invalid-authzid"),
    ] {
        let mut play = Play::new(true);
        play.send(OPEN);
        assert_eq!(play.send(&element), failure(expected));
        assert_eq!(play.send(PLAIN), format!("{SUCCESS}{{Authenticated roland@falcot.com}}"));
    }
}

#[test]
fn keys_are_derived_elsewhere() {
    let auth =
        format!("<auth xmlns='{}' mechanism='PLAIN'>{}</auth>", ns::SASL, BASE64.encode("\0scram1\0pencil"));
    let mut play = Play::new(true);
    play.send(OPEN);
    let (directory, policy) = (directory(), policy());
    let mut out = Vec::new();
    let entropy = &mut Fixed(Vec::new());
    let mut context = Context {
        now: play.now,
        unix: Duration::ZERO,
        directory: &directory,
        entropy,
        policy: &policy,
        locks: &Locks::default(),
        source: HOME,
    };
    play.stream.handle(Input::Bytes(auth.as_bytes()), &mut context, &mut out);
    let [Output::Derive(derive)] = &out[..] else { panic!("{out:?}") };
    // What a hasty client sends meanwhile is read after its turn has come.
    assert_eq!(play.send(OPEN), "");
    assert_eq!(
        play.give(Input::Derived(&derive.run())),
        format!("{SUCCESS}{{Authenticated scram1@falcot.com}}")
    );
    assert!(play.give(Input::Settled).starts_with(OURS));
}

#[test]
fn headers_that_are_refused() {
    let header = |attributes: &str| format!("<stream:stream {attributes}>");
    const BOTH: &str = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
    for (attributes, condition) in [
        (format!("to='example.org' version='1.0' {BOTH}"), "host-unknown"),
        (format!("version='1.0' {BOTH}"), "improper-addressing"),
        (format!("to='falcot.com' {BOTH}"), "unsupported-version"),
        (format!("to='falcot.com' version='2.0' {BOTH}"), "unsupported-version"),
        (format!("to='falcot.com' version='x' {BOTH}"), "unsupported-version"),
        ("to='falcot.com' version='1.0' xmlns:stream='urn:x'".to_owned(), "invalid-namespace"),
        (
            format!("to='falcot.com' version='1.0' xmlns='jabber:server' xmlns:stream='{}'", ns::STREAM),
            "invalid-namespace",
        ),
        ("to='falcot.com' version='1.0'".to_owned(), "not-well-formed"),
    ] {
        let said = Play::new(true).send(&header(&attributes));
        assert!(ends_with(&said, condition), "{attributes}: {said}");
        // Our header comes before the error, even where theirs is no good.
        assert!(said.starts_with("<?xml version='1.0'?><stream:stream "), "{said}");
    }
    let said = Play::new(true).send(&OPEN.replace("stream:stream to", "stream:other to"));
    assert!(ends_with(&said, "bad-format"), "{said}");
}

/// A client is answered by the name that it used; its address is at the main name.
#[test]
fn aliases() {
    for (alias, from) in [("xmpp.falcot.com", "xmpp.falcot.com"), ("FALCOT.com.", "falcot.com")] {
        let (open, ours) = (OPEN.replace("falcot.com", alias), OURS.replace("falcot.com", from));
        let mut play = Play::new(true);
        assert_eq!(play.send(&open), format!("{ours}{MECHANISMS}"));
        assert_eq!(play.send(PLAIN), format!("{SUCCESS}{{Authenticated roland@falcot.com}}"));
        play.give(Input::Settled);
        assert!(play.send(&open).starts_with(&ours));
        assert_eq!(play.stream.domain().map(Domain::as_str), Some("falcot.com"));
    }
}

#[test]
fn nothing_goes_through_before_its_time() {
    let mut play = Play::new(false);
    play.send(OPEN);
    let said = play.send(PLAIN);
    assert_eq!(said, failure("encryption-required"));
    assert!(ends_with(&play.send("<message to='joe@falcot.com'/>"), "not-authorized"));
    let mut play = Play::new(true);
    play.send(OPEN);
    assert!(ends_with(&play.send("<message to='joe@falcot.com'/>"), "not-authorized"));
    for early in
        ["<message to='joe@falcot.com'/>", "<iq type='get' id='1'><q xmlns='jabber:iq:roster'/></iq>"]
    {
        let mut play = Play::new(true);
        play.send(OPEN);
        play.send(PLAIN);
        play.give(Input::Settled);
        play.send(OPEN);
        assert!(ends_with(&play.send(early), "not-authorized"), "{early}");
    }
}

/// CVE-2011-0411 and its family: what was never encrypted must not be read as if it had been.
#[test]
fn nothing_is_smuggled_in_before_tls() {
    let mut play = Play::new(false);
    play.send(OPEN);
    let said = play.send(&format!("<starttls xmlns='{}'/>{OPEN}{PLAIN}", ns::TLS));
    assert_eq!(said, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{StartTls}");
    assert_eq!(play.send(PLAIN), "");
    assert_eq!(play.give(Input::Secured(Channel::default())), "");
    assert_eq!(play.send(OPEN), format!("{OURS}{MECHANISMS}"));
}

#[test]
fn another_domain_after_sign_in_is_refused() {
    let mut play = Play::new(true);
    play.send(OPEN);
    play.send(PLAIN);
    play.give(Input::Settled);
    assert!(ends_with(&play.send(&OPEN.replace("falcot.com", "example.org")), "host-unknown"));
}

#[test]
fn resources() {
    let ready = || {
        let mut play = Play::new(true);
        play.send(OPEN);
        play.send(PLAIN);
        play.give(Input::Settled);
        play.send(OPEN);
        play
    };
    let bind = |inner: &str| format!("<iq type='set' id='b'><bind xmlns='{}'>{inner}</bind></iq>", ns::BIND);
    let random = "{Bind None}";
    assert_eq!(ready().send(&bind("")), random);
    assert_eq!(ready().send(&bind("<resource/>")), random);
    assert_eq!(ready().send(&bind("<resource>a b</resource>")), "{Bind Some(\"a b\")}");
    let mut play = ready();
    let bad = play.send(&bind(&format!("<resource>{}</resource>", "x".repeat(1024))));
    assert_eq!(
        bad,
        format!(
            "<iq id='b' type='error'><error type='modify'><bad-request xmlns='{}'/></error></iq>",
            ns::STANZA_ERRORS
        )
    );
    assert_eq!(play.send(BIND), "{Bind Some(\"desk\")}");
    assert_eq!(
        play.give(Input::NotBound(Condition::Conflict)),
        format!(
            "<iq id='b1' type='error'><error type='cancel'><conflict xmlns='{}'/></error></iq>",
            ns::STANZA_ERRORS
        )
    );
    assert_eq!(play.send(BIND), "{Bind Some(\"desk\")}");
    // Stanzas that come before the answer are held, not lost.
    assert_eq!(play.send("<presence/>"), "");
    let said = play.give(Input::Bound("roland@falcot.com/desk".parse().unwrap()));
    assert!(said.ends_with("[<presence from='roland@falcot.com/desk'/>]"), "{said}");
}

#[test]
fn a_session_ends() {
    for (bad, condition) in [
        ("<message from='joe@falcot.com'/>", "invalid-from"),
        ("<message xmlns='urn:x'/>", "unsupported-stanza-type"),
        ("<c:message xmlns:c='jabber:client'/>", "bad-namespace-prefix"),
        ("hello", "bad-format"),
        ("<message></presence>", "not-well-formed"),
        ("<message><!-- --></message>", "restricted-xml"),
        ("</stream:other>", "not-well-formed"),
    ] {
        assert!(Play::active().send(bad).contains(&error(condition)), "{bad}");
    }
    let mut play = Play::active();
    let error = StreamError::from(StreamCondition::Conflict).saying("replaced");
    assert!(ends_with(&play.give(Input::End(error)), "conflict"));
    assert_eq!(play.give(Input::End(StreamCondition::Reset.into())), "");
}

#[test]
fn a_bad_stanza_is_answered_and_the_session_goes_on() {
    let mut play = Play::active();
    let said = play.send("<iq type='get' id='1' to='a b'><x xmlns='u'/></iq><presence/>");
    assert!(
        said.contains(" jid-malformed}") && said.ends_with("[<presence from='roland@falcot.com/desk'/>]")
    );
    let said = play.send("<iq type='get' id='1'/>");
    assert!(
        said.starts_with("{Refused <iq from=Some(roland@falcot.com/desk) to=None")
            && said.ends_with(" bad-request}")
    );
}

#[test]
fn time_runs_out_for_strangers_only() {
    for secure in [false, true] {
        let mut play = Play::new(secure);
        assert_eq!(play.later(59), "");
        let said = play.later(1);
        assert!(said.starts_with("<?xml") && ends_with(&said, "connection-timeout"), "{said}");
    }
    let mut play = Play::new(true);
    play.send(OPEN);
    assert_eq!(play.later(59), "");
    play.send(PLAIN);
    assert!(ends_with(&play.later(1), "connection-timeout"));
    let mut play = Play::new(false);
    play.send(OPEN);
    play.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(play.later(60), "{Close}", "amid a TLS handshake nothing can be said");
}

const ASKED: &str = "<iq from='falcot.com' to='roland@falcot.com/desk' id='still-there' type='get'><ping xmlns='urn:xmpp:ping'/></iq>";

#[test]
fn who_is_silent_is_asked_and_who_does_not_answer_is_gone() {
    let mut play = Play::active();
    assert_eq!(play.later(299), "");
    assert_eq!(play.later(1), ASKED);
    // Any byte will do.
    assert_eq!(play.later(59), "");
    play.send(" ");
    assert_eq!(play.later(299), "");
    assert_eq!(play.later(1), ASKED);
    assert_eq!(play.stream.deadline(), Some(play.now + Duration::from_secs(60)));
    assert_eq!(play.later(59), "");
    assert!(ends_with(&play.later(1), "connection-timeout"));
    assert_eq!(play.stream.deadline(), None);
}

#[test]
fn who_was_not_listened_to_was_not_silent() {
    let mut play = Play::active();
    assert_eq!(play.later(300), ASKED);
    play.now += Duration::from_secs(600);
    play.with(|stream, context, _| stream.excuse(context));
    assert_eq!(play.later(299), "");
    assert_eq!(play.later(1), ASKED);
}

#[test]
fn a_stanza_may_not_take_for_ever() {
    let mut play = Play::active();
    play.send("<message to='joe@falcot.com'><body>");
    for _ in 0..29 {
        assert_eq!(play.later(10), "");
        play.send("x");
    }
    assert!(ends_with(&play.later(10), "connection-timeout"));
    // Many stanzas, none of which takes long, are another matter.
    let mut play = Play::active();
    for _ in 0..100 {
        play.send("<message to='joe@falcot.com'><body>");
        assert_eq!(play.later(10), "");
        assert!(play.send("x</body></message><mes").starts_with("[<message "));
        assert_eq!(play.later(10), "");
        assert!(play.send("sage to='joe@falcot.com'/>").starts_with("[<message "));
    }
}

#[test]
fn too_much_before_its_time() {
    let mut play = Play::new(true);
    play.send(OPEN);
    play.send(PLAIN);
    assert_eq!(play.send(&"x".repeat(10_000)), "");
    assert!(ends_with(&play.send("x"), "policy-violation"));
    let mut play = Play::new(true);
    play.send(OPEN);
    let said = play.send(&format!("<auth xmlns='{}' mechanism='PLAIN'>{}", ns::SASL, "A".repeat(10_000)));
    assert!(said.contains("<stanza-too-big xmlns='urn:xmpp:errors'/>") && said.contains("policy-violation"));
    let large = format!("<message to='joe@falcot.com'><body>{}</body></message>", "x".repeat(100_000));
    assert!(Play::active().send(&large).starts_with("[<message "));
    let larger = format!("<message to='joe@falcot.com'><body>{}</body></message>", "x".repeat(300_000));
    assert!(Play::active().send(&larger).contains("stanza-too-big"));
}

#[test]
fn a_session_that_waits_keeps_nothing_of_what_it_sent() {
    let mut play = Play::active();
    let large = format!("<message to='joe@falcot.com'><body>{}</body></message>", "x".repeat(100_000));
    let (one, other) = large.split_at(50_000);
    play.send(one);
    assert!(play.send(other).starts_with("[<message "));
    assert_eq!(play.stream.reader.held(), 0);
}

#[test]
fn a_stream_may_go_on_elsewhere() {
    fn sent<T: Send>() {}
    sent::<Stream>();
    assert!(size_of::<Stream>() <= 800, "{}", size_of::<Stream>());
}

#[test]
fn conditions_have_names() {
    assert_eq!(StreamCondition::ALL.len(), 25);
    assert_eq!(StreamCondition::SeeOtherHost.name(), "see-other-host");
}

mod at_random {
    use super::*;
    use proptest::prelude::*;

    /// One step of somebody who knows the words but not the order.
    #[derive(Clone, Debug)]
    enum Act {
        Say(&'static str),
        Bytes(Vec<u8>),
        Secured,
        Settled,
        Derived,
        Bound,
        NotBound,
        Later(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        let words = vec![
            OPEN,
            PLAIN,
            BIND,
            "</stream:stream>",
            "<presence/>",
            " ",
            "<message to='joe@falcot.com'>",
            "<body>x</body>",
            "</message>",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1yb2xhbmQscj1hYmM=</auth>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHNjcmFtMQBwZW5jaWw=</auth>",
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdzLHI9eCxwPXg=</response>",
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "<iq type='get' id='1'><q xmlns='u'/></iq>",
            "<iq/>",
        ];
        prop_oneof![
            6 => prop::sample::select(words).prop_map(Act::Say),
            1 => proptest::collection::vec(any::<u8>(), 0..6).prop_map(Act::Bytes),
            2 => Just(Act::Secured),
            2 => Just(Act::Settled),
            1 => Just(Act::Derived),
            2 => Just(Act::Bound),
            1 => Just(Act::NotBound),
            1 => (0_u64..70).prop_map(Act::Later),
        ]
    }

    /// The derivation of another password: never the right answer.
    fn derived() -> Derived {
        let auth = BASE64.encode("\0scram1\0wrong");
        let mut play = Play::new(true);
        let mut out = Vec::new();
        let (directory, policy) = (directory(), policy());
        let entropy = &mut Fixed(Vec::new());
        let mut context = Context {
            now: play.now,
            unix: Duration::ZERO,
            directory: &directory,
            entropy,
            policy: &policy,
            locks: &Locks::default(),
            source: HOME,
        };
        let text = format!("{OPEN}<auth xmlns='{}' mechanism='PLAIN'>{auth}</auth>", ns::SASL);
        play.stream.handle(Input::Bytes(text.as_bytes()), &mut context, &mut out);
        match out.pop() {
            Some(Output::Derive(derive)) => derive.run(),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        /// No order of events panics, signs in without the password or says anything after the end.
        #[test]
        fn no_order_of_events_does_harm(secure in any::<bool>(), acts in proptest::collection::vec(act(), 0..40)) {
            let (mut play, derived) = (Play::new(secure), derived());
            let (mut closed, mut plain, mut told) = (false, false, String::new());
            for act in &acts {
                let said = match act {
                    Act::Say(word) => { plain |= *word == PLAIN; play.send(word) }
                    Act::Bytes(bytes) => play.give(Input::Bytes(bytes)),
                    Act::Secured => play.give(Input::Secured(Channel::default())),
                    Act::Settled => play.give(Input::Settled),
                    Act::Derived => play.give(Input::Derived(&derived)),
                    Act::Bound => play.give(Input::Bound("roland@falcot.com/desk".parse().unwrap())),
                    Act::NotBound => play.give(Input::NotBound(Condition::Conflict)),
                    Act::Later(seconds) => play.later(*seconds),
                };
                prop_assert!(!closed || said.is_empty(), "{said} after the end");
                closed |= said.contains("{Close}");
                prop_assert_eq!(closed, play.stream.is_over());
                told.push_str(&said);
            }
            prop_assert!(plain || !told.contains("{Authenticated"), "{told}");
            prop_assert!(!told.contains("<presence") || told.contains("{Bind"), "{told}");
        }

        /// However the bytes of a session are cut, the same comes of them.
        #[test]
        fn cuts_do_not_matter(cuts in proptest::collection::vec(1_usize..60, 1..30)) {
            let session = format!(
                "{OPEN}{PLAIN}|{OPEN}{BIND}|<presence/> <message to='joe@falcot.com'><body>hi</body></message><iq type='get' id='1' to='a b'><x xmlns='u'/></iq></stream:stream>"
            );
            let whole = run(&session, &[usize::MAX]);
            prop_assert!(whole.ends_with("</stream:stream>{Close}"), "{whole}");
            prop_assert_eq!(whole, run(&session, &cuts));
        }
    }

    /// A session in which `|` is the time for an answer.
    fn run(session: &str, cuts: &[usize]) -> String {
        let mut play = Play::new(true);
        let mut sizes = cuts.iter().cycle();
        let mut told = String::new();
        for (turn, part) in session.split('|').enumerate() {
            let mut rest = part.as_bytes();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                told += &play.give(Input::Bytes(piece));
                rest = behind;
            }
            told += &match turn {
                0 => play.give(Input::Settled),
                1 => play.give(Input::Bound("roland@falcot.com/desk".parse().unwrap())),
                _ => String::new(),
            };
        }
        told
    }
}

#[test]
fn a_locked_account_takes_known_sources_alone_and_says_nothing_of_it() {
    let lock = |known: &[IpAddr], now| {
        let known = known.iter().map(|ip| wire::Source::of(*ip)).collect();
        let lock = wire::Lock { until: now + Duration::from_secs(60), known };
        Locks::new([(Address::new("roland", "falcot.com").expect("valid"), lock)])
    };
    for (known, expected) in [(&[HOME][..], SUCCESS.to_owned()), (&[], failure("not-authorized"))] {
        let mut play = Play::new(true);
        play.locks = lock(known, play.now);
        play.give(Input::Bytes(OPEN.as_bytes()));
        let said = play.give(Input::Bytes(PLAIN.as_bytes()));
        assert!(said.starts_with(&expected), "{said}");
    }
}

/// XEP-0388 §4.2: who is named in the header, if anybody, is who signs in.
#[test]
fn whoever_signs_in_is_who_the_header_says() {
    let authenticate = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>AHJvbGFuZABwZW5jaWw=</initial-response></authenticate>";
    for (from, right) in [
        ("", true),
        (" from='roland@falcot.com'", true),
        (" from='Roland@xmpp.falcot.com/desk'", true),
        (" from='joe@falcot.com'", false),
        (" from='roland@example.org'", false),
    ] {
        let mut play = Play::new(true);
        play.send(&OPEN.replace(" version", &format!("{from} version")).replacen(
            &format!("{from} version='1.0'?>"),
            " version='1.0'?>",
            1,
        ));
        let said = play.send(authenticate);
        assert_eq!(said.contains("{Authenticated roland@falcot.com}"), right, "{from}: {said}");
        assert_eq!(said.contains("<invalid-authzid"), !right, "{from}: {said}");
    }
}

/// XEP-0484: by tokens, too, nobody learns which accounts there are.
#[test]
fn whose_token_nobody_has_hears_the_same_whether_there_is_such_an_account() {
    for (name, mechanism, expected) in [
        ("roland", "HT-SHA-256-NONE", "credentials-expired"),
        ("nobody", "HT-SHA-256-NONE", "credentials-expired"),
        ("roland", "HT-SHA-256-EXPR", "invalid-mechanism"),
        ("nobody", "HT-SHA-256-EXPR", "invalid-mechanism"),
    ] {
        let mut play = Play::new(true);
        play.send(OPEN);
        let shown = [name.as_bytes(), &[0; 33]].concat();
        let shown = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, shown);
        let said = play.send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{shown}</initial-response>\
             <user-agent id='d4565fa7'/><fast xmlns='urn:xmpp:fast:0'/></authenticate>"
        ));
        let said = said + &play.give(Input::Tokens(Some(&Tokens::default())));
        assert!(said.contains(&format!("{{Failed {expected}}}")), "{name} {mechanism}: {said}");
    }
}
