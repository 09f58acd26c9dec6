//! A bare relay for RTP: a port for each end of each call, one system call for each datagram in, and one for each out.

use super::{AT_ONCE, Appetite, LISTENER, socket};
use anyhow::{Context, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// A port, whom it hears, and which other port what it hears leaves by.
struct Port {
    socket: UdpSocket,
    end: SocketAddr,
    twin: usize,
    appetite: Appetite,
}

/// Serves until it is ended. `12000 12002` asks for a relay between two ports of this host; so is the answer.
pub(super) fn serve(at: SocketAddr) -> Result<()> {
    let (listener, events) = (socket(at)?, Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
    events.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let (mut ports, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut ready = vec![EpollEvent::empty(); 256];
    loop {
        let count = events.wait(&mut ready, EpollTimeout::NONE)?;
        for event in &ready[..count] {
            match event.data() {
                LISTENER => ask(&listener, &events, &mut ports, &mut buffer)?,
                number => relay(&mut ports, usize::try_from(number)?, &mut buffer)?,
            }
        }
    }
}

fn ask(listener: &UdpSocket, events: &Epoll, ports: &mut Vec<Port>, buffer: &mut [u8]) -> Result<()> {
    let Ok((length, from)) = listener.recv_from(buffer) else { return Ok(()) };
    let text = std::str::from_utf8(&buffer[..length])?;
    let (caller, called) = text.split_once(' ').context("two ports")?;
    let first = ports.len();
    let mut own = Vec::new();
    for (place, end) in [caller, called].into_iter().enumerate() {
        let socket = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        events.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(first + place)?))?;
        own.push(socket.local_addr()?.port().to_string());
        let end = SocketAddr::from((Ipv4Addr::LOCALHOST, end.parse()?));
        ports.push(Port { socket, end, twin: first + 1 - place, appetite: Appetite::default() });
    }
    listener.send_to(own.join(" ").as_bytes(), from)?;
    Ok(())
}

fn relay(ports: &mut [Port], number: usize, buffer: &mut [u8]) -> Result<()> {
    let quota = ports[number].appetite.quota().min(AT_ONCE);
    let mut found = 0;
    while found < quota {
        let port = &ports[number];
        match port.socket.recv_from(buffer) {
            Ok((length, from)) if from == port.end => {
                let twin = &ports[port.twin];
                // What a full socket refuses is lost, as on any network.
                drop(twin.socket.send_to(&buffer[..length], twin.end));
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                break;
            }
            Err(error) => return Err(error.into()),
        }
        found += 1;
    }
    ports[number].appetite.learn(found);
    Ok(())
}
