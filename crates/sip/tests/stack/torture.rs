//! What the proxy and the registrar make of the torture messages of RFC 4475 and RFC 5118, in a house that serves
//! the domain of whoever sent them.

use crate::house::House;
use sip::message::{Message, NameAddr};
use sip::stack::Input;
use sip::transport::Listener;
use std::sync::Arc;
use wire::{Account, Address, Directory, Domain, Keys, SocketId, Transport};

fn file(folder: &str, name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{folder}/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// An account for everybody of the sender's domain that the message names.
fn directory(message: &Message<'_>) -> Directory {
    let address = |of: &NameAddr<'_>| of.uri().ok()?.sip()?.address().ok();
    let main = address(message.from()).and_then(|from| Domain::new(from.domain()).ok());
    let main = main.unwrap_or(Domain::new("example.com").unwrap());
    let named = message.uri().and_then(|uri| uri.sip()?.address().ok());
    let all = [address(message.from()), address(message.to()), named].into_iter().flatten();
    let account =
        |address: Address| (address.clone(), Some(Arc::new(Account { address, keys: Keys::default() })));
    Directory::new([(&main, &[][..])]).with(all.filter(|a| a.domain() == main.as_str()).map(account))
}

#[track_caller]
fn check(folder: &str, name: &str, expected: &str) {
    let bytes = file(folder, name);
    let mut house = House::with(1, |config| {
        config.targets = vec![("127.0.0.1".parse().unwrap(), 32)];
        config.listeners.all.push(Listener {
            transport: Transport::Udp,
            socket: Some(SocketId(2)),
            bound: "[2001:db8::1]:5060".parse().unwrap(),
            host: "falcot.com".into(),
        });
    });
    house.finds_everything = true;
    if let Ok(message) = Message::parse(&bytes) {
        house.stacks[0].set_directory(house.now, Arc::new(directory(&message)));
    }
    let (local, peer) = ("192.0.2.1".parse().unwrap(), "203.0.113.200:5060".parse().unwrap());
    let sent = house.input(0, Input::Datagram { socket: SocketId(1), local, peer, bytes: &bytes });
    let seen: Vec<String> = sent
        .iter()
        .map(|sent| match sent.first_line() {
            line if line.starts_with("SIP/2.0 ") => line[8..].to_owned(),
            line => format!("{} to {}", line.split(' ').next().unwrap(), sent.to),
        })
        .filter(|line| line != "100 Trying")
        .collect();
    assert_eq!(seen.join(", "), expected, "{name}");
}

/// What is sent to whom for each message; nothing where it is dropped. 480: the user is there, but nowhere.
const TABLE: [(&str, &str); 50] = [
    ("badaspec", "400 Malformed From Or To"),
    ("badbranch", "OPTIONS to 203.0.113.1:5060"),
    ("baddate", "INVITE to 203.0.113.1:5060"),
    ("baddn", "400 Malformed From Or To"),
    ("badinv01", "400 Malformed Via"),
    ("badvers", "505 Version Not Supported"),
    ("bcast", ""),
    ("bext01", "420 Bad Extension"),
    ("bigcode", ""),
    ("clerr", "400 Content-Length Larger Than Message"),
    ("cparam01", "200 OK"),
    ("cparam02", "200 OK"),
    ("dblreq", "200 OK"),
    ("esc01", "403 Relaying Denied"),
    ("esc02", "RE%47IST%45R to 203.0.113.1:5060"),
    ("escnull", "404 Not Found"),
    ("escruri", "400 Malformed Request-URI"),
    ("insuf", "400 Missing Call-ID"),
    ("intmeth", "404 Not Found"),
    ("inv2543", "INVITE to 203.0.113.1:5060"),
    ("invut", "INVITE to 203.0.113.1:5060"),
    ("longreq", "INVITE to 203.0.113.1:5060"),
    ("ltgtruri", "400 Malformed Request-URI"),
    ("lwsdisp", "480 Temporarily Unavailable"),
    ("lwsruri", "400 Malformed Request-URI"),
    ("lwsstart", "400 Malformed Request-URI"),
    ("mcl01", "400 Content-Lengths Differ"),
    ("mismatch01", "400 CSeq Method Does Not Match"),
    ("mismatch02", "400 CSeq Method Does Not Match"),
    ("mpart01", "MESSAGE to 127.0.0.1:5080"),
    ("multi01", "400 Repeated CSeq"),
    ("ncl", "400 Malformed Content-Length"),
    ("noreason", ""),
    ("novelsc", "416 Unsupported URI Scheme"),
    ("quotbal", "400 Malformed From Or To"),
    ("regaut01", "200 OK"),
    ("regbadct", "400 Malformed Contact"),
    ("regescrt", "200 OK"),
    ("scalar02", "400 Malformed CSeq"),
    ("scalarlg", ""),
    ("sdp01", "INVITE to 203.0.113.1:5060"),
    ("semiuri", "OPTIONS to 203.0.113.1:5060"),
    ("test", ""),
    ("transports", "480 Temporarily Unavailable"),
    ("trws", "400 Malformed Request-Line"),
    ("unkscm", "416 Unsupported URI Scheme"),
    ("unksm2", "400 To Names No SIP Address"),
    ("unreason", ""),
    ("wsinv", "INVITE to 203.0.113.1:5060"),
    ("zeromf", "483 Too Many Hops"),
];

#[test]
fn rfc_4475() {
    TABLE.iter().for_each(|(name, expected)| check("torture", name, expected));
}

/// The same for RFC 5118.
const TABLE_IPV6: [(&str, &str); 12] = [
    ("ipv4-mapped-ipv6", "INVITE to 203.0.113.1:5060"),
    ("ipv6-bad", "400 Malformed Request-URI"),
    ("ipv6-bug-abnf-3-colons", "OPTIONS to [2001:db8::c000:201]:5060"),
    ("ipv6-correct-abnf-2-colons", "OPTIONS to [2001:db8::c000:201]:5060"),
    ("ipv6-good", "REGISTER to [2001:db8::10]:5060"),
    ("ipv6-in-sdp", "INVITE to [2001:db8::10]:5060"),
    ("mult-ip-in-header", "BYE to 203.0.113.1:5060"),
    ("mult-ip-in-sdp", "INVITE to [2001:db8::10]:5060"),
    ("port-ambiguous", "REGISTER to [2001:db8::10:5070]:5060"),
    ("port-unambiguous", "REGISTER to [2001:db8::10]:5070"),
    ("via-received-param-no-delim", "OPTIONS to [2001:db8::10]:5060"),
    ("via-received-param-with-delim", "BYE to [2001:db8::10]:5060"),
];

#[test]
fn rfc_5118() {
    TABLE_IPV6.iter().for_each(|(name, expected)| check("torture-ipv6", name, expected));
}
