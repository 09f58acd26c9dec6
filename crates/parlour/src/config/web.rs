//! What the table `web` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::host;
use super::listener::Place;
use super::meaning::{Judge, network};
use super::plan::{Host, Listener, WebLimits, WebPlan};
use std::net::SocketAddr;
use std::time::Duration;
use wire::Transport;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl<'a> Judge<'a> {
    /// The whole table.
    pub(super) fn web(&mut self, places: &mut Vec<Place<'a>>) -> WebPlan {
        let table = self.file.section("web");
        let (https, http) = (
            self.listeners("web", "https", Transport::Tls, places),
            self.listeners("web", "http", Transport::Tcp, places),
        );
        let upstream = |typed| upstream(typed, places);
        WebPlan {
            https,
            http,
            share: table.flag("share", true),
            upstream: table.text("upstream").and_then(|typed| self.note(upstream(typed)).flatten()),
            proxy_protocol: self.each(table.texts("proxy-protocol"), network),
            limits: self.web_limits(table.fields("limits")),
        }
    }

    fn web_limits(&mut self, table: &'a Table) -> WebLimits {
        let usual = WebLimits::default();
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        WebLimits {
            begin: self.duration(table, "begin", usual.begin, SECOND..=HOUR),
            idle: self.duration(table, "idle", usual.idle, SECOND..=HOUR),
            requests: self.count(table, "requests", 1_000, 1..=1_000_000),
            streams: self.count(table, "streams", 64, 1..=1_000),
            body: count(self.count(table, "body", 524_288, 1_024..=16_777_216)),
            answer: self.duration(table, "answer", usual.answer, SECOND..=24 * HOUR),
            upstream: count(self.count(table, "upstream", 512, 1..=100_000)),
            ..usual
        }
    }
}

/// Where a web server is: by its address, as listeners are; it is none of those.
fn upstream(typed: &Typed<String>, places: &[Place<'_>]) -> Result<Option<SocketAddr>, Fault> {
    let text = typed.value.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let place = text.strip_prefix("http://").map_or(text, |rest| rest.trim_end_matches('/'));
    match place.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => {
            let own =
                places.iter().find(|place| place.transport.is_stream() && leads_to(place.listener, address));
            match own {
                // Each request would come back as another, until no connection is left.
                Some(place) => Err(typed
                    .fault(format!(
                        "`{text}` is this server itself, by `{}` of {}",
                        place.typed.value, place.typed.key
                    ))
                    .help("give the other web server a port of its own")),
                None => Ok(Some(address)),
            }
        }
        _ => Err(typed
            .fault(format!("`{text}` is not the address of a web server"))
            .help("write \"127.0.0.1:8080\": names are not looked up, and what is passed on is plain HTTP")),
    }
}

/// Whether a connection to `address` comes in there.
fn leads_to(listener: Listener, address: SocketAddr) -> bool {
    let (own, other) = (listener.host, address.ip().to_canonical());
    listener.port == address.port()
        && match own {
            Host::One(own) if !own.is_unspecified() => own.to_canonical() == other,
            Host::One(own) => own.is_ipv4() == other.is_ipv4() && host::has(other),
            Host::All => host::has(other),
        }
}
