//! One system call for each datagram in, and one for each out.

use super::{AT_ONCE, Floor, HEADER, Way};
use anyhow::Result;
use std::io::{ErrorKind, Result as IoResult};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

pub(super) struct Plain {
    buffer: Vec<u8>,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; 65_536] }
    }

    /// One datagram behind `room` octets, if one is there.
    fn receive(&mut self, socket: &UdpSocket, room: usize) -> Result<Option<(usize, SocketAddrV4)>> {
        match socket.recv_from(&mut self.buffer[room..]) {
            Ok((length, SocketAddr::V4(from))) => Ok(Some((length, from))),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a full socket refuses is lost, as on any network.
fn sent(result: IoResult<usize>) {
    drop(result);
}

impl Way for Plain {
    fn read_clients(&mut self, floor: &mut Floor, quota: usize) -> Result<usize> {
        for found in 0..quota.min(AT_ONCE) {
            let Some((length, from)) = self.receive(&floor.listener, 0)? else { return Ok(found) };
            match floor.flow_of(from, &self.buffer[..length]) {
                Some(number) => {
                    let flow = &floor.flows[number];
                    sent(flow.relay.send_to(&self.buffer[HEADER..length], flow.peer));
                }
                None => floor.answer(from, &self.buffer[..length])?,
            }
        }
        Ok(quota)
    }

    fn read_peers(&mut self, floor: &Floor, flow: usize, quota: usize) -> Result<usize> {
        let flow = &floor.flows[flow];
        for found in 0..quota.min(AT_ONCE) {
            let Some((length, _)) = self.receive(&flow.relay, HEADER)? else { return Ok(found) };
            self.buffer[..2].copy_from_slice(&flow.channel);
            self.buffer[2..HEADER].copy_from_slice(&u16::try_from(length)?.to_be_bytes());
            sent(floor.listener.send_to(&self.buffer[..HEADER + length], flow.client));
        }
        Ok(quota)
    }
}
