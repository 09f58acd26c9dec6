//! What `[media]` means.

use super::fault::Fault;
use super::file::Typed;
use super::host;
use super::meaning::{Judge, ip_address, port_range};
use super::plan::{MediaLimits, MediaPlan};
use ::sip::proxy::media::Relaying;
use std::ops::RangeInclusive;
use std::time::Duration;

const SILENCE: Duration = Duration::from_secs(60);
/// Silence is known by a look now and then; a shorter one would end calls whose phones pause.
const SILENCE_MIN: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(86_400);
/// More than there can be ports for.
const ACCOUNT_MAX: u32 = 65_536;

impl Judge<'_> {
    /// The whole table. `relay_ports` are TURN's.
    pub(super) fn media(&mut self, relay_ports: &RangeInclusive<u16>) -> MediaPlan {
        let table = self.file.section("media");
        let addresses = self.each(table.texts("addresses"), ip_address);
        for address in addresses.iter().filter(|address| !host::has(**address)) {
            self.warnings.push(format!(
                "media.addresses: {address} is not an address of this host, so calls cannot be relayed there"
            ));
        }
        let relaying = table.text("relay").and_then(|typed| self.note(relaying(typed)));
        let ports = table.text("rtp-ports").and_then(|typed| self.note(rtp_ports(typed)));
        let rtp_ports = ports.unwrap_or(30_000..=39_999);
        if rtp_ports.start() <= relay_ports.end() && relay_ports.start() <= rtp_ports.end() {
            self.warnings.push(format!(
                "media.rtp-ports: {}-{} overlaps turn.relay-ports; each takes ports from the other",
                rtp_ports.start(),
                rtp_ports.end()
            ));
        }
        MediaPlan {
            relaying: relaying.unwrap_or(Relaying::Needed),
            addresses,
            rtp_ports,
            silence: self.duration(table, "silence", SILENCE, SILENCE_MIN..=DAY),
            account: self.count(table, "account", 32, 0..=ACCOUNT_MAX),
            limits: MediaLimits::default(),
        }
    }
}

fn relaying(typed: &Typed<String>) -> Result<Relaying, Fault> {
    match typed.value.trim() {
        "needed" => Ok(Relaying::Needed),
        "always" => Ok(Relaying::Always),
        "never" => Ok(Relaying::Never),
        other => {
            let fault = typed.fault(format!("`{other}` does not say which calls are relayed"));
            Err(fault.help("write \"needed\", \"always\" or \"never\""))
        }
    }
}

/// A range with room for one call at least: two pairs of ports.
fn rtp_ports(typed: &Typed<String>) -> Result<RangeInclusive<u16>, Fault> {
    let range = port_range(typed)?;
    let first = u32::from(*range.start()).next_multiple_of(2);
    match first + 3 <= u32::from(*range.end()) {
        true => Ok(range),
        false => Err(typed
            .fault(format!("`{}` has no room for a call", typed.value))
            .help("a call takes four ports, the first an even one")),
    }
}
