//! One XMPP client: TLS, SCRAM-SHA-1, resource binding, presence, then stanzas. It looks for words, it does not parse XML.

use crate::tls::Tls;
use crate::xmpp::scram::{self, Cache};
use anyhow::{Context, Result, bail, ensure};
use mio::{Interest, Poll, Token};
use rustls::ClientConfig;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// How a client gets inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the first byte.
    Tls,
    /// By STARTTLS.
    StartTls,
    /// From the first byte; and then it signs in to nothing.
    Bare,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing is said yet.
    Outside,
    /// The stream outside of TLS is open.
    Plain,
    /// STARTTLS is asked for.
    Starting,
    /// The handshake is all there is to do.
    Bare,
    /// The stream before authentication is open.
    Opened,
    /// The first message of SCRAM is sent.
    Asked,
    /// The proof is sent.
    Proved,
    /// The stream after authentication is open.
    Reopened,
    /// A resource is asked for.
    Binding,
    /// Presence is sent.
    Coming,
    Bound,
    Failed,
}

/// One connection.
pub(crate) struct Client {
    tls: Tls,
    user: String,
    domain: String,
    step: Step,
    received: Vec<u8>,
    trouble: String,
}

impl Client {
    pub(crate) fn connect(
        server: SocketAddr,
        domain: &str,
        user: String,
        (way, config): (Way, &Arc<ClientConfig>),
        poll: &Poll,
        token: Token,
    ) -> Result<Self> {
        let mut tls = Tls::connect(server, domain, config)?;
        poll.registry().register(&mut tls.socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let (domain, received, trouble) = (domain.to_owned(), vec![], String::new());
        let step = match way {
            Way::Tls => Step::Opened,
            Way::StartTls => Step::Outside,
            Way::Bare => Step::Bare,
        };
        let mut client = Self { tls, user, domain, step, received, trouble };
        if step == Step::Opened {
            client.open()?;
        }
        Ok(client)
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// Why it failed.
    pub(crate) fn trouble(&self) -> &str {
        &self.trouble
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.tls.write(bytes)
    }

    /// Reads what has come and takes every step that it allows.
    pub(crate) fn progress(&mut self, password: &str, cache: &mut Cache) -> Step {
        if let Err(error) = self.try_progress(password, cache) {
            let last = String::from_utf8_lossy(&self.received);
            self.trouble = format!("{error:#} after {:?}; last came {last}", self.step);
            self.step = Step::Failed;
        }
        self.step
    }

    /// How many messages have come.
    pub(crate) fn messages(&mut self) -> Result<u64> {
        let open = self.tls.read(&mut self.received)?;
        ensure!(open, "the server closed a connection");
        self.tls.flush()?;
        let mut count = 0;
        while self.take("</message>").is_some() {
            count += 1;
        }
        // What is left begins a message, or is something else that nobody waits for.
        if self.received.len() > 8192 {
            self.received.clear();
        }
        Ok(count)
    }

    /// Whether a word has come; what came is forgotten then.
    pub(crate) fn hears(&mut self, word: &str) -> Result<bool> {
        let open = self.tls.read(&mut self.received)?;
        ensure!(open, "the server closed a connection");
        Ok(self.take(word).is_some())
    }

    /// What came last.
    pub(crate) fn last(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Says goodbye.
    pub(crate) fn end(&mut self) {
        // The server may have closed first: then there is nobody to say it to.
        let _ = self.tls.write(b"</stream:stream>");
    }

    fn try_progress(&mut self, password: &str, cache: &mut Cache) -> Result<()> {
        if self.is_outside() {
            return self.progress_outside();
        }
        self.tls.flush()?;
        let open = self.tls.read(&mut self.received)?;
        if self.step == Step::Bare && self.tls.is_ready() {
            self.step = Step::Bound;
        }
        while self.advance(password, cache)? {}
        ensure!(open, "the server closed the connection");
        Ok(())
    }

    fn is_outside(&self) -> bool {
        matches!(self.step, Step::Outside | Step::Plain | Step::Starting)
    }

    /// As far as the handshake, by STARTTLS.
    fn progress_outside(&mut self) -> Result<()> {
        if self.step == Step::Outside {
            let header = self.header();
            match self.tls.socket.write(header.as_bytes()) {
                Ok(_) => self.step = Step::Plain,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
        let mut bytes = [0; 4096];
        loop {
            match self.tls.socket.read(&mut bytes) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        if self.step == Step::Plain && self.take("</stream:features>").is_some() {
            self.tls.socket.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
            self.step = Step::Starting;
        } else if self.step == Step::Starting && self.take("<proceed").is_some() {
            // Nothing but the end of that element comes before the handshake.
            self.received.clear();
            self.open()?;
            self.step = Step::Opened;
        }
        Ok(())
    }

    /// One step, if what it waits for is there.
    fn advance(&mut self, password: &str, cache: &mut Cache) -> Result<bool> {
        let wanted = match self.step {
            Step::Opened | Step::Reopened => "</stream:features>",
            Step::Asked => "</challenge>",
            Step::Proved => "<success",
            Step::Binding => "</iq>",
            Step::Coming => "<presence",
            _ => return Ok(false),
        };
        ensure!(!self.has("<failure") && !self.has("<stream:error"), "refused");
        let Some(text) = self.take(wanted) else { return Ok(false) };
        self.step = match self.step {
            Step::Opened => {
                let first = scram::first_sent(&self.user);
                let text = format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>");
                self.send(text.as_bytes())?;
                Step::Asked
            }
            Step::Asked => {
                let challenge = text.rsplit('>').nth(1).and_then(|text| text.split('<').next());
                let challenge = challenge.context("no challenge")?;
                let last = scram::last_sent(&self.user, password, challenge, cache)?;
                self.send(format!("<response xmlns='{SASL}'>{last}</response>").as_bytes())?;
                Step::Proved
            }
            Step::Proved => {
                self.received.clear();
                self.open()?;
                Step::Reopened
            }
            Step::Reopened => {
                self.send(b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")?;
                Step::Binding
            }
            Step::Binding => {
                ensure!(text.contains("<jid>"), "no resource");
                self.send(b"<presence/>")?;
                Step::Coming
            }
            _ => Step::Bound,
        };
        Ok(true)
    }

    fn open(&mut self) -> Result<()> {
        let header = self.header();
        self.send(header.as_bytes())
    }

    fn header(&self) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>",
            self.domain
        )
    }

    fn has(&self, wanted: &str) -> bool {
        self.received.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    }

    /// Takes away what has come, up to and with `wanted`.
    fn take(&mut self, wanted: &str) -> Option<String> {
        let start = self.received.windows(wanted.len()).position(|window| window == wanted.as_bytes())?;
        let taken: Vec<u8> = self.received.drain(..start + wanted.len()).collect();
        Some(String::from_utf8_lossy(&taken).into_owned())
    }
}
