//! XMPP as a client has it: a login and a message to itself, by STARTTLS and by TLS at once (RFC 6120, XEP-0368).

use super::notes::{Finding, Notes};
use super::places::{self, Place};
use super::visitors::{self, Visitor};
use super::way::Way;
use super::{Patient, Skipped};
use crate::config::plan::Service;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io;
use std::time::{Duration, Instant};
use wire::Transport;

/// How long an answer may take: logins cost the server something.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read for one answer.
const MOST: usize = 256 * 1024;
/// So much of what came is shown.
const SHOWN: usize = 300;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let ways = [Transport::Tcp, Transport::Tls];
    let all: Vec<Place> =
        ways.iter().flat_map(|way| places::of(&patient.places, Service::Xmpp, *way)).cloned().collect();
    if all.is_empty() {
        return Err(Skipped("no listener is reached, or none is on".into()));
    }
    visitors::invite(patient)?;
    for (place, visitor) in all.iter().flat_map(|place| patient.visitors.iter().map(move |one| (place, one)))
    {
        match visit(place, visitor) {
            Ok(time) => {
                notes.fine(format!("{place}: signed in, a message there and back in {} ms", time.as_millis()))
            }
            Err(trouble) => notes.found(trouble.finding(place, visitor)),
        }
    }
    Ok(())
}

/// Why it did not work.
pub(super) struct Trouble {
    /// What was tried.
    step: &'static str,
    /// What came.
    pub(super) said: String,
}

impl Trouble {
    fn finding(self, place: &Place, visitor: &Visitor) -> Finding {
        let Self { step, said } = self;
        let address = &visitor.address;
        let fix = match step {
            "login" => format!(
                "parlour user passwd {address}   # the password is another; `parlour sip bans` says whether it is locked"
            ),
            "starttls" => {
                "[tls]\ncertificate = \"data/certs/DOMAIN.pem\"\nkey = \"data/certs/DOMAIN.key\"".into()
            }
            "connect" => format!("ufw allow {}/tcp", place.address.port()),
            _ => "journalctl -u parlour   # PARLOUR_LOG=debug shows why a stream is refused".into(),
        };
        let message = format!("a client of XMPP does not come through: {step} fails");
        Finding::error(format!("xmpp-{step}"), message)
            .seen(format!("{place}, as {address}: {said}"))
            .mend(fix)
    }
}

fn visit(place: &Place, visitor: &Visitor) -> Result<Duration, Trouble> {
    let begin = Instant::now();
    let mut client = Client::open(place, visitor)?;
    client.sign_in()?;
    client.talk()?;
    // It ends by itself where this is not heard.
    drop(client.way.send(b"</stream:stream>"));
    Ok(begin.elapsed())
}

pub(super) struct Client<'a> {
    pub(super) way: Way,
    visitor: &'a Visitor,
    /// As the server has bound it, as it is written in XML.
    jid: String,
}

impl<'a> Client<'a> {
    /// Connects, until it is inside TLS and a stream is open.
    pub(super) fn open(place: &Place, visitor: &'a Visitor) -> Result<Self, Trouble> {
        let failed = |step| move |error: io::Error| Trouble { step, said: error.to_string() };
        let domain = visitor.address.domain();
        let way = Way::to(place).map_err(failed("connect"))?;
        if place.transport == Transport::Tls {
            let way = way.seal(domain, place.protocol()).map_err(failed("tls"))?;
            let mut client = Self { way, visitor, jid: String::new() };
            client.begin("stream")?;
            return Ok(client);
        }
        let mut client = Self { way, visitor, jid: String::new() };
        let features = client.begin("stream")?;
        if !features.contains("<starttls") {
            return Err(Trouble { step: "starttls", said: "it is not offered".into() });
        }
        client.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "starttls")?;
        client.hear(&["<proceed"], "starttls")?;
        let way = client.way.seal(domain, place.protocol()).map_err(failed("tls"))?;
        let mut client = Self { way, visitor, jid: String::new() };
        client.begin("stream")?;
        Ok(client)
    }

    /// Opens a stream: the features.
    fn begin(&mut self, step: &'static str) -> Result<String, Trouble> {
        let to = self.visitor.address.domain();
        self.say(
            &format!(
                "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client' \
                 xmlns:stream='http://etherx.jabber.org/streams'>"
            ),
            step,
        )?;
        self.hear(&["</stream:features>"], step)
    }

    fn sign_in(&mut self) -> Result<(), Trouble> {
        let Visitor { address, password, .. } = self.visitor;
        let proof = BASE64.encode(format!("\0{}\0{password}", address.user()));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>");
        self.say(&auth, "login")?;
        self.hear(&["<success"], "login")?;
        self.begin("stream")?;
        self.say(
            "<iq type='set' id='doctor-bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "bind",
        )?;
        let bound = self.hear(&["</jid>"], "bind")?;
        let jid = bound.split("<jid>").nth(1).and_then(|rest| rest.split("</jid>").next());
        jid.unwrap_or_default().clone_into(&mut self.jid);
        Ok(())
    }

    /// A message to itself that nobody keeps (XEP-0334).
    fn talk(&mut self) -> Result<(), Trouble> {
        let mark = format!("doctor-{:016x}", getrandom::u64().unwrap_or_default());
        let message = format!(
            "<message to='{}' type='headline' id='{mark}'><body>{mark}</body><no-store xmlns='urn:xmpp:hints'/></message>",
            self.jid
        );
        self.say(&message, "message")?;
        self.hear(&[&format!("<body>{mark}</body>")], "message").map(drop)
    }

    fn say(&mut self, text: &str, step: &'static str) -> Result<(), Trouble> {
        self.way.arrived.clear();
        self.way.send(text.as_bytes()).map_err(|error| Trouble { step, said: error.to_string() })
    }

    /// Waits for one of these; a refusal ends that.
    fn hear(&mut self, wanted: &[&str], step: &'static str) -> Result<String, Trouble> {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = String::from_utf8_lossy(&self.way.arrived).into_owned();
            if wanted.iter().any(|wanted| text.contains(wanted)) {
                return Ok(text);
            }
            let refused = ["<stream:error", "<failure", "type='error'", "type=\"error\""];
            let trouble = |said: &str| Trouble { step, said: said.to_owned() };
            if refused.iter().any(|word| text.contains(word)) || text.len() > MOST {
                return Err(trouble(&text.chars().take(SHOWN).collect::<String>()));
            }
            match self.way.hear(until) {
                Ok(true) => {}
                Ok(false) => return Err(trouble("no answer")),
                Err(error) => return Err(trouble(&error.to_string())),
            }
        }
    }
}
