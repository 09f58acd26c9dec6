//! Calls for the relay: by SIP through Parlour, by rtpengine's protocol ("ng"), or by a line of text to a bare forwarder.

use super::{Call, pair};
use crate::options::Options;
use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many calls that stand.
pub(super) fn calls(options: &Options, count: usize) -> Result<Vec<Call>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(options.server()?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut server =
        Server { here: socket.local_addr()?, socket, domain: options.domain()?, salt: std::process::id() };
    let how = options.get("how", "sip".to_owned())?;
    if how == "sip" {
        server.register()?;
    }
    (0..count).map(|number| server.call(&how, number)).collect()
}

struct Server {
    socket: UdpSocket,
    here: SocketAddr,
    domain: String,
    /// Of this process: a server knows what earlier ones used.
    salt: u32,
}

impl Server {
    fn call(&mut self, how: &str, number: usize) -> Result<Call> {
        let (caller, called) = pair()?;
        let ends = [caller.local_addr()?.port(), called.local_addr()?.port()];
        let [to_caller, to_called] = match how {
            "sip" => self.by_sip(number, ends)?,
            "ng" => self.by_ng(number, ends)?,
            "bare" => self.bare(ends)?,
            other => bail!("--how sip, ng or bare, not {other}"),
        };
        for (socket, port) in [(&caller, to_caller), (&called, to_called)] {
            socket.connect(("127.0.0.1", port))?;
            socket.set_nonblocking(true)?;
        }
        let [caller, called] = [caller, called].map(mio::net::UdpSocket::from_std);
        Ok(Call { caller, called, waiting: 0, last: Instant::now() })
    }

    fn hear(&self) -> Result<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).context("no answer")?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The next message whose first line begins so.
    fn expect(&self, begin: &str) -> Result<String> {
        for _ in 0..20 {
            let text = self.hear()?;
            if text.starts_with(begin) {
                return Ok(text);
            }
            if text.starts_with("SIP/2.0 4") || text.starts_with("SIP/2.0 5") {
                bail!("{begin} expected, not {}", text.lines().next().unwrap_or_default());
            }
        }
        bail!("no {begin}")
    }

    /// One socket is every phone; nobody asks for a password here.
    fn register(&self) -> Result<()> {
        let Self { here, domain, salt, .. } = self;
        let text = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKreg{salt}\r\nMax-Forwards: 70\r\n\
             From: <sip:load1@{domain}>;tag=r{salt}\r\nTo: <sip:load1@{domain}>\r\nCall-ID: reg-{salt}@load\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:load1@{here}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(text.as_bytes())?;
        self.expect("SIP/2.0 200").map(drop)
    }

    /// Where each end is told to send.
    fn by_sip(&mut self, number: usize, [caller, called]: [u16; 2]) -> Result<[u16; 2]> {
        let Self { here, domain, salt, .. } = &*self;
        let offer = sdp(caller);
        let invite = format!(
            "INVITE sip:load1@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKi{salt}n{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load0@{domain}>;tag=a{number}\r\nTo: <sip:load1@{domain}>\r\n\
             Call-ID: {number}-{salt}@rtp\r\nCSeq: 1 INVITE\r\nContact: <sip:load0@{here}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        self.socket.send(invite.as_bytes())?;
        let asked = self.expect("INVITE")?;
        let answer = sdp(called);
        let mut reply = String::from("SIP/2.0 200 OK\r\n");
        for line in asked.lines() {
            let repeated = ["Via:", "Record-Route:", "From:", "Call-ID:", "CSeq:"];
            if repeated.iter().any(|name| line.starts_with(name)) {
                reply.extend([line, "\r\n"]);
            } else if line.starts_with("To:") {
                reply.extend([line, ";tag=b\r\n"]);
            }
        }
        reply += &format!(
            "Contact: <sip:load1@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        self.socket.send(reply.as_bytes())?;
        let answered = self.expect("SIP/2.0 200")?;
        let routes: Vec<&str> = answered.lines().filter_map(|l| l.strip_prefix("Record-Route: ")).collect();
        let routes: String = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
        let ack = format!(
            "ACK sip:load1@{here} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bKa{salt}n{number}\r\n\
             Max-Forwards: 70\r\n{routes}From: <sip:load0@{domain}>;tag=a{number}\r\nTo: <sip:load1@{domain}>;tag=b\r\n\
             Call-ID: {number}-{salt}@rtp\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(ack.as_bytes())?;
        self.expect("ACK")?;
        Ok([port(&answered)?, port(&asked)?])
    }

    /// rtpengine's protocol: a cookie, and a dictionary in bencode.
    fn by_ng(&mut self, number: usize, [caller, called]: [u16; 2]) -> Result<[u16; 2]> {
        let call = format!("{number}-{}", self.salt);
        let ask = |command: &str, sdp: &str, more: &str| -> Result<u16> {
            let text = format!(
                "{call}{command} d7:call-id{}:{call}7:command{}:{command}8:from-tag1:a3:sdp{}:{sdp}{more}e",
                call.len(),
                command.len(),
                sdp.len()
            );
            self.socket.send(text.as_bytes())?;
            port(&self.hear()?)
        };
        let to_called = ask("offer", &sdp(caller), "")?;
        let to_caller = ask("answer", &sdp(called), "6:to-tag1:b")?;
        Ok([to_caller, to_called])
    }

    fn bare(&mut self, [caller, called]: [u16; 2]) -> Result<[u16; 2]> {
        self.socket.send(format!("{caller} {called}").as_bytes())?;
        let text = self.hear()?;
        let (to_caller, to_called) = text.split_once(' ').context("two ports")?;
        Ok([to_caller.parse()?, to_called.parse()?])
    }
}

fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
    )
}

/// The port for sound in a message's description.
fn port(text: &str) -> Result<u16> {
    let rest = text.split("m=audio ").nth(1).with_context(|| format!("no sound in {text}"))?;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}
