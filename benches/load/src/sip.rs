//! SIP: OPTIONS, registrations and idle connections here, calls in `call`, the phones' side of the wire in `phone` (RFC 3261).

pub(crate) mod call;
pub(crate) mod message;
mod phone;

use crate::options::Options;
use crate::report::{Tally, measure};
use anyhow::Result;
use message::Message;
use phone::Phone;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// T1 of RFC 3261 §17.1.1.1: after how long a request is sent again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is sent at most.
const TRIES: u8 = 7;

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

/// So many units a second; all at once where none is said.
#[derive(Clone, Copy)]
struct Pace {
    start: Instant,
    rate: f64,
}

impl Pace {
    fn new(options: &Options) -> Result<Self> {
        Ok(Self { start: Instant::now(), rate: options.get("rate", 0.0)? })
    }

    /// From now on.
    fn begin(self) -> Self {
        Self { start: Instant::now(), ..self }
    }

    /// Whether another unit is due after so many.
    fn lets(&self, started: usize) -> bool {
        self.rate == 0.0 || (started as f64) < self.start.elapsed().as_secs_f64() * self.rate
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
    let (here, domain) = (phone.here(0), phone.domain.clone());
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
                phone.send(0, &request(sent))?;
                sent += 1;
            }
            match phone.receive()? {
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
    let pace = Pace::new(options)?;
    let mut registrar = Registrar::new(&mut phone, first, users);
    if options.flag("before") {
        // They refresh what they have.
        registrar.run(users, 16, limit)?;
    }
    measure(|| registrar.paced(pace).run(units, window, limit))
}

/// Holds TLS connections over which nothing goes.
pub(crate) fn idle(options: &Options) -> Result<()> {
    let mut phone = None;
    measure(|| {
        phone = Some(Phone::new(options)?);
        Ok(Tally { units: options.get("clients", 20u64)?, ..Tally::default() })
    })
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
    pace: Option<Pace>,
    /// Ports at which nobody is, one for each account: the preferred contact of each.
    closed: Vec<u16>,
}

impl<'a> Registrar<'a> {
    fn new(phone: &'a mut Phone, first: usize, users: usize) -> Self {
        let exchanges = (0..users).map(|_| None).collect();
        Self {
            phone,
            first,
            exchanges,
            waiting: Waiting::new(),
            salt: std::process::id(),
            cseq: 0,
            pace: None,
            closed: vec![],
        }
    }

    fn paced(self, pace: Pace) -> Self {
        Self { pace: Some(pace.begin()), ..self }
    }

    /// Each account's preferred contact is a port that nobody listens at.
    fn with_closed_ports(self) -> Result<Self> {
        let sockets: Vec<UdpSocket> = (0..self.exchanges.len())
            .map(|_| UdpSocket::bind("127.0.0.1:0"))
            .collect::<std::io::Result<_>>()?;
        let port = |socket: &UdpSocket| socket.local_addr().map(|address| address.port());
        let closed = sockets.iter().map(port).collect::<std::io::Result<_>>()?;
        Ok(Self { closed, ..self })
    }

    fn contact(&self, user: usize) -> String {
        let (number, here, (_, parameter)) =
            (self.first + user, self.phone.here(user), self.phone.transport());
        match self.closed.get(user) {
            None => format!("<sip:load{number}@{here}{parameter}>"),
            Some(port) => {
                format!("<sip:load{number}@127.0.0.1:{port}>;q=1.0, <sip:load{number}@{here}>;q=0.5")
            }
        }
    }

    fn run(&mut self, units: usize, window: usize, limit: Duration) -> Result<Tally> {
        let (mut tally, mut started) = (Tally::default(), 0);
        let end = Instant::now() + limit;
        let window = window.min(self.exchanges.len());
        let done = |tally: &Tally| usize::try_from(tally.units + tally.failures).unwrap_or(usize::MAX);
        while done(&tally) < units && Instant::now() < end {
            while started < units
                && started - done(&tally) < window
                && self.pace.is_none_or(|pace| pace.lets(started))
            {
                let free = (0..self.exchanges.len())
                    .map(|i| (started + i) % self.exchanges.len())
                    .find(|user| self.exchanges[*user].is_none());
                let Some(user) = free else { break };
                self.ask(user, None)?;
                started += 1;
            }
            if let Some(text) = self.phone.receive()? {
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
        let (here, (transport, _), contact) =
            (self.phone.here(user), self.phone.transport(), self.contact(user));
        let domain = &self.phone.domain;
        let authorization = authorization.map_or(String::new(), |text| format!("Authorization: {text}\r\n"));
        let request = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/{transport} {here};rport;branch=z9hG4bKr{salt}c{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load{number}@{domain}>;tag=r{salt}\r\nTo: <sip:load{number}@{domain}>\r\n\
             Call-ID: {user}-{salt}@load\r\nCSeq: {cseq} REGISTER\r\nContact: {contact}\r\n\
             Expires: 3600\r\nUser-Agent: load\r\n{authorization}Content-Length: 0\r\n\r\n"
        );
        self.phone.send(user, &request)?;
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
            self.phone.send(user, &exchange.request)?;
            self.waiting.note(user);
        }
        Ok(())
    }
}
