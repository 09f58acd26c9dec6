//! The phones' side of the wire: one UDP socket that is every phone, or standing TLS connections, each of which is some.

use crate::digest::Answer;
use crate::options::Options;
use crate::sip::message::{Message, challenge};
use crate::tls::{self, Tls};
use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a phone listens before it looks at what else there is to do.
const LISTEN: Duration = Duration::from_millis(100);

/// All phones of a benchmark.
pub(crate) struct Phone {
    wire: Wire,
    pub(crate) domain: String,
    password: String,
}

enum Wire {
    Datagrams { socket: UdpSocket, here: SocketAddr, buffer: Vec<u8> },
    Streams(Box<Streams>),
}

impl Phone {
    /// Phones as `--tls`, `--clients` and `--rate` say.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let server = options.server()?;
        // Whoever keeps to a rate looks at the clock often.
        let listen = if options.get("rate", 0u32)? > 0 { Duration::from_millis(1) } else { LISTEN };
        let domain = options.domain()?;
        let wire = if options.flag("tls") {
            let count = options.get("clients", 20usize)?;
            Wire::Streams(Box::new(Streams::connect(server, &domain, count, listen)?))
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(listen))?;
            let here = socket.local_addr()?;
            Wire::Datagrams { socket, here, buffer: vec![0; 65536] }
        };
        Ok(Self { wire, domain, password: options.password()? })
    }

    /// Where a phone is.
    pub(crate) fn here(&self, number: usize) -> SocketAddr {
        match &self.wire {
            Wire::Datagrams { here, .. } => *here,
            Wire::Streams(streams) => streams.of(number).here,
        }
    }

    /// What a phone writes into its Via, and behind its contact's address.
    pub(crate) fn transport(&self) -> (&'static str, &'static str) {
        match &self.wire {
            Wire::Datagrams { .. } => ("UDP", ""),
            Wire::Streams(_) => ("TLS", ";transport=tls"),
        }
    }

    /// Lets a phone send a message.
    pub(crate) fn send(&mut self, number: usize, text: &str) -> Result<()> {
        match &mut self.wire {
            Wire::Datagrams { socket, .. } => match socket.send(text.as_bytes()) {
                // A port that was closed before: the error tells of another message.
                Err(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => Err(error.into()),
                _ => Ok(()),
            },
            Wire::Streams(streams) => {
                let place = number % streams.all.len();
                streams.all[place].tls.write(text.as_bytes())
            }
        }
    }

    /// The next message to any phone, `None` when nothing comes for a while.
    pub(crate) fn receive(&mut self) -> Result<Option<String>> {
        match &mut self.wire {
            Wire::Datagrams { socket, buffer, .. } => {
                let Ok(length) = socket.recv(buffer) else { return Ok(None) };
                Ok(String::from_utf8(buffer[..length].to_vec()).ok())
            }
            Wire::Streams(streams) => streams.receive(),
        }
    }

    /// The header field that answers a challenge.
    pub(crate) fn answer(&self, challenge_text: &str, user: &str, method: &str, uri: &str) -> Option<String> {
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

/// One connection, and what has come on it.
struct Stream {
    tls: Tls,
    here: SocketAddr,
    bytes: Vec<u8>,
}

/// Connections that stand.
struct Streams {
    all: Vec<Stream>,
    poll: Poll,
    events: Events,
    listen: Duration,
    came: VecDeque<String>,
}

impl Streams {
    fn connect(server: SocketAddr, domain: &str, count: usize, listen: Duration) -> Result<Self> {
        let config = tls::config("");
        let (poll, events) = (Poll::new()?, Events::with_capacity(1024));
        let mut streams = Self { all: Vec::new(), poll, events, listen, came: VecDeque::new() };
        while streams.all.len() < count {
            let mut tls = Tls::connect(server, domain, &config)?;
            let token = Token(streams.all.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            streams.poll.registry().register(&mut tls.socket, token, interest)?;
            tls.flush()?;
            let here = tls.socket.local_addr()?;
            streams.all.push(Stream { tls, here, bytes: Vec::new() });
            streams.finish(token.0)?;
        }
        Ok(streams)
    }

    fn of(&self, number: usize) -> &Stream {
        &self.all[number % self.all.len()]
    }

    /// Waits until a connection's handshake is done.
    fn finish(&mut self, place: usize) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.all[place].tls.is_ready() {
            ensure!(Instant::now() < end, "a connection was not made in ten seconds");
            self.read()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<String>> {
        if self.came.is_empty() {
            self.read()?;
        }
        Ok(self.came.pop_front())
    }

    fn read(&mut self) -> Result<()> {
        self.poll.poll(&mut self.events, Some(self.listen))?;
        for event in &self.events {
            let stream = &mut self.all[event.token().0];
            let open = stream.tls.read(&mut stream.bytes)?;
            ensure!(open, "the server closed a standing connection");
            while let Some(text) = cut(&mut stream.bytes) {
                self.came.push_back(text);
            }
        }
        Ok(())
    }
}

/// Takes the first whole message off what has come; empty lines are keep-alives.
fn cut(bytes: &mut Vec<u8>) -> Option<String> {
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    bytes.drain(..blank);
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let length = head + Message(text).header("Content-Length").parse::<usize>().unwrap_or(0);
    if bytes.len() < length {
        return None;
    }
    String::from_utf8(bytes.drain(..length).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn messages_are_cut_out_of_a_stream() {
        let mut bytes = b"\r\nSIP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nabSIP/2.0 1".to_vec();
        assert_eq!(cut(&mut bytes).as_deref(), Some("SIP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab"));
        assert_eq!((cut(&mut bytes), bytes.as_slice()), (None, &b"SIP/2.0 1"[..]));
    }
}
