//! The fast path of relayed packets (`turn.xdp`): carries out in the kernel's table what the machine says of its paths, and
//! tells it what went there. Nothing here is on the way of a packet.

use crate::config::Plan;
use crate::mail::Mail;
use crate::report::Report;
use anyhow::{Context, Result};
use net::Net;
use net::xdp::{self, Attached, Count, Ends, Way, Ways};
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use turn::offload::Path;
use turn::{Carried, Offload, PathId, Traffic};
use wire::WorkerId;

/// How many channels the kernel relays at a time; what comes on top stays with the workers.
const CHANNELS: u32 = 65_536;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The kernel's program on its interface, for as long as this lives; and each worker's share of its table, until that
/// takes it.
#[derive(Debug)]
pub struct FastPath {
    _attached: Attached,
    shares: Vec<Mutex<Option<Ways>>>,
}

impl FastPath {
    /// Attaches the program where the plan says so.
    ///
    /// # Errors
    /// What is missing, in words for the administrator.
    pub fn attach(plan: &Plan) -> Result<Option<Arc<Self>>> {
        let Some(interface) = &plan.turn.xdp else { return Ok(None) };
        let attached = xdp::attach(interface, 2 * CHANNELS, plan.network.workers);
        let (attached, shares) = attached.with_context(|| format!("turn.xdp = \"{interface}\""))?;
        tracing::info!(interface, "established channels are relayed in the kernel");
        let shares = shares.into_iter().map(|share| Mutex::new(Some(share))).collect();
        Ok(Some(Arc::new(Self { _attached: attached, shares })))
    }

    fn share(&self, me: WorkerId) -> Option<Ways> {
        self.shares.get(usize::from(me.0))?.lock().ok()?.take()
    }
}

/// One channel in the kernel: both directions, and what the machine knows of it.
#[derive(Debug)]
struct Open {
    there: Way,
    back: Way,
    told: Traffic,
}

/// For how long a look is good enough for an administrator, whose question comes page by page.
const FRESH: Duration = Duration::from_millis(100);

/// One worker's paths.
#[derive(Debug, Default)]
pub(super) struct Offloading {
    ways: Option<Ways>,
    open: FxHashMap<PathId, Open>,
    due: Option<Instant>,
    looked: Option<Instant>,
    /// What closed paths have carried: packets, and those of them that came to us all the same.
    packets: u64,
    passed: u64,
}

impl Offloading {
    /// With this worker's share, where there is a fast path.
    pub(super) fn new(fast_path: Option<&Arc<FastPath>>, me: WorkerId) -> Self {
        Self { ways: fast_path.and_then(|path| path.share(me)), ..Self::default() }
    }

    /// Carries out one wish of the machine; its answer, where it gets one.
    pub(super) fn carry_out(&mut self, net: &Net<'_, Mail>, wish: &Offload) -> Option<Carried> {
        match wish {
            Offload::Open { id, path, until } => self.begin(net, *id, path, *until),
            Offload::Extend { id, until } => {
                self.extend(*id, *until);
                None
            }
            Offload::Close(id) => self.close(*id),
        }
    }

    fn begin(&mut self, net: &Net<'_, Mail>, id: PathId, path: &Path, until: Instant) -> Option<Carried> {
        let port = net.socket_address(path.socket).map(|address| address.port());
        let opened = port.zip(self.ways.as_mut()).and_then(|(port, ways)| {
            let (there, back) = open(ways, path, SocketAddr::new(path.local, port), until)?;
            Some(Open { there, back, told: Traffic::default() })
        });
        match opened {
            Some(open) => {
                self.open.insert(id, open);
                self.due.get_or_insert(net.now() + LOOK);
                None
            }
            // Its packets come to us, as before.
            None => Some(Carried { id, traffic: Traffic::default(), last: true }),
        }
    }

    fn extend(&self, id: PathId, until: Instant) {
        if let Some((ways, open)) = self.ways.as_ref().zip(self.open.get(&id)) {
            ways.extend(&open.there, until);
            ways.extend(&open.back, until);
        }
    }

    fn close(&mut self, id: PathId) -> Option<Carried> {
        let Open { there, back, told } = self.open.remove(&id)?;
        let ways = self.ways.as_mut()?;
        let (there, back) = (ways.close(there), ways.close(back));
        self.packets += there.packets + back.packets;
        self.passed += there.passed + back.passed;
        Some(Carried { id, traffic: since(&traffic(there, back), &told), last: true })
    }

    /// What went the open paths since the last look.
    pub(super) fn look(&mut self) -> Vec<Carried> {
        let Some(ways) = &self.ways else { return Vec::new() };
        let carried = self.open.iter_mut().filter_map(|(id, open)| {
            let now = traffic(ways.count(&open.there), ways.count(&open.back));
            let told = std::mem::replace(&mut open.told, now);
            (now != told).then(|| Carried { id: *id, traffic: since(&now, &told), last: false })
        });
        carried.collect()
    }

    /// [`Self::look`], unless that was done just now: it looks at every path, however few sessions are on a page.
    pub(super) fn look_for_page(&mut self, now: Instant) -> Vec<Carried> {
        if self.looked.is_some_and(|looked| now < looked + FRESH) {
            return Vec::new();
        }
        self.looked = Some(now);
        self.look()
    }

    /// [`Self::look`], when it is time.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Carried> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.due = (!self.open.is_empty()).then(|| now + LOOK);
        self.look()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn report(&self, report: &mut Report) {
        let Some(ways) = &self.ways else { return };
        let counts = self.open.values().map(|open| (ways.count(&open.there), ways.count(&open.back)));
        let (packets, passed) =
            counts.fold((self.packets, self.passed), |(packets, passed), (there, back)| {
                (packets + there.packets + back.packets, passed + there.passed + back.passed)
            });
        report.add("turn.xdp-channels", self.open.len() as u64);
        report.add("turn.xdp-packets", packets);
        report.add("turn.xdp-passed", passed);
    }
}

/// Both directions of a channel, or neither.
fn open(ways: &mut Ways, path: &Path, server: SocketAddr, until: Instant) -> Option<(Way, Way)> {
    let channel = Some(path.number.0);
    let inside = Ends { from: path.client, to: server, channel };
    let outside = Ends { from: path.relay, to: path.peer, channel: None };
    let mut begin = |arriving: Ends, leaving: Ends| {
        let way = ways.open(arriving, &leaving, until);
        way.inspect_err(|error| tracing::debug!(%error, "a channel stays out of the kernel")).ok()
    };
    let there = begin(inside, outside)?;
    match begin(outside.turned(), inside.turned()) {
        Some(back) => Some((there, back)),
        None => {
            ways.close(there);
            None
        }
    }
}

fn traffic(there: Count, back: Count) -> Traffic {
    Traffic {
        sent_packets: there.packets,
        sent_bytes: there.octets,
        received_packets: back.packets,
        received_bytes: back.octets,
        ..Traffic::default()
    }
}

fn since(now: &Traffic, told: &Traffic) -> Traffic {
    Traffic {
        sent_packets: now.sent_packets - told.sent_packets,
        sent_bytes: now.sent_bytes - told.sent_bytes,
        received_packets: now.received_packets - told.received_packets,
        received_bytes: now.received_bytes - told.received_bytes,
        ..Traffic::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_one_question_cost_one_look() {
        let (mut offloading, now) = (Offloading::default(), Instant::now());
        let mut looks = |after: u64| {
            let before = offloading.looked;
            offloading.look_for_page(now + Duration::from_millis(after));
            offloading.looked != before
        };
        assert!(looks(0) && !looks(1) && !looks(99) && looks(100) && !looks(150));
    }
}
