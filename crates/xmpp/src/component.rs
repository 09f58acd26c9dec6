//! The stream of an external component (XEP-0114): a program that serves a whole domain of this house.
//!
//! It proves that it knows a secret, and may then speak for every address of its domain, and for no other. What goes
//! between the two has the namespace `jabber:component:accept` where clients have theirs: it is changed on the stanza alone.

use crate::ns;
use crate::stanza::{Refused, Stanza, StanzaError};
use crate::stream::{Policy, StreamCondition, StreamError, UNGUESSABLE};
use crate::xml::writer::escape_attribute;
use crate::xml::{Event, Fragment, Header, Limits, Reader, lex};
use sha1::{Digest, Sha1};
use std::borrow::Cow;
use std::time::Instant;
use subtle::ConstantTimeEq;
use wire::{Domain, Entropy, Secret};

/// A component that the house knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The domain that it serves.
    pub host: Domain,
    /// By which it is known.
    pub secret: Secret,
}

/// What a link is lent for one call.
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// Those that the house knows.
    pub components: &'a [Component],
    /// For stream ids.
    pub entropy: &'a mut dyn Entropy,
    /// What the house allows.
    pub policy: &'a Policy,
}

/// What can happen to a link.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes from the component.
    Bytes(&'a [u8]),
    /// After `Is`: the connection is where the component's stanzas go, and they may.
    Settled,
    /// The server ends the stream.
    End(StreamError),
}

/// What a link wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Bytes for the component.
    Write(Vec<u8>),
    /// It is this component. Take the connection to its home, then `Settled`.
    Is(Domain),
    /// It does not know the secret.
    Failed,
    /// A stanza, its addresses checked.
    Stanza(Stanza),
    /// A stanza that goes no further: answer it with this error.
    Refused(Stanza, StanzaError),
    /// The stream is over: nothing more comes of it. Flush and close the connection.
    Close,
}

#[derive(Debug)]
enum Stage {
    Opening,
    /// Waits for the handshake that proves this component, on the stream of this id.
    Handshake(Domain, String),
    Settling(Domain),
    Active(Domain),
    Over,
}

/// A component's stream. Plain data: it may go on on another worker.
#[derive(Debug)]
pub struct Link {
    reader: Reader,
    stage: Stage,
    greeted: bool,
    /// Whether its end was said.
    closed: bool,
    /// What came while the connection was moving.
    held: Vec<u8>,
    /// The end of the time to sign in.
    deadline: Option<Instant>,
}

impl Link {
    /// A connection was accepted.
    pub fn new(now: Instant, policy: &Policy) -> Self {
        Self {
            reader: Reader::new(policy.stranger),
            stage: Stage::Opening,
            greeted: false,
            closed: false,
            held: Vec::new(),
            deadline: Some(now + policy.login),
        }
    }

    /// The domain that it serves, once it has proven to.
    pub fn host(&self) -> Option<&Domain> {
        match &self.stage {
            Stage::Settling(host) | Stage::Active(host) => Some(host),
            _ => None,
        }
    }

    /// When to call `tick`.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Lets happen what is due: who has not proven anything by now never will.
    pub fn tick(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        if self.deadline.is_some_and(|deadline| deadline <= context.now) {
            self.end(&StreamCondition::ConnectionTimeout.into(), context, out);
        }
    }

    /// Takes in one input; effects are appended to `out`.
    pub fn handle(&mut self, input: Input<'_>, context: &mut Context<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Bytes(bytes) => self.bytes(bytes, context, out),
            Input::Settled => {
                if let Stage::Settling(host) = std::mem::replace(&mut self.stage, Stage::Over) {
                    self.stage = Stage::Active(host);
                    self.reader.set_limits(context.policy.member);
                    out.push(Output::Write(b"<handshake/>".to_vec()));
                    let held = std::mem::take(&mut self.held);
                    self.bytes(&held, context, out);
                }
            }
            Input::End(error) => self.end(&error, context, out),
        }
    }

    fn bytes(&mut self, bytes: &[u8], context: &mut Context<'_>, out: &mut Vec<Output>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if matches!(self.stage, Stage::Settling(_)) {
                return self.hold(rest, context, out);
            }
            match self.take(rest, context, out) {
                Ok(used) => rest = &rest[used..],
                Err(error) => return self.end(&error, context, out),
            }
        }
        self.reader.rest();
    }

    /// Nobody needs to say anything before the answer to the handshake.
    fn hold(&mut self, bytes: &[u8], context: &mut Context<'_>, out: &mut Vec<Output>) {
        if self.held.len() + bytes.len() > context.policy.stranger.size as usize {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            return self.end(&error.saying("too much before its time"), context, out);
        }
        self.held.extend_from_slice(bytes);
    }

    /// Reads as far as one event: how many bytes were used.
    fn take(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Result<usize, StreamError> {
        let (used, event) = self.reader.next(bytes)?;
        let Some(event) = event else { return Ok(used) };
        let next = match (std::mem::replace(&mut self.stage, Stage::Over), event) {
            (Stage::Over, _) => Stage::Over,
            (Stage::Opening, Event::Open(header)) => {
                let stage = open(&header, context, out)?;
                self.greeted = true;
                stage
            }
            (Stage::Handshake(host, id), Event::Element(element)) => {
                let stage = prove(host, &id, &element, context, out)?;
                self.deadline = None;
                stage
            }
            (Stage::Active(host), Event::Element(element)) => {
                read(&element, &host, out)?;
                Stage::Active(host)
            }
            (_, Event::Close) => {
                out.push(Output::Write(crate::stream::END.into()));
                out.push(Output::Close);
                (self.deadline, self.closed) = (None, true);
                Stage::Over
            }
            _ => return Err(StreamCondition::BadFormat.into()),
        };
        self.stage = next;
        Ok(used)
    }

    /// Ends the stream with an error; our header goes first where it was not sent yet.
    fn end(&mut self, error: &StreamError, context: &mut Context<'_>, out: &mut Vec<Output>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        (self.stage, self.deadline, self.held) = (Stage::Over, None, Vec::new());
        let mut said = String::new();
        if !std::mem::replace(&mut self.greeted, true) {
            said = header(None, &context.entropy.token(UNGUESSABLE));
        }
        said.push_str(&error.farewell());
        out.push(Output::Write(said.into_bytes()));
        out.push(Output::Close);
    }
}

/// §3: the header names the component.
fn open(theirs: &Header<'_>, context: &mut Context<'_>, out: &mut Vec<Output>) -> Result<Stage, StreamError> {
    if theirs.namespace() != ns::STREAM || theirs.content() != ns::COMPONENT {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if theirs.name() != "stream" {
        return Err(StreamCondition::BadFormat.into());
    }
    let wanted = theirs.get("to").and_then(|name| Domain::new(&name).ok());
    let known = |host: &Domain| context.components.iter().any(|component| component.host == *host);
    let host = wanted.filter(known).ok_or(StreamCondition::HostUnknown)?;
    let id = context.entropy.token(UNGUESSABLE);
    out.push(Output::Write(header(Some(&host), &id).into_bytes()));
    Ok(Stage::Handshake(host, id))
}

fn header(host: Option<&Domain>, id: &str) -> String {
    let mut text = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' id='{id}'",
        ns::COMPONENT,
        ns::STREAM
    );
    if let Some(host) = host {
        text.push_str(" from='");
        escape_attribute(host.as_str(), &mut text);
        text.push('\'');
    }
    text + ">"
}

/// §3: SHA-1 of the stream's id and the secret, in lower case.
fn prove(
    host: Domain,
    id: &str,
    element: &Fragment<'_>,
    context: &Context<'_>,
    out: &mut Vec<Output>,
) -> Result<Stage, StreamError> {
    if !element.is("handshake", ns::COMPONENT) {
        return Err(StreamError::from(StreamCondition::NotAuthorized).saying("the handshake first"));
    }
    let said = element.element()?.content();
    let known = context.components.iter().find(|component| component.host == host);
    let right = known.is_some_and(|component| {
        let expected = handshake(id, &component.secret);
        bool::from(expected.as_bytes().ct_eq(said.trim().as_bytes()))
    });
    if !right {
        out.push(Output::Failed);
        return Err(StreamError::from(StreamCondition::NotAuthorized).saying("another secret"));
    }
    out.push(Output::Is(host.clone()));
    Ok(Stage::Settling(host))
}

/// What proves that somebody knows the secret.
pub fn handshake(id: &str, secret: &Secret) -> String {
    let hash = Sha1::new().chain_update(id).chain_update(secret.expose()).finalize();
    hash.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A stanza: from any address of the component's domain (§3).
fn read(element: &Fragment<'_>, host: &Domain, out: &mut Vec<Output>) -> Result<(), StreamError> {
    let namespace = element.namespace();
    let is_stanza = matches!(element.name(), "message" | "presence" | "iq");
    if !is_stanza || (namespace != ns::COMPONENT && namespace != ns::CLIENT) {
        return Err(StreamCondition::UnsupportedStanzaType.into());
    }
    if element.head().has_prefix {
        return Err(StreamCondition::BadNamespacePrefix.into());
    }
    let text = without_namespace(element.raw(), ns::COMPONENT);
    match Stanza::of_component(&text, host.as_str()) {
        Ok(stanza) => out.push(Output::Stanza(stanza)),
        Err(Refused::Error(stanza, error)) => out.push(Output::Refused(*stanza, error)),
        Err(Refused::From) => return Err(StreamCondition::InvalidFrom.into()),
        Err(Refused::NoStanza | Refused::Prefix) => return Err(StreamCondition::BadFormat.into()),
    }
    Ok(())
}

/// A stanza as it is written to a component.
pub fn outbound(stanza: &str) -> Cow<'_, str> {
    without_namespace(stanza, ns::CLIENT)
}

/// The element without the namespace that its opening tag declares, if it is this one: it stands in that of its stream then.
fn without_namespace<'a>(raw: &'a str, namespace: &str) -> Cow<'a, str> {
    let mut attributes = Vec::new();
    let Ok(Some(tag)) = lex::tag(raw.as_bytes(), 0, Limits::OWN, &mut attributes) else { return raw.into() };
    if memchr::memmem::find(&raw.as_bytes()[..tag.end], b"xmlns").is_none() {
        return raw.into();
    }
    let declares = attributes.iter().find(|attribute| {
        attribute.name.whole(raw.as_bytes()) == b"xmlns" && attribute.value.str(raw) == namespace
    });
    match declares.map(|attribute| attribute.whole) {
        Some(cut) => [&raw[..cut.start as usize], &raw[cut.end as usize..]].concat().into(),
        None => raw.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::tests::{Fixed, secret};
    use crate::stream::tests::policy;
    use std::time::Duration;

    const OPEN: &str = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='echo.falcot.com'>";
    const OURS: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='aaaaaaaaaaaaaaaaaaaaaaaaaa' from='echo.falcot.com'>";

    struct Play {
        link: Link,
        policy: Policy,
        now: Instant,
    }

    impl Play {
        fn new() -> Self {
            let (policy, now) = (policy(), testkit::start());
            Self { link: Link::new(now, &policy), policy, now }
        }

        fn give(&mut self, input: Option<Input<'_>>) -> String {
            let host = Domain::new("echo.falcot.com").unwrap();
            let components = [Component { host, secret: secret("open sesame") }];
            let entropy = &mut Fixed(Vec::new());
            let mut context =
                Context { now: self.now, components: &components, entropy, policy: &self.policy };
            let mut out = Vec::new();
            match input {
                Some(input) => self.link.handle(input, &mut context, &mut out),
                None => self.link.tick(&mut context, &mut out),
            }
            out.iter().map(told).collect()
        }

        fn send(&mut self, text: &str) -> String {
            self.give(Some(Input::Bytes(text.as_bytes())))
        }

        fn active() -> Self {
            let mut play = Self::new();
            assert_eq!(play.send(OPEN), OURS);
            let proof = handshake(&"a".repeat(UNGUESSABLE), &secret("open sesame"));
            assert_eq!(play.send(&format!("<handshake>{proof}</handshake>")), "{Is echo.falcot.com}");
            assert_eq!(play.give(Some(Input::Settled)), "<handshake/>");
            play
        }
    }

    fn told(output: &Output) -> String {
        match output {
            Output::Write(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Output::Is(host) => format!("{{Is {host}}}"),
            Output::Failed => "{Failed}".into(),
            Output::Stanza(stanza) => format!("[{}]", stanza.as_str()),
            Output::Refused(stanza, error) => {
                format!("{{Refused {} {}}}", stanza.as_str(), error.condition.name())
            }
            Output::Close => "{Close}".into(),
        }
    }

    fn ends_with(said: &str, condition: &str) -> bool {
        let start = format!("<stream:error><{condition} xmlns='{}'/>", ns::STREAM_ERRORS);
        said.contains(&start) && said.ends_with("</stream:error></stream:stream>{Close}")
    }

    #[test]
    fn the_handshake_is_that_of_other_programs() {
        // printf 3BF96D32test | sha1sum
        assert_eq!(handshake("3BF96D32", &secret("test")), "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e");
    }

    #[test]
    fn from_the_header_to_the_end() {
        let mut play = Play::active();
        assert_eq!(play.link.host().map(Domain::as_str), Some("echo.falcot.com"));
        assert_eq!(play.link.deadline(), None);
        assert_eq!(
            play.send("<message from='bot@echo.falcot.com/a' to='joe@falcot.com'><body>hi</body></message>"),
            "[<message from='bot@echo.falcot.com/a' to='joe@falcot.com'><body>hi</body></message>]"
        );
        assert_eq!(
            play.send("<iq xmlns='jabber:component:accept' type='get' id='1' to='falcot.com' from='echo.falcot.com'><ping xmlns='urn:xmpp:ping'/></iq>"),
            "[<iq from='echo.falcot.com' to='falcot.com' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>]"
        );
        assert_eq!(play.send("</stream:stream>"), "</stream:stream>{Close}");
        assert_eq!(play.send("<presence/>"), "");
    }

    #[test]
    fn it_speaks_for_its_own_domain_alone() {
        for from in ["", "from='joe@falcot.com'", "from='falcot.com'", "from='x.echo.falcot.com'", "from='@'"]
        {
            let mut play = Play::active();
            let said = play.send(&format!("<message {from} to='joe@falcot.com'><body>hi</body></message>"));
            assert!(ends_with(&said, "invalid-from"), "{from}: {said}");
        }
    }

    #[test]
    fn what_goes_nowhere_is_answered() {
        let mut play = Play::active();
        for (to, expected) in [("", "bad-request"), ("to='@'", "jid-malformed")] {
            let said = play.send(&format!("<message from='echo.falcot.com' {to}/>"));
            assert_eq!(
                said.replace(" />", "/>"),
                format!("{{Refused <message from='echo.falcot.com'/> {expected}}}"),
                "{to}"
            );
        }
        assert!(play.send("<iq from='echo.falcot.com' to='falcot.com' type='get'/>").contains("bad-request"));
    }

    #[test]
    fn who_is_no_component_hears_why() {
        for (open, condition) in [
            (OPEN.replace("echo", "other"), "host-unknown"),
            (OPEN.replace(" to='echo.falcot.com'", ""), "host-unknown"),
            (OPEN.replace("jabber:component:accept", "jabber:client"), "invalid-namespace"),
            (OPEN.replace("etherx", "ether"), "invalid-namespace"),
            ("<!DOCTYPE a>".to_owned(), "restricted-xml"),
        ] {
            let said = Play::new().send(&open);
            assert!(said.starts_with("<?xml") && ends_with(&said, condition), "{open}: {said}");
        }
    }

    #[test]
    fn who_does_not_know_the_secret_is_none() {
        let right = handshake(&"a".repeat(UNGUESSABLE), &secret("open sesame"));
        let others = [
            handshake(&"a".repeat(UNGUESSABLE), &secret("")),
            handshake("b", &secret("open sesame")),
            right.to_uppercase(),
            String::new(),
        ];
        for proof in others {
            let mut play = Play::new();
            play.send(OPEN);
            let said = play.send(&format!("<handshake>{proof}</handshake>"));
            assert!(said.starts_with("{Failed}") && ends_with(&said, "not-authorized"), "{said}");
        }
        let mut play = Play::new();
        play.send(OPEN);
        let said = play.send("<message from='echo.falcot.com' to='joe@falcot.com'/>");
        assert!(ends_with(&said, "not-authorized"), "{said}");
    }

    #[test]
    fn nobody_stays_without_a_handshake() {
        let mut play = Play::new();
        play.send(OPEN);
        play.now += Duration::from_secs(61);
        assert!(ends_with(&play.give(None), "connection-timeout"));
        assert_eq!(play.give(None), "");
    }

    #[test]
    fn what_comes_before_its_time_waits_within_bounds() {
        let mut play = Play::new();
        play.send(OPEN);
        play.send(&format!(
            "<handshake>{}</handshake>",
            handshake(&"a".repeat(UNGUESSABLE), &secret("open sesame"))
        ));
        assert_eq!(play.send("<message from='echo.falcot.com' to='a@falcot.com'/>"), "");
        assert!(play.give(Some(Input::Settled)).starts_with("<handshake/>[<message "));
        let mut play = Play::new();
        play.send(OPEN);
        play.send(&format!(
            "<handshake>{}</handshake>",
            handshake(&"a".repeat(UNGUESSABLE), &secret("open sesame"))
        ));
        assert!(ends_with(&play.send(&" ".repeat(20_000)), "policy-violation"));
    }

    #[test]
    fn stanzas_stand_in_the_namespace_of_their_stream() {
        for (raw, expected) in [
            ("<message to='a'/>", "<message to='a'/>"),
            ("<message xmlns='jabber:client' to='a'><body/></message>", "<message to='a'><body/></message>"),
            ("<message to='a' xmlns='urn:x'/>", "<message to='a' xmlns='urn:x'/>"),
            (
                "<message xmlns:a='jabber:client'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></message>",
                "<message xmlns:a='jabber:client'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></message>",
            ),
        ] {
            assert_eq!(outbound(raw), expected);
        }
    }
}
