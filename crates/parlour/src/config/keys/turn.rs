//! The keys of `[turn]`.

use super::{Absent, Key, Kind, Section, listeners, number, rate, text};

pub(super) const SECTION: Section =
    Section { name: "turn", many: false, comment: "STUN and TURN.", keys: KEYS };

const KEYS: &[Key] = &[
    listeners("udp", "Datagram listeners.", "[\":3478\"]"),
    listeners("tcp", "Stream listeners.", "[\":3478\"]"),
    listeners("tls", "TLS listeners.", "[\":5349\"]"),
    listeners("dtls", "DTLS listeners.", "[\":5349\"]"),
    Key {
        name: "relay-ports",
        kind: Kind::Text,
        comment: "The ports of relays, first and last.",
        absent: Absent::Same("\"49152-65535\""),
        example: "\"49152-65535\"",
    },
    texts("relay-addresses", "Addresses of this host on which relays are bound; empty is network.addresses."),
    texts(
        "allow-peers",
        "Exceptions to the built-in refusal of special address ranges as peers (loopback, private,\n\
         link-local, multicast …), as \"address\" or \"network/prefix\".",
    ),
    texts(
        "deny-peers",
        "Further ranges that are refused as peers. Of two ranges that both hold a peer the narrower counts.",
    ),
    Key {
        name: "secrets",
        kind: Kind::Secrets,
        comment: "Shared secrets of time-limited credentials, for programs that make them (\"use-auth-secret\"): a text,\n\
                  { file = \"…\" } or { credential = \"…\" } (systemd). All are good; the first makes new ones.",
        absent: Absent::Same("[]"),
        example: "[]",
    },
    Key {
        name: "oauth-keys",
        kind: Kind::Rows(OAUTH_KEY),
        comment: "Keys for access tokens of an authorisation server (RFC 7635): { kid = \"…\", key = BASE64 }, the key\n\
                  written as a secret is.",
        absent: Absent::Same("[]"),
        example: "[]",
    },
    Key {
        name: "oauth-server",
        kind: Kind::Text,
        comment: "The authorisation server's name, as clients are told it; empty is the first domain.",
        absent: Absent::Same("\"\""),
        example: "\"\"",
    },
    Key {
        name: "quota",
        kind: Kind::Fields(QUOTA),
        comment: "How many relays may be open at a time: of one account, of one domain, in all.",
        absent: Absent::Same("{}"),
        example: "{ user = 4096, domain = 100000, total = 100000 }",
    },
    Key {
        name: "bandwidth",
        kind: Kind::Fields(BANDWIDTH),
        comment: "What may be relayed each way, as \"8 Mbit/s\", \"1 MB/s\" or octets in a second; 0 is without a bound.\n\
                  What comes faster is delayed a little, then dropped.",
        absent: Absent::Same("{}"),
        example: "{ session = 0, user = 0 }",
    },
    Key {
        name: "limits",
        kind: Kind::Fields(LIMITS),
        comment: "What one relay may have, and those who have none.",
        absent: Absent::Same("{}"),
        example: "{ permissions = 256, channels = 256, lifetime = \"10m\", lifetime-max = \"1h\", strangers = 500 }",
    },
    Key {
        name: "mobility",
        kind: Kind::Flag,
        comment: "Whether clients that change their network may take their relay with them (RFC 8016).",
        absent: Absent::Same("true"),
        example: "true",
    },
    texts(
        "alternate-server",
        "Where clients are sent while this server is drained or full, as \"address:port\"; of the client's own family,\n\
         by chance where there are several.",
    ),
    Key {
        name: "drain",
        kind: Kind::Text,
        comment: "How long the end of the server (SIGTERM) waits for open relays; a second SIGTERM ends at once.",
        absent: Absent::Same("\"0s\""),
        example: "\"0s\"",
    },
    Key {
        name: "gathering",
        kind: Kind::Text,
        comment: "For how long packets may be gathered under load, at most, to be relayed together; \"0ms\" is never.",
        absent: Absent::Same("\"0ms\""),
        example: "\"0ms\"",
    },
    Key {
        name: "xdp",
        kind: Kind::Text,
        comment: "The network interface on which the kernel relays by itself what it knows (XDP); empty is off.",
        absent: Absent::Same("\"\""),
        example: "\"\"",
    },
    Key {
        name: "software",
        kind: Kind::Flag,
        comment: "Whether answers name this software and its version (SOFTWARE).",
        absent: Absent::Same("false"),
        example: "false",
    },
];

const OAUTH_KEY: &[Key] = &[
    Key {
        name: "kid",
        kind: Kind::Text,
        comment: "The key's name, which tokens come with.",
        absent: Absent::Refused,
        example: "\"north\"",
    },
    Key {
        name: "key",
        kind: Kind::Secret,
        comment: "The key in base64.",
        absent: Absent::Refused,
        example: "{ file = \"north.key\" }",
    },
];

const QUOTA: &[Key] = &[
    number("user", "Relays of one account.", "4096"),
    Key {
        name: "domain",
        kind: Kind::Number,
        comment: "Relays of all accounts of one domain.",
        absent: Absent::Same("total"),
        example: "100000",
    },
    number("total", "Relays of everybody.", "100000"),
];

const BANDWIDTH: &[Key] =
    &[rate("session", "Of one relay.", "0"), rate("user", "Of all relays of one account.", "0")];

const LIMITS: &[Key] = &[
    number("permissions", "Peers that one relay may have permissions for.", "256"),
    number("channels", "Peers that one relay may have channels to.", "256"),
    text("lifetime", "A relay's life if the client names none (RFC 8656 §3.2: 10 minutes).", "\"10m\""),
    text("lifetime-max", "A relay's longest life without a refresh (RFC 8656 §7.2).", "\"1h\""),
    number(
        "strangers",
        "Answers in a second to one source (an IPv4 address, an IPv6 /64) that has shown no credential; 0 is any \
         number.",
        "500",
    ),
];

const fn texts(name: &'static str, comment: &'static str) -> Key {
    Key { name, kind: Kind::Texts, comment, absent: Absent::Same("[]"), example: "[]" }
}
