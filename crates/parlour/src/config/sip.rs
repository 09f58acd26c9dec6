//! What the table `sip` means beside its listeners.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::listener;
use super::meaning::Judge;
use super::plan::{DomainPlan, SipLimits, SipPlan, SpeakFor, TlsPlan};
use super::quantity;
use std::net::IpAddr;
use std::time::Duration;
use wire::{Address, Domain};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl<'a> Judge<'a> {
    /// Whether users must prove who they are.
    pub(super) fn sip_authenticate(&mut self, table: &'a Table) -> bool {
        let authenticate = table.flag("authenticate", true);
        if !authenticate {
            self.warnings.push(
                "sip.authenticate: whoever reaches this server may register as anybody and call anywhere; only in a \
                 closed laboratory"
                    .into(),
            );
        }
        authenticate
    }

    /// The pages whose scripts may open WebSockets.
    pub(super) fn origins(&mut self, table: &'a Table) -> Vec<String> {
        let typed = table.texts("origins");
        if let Some(all) = typed.iter().find(|typed| typed.value == "*") {
            self.warnings.push(format!(
                "{}: scripts of every page may open WebSockets; unset, those of your own domains may",
                all.key
            ));
        }
        self.each(typed, listener::origin)
    }

    /// Other servers take no wildcard for a SIP domain (RFC 5922 §7.2), though telephones may.
    pub(super) fn warn_about_wildcards(
        &mut self,
        domains: &[DomainPlan],
        sip: &SipPlan,
        tls: Option<&TlsPlan>,
    ) {
        let Some(tls) = tls.filter(|_| !sip.tls.is_empty()) else { return };
        let only_so = |name: &&str| tls.covers(name) && !tls.names().any(|own| own == *name);
        let names: Vec<_> = domains.iter().map(|domain| domain.name.as_str()).filter(only_so).collect();
        if !names.is_empty() {
            self.warnings.push(format!(
                "tls.certificate: {} is covered by a wildcard alone, which other SIP servers do not take (RFC 5922)",
                names.join(", ")
            ));
        }
    }

    /// What SIP's clients may cost.
    pub(super) fn sip_limits(&mut self, table: &'a Table) -> SipLimits {
        let usual = SipLimits::default();
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let expires_max = self.duration(table, "expires-max", usual.expires_max, SECOND..=365 * DAY);
        let expires_min =
            self.duration(table, "expires-min", usual.expires_min.min(expires_max), SECOND..=DAY);
        let expires = usual.expires.clamp(expires_min.min(expires_max), expires_max);
        let expires = self.duration(table, "expires", expires, SECOND..=365 * DAY);
        for (key, length) in [("expires-min", expires_min), ("expires", expires)] {
            if let Some(typed) = table.text(key).filter(|_| length > expires_max) {
                let fault = typed.fault(format!("`{}` is longer than expires-max", typed.value));
                self.faults.push(fault.help(format!("at most {}", quantity::words(expires_max))));
            }
        }
        // What everybody must take (RFC 3261 §18.1.1).
        let message = count(self.count(table, "message", 65_536, 2_048..=1_048_576));
        SipLimits {
            bindings: count(self.count(table, "contacts", 32, 1..=1_000)),
            expires,
            expires_min,
            expires_max,
            ping: self.duration(table, "ping", usual.ping, Duration::ZERO..=3600 * SECOND),
            message,
            header: usual.header.min(message / 2),
            per_source: count(self.count(table, "transactions-per-source", 100_000, 1..=200_000)),
            connections: count(self.count(table, "connections", 100_000, 1..=10_000_000)),
            ..usual
        }
    }
}

/// Reads `ACCOUNT=USER`: who may call under which other name of its domain.
pub(super) fn speaker(typed: &Typed<String>, domains: &[DomainPlan]) -> Result<SpeakFor, Fault> {
    let wrong = || {
        typed
            .fault(format!("`{}` is not an account and a user", typed.value))
            .help("write \"ACCOUNT=USER\", as in \"pbx@example.org=*\"")
    };
    let (account, user) = typed.value.split_once('=').ok_or_else(wrong)?;
    let account: Address = account.trim().parse().map_err(|_| wrong())?;
    let is = |domain: &&DomainPlan| {
        std::iter::once(&domain.name).chain(&domain.aliases).any(|name| name.as_str() == account.domain())
    };
    let Some(domain) = domains.iter().find(is).map(|domain| &domain.name) else {
        return Err(typed.fault(format!("{} is not a domain of this house", account.domain())));
    };
    let name = match user.trim() {
        "*" => None,
        user => Some(Address::within(user, domain).map_err(|_| wrong())?),
    };
    Ok(SpeakFor { account: account.at(domain), name })
}

/// Reads `DOMAIN=NAME`: what else the certificate of a domain's servers may name.
pub(super) fn peer(typed: &Typed<String>) -> Result<(String, String), Fault> {
    let is_name = |name: &str| Domain::new(name).is_ok() && name.parse::<IpAddr>().is_err();
    let text = typed.value.to_ascii_lowercase();
    match text.split_once('=').map(|(domain, name)| (domain.trim(), name.trim())) {
        Some((domain, name)) if is_name(domain) && is_name(name.strip_prefix("*.").unwrap_or(name)) => {
            Ok((domain.into(), name.into()))
        }
        _ => Err(typed
            .fault(format!("`{}` is not a domain and a name", typed.value))
            .help("write \"DOMAIN=NAME\", as in \"example.org=sbc.provider.net\"")),
    }
}
