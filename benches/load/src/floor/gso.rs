//! `recvmmsg` in; out, what goes to one address in equal sizes as one message that the kernel cuts up (UDP GSO).

use super::{AT_ONCE, Floor, HEADER, Way};
use anyhow::Result;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg};
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

/// From one buffer to the next: no power of two, so that their beginnings do not compete for places in the cache.
const STRIDE: usize = 65_536 + 6 * 64;

/// A datagram that has come: where it lies and who sent it.
#[derive(Clone, Copy)]
struct Arrived {
    at: usize,
    length: usize,
    from: SocketAddrV4,
    /// The flow it belongs to, once that is known.
    flow: usize,
}

pub(super) struct Gso {
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
    arrived: Vec<Arrived>,
}

impl Gso {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; AT_ONCE * STRIDE],
            headers: MultiHeaders::preallocate(AT_ONCE, None),
            arrived: Vec::with_capacity(AT_ONCE),
        }
    }

    /// Reads at most `quota` datagrams, each behind room for a header; how many there were.
    fn receive(&mut self, socket: &UdpSocket, quota: usize) -> Result<usize> {
        self.arrived.clear();
        let mut chunks = self.bytes.chunks_mut(STRIDE);
        let mut parts: [_; AT_ONCE] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().map_or(&mut [], |c| &mut c[HEADER..]))]);
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(socket.as_raw_fd(), &mut self.headers, parts[..quota].iter_mut(), flags, None) {
            Ok(all) => {
                for (i, one) in all.enumerate() {
                    let from = one.address.map(|from| SocketAddrV4::new(from.ip(), from.port()));
                    let (at, length) = (i * STRIDE, one.bytes);
                    self.arrived.extend(from.map(|from| Arrived { at, length, from, flow: usize::MAX }));
                }
            }
            Err(Errno::EAGAIN | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.arrived.len())
    }
}

/// Sends datagrams to one address: those of one size, and a shorter one at the end, as one message.
fn send(socket: &UdpSocket, to: SocketAddrV4, mut parts: &[IoSlice<'_>]) {
    let (fd, to) = (socket.as_raw_fd(), SockaddrIn::from(to));
    while let Some(first) = parts.first() {
        let size = first.len();
        let same = parts.iter().take_while(|part| part.len() == size).count();
        let count = (same + usize::from(parts.get(same).is_some_and(|next| next.len() < size)))
            .min(64)
            .min((65_000 / size.max(1)).max(1));
        let segment = u16::try_from(size).unwrap_or(u16::MAX);
        let cut = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if count > 1 { &cut[..] } else { &[] };
        // What a full socket refuses is lost, as on any network.
        let _ = sendmsg(fd, &parts[..count], control, MsgFlags::MSG_DONTWAIT, Some(&to));
        parts = &parts[count..];
    }
}

impl Way for Gso {
    fn read_clients(&mut self, floor: &mut Floor, quota: usize) -> Result<usize> {
        let count = self.receive(&floor.listener, quota)?;
        for one in &mut self.arrived {
            let bytes = &self.bytes[one.at + HEADER..][..one.length];
            match floor.flow_of(one.from, bytes) {
                Some(number) => one.flow = number,
                None => floor.answer(one.from, bytes)?,
            }
        }
        self.arrived.retain(|one| one.flow != usize::MAX);
        self.arrived.sort_by_key(|one| one.flow);
        for run in self.arrived.chunk_by(|a, b| a.flow == b.flow) {
            let mut parts = [IoSlice::new(&[]); AT_ONCE];
            for (part, one) in parts.iter_mut().zip(run) {
                // Behind the room, and behind the header that came.
                *part = IoSlice::new(&self.bytes[one.at + 2 * HEADER..one.at + HEADER + one.length]);
            }
            let flow = &floor.flows[run[0].flow];
            send(&flow.relay, flow.peer, &parts[..run.len()]);
        }
        Ok(count)
    }

    fn read_peers(&mut self, floor: &Floor, flow: usize, quota: usize) -> Result<usize> {
        let flow = &floor.flows[flow];
        let count = self.receive(&flow.relay, quota)?;
        for one in &self.arrived {
            let header = &mut self.bytes[one.at..][..HEADER];
            header[..2].copy_from_slice(&flow.channel);
            header[2..].copy_from_slice(&u16::try_from(one.length)?.to_be_bytes());
        }
        let mut parts = [IoSlice::new(&[]); AT_ONCE];
        for (part, one) in parts.iter_mut().zip(&self.arrived) {
            *part = IoSlice::new(&self.bytes[one.at..][..HEADER + one.length]);
        }
        send(&floor.listener, flow.client, &parts[..count]);
        Ok(count)
    }
}
