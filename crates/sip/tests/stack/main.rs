//! The SIP stack as a whole, with virtual time and without a socket: calls, forks, races, registrations, workers.

#![expect(clippy::unwrap_used, reason = "in a test a panic is a failure")]

mod call;
mod callers;
mod dialogs;
mod failover;
mod forks;
mod gruu;
mod hangup;
mod house;
mod identified;
mod inside;
mod media;
mod memory;
mod network;
mod nonsense;
mod oddities;
mod outbound;
mod phone;
mod pings;
mod policy;
mod races;
mod registrar;
mod registration;
mod relay_races;
mod scene;
mod serial;
mod sips;
mod storage;
mod strangers;
mod streams;
mod torture;
mod web;
mod why;
mod workers;

/// A request as a phone at `via` writes it. `more` are further header lines, each with its line end.
pub(crate) fn request(
    method: &str,
    uri: &str,
    via: &str,
    branch: &str,
    (from, to): (&str, &str),
    more: &str,
) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
         To: {to}\r\nCall-ID: call-{branch}@{via}\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// A phone's answer to a request that it was sent: Vias, From, To, Call-ID and CSeq repeated. `more` as above.
pub(crate) fn answer(request: &str, status: &str, tag: &str, more: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n\r\n").next().unwrap_or_default().lines().skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text.push_str(line),
            "To" if line.contains(";tag=") || tag.is_empty() => text.push_str(line),
            "To" => text.push_str(&format!("{line};tag={tag}")),
            _ => continue,
        }
        text.push_str("\r\n");
    }
    text + more + "Content-Length: 0\r\n\r\n"
}
