//! Every key of `parlour.toml`, declared once. From this table come the file that `init` writes, the reader's
//! refusal of anything else, and the administrator's page on configuration.

mod bans;
mod dns;
mod media;
mod sip;
mod tls;
mod turn;
mod web;
mod xmpp;

/// A table of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name, as in `[turn]`.
    pub name: &'static str,
    /// Whether it may stand more than once: `[[domains]]`.
    pub many: bool,
    /// What it is about.
    pub comment: &'static str,
    /// Its keys, in the order in which `init` writes them.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What stands behind the `=`.
    pub kind: Kind,
    /// What it means.
    pub comment: &'static str,
    /// What its absence means.
    pub absent: Absent,
    /// A value, as TOML; what `init` writes unless it knows better.
    pub example: &'static str,
}

/// What stands behind the `=`.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `"text"`
    Text,
    /// `["text", "text"]`
    Texts,
    /// `"text"` or `["text", "text"]`
    OneOrMore,
    /// `4`
    Number,
    /// `true` or `false`
    Flag,
    /// `125000` or `"1 Mbit/s"`: octets in a second.
    Rate,
    /// `"text"`, `{ file = "…" }` or `{ credential = "…" }`: never shown to anybody.
    Secret,
    /// A list of secrets.
    Secrets,
    /// `{ key = …, key = … }`, or a table of its own.
    Fields(&'static [Key]),
    /// A list of such.
    Rows(&'static [Key]),
}

/// What the absence of a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The file is refused.
    Refused,
    /// What the key is for is off, or the list is empty.
    Off,
    /// The value is this one, as TOML.
    Same(&'static str),
}

impl Section {
    /// How the table's header is written.
    pub fn header(&self) -> String {
        if self.many { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// How listeners are written, said once at the top of the file.
pub const LISTENER_SYNTAX: &str =
    "\":port\" is every address, both families; \"address:port\" is one; absent is off.";

/// The whole file, in the order in which `init` writes it.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "domains",
        many: true,
        comment: "A domain and who runs it. Repeat the table for further domains; the first is the default realm.",
        keys: &[
            Key {
                name: "name",
                kind: Kind::Text,
                comment: "Accounts are user@name, and it is their realm.",
                absent: Absent::Refused,
                example: "\"falcot.com\"",
            },
            Key {
                name: "aliases",
                kind: Kind::Texts,
                comment: "Further names of the same accounts.",
                absent: Absent::Off,
                example: "[\"sip.falcot.com\"]",
            },
            Key {
                name: "admins",
                kind: Kind::Texts,
                comment: "Accounts of this house that may administer the domain.",
                absent: Absent::Off,
                example: "[\"joe@falcot.com\"]",
            },
            Key {
                name: "rooms",
                kind: Kind::Text,
                comment: "The name of the domain's rooms; absent: `xmpp.rooms` says it.",
                absent: Absent::Off,
                example: "\"conference.falcot.com\"",
            },
        ],
    },
    Section {
        name: "storage",
        many: false,
        comment: "Where accounts, bindings, rosters and messages are kept.",
        keys: &[Key {
            name: "url",
            kind: Kind::Text,
            comment: "A SQLite file, relative to this one. The admin socket lies beside it.",
            absent: Absent::Same("\"sqlite:data/parlour.db\""),
            example: "\"sqlite:data/parlour.db\"",
        }],
    },
    Section {
        name: "network",
        many: false,
        comment: "Threads and addresses.",
        keys: &[
            Key {
                name: "workers",
                kind: Kind::Number,
                comment: "How many threads serve clients; 0 is one per core.",
                absent: Absent::Same("0"),
                example: "0",
            },
            Key {
                name: "addresses",
                kind: Kind::Texts,
                comment: "Addresses of this host for relays and for the zone; empty is all that it has, in the zone those that the world reaches if there are any.",
                absent: Absent::Same("[]"),
                example: "[]",
            },
            Key {
                name: "external",
                kind: Kind::Texts,
                comment: "Behind one-to-one NAT: \"public=private\" pairs; the public side may be a host name, which is followed.",
                absent: Absent::Same("[]"),
                example: "[]",
            },
            Key {
                name: "resolver",
                kind: Kind::Texts,
                comment: "Name servers to ask, as \"address\" or \"address:port\"; empty is those of the system.",
                absent: Absent::Same("[]"),
                example: "[]",
            },
            Key {
                name: "limits",
                kind: Kind::Fields(NETWORK_LIMITS),
                comment: "What connections may cost, whichever service they are for.",
                absent: Absent::Same("{}"),
                example: "{ handshakes-per-source = 200 }",
            },
        ],
    },
    tls::TLS,
    tls::ACME,
    turn::SECTION,
    Section {
        name: "sip",
        many: false,
        comment: "SIP: telephones.",
        keys: &[
            listeners("udp", "Datagram listeners.", "[\":5060\"]"),
            listeners("tcp", "Stream listeners.", "[\":5060\"]"),
            listeners("tls", "TLS listeners.", "[\":5061\"]"),
            listeners(
                "ws",
                "Listeners for browsers (WebSocket, RFC 7118) alone; those of `tcp` take browsers too.",
                "[\":5080\"]",
            ),
            listeners(
                "wss",
                "The same inside TLS, as pages from https need it; those of `tls` take browsers too.",
                "[\":5443\"]",
            ),
            Key {
                name: "origins",
                kind: Kind::Texts,
                comment: ORIGINS,
                absent: Absent::Same("[]"),
                example: "[\"https://falcot.com\"]",
            },
            Key {
                name: "allow-targets",
                kind: Kind::Texts,
                comment: "Exceptions to the built-in refusal of internal addresses (loopback, private, link-local …) that no phone\n\
                          registered from, as targets of requests: \"address\" or \"network/prefix\".",
                absent: Absent::Same("[]"),
                example: "[]",
            },
            sip::PEERS,
            sip::SPEAK_FOR,
            bans::KEY,
            sip::AUTHENTICATE,
            sip::LIMITS,
        ],
    },
    media::SECTION,
    xmpp::SECTION,
    web::SECTION,
    dns::SECTION,
    Section {
        name: "admin",
        many: false,
        comment: "What administrators look at.",
        keys: &[Key {
            name: "metrics",
            kind: Kind::Texts,
            comment: "Listeners for Prometheus: http://ADDRESS/metrics and /health, without a password. Counts only, of\n\
                      nobody in particular; keep them to loopback or to a network of your own.",
            absent: Absent::Off,
            example: "[\"127.0.0.1:9641\"]",
        }],
    },
];

const NETWORK_LIMITS: &[Key] = &[number(
    "handshakes-per-source",
    "TLS and DTLS handshakes that one source (an IPv4 address, an IPv6 /64) may begin in a second, and ten times as many at\n\
     once; what comes beyond them is closed, or not answered. 0 is any number.",
    "200",
)];

/// What `sip.origins` and `xmpp.origins` say.
const ORIGINS: &str = "The pages whose scripts may connect, as browsers name them. None listed: those of your own domains and of those\n\
                       below them by https, and those of the browser's own host (localhost). \"*\" is every page.";

/// A number, and what it is unless it is set.
const fn number(name: &'static str, comment: &'static str, usual: &'static str) -> Key {
    Key { name, kind: Kind::Number, comment, absent: Absent::Same(usual), example: usual }
}

/// A text, and what it is unless it is set.
const fn text(name: &'static str, comment: &'static str, usual: &'static str) -> Key {
    Key { name, kind: Kind::Text, comment, absent: Absent::Same(usual), example: usual }
}

/// A rate, and what it is unless it is set.
const fn rate(name: &'static str, comment: &'static str, usual: &'static str) -> Key {
    Key { name, kind: Kind::Rate, comment, absent: Absent::Same(usual), example: usual }
}

const fn listeners(name: &'static str, comment: &'static str, example: &'static str) -> Key {
    Key { name, kind: Kind::Texts, comment, absent: Absent::Off, example }
}

/// The table of this name.
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}
