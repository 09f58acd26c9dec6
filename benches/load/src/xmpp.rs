//! XMPP over TLS, direct or by STARTTLS: logins, messages between pairs and in rooms, idle connections (RFC 6120, 6121).

mod client;
pub(crate) mod room;
mod scram;

use crate::options::Options;
use crate::report::{Tally, measure};
use anyhow::{Result, ensure};
use client::{Client, Step, Way};
use mio::{Events, Poll, Token};
use rustls::ClientConfig;
use scram::Cache;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many connections are being made at once when many are wanted.
const AT_ONCE: usize = 32;

/// What all clients of a run share.
struct House {
    server: SocketAddr,
    domain: String,
    password: String,
    tls: Arc<ClientConfig>,
    users: usize,
    way: Way,
    poll: Poll,
    cache: Cache,
}

impl House {
    fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            server: options.server()?,
            domain: options.domain()?,
            password: options.password()?,
            tls: crate::tls::config("xmpp-client"),
            users: options.get("users", 1000)?,
            way: match options.get("how", String::new())?.as_str() {
                "bare" => Way::Bare,
                _ if options.flag("starttls") => Way::StartTls,
                _ => Way::Tls,
            },
            poll: Poll::new()?,
            cache: Cache::default(),
        })
    }

    fn client(&self, slot: usize, number: usize) -> Result<Client> {
        let user = format!("load{}", number % self.users);
        Client::connect(self.server, &self.domain, user, (self.way, &self.tls), &self.poll, Token(slot))
    }
}

/// Logs in and out `units` times, `window` at a time.
pub(crate) fn login(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 1000usize)?, options.get("window", 8usize)?);
    let mut house = House::new(options)?;
    let limit = options.limit()?;
    measure(|| {
        let mut tally = Tally::default();
        let mut slots: Vec<Option<Client>> = (0..window.min(units)).map(|_| None).collect();
        let (mut started, end) = (0, Instant::now() + limit);
        let mut events = Events::with_capacity(1024);
        while (started < units || slots.iter().any(Option::is_some)) && Instant::now() < end {
            for (slot, client) in slots.iter_mut().enumerate().filter(|(_, client)| client.is_none()) {
                if started < units {
                    *client = Some(house.client(slot, started)?);
                    started += 1;
                }
            }
            house.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let Some(client) = &mut slots[event.token().0] else { continue };
                match client.progress(&house.password, &mut house.cache) {
                    Step::Bound => {
                        client.end();
                        tally.units += 1;
                    }
                    Step::Failed => tally.failures += 1,
                    _ => continue,
                }
                slots[event.token().0] = None;
            }
        }
        tally.failures += u64::try_from(units)?.saturating_sub(tally.units + tally.failures);
        Ok(tally)
    })
}

/// Holds `clients` connections that are logged in until it may let go.
pub(crate) fn idle(options: &Options) -> Result<()> {
    let clients = options.get("clients", 1000)?;
    let mut house = House::new(options)?;
    let limit = options.limit()?;
    let mut held = Vec::new();
    measure(|| {
        held = gather(&mut house, clients, limit)?;
        Ok(Tally { units: u64::try_from(held.len())?, ..Tally::default() })
    })
}

/// Lets pairs of clients send one another `units` messages, `window` at a time.
pub(crate) fn chat(options: &Options) -> Result<()> {
    let clients = options.get("clients", 20usize)?.next_multiple_of(2);
    let (units, window) = (options.get("units", 20_000)?, options.get("window", 20usize)?);
    let mut house = House::new(options)?;
    ensure!(clients <= house.users, "--clients wants as many --users");
    let mut clients = gather(&mut house, clients, Duration::from_secs(30))?;
    let limit = options.limit()?;
    measure(|| {
        let mut tally = Tally::default();
        let end = Instant::now() + limit;
        let size = options.get("size", 250)?;
        let to = |i: usize| format!("load{}@{}", i ^ 1, house.domain);
        let messages: Vec<String> = (0..clients.len()).map(|i| message(&to(i), "chat", size)).collect();
        for i in 0..window {
            let from = i % clients.len();
            clients[from].send(messages[from].as_bytes())?;
        }
        let mut events = Events::with_capacity(1024);
        while tally.units < units && Instant::now() < end {
            house.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let i = event.token().0;
                let came = clients[i].messages()?;
                tally.units += came;
                // Each that came is answered: as many stay on their way.
                (0..came).try_for_each(|_| clients[i].send(messages[i].as_bytes()))?;
            }
        }
        tally.failures = units.saturating_sub(tally.units);
        Ok(tally)
    })
}

/// A message that is so long, tags and all.
fn message(to: &str, kind: &str, size: usize) -> String {
    let (open, close) = (format!("<message to='{to}' type='{kind}' id='m1'><body>"), "</body></message>");
    let text = "The quick brown fox jumps over the lazy dog, and then it rests for a while. ";
    let body: String = text.chars().cycle().take(size.saturating_sub(open.len() + close.len())).collect();
    [&open, &*body, close].concat()
}

/// Connects and logs in `count` clients, their tokens from 0, and lets what their presence stirs up come to rest.
fn gather(house: &mut House, count: usize, limit: Duration) -> Result<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    let (mut bound, end) = (0, Instant::now() + limit);
    let mut events = Events::with_capacity(1024);
    while bound < count && Instant::now() < end {
        while clients.len() < count && clients.len() - bound < AT_ONCE {
            clients.push(house.client(clients.len(), clients.len())?);
        }
        house.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let client = &mut clients[event.token().0];
            let before = client.step();
            let after = client.progress(&house.password, &mut house.cache);
            ensure!(after != Step::Failed, "a client could not log in: {}", client.trouble());
            if before != Step::Bound && after == Step::Bound {
                bound += 1;
            }
        }
    }
    ensure!(bound == count, "only {bound} of {count} clients logged in");
    let rest = Instant::now() + Duration::from_millis(500);
    while Instant::now() < rest {
        house.poll.poll(&mut events, Some(Duration::from_millis(50)))?;
        for event in &events {
            clients[event.token().0].messages()?;
        }
    }
    Ok(clients)
}
