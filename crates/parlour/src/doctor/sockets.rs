//! Who listens at a port of this host, as the kernel lists it under `/proc`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket that something can come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) datagrams: bool,
    pub(super) address: SocketAddr,
    inode: u64,
}

/// A stream socket that listens, and a datagram socket that is bound and not connected (proc(5)).
const LISTENS: &str = "0A";
const BOUND: &str = "07";

/// Every one of this network namespace.
pub(super) fn all() -> Vec<Socket> {
    let mut all = vec![];
    for (file, datagrams) in [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)] {
        let table = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        all.extend(table.lines().filter_map(|line| read(line, datagrams)));
    }
    all
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`: number, local and remote address, state; the tenth word is the inode.
fn read(line: &str, datagrams: bool) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let address = address(words.nth(1)?)?;
    let state = words.nth(1)?;
    let inode = words.nth(5)?.parse().ok()?;
    let wanted = if datagrams { BOUND } else { LISTENS };
    (state == wanted).then_some(Socket { datagrams, address, inode })
}

/// Words of 32 bits, each in the order of octets of the host.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<u32> = (0..address.len() / 8)
        .map(|n| u32::from_str_radix(address.get(n * 8..n * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let octets: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip: IpAddr = match octets.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Whose sockets these are: `coturn (1234)`, as far as we may know.
pub(super) fn owners(sockets: &[Socket]) -> BTreeMap<u64, String> {
    let mut owners = BTreeMap::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|c| c.is_ascii_digit())) else {
            continue;
        };
        for file in std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let inode =
                target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']')?.parse::<u64>().ok());
            if let Some(inode) = inode.filter(|inode| sockets.iter().any(|socket| socket.inode == *inode)) {
                let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                owners.insert(inode, format!("{} (process {pid})", program.trim()));
            }
        }
    }
    owners
}

impl Socket {
    /// Whose it is.
    pub(super) fn owner(&self, owners: &BTreeMap<u64, String>) -> String {
        owners.get(&self.inode).cloned().unwrap_or_else(|| "a process of another user".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn as_the_kernel_lists_them() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 123456 1 0";
        let socket = read(line, false).unwrap();
        assert_eq!((socket.address, socket.inode), ("127.0.0.1:8080".parse().unwrap(), 123_456));
        assert_eq!(read(line, true), None);
        assert_eq!(address("00000000000000000000000001000000:0D96"), Some("[::1]:3478".parse().unwrap()));
        assert_eq!(read("  sl  local_address rem_address   st tx_queue rx_queue", false), None);
    }
}
