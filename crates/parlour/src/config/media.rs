//! What `[media]` means.

use super::fault::Fault;
use super::file::Typed;
use super::host;
use super::meaning::{Judge, ip_address, port_range};
use super::plan::{MediaLimits, MediaPlan, TurnPlan};
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
    /// The whole table.
    pub(super) fn media(&mut self, turn: &TurnPlan) -> MediaPlan {
        let table = self.file.section("media");
        let addresses = self.each(table.texts("addresses"), ip_address);
        for address in addresses.iter().filter(|address| !host::has(**address)) {
            self.warnings.push(format!(
                "media.addresses: {address} is not an address of this host, so calls cannot be relayed there"
            ));
        }
        let relaying = table.text("relay").and_then(|typed| self.note(relaying(typed)));
        let relaying = relaying.unwrap_or(Relaying::Needed);
        let typed = table.text("rtp-ports");
        let rtp_ports = typed.and_then(|typed| self.note(rtp_ports(typed))).unwrap_or(30_000..=39_999);
        if relaying != Relaying::Never {
            self.keep_apart(typed, &rtp_ports, turn);
        }
        MediaPlan {
            relaying,
            addresses,
            rtp_ports,
            silence: self.duration(table, "silence", SILENCE, SILENCE_MIN..=DAY),
            account: self.count(table, "account", 32, 0..=ACCOUNT_MAX),
            limits: MediaLimits::default(),
        }
    }

    /// Ports that two relays would take from one another: refused where somebody has chosen them.
    fn keep_apart(&mut self, typed: Option<&Typed<String>>, ports: &RangeInclusive<u16>, turn: &TurnPlan) {
        let relays = &turn.relay_ports;
        let listens = [&turn.udp, &turn.tcp, &turn.tls, &turn.dtls].iter().any(|all| !all.is_empty());
        if !listens || ports.start() > relays.end() || relays.start() > ports.end() {
            return;
        }
        let (first, last) = (relays.start(), relays.end());
        match typed {
            Some(typed) => {
                let fault = typed.fault(format!("`{}` overlaps turn.relay-ports, {first}-{last}", typed.value));
                self.faults.push(fault.help("each would take ports from the other: choose ranges that are apart"));
            }
            None => self.warnings.push(format!(
                "turn.relay-ports: {first}-{last} overlaps media.rtp-ports ({}-{} unless set); each takes ports from the other",
                ports.start(),
                ports.end()
            )),
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
