//! ChannelData to a peer that sends everything back, as fast as it goes or at a fixed rate.

use crate::options::Options;
use crate::report::{Tally, measure};
use crate::turn::{CHANNEL, Client, House, Link, setup};
use anyhow::Result;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A flow without progress for this long has lost its packets.
const LOST: Duration = Duration::from_millis(200);
/// Where in a packet the time lies at which it was sent: behind the header.
const STAMP: std::ops::Range<usize> = 4..12;

/// Relays `units` packets, there and back counted each.
pub(crate) fn run(options: &Options) -> Result<()> {
    let clients = options.get("clients", 16usize)?;
    let mut peer = UdpSocket::bind(options.get("peer", SocketAddr::from(([127, 0, 0, 1], 0)))?)?;
    let house = House::read(options, peer.local_addr()?)?;
    let (poll, clients) = setup::allocate(&house, clients, Duration::from_secs(30))?;
    let echo = Token(clients.len());
    poll.registry().register(&mut peer, echo, Interest::READABLE)?;
    let size = options.get("size", 160u16)?;
    let mut packet = [&CHANNEL[..], &size.to_be_bytes()].concat();
    packet.resize(4 + usize::from(size).next_multiple_of(4), 0xd5);
    if house.tls.is_none() {
        packet.truncate(4 + usize::from(size));
    }
    let flows = clients.into_iter().map(|client| Flow { client, waiting: 0, last: Instant::now() }).collect();
    let mut relay = Relay {
        house,
        poll,
        peer,
        echo,
        flows,
        packet,
        tally: Tally::default(),
        buffer: vec![0; 65536],
        trips: vec![],
        start: Instant::now(),
    };
    let (units, limit) = (options.get("units", 100_000)?, options.limit()?);
    let (window, rate) = (options.get("window", 32)?, options.get("rate", 0u32)?);
    let burst = options.get("burst", 1u64)?.max(1);
    measure(|| {
        if rate == 0 {
            relay.saturate(units, window, limit)?
        } else {
            relay.pace(units, rate, burst, limit)?
        }
        Ok(relay.tally.clone())
    })
}

struct Flow {
    client: Client,
    /// Packets on their way.
    waiting: u64,
    last: Instant,
}

struct Relay {
    house: House,
    poll: Poll,
    peer: UdpSocket,
    echo: Token,
    flows: Vec<Flow>,
    packet: Vec<u8>,
    tally: Tally,
    buffer: Vec<u8>,
    /// Round trips in nanoseconds; at a fixed rate only.
    trips: Vec<u64>,
    /// What times in packets count from.
    start: Instant,
}

impl Relay {
    /// Keeps `window` packets on their way, spread over all flows.
    fn saturate(&mut self, units: u64, window: u64, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        let each = (window / u64::try_from(self.flows.len())?).max(1);
        let mut events = Events::with_capacity(1024);
        let mut swept = Instant::now();
        self.fill(each)?;
        while self.tally.units < units && Instant::now() < end {
            self.poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for event in &events {
                if event.token() == self.echo { self.send_back()? } else { self.take(event.token().0, each)? }
            }
            if swept.elapsed() > LOST {
                swept = Instant::now();
                self.forget_lost();
                self.fill(each)?;
            }
        }
        Ok(())
    }

    /// Sends at a fixed rate, `burst` packets on one flow and then on the next; looks at the sockets in between without
    /// ever sleeping.
    fn pace(&mut self, units: u64, rate: u32, burst: u64, limit: Duration) -> Result<()> {
        self.start = Instant::now();
        // Each packet sent is relayed twice.
        let (pause, sends) = (Duration::from_secs(2) / rate, units / 2);
        let whole = pause * u32::try_from(sends)?;
        self.trips.reserve(usize::try_from(sends)?);
        let mut events = Events::with_capacity(1024);
        let mut sent = 0u64;
        while (sent < sends || self.start.elapsed() < whole + LOST) && self.start.elapsed() < limit {
            while sent < sends && self.start.elapsed() >= pause * u32::try_from(sent / burst * burst)? {
                let flow = usize::try_from(sent / burst)? % self.flows.len();
                self.stamp()?;
                self.flows[flow].client.send(&self.packet)?;
                self.flows[flow].waiting += 1;
                sent += 1;
            }
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                if event.token() == self.echo { self.send_back()? } else { self.take(event.token().0, 0)? }
            }
        }
        self.tally.failures += units.saturating_sub(self.tally.units);
        self.tally.trips(&mut self.trips);
        Ok(())
    }

    /// Writes the time into the packet.
    fn stamp(&mut self) -> Result<()> {
        let now = u64::try_from(self.start.elapsed().as_nanos())?;
        self.packet[STAMP].copy_from_slice(&now.to_be_bytes());
        Ok(())
    }

    /// Sends on every flow until `each` packets are on their way.
    fn fill(&mut self, each: u64) -> Result<()> {
        for flow in &mut self.flows {
            while flow.waiting < each {
                flow.client.send(&self.packet)?;
                flow.waiting += 1;
            }
        }
        Ok(())
    }

    /// Takes what has come on one flow, and sends on it as much.
    fn take(&mut self, number: usize, each: u64) -> Result<()> {
        let flow = &mut self.flows[number];
        if matches!(flow.client.link, Link::Udp(_)) {
            // Nothing can be there beyond what is on its way: no call only to learn that.
            while flow.waiting > 0 && flow.client.receive(&mut self.buffer)?.is_some() {
                flow.waiting -= 1;
                self.tally.units += 1;
                if each == 0 {
                    let sent = u64::from_be_bytes(self.buffer[STAMP].try_into()?);
                    self.trips.push(u64::try_from(self.start.elapsed().as_nanos())?.saturating_sub(sent));
                }
            }
        } else {
            flow.client.readable(&self.house, &mut self.buffer)?;
            let data = std::mem::take(&mut flow.client.data);
            self.tally.units += data;
            flow.waiting = flow.waiting.saturating_sub(data);
        }
        flow.last = Instant::now();
        while flow.waiting < each {
            flow.client.send(&self.packet)?;
            flow.waiting += 1;
        }
        Ok(())
    }

    /// The peer sends back what it was sent.
    fn send_back(&mut self) -> Result<()> {
        loop {
            match self.peer.recv_from(&mut self.buffer) {
                Ok((length, from)) => {
                    self.tally.units += 1;
                    // What a full socket refuses is lost, as on any network.
                    let _ = self.peer.send_to(&self.buffer[..length], from);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn forget_lost(&mut self) {
        for flow in &mut self.flows {
            if flow.last.elapsed() > LOST {
                self.tally.failures += std::mem::take(&mut flow.waiting);
                flow.last = Instant::now();
            }
        }
    }
}
