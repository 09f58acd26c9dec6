//! The tables `tls` and `acme`.

use super::{Absent, Key, Kind, Section, text};

pub(super) const TLS: Section = Section {
    name: "tls",
    many: false,
    comment: "The certificates that TLS and DTLS listeners show, each client the one for the name that it asks for.",
    keys: &[
        Key {
            name: "source",
            kind: Kind::Text,
            comment: "Where they come from: \"own\", our own authority, which issues and renews one for each domain; \"files\", those\n\
                      named here; \"acme\", the authority of [acme]. Absent: \"files\" where `certificate` stands, else \"own\".",
            absent: Absent::Same("\"own\""),
            example: "\"own\"",
        },
        Key {
            name: "certificate",
            kind: Kind::Text,
            comment: "For \"files\": the chain, our own certificate first (PEM), relative to this file. It is shown to clients that ask\n\
                      for no name, too. Read again when it changes.",
            absent: Absent::Off,
            example: "\"\"",
        },
        Key {
            name: "key",
            kind: Kind::Text,
            comment: "Its private key (PEM), relative to this file.",
            absent: Absent::Off,
            example: "\"\"",
        },
        Key {
            name: "certificates",
            kind: Kind::Rows(CERTIFICATE),
            comment: "Further ones, for other names or with keys of another kind: { certificate = \"…\", key = \"…\" }, each perhaps as\n\
                      a table of its own, [[tls.certificates]].",
            absent: Absent::Same("[]"),
            example: "[]",
        },
        Key {
            name: "roots",
            kind: Kind::Texts,
            comment: "Authorities (PEM files) that we trust beside the system's and our own where we connect by TLS, and for\n\
                      the certificates that other servers show.",
            absent: Absent::Same("[]"),
            example: "[]",
        },
        Key {
            name: "domain-roots",
            kind: Kind::Texts,
            comment: "Authorities that we trust for one domain of others and what lies below it, and for nobody else: \"DOMAIN=FILE\".",
            absent: Absent::Same("[]"),
            example: "[]",
        },
    ],
};

const CERTIFICATE: &[Key] = &[
    Key {
        name: "certificate",
        kind: Kind::Text,
        comment: "The chain, our own certificate first (PEM), relative to this file.",
        absent: Absent::Refused,
        example: "\"certs/falcot.org.pem\"",
    },
    Key {
        name: "key",
        kind: Kind::Text,
        comment: "Its private key (PEM), relative to this file.",
        absent: Absent::Refused,
        example: "\"certs/falcot.org.key\"",
    },
];

pub(super) const ACME: Section = Section {
    name: "acme",
    many: false,
    comment: "The authority that issues certificates (ACME, RFC 8555), where `tls.source` is \"acme\".",
    keys: &[
        text("directory", "The URL of its directory.", "\"https://acme-v02.api.letsencrypt.org/directory\""),
        Key {
            name: "contact",
            kind: Kind::Texts,
            comment: "Mail addresses that it may write to.",
            absent: Absent::Same("[]"),
            example: "[]",
        },
        Key {
            name: "terms-accepted",
            kind: Kind::Flag,
            comment: "Whether you agree to its terms of service, which its directory names; nothing is ordered otherwise.",
            absent: Absent::Same("false"),
            example: "false",
        },
        Key {
            name: "challenge",
            kind: Kind::OneOrMore,
            comment: "How it finds out that a name is ours: \"tls-alpn-01\", by connecting to port 443; \"http-01\", by fetching a page from\n\
                      port 80; \"dns-01\", by asking for a record that `dns.push` or `dns.provider` puts there. In a list, as in\n\
                      [\"tls-alpn-01\", \"dns-01\"], the next is tried where one fails.",
            absent: Absent::Same("\"tls-alpn-01\""),
            example: "\"tls-alpn-01\"",
        },
        Key {
            name: "external-account",
            kind: Kind::Fields(EXTERNAL),
            comment: "The account that you have with it, where it wants one (RFC 8555 §7.3.4), as\n\
                      { kid = \"…\", key = { file = \"data/acme.eab\" } }.",
            absent: Absent::Off,
            example: "{}",
        },
        Key {
            name: "roots",
            kind: Kind::Texts,
            comment: "Authorities (PEM files) that its directory's own certificate may be from beside those of the system.",
            absent: Absent::Same("[]"),
            example: "[]",
        },
    ],
};

const EXTERNAL: &[Key] = &[
    Key {
        name: "kid",
        kind: Kind::Text,
        comment: "The name of the account.",
        absent: Absent::Refused,
        example: "\"kid-1\"",
    },
    Key {
        name: "key",
        kind: Kind::Secret,
        comment: "The key of the account in base64url, as the authority gives it.",
        absent: Absent::Refused,
        example: "{ file = \"data/acme.eab\" }",
    },
];
