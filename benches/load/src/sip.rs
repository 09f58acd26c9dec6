//! SIP over UDP: OPTIONS and registrations here, calls in `call`. One socket is every phone (RFC 3261).

pub(crate) mod call;
mod message;

use crate::digest::Answer;
use crate::options::Options;
use crate::report::{Tally, measure};
use anyhow::Result;
use message::{Message, challenge};
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// T1 of RFC 3261 §17.1.1.1: after how long a request is sent again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is sent at most.
const TRIES: u8 = 7;

/// The phones' side of the wire.
struct Phone {
    socket: UdpSocket,
    here: SocketAddr,
    domain: String,
    password: String,
    buffer: Vec<u8>,
}

impl Phone {
    fn new(options: &Options) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(options.server()?)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let here = socket.local_addr()?;
        Ok(Self {
            socket,
            here,
            domain: options.domain()?,
            password: options.password()?,
            buffer: vec![0; 65536],
        })
    }

    fn send(&self, text: &str) -> Result<()> {
        Ok(self.socket.send(text.as_bytes()).map(drop)?)
    }

    /// The next message, `None` when nothing comes for a while.
    fn receive(&mut self) -> Option<String> {
        let length = self.socket.recv(&mut self.buffer).ok()?;
        String::from_utf8(self.buffer[..length].to_vec()).ok()
    }

    /// The header field that answers a challenge.
    fn answer(&self, challenge_text: &str, user: &str, method: &str, uri: &str) -> Option<String> {
        let challenge = challenge(challenge_text)?;
        let answer = Answer {
            user,
            realm: challenge.realm,
            password: &self.password,
            nonce: challenge.nonce,
            method,
            uri,
            qop: challenge.qop,
        };
        Some(answer.header())
    }
}

/// Requests on their way: what they are, when and how often they were sent.
struct Waiting {
    /// In the order of `sent`, except for those sent again; an entry may be out of date.
    order: VecDeque<(usize, Instant)>,
}

impl Waiting {
    fn new() -> Self {
        Self { order: VecDeque::new() }
    }

    fn note(&mut self, number: usize) {
        self.order.push_back((number, Instant::now()));
    }

    /// The next one that was sent long ago.
    fn late(&mut self) -> Option<(usize, Instant)> {
        self.order.pop_front_if(|(_, sent)| sent.elapsed() > PATIENCE)
    }
}

/// One exchange of a phone: a request until its final response.
struct Exchange {
    request: String,
    sent: Instant,
    tries: u8,
    cseq: u32,
}

/// Asks the server itself for its options.
pub(crate) fn options(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 20_000u64)?, options.get("window", 16u64)?);
    let mut phone = Phone::new(options)?;
    let limit = options.limit()?;
    let (here, domain) = (phone.here, phone.domain.clone());
    let request = |number: u64| {
        format!(
            "OPTIONS sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKo{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load0@{domain}>;tag=o{number}\r\nTo: <sip:{domain}>\r\n\
             Call-ID: o{number}@load\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    };
    measure(|| {
        let (mut tally, mut sent) = (Tally::default(), 0);
        let end = Instant::now() + limit;
        while tally.units + tally.failures < units && Instant::now() < end {
            while sent < units && sent - tally.units - tally.failures < window {
                phone.send(&request(sent))?;
                sent += 1;
            }
            match phone.receive() {
                Some(text) if Message(&text).status() == Some(200) => tally.units += 1,
                Some(_) => tally.failures += 1,
                None => tally.failures = sent - tally.units,
            }
        }
        Ok(tally)
    })
}

/// Registers accounts: 401, then 200, each time.
pub(crate) fn register(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 20_000usize)?, options.get("window", 16usize)?);
    let (first, users) = (options.get("first", 0usize)?, options.get("users", 1000usize)?);
    let limit = options.limit()?;
    let mut phone = Phone::new(options)?;
    measure(|| Registrar::new(&mut phone, first, users).run(units, window, limit))
}

/// Registrations under way, one for each account at most.
struct Registrar<'a> {
    phone: &'a mut Phone,
    first: usize,
    exchanges: Vec<Option<Exchange>>,
    waiting: Waiting,
    /// Of this process: a server knows what earlier ones used.
    salt: u32,
    cseq: u32,
}

impl<'a> Registrar<'a> {
    fn new(phone: &'a mut Phone, first: usize, users: usize) -> Self {
        let exchanges = (0..users).map(|_| None).collect();
        Self { phone, first, exchanges, waiting: Waiting::new(), salt: std::process::id(), cseq: 0 }
    }

    fn run(&mut self, units: usize, window: usize, limit: Duration) -> Result<Tally> {
        let (mut tally, mut started) = (Tally::default(), 0);
        let end = Instant::now() + limit;
        let window = window.min(self.exchanges.len());
        let done = |tally: &Tally| usize::try_from(tally.units + tally.failures).unwrap_or(usize::MAX);
        while done(&tally) < units && Instant::now() < end {
            while started < units && started - done(&tally) < window {
                let free = (0..self.exchanges.len())
                    .map(|i| (started + i) % self.exchanges.len())
                    .find(|user| self.exchanges[*user].is_none());
                let Some(user) = free else { break };
                self.ask(user, None)?;
                started += 1;
            }
            if let Some(text) = self.phone.receive() {
                self.response(&text, &mut tally)?;
            }
            self.remind(&mut tally)?;
        }
        tally.failures += u64::try_from(units)?.saturating_sub(tally.units + tally.failures);
        Ok(tally)
    }

    fn ask(&mut self, user: usize, authorization: Option<String>) -> Result<()> {
        self.cseq += 1;
        let (cseq, salt, number) = (self.cseq, self.salt, self.first + user);
        let Phone { here, domain, .. } = &self.phone;
        let authorization = authorization.map_or(String::new(), |text| format!("Authorization: {text}\r\n"));
        let request = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKr{salt}c{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load{number}@{domain}>;tag=r{salt}\r\nTo: <sip:load{number}@{domain}>\r\n\
             Call-ID: {user}-{salt}@load\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:load{number}@{here}>\r\n\
             Expires: 3600\r\nUser-Agent: load\r\n{authorization}Content-Length: 0\r\n\r\n"
        );
        self.phone.send(&request)?;
        self.waiting.note(user);
        self.exchanges[user] = Some(Exchange { request, sent: Instant::now(), tries: 1, cseq });
        Ok(())
    }

    fn response(&mut self, text: &str, tally: &mut Tally) -> Result<()> {
        let message = Message(text);
        let Some(user) = message.number() else { return Ok(()) };
        let Some(Some(exchange)) = self.exchanges.get(user) else { return Ok(()) };
        if message.cseq() != Some(exchange.cseq) {
            return Ok(());
        }
        let asked_before = exchange.request.contains("\r\nAuthorization:");
        match message.status() {
            Some(100..=199) => {}
            Some(401) if !asked_before => {
                let name = format!("load{}", self.first + user);
                let uri = format!("sip:{}", self.phone.domain);
                let answer = self.phone.answer(text, &name, "REGISTER", &uri);
                self.ask(user, answer)?;
            }
            status => {
                tally.units += u64::from(status == Some(200));
                tally.failures += u64::from(status != Some(200));
                self.exchanges[user] = None;
            }
        }
        Ok(())
    }

    fn remind(&mut self, tally: &mut Tally) -> Result<()> {
        while let Some((user, sent)) = self.waiting.late() {
            let slot = &mut self.exchanges[user];
            let Some(exchange) = slot.as_mut().filter(|exchange| exchange.sent <= sent) else { continue };
            if exchange.tries == TRIES {
                tally.failures += 1;
                *slot = None;
                continue;
            }
            exchange.tries += 1;
            exchange.sent = Instant::now();
            tally.again += 1;
            self.phone.send(&exchange.request)?;
            self.waiting.note(user);
        }
        Ok(())
    }
}
