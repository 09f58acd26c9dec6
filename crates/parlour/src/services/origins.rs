//! Which pages are the house's own, by their origins (RFC 6454): those of its domains and of what is below them, by https, and
//! what the user's own host shows.

use crate::config::plan::DomainPlan;
use std::net::IpAddr;

/// Whether a page is of this house, or of the host that the browser itself runs on.
pub(super) fn is_own(domains: &[DomainPlan], origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let host = host(rest);
    match scheme {
        "https" if is_of_house(domains, host) => true,
        "http" | "https" => is_local(host),
        _ => false,
    }
}

/// The host of `host:port`.
fn host(text: &str) -> &str {
    match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => text.split(':').next().unwrap_or_default(),
    }
}

fn is_of_house(domains: &[DomainPlan], host: &str) -> bool {
    let mut names = domains.iter().flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases));
    names.any(|name| is_below(host, name.as_str()))
}

fn is_local(host: &str) -> bool {
    is_below(host, "localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a name is that of a domain or of something below it.
fn is_below(name: &str, domain: &str) -> bool {
    let rest = name.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_house_and_of_the_own_host() {
        let name = |text: &str| text.parse().unwrap();
        let domains = [DomainPlan {
            name: name("falcot.com"),
            aliases: vec![name("falcot.net")],
            admins: Vec::new(),
            rooms: None,
        }];
        for (origin, expected) in [
            ("https://falcot.com", true),
            ("https://FALCOT.com:8443", true),
            ("https://chat.falcot.com", true),
            ("https://www.falcot.net", true),
            ("http://falcot.com", false),
            ("https://evilfalcot.com", false),
            ("https://falcot.com.evil.example", false),
            ("https://evil.example", false),
            ("http://localhost:8000", true),
            ("https://parlour.localhost", true),
            ("http://127.0.0.1:8000", true),
            ("http://[::1]:8000", true),
            ("http://192.168.1.1", false),
            ("http://localhost.evil.example", false),
            ("chrome-extension://falcot.com", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_own(&domains, origin), expected, "{origin}");
        }
    }
}
