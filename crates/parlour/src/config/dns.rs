//! What the table `dns` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::meaning::{Judge, name_server};
use super::plan::{DnsPlan, HostName, HostPlan, ProviderPlan, PushPlan, ServerPlan, is_installation};
use super::secret::Source;
use super::tls;
use crate::providers::{self, Field, Given};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domains::tsig::{Algorithm, Key};
use std::net::SocketAddr;
use std::time::Duration;
use wire::{Domain, Secret};

const DAY: Duration = Duration::from_secs(86_400);

impl<'a> Judge<'a> {
    /// What the DNS is to say.
    pub(super) fn dns(&mut self, resolver: Option<SocketAddr>) -> DnsPlan {
        let table = self.file.section("dns");
        let ttl = self.duration(table, "ttl", Duration::from_secs(3600), Duration::from_secs(1)..=365 * DAY);
        DnsPlan {
            turn: self.host(table.fields("turn"), "turn"),
            sip: self.host(table.fields("sip"), "sip"),
            xmpp: self.host(table.fields("xmpp"), "xmpp"),
            ttl: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX),
            caa: self.each(table.texts("caa"), issuer),
            tlsa: table.flag("tlsa", false),
            push: self.pushed(table, resolver),
            installation: table.text("installation").and_then(|typed| self.note(installation(typed))),
        }
    }

    fn host(&mut self, table: &'a Table, usual: &str) -> HostPlan {
        let name = table.text("host").and_then(|typed| self.note(host_name(typed)));
        HostPlan {
            name: name.unwrap_or_else(|| HostName::Below(usual.into())),
            priority: self.short(table, "priority"),
            weight: self.short(table, "weight"),
        }
    }

    /// Absent where nothing of it stands, or a secret is for the service alone.
    fn pushed(&mut self, table: &'a Table, resolver: Option<SocketAddr>) -> Option<PushPlan> {
        let (push, provider) = (table.fields("push"), table.fields("provider"));
        let server = self.push(push).map(PushPlan::Server);
        let books = self.provider(provider, resolver).map(PushPlan::Provider);
        if server.is_some() && books.is_some() {
            let fault = Fault::new(provider.span.clone(), "dns.provider", "dns.push is set, too");
            self.faults
                .push(fault.help("records are pushed to a name server or to a provider: take one out"));
        }
        server.or(books)
    }

    fn provider(&mut self, table: &'a Table, resolver: Option<SocketAddr>) -> Option<ProviderPlan> {
        let there = |field: &Field| match field.is_secret() {
            true => table.secret(field.key()).is_some(),
            false => table.text(field.key()).is_some(),
        };
        let missing = |key: &str, help: String| {
            let fault =
                Fault::new(table.span.clone(), format!("dns.provider.{key}"), format!("`{key}` is missing"));
            fault.help(help)
        };
        let Some(typed) = table.text("name") else {
            if Field::ALL.iter().any(there) {
                self.faults.push(missing("name", "as in name = \"desec\"".into()));
            }
            return None;
        };
        let known = providers::find(&typed.value).ok_or_else(|| {
            let fault = typed.fault(format!("`{}` is not a provider that parlour knows", typed.value));
            let names: Vec<&str> = providers::PROVIDERS.iter().map(|provider| provider.name).collect();
            fault.help(format!("one of {}", names.join(", ")))
        });
        let provider = self.note(known)?;
        let keys = |fields: &[Field]| fields.iter().map(|field| field.key()).collect::<Vec<_>>().join(", ");
        let takes = format!("{} takes name, {}", provider.name, keys(provider.needs));
        for field in Field::ALL {
            let (needed, may) = (provider.needs.contains(&field), provider.may.contains(&field));
            if needed && !there(&field) {
                self.faults.push(missing(field.key(), takes.clone()));
            } else if !needed && !may && there(&field) {
                let key = format!("dns.provider.{}", field.key());
                let message = format!("{} has no use for `{}`", provider.name, field.key());
                self.faults.push(Fault::new(table.span.clone(), key, message).help(takes.clone()));
            }
        }
        let mut given = Given::default();
        for field in Field::ALL.into_iter().filter(there) {
            given.set(field, self.given(table, field)?);
        }
        provider.needs.iter().all(|field| given.has(*field)).then_some(())?;
        Some(ProviderPlan { provider, given, resolver })
    }

    fn given(&mut self, table: &'a Table, field: Field) -> Option<Secret> {
        let Some(source) = table.secret(field.key()).filter(|_| field.is_secret()) else {
            return table.text(field.key()).map(|typed| Secret::new(typed.value.trim()));
        };
        self.warn_of_readers(source);
        self.secret(source)
    }

    fn warn_of_readers(&mut self, source: &Typed<Source>) {
        if matches!(source.value, Source::Inline(_)) && tls::others_may_read(self.path) {
            let warning = format!("{}: others may read {}; chmod 600 it", source.key, self.path.display());
            self.warnings.push(warning);
        }
    }

    /// Absent where nothing of it stands, or its secret is for the service alone.
    fn push(&mut self, table: &'a Table) -> Option<ServerPlan> {
        let (server, key, source) = (table.text("server"), table.text("key"), table.secret("secret"));
        let there = [server.is_some(), key.is_some(), source.is_some()];
        if there == [false; 3] {
            return None;
        }
        for (name, _) in ["server", "key", "secret"].into_iter().zip(there).filter(|(_, there)| !there) {
            let key = format!("dns.push.{name}");
            if !self.faults.iter().any(|fault| fault.key == key) {
                let fault = Fault::new(table.span.clone(), key, format!("`{name}` is missing"));
                self.faults.push(fault.help("dns.push takes server, key and secret"));
            }
        }
        let server = server.and_then(|typed| self.note(name_server(typed)));
        let name = key.and_then(|typed| self.note(key_name(typed)));
        let algorithm = table.text("algorithm").map_or(Ok(Algorithm::Sha256), algorithm);
        let algorithm = self.note(algorithm);
        let source = source?;
        self.warn_of_readers(source);
        let text = self.secret(source)?;
        let decoded = BASE64_STANDARD.decode(text.expose()).ok().filter(|octets| !octets.is_empty());
        let decoded = decoded
            .ok_or_else(|| source.fault("the secret is not base64").help("as `tsig-keygen` writes it"));
        let secret = Secret::new(self.note(decoded)?);
        Some(ServerPlan { server: server?, key: Key { name: name?, algorithm: algorithm?, secret } })
    }

    fn short(&mut self, table: &'a Table, key: &str) -> u16 {
        u16::try_from(self.count(table, key, 0, 0..=u32::from(u16::MAX))).unwrap_or(u16::MAX)
    }
}

fn host_name(typed: &Typed<String>) -> Result<HostName, Fault> {
    let text = typed.value.trim().trim_end_matches('.');
    let wrong = || {
        let fault = typed.fault(format!("`{}` is not the name of a host", typed.value));
        fault.help("write \"turn\" for turn.DOMAIN, or a whole name as \"turn.falcot.com\"")
    };
    // Hosts have letters, digits and hyphens alone (RFC 1123 §2.1), or no name server loads their addresses.
    let name = Domain::new(text).map_err(|_| wrong())?;
    let is_host =
        name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !is_host || name.as_str().parse::<std::net::IpAddr>().is_ok() {
        return Err(wrong());
    }
    Ok(if text.contains('.') { HostName::Whole(name) } else { HostName::Below(name.to_string()) })
}

fn installation(typed: &Typed<String>) -> Result<String, Fault> {
    let name = typed.value.trim();
    let wrong = || {
        let fault = typed.fault(format!("`{}` is not a name for an installation", typed.value));
        fault.help("up to 32 small letters, digits and hyphens")
    };
    if is_installation(name) { Ok(name.to_owned()) } else { Err(wrong()) }
}

fn key_name(typed: &Typed<String>) -> Result<String, Fault> {
    let name = typed.value.trim().trim_end_matches('.').to_ascii_lowercase();
    match domains::record::name(&name) {
        Ok(_) if !name.is_empty() => Ok(name),
        _ => Err(typed
            .fault(format!("`{}` is not the name of a key", typed.value))
            .help("as in `key \"parlour\" { … }`")),
    }
}

fn algorithm(typed: &Typed<String>) -> Result<Algorithm, Fault> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == typed.value);
    known.ok_or_else(|| {
        let fault = typed.fault(format!("`{}` is not an algorithm that parlour signs with", typed.value));
        fault.help("write \"hmac-sha256\", \"hmac-sha384\" or \"hmac-sha512\"")
    })
}

fn issuer(typed: &Typed<String>) -> Result<String, Fault> {
    let text = typed.value.trim();
    let name = text.split(';').next().unwrap_or("").trim();
    if (text != ";" && Domain::new(name).is_err()) || text.len() > 200 || !text.is_ascii() {
        let fault = typed.fault(format!("`{}` is not the name of an authority", typed.value));
        return Err(fault.help("write \"letsencrypt.org\", or \";\" for none at all"));
    }
    Ok(domains::record::issuer(text))
}
