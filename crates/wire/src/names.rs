//! What is asked about a name and what was found, in the words of whoever asks and whoever answers; and the order in which
//! servers are tried (RFC 2782).

use std::net::IpAddr;

/// What is asked about a name, in lower case and without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Its NAPTR records whose flag is "s" (RFC 3403).
    Naptr(Box<str>),
    /// Its SRV records (RFC 2782).
    Srv(Box<str>),
    /// Its A and AAAA records.
    Addresses(Box<str>),
}

/// A NAPTR record whose flag is "s".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// The lowest first; a higher one does not count where a lower one is understood.
    pub order: u16,
    /// The lowest first, within an order.
    pub preference: u16,
    /// `SIP+D2U` and the like.
    pub service: Box<str>,
    /// Where the SRV records are.
    pub replacement: Box<str>,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// The lowest first.
    pub priority: u16,
    /// How often it comes first among those of its priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name whose addresses count; "." says that there is no such service.
    pub target: Box<str>,
}

/// What was found: of the kind that was asked for, empty where there is nothing, or nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// NAPTR records.
    Naptr(Vec<Naptr>),
    /// SRV records.
    Srv(Vec<Srv>),
    /// Addresses, in the order in which to try them.
    Addresses(Vec<IpAddr>),
}

impl Question {
    /// The answer that there is nothing.
    pub fn nothing(&self) -> Found {
        match self {
            Self::Naptr(_) => Found::Naptr(Vec::new()),
            Self::Srv(_) => Found::Srv(Vec::new()),
            Self::Addresses(_) => Found::Addresses(Vec::new()),
        }
    }
}

impl Srv {
    /// Whether it leads to a server.
    pub fn leads_somewhere(&self) -> bool {
        self.port != 0 && !matches!(&*self.target, "." | "")
    }

    /// Its host as names are compared: in lower case, without the dot at its end.
    pub fn host(&self) -> Box<str> {
        self.target.trim_end_matches('.').to_ascii_lowercase().into()
    }
}

/// The servers in the order in which to try them, so many at most: by priority, and by chance and weight within one
/// (RFC 2782). Records that deny the service are no servers.
pub fn in_order(records: &[Srv], mut random: u64, most: usize) -> Vec<&Srv> {
    let mut left: Vec<&Srv> = records.iter().filter(|record| record.leads_somewhere()).collect();
    left.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while ordered.len() < most
        && let Some(first) = left.first()
    {
        let same = left.iter().take_while(|record| record.priority == first.priority).count();
        let total: u64 = left[..same].iter().map(|record| u64::from(record.weight)).sum();
        let mut wanted = next(&mut random) % (total + 1);
        let chosen = left[..same].iter().position(|record| {
            let within = wanted <= u64::from(record.weight);
            wanted = wanted.saturating_sub(u64::from(record.weight));
            within
        });
        ordered.push(left.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// SplitMix64: one number of chance gives as many as are needed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
        Srv { priority, weight, port, target: target.into() }
    }

    fn ports(records: &[Srv], random: u64) -> Vec<u16> {
        in_order(records, random, 8).iter().map(|record| record.port).collect()
    }

    #[test]
    fn priorities_are_kept_and_weights_are_shares() {
        let records = [srv(20, 9, 3, "c"), srv(10, 30, 1, "a"), srv(10, 10, 2, "b")];
        let mut first = [0_u32; 4];
        for random in 0..4000 {
            let ports = ports(&records, random);
            assert_eq!((ports.len(), ports[2]), (3, 3));
            first[usize::from(ports[0])] += 1;
        }
        assert!((2700..3300).contains(&first[1]), "three of four: {first:?}");
    }

    #[test]
    fn a_weight_of_nothing_is_chosen_now_and_then() {
        let records = [srv(1, 0, 1, "a"), srv(1, 9, 2, "b")];
        let first = (0..4000).filter(|random| ports(&records, *random)[0] == 1).count();
        assert!((200..700).contains(&first), "one of ten: {first}");
        let equal = [srv(1, 0, 1, "a"), srv(1, 0, 2, "b"), srv(1, 0, 3, "c")];
        assert_eq!(ports(&equal, 7).len(), 3, "each of them is tried once");
    }

    #[test]
    fn what_is_denied_is_no_server_and_what_is_endless_ends() {
        assert!(in_order(&[srv(0, 0, 0, "."), srv(0, 0, 5060, ".")], 0, 8).is_empty());
        let many: Vec<Srv> = (0..100).map(|n| srv(1, 0, n + 1, "x")).collect();
        assert_eq!(in_order(&many, 7, 8).len(), 8);
        assert_eq!(&*srv(0, 0, 1, "Host.Example.").host(), "host.example");
        assert_eq!(Question::Srv("x".into()).nothing(), Found::Srv(vec![]));
    }
}
