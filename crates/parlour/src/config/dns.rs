//! What the table `dns` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::meaning::Judge;
use super::plan::{DnsPlan, HostName, HostPlan};
use std::time::Duration;
use wire::Domain;

const DAY: Duration = Duration::from_secs(86_400);

impl<'a> Judge<'a> {
    /// What the DNS is to say.
    pub(super) fn dns(&mut self) -> DnsPlan {
        let table = self.file.section("dns");
        let ttl = self.duration(table, "ttl", Duration::from_secs(3600), Duration::from_secs(1)..=365 * DAY);
        DnsPlan {
            turn: self.host(table.fields("turn"), "turn"),
            sip: self.host(table.fields("sip"), "sip"),
            xmpp: self.host(table.fields("xmpp"), "xmpp"),
            ttl: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX),
            caa: self.each(table.texts("caa"), issuer),
            tlsa: table.flag("tlsa", false),
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

fn issuer(typed: &Typed<String>) -> Result<String, Fault> {
    let text = typed.value.trim();
    let name = text.split(';').next().unwrap_or("").trim();
    if (text != ";" && Domain::new(name).is_err()) || text.len() > 200 || !text.is_ascii() {
        let fault = typed.fault(format!("`{}` is not the name of an authority", typed.value));
        return Err(fault.help("write \"letsencrypt.org\", or \";\" for none at all"));
    }
    Ok(text.to_owned())
}
