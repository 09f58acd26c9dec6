//! A room (XEP-0045): all enter, and take turns to speak; each delivery to an occupant is a unit.

use super::client::Client;
use super::{House, gather, message};
use crate::options::Options;
use crate::report::{Tally, measure};
use anyhow::{Result, bail, ensure};
use mio::Events;
use std::time::{Duration, Instant};

/// How long it may take until a room is there, and until somebody is in it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets `clients` occupants of one room say things, `window` at a time, until `units` were delivered.
pub(crate) fn run(options: &Options) -> Result<()> {
    let clients = options.get("clients", 100usize)?;
    let (units, window) = (options.get("units", 100_000u64)?, options.get("window", 4usize)?);
    let mut house = House::new(options)?;
    let host = options.get("rooms", format!("rooms.{}", house.domain))?;
    let room = format!("bench@{host}");
    let mut clients = gather(&mut house, clients, Duration::from_secs(60))?;
    for i in 0..clients.len() {
        enter(&mut house, &mut clients, i, &room)?;
    }
    quiet(&mut house, &mut clients)?;
    let limit = options.limit()?;
    measure(|| {
        let mut tally = Tally::default();
        let (end, occupants) = (Instant::now() + limit, clients.len() as u64);
        let said = message(&room, "groupchat", options.get("size", 250)?);
        let mut speaker = 0;
        let mut speak = |clients: &mut Vec<Client>| {
            speaker = (speaker + 1) % clients.len();
            clients[speaker].send(said.as_bytes())
        };
        (0..window).try_for_each(|_| speak(&mut clients))?;
        let mut events = Events::with_capacity(1024);
        let mut answered = 0;
        while tally.units < units && Instant::now() < end {
            house.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                tally.units += clients[event.token().0].messages()?;
            }
            // As many stay on their way.
            while answered < tally.units / occupants {
                answered += 1;
                speak(&mut clients)?;
            }
        }
        tally.failures = units.saturating_sub(tally.units);
        Ok(tally)
    })
}

/// One goes in; the first makes the room.
fn enter(house: &mut House, clients: &mut [Client], i: usize, room: &str) -> Result<()> {
    let join = "<x xmlns='http://jabber.org/protocol/muc'/>";
    clients[i].send(format!("<presence to='{room}/n{i}'>{join}</presence>").as_bytes())?;
    wait(house, clients, i, "110")?;
    if i > 0 {
        return Ok(());
    }
    let form = "<x xmlns='jabber:x:data' type='submit'/>";
    let owner = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>");
    clients[i].send(format!("<iq to='{room}' type='set' id='made'>{owner}</iq>").as_bytes())?;
    wait(house, clients, i, "made")
}

/// Until somebody has heard a word; what others hear is forgotten.
fn wait(house: &mut House, clients: &mut [Client], i: usize, word: &str) -> Result<()> {
    let (end, mut events) = (Instant::now() + PATIENCE, Events::with_capacity(1024));
    while Instant::now() < end {
        house.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let number = event.token().0;
            if number != i {
                clients[number].messages()?;
            }
        }
        if clients[i].hears(word)? {
            return Ok(());
        }
    }
    bail!("client {i} does not hear {word}: {}", clients[i].last())
}

/// Until nobody hears anything any more.
fn quiet(house: &mut House, clients: &mut [Client]) -> Result<()> {
    let (end, mut events) = (Instant::now() + PATIENCE, Events::with_capacity(1024));
    loop {
        ensure!(Instant::now() < end, "the room does not come to rest");
        house.poll.poll(&mut events, Some(Duration::from_millis(500)))?;
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            clients[event.token().0].messages()?;
        }
    }
}
