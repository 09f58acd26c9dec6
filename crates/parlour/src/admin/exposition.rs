//! What is counted, in Prometheus' text format (version 0.0.4). Labels are bounded: transports, directions, reasons, error
//! codes; never a user or an address. What has no row here is shown as it is named in `parlour status`.

use crate::report::Report;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a name of the report is shown.
struct Row {
    /// The name; one that ends in a dot stands for all that begin with it, and the rest is the label's value.
    name: &'static str,
    metric: &'static str,
    /// The label's name, or empty.
    label: &'static str,
    kind: Kind,
    help: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    const fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

const fn counter(name: &'static str, metric: &'static str, label: &'static str, help: &'static str) -> Row {
    Row { name, metric, label, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, metric: &'static str, label: &'static str, help: &'static str) -> Row {
    Row { name, metric, label, kind: Kind::Gauge, help }
}

const ROWS: &[Row] = &[
    gauge("turn.open.", "parlour_turn_sessions", "transport", "TURN sessions by the client's transport."),
    counter(
        "turn.began.",
        "parlour_turn_sessions_begun_total",
        "transport",
        "TURN sessions that have begun.",
    ),
    counter("turn.ended.", "parlour_turn_sessions_ended_total", "reason", "TURN sessions that have ended."),
    counter(
        "turn.seconds",
        "parlour_turn_session_seconds_total",
        "",
        "How long ended TURN sessions lasted, together.",
    ),
    counter(
        "turn.packets.",
        "parlour_turn_relayed_packets_total",
        "direction",
        "Packets relayed: sent by clients, received for them.",
    ),
    counter("turn.octets.", "parlour_turn_relayed_bytes_total", "direction", "Their payload."),
    counter(
        "turn.dropped",
        "parlour_turn_dropped_packets_total",
        "",
        "Packets dropped, as they came faster than turn.bandwidth allows.",
    ),
    counter(
        "turn.refused.",
        "parlour_turn_refused_total",
        "code",
        "STUN and TURN requests refused, by error code.",
    ),
    counter(
        "turn.unanswered",
        "parlour_turn_unanswered_total",
        "",
        "Requests of sources that had had their share of answers for strangers.",
    ),
    counter("turn.bindings", "parlour_stun_bindings_total", "", "STUN Binding requests."),
    gauge("turn.streams", "parlour_turn_connections", "", "Streams and DTLS sessions of TURN clients."),
    gauge("turn.draining", "parlour_turn_draining", "", "1 while no new TURN sessions are made."),
    counter("turn.xdp-packets", "parlour_turn_xdp_packets_total", "", "Packets relayed in the kernel."),
    counter(
        "turn.xdp-passed",
        "parlour_turn_xdp_passed_total",
        "",
        "Packets that the kernel's program left to the server.",
    ),
    gauge("turn.xdp-channels", "parlour_turn_xdp_channels", "", "Channels relayed in the kernel."),
    gauge("bans.sources", "parlour_bans", "", "Sources that are banned."),
    gauge("bans.accounts", "parlour_locked_accounts", "", "Accounts that take nobody new."),
    counter("bans.failures", "parlour_failed_sign_ins_total", "", "Sign-ins that failed, by SIP and XMPP."),
    counter("bans.made", "parlour_bans_made_total", "", "Sources banned for failed sign-ins."),
    counter("bans.locks", "parlour_account_locks_total", "", "Accounts locked for failed sign-ins."),
    counter(
        "bans.dropped",
        "parlour_bans_dropped_total",
        "",
        "Datagrams and pieces of streams dropped for a ban.",
    ),
    counter(
        "sip.scanners",
        "parlour_sip_scanners_total",
        "",
        "SIP requests of scanners, which are not answered.",
    ),
    counter(
        "sip.unanswered",
        "parlour_sip_unanswered_total",
        "",
        "SIP requests of sources that had sent more than strangers may.",
    ),
    counter("sip.requests.", "parlour_sip_requests_total", "method", "SIP requests that came, again or not."),
    counter("sip.answers.", "parlour_sip_answers_total", "class", "SIP answers that left, ours and others'."),
    counter("sip.messages.", "parlour_sip_messages_total", "transport", "SIP messages that came."),
    gauge("sip.calls.now", "parlour_sip_calls", "", "Calls that stand."),
    counter(
        "sip.calls.unseen",
        "parlour_sip_calls_unseen_total",
        "",
        "Calls that are not counted or listed, as there were too many.",
    ),
    counter("sip.called.", "parlour_sip_calls_total", "class", "Calls by the class of their final answer."),
    gauge("sip.open.", "parlour_sip_connections", "transport", "Streams of SIP."),
    gauge("sip.bindings", "parlour_sip_bindings", "", "Phones, or flows of phones, that are registered."),
    gauge("sip.addresses", "parlour_sip_addresses", "", "Accounts with a phone that is registered."),
    gauge(
        "sip.transactions",
        "parlour_sip_transactions",
        "",
        "SIP transactions, ended ones that still absorb included.",
    ),
    gauge("media.calls", "parlour_media_calls", "", "Calls whose media are relayed now."),
    counter("media.calls-relayed", "parlour_media_calls_total", "", "Calls whose media were relayed."),
    gauge(
        "media.calls-unsaved",
        "parlour_media_calls_unsaved",
        "",
        "Calls whose relay a sudden end of the server would not outlive as it is now.",
    ),
    counter(
        "media.without-ports",
        "parlour_media_without_ports_total",
        "",
        "Media that went without the relay that they needed, as media.rtp-ports were used up.",
    ),
    counter(
        "media.over-quota",
        "parlour_media_over_quota_total",
        "",
        "Calls that went without the relay that they needed, as an account had its share.",
    ),
    counter("media.packets", "parlour_media_packets_total", "", "Packets of media relayed."),
    counter("media.octets", "parlour_media_octets_total", "", "Octets of media relayed."),
    counter(
        "media.dropped",
        "parlour_media_dropped_total",
        "",
        "Packets for the relay that came from the wrong place, or had nowhere to go yet.",
    ),
    counter("xmpp.failed_logins", "parlour_xmpp_failed_logins_total", "", "XMPP logins refused."),
    gauge("net.open", "parlour_net_open", "", "Connections open now, accepted or opened."),
    gauge("net.half_open", "parlour_net_dtls_half_open", "", "DTLS handshakes under way."),
    counter(
        "net.",
        "parlour_net_events_total",
        "event",
        "What workers' sockets have done; see net's counters.",
    ),
    gauge("process.memory", "process_resident_memory_bytes", "", "Resident memory."),
    gauge("process.files", "process_open_fds", "", "Open file descriptors."),
    counter(
        "process.cpu",
        "process_cpu_seconds_total",
        "",
        "Processor time of the process, in whole seconds.",
    ),
    gauge(
        "process.started",
        "process_start_time_seconds",
        "",
        "When the server started, in seconds since 1970.",
    ),
    gauge("server.workers", "parlour_workers", "", "Threads that serve clients."),
    gauge("server.accounts", "parlour_accounts", "", "Accounts."),
    gauge(
        "server.findings.",
        "parlour_findings",
        "severity",
        "What is wrong, as far as the server sees by itself; `parlour status` says what.",
    ),
    gauge(
        "server.certificate",
        "parlour_certificate_end_time_seconds",
        "",
        "When the first of the certificates ends, in seconds since 1970.",
    ),
    gauge(
        "server.certificates_due",
        "parlour_certificates_due",
        "",
        "Certificates of which a third of the life or less is left.",
    ),
];

/// Names that another row says better.
const HIDDEN: &[&str] = &["turn.allocations", "sip.streams"];

/// A metric with its values.
struct Metric {
    kind: Kind,
    help: String,
    values: Vec<(String, u64)>,
}

/// All of a report, and which version it is of.
pub fn text(report: &Report, version: &str) -> String {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for (name, value) in report.0.iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str())) {
        let (metric, kind, help, labels) = shown(name);
        let entry = metrics.entry(metric).or_insert(Metric { kind, help, values: vec![] });
        entry.values.push((labels, *value));
    }
    let mut text = String::new();
    let version = labels("version", version);
    let _ = write!(
        text,
        "# HELP parlour_info Which version runs.\n# TYPE parlour_info gauge\nparlour_info{version} 1\n"
    );
    for (name, Metric { kind, help, values }) in metrics {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.text());
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

/// The metric of a name, with its kind, its help and its labels.
fn shown(name: &str) -> (String, Kind, String, String) {
    let exact = ROWS.iter().find(|row| row.name == name);
    let row = exact.or_else(|| ROWS.iter().find(|row| row.name.ends_with('.') && name.starts_with(row.name)));
    match row {
        Some(row) => {
            let value = &name[row.name.len()..];
            let labels = if row.label.is_empty() { String::new() } else { labels(row.label, value) };
            (row.metric.into(), row.kind, row.help.into(), labels)
        }
        None => (plain(name), Kind::Gauge, format!("{name}, as parlour status has it."), String::new()),
    }
}

/// A name in the letters that metrics may have.
fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("parlour_{}", name.chars().map(letter).collect::<String>())
}

/// `{name="value"}`, with what must be written otherwise in it.
fn labels(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_as_prometheus_reads_it() {
        let mut report = Report::default();
        for (name, count) in [
            ("turn.refused.401", 7),
            ("turn.refused.486", 1),
            ("turn.allocations", 9),
            ("sip.bindings.unsaved", 3),
            ("net.accepted", 5),
            ("net.open", 2),
        ] {
            report.add(name, count);
        }
        let expected = "\
# HELP parlour_info Which version runs.
# TYPE parlour_info gauge
parlour_info{version=\"1.0 \\\"x\\\"\"} 1
# HELP parlour_net_events_total What workers' sockets have done; see net's counters.
# TYPE parlour_net_events_total counter
parlour_net_events_total{event=\"accepted\"} 5
# HELP parlour_net_open Connections open now, accepted or opened.
# TYPE parlour_net_open gauge
parlour_net_open 2
# HELP parlour_sip_bindings_unsaved sip.bindings.unsaved, as parlour status has it.
# TYPE parlour_sip_bindings_unsaved gauge
parlour_sip_bindings_unsaved 3
# HELP parlour_turn_refused_total STUN and TURN requests refused, by error code.
# TYPE parlour_turn_refused_total counter
parlour_turn_refused_total{code=\"401\"} 7
parlour_turn_refused_total{code=\"486\"} 1
";
        assert_eq!(text(&report, "1.0 \"x\""), expected);
    }
}
