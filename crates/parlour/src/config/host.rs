//! Which addresses this host has, as the Linux kernel lists them under `/proc/net`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// This host's addresses that others can reach: neither loopback nor link-local. IPv4 first.
pub fn addresses() -> Vec<IpAddr> {
    listed(UNSTEADY)
}

/// The same with IPv6 addresses that come and go.
pub fn all_addresses() -> Vec<IpAddr> {
    listed(0)
}

fn listed(without: u32) -> Vec<IpAddr> {
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let v4 = local_v4(&v4).into_iter().map(IpAddr::V4);
    v4.chain(local_v6(&v6, without).into_iter().map(IpAddr::V6)).collect()
}

/// Whether this host has `address`, loopback included.
pub fn has(address: IpAddr) -> bool {
    address.is_loopback() || addresses().contains(&address)
}

/// The addresses in front of the lines `/32 host LOCAL`.
fn local_v4(trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.filter(|a: &Ipv4Addr| !a.is_loopback() && !a.is_link_local()));
        }
    }
    found
}

/// Temporary, deprecated, tentative and failed addresses (`IFA_F_*`) come and go, so they are not named to others.
const UNSTEADY: u32 = 0x01 | 0x08 | 0x20 | 0x40;

/// Lines of address, interface number, prefix length, scope (00 is global), flags, name.
fn local_v6(table: &str, without: u32) -> BTreeSet<Ipv6Addr> {
    let steady = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        let scope = words.nth(2)?;
        let flags = u32::from_str_radix(words.next()?, 16).ok()?;
        (scope == "00" && flags & without == 0).then_some(Ipv6Addr::from(address))
    };
    table.lines().filter_map(steady).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n        |-- 127.0.0.1\n           /32 host LOCAL\n        |-- 192.0.2.2\n           /32 host LOCAL\n        |-- 192.0.2.255\n           /32 link BROADCAST\n";
        assert_eq!(local_v4(trie).into_iter().collect::<Vec<_>>(), [Ipv4Addr::new(192, 0, 2, 2)]);
        let table = "20010db8000000000000000000000002 04 40 00 80     eth0\n\
                     20010db8000000000000000000000003 04 40 00 01     eth0\n\
                     00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n";
        let expected: Ipv6Addr = "2001:db8::2".parse().expect("valid");
        assert_eq!(local_v6(table, UNSTEADY).into_iter().collect::<Vec<_>>(), [expected]);
        assert_eq!(local_v6(table, 0).len(), 2, "the temporary one is ours as well");
    }
}
