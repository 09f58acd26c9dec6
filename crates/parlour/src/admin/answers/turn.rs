//! What the commands on STUN and TURN return.

use super::words::{rate, size, table, time};
use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::ToSchema;

/// TURN sessions: those that clients have now, or a part of them.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TurnSessions {
    /// How many there are in all, those of other accounts and on other pages included.
    pub total: u64,
    /// In the order in which the server keeps them.
    pub sessions: Vec<TurnSession>,
    /// Where the list goes on (`--after`); absent where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A TURN session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnSession {
    /// Its name, never used twice while the server runs.
    pub id: String,
    /// Which account made it.
    pub user: String,
    /// Where the client is.
    pub client: String,
    /// How the client speaks to the server: `udp`, `tcp`, `tls` or `dtls`.
    pub transport: String,
    /// What is relayed: `udp` or `tcp`.
    pub relaying: String,
    /// Its relay's address as the world sees it; two of a dual allocation.
    pub relays: Vec<String>,
    /// How many peers traffic is permitted with.
    pub permissions: u64,
    /// How many channels it has.
    pub channels: u64,
    /// From the client to peers.
    pub sent: TurnTraffic,
    /// From peers to the client.
    pub received: TurnTraffic,
    /// Packets of either way that were dropped, as they came faster than `turn.bandwidth` allows.
    pub dropped: u64,
    /// How long ago it began, in seconds.
    pub age: u64,
    /// How long it lives unless it is refreshed, in seconds.
    pub remaining: u64,
}

/// What went through a TURN session in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnTraffic {
    /// Packets.
    pub packets: u64,
    /// Their payload, in octets.
    pub octets: u64,
    /// What goes through now, in octets a second: measured over the second before the answer.
    pub rate: u64,
}

/// A TURN session in every detail.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnSessionDetails {
    /// What stands in the list.
    pub session: TurnSession,
    /// Whom traffic is permitted with.
    pub permissions: Vec<TurnPermission>,
    /// Its channels.
    pub channels: Vec<TurnChannel>,
}

/// A permission of a TURN session.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnPermission {
    /// The peer's address.
    pub peer: String,
    /// How long it holds unless it is refreshed, in seconds.
    pub remaining: u64,
}

/// A channel of a TURN session.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnChannel {
    /// Its number, from 16384 on.
    pub number: u16,
    /// Where it leads.
    pub peer: String,
    /// How long it is bound unless it is refreshed, in seconds.
    pub remaining: u64,
}

/// TURN sessions were ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnDisconnected {
    /// Their names.
    pub ended: Vec<String>,
}

/// Whether new TURN sessions are made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnDrain {
    /// Whether clients are sent elsewhere.
    pub draining: bool,
    /// How many sessions there are still.
    pub sessions: u64,
}

/// A time-limited credential: an RTCIceServer object.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnCredentials {
    /// Where the server is reached (RFC 7065).
    pub urls: Vec<String>,
    /// When it ends, and for whom it is: `expiry:user@domain`.
    pub username: String,
    /// The password.
    pub credential: String,
}

impl Answer for TurnCredentials {
    fn human(&self) -> String {
        let object = serde_json::to_value(self).unwrap_or_default();
        format!("{object:#}")
    }
}

/// What a test of the server came to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnTest {
    /// The server's address.
    pub server: String,
    /// How the clients spoke to it.
    pub transport: String,
    /// The client's address as the server sees it.
    pub seen: String,
    /// The two relays, between which packets went there and back.
    pub relays: Vec<String>,
    /// How many packets were sent.
    pub sent: u64,
    /// How many came back.
    pub received: u64,
    /// How many did not, in percent.
    pub loss: f64,
    /// How long that took: two relays there, two relays back.
    pub round_trip: TurnTestRoundTrip,
    /// Whether a packet from this host's own address to the relay's public one arrived; `false` where that could not be
    /// tried, as the peer policy does not let this host be a peer.
    pub outside: bool,
    /// What works from here but may not work for others.
    pub notes: Vec<String>,
}

/// Times in milliseconds.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TurnTestRoundTrip {
    /// The shortest.
    pub min: f64,
    /// Half of them were shorter.
    pub median: f64,
    /// 95 of a hundred were shorter.
    pub p95: f64,
}

impl Answer for TurnTest {
    fn human(&self) -> String {
        let Self { server, transport, seen, relays, sent, received, loss, round_trip, outside, notes } = self;
        let TurnTestRoundTrip { min, median, p95 } = round_trip;
        let mut text = format!("{server} relays by {transport}\n  seen as     {seen}");
        let _ = write!(text, "\n  relays      {}", relays.join(" and "));
        let _ = write!(text, "\n  packets     {sent} sent, {received} came back ({loss:.1} % lost)");
        let _ =
            write!(text, "\n  round trip  {min:.2} ms at least, {median:.2} ms half, {p95:.2} ms 95 of 100");
        let way = if *outside { "open" } else { "not tried" };
        let _ = write!(text, "\n  outside     the way to the relay's port from this host: {way}");
        for note in notes {
            let _ = write!(text, "\nnote: {note}");
        }
        text
    }
}

const TITLES: [&str; 9] = ["ID", "USER", "CLIENT", "VIA", "RELAY", "AGE", "LEFT", "SENT", "RECEIVED"];

impl Answer for TurnSessions {
    fn human(&self) -> String {
        let rows: Vec<_> = self.sessions.iter().map(row).collect();
        let mut text = table(&TITLES.map(str::to_owned), &rows);
        let _ = write!(text, "{} of {} sessions", self.sessions.len(), self.total);
        if let Some(next) = &self.next {
            let _ = write!(text, "; the list goes on with --after {next}");
        }
        text
    }
}

fn row(session: &TurnSession) -> [String; 9] {
    let TurnSession { id, user, client, transport, relays, sent, received, age, remaining, .. } = session;
    let traffic = |traffic: &TurnTraffic| format!("{}, {}", size(traffic.octets), rate(traffic.rate));
    [
        id.clone(),
        user.clone(),
        client.clone(),
        transport.clone(),
        relays.join(" "),
        time(*age),
        time(*remaining),
        traffic(sent),
        traffic(received),
    ]
}

impl Answer for TurnSessionDetails {
    fn human(&self) -> String {
        let TurnSession {
            id, user, client, transport, relaying, relays, sent, received, age, remaining, ..
        } = &self.session;
        let mut text = format!("{id}\n  user        {user}\n  client      {client} by {transport}");
        let _ = write!(text, "\n  relay       {} for {relaying}", relays.join(" and "));
        let _ = write!(
            text,
            "\n  age         {}, ends in {} unless it is refreshed",
            time(*age),
            time(*remaining)
        );
        for (what, TurnTraffic { packets, octets, rate: now }) in [("sent", sent), ("received", received)] {
            let _ = write!(text, "\n  {what:10}  {packets} packets, {}, now {}", size(*octets), rate(*now));
        }
        if self.session.dropped > 0 {
            let _ = write!(text, "\n  dropped     {} packets above the bandwidth", self.session.dropped);
        }
        for TurnPermission { peer, remaining } in &self.permissions {
            let _ = write!(text, "\n  permission  {peer} for {}", time(*remaining));
        }
        for TurnChannel { number, peer, remaining } in &self.channels {
            let _ = write!(text, "\n  channel     {number:#06x} to {peer} for {}", time(*remaining));
        }
        text
    }
}

impl Answer for TurnDisconnected {
    fn human(&self) -> String {
        format!("ended {}", self.ended.join(", "))
    }
}

impl Answer for TurnDrain {
    fn human(&self) -> String {
        let Self { draining, sessions } = self;
        let what = if *draining { "no new sessions are made" } else { "new sessions are made" };
        format!("{what}; there are {sessions}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_in_columns() {
        let session = TurnSession {
            id: "0.1".into(),
            user: "roland@falcot.com".into(),
            client: "192.0.2.1:5000".into(),
            transport: "udp".into(),
            relaying: "udp".into(),
            relays: vec!["198.51.100.1:50000".into()],
            permissions: 1,
            channels: 0,
            sent: TurnTraffic { packets: 1, octets: 5, rate: 0 },
            received: TurnTraffic::default(),
            dropped: 0,
            age: 61,
            remaining: 539,
        };
        let sessions = TurnSessions { total: 2, sessions: vec![session], next: Some("0.1".into()) };
        let expected = "\
ID   USER               CLIENT          VIA  RELAY               AGE    LEFT   SENT          RECEIVED
0.1  roland@falcot.com  192.0.2.1:5000  udp  198.51.100.1:50000  1m01s  8m59s  5 B, 0 bit/s  0 B, 0 bit/s
1 of 2 sessions; the list goes on with --after 0.1";
        assert_eq!(sessions.human(), expected);
        assert_eq!(TurnSessions::default().human(), "0 of 0 sessions");
    }
}
