//! The table `dns`.

use super::{Absent, Key, Kind, Section, number, text};

pub(super) const SECTION: Section = Section {
    name: "dns",
    many: false,
    comment: "What `parlour dns` writes into, looks for in and puts into the DNS.",
    keys: &[
        service("turn", "Where STUN and TURN are reached.", TURN, "{ host = \"turn\" }"),
        service("sip", "Where SIP is reached.", SIP, "{ host = \"sip\" }"),
        service("xmpp", "Where XMPP is reached.", XMPP, "{ host = \"xmpp\" }"),
        text("ttl", "How long others may remember our records.", "\"1h\""),
        Key {
            name: "caa",
            kind: Kind::Texts,
            comment: "The authorities that may issue certificates for the domains (CAA, RFC 8659), as they call themselves\n\
                      there, with their parameters; none listed: no such record.",
            absent: Absent::Same("[]"),
            example: "[]",
        },
        Key {
            name: "tlsa",
            kind: Kind::Flag,
            comment: "Whether the key of the certificate is published for each port with TLS (TLSA 3 1 1, RFC 7671). It helps\n\
                      only where the zone is signed (DNSSEC), and harms where records lag behind a new key.",
            absent: Absent::Same("false"),
            example: "false",
        },
        Key {
            name: "push",
            kind: Kind::Fields(PUSH),
            comment: "The name server that `parlour dns push` writes to (RFC 2136), as\n\
                      { server = \"192.0.2.53\", key = \"parlour\", secret = { file = \"data/dns.secret\" } }.",
            absent: Absent::Off,
            example: "{}",
        },
        Key {
            name: "provider",
            kind: Kind::Fields(PROVIDER),
            comment: "The provider whose interface `parlour dns push` uses in the place of a name server, as\n\
                      { name = \"desec\", token = { file = \"data/dns.token\" } }; docs/domains.md has them all.",
            absent: Absent::Off,
            example: "{}",
        },
        Key {
            name: "installation",
            kind: Kind::Text,
            comment: "What this installation calls itself beside the records that it puts into the DNS, so that another one\n\
                      leaves them alone; absent: the name in data/installation, made at the first push.",
            absent: Absent::Off,
            example: "\"berlin\"",
        },
    ],
};

const fn service(
    name: &'static str,
    comment: &'static str,
    keys: &'static [Key],
    example: &'static str,
) -> Key {
    Key { name, kind: Kind::Fields(keys), comment, absent: Absent::Same("{}"), example }
}

const TURN: &[Key] = &[host("\"turn\""), PRIORITY, WEIGHT];
const SIP: &[Key] = &[host("\"sip\""), PRIORITY, WEIGHT];
const XMPP: &[Key] = &[host("\"xmpp\""), PRIORITY, WEIGHT];

const fn host(usual: &'static str) -> Key {
    text(
        "host",
        "The name in front of each domain; one with a dot is whole, and the same for every domain.",
        usual,
    )
}

const PUSH: &[Key] = &[
    Key {
        name: "server",
        kind: Kind::Text,
        comment: "The primary name server of the zones, as \"address\" or \"address:port\".",
        absent: Absent::Refused,
        example: "\"192.0.2.53\"",
    },
    Key {
        name: "key",
        kind: Kind::Text,
        comment: "The name of the key that changes are signed with (TSIG, RFC 8945), as the server knows it.",
        absent: Absent::Refused,
        example: "\"parlour\"",
    },
    text("algorithm", "\"hmac-sha256\", \"hmac-sha384\" or \"hmac-sha512\".", "\"hmac-sha256\""),
    Key {
        name: "secret",
        kind: Kind::Secret,
        comment: "The key itself in base64, as `tsig-keygen` writes it.",
        absent: Absent::Refused,
        example: "{ file = \"data/dns.secret\" }",
    },
];

const PROVIDER: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        comment: "Which provider.",
        absent: Absent::Refused,
        example: "\"desec\"",
    },
    Key {
        name: "token",
        kind: Kind::Secret,
        comment: "Its token, key or password for programs.",
        absent: Absent::Refused,
        example: "{ file = \"data/dns.token\" }",
    },
    Key {
        name: "secret",
        kind: Kind::Secret,
        comment: "The second secret of those that have two.",
        absent: Absent::Off,
        example: "{ file = \"data/dns.secret\" }",
    },
    off("user", "Who signs in, or the name of the key, with those that want it.", "\"falcot\""),
    off("account", "The account or project, with those that want it.", "\"12345\""),
    off("region", "The region, with those that want it.", "\"ovh-eu\""),
    off(
        "server",
        "Where the interface is, of software that you run yourself.",
        "\"https://dns.falcot.com:8081\"",
    ),
];

const fn off(name: &'static str, comment: &'static str, example: &'static str) -> Key {
    Key { name, kind: Kind::Text, comment, absent: Absent::Off, example }
}

const PRIORITY: Key =
    number("priority", "The priority of the first port in SRV records; further ones follow it.", "0");
const WEIGHT: Key = number("weight", "The weight of each in SRV records.", "0");
