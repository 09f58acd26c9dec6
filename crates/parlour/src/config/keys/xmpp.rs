//! The table `xmpp`.

use super::{Absent, Key, Kind, Section, listeners, number, rate, text};

pub(super) const SECTION: Section = Section {
    name: "xmpp",
    many: false,
    comment: "XMPP: chat.",
    keys: &[
        listeners("client", "Listeners for clients that ask for STARTTLS.", "[\":5222\"]"),
        listeners("client-tls", "Listeners for clients that speak TLS at once.", "[\":5223\"]"),
        listeners(
            "web",
            "Listeners for browsers (WebSocket at /xmpp-websocket, BOSH at /http-bind): inside TLS or, from this host alone, without.",
            "[\":5280\"]",
        ),
        Key {
            name: "origins",
            kind: Kind::Texts,
            comment: super::ORIGINS,
            absent: Absent::Same("[]"),
            example: "[\"https://falcot.com\"]",
        },
        Key {
            name: "components",
            kind: Kind::Rows(COMPONENT),
            comment: "Programs that serve a domain of their own beside this one (XEP-0114), as gateways and bots do: \
                      { name = \"…\", secret = \"…\" },\n\
                      each perhaps as a table of its own, [[xmpp.components]]; the secret is written as other secrets are.",
            absent: Absent::Same("[]"),
            example: "[]",
        },
        Key {
            name: "archive",
            kind: Kind::Flag,
            comment: "Keep what accounts say and hear, for their own clients (XEP-0313); each account may choose less.",
            absent: Absent::Same("true"),
            example: "true",
        },
        text("archive-for", "How long it is kept; \"0s\" is for ever.", "\"365d\""),
        text(
            "rooms",
            "The label before each domain at which its rooms are, where the domain itself names no `rooms`; \"\" is off.",
            "\"rooms\"",
        ),
        Key {
            name: "rooms-by-admins",
            kind: Kind::Flag,
            comment: "Only the admins of our domains may make rooms.",
            absent: Absent::Same("false"),
            example: "false",
        },
        Key {
            name: "limits",
            kind: Kind::Fields(LIMITS),
            comment: "What one account and one connection may have, and how long they may take.",
            absent: Absent::Same("{}"),
            example: "{ sessions = 64, idle = \"5m\", pong = \"1m\", resume = \"5m\", unacknowledged = 1000 }",
        },
    ],
};

const COMPONENT: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        comment: "The domain that it serves.",
        absent: Absent::Refused,
        example: "\"irc.falcot.com\"",
    },
    Key {
        name: "secret",
        kind: Kind::Secret,
        comment: "What it knows, and nobody else.",
        absent: Absent::Refused,
        example: "{ file = \"irc.secret\" }",
    },
    text("listen", "Where it connects to; nothing of it is encrypted.", "\"127.0.0.1:5347\""),
];

const LIMITS: &[Key] = &[
    rate(
        "rate",
        "How much one connection may say in a second; who says more is read more slowly. 0 is any amount.",
        "\"80 Mbit/s\"",
    ),
    rate("account-rate", "The same of all connections of an account.", "\"160 Mbit/s\""),
    number("sessions", "Sessions of one account at the same time, with those that wait to be resumed.", "64"),
    text("idle", "After this silence a client is asked whether it is still there.", "\"5m\""),
    text("pong", "How long it may take to answer.", "\"1m\""),
    text(
        "resume",
        "How long a session waits for its client whose connection was lost (XEP-0198); \"0s\" is not at all.",
        "\"5m\"",
    ),
    text("bosh-wait", "How long a request of BOSH may wait for something to answer it with.", "\"1m\""),
    text(
        "bosh-inactivity",
        "How long a client of BOSH may be without such a request before its connection counts as lost.",
        "\"90s\"",
    ),
    number(
        "unacknowledged",
        "Stanzas that a client may leave unacknowledged before it is given up; they find another way then.",
        "1000",
    ),
    number(
        "archive-messages",
        "Messages of one account's archive, about; beyond that the oldest go.",
        "200000",
    ),
    number(
        "archive-octets",
        "Octets of one account's archive, about; beyond that the oldest go.",
        "268435456",
    ),
    number("nodes", "Nodes of one account: what it publishes, under its own address (XEP-0163).", "500"),
    number("node-items", "Items of one node.", "1000"),
    number("item", "Octets of one item.", "131072"),
    number("rooms", "Rooms in all.", "10000"),
    number("rooms-of-account", "Rooms that one account has made.", "100"),
    number("occupants", "Clients in one room.", "1000"),
];
