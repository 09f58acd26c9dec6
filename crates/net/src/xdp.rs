//! The fast path in the kernel (`xdp/relay.c`): the program on one network interface, and the table of ways that it
//! forwards by. Each worker has its own share of the table: nothing is locked, and opening a way costs two calls of the
//! kernel, extending one or reading its counters none.

use crate::sys::{self, Meters};
use aya::maps::{HashMap, Map, MapData, MapError};
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

/// Empty where the build had no clang.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/relay.o"));

/// Why it is empty.
const MISSING: &str = include_str!(concat!(env!("OUT_DIR"), "/relay.missing"));

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// The program was not compiled into this binary.
    #[error("this binary was built without it ({0}): install clang and build again")]
    NotBuilt(&'static str),
    /// No such network interface.
    #[error("there is no network interface `{0}`")]
    NoInterface(String),
    /// Capabilities are missing.
    #[error("the kernel refuses it ({0}): the process needs CAP_BPF and CAP_NET_ADMIN")]
    NotPermitted(String),
    /// The driver cannot do it.
    #[error("`{interface}` does not take an XDP program in driver mode: {fault}")]
    NotAttached {
        /// The interface.
        interface: String,
        /// What the kernel says.
        fault: String,
    },
    /// Routes cannot be looked up.
    #[error(
        "set sysctl {0} = 1 (routes are looked up as for packets from the loopback interface, nothing is forwarded by it)"
    )]
    NoForwarding(&'static str),
    /// Anything else: an old kernel, no memory.
    #[error("{0}")]
    Failed(String),
}

/// Whether the program is part of this binary; if not, why.
///
/// # Errors
/// [`XdpError::NotBuilt`].
pub fn built() -> Result<(), XdpError> {
    if OBJECT.is_empty() { Err(XdpError::NotBuilt(MISSING)) } else { Ok(()) }
}

/// One end of a way: what a packet's headers say when it arrives, or when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Its source.
    pub from: SocketAddr,
    /// Its destination, of the same family.
    pub to: SocketAddr,
    /// The number in its ChannelData header (RFC 8656 §12.4), where it has one.
    pub channel: Option<u16>,
}

const KEY: usize = 40;
const KEY4: usize = 16;
const VALUE: usize = KEY + 4;

impl Ends {
    /// The same ends in the other direction.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { from: self.to, to: self.from, channel: self.channel }
    }

    /// As `struct ends4` in `relay.c`; of IPv4 only.
    fn pack_v4(&self) -> Option<[u8; KEY4]> {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (self.from.ip(), self.to.ip()) else { return None };
        let mut bytes = [0; KEY4];
        bytes[..4].copy_from_slice(&from.octets());
        bytes[4..8].copy_from_slice(&to.octets());
        bytes[8..10].copy_from_slice(&self.from.port().to_be_bytes());
        bytes[10..12].copy_from_slice(&self.to.port().to_be_bytes());
        bytes[12..14].copy_from_slice(&self.channel.unwrap_or(0).to_be_bytes());
        Some(bytes)
    }

    /// As `struct ends` in `relay.c`.
    fn pack(&self) -> [u8; KEY] {
        let mut bytes = [0; KEY];
        put(&mut bytes[..16], self.from.ip());
        put(&mut bytes[16..32], self.to.ip());
        bytes[32..34].copy_from_slice(&self.from.port().to_be_bytes());
        bytes[34..36].copy_from_slice(&self.to.port().to_be_bytes());
        bytes[36..38].copy_from_slice(&self.channel.unwrap_or(0).to_be_bytes());
        bytes[38] = u8::from(self.from.is_ipv6());
        bytes
    }
}

fn put(place: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => place[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => place.copy_from_slice(&ip.octets()),
    }
}

/// The program on its interface. Dropping it takes it off; so does the end of the process, however it ends.
#[derive(Debug)]
pub struct Attached {
    program: Ebpf,
}

impl Attached {
    /// Takes the program off its interface.
    pub fn detach(self) {
        drop(self.program);
    }
}

/// Loads the program, shares its table of `ways` out among `workers`, and attaches it to `interface`.
///
/// # Errors
/// What is missing, in words for the administrator.
pub fn attach(interface: &str, ways: u32, workers: u16) -> Result<(Attached, Vec<Ways>), XdpError> {
    built()?;
    if interface.contains('\0') {
        return Err(XdpError::NoInterface(interface.into()));
    }
    allow_lookups()?;
    let mut program = EbpfLoader::new()
        .map_max_entries("ways4", ways)
        .map_max_entries("ways6", ways)
        .map_max_entries("meters", ways)
        .load(OBJECT)
        .map_err(|error| explain(&error))?;
    relay(&mut program).load().map_err(|error| explain(&error))?;
    let shares = share(&mut program, ways, workers)?;
    let attached = relay(&mut program).attach(interface, XdpMode::Driver);
    attached.map_err(|error| not_attached(interface, &error))?;
    Ok((Attached { program }, shares))
}

fn relay(program: &mut Ebpf) -> &mut Xdp {
    program.program_mut("relay").and_then(|found| found.try_into().ok()).expect("relay.c has it")
}

fn not_attached(interface: &str, error: &ProgramError) -> XdpError {
    let interface = interface.to_owned();
    match error {
        ProgramError::UnknownInterface { .. } => XdpError::NoInterface(interface),
        error => XdpError::NotAttached { interface, fault: chain(error) },
    }
}

fn share(program: &mut Ebpf, ways: u32, workers: u16) -> Result<Vec<Ways>, XdpError> {
    let failed = |error: io::Error| XdpError::Failed(error.to_string());
    let mut take = |name| match program.take_map(name) {
        Some(Map::HashMap(data) | Map::Array(data)) => data,
        _ => unreachable!("relay.c has these maps"),
    };
    let (v4, v6, meters) = (take("ways4"), take("ways6"), take("meters"));
    let meters = Arc::new(Meters::map(meters.fd().as_fd(), ways as usize).map_err(failed)?);
    let each = ways / u32::from(workers.max(1));
    let shares = (0..u32::from(workers)).map(|worker| {
        let table = Table {
            v4: HashMap::try_from(another(&v4)?).map_err(io::Error::other)?,
            v6: HashMap::try_from(another(&v6)?).map_err(io::Error::other)?,
        };
        let free = (worker * each..(worker + 1) * each).collect();
        Ok(Ways { table, meters: Arc::clone(&meters), free, clock: sys::Clock::read() })
    });
    shares.collect::<io::Result<_>>().map_err(failed)
}

/// A second handle of the same map.
fn another(map: &MapData) -> io::Result<Map> {
    let fd = map.fd().as_fd().try_clone_to_owned()?;
    MapData::from_fd(fd).and_then(Map::from_map_data).map_err(io::Error::other)
}

/// `bpf_fib_lookup` answers only for interfaces that may forward. The program asks on behalf of the loopback interface,
/// from which nothing is ever forwarded, so that the others may stay as they are.
fn allow_lookups() -> Result<(), XdpError> {
    let switches = [
        ("net.ipv4.conf.lo.forwarding", "/proc/sys/net/ipv4/conf/lo/forwarding"),
        ("net.ipv6.conf.lo.forwarding", "/proc/sys/net/ipv6/conf/lo/forwarding"),
    ];
    for (name, path) in switches {
        // Where IPv6 is switched off there is no such file.
        let Ok(value) = std::fs::read_to_string(path) else { continue };
        if value.trim() == "0" && std::fs::write(path, "1").is_err() {
            return Err(XdpError::NoForwarding(name));
        }
    }
    Ok(())
}

fn explain(error: &(dyn Error + 'static)) -> XdpError {
    let mut cause = Some(error);
    while let Some(one) = cause {
        // EPERM; EACCES is the verifier's no.
        let number = one.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if number == Some(libc::EPERM) {
            return XdpError::NotPermitted(one.to_string());
        }
        cause = one.source();
    }
    XdpError::Failed(chain(error))
}

/// An error with its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

/// What went a way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets forwarded in the kernel.
    pub packets: u64,
    /// Octets of their payload.
    pub octets: u64,
    /// Packets of this way that went to user space all the same.
    pub passed: u64,
}

/// A way that is open.
#[derive(Debug)]
pub struct Way {
    arriving: Ends,
    meter: u32,
    /// What the meter showed when the way was opened.
    base: Count,
}

/// The ways by how their packets arrive.
#[derive(Debug)]
struct Table {
    v4: HashMap<MapData, [u8; KEY4], [u8; VALUE]>,
    v6: HashMap<MapData, [u8; KEY], [u8; VALUE]>,
}

/// `BPF_NOEXIST`: what another way forwards is not taken from it.
const NEW: u64 = 1;

impl Table {
    fn insert(&mut self, arriving: &Ends, value: [u8; VALUE]) -> Result<(), MapError> {
        match arriving.pack_v4() {
            Some(key) => self.v4.insert(key, value, NEW),
            None => self.v6.insert(arriving.pack(), value, NEW),
        }
    }

    fn remove(&mut self, arriving: &Ends) -> Result<(), MapError> {
        match arriving.pack_v4() {
            Some(key) => self.v4.remove(&key),
            None => self.v6.remove(&arriving.pack()),
        }
    }
}

/// One worker's share of the ways. It costs nothing while none is open.
#[derive(Debug)]
pub struct Ways {
    table: Table,
    meters: Arc<Meters>,
    /// Those closed longest ago are used first: a packet on its way through the kernel still counts on the old one.
    free: VecDeque<u32>,
    clock: sys::Clock,
}

impl Ways {
    /// Opens a way: a packet that arrives like this leaves like that, until then.
    ///
    /// # Errors
    /// No more room, or another way begins like this.
    pub fn open(&mut self, arriving: Ends, leaving: &Ends, until: Instant) -> io::Result<Way> {
        let meter = self.free.pop_front().ok_or(io::ErrorKind::StorageFull)?;
        let base = self.meters.read(meter);
        self.meters.open(meter, self.clock.nanoseconds(until), self.clock.nanoseconds(Instant::now()));
        let mut value = [0; VALUE];
        value[..KEY].copy_from_slice(&leaving.pack());
        value[KEY..].copy_from_slice(&meter.to_ne_bytes());
        if let Err(error) = self.table.insert(&arriving, value) {
            self.meters.set(meter, 0);
            self.free.push_back(meter);
            return Err(io::Error::other(error));
        }
        Ok(Way { arriving, meter, base })
    }

    /// Moves a way's end.
    pub fn extend(&self, way: &Way, until: Instant) {
        self.meters.set(way.meter, self.clock.nanoseconds(until));
    }

    /// What went a way so far.
    pub fn count(&self, way: &Way) -> Count {
        let (now, base) = (self.meters.read(way.meter), way.base);
        Count {
            packets: now.packets.wrapping_sub(base.packets),
            octets: now.octets.wrapping_sub(base.octets),
            passed: now.passed.wrapping_sub(base.passed),
        }
    }

    /// Closes a way; what went it in all.
    #[expect(clippy::needless_pass_by_value, reason = "it is no way any more")]
    pub fn close(&mut self, way: Way) -> Count {
        self.meters.set(way.meter, 0);
        if let Err(error) = self.table.remove(&way.arriving) {
            tracing::error!(%error, "a way of the fast path is not in its table");
        }
        self.free.push_back(way.meter);
        self.count(&way)
    }
}

#[cfg(test)]
mod tests;
