//! What a configuration means: valid by construction, every default filled in, every limit a named number.
//!
//! A `Plan` is made by [`super::load`] alone. Where an `Option` stands here, `None` means "off", never "default".

mod bans;
mod dns;
pub mod limits;
mod media;
mod tls;
mod turn;
mod web;

use super::meaning::own_addresses;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wire::inside::is_public;
use wire::{Address, Domain, Secret, Transport};

pub use bans::BansPlan;
pub(crate) use dns::is_installation;
pub use dns::{DnsPlan, HostName, HostPlan, ProviderPlan, PushPlan, ServerPlan};
pub use limits::{AdminLimits, MediaLimits, NetworkLimits, SipLimits, TurnLimits, WebLimits, XmppLimits};
pub use media::MediaPlan;
pub use tls::{AcmePlan, CertificatePlan, ExternalAccount, TlsPlan, TlsSource, acme_file, own_files};
pub use turn::{OauthKey, TurnBandwidth, TurnPlan, TurnQuota};
pub use web::WebPlan;

/// Everything the server and the commands need to know about how they are to work.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration file that was read; a reload reads it again.
    pub file: PathBuf,
    /// Where that file lies: relative paths in it start here.
    pub dir: PathBuf,
    /// Our own directory beside it: database, certificates, admin socket.
    pub data: PathBuf,
    /// The domains served; at least one. The first is the default realm.
    pub domains: Vec<DomainPlan>,
    /// Where accounts, bindings, rosters and messages are kept.
    pub storage: StoragePlan,
    /// Workers and addresses.
    pub network: NetworkPlan,
    /// The certificates. `None`: no listener of this plan speaks TLS.
    pub tls: Option<TlsPlan>,
    /// Authorities that are trusted beside the system's and our own (DER).
    pub roots: Arc<[Vec<u8>]>,
    /// Authorities that are trusted for a domain of others and what lies below it, and for nobody else (DER).
    pub domain_roots: Arc<[(Domain, Vec<Vec<u8>>)]>,
    /// STUN and TURN.
    pub turn: TurnPlan,
    /// SIP.
    pub sip: SipPlan,
    /// The relay for media of calls.
    pub media: MediaPlan,
    /// XMPP.
    pub xmpp: XmppPlan,
    /// HTTP.
    pub web: WebPlan,
    /// What the DNS is to say.
    pub dns: DnsPlan,
    /// The administrator's door.
    pub admin: AdminPlan,
    /// What is valid but deserves a look; `check` and `serve` say it.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Every listener with whose it is, in the order of the file.
    pub fn listeners(&self) -> impl Iterator<Item = (Service, Transport, &Listener)> {
        let turn = &self.turn;
        let sip = &self.sip;
        let sealed_web: &[Listener] = if self.tls.is_some() { &self.xmpp.web } else { &[] };
        let rows: [(Service, Transport, &[Listener]); 16] = [
            (Service::Turn, Transport::Udp, &turn.udp),
            (Service::Turn, Transport::Tcp, &turn.tcp),
            (Service::Turn, Transport::Tls, &turn.tls),
            (Service::Turn, Transport::Dtls, &turn.dtls),
            (Service::Sip, Transport::Udp, &sip.udp),
            (Service::Sip, Transport::Tcp, &sip.tcp),
            (Service::Sip, Transport::Tls, &sip.tls),
            (Service::Sip, Transport::Ws, &sip.ws),
            (Service::Sip, Transport::Wss, &sip.wss),
            (Service::Xmpp, Transport::Tcp, &self.xmpp.client),
            (Service::Xmpp, Transport::Tls, &self.xmpp.client_tls),
            (Service::Xmpp, Transport::Ws, &self.xmpp.web),
            (Service::Xmpp, Transport::Wss, sealed_web),
            (Service::Xmpp, Transport::Wss, &self.xmpp.wss),
            (Service::Web, Transport::Tls, &self.web.https),
            (Service::Web, Transport::Tcp, &self.web.http),
        ];
        rows.into_iter().flat_map(|(service, transport, list)| {
            list.iter().map(move |listener| (service, transport, listener))
        })
    }

    /// The listeners for components: each once, as several components may share one.
    pub fn component_listeners(&self) -> Vec<Listener> {
        let mut all: Vec<Listener> = Vec::new();
        for component in &self.xmpp.components {
            if !all.contains(&component.listen) {
                all.push(component.listen);
            }
        }
        all
    }

    /// The same with other certificates.
    #[must_use]
    pub fn with_tls(&self, tls: TlsPlan) -> Self {
        Self { tls: Some(tls), ..self.clone() }
    }

    /// The same with these addresses for the names of `network.external`; those that are not among them have none.
    #[must_use]
    pub fn with_external(&self, found: &[External]) -> Self {
        let mut new = self.clone();
        let network = &mut new.network;
        let is_named = |pair: &External| network.named.iter().any(|named| named.private == pair.private);
        network.external.retain(|pair| !is_named(pair));
        network.external.extend(found);
        network.own = own_addresses(&network.addresses, &network.external);
        new
    }

    /// The domains as `wire::Directory::new` takes them: main names with their aliases.
    pub fn domain_names(&self) -> impl Iterator<Item = (&Domain, &[Domain])> {
        self.domains.iter().map(|domain| (&domain.name, &domain.aliases[..]))
    }
}

/// One domain and who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPlan {
    /// The main name: accounts are written with it, and it is their realm.
    pub name: Domain,
    /// Further names of the same accounts.
    pub aliases: Vec<Domain>,
    /// Accounts of this house that may administer the domain.
    pub admins: Vec<Address>,
    /// The name of the multi-user chat service. `None`: no rooms.
    pub rooms: Option<Domain>,
}

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePlan {
    /// For SQLite `sqlite:` and an absolute path.
    pub url: String,
}

/// Workers and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPlan {
    /// How many workers; at least one.
    pub workers: u16,
    /// Where this host is reached: those listed in the file, or else every address of this host that is neither
    /// loopback nor link-local. Relays are bound and names in the zone are pointed here.
    pub addresses: Vec<IpAddr>,
    /// Whether the file lists `addresses`; if not, a relay is also bound wherever its client came in.
    pub listed: bool,
    /// Every address that leads to this host, whether it is listed, steady, public or none of these.
    pub own: Vec<IpAddr>,
    /// One-to-one NAT in front of us: what the world writes to, and which of our addresses that reaches.
    pub external: Vec<External>,
    /// The same by names, whose addresses are among `external` once they are found.
    pub named: Vec<NamedExternal>,
    /// Name servers to ask in place of the system's; none: the system's.
    pub resolver: Vec<SocketAddr>,
    /// What connections may cost.
    pub limits: NetworkLimits,
}

impl NetworkPlan {
    /// What the world calls one of our addresses.
    pub fn public(&self, private: IpAddr) -> IpAddr {
        let private = private.to_canonical();
        self.external.iter().find(|pair| pair.private == private).map_or(private, |pair| pair.public)
    }

    /// What the world calls our addresses, in order.
    pub fn public_addresses(&self) -> Vec<IpAddr> {
        let mut all = Vec::new();
        for address in self.addresses.iter().map(|address| self.public(*address)) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// Those of them that others are told. Where the file lists none, a host has more than it should say, of bridges to its own guests for
    /// instance: what the world does not reach is left out, as long as it reaches something.
    pub fn published(&self) -> Vec<IpAddr> {
        let mut all = self.public_addresses();
        if !self.listed && all.iter().any(|address| is_public(*address)) {
            all.retain(|address| is_public(*address));
        }
        all
    }
}

/// One pair of `external`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct External {
    /// What the world writes to.
    pub public: IpAddr,
    /// Which of our addresses that reaches.
    pub private: IpAddr,
}

/// One pair of `external` whose public side is a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedExternal {
    /// The name of what the world writes to.
    pub name: Domain,
    /// Which of our addresses that reaches.
    pub private: IpAddr,
}

/// SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipPlan {
    /// Datagram listeners.
    pub udp: Vec<Listener>,
    /// Stream listeners.
    pub tcp: Vec<Listener>,
    /// TLS listeners.
    pub tls: Vec<Listener>,
    /// Listeners for WebSockets alone.
    pub ws: Vec<Listener>,
    /// The same inside TLS.
    pub wss: Vec<Listener>,
    /// The pages that may open WebSockets, `*` for all; none: our own domains'.
    pub origins: Vec<String>,
    /// Domains of others, and what else their servers' certificates may name, in lower case.
    pub peers: Vec<(String, String)>,
    /// Who may call under other names.
    pub speak_for: Vec<SpeakFor>,
    /// Ranges inside that requests may name as their targets.
    pub allow_targets: Vec<Network>,
    /// Who is shut out for failed sign-ins, of SIP and XMPP alike.
    pub bans: BansPlan,
    /// Whether users must prove who they are.
    pub authenticate: bool,
    /// What clients may cost.
    pub limits: SipLimits,
}

/// An account that may call under another name of its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakFor {
    /// Which, at the domain's main name.
    pub account: Address,
    /// The name; `None`: any.
    pub name: Option<Address>,
}

/// XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmppPlan {
    /// Listeners for clients that then ask for STARTTLS.
    pub client: Vec<Listener>,
    /// Listeners for clients that speak TLS at once (XEP-0368).
    pub client_tls: Vec<Listener>,
    /// Listeners for WebSockets: plain, and inside TLS where there is a certificate.
    pub web: Vec<Listener>,
    /// Listeners for WebSockets inside TLS alone: those that all services share (`web.share`).
    pub wss: Vec<Listener>,
    /// The pages that may open them, `*` for all; none: our own domains'.
    pub origins: Vec<String>,
    /// External components (XEP-0114).
    pub components: Vec<ComponentPlan>,
    /// Whether what accounts say and hear is kept for their clients (XEP-0313).
    pub archive: bool,
    /// How long; zero is for ever.
    pub archive_for: Duration,
    /// Whether nobody but the domains' admins may make rooms.
    pub rooms_by_admins: bool,
    /// What clients may cost.
    pub limits: XmppLimits,
}

/// A component that serves a domain of its own (XEP-0114).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentPlan {
    /// Its domain.
    pub name: Domain,
    /// By which it is known.
    pub secret: Secret,
    /// Where it connects to.
    pub listen: Listener,
}

/// The administrator's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPlan {
    /// The unix socket, for our own user alone.
    pub socket: PathBuf,
    /// Where Prometheus is answered; none is off.
    pub metrics: Vec<Listener>,
    /// What requests may cost.
    pub limits: AdminLimits,
}

/// Whose listener one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// STUN and TURN.
    Turn,
    /// SIP.
    Sip,
    /// XMPP.
    Xmpp,
    /// The relay for media of calls; it has no listeners.
    Media,
    /// HTTP.
    Web,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "turn",
            Self::Sip => "sip",
            Self::Xmpp => "xmpp",
            Self::Media => "media",
            Self::Web => "web",
        })
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// On which of our addresses.
    pub host: Host,
    /// 0: the kernel chooses a free one, and `status` tells which.
    pub port: u16,
}

/// On which of our addresses to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Every one, of both families.
    All,
    /// This one.
    One(IpAddr),
}

impl Listener {
    /// Whether both want the same port of the same address (if they speak the same transport).
    pub fn clashes(&self, other: &Self) -> bool {
        let same_host = match (self.host, other.host) {
            (Host::One(a), Host::One(b)) => {
                a == b || (a.is_ipv6() == b.is_ipv6() && (a.is_unspecified() || b.is_unspecified()))
            }
            _ => true,
        };
        self.port != 0 && self.port == other.port && same_host
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::All => write!(f, ":{}", self.port),
            Host::One(address) => SocketAddr::new(address, self.port).fmt(f),
        }
    }
}

/// A range of addresses: `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

impl Network {
    /// The same range with every bit behind the prefix cleared.
    #[must_use]
    pub fn masked(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(ip) => {
                let kept = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(ip) & kept).into())
            }
            IpAddr::V6(ip) => {
                let kept = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(ip) & kept).into())
            }
        };
        Self { address, prefix: self.prefix }
    }

    /// Whether `address` lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.address.is_ipv6()
            && Self { address, prefix: self.prefix }.masked().address == self.masked().address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
