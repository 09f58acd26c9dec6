//! A client's stream (RFC 6120 §4): from the first byte through TLS, sign-in and binding to its end.
//!
//! A `Stream` is plain data and `Send`: it may go on on another worker. It keeps no queue of its own: effects go
//! into the caller's. While an answer is due (`Derive`, `Authenticated`, `Bind`), bytes that come are held.

pub mod error;
pub mod inactive;
pub mod management;
pub mod unacknowledged;

mod bind;
mod header;
mod request;
mod sign_in;
mod stage;
mod watch;
mod welcome;

pub use error::{StreamCondition, StreamError};
pub use request::Agent;
pub use unacknowledged::{Sent, Unacknowledged};

use crate::jid::Jid;
use crate::sasl::external;
use crate::sasl::plain::{Derive, Derived};
use crate::sasl::token::{Holder, Tokens};
use crate::sasl::{Channel, Failure, Mechanism, Offer};
use crate::stanza::{Condition, Kind, Stanza, StanzaError};
use crate::xml::{Limits, Reader};
use stage::{Active, Binding, Layer, Opening, Settling, Stage};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use watch::{Verdict, Watch};
use wire::{Address, Directory, Domain, Entropy, Locks, Secret};

/// How many characters of a token nobody guesses: five bits each, 130 together.
pub(crate) const UNGUESSABLE: usize = 26;

/// The end of a stream.
pub(crate) const END: &str = "</stream:stream>";

/// What the house allows on its streams.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What somebody may send who has not bound a resource.
    pub stranger: Limits,
    /// What a session may send.
    pub member: Limits,
    /// The mechanisms on offer inside TLS.
    pub mechanisms: Vec<Mechanism>,
    /// How often a sign-in may fail on one stream.
    pub attempts: u8,
    /// How long it may take from the first byte to a bound resource.
    pub login: Duration,
    /// After how much silence a session's client is asked whether it is there (XEP-0199 §4.3), which also reminds
    /// whatever stands in between of the connection; how long one stanza may take.
    pub idle: Duration,
    /// How long it may then stay silent.
    pub pong: Duration,
    /// How long a stream may be resumed whose connection was lost (XEP-0198 §5); zero: not at all.
    pub resume: Duration,
    /// Further features of a stream that is signed in, as XML for surroundings of `jabber:client`.
    pub features: String,
    /// Known to this server alone: makes the salts of accounts that do not exist.
    pub secret: Secret,
}

/// What a stream is lent for one call.
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// The same on the calendar, since 1970.
    pub unix: Duration,
    /// The accounts and domains.
    pub directory: &'a Directory,
    /// For stream ids, nonces and resources.
    pub entropy: &'a mut dyn Entropy,
    /// What the house allows.
    pub policy: &'a Policy,
    /// The accounts that are locked.
    pub locks: &'a Locks,
    /// From where the client comes.
    pub source: IpAddr,
}

impl Context<'_> {
    /// Whether nobody may sign in to an account from there now.
    fn bar(&self, account: &Address) -> bool {
        self.locks.bar(self.now, account, self.source)
    }
}

/// What can happen to a stream.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes from the client, in pieces of any size.
    Bytes(&'a [u8]),
    /// TLS is up, as asked for by `StartTls`: what its session can be known by.
    Secured(Channel),
    /// The answer to `LoadTokens`; none where nobody can say.
    Tokens(Option<&'a Tokens>),
    /// The answer to `KeepTokens`: whether they are kept.
    TokensKept(bool),
    /// The answer to `Prove`: whether the certificate is still good; none where nobody can say.
    Proven(Option<bool>),
    /// What came of `Derive`.
    Derived(&'a Derived),
    /// After `Authenticated`: the connection is where the account lives, go on.
    Settled,
    /// The answer to `Bind`: the session's name (the router may have chosen another resource).
    Bound(Jid),
    /// The answer to `Bind`: not this resource.
    NotBound(Condition),
    /// The answer to `Resume`: the earlier stream goes on here.
    Resumed {
        /// The session's name.
        jid: Jid,
        /// The earlier stream's.
        name: &'a str,
        /// How many stanzas of the client were handled on it.
        handled: u32,
    },
    /// The answer to `Resume`: there is no such stream.
    NotResumed,
    /// The server ends the stream.
    End(StreamError),
}

/// What a stream wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Bytes for the client.
    Write(Vec<u8>),
    /// Begin TLS once everything before is written; then `Secured`.
    StartTls,
    /// Run it where there is time, then `Derived`.
    Derive(Derive),
    /// Whether a certificate of an account is still good is wanted; then `Proven`.
    Prove(external::Pending),
    /// What is kept of an installation's tokens is wanted; then `Tokens`, with none where there are none.
    LoadTokens(Holder),
    /// Keep them, or forget them; then `TokensKept`.
    KeepTokens(Holder, Option<Tokens>),
    /// A sign-in failed: for counters and logs.
    Failed(Failure),
    /// The client is this account. Take the connection to the account's home, then `Settled`.
    Authenticated(Address),
    /// The client wants to bind this resource (in normal form), or any; then `Bound` or `NotBound`.
    Bind(Option<Box<str>>),
    /// A stanza of the session, stamped with its full JID, its `to` well-formed.
    Stanza(Stanza),
    /// A stanza of the session that goes no further: answer it with this error, in its turn.
    Refused(Box<Stanza>, StanzaError),
    /// The client counts stanzas from now on and acknowledges them (XEP-0198): tell it so, and count from there.
    Managed {
        /// What it is told.
        answer: Vec<u8>,
        /// By which name it may resume the stream, if it may.
        name: Option<Box<str>>,
    },
    /// The client asks how much was handled: so many stanzas came before.
    Asked(u32),
    /// The client has handled so many stanzas.
    Acknowledged(u32),
    /// The client wants its stream of this name back, of which it has handled so many stanzas; then `Resumed` or
    /// `NotResumed`.
    Resume {
        /// The name.
        previous: Box<str>,
        /// How many.
        handled: u32,
    },
    /// The earlier stream goes on: tell the client so, then send what it has not acknowledged.
    Attached {
        /// What it is told.
        answer: Vec<u8>,
    },
    /// Whether somebody looks at the client (XEP-0352).
    Active(bool),
    /// The session wants copies of what the account's others say and hear (XEP-0280).
    Carbons,
    /// The stream is over: nothing more comes of it. Flush and close the connection.
    Close {
        /// Whether its session may be resumed, where the client wanted that.
        resumable: bool,
    },
}

impl Output {
    fn write(text: &str) -> Self {
        Self::Write(text.as_bytes().to_vec())
    }
}

/// What all stages share.
#[derive(Debug)]
struct Common {
    /// The main name of the domain, once a header named one.
    domain: Option<Domain>,
    /// The language of the client's header.
    lang: Option<Box<str>>,
    /// Who the client's header says it is.
    from: Option<Jid>,
    /// What the client said of itself when it signed in.
    agent: Option<Box<Agent>>,
    /// The id of the stream.
    id: Box<str>,
    /// Whether our header was sent on this stream.
    greeted: bool,
    /// Until the client has signed in: what it is offered.
    offer: Box<Offer>,
    /// Failed sign-ins left.
    attempts: u8,
    /// How many stanzas of the session were taken, modulo 2^32, once the client wants to know (XEP-0198).
    handled: Option<u32>,
    /// Whom the client wrote to last.
    lately: Option<Jid>,
}

impl Common {
    /// Notes whom the client writes to.
    fn remember(&mut self, said: &Stanza) {
        if said.kind() == Kind::Message && said.to().is_some() && said.to() != self.lately.as_ref() {
            self.lately = said.to().cloned();
        }
    }

    /// Takes over what a header said; our own follows.
    fn greet(&mut self, greeting: &header::Greeting, context: &mut Context<'_>) {
        self.domain = Some(greeting.domain.clone());
        self.lang = greeting.lang.clone();
        self.from = greeting.from.clone();
        self.id = context.entropy.token(UNGUESSABLE).into();
    }

    fn write_header(&mut self, from: Option<&Domain>, to: Option<&Jid>, out: &mut String) {
        header::write(from, to, &self.id, out);
        self.greeted = true;
    }

    /// Tells the client that its sign-in failed; the last time, the stream ends with it (RFC 6120 §6.4.5).
    fn count_failure(
        &mut self,
        failure: Failure,
        profile: sign_in::Profile,
        out: &mut Vec<Output>,
    ) -> Result<(), StreamError> {
        out.push(Output::Write(profile.failure(failure).into_bytes()));
        out.push(Output::Failed(failure));
        self.attempts = self.attempts.saturating_sub(1);
        if self.attempts > 0 {
            return Ok(());
        }
        Err(StreamError::from(StreamCondition::PolicyViolation).saying("too many failed sign-ins"))
    }
}

/// A client's stream.
#[derive(Debug)]
pub struct Stream {
    reader: Reader,
    stage: Stage,
    common: Common,
    /// What came while an answer was due.
    held: Vec<u8>,
    /// The end of the time to sign in; later, when silence is looked at next.
    deadline: Instant,
    watch: Watch,
}

impl Stream {
    /// A connection was accepted: with what its TLS session can be known by, where TLS is up already.
    pub fn new(now: Instant, secure: Option<Channel>, policy: &Policy) -> Self {
        let layer = if secure.is_some() { Layer::Secure } else { Layer::Plain };
        let offer = secure.map(|channel| Offer::new(&policy.mechanisms, channel)).unwrap_or_default();
        let common = Common {
            domain: None,
            lang: None,
            from: None,
            agent: None,
            id: Box::default(),
            greeted: false,
            offer: Box::new(offer),
            attempts: policy.attempts.max(1),
            handled: None,
            lately: None,
        };
        Self {
            reader: Reader::new(policy.stranger),
            stage: Stage::Opening(Opening(layer)),
            common,
            held: Vec::new(),
            deadline: now + policy.login,
            watch: Watch::new(now),
        }
    }

    /// The session's name, once it is bound.
    pub fn jid(&self) -> Option<&Jid> {
        match &self.stage {
            Stage::Active(Active(jid)) => Some(jid),
            _ => None,
        }
    }

    /// How many stanzas of the client were taken, where it counts them (XEP-0198).
    pub fn handled(&self) -> Option<u32> {
        self.common.handled
    }

    /// The client was asked something: if it stays silent, it is not there.
    pub fn asked(&mut self, context: &Context<'_>) {
        if matches!(self.stage, Stage::Active(_)) {
            self.watch.ask(context.now);
            self.deadline = self.watch.next(context.policy);
        }
    }

    /// The domain that the client wants, once it has said so.
    pub fn domain(&self) -> Option<&Domain> {
        self.common.domain.as_ref()
    }

    /// What the client said of itself when it signed in (XEP-0388): for its user alone.
    pub fn agent(&self) -> Option<&Agent> {
        self.common.agent.as_deref()
    }

    /// Whether something has come that is not whole yet.
    pub fn is_amid(&self) -> bool {
        !self.is_over() && self.reader.is_amid()
    }

    /// The id of the stream.
    pub fn id(&self) -> &str {
        &self.common.id
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// When to call `tick` next; earlier calls do nothing.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.is_over()).then_some(self.deadline)
    }

    /// Takes in one input; effects are appended to `out`.
    pub fn handle(&mut self, input: Input<'_>, context: &mut Context<'_>, out: &mut Vec<Output>) {
        match input {
            _ if self.is_over() => return,
            Input::Bytes(bytes) => return self.bytes(bytes, context, out),
            _ => {}
        }
        let next = match (std::mem::replace(&mut self.stage, Stage::Over), input) {
            (stage, Input::End(error)) => {
                self.stage = stage;
                Err(error)
            }
            (Stage::Securing, Input::Secured(channel)) => {
                *self.common.offer = Offer::new(&context.policy.mechanisms, channel);
                Ok(self.restart(Layer::Secure))
            }
            (Stage::Deriving(stage), Input::Derived(derived)) => {
                sign_in::derived(*stage, derived, &mut self.common, context, out)
            }
            (Stage::Proving(stage), Input::Proven(good)) => {
                sign_in::proven(*stage, good, &mut self.common, context, out)
            }
            (Stage::Checking(stage), Input::Tokens(tokens)) => {
                sign_in::checked(*stage, tokens, &mut self.common, context, out)
            }
            (Stage::Tokens(welcome), Input::Tokens(tokens)) => Ok(welcome.loaded(tokens, context, out)),
            (Stage::Tokens(welcome), Input::TokensKept(kept)) => welcome.kept(kept, context, out),
            (Stage::Settling(settling), Input::Settled) => {
                *self.common.offer = Offer::default();
                match settling {
                    Settling::Plain(address) => Ok(self.restart(Layer::Authenticated(address))),
                    Settling::Welcomed(welcome) => Ok(welcome.begin(context, out)),
                }
            }
            (Stage::Binding(stage), Input::Bound(jid)) => Ok(self.bound(stage, jid, context, out)),
            (Stage::Binding(stage), Input::NotBound(condition)) => Ok(stage.refused(condition, context, out)),
            (Stage::Resuming(stage), Input::Resumed { jid, name, handled })
                if management::is_theirs(&jid, &stage.address) =>
            {
                self.begin(context);
                Ok(stage.resumed(jid, name, &mut self.common, handled, out))
            }
            (Stage::Resuming(stage), Input::Resumed { .. } | Input::NotResumed) => {
                Ok(stage.not_resumed(context, out))
            }
            // An answer that nobody waits for.
            (stage, _) => Ok(stage),
        };
        match next {
            Ok(stage) => self.stage = stage,
            Err(error) => return self.end(&error, context, out),
        }
        let held = std::mem::take(&mut self.held);
        self.bytes(&held, context, out);
    }

    /// Lets everything happen that is due.
    pub fn tick(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        if self.is_over() || context.now < self.deadline {
            return;
        }
        let Stage::Active(active) = &self.stage else {
            return self.end(&StreamCondition::ConnectionTimeout.into(), context, out);
        };
        match self.watch.look(context.now, context.policy) {
            Verdict::Well => {}
            Verdict::Ask => out.push(active.ask(&self.common)),
            Verdict::Gone(why) => return self.end(&why, context, out),
        }
        self.deadline = self.watch.next(context.policy);
    }

    /// Nobody has listened to the client for a while: its silence meanwhile tells nothing.
    pub fn excuse(&mut self, context: &Context<'_>) {
        if matches!(self.stage, Stage::Active(_)) {
            self.watch.excuse(context.now);
            self.deadline = self.watch.next(context.policy);
        }
    }

    /// A new stream on the same connection (RFC 6120 §4.3.3): nothing of the old one holds.
    fn restart(&mut self, layer: Layer) -> Stage {
        self.reader.restart();
        self.common.greeted = false;
        Stage::Opening(Opening(layer))
    }

    fn bound(&mut self, stage: Binding, jid: Jid, context: &mut Context<'_>, out: &mut Vec<Output>) -> Stage {
        self.begin(context);
        stage.bound(jid, &mut self.common, context, out)
    }

    /// From now on it is a session.
    fn begin(&mut self, context: &Context<'_>) {
        self.reader.set_limits(context.policy.member);
        self.watch = Watch::new(context.now);
        self.deadline = self.watch.next(context.policy);
    }

    fn bytes(&mut self, bytes: &[u8], context: &mut Context<'_>, out: &mut Vec<Output>) {
        if bytes.is_empty() {
            return;
        }
        self.watch.hear(context.now);
        let mut finished = false;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.stage.waits() {
                return self.hold(rest, context, out);
            }
            match self.take(rest, context, out) {
                Ok(_) if matches!(self.stage, Stage::Over | Stage::Securing) => return,
                Ok((used, event)) => {
                    finished |= event;
                    rest = &rest[used..];
                }
                Err(error) => return self.end(&error, context, out),
            }
        }
        self.reader.rest();
        self.watch.note(context.now, self.reader.is_amid(), finished);
    }

    /// Reads as far as one event: how many bytes were used, and whether there was an event.
    fn take(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(usize, bool), StreamError> {
        // What comes between `<proceed/>` and TLS was never encrypted: nobody may smuggle it in.
        if matches!(self.stage, Stage::Securing) {
            return Ok((bytes.len(), false));
        }
        let (used, event) = self.reader.next(bytes)?;
        let finished = event.is_some();
        if let (Stage::Active(stage), Some(crate::xml::Event::Element(element))) = (&self.stage, &event) {
            stage.element(element, &mut self.common, context, out)?;
        } else if let Some(event) = event {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            self.stage = stage.event(&event, &mut self.common, context, out)?;
        }
        Ok((used, finished))
    }

    /// Keeps bytes until an answer has come. A client that waits for its turn sends next to nothing here.
    fn hold(&mut self, bytes: &[u8], context: &mut Context<'_>, out: &mut Vec<Output>) {
        if self.held.len() + bytes.len() > context.policy.stranger.size as usize {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            return self.end(&error.saying("too much before its time"), context, out);
        }
        self.held.extend_from_slice(bytes);
    }

    /// Ends the stream with an error; our header goes first where it was not sent yet (RFC 6120 §4.9.1.2).
    fn end(&mut self, error: &StreamError, context: &mut Context<'_>, out: &mut Vec<Output>) {
        self.held = Vec::new();
        // Amid a TLS handshake nothing can be said.
        if matches!(std::mem::replace(&mut self.stage, Stage::Over), Stage::Securing) {
            return out.push(Output::Close { resumable: false });
        }
        let mut said = String::new();
        if !self.common.greeted {
            self.common.id = context.entropy.token(UNGUESSABLE).into();
            let domain = self.common.domain.clone();
            self.common.write_header(domain.as_ref(), None, &mut said);
        }
        said.push_str(&error.farewell());
        out.push(Output::Write(said.into_bytes()));
        out.push(Output::Close { resumable: error.is_resumable() });
    }
}

#[cfg(test)]
pub(crate) mod tests;
