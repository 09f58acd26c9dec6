//! `parlour init`: a new house that serves as it stands. What is there already is never touched.

use crate::admin::answers::Made;
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::failure::{Failure, Kind};
use crate::authority::{Authority, Issued};
use crate::config::{self, host, template};
use serde_json::Value;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use store::Store;
use wire::Domain;

/// Makes the house.
pub fn run(_: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let house = House::of(arguments)?;
    house.must_be_new()?;
    house.make_folders()?;
    match house.fill() {
        Ok(()) => reply(&house.made()),
        Err(failure) => {
            // Only what this run has made: `must_be_new` has seen that nothing was there.
            drop(std::fs::remove_dir_all(&house.data));
            drop(std::fs::remove_file(&house.config));
            Err(failure)
        }
    }
}

struct House {
    domain: Domain,
    rooms: Domain,
    alias: Domain,
    addresses: Vec<IpAddr>,
    /// The values of `addresses` and `external`.
    reached_at: (Vec<IpAddr>, Vec<String>),
    dir: PathBuf,
    config: PathBuf,
    data: PathBuf,
    certs: PathBuf,
}

impl House {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let name = arguments.required("domain");
        let domain = domain(name)?;
        let dir = std::path::absolute(arguments.required("dir"))
            .map_err(|error| Failure::usage(format!("--dir: {error}")))?;
        let data = dir.join("data");
        let addresses = addresses(&arguments.texts("address"))?;
        Ok(Self {
            rooms: self::domain(&format!("rooms.{domain}"))?,
            alias: self::domain(&format!("sip.{domain}"))?,
            domain,
            reached_at: reached_at(&addresses)?,
            addresses,
            config: dir.join("parlour.toml"),
            certs: data.join("certs"),
            data,
            dir,
        })
    }

    fn must_be_new(&self) -> Result<(), Failure> {
        for path in [&self.config, &self.data] {
            if path.symlink_metadata().is_ok() {
                let message = format!("{} is there already, and nothing is overwritten", path.display());
                return Err(Failure::new(Kind::Conflict, message));
            }
        }
        Ok(())
    }

    fn make_folders(&self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.dir).map_err(|error| at(&self.dir, &error))?;
        for path in [&self.data, &self.certs] {
            DirBuilder::new().mode(0o700).create(path).map_err(|error| at(path, &error))?;
        }
        Ok(())
    }

    fn fill(&self) -> Result<(), Failure> {
        self.write_certificates()?;
        let url = format!("sqlite:{}", self.data.join("parlour.db").display());
        Store::create(&url, Path::new("/"), store::Settings::default())?.close();
        write_new(&self.config, 0o644, self.text().as_bytes())?;
        config::load(&self.config)?;
        Ok(())
    }

    fn write_certificates(&self) -> Result<(), Failure> {
        let failed = |error: rcgen::Error| Failure::failed(format!("the certificate: {error}"));
        let authority = Authority::new(self.domain.as_str()).map_err(failed)?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut addresses = self.addresses.clone();
        addresses.extend(loopback.iter().filter(|address| !self.addresses.contains(address)));
        let issued = authority.issue(&self.names(), &addresses).map_err(failed)?;
        self.write_pair("authority", &authority.own())?;
        self.write_pair(self.domain.as_str(), &issued)
    }

    fn write_pair(&self, name: &str, pair: &Issued) -> Result<(), Failure> {
        write_new(&self.certs.join(format!("{name}.key")), 0o600, pair.key.expose())?;
        write_new(&self.certs.join(format!("{name}.pem")), 0o644, pair.certificate.as_bytes())
    }

    fn names(&self) -> Vec<String> {
        let (aliases, rooms) = ([self.alias.clone()], [self.rooms.clone()]);
        let mut names = domains::site::certificate_names(&self.domain, &aliases, &rooms);
        names.extend((self.domain.as_str() != "localhost").then(|| "localhost".to_owned()));
        names
    }

    fn text(&self) -> String {
        let (addresses, external) = &self.reached_at;
        template::text(|section, key| {
            Some(match (section, key) {
                ("domains", "name") => template::quoted(self.domain.as_str()),
                ("domains", "aliases") => template::list(&[&self.alias]),
                ("domains", "admins") => "[]".into(),
                ("domains", "rooms") => template::quoted(self.rooms.as_str()),
                ("network", "addresses") => template::list(addresses),
                ("network", "external") => template::list(external),
                ("web", "https") if !may_listen(443) => "[]".into(),
                ("web", "http") if !may_listen(80) => "[]".into(),
                ("sip" | "xmpp", "origins") | ("admin", "metrics") => "[]".into(),
                _ => return None,
            })
        })
    }

    fn made(&self) -> Made {
        let config = self.config.display().to_string();
        let steps = [format!("user add NAME@{}", self.domain), "check".into(), "serve".into()];
        Made {
            authority: self.certs.join("authority.pem").display().to_string(),
            certificate: self.certs.join(format!("{}.pem", self.domain)).display().to_string(),
            names: self.names(),
            next: steps.iter().map(|step| format!("parlour --config {config} {step}")).collect(),
            config,
        }
    }
}

fn domain(name: &str) -> Result<Domain, Failure> {
    let domain = Domain::new(name).map_err(|_| Failure::usage(format!("`{name}` is not a domain name")))?;
    if domain.as_str().starts_with('[') || domain.as_str().parse::<IpAddr>().is_ok() {
        return Err(Failure::usage(format!("`{name}` is an address; give the house a name")));
    }
    Ok(domain)
}

fn addresses(texts: &[&str]) -> Result<Vec<IpAddr>, Failure> {
    let mut addresses = vec![];
    for text in texts {
        let address: IpAddr = text
            .parse()
            .map_err(|_| Failure::usage(format!("`{text}` is not an address, as 192.0.2.1 is")))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The values of `addresses` and `external`: an address that this host does not have lies in front of a NAT, and
/// leads to the first of our own of its family. To which a second one leads cannot be guessed.
fn reached_at(given: &[IpAddr]) -> Result<(Vec<IpAddr>, Vec<String>), Failure> {
    let own = host::addresses();
    let (mut listed, mut external) = (vec![], vec![]);
    for address in given {
        let private = own.iter().find(|own| own.is_ipv6() == address.is_ipv6());
        match private.filter(|_| !host::has(*address)) {
            Some(private) if external.iter().any(|(_, taken)| taken == private) => {
                return Err(Failure::usage(format!(
                    "{address} and another one are not this host's own: give one of them, and write the others with the addresses that \
                     they lead to into network.external"
                )));
            }
            Some(private) => external.push((*address, *private)),
            None => listed.push(*address),
        }
    }
    let pair = |(public, private): (IpAddr, IpAddr)| format!("{public}={private}");
    Ok((listed, external.into_iter().map(pair).collect()))
}

/// Whether this user may listen at a port, and nobody else does.
fn may_listen(port: u16) -> bool {
    let kind = net::Kind::Tcp { alpn: vec![] };
    let spec = net::Spec::new("web", net::Tag::default(), kind, net::Endpoint::Every(port));
    net::listen(&[spec], 1, &net::Limits::default()).is_ok()
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
