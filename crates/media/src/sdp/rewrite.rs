//! The same description with other addresses and ports.

use super::{Connection, Description, Media};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// What takes the place of a part.
type Change = (Range<usize>, String);

impl Description<'_> {
    /// The description with media received elsewhere: `at` tells for each medium where, with RTCP one port above; `None`
    /// leaves it as it is. All are at one address of ours; where
    /// that is of another family, `o=` gets it too. An address of 0.0.0.0, which old phones write for hold
    /// (RFC 3264 §8.4), stays one.
    pub fn rewrite(&self, at: &[Option<SocketAddr>]) -> Vec<u8> {
        let here = at.iter().flatten().next().map(SocketAddr::ip);
        let Some(here) = here else { return self.bytes.to_vec() };
        let mut changes = Vec::new();
        // Phones take the family of a call from the line that comes first (baresip does).
        let other_family = |origin: &&Connection| origin.address.is_ipv4() != here.is_ipv4();
        if let Some(origin) = self.origin.as_ref().filter(other_family) {
            changes.push((origin.value.clone(), text(here)));
        }
        if let Some(connection) = &self.connection {
            changes.push((connection.value.clone(), connection.at(here)));
        }
        for (index, media) in self.media.iter().enumerate() {
            match at.get(index).copied().flatten() {
                Some(to) => media.relocate(to, &mut changes),
                None => self.stay(media, &mut changes),
            }
        }
        self.splice(changes)
    }

    /// A medium that stays where it is keeps the address that the session as a whole has no more.
    fn stay(&self, media: &Media, changes: &mut Vec<Change>) {
        if let (Some(session), None) = (&self.connection, &media.connection)
            && media.port != 0
        {
            let value = String::from_utf8_lossy(&self.bytes[session.value.clone()]);
            changes.push((media.after_title..media.after_title, format!("c={value}\r\n")));
        }
    }

    fn splice(&self, mut changes: Vec<Change>) -> Vec<u8> {
        changes.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.bytes.len() + 128);
        let mut copied = 0;
        for (range, text) in changes {
            out.extend_from_slice(&self.bytes[copied..range.start]);
            // A last line without an end gets one before another follows.
            if range.is_empty() && out.last() != Some(&b'\n') {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(text.as_bytes());
            copied = range.end;
        }
        out.extend_from_slice(&self.bytes[copied..]);
        out
    }
}

impl Connection {
    fn at(&self, here: IpAddr) -> String {
        match (self.address.is_unspecified(), here) {
            (true, IpAddr::V4(_)) => "IN IP4 0.0.0.0".into(),
            (true, IpAddr::V6(_)) => "IN IP6 ::".into(),
            (false, here) => text(here),
        }
    }
}

impl Media {
    fn relocate(&self, to: SocketAddr, changes: &mut Vec<Change>) {
        changes.push((self.port_text.clone(), to.port().to_string()));
        if let Some(connection) = &self.connection {
            changes.push((connection.value.clone(), connection.at(to.ip())));
        }
        if let Some(rtcp) = &self.rtcp {
            // With rtcp-mux both have one port, and then it is said that they have (RFC 5761 §5.1.1).
            let apart = u16::from(rtcp.port != self.port);
            let port = to.port() + apart;
            let text = rtcp.address.map_or_else(|| port.to_string(), |_| format!("{port} {}", text(to.ip())));
            changes.push((rtcp.value.clone(), text));
        }
    }
}

/// As `c=` writes an address.
fn text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("IN IP4 {ip}"),
        IpAddr::V6(ip) => format!("IN IP6 {ip}"),
    }
}
