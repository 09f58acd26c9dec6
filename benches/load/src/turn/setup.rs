//! Allocations: how much one costs to make and release, and what it holds while it is idle.

use crate::options::Options;
use crate::report::{Tally, measure};
use crate::stun::{ALLOCATE, REQUESTED_TRANSPORT, Writer};
use crate::turn::{Client, House, Step};
use anyhow::{Result, ensure};
use mio::{Events, Poll, Token};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How many clients may wait for an answer at once.
const AT_ONCE: usize = 64;

/// Where channels lead to when nothing is sent through them.
fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// Makes and releases `units` allocations, `window` at a time.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 5000usize)?, options.get("window", 16usize)?);
    let house = House::read(options, nobody())?;
    let limit = options.limit()?;
    measure(|| {
        let mut tally = Tally::default();
        let end = Instant::now() + limit;
        let mut row = Row::new(&house, window, units)?;
        while row.busy() && Instant::now() < end {
            row.turn(&mut tally, true)?;
        }
        Ok(tally)
    })
}

/// Holds `clients` allocations until it may let go.
pub(crate) fn idle(options: &Options) -> Result<()> {
    let clients = options.get("clients", 1000)?;
    let house = House::read(options, nobody())?;
    let limit = options.limit()?;
    let mut held = Vec::new();
    measure(|| {
        held = allocate(&house, clients, limit)?.1;
        Ok(Tally { units: u64::try_from(clients)?, ..Tally::default() })
    })
}

/// Asks for `units` allocations without a credential, each from an address of its own, and holds nothing: what grows, grows
/// on the other side. Who gets no answer was turned away in silence, which is as good.
pub(crate) fn strangers(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 20_000usize)?, options.get("window", 64usize)?);
    let (server, limit) = (options.server()?, options.limit()?);
    measure(|| {
        let mut tally = Tally::default();
        let end = Instant::now() + limit;
        for first in (0..units).step_by(window) {
            let mut asked = Vec::with_capacity(window);
            for number in first..units.min(first + window) {
                let socket = UdpSocket::bind(stranger(number))?;
                socket.set_read_timeout(Some(Duration::from_millis(20)))?;
                let request = Writer::new(ALLOCATE, u64::try_from(number)?);
                socket.send_to(&request.attribute(REQUESTED_TRANSPORT, &[17, 0, 0, 0]).plain(), server)?;
                asked.push(socket);
            }
            let answered = asked.iter().filter(|socket| socket.recv(&mut [0; 2048]).is_ok()).count();
            tally.units += u64::try_from(asked.len())?;
            tally.again += u64::try_from(asked.len() - answered)?;
            if Instant::now() > end {
                break;
            }
        }
        Ok(tally)
    })
}

/// An address of the loopback network for each, none of which is that of a client.
fn stranger(number: usize) -> SocketAddr {
    let [.., high, middle, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    SocketAddr::from(([127, 251 + high % 4, middle, low], 0))
}

/// `clients` clients with a bound channel each, their tokens from 0.
pub(crate) fn allocate(house: &House, clients: usize, limit: Duration) -> Result<(Poll, Vec<Client>)> {
    let mut tally = Tally::default();
    let end = Instant::now() + limit;
    let mut row = Row::new(house, clients, clients)?;
    let settled = |row: &Row<'_>| {
        row.started == clients && row.slots.iter().flatten().all(|client| client.step == Step::Bound)
    };
    while !settled(&row) && Instant::now() < end {
        row.turn(&mut tally, false)?;
    }
    let ready = row.slots.iter().flatten().filter(|client| client.step == Step::Bound).count();
    ensure!(ready == clients, "only {ready} of {clients} allocations were granted");
    Ok((row.poll, row.slots.into_iter().flatten().collect()))
}

/// Clients side by side, one in each slot.
struct Row<'a> {
    house: &'a House,
    poll: Poll,
    events: Events,
    slots: Vec<Option<Client>>,
    started: usize,
    units: usize,
    swept: Instant,
    buffer: Vec<u8>,
}

impl<'a> Row<'a> {
    fn new(house: &'a House, slots: usize, units: usize) -> Result<Self> {
        let slots = (0..slots.min(units)).map(|_| None).collect();
        let (poll, events) = (Poll::new()?, Events::with_capacity(1024));
        Ok(Self {
            house,
            poll,
            events,
            slots,
            started: 0,
            units,
            swept: Instant::now(),
            buffer: vec![0; 65536],
        })
    }

    fn busy(&self) -> bool {
        self.started < self.units || self.slots.iter().any(Option::is_some)
    }

    /// Fills empty slots, waits for answers, and deals with them.
    fn turn(&mut self, tally: &mut Tally, release: bool) -> Result<()> {
        self.fill()?;
        self.poll.poll(&mut self.events, Some(Duration::from_millis(100)))?;
        for event in &self.events {
            let Token(slot) = event.token();
            let Some(client) = self.slots.get_mut(slot).and_then(Option::as_mut) else { continue };
            client.readable(self.house, &mut self.buffer)?;
            match client.step {
                Step::Bound if release => client.release(self.house)?,
                Step::Released => {
                    tally.units += 1;
                    self.slots[slot] = None;
                }
                Step::Failed => {
                    tally.failures += 1;
                    self.slots[slot] = None;
                }
                _ => {}
            }
        }
        self.remind(tally)
    }

    /// Starts clients in empty slots. Few at a time: a burst would only overflow the server's socket.
    fn fill(&mut self) -> Result<()> {
        let mut busy = self.slots.iter().flatten().filter(|client| client.step != Step::Bound).count();
        for slot in 0..self.slots.len() {
            if self.started == self.units || busy == AT_ONCE {
                break;
            }
            if self.slots[slot].is_none() {
                self.slots[slot] = Some(Client::start(self.house, self.started, &self.poll, Token(slot))?);
                self.started += 1;
                busy += 1;
            }
        }
        Ok(())
    }

    fn remind(&mut self, tally: &mut Tally) -> Result<()> {
        if self.swept.elapsed() > Duration::from_millis(250) {
            self.swept = Instant::now();
            for client in self.slots.iter_mut().flatten() {
                tally.again += u64::from(client.remind()?);
            }
        }
        Ok(())
    }
}
