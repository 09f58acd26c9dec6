//! Keys of `[sip]`: who must prove who they are, and what clients may cost.

use super::{Absent, Key, Kind, number, text};

pub(super) const AUTHENTICATE: Key = Key {
    name: "authenticate",
    kind: Kind::Flag,
    comment: "Whether users must prove who they are. false is for closed laboratories: whoever reaches this server may\n\
              register as anybody, and call anywhere.",
    absent: Absent::Same("true"),
    example: "true",
};

pub(super) const PEERS: Key = Key {
    name: "peers",
    kind: Kind::Texts,
    comment: "Servers of other domains whose certificates name something else than the domain: \"DOMAIN=NAME\". Where DOMAIN is\n\
              reached by TLS, a certificate for NAME will do as well; \"*.provider.net\" is that wildcard, as it is written there.",
    absent: Absent::Same("[]"),
    example: "[]",
};

pub(super) const SPEAK_FOR: Key = Key {
    name: "speak-for",
    kind: Kind::Texts,
    comment: "Accounts that may call and write under other names of their domain than their own, as telephone systems and gateways\n\
              do: \"ACCOUNT=USER\", as in \"pbx@example.org=*\", where * is any user.",
    absent: Absent::Same("[]"),
    example: "[]",
};

pub(super) const LIMITS: Key = Key {
    name: "limits",
    kind: Kind::Fields(KEYS),
    comment: "What registrations, requests and streams may cost.",
    absent: Absent::Same("{}"),
    example: "{ contacts = 32, expires = \"1h\", expires-min = \"10s\", expires-max = \"1d\", ping = \"25s\", message = 65536, \
              transactions-per-source = 100000, connections = 100000 }",
};

const KEYS: &[Key] = &[
    number(
        "contacts",
        "Contacts that one address may have registered; a further one takes the place of the one refreshed the longest ago.",
        "32",
    ),
    text("expires", "How long a registration lives that does not say so itself.", "\"1h\""),
    text("expires-min", "The shortest life; less is refused with 423.", "\"10s\""),
    text("expires-max", "The longest life; more is shortened.", "\"1d\""),
    text(
        "ping",
        "How often phones behind NAT that do not keep their way to us open themselves are asked for a sign of life\n\
         (OPTIONS over UDP), so that calls find them; \"0s\" is never.",
        "\"25s\"",
    ),
    number(
        "message",
        "Octets of the longest message; half of them are for its header at most. More is refused with 513.",
        "65536",
    ),
    number(
        "transactions-per-source",
        "Requests of one source (an IPv4 address, an IPv6 /64) that one worker has at work at a time, answered ones for\n\
         up to half a minute more; beyond them it hears 503. A worker has 200 000 of all sources.",
        "100000",
    ),
    number(
        "connections",
        "SIP streams at a time, on all workers together; what comes beyond them is closed at once.",
        "100000",
    ),
];
