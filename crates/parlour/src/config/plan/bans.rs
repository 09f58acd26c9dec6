//! What `sip.bans` means.

use super::Network;
use std::net::IpAddr;
use std::time::Duration;

/// Who is shut out for failed sign-ins, and how many requests strangers may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BansPlan {
    /// Failures of one source in the window for which it is banned; 0: nobody is.
    pub attempts: u32,
    /// How long failures are added up.
    pub window: Duration,
    /// How long the first ban of a source lasts; each further one twice as long.
    pub time: Duration,
    /// The longest ban; after as long without one, a source begins anew.
    pub longest: Duration,
    /// Failures of one account in the window, wherever they come from, for which it takes nobody new for `time`.
    pub account: u32,
    /// Requests a second that one source may send by SIP without proving anything; 0: any number.
    pub rate: u32,
    /// As many may come at once.
    pub burst: u32,
    /// Networks that are never banned, and may send any number.
    pub trusted: Vec<Network>,
}

impl BansPlan {
    /// Whether an address is never banned.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(address))
    }
}
