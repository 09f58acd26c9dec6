//! The least that SIP can cost: one socket, one system call for each datagram in and out, a look for the lines that change.
//! It keeps where a user registered from, believes every password, forwards without transactions, and sends nothing twice.

use crate::sip::message::Message;
use anyhow::{Context, Result};
use rustc_hash::FxHashMap;
use std::net::{SocketAddr, UdpSocket};

/// A server that forwards.
pub(super) struct Forwarder {
    socket: UdpSocket,
    here: SocketAddr,
    users: FxHashMap<String, SocketAddr>,
    /// Whether calls are asked for a password.
    asks: bool,
}

impl Forwarder {
    pub(super) fn new(socket: UdpSocket, asks: bool) -> Result<Self> {
        let here = socket.local_addr()?;
        Ok(Self { socket, here, users: FxHashMap::default(), asks })
    }

    pub(super) fn serve(&mut self) -> Result<()> {
        let mut buffer = vec![0; 65_536];
        loop {
            // A port that was closed before.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
            if let Some((bytes, to)) = self.answer(text, from) {
                // What a full socket refuses is lost, as on any network.
                let _ = self.socket.send_to(bytes.as_bytes(), to);
            }
        }
    }

    /// What leaves because of a message, and to whom.
    fn answer(&mut self, text: &str, from: SocketAddr) -> Option<(String, SocketAddr)> {
        let message = Message(text);
        match message.method() {
            "SIP/2.0" => returned(text),
            "OPTIONS" => Some((reply(message, "200 OK", ""), from)),
            "REGISTER" => Some((self.register(message, from)?, from)),
            "INVITE" if self.asks && message.header("Proxy-Authorization").is_empty() => {
                let line = "407 Proxy Authentication Required";
                Some((reply(message, line, &challenge("Proxy-Authenticate")), from))
            }
            // That of a 407 of ours.
            "ACK" if message.header("Route").is_empty() => None,
            _ => self.forward(text),
        }
    }

    fn register(&mut self, message: Message<'_>, from: SocketAddr) -> Option<String> {
        if self.asks && message.header("Authorization").is_empty() {
            return Some(reply(message, "401 Unauthorized", &challenge("WWW-Authenticate")));
        }
        let contact = message.header("Contact");
        self.users.insert(user(message.header("To"))?.to_owned(), from);
        Some(reply(message, "200 OK", &format!("Contact: {contact};expires=3600\r\n")))
    }

    /// A request with our Via, without our Route; the first of a dialog with our Record-Route.
    fn forward(&self, text: &str) -> Option<(String, SocketAddr)> {
        let (line, rest) = text.split_once("\r\n")?;
        let uri = line.split(' ').nth(1)?;
        let here = self.here;
        let to = match uri.rsplit('@').next()?.parse() {
            Ok(address) => address,
            Err(_) => *self.users.get(user(uri)?)?,
        };
        let mut out = String::with_capacity(text.len() + 256);
        let branch = Message(text).header("Via").rsplit("branch=").next()?.split(';').next()?;
        out.extend([line, "\r\nVia: SIP/2.0/UDP ", &here.to_string(), ";branch=", branch, "f\r\n"]);
        if line.starts_with("INVITE") {
            out.extend(["Record-Route: <sip:", &here.to_string(), ";lr>\r\n"]);
        }
        for line in rest.split_inclusive("\r\n") {
            if !line.starts_with("Route:") {
                out.push_str(line);
            }
        }
        Some((out, to))
    }
}

/// A response without our Via, and where the next one sends it.
fn returned(text: &str) -> Option<(String, SocketAddr)> {
    let (line, rest) = text.split_once("\r\n")?;
    let (_, rest) = rest.split_once("\r\n")?;
    let via = rest.split("\r\n").find_map(|line| line.strip_prefix("Via: "))?;
    let to = via.split([' ', ';']).nth(1)?.parse().ok()?;
    let mut out = String::with_capacity(text.len());
    out.extend([line, "\r\n", rest]);
    Some((out, to))
}

fn reply(message: Message<'_>, line: &str, more: &str) -> String {
    let mut out = String::with_capacity(1024);
    out.extend(["SIP/2.0 ", line, "\r\n"]);
    message.headers("Via").for_each(|via| out.extend(["Via: ", via, "\r\n"]));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" { ";tag=floor" } else { "" };
        out.extend([name, ": ", message.header(name), tag, "\r\n"]);
    }
    out.extend([more, "Content-Length: 0\r\n\r\n"]);
    out
}

fn challenge(name: &str) -> String {
    format!(
        "{name}: Digest realm=\"bench.example\", nonce=\"0123456789abcdef\", algorithm=MD5, qop=\"auth\"\r\n"
    )
}

/// The user part of the first sip URI in a text.
fn user(text: &str) -> Option<&str> {
    text.split_once("sip:")?.1.split('@').next()
}

/// Makes it.
pub(super) fn run(socket: UdpSocket, asks: bool) -> Result<()> {
    socket.set_nonblocking(false)?;
    Forwarder::new(socket, asks).context("a socket")?.serve()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:load1@bench.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:7;branch=z9hG4bKx\r\n\
        Proxy-Authorization: Digest\r\nTo: <sip:load1@bench.example>\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_request_goes_there_and_its_response_comes_back() {
        let mut floor = Forwarder::new(UdpSocket::bind("127.0.0.1:0").unwrap(), true).unwrap();
        let [caller, called] = ["127.0.0.1:7", "127.0.0.1:8"].map(|text| text.parse::<SocketAddr>().unwrap());
        let register = "REGISTER sip:bench.example SIP/2.0\r\nTo: <sip:load1@bench.example>\r\n\
            Authorization: Digest\r\nContact: <sip:load1@127.0.0.1:8>\r\n\r\n";
        assert!(floor.answer(register, called).unwrap().0.starts_with("SIP/2.0 200"));
        let (request, to) = floor.answer(INVITE, caller).unwrap();
        assert_eq!((to, request.matches("Via: ").count()), (called, 2));
        let (_, lines) = request.split_once("\r\n").unwrap();
        let (response, back) = floor.answer(&format!("SIP/2.0 200 OK\r\n{lines}"), called).unwrap();
        assert_eq!((back, response.matches("Via: ").count()), (caller, 1));
    }
}
