//! SIP as a telephone has it: it registers (RFC 3261 §10), is asked for what it can by way of the server (OPTIONS, §11), and
//! takes leave, by every transport that is offered.

use super::notes::{Finding, Notes};
use super::places::{self, Place};
use super::visitors::{self, Visitor};
use super::way::Way;
use super::{Patient, Skipped};
use crate::config::plan::Service;
use md5::{Digest, Md5};
use std::io;
use std::time::{Duration, Instant};
use wire::Transport;

/// How long an answer may take before a datagram is sent again (RFC 3261 §17.1.2.1, shortened).
const PATIENCE: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let ways = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let all: Vec<Place> =
        ways.iter().flat_map(|way| places::of(&patient.places, Service::Sip, *way)).cloned().collect();
    if all.is_empty() {
        return Err(Skipped("no listener is reached, or none is on".into()));
    }
    visitors::invite(patient)?;
    for (place, visitor) in all.iter().flat_map(|place| patient.visitors.iter().map(move |one| (place, one)))
    {
        match Phone::open(place, visitor).and_then(Phone::talk) {
            Ok(time) => {
                notes.fine(format!("{place}: registered, asked and answered in {} ms", time.as_millis()))
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
    /// What came: the first line of an answer, or nothing.
    pub(super) said: String,
    call_id: String,
}

impl Trouble {
    pub(super) fn finding(self, place: &Place, visitor: &Visitor) -> Finding {
        let Self { step, said, call_id } = self;
        let code = said.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
        let address = &visitor.address;
        let fix = match code {
            "401" | "403" | "407" => format!(
                "parlour user passwd {address}   # the password is another; `parlour sip bans` says whether it is locked"
            ),
            "" => format!("ufw allow {}/{}", place.address.port(), place.carrier()),
            _ => format!("parlour sip why {call_id}   # and journalctl -u parlour"),
        };
        let message = format!("a telephone of SIP does not come through: {step} fails");
        let seen = format!("{place}, as {address}: {said}");
        Finding::error(format!("sip-{}", step.to_lowercase()), message).seen(seen).mend(fix)
    }
}

/// A message that came.
struct Heard(String);

impl Heard {
    fn line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    fn status(&self) -> Option<u16> {
        self.line().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    fn answers(&self, phone: &Phone<'_>) -> bool {
        self.all("call-id").first().is_some_and(|id| *id == phone.call_id)
            && self
                .all("cseq")
                .first()
                .is_some_and(|cseq| cseq.split(' ').next() == Some(&phone.cseq.to_string()))
    }
}

pub(super) struct Phone<'a> {
    pub(super) way: Way,
    visitor: &'a Visitor,
    transport: &'static str,
    pub(super) call_id: String,
    cseq: u32,
}

impl<'a> Phone<'a> {
    pub(super) fn open(place: &Place, visitor: &'a Visitor) -> Result<Self, Trouble> {
        let call_id = random();
        let failed =
            |error: io::Error| Trouble { step: "CONNECT", said: error.to_string(), call_id: call_id.clone() };
        let (way, transport) = match place.transport {
            Transport::Udp => (Way::datagrams(place.address), "UDP"),
            Transport::Tls => {
                let name = visitor.address.domain();
                (Way::to(place).and_then(|way| way.seal(name, place.protocol())), "TLS")
            }
            _ => (Way::to(place), "TCP"),
        };
        Ok(Self { way: way.map_err(failed)?, visitor, transport, call_id, cseq: 0 })
    }

    /// Asks as a stranger does: any answer will do.
    pub(super) fn greet(&mut self) -> Result<(), Trouble> {
        let domain = format!("sip:{}", self.visitor.address.domain());
        self.exchange("OPTIONS", &domain, "").map(drop)
    }

    /// The whole visit: how long it took.
    fn talk(mut self) -> Result<Duration, Trouble> {
        let begin = Instant::now();
        let domain = format!("sip:{}", self.visitor.address.domain());
        let own = format!("sip:{}", self.visitor.address);
        self.ask("REGISTER", &domain, "Expires: 120\r\n")?;
        let asked = self.ask("OPTIONS", &own, "Accept: application/sdp\r\n");
        let took = begin.elapsed();
        self.ask("REGISTER", &domain, "Expires: 0\r\n")?;
        asked.map(|()| took)
    }

    /// Asks another domain, by way of the server: the first line of what comes back.
    pub(super) fn reach(&mut self, domain: &str) -> Result<String, Trouble> {
        self.prove("OPTIONS", &format!("sip:{domain}"), "").map(|heard| heard.line().to_owned())
    }

    /// Sends a request and wants success.
    fn ask(&mut self, method: &'static str, uri: &str, more: &str) -> Result<(), Trouble> {
        let heard = self.prove(method, uri, more)?;
        match heard.status() {
            Some(200..=299) => Ok(()),
            _ => Err(self.trouble(method, heard.line())),
        }
    }

    /// Sends a request, and proves who it is where that is wanted.
    fn prove(&mut self, method: &'static str, uri: &str, more: &str) -> Result<Heard, Trouble> {
        let heard = self.exchange(method, uri, more)?;
        let wants =
            [(401, "www-authenticate", "Authorization"), (407, "proxy-authenticate", "Proxy-Authorization")];
        let Some((_, asks, field)) = wants.iter().find(|(code, ..)| heard.status() == Some(*code)) else {
            return Ok(heard);
        };
        let challenges = heard.all(asks);
        let challenge = challenges.iter().find(|text| text.contains("MD5") && !text.contains("MD5-sess"));
        let proof = challenge.and_then(|challenge| self.proof(challenge, method, uri));
        let proof = proof.ok_or_else(|| self.trouble(method, heard.line()))?;
        self.exchange(method, uri, &format!("{field}: {proof}\r\n{more}"))
    }

    fn trouble(&self, step: &'static str, said: &str) -> Trouble {
        Trouble { step, said: said.to_owned(), call_id: self.call_id.clone() }
    }

    /// The final answer to a request. What is asked of this telephone meanwhile is answered.
    fn exchange(&mut self, method: &'static str, uri: &str, more: &str) -> Result<Heard, Trouble> {
        self.cseq += 1;
        let request = self.request(method, uri, more);
        for (turn, patience) in PATIENCE.into_iter().enumerate() {
            if turn == 0 || self.way.is_datagrams() {
                self.way
                    .send(request.as_bytes())
                    .map_err(|error| self.trouble(method, &error.to_string()))?;
            }
            let until = Instant::now() + patience;
            while let Some(heard) =
                self.next(until).map_err(|error| self.trouble(method, &error.to_string()))?
            {
                match heard.status() {
                    None => self.answer(&heard),
                    Some(200..) if heard.answers(self) => return Ok(heard),
                    Some(_) => {}
                }
            }
        }
        Err(self.trouble(method, "no answer"))
    }

    fn request(&self, method: &str, uri: &str, more: &str) -> String {
        let Self { transport, call_id, cseq, .. } = self;
        let (address, local, branch) = (&self.visitor.address, self.way.local, random());
        let to = if method == "REGISTER" { format!("sip:{address}") } else { uri.to_owned() };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{address}>;tag={}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n\
             User-Agent: parlour doctor\r\n{more}Content-Length: 0\r\n\r\n",
            &call_id[..8],
            self.contact(),
        )
    }

    fn contact(&self) -> String {
        format!(
            "sip:{}@{};transport={}",
            self.visitor.address.user(),
            self.way.local,
            self.transport.to_lowercase()
        )
    }

    /// The next whole message; `None` where none comes until then.
    fn next(&mut self, until: Instant) -> io::Result<Option<Heard>> {
        loop {
            if let Some(heard) = whole(&mut self.way.arrived) {
                return Ok(Some(heard));
            }
            if !self.way.hear(until)? {
                return Ok(None);
            }
        }
    }

    fn answer(&mut self, request: &Heard) {
        let mut text = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            request.all(name).iter().for_each(|value| text.push_str(&format!("{name}: {value}\r\n")));
        }
        let to = request.all("to").first().map_or_else(String::new, |to| (*to).to_owned());
        text.push_str(&format!(
            "To: {to};tag={}\r\nContact: <{}>\r\nContent-Length: 0\r\n\r\n",
            random(),
            self.contact()
        ));
        // The one who asks, asks again.
        drop(self.way.send(text.as_bytes()));
    }

    /// What proves the password (RFC 7616 §3.4.1).
    fn proof(&self, challenge: &str, method: &str, uri: &str) -> Option<String> {
        let value = |name: &str| {
            let rest = &challenge[challenge.find(&format!("{name}=\""))? + name.len() + 2..];
            rest.split('"').next()
        };
        let (realm, nonce) = (value("realm")?, value("nonce")?);
        let hash = |text: String| -> String {
            Md5::digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
        };
        let (user, cnonce) = (self.visitor.address.user(), random());
        let first = hash(format!("{user}:{realm}:{}", self.visitor.password));
        let second = hash(format!("{method}:{uri}"));
        let response = hash(format!("{first}:{nonce}:00000001:{cnonce}:auth:{second}"));
        Some(format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm=MD5, qop=auth, nc=00000001, cnonce=\"{cnonce}\""
        ))
    }
}

/// Takes the first whole message off what has arrived.
fn whole(arrived: &mut Vec<u8>) -> Option<Heard> {
    let blank = arrived.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
    arrived.drain(..blank);
    let text = String::from_utf8_lossy(arrived).into_owned();
    let head = text.find("\r\n\r\n")? + 4;
    let heard = Heard(text);
    let body =
        heard.all("content-length").first().and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    let length = head.checked_add(body).filter(|length| arrived.len() >= *length)?;
    arrived.drain(..length);
    Some(heard)
}

/// Something nobody guesses.
fn random() -> String {
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_from_a_stream() {
        let mut arrived =
            b"\r\n\r\nSIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nab".to_vec();
        assert!(whole(&mut arrived).is_none());
        arrived.extend(b"cSIP/2.0 100");
        let heard = whole(&mut arrived).unwrap();
        assert_eq!((heard.status(), heard.all("cseq")), (Some(200), vec!["1 OPTIONS"]));
        assert!(whole(&mut arrived).is_none());
        assert_eq!(arrived, b"SIP/2.0 100");
    }
}
