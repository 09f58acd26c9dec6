//! What a STUN server sees of this host (RFC 8489), and by which rule a NAT gives out its ports (RFC 5780 §4.3).

use crate::config::Plan;
use crate::doctor::notes::{Finding, Notes};
use crate::doctor::way::Datagrams;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use stun::attribute::{OtherAddress, XorMappedAddress};
use stun::{Class, Message, Method, TransactionId, Writer};

/// How long an answer may take before the question is sent again.
const PATIENCE: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// The port of STUN.
const PORT: u16 = 3478;

/// What a server has seen.
struct Seen {
    mapped: SocketAddr,
    other: Option<SocketAddr>,
}

pub(super) fn look(plan: &Plan, server: &str, notes: &mut Notes) {
    match ask(plan, server, notes) {
        Ok(()) => {}
        Err(error) => {
            let finding = Finding::warning(
                "stun-silent",
                format!("the STUN server {server} does not say what it sees"),
            );
            let fix = "name another with --stun HOST:PORT, or let UDP out through the firewall";
            notes.found(finding.seen(error.to_string()).mend(fix));
        }
    }
}

fn ask(plan: &Plan, server: &str, notes: &mut Notes) -> io::Result<()> {
    let named = server.parse::<SocketAddr>().map(|address| vec![address]);
    let servers = match named {
        Ok(servers) => servers,
        Err(_) if server.contains(':') && !server.contains('[') => server.to_socket_addrs()?.collect(),
        Err(_) => (server.trim_matches(['[', ']']), PORT).to_socket_addrs()?.collect::<Vec<_>>(),
    };
    let first = *servers.first().ok_or(io::ErrorKind::NotFound)?;
    let socket = Datagrams::bind(if first.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    let seen = binding(&socket, first)?;
    judge(plan, first, seen.mapped, notes);
    if let Some(other) = seen.other {
        match binding(&socket, other) {
            Ok(again) => mapping(seen.mapped, again.mapped, [first, other], notes),
            Err(error) => {
                notes.fine(format!("{other} did not answer, so the NAT's rule is not known: {error}"))
            }
        }
    }
    Ok(())
}

fn judge(plan: &Plan, server: SocketAddr, mapped: SocketAddr, notes: &mut Notes) {
    let public = plan.network.public_addresses();
    let (ip, known) = (mapped.ip(), public.contains(&mapped.ip()));
    if known || !public.iter().any(|address| address.is_ipv6() == ip.is_ipv6()) {
        return notes.fine(format!("{server} sees {ip}, as others are told"));
    }
    let own = plan
        .network
        .external
        .iter()
        .find(|pair| pair.private.is_ipv6() == ip.is_ipv6())
        .map(|pair| pair.private);
    let same_family =
        plan.network.addresses.iter().copied().find(|address| address.is_ipv6() == ip.is_ipv6());
    let own = own.or(same_family).map_or_else(|| "PRIVATE".to_owned(), |own| own.to_string());
    let told: Vec<_> = public.iter().map(ToString::to_string).collect();
    let message = format!("from outside this host is {ip}, and others are told {}", told.join(", "));
    let fix = format!("[network]\nexternal = [\"{ip}={own}\"]");
    notes.found(
        Finding::error("external", message).seen(format!("the STUN server {server} sees {mapped}")).mend(fix),
    );
}

/// The same socket, seen from two addresses.
fn mapping(one: SocketAddr, other: SocketAddr, servers: [SocketAddr; 2], notes: &mut Notes) {
    if one == other {
        return notes
            .fine("a NAT in between, if there is one, keeps a port for all destinations (RFC 4787 §4.1)");
    }
    let message = "the NAT in front of this host gives another port for each destination: relays behind it are not reached";
    let seen = format!("{} sees {one}, {} sees {other}", servers[0], servers[1]);
    let fix = "forward the ports of turn.relay-ports, media.rtp-ports and the listeners one to one, or take a host with a public address";
    notes.found(Finding::warning("nat-symmetric", message).seen(seen).mend(fix));
}

/// What a server sees of this host.
pub(in crate::doctor) fn ask_binding(server: SocketAddr) -> io::Result<SocketAddr> {
    let socket = Datagrams::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    binding(&socket, server).map(|seen| seen.mapped)
}

fn binding(socket: &Datagrams, server: SocketAddr) -> io::Result<Seen> {
    let mut transaction = [0; 12];
    getrandom::fill(&mut transaction).map_err(io::Error::other)?;
    let transaction = TransactionId(transaction);
    let mut request = vec![];
    Writer::new(&mut request, Class::Request, Method::BINDING, transaction).finish();
    for patience in PATIENCE {
        socket.send_to(&request, server)?;
        let until = Instant::now() + patience;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; 2048];
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(seen) = read(&buffer[..length], transaction).filter(|_| from == server) {
                return Ok(seen);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer from {server}")))
}

fn read(answer: &[u8], transaction: TransactionId) -> Option<Seen> {
    let message = Message::parse(answer).ok().filter(|message| message.transaction() == transaction)?;
    let XorMappedAddress(mapped) = message.get().ok().flatten()?;
    let other = message.get().ok().flatten().map(|OtherAddress(other)| other);
    (message.class() == Class::Success).then_some(Seen { mapped, other })
}
