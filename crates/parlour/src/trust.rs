//! Whom we believe: the authorities of the system, our own, and those of `tls.roots`; and the rules by which a peer's
//! certificate proves whom it speaks for, where we connect and where others connect to us.

mod verifier;

use crate::config::Plan;
use net::tls::{CertificateDer, ClientConfig, Identities, provider};
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use verifier::{Peers, Rule, Server};
use xmpp::sasl::external::Proven;

/// Made anew at each reload; all workers share it.
#[derive(Debug)]
pub struct Trust {
    peers: Peers,
    /// Our own authority alone.
    own: Peers,
    sip: Clients,
    xmpp: (Server, Clients),
}

/// How we connect, for each domain of ours, as each shows a certificate of its own.
#[derive(Debug)]
struct Clients {
    /// The first domain's.
    first: Arc<ClientConfig>,
    /// The others', by their main names.
    others: HashMap<String, Arc<ClientConfig>>,
}

impl Clients {
    fn new(plan: &Plan, identities: Option<&Arc<Identities>>, verifier: &Server) -> Self {
        let verifier = Arc::new(verifier.clone());
        let mut names = plan.domains.iter().map(|domain| domain.name.to_string());
        let of = |name: &str| {
            let shown = identities.map(|identities| identities.speaking_for(name));
            Arc::new(client(Arc::clone(&verifier), shown))
        };
        let first = of(&names.next().unwrap_or_default());
        Self { first, others: names.map(|name| (name.clone(), of(&name))).collect() }
    }

    fn speaking_for(&self, own: &str) -> Arc<ClientConfig> {
        Arc::clone(self.others.get(own).unwrap_or(&self.first))
    }
}

impl Trust {
    /// Reads the system's authorities. Where a server asks who we are, it is shown what `identities` has for whom of us it is.
    pub fn new(plan: &Plan, identities: Option<Arc<Identities>>) -> Arc<Self> {
        let mut roots = RootCertStore::empty();
        let (read, _) = roots.add_parsable_certificates(of_system());
        if read == 0 {
            tracing::info!(
                "no authorities of the system were found: our own and those of tls.roots are trusted"
            );
        }
        let authority = read_file(&plan.data.join("certs/authority.pem"));
        let mut own = RootCertStore::empty();
        own.add_parsable_certificates(authority.clone());
        roots.add_parsable_certificates(authority);
        roots.add_parsable_certificates(plan.roots.iter().map(|der| CertificateDer::from(der.as_slice())));
        let peers = Peers::new(roots).and_for(of_domains(plan));
        let server = |rule| Server { peers: peers.clone(), rule };
        let identities = identities.as_ref();
        let sip = Clients::new(plan, identities, &server(Rule::Sip(plan.sip.peers.clone())));
        let xmpp = server(Rule::Xmpp);
        let clients = Clients::new(plan, identities, &xmpp);
        let xmpp = (xmpp, clients);
        Arc::new(Self { peers, own: Peers::new(own), sip, xmpp })
    }

    /// How XMPP connects to another server for a domain of ours, by its main name: the server has to prove the domain that was
    /// meant (RFC 6120 §13.7.1.2), and is shown ours.
    pub fn xmpp(&self, own: &str) -> Arc<ClientConfig> {
        self.xmpp.1.speaking_for(own)
    }

    /// Whether a server that connected to us has proven to be this XMPP domain by its certificates; why not.
    pub fn proves_xmpp(&self, domain: &str, chain: &[CertificateDer<'static>]) -> Result<(), String> {
        let (own, others) = chain.split_first().ok_or("it shows no certificate")?;
        self.xmpp.0.judge(domain, own, others, UnixTime::now()).map_err(|error| error.to_string())
    }

    /// How SIP connects for a domain of ours, by its main name, or for the first: the other side has to prove the domain that was
    /// meant, and is shown ours (RFC 5922 §7.3).
    pub fn sip(&self, own: &str) -> Arc<ClientConfig> {
        self.sip.speaking_for(own)
    }

    /// The SIP domains that a peer that connected to us has proven by its certificates; none where they are not to be
    /// believed, which is no fault: telephones show what their maker gave them.
    pub fn sip_domains(&self, chain: &[CertificateDer<'static>]) -> Result<Vec<String>, String> {
        let Some((own, others)) = chain.split_first() else { return Ok(Vec::new()) };
        let names = domains::identity::Names::of(own).ok_or("it cannot be read")?;
        let (now, mut all) = (UnixTime::now(), names.sip_domains().to_vec());
        if let Err(why) = self.peers.judge(own, others, now) {
            all.truncate(MOST_DOMAINS);
            all.retain(|domain| self.peers.judge_for(domain, own, others, now).is_ok());
            return if all.is_empty() { Err(why.to_string()) } else { Ok(all) };
        }
        Ok(all)
    }

    /// Whose address a client has proven by a certificate that our own authority has issued; nobody's where it is another's,
    /// which is no fault.
    pub fn user(&self, chain: &[CertificateDer<'static>]) -> Option<Proven> {
        let (own, others) = chain.split_first()?;
        self.own.judge(own, others, UnixTime::now()).ok()?;
        let names = domains::identity::Names::of(own)?;
        let addresses: Vec<_> = names.xmpp.iter().filter_map(|name| name.parse().ok()).collect();
        (!addresses.is_empty()).then(|| Proven { addresses, serial: names.serial.into() })
    }
}

/// The most domains of one certificate that are looked at one by one.
const MOST_DOMAINS: usize = 16;

/// The authorities that are trusted for a domain of others alone.
fn of_domains(plan: &Plan) -> HashMap<String, RootCertStore> {
    let mut all = HashMap::<_, RootCertStore>::new();
    for (domain, roots) in plan.domain_roots.iter() {
        let store = all.entry(domain.to_string()).or_insert_with(RootCertStore::empty);
        store.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(der.as_slice())));
    }
    all
}

/// How an ACME authority is connected to: the system's authorities prove it, or these (DER).
pub(crate) fn of_authority(roots: &[Vec<u8>]) -> Arc<ClientConfig> {
    let mut all = RootCertStore::empty();
    all.add_parsable_certificates(of_system());
    all.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(der.as_slice())));
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites of both versions")
        .with_root_certificates(all)
        .with_no_client_auth();
    Arc::new(config)
}

fn client(verifier: Arc<Server>, shown: Option<Arc<dyn ResolvesClientCert>>) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites of both versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match shown {
        Some(shown) => config.with_client_cert_resolver(shown),
        None => config.with_no_client_auth(),
    }
}

/// The certificates of the system's authorities: its bundle, else its folders.
fn of_system() -> Vec<CertificateDer<'static>> {
    let places = openssl_probe::probe();
    let bundle: Vec<_> = places.cert_file.iter().flat_map(|file| read_file(file)).collect();
    if !bundle.is_empty() {
        return bundle;
    }
    let files =
        places.cert_dir.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    files.flat_map(|file| read_file(&file.path())).collect()
}

/// The certificates in a file that may not be there.
fn read_file(path: &Path) -> Vec<CertificateDer<'static>> {
    let text = std::fs::read(path).unwrap_or_default();
    CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect()
}
