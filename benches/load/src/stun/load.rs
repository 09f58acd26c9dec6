//! STUN binding requests over UDP.

use crate::options::Options;
use crate::report::{Tally, measure};
use crate::stun::{BINDING, Message, SUCCESS, Writer};
use anyhow::Result;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Keeps `window` requests on their way until `units` are answered.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (units, window) = (options.get("units", 100_000)?, options.get("window", 32)?);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(options.server()?)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let limit = options.limit()?;
    measure(|| {
        let end = Instant::now() + limit;
        let mut tally = Tally::default();
        let mut sent = 0u64;
        let mut bytes = [0; 2048];
        while tally.units + tally.failures < units && Instant::now() < end {
            while sent < units && sent - tally.units - tally.failures < window {
                socket.send(&Writer::new(BINDING, sent).plain())?;
                sent += 1;
            }
            match socket.recv(&mut bytes) {
                Ok(length) => match Message::read(&bytes[..length]) {
                    Some(message) if message.kind() == BINDING | SUCCESS => tally.units += 1,
                    _ => tally.failures += 1,
                },
                // What was on its way is lost.
                Err(_) => tally.failures = sent - tally.units,
            }
        }
        Ok(tally)
    })
}
