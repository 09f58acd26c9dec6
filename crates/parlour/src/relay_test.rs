//! `parlour turn test`: a client that takes two relays and sends packets from one to the other through the server's public
//! address, and says what came back, or which step failed and what is likely to be wrong.

mod client;
mod line;

use crate::admin::Failure;
use crate::admin::answers::turn::{TurnTest, TurnTestRoundTrip};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::failure::Kind;
use crate::admin::here;
use crate::admin::turn::credentials::for_user;
use crate::config::plan::{Listener, Network, Plan};
use crate::site::reached_at;
use client::{Client, Trouble, Who, is_near};
pub(crate) use line::header_from;
use line::{Line, knock};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use wire::{Address, Transport};

/// How many packets are sent unless it is said, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 100_000;
/// How long a packet may take there and back.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause between packets: that of a voice.
const PAUSE: Duration = Duration::from_millis(5);
/// When so many have been lost and none came back, none will.
const HOPELESS: u64 = 5;
/// A packet of a voice.
const PAYLOAD: usize = 160;
/// How long the test's credential is good for.
const TTL: Duration = Duration::from_secs(3600);

/// `parlour turn test`
pub(crate) fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let transport = match arguments.text("via") {
        Some("tcp") => Transport::Tcp,
        Some("tls") => Transport::Tls,
        Some("dtls") => Transport::Dtls,
        _ => Transport::Udp,
    };
    let count = arguments.number("count").unwrap_or(USUAL);
    if !(1..=MOST).contains(&count) {
        return Err(Failure::usage(format!("`count` must be from 1 to {MOST}")));
    }
    let who = who(arguments)?;
    let plan = match (arguments.text("server"), &who) {
        (Some(_), Some(_)) => None,
        _ => Some(here::settled(invocation)?),
    };
    let (name, server) = server(arguments.text("server"), plan.as_ref(), transport)?;
    let who = match (who, &plan) {
        (Some(who), _) => who,
        (None, Some(plan)) => own(plan)?,
        (None, None) => return Err(Failure::usage("--user is missing")),
    };
    let ports = plan.as_ref().map_or(49_152..=65_535, |plan| plan.turn.relay_ports.clone());
    let own = plan.as_ref().filter(|plan| plan.network.own.contains(&server.ip()));
    let proxies = own.map_or_else(Vec::new, |plan| plan.web.proxy_protocol.clone());
    let test = Test { name, server, transport, count, who, ports, proxies };
    test.run().and_then(|result| reply(&result))
}

/// The same for the house's own server, by a credential of the house: `server` is called by this name.
pub(crate) fn examine(
    plan: &Plan,
    transport: Transport,
    server: SocketAddr,
    name: &str,
    count: u64,
) -> Result<TurnTest, Failure> {
    let (who, ports) = (own(plan)?, plan.turn.relay_ports.clone());
    let proxies = plan.web.proxy_protocol.clone();
    Test { name: name.to_owned(), server, transport, count, who, ports, proxies }.run()
}

/// Connects to any server and has a Binding answered: the certificate that it shows (DER), where there is one.
pub(crate) fn greet(
    transport: Transport,
    server: SocketAddr,
    name: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let line = Line::open(transport, server, name, &[]).map_err(|error| trouble("connect", &error.into()))?;
    let who = Who { name: String::new(), password: String::new() };
    let mut client = Client::new(line, who);
    client.bind().map_err(|error| trouble("binding", &error))?;
    Ok(client.line.certificate)
}

/// `--user` with its password.
fn who(arguments: &Arguments) -> Result<Option<Who>, Failure> {
    let Some(name) = arguments.text("user") else { return Ok(None) };
    let password = match arguments.text("password-file") {
        Some(file) => here::password::read(file)?,
        None => here::password::ask_once(name)?,
    };
    Ok(Some(Who { name: name.to_owned(), password }))
}

/// A credential of the house, for nobody in particular.
fn own(plan: &Plan) -> Result<Who, Failure> {
    let domain = &plan.domains[0].name;
    let user =
        Address::new("turn-test", domain.as_str()).map_err(|error| Failure::failed(error.to_string()))?;
    let issued = for_user(plan, &user, TTL)?;
    Ok(Who { name: issued.username, password: issued.credential })
}

/// The server's name and address: as it was given, or the public address of the house's own listener.
fn server(
    given: Option<&str>,
    plan: Option<&Plan>,
    transport: Transport,
) -> Result<(String, SocketAddr), Failure> {
    if let Some(given) = given {
        return resolve(given, transport);
    }
    let turn = plan.map(|plan| (&plan.turn, plan));
    let found = turn.and_then(|(turn, plan)| {
        let listeners: &[Listener] = match transport {
            Transport::Udp => &turn.udp,
            Transport::Tcp => &turn.tcp,
            Transport::Tls => &turn.tls,
            Transport::Dtls => &turn.dtls,
            Transport::Ws | Transport::Wss => &[],
        };
        let named = listeners.iter().filter(|listener| listener.port != 0);
        named.flat_map(|at| reached_at(plan, at).into_iter().map(|ip| SocketAddr::new(ip, at.port))).next()
    });
    let server = found.ok_or_else(|| {
        Failure::usage(format!("turn.{transport} has no listener with a port; --server names a server"))
    })?;
    Ok((server.ip().to_string(), server))
}

/// `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
fn resolve(given: &str, transport: Transport) -> Result<(String, SocketAddr), Failure> {
    let usual = if transport.is_secure() { 5349 } else { 3478 };
    if let Ok(address) = given.trim_matches(['[', ']']).parse() {
        return Ok((given.to_owned(), SocketAddr::new(address, usual)));
    }
    if let Ok(server) = given.parse::<SocketAddr>() {
        return Ok((server.ip().to_string(), server));
    }
    let (host, port) = match given.rsplit_once(':') {
        Some((host, port)) => {
            (host, port.parse().map_err(|_| Failure::usage(format!("`{port}` is not a port")))?)
        }
        None => (given, usual),
    };
    let step =
        Step { name: "resolve", cause: "the name is misspelt, or the DNS has no A or AAAA record for it" };
    let mut found = (host, port).to_socket_addrs().map_err(|error| step.failed(&error.to_string()))?;
    let server = found.next().ok_or_else(|| step.failed("no address"))?;
    Ok((host.to_owned(), server))
}

/// One step of the test, and what is likely to be wrong where it fails.
struct Step {
    name: &'static str,
    cause: &'static str,
}

impl Step {
    fn failed(&self, what: &str) -> Failure {
        let Self { name, cause } = self;
        let mut failure = Failure::new(Kind::Failed, format!("{name}: {what}\n  likely: {cause}"));
        failure.faults.push(json!({ "step": name, "message": what, "help": cause }));
        failure
    }
}

/// Why a step was refused or not answered.
fn trouble(step: &'static str, trouble: &Trouble) -> Failure {
    let cause = match (step, trouble) {
        (_, Trouble::Refused(300)) => {
            "the server is drained and sends clients elsewhere (`parlour turn drain --off`)"
        }
        (_, Trouble::Refused(401)) => {
            "another password or secret than the server's, a credential that has run out, or clocks that differ"
        }
        (_, Trouble::Refused(403)) => {
            "the peer policy refuses the relay's own address: see turn.deny-peers; relays on a special address (private, loopback …) need turn.allow-peers"
        }
        (_, Trouble::Refused(437)) => "an earlier test from the same port has left a relay; try again",
        (_, Trouble::Refused(440)) => "the server has no relay address of this family: network.addresses",
        (_, Trouble::Refused(442)) => "the server does not relay UDP",
        (_, Trouble::Refused(486)) => "turn.quota is reached, or the server is drained",
        (_, Trouble::Refused(508)) => {
            "no port of turn.relay-ports is free, turn.quota is reached, or the server is drained"
        }
        (_, Trouble::Silence) if step == "binding" => {
            "no server listens there, or a firewall drops what is sent to the port or comes back from it"
        }
        (_, Trouble::Silence) => "a firewall or a middlebox drops requests that are longer than the first",
        (_, Trouble::Broken(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "no server listens on that port"
        }
        (_, Trouble::Broken(_)) if step == "connect" => {
            "a firewall in between, another service on that port, or TLS that does not fit (the certificate, the version)"
        }
        _ => "what answers is another program, or another version of STUN",
    };
    Step { name: step, cause }.failed(&trouble.to_string())
}

/// A test with all that it needs.
struct Test {
    name: String,
    server: SocketAddr,
    transport: Transport,
    count: u64,
    who: Who,
    /// Where the server's relays have their ports, as far as that is known.
    ports: RangeInclusive<u16>,
    /// Whose streams begin with a proxy's header there.
    proxies: Vec<Network>,
}

/// What came back of what was sent.
#[derive(Default)]
struct Returned {
    sent: u64,
    times: Vec<Duration>,
}

impl Test {
    fn run(&self) -> Result<TurnTest, Failure> {
        let (mut one, mut other) = (self.client()?, self.client()?);
        let seen = one.bind().map_err(|error| trouble("binding", &error))?;
        let result = self.relay(&mut one, &mut other, seen);
        one.release();
        other.release();
        result
    }

    fn client(&self) -> Result<Client, Failure> {
        let line = Line::open(self.transport, self.server, &self.name, &self.proxies);
        let line = line.map_err(|error| trouble("connect", &error.into()))?;
        Ok(Client::new(line, self.who.clone()))
    }

    fn relay(&self, one: &mut Client, other: &mut Client, seen: SocketAddr) -> Result<TurnTest, Failure> {
        let allocate = |client: &mut Client| client.allocate().map_err(|error| trouble("allocate", &error));
        let relays = [allocate(one)?, allocate(other)?];
        for (client, peer) in [(&mut *one, relays[1]), (&mut *other, relays[0])] {
            client.permit(peer).map_err(|error| trouble("permission", &error))?;
            client.channel(peer).map_err(|error| trouble("channel", &error))?;
        }
        let returned = self.ping(one, other).map_err(|error| trouble("relay", &error))?;
        if returned.times.is_empty() {
            return Err(nothing_came(&relays[0].to_string(), relays[1], self.server));
        }
        let outside = outside(one, seen, relays[0], &self.ports)?;
        Ok(self.result(one, seen, relays, &returned, outside))
    }

    /// Sends packets from one relay to the other and back, one after the other.
    fn ping(&self, one: &mut Client, other: &mut Client) -> Result<Returned, Trouble> {
        let mut returned = Returned::default();
        for number in 0..self.count {
            let mut payload = vec![0x55; PAYLOAD];
            payload[..8].copy_from_slice(&number.to_be_bytes());
            let begin = Instant::now();
            one.send(&payload)?;
            returned.sent += 1;
            let came = arrives(other, &payload, begin + PATIENCE)? && {
                other.send(&payload)?;
                arrives(one, &payload, begin + PATIENCE)?
            };
            if came {
                returned.times.push(begin.elapsed());
            } else if returned.sent >= HOPELESS && returned.times.is_empty() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(returned)
    }

    fn result(
        &self,
        one: &Client,
        seen: SocketAddr,
        relays: [SocketAddr; 2],
        returned: &Returned,
        outside: bool,
    ) -> TurnTest {
        let mut times = returned.times.clone();
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1));
        let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        let round_trip =
            TurnTestRoundTrip { min: millis(times.first()), median: millis(at(50)), p95: millis(at(95)) };
        let came = times.len() as u64;
        TurnTest {
            server: self.server.to_string(),
            transport: self.transport.to_string(),
            seen: seen.to_string(),
            relays: relays.iter().map(ToString::to_string).collect(),
            sent: returned.sent,
            received: came,
            loss: (returned.sent - came) as f64 * 100.0 / returned.sent.max(1) as f64,
            round_trip,
            outside,
            notes: self.notes(one, relays, outside),
        }
    }

    /// What works from here but may not work for others.
    fn notes(&self, one: &Client, relays: [SocketAddr; 2], outside: bool) -> Vec<String> {
        let mut notes = vec![];
        let relay = relays[0].ip();
        if !outside {
            notes.push(
                "the way from outside to the relay was not tried, for this host may not be a peer: run the test from another"
                    .into(),
            );
        }
        if is_near(relay) {
            notes.push(format!(
                "the world does not reach the relay's address {relay}; behind NAT set network.external"
            ));
        }
        if let Some(facts) = one.line.certificate.as_deref().map(crate::config::certificate_facts) {
            match facts {
                Ok((names, _)) if !crate::config::covers(&names, &self.name) => notes.push(format!(
                    "the certificate is not for {}, but for {}: clients that check it go away",
                    self.name,
                    names.join(", ")
                )),
                Ok((_, ends)) if crate::config::days_left(ends) < 0 => {
                    notes.push("the certificate has ended: clients that check it go away".into());
                }
                Ok(_) => {}
                Err(error) => notes.push(error),
            }
        }
        notes
    }
}

/// Whether this payload comes; others, of packets given up, are passed over.
fn arrives(client: &mut Client, payload: &[u8], until: Instant) -> Result<bool, Trouble> {
    while let Some(came) = client.receive(until)? {
        if came == payload {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a packet to the relay's public address arrives; without this the server may have joined both relays inside.
/// `false` where the peer policy does not let this host be a peer, so that it cannot be tried.
fn outside(
    one: &mut Client,
    seen: SocketAddr,
    relay: SocketAddr,
    ports: &RangeInclusive<u16>,
) -> Result<bool, Failure> {
    if seen.is_ipv4() != relay.is_ipv4() || one.permit(seen).is_err() {
        return Ok(false);
    }
    let payload = b"parlour turn test";
    let knocked = knock(relay, payload, ports).map_err(Trouble::from);
    let until = Instant::now() + PATIENCE;
    let came = knocked.and_then(|()| {
        loop {
            match one.receive_indication(until)? {
                Some(data) if data == payload => break Ok(true),
                Some(_) => {}
                None => break Ok(false),
            }
        }
    });
    match came {
        Ok(true) => Ok(true),
        Ok(false) => Err(nothing_came("this host", relay, seen)),
        Err(error) => Err(trouble("outside", &error)),
    }
}

/// Relays were had and nothing came through them.
fn nothing_came(from: &str, relay: SocketAddr, server: SocketAddr) -> Failure {
    let cause = if is_near(relay.ip()) && !is_near(server.ip()) {
        "the relay's address is a private one: network.external = [\"PUBLIC=PRIVATE\"] is missing or wrong"
    } else {
        "the relay's address does not lead to the server (network.external, NAT without hairpin), or a firewall drops UDP to turn.relay-ports"
    };
    Step { name: "relay", cause }.failed(&format!("nothing came from {from} to {relay}"))
}
