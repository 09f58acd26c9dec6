//! RTP through a relay between two ends of each call, of which the called one sends everything back.

mod setup;

use crate::options::Options;
use crate::report::{Tally, measure};
use anyhow::{Result, bail};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A call without progress for this long has lost its packets.
const LOST: Duration = Duration::from_millis(200);
/// Where in a packet the time lies at which it was sent: behind the header of RTP.
const STAMP: std::ops::Range<usize> = 12..20;
/// How long the first packets of a call may take.
const OPENING: Duration = Duration::from_secs(5);

/// One call: the sockets of its ends, connected to where each is told to send.
struct Call {
    caller: UdpSocket,
    called: UdpSocket,
    /// Packets on their way.
    waiting: u64,
    last: Instant,
}

struct Relay {
    poll: Poll,
    calls: Vec<Call>,
    packet: Vec<u8>,
    tally: Tally,
    buffer: Vec<u8>,
    /// Round trips in nanoseconds; at a fixed rate only.
    trips: Vec<u64>,
    /// What times in packets count from.
    start: Instant,
}

/// Relays `units` packets, there and back counted each.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (clients, size) = (options.get("clients", 16usize)?, options.get("size", 160usize)?);
    let mut packet = vec![0xd5; size.max(STAMP.end)];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let poll = Poll::new()?;
    let mut calls = setup::calls(options, clients)?;
    for (number, call) in calls.iter_mut().enumerate() {
        poll.registry().register(&mut call.caller, Token(2 * number), Interest::READABLE)?;
        poll.registry().register(&mut call.called, Token(2 * number + 1), Interest::READABLE)?;
    }
    let (tally, trips, start) = (Tally::default(), vec![], Instant::now());
    let mut relay = Relay { poll, calls, packet, tally, buffer: vec![0; 65_536], trips, start };
    relay.open()?;
    let (units, limit) = (options.get("units", 100_000)?, options.limit()?);
    let (window, rate) = (options.get("window", 32)?, options.get("rate", 0u32)?);
    measure(|| {
        match rate {
            0 => relay.saturate(units, window, limit)?,
            rate => relay.pace(units, rate, limit)?,
        }
        Ok(relay.tally.clone())
    })
}

impl Relay {
    /// Lets the server hear both ends of every call, so that it knows where they are.
    fn open(&mut self) -> Result<()> {
        let end = Instant::now() + OPENING;
        let mut events = Events::with_capacity(1024);
        let mut open = vec![false; self.calls.len()];
        while open.iter().any(|open| !open) {
            if Instant::now() > end {
                bail!("{} calls have no sound", open.iter().filter(|open| !**open).count());
            }
            for call in &mut self.calls {
                // What arrives before the other end is known is dropped.
                sent(call.caller.send(&self.packet))?;
                sent(call.called.send(&self.packet))?;
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(20)))?;
            for event in &events {
                let call = &self.calls[event.token().0 / 2];
                let from_caller = event.token().0 % 2 == 0;
                while receive(if from_caller { &call.caller } else { &call.called }, &mut self.buffer)?
                    .is_some()
                {
                    open[event.token().0 / 2] |= from_caller;
                }
            }
        }
        // What is still on its way belongs to nobody.
        std::thread::sleep(Duration::from_millis(100));
        for call in &self.calls {
            while receive(&call.caller, &mut self.buffer)?.is_some() {}
            while receive(&call.called, &mut self.buffer)?.is_some() {}
        }
        Ok(())
    }

    /// Keeps `window` packets on their way, spread over all calls.
    fn saturate(&mut self, units: u64, window: u64, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        let each = (window / u64::try_from(self.calls.len())?).max(1);
        let mut events = Events::with_capacity(1024);
        let mut swept = Instant::now();
        self.fill(each)?;
        while self.tally.units < units && Instant::now() < end {
            self.poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for event in &events {
                self.read(event.token(), each)?;
            }
            if swept.elapsed() > LOST {
                swept = Instant::now();
                for call in &mut self.calls {
                    if call.waiting > 0 && call.last.elapsed() > LOST {
                        self.tally.failures += std::mem::take(&mut call.waiting);
                    }
                }
                self.fill(each)?;
            }
        }
        Ok(())
    }

    /// Sends at a fixed rate, on one call after the other; looks at the sockets in between without ever sleeping.
    fn pace(&mut self, units: u64, rate: u32, limit: Duration) -> Result<()> {
        self.start = Instant::now();
        // Each packet sent is relayed twice.
        let (pause, sends) = (Duration::from_secs(2) / rate, units / 2);
        let mut events = Events::with_capacity(1024);
        let mut number = 0;
        let end = self.start + limit;
        while self.tally.units < units && Instant::now() < end {
            while number < sends && self.start.elapsed() >= pause * u32::try_from(number)? {
                let call = usize::try_from(number)? % self.calls.len();
                self.send(call)?;
                number += 1;
            }
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                self.read(event.token(), 0)?;
            }
            if number == sends && self.start.elapsed() > pause * u32::try_from(sends)? + LOST {
                break;
            }
        }
        self.tally.failures = (units - self.tally.units.min(units)).div_ceil(2);
        let mut trips = std::mem::take(&mut self.trips);
        self.tally.trips(&mut trips);
        Ok(())
    }

    fn fill(&mut self, each: u64) -> Result<()> {
        for call in 0..self.calls.len() {
            while self.calls[call].waiting < each {
                self.send(call)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, number: usize) -> Result<()> {
        let since = u64::try_from(self.start.elapsed().as_nanos())?;
        self.packet[STAMP].copy_from_slice(&since.to_be_bytes());
        let call = &mut self.calls[number];
        (call.waiting, call.last) = (call.waiting + 1, Instant::now());
        sent(call.caller.send(&self.packet))
    }

    /// Reads all that has come to one end; the called one sends it back. `each`: how many the caller keeps on their way.
    fn read(&mut self, token: Token, each: u64) -> Result<()> {
        let number = token.0 / 2;
        if token.0 % 2 == 1 {
            let called = &self.calls[number].called;
            while let Some(length) = receive(called, &mut self.buffer)? {
                sent(called.send(&self.buffer[..length]))?;
            }
            return Ok(());
        }
        while let Some(length) = receive(&self.calls[number].caller, &mut self.buffer)? {
            self.tally.units += 2;
            let stamp = self.buffer[..length].get(STAMP).and_then(|bytes| bytes.try_into().ok());
            if each == 0
                && let Some(stamp) = stamp.map(u64::from_be_bytes)
            {
                self.trips.push(u64::try_from(self.start.elapsed().as_nanos())?.saturating_sub(stamp));
            }
            let call = &mut self.calls[number];
            call.waiting = call.waiting.saturating_sub(1);
        }
        while self.calls[number].waiting < each {
            self.send(number)?;
        }
        Ok(())
    }
}

/// One datagram, if one is there.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<usize>> {
    match socket.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a full socket refuses is lost, as on any network.
fn sent(result: std::io::Result<usize>) -> Result<()> {
    match result {
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Two sockets on loopback, which nothing is connected to yet.
fn pair() -> Result<(std::net::UdpSocket, std::net::UdpSocket)> {
    let bind = || std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    Ok((bind()?, bind()?))
}
