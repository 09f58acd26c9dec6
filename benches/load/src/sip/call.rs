//! Calls through the proxy: INVITE, 407, INVITE, 100, 180, 200, ACK, BYE, 200. Both ends are here.

use crate::options::Options;
use crate::report::{Tally, measure};
use crate::sip::message::Message;
use crate::sip::{Exchange, Pace, Phone, Registrar, TRIES, Waiting};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n";

/// Makes `units` calls, `window` at a time; every odd account is called by the even one before it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 2000usize)?, options.get("window", 16usize)?);
    let (first, pairs) = (options.get("first", 0usize)?, (options.get("users", 200usize)? / 2).max(1));
    let limit = options.limit()?;
    let mut phone = Phone::new(options)?;
    let mut registrar = Registrar::new(&mut phone, first, pairs * 2);
    if options.flag("closed") {
        registrar = registrar.with_closed_ports()?;
    }
    let registered = registrar.run(pairs * 2, 16, limit)?;
    ensure!(registered.failures == 0, "{} of the phones were not registered", registered.failures);
    let pace = Pace::new(options)?;
    measure(|| {
        let calls = (0..units).map(|_| None).collect();
        let salt = std::process::id();
        Calls {
            phone: &mut phone,
            first,
            pairs,
            calls,
            waiting: Waiting::new(),
            salt,
            pace: pace.begin(),
            trips: Vec::new(),
            tally: Tally::default(),
        }
        .run(window, limit)
    })
}

/// How far a call has come, on both sides.
struct Call {
    exchange: Exchange,
    /// When its last INVITE left first.
    begun: Instant,
    /// The called phone has had one.
    rang: bool,
    /// The called side has seen the ACK.
    acknowledged: bool,
    /// The calling side has seen the end.
    ended: bool,
}

struct Calls<'a> {
    phone: &'a mut Phone,
    first: usize,
    pairs: usize,
    calls: Vec<Option<Call>>,
    waiting: Waiting,
    salt: u32,
    pace: Pace,
    /// How long each called phone waited for the first INVITE of its call, in nanoseconds.
    trips: Vec<u64>,
    tally: Tally,
}

impl Calls<'_> {
    fn run(mut self, window: usize, limit: Duration) -> Result<Tally> {
        let end = Instant::now() + limit;
        let (units, mut started) = (self.calls.len(), 0);
        while self.done() < units && Instant::now() < end {
            while started < units && started - self.done() < window && self.pace.lets(started) {
                self.invite(started, 1, "")?;
                started += 1;
            }
            if let Some(text) = self.phone.receive()? {
                let message = Message(&text);
                let Some(number) = message.number().filter(|number| *number < units) else { continue };
                match message.status() {
                    None => self.called(number, message)?,
                    Some(status) => self.caller(number, status, message)?,
                }
            }
            self.remind()?;
        }
        self.tally.failures += u64::try_from(units - self.done())?;
        self.tally.trips(&mut self.trips);
        Ok(self.tally)
    }

    fn done(&self) -> usize {
        usize::try_from(self.tally.units + self.tally.failures).unwrap_or(usize::MAX)
    }

    fn names(&self, number: usize) -> (String, String) {
        let caller = self.first + 2 * (number % self.pairs);
        (format!("load{caller}"), format!("load{}", caller + 1))
    }

    /// Starts or goes on with a call; `extra` are further header fields.
    fn invite(&mut self, number: usize, cseq: u32, extra: &str) -> Result<()> {
        let (from, to) = self.names(number);
        let (here, domain) = (self.phone.here(0), &self.phone.domain);
        let (salt, length) = (self.salt, SDP.len());
        let request = format!(
            "INVITE sip:{to}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKi{salt}n{number}c{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@{domain}>;tag=a{number}\r\nTo: <sip:{to}@{domain}>\r\n\
             Call-ID: {number}-{salt}@load\r\nCSeq: {cseq} INVITE\r\nContact: <sip:{from}@{here}>\r\n\
             User-Agent: load\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n{extra}\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
        );
        self.start(number, cseq, request)
    }

    fn start(&mut self, number: usize, cseq: u32, request: String) -> Result<()> {
        self.phone.send(0, &request)?;
        self.waiting.note(number);
        let begun = Instant::now();
        let exchange = Exchange { request, sent: begun, tries: 1, cseq };
        match &mut self.calls[number] {
            Some(call) => (call.exchange, call.begun) = (exchange, begun),
            none => {
                *none = Some(Call { exchange, begun, rang: false, acknowledged: false, ended: false });
            }
        }
        Ok(())
    }

    /// The calling side gets a response.
    fn caller(&mut self, number: usize, status: u16, message: Message<'_>) -> Result<()> {
        let Some(call) = &mut self.calls[number] else { return Ok(()) };
        if message.cseq() != Some(call.exchange.cseq) {
            return Ok(());
        }
        if status < 200 {
            // It has arrived: it is not sent again (RFC 3261 §17.1.1.2).
            call.exchange.sent = Instant::now();
            return Ok(());
        }
        match (message.cseq_method(), status) {
            ("INVITE", 407) if call.exchange.cseq == 1 => self.try_again(number, message),
            ("INVITE", 200) => self.answered(number, message),
            ("BYE", 200) => {
                call.ended = true;
                self.settle(number);
                Ok(())
            }
            (method, _) => {
                if method == "INVITE" {
                    self.refused(number, message)?;
                }
                self.tally.failures += 1;
                self.calls[number] = None;
                Ok(())
            }
        }
    }

    /// Acknowledges a refusal (RFC 3261 §17.1.1.3).
    fn refused(&mut self, number: usize, message: Message<'_>) -> Result<()> {
        let (_, to) = self.names(number);
        let domain = &self.phone.domain;
        let ack = format!(
            "ACK sip:{to}@{domain} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
            own_via(message),
            message.header("From"),
            message.header("To"),
            message.header("Call-ID"),
            message.cseq().unwrap_or_default(),
        );
        self.phone.send(0, &ack)
    }

    fn try_again(&mut self, number: usize, message: Message<'_>) -> Result<()> {
        self.refused(number, message)?;
        let (from, to) = self.names(number);
        let uri = format!("sip:{to}@{}", self.phone.domain);
        let answer = self.phone.answer(message.0, &from, "INVITE", &uri).unwrap_or_default();
        self.invite(number, 2, &format!("Proxy-Authorization: {answer}\r\n"))
    }

    /// Acknowledges the answer, and hangs up at once.
    fn answered(&mut self, number: usize, message: Message<'_>) -> Result<()> {
        let cseq = message.cseq().unwrap_or_default();
        let ack = self.inside(number, message, "ACK", cseq);
        self.phone.send(0, &ack)?;
        let bye = self.inside(number, message, "BYE", cseq + 1);
        self.start(number, cseq + 1, bye)
    }

    /// A request within the dialog that a response made (RFC 3261 §12.2.1.1).
    fn inside(&self, number: usize, message: Message<'_>, method: &str, cseq: u32) -> String {
        let mut routes: Vec<&str> = message.headers("Record-Route").collect();
        routes.reverse();
        let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let (here, salt) = (self.phone.here(0), self.salt);
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{method}{salt}n{number}\r\n\
             Max-Forwards: 70\r\n{routes}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            message.contact(),
            message.header("From"),
            message.header("To"),
            message.header("Call-ID"),
        )
    }

    /// The called side gets a request.
    fn called(&mut self, number: usize, message: Message<'_>) -> Result<()> {
        match message.method() {
            "INVITE" => {
                self.note_ring(number);
                let [ringing, answer] = [("180 Ringing", ""), ("200 OK", SDP)]
                    .map(|(line, body)| self.reply(message, line, body));
                self.phone.send(0, &ringing)?;
                self.phone.send(0, &answer)
            }
            "ACK" => {
                if let Some(call) = &mut self.calls[number] {
                    call.acknowledged = true;
                }
                self.settle(number);
                Ok(())
            }
            _ => {
                let answer = self.reply(message, "200 OK", "");
                self.phone.send(0, &answer)
            }
        }
    }

    fn note_ring(&mut self, number: usize) {
        if let Some(call) = self.calls[number].as_mut().filter(|call| !call.rang) {
            call.rang = true;
            self.trips.push(u64::try_from(call.begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }

    fn reply(&self, message: Message<'_>, status: &str, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            message.headers(name).for_each(|value| text.extend([name, ": ", value, "\r\n"]));
        }
        let to = message.header("To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
        for (name, value) in [("From", message.header("From")), ("To", to)] {
            text.extend([name, ": ", value, if name == "To" { tag } else { "" }, "\r\n"]);
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        text + &format!(
            "Call-ID: {}\r\nCSeq: {}\r\nContact: <sip:called@{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            message.header("Call-ID"),
            message.header("CSeq"),
            self.phone.here(0),
            body.len(),
        )
    }

    fn settle(&mut self, number: usize) {
        if self.calls[number].as_ref().is_some_and(|call| call.acknowledged && call.ended) {
            self.tally.units += 1;
            self.calls[number] = None;
        }
    }

    fn remind(&mut self) -> Result<()> {
        while let Some((number, sent)) = self.waiting.late() {
            let Some(call) = self.calls[number].as_mut().filter(|call| call.exchange.sent <= sent) else {
                continue;
            };
            call.exchange.tries += 1;
            if call.exchange.tries > TRIES {
                self.tally.failures += 1;
                self.calls[number] = None;
                continue;
            }
            call.exchange.sent = Instant::now();
            if !call.ended {
                self.tally.again += 1;
                self.phone.send(0, &call.exchange.request)?;
            }
            self.waiting.note(number);
        }
        Ok(())
    }
}

/// The Via that a response came back with is ours alone, without what the server added to it.
fn own_via(message: Message<'_>) -> String {
    let via = message.header("Via");
    via.split(';')
        .filter(|part| !part.starts_with("received=") && !part.starts_with("rport="))
        .collect::<Vec<_>>()
        .join(";")
}
