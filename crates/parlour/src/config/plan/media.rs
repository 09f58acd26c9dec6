//! What the configuration says of the media of calls.

use super::MediaLimits;
use ::sip::proxy::media::Relaying;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The relay for media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Which calls are relayed.
    pub relaying: Relaying,
    /// On which of our addresses; empty: on the network's.
    pub addresses: Vec<IpAddr>,
    /// Its ports, of all workers.
    pub rtp_ports: RangeInclusive<u16>,
    /// How long a call may be silent.
    pub silence: Duration,
    /// How many calls of one account are relayed at a time.
    pub account: u32,
    /// What calls may cost.
    pub limits: MediaLimits,
}
