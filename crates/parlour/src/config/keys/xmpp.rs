//! The table `xmpp`.

use super::{Absent, Key, Kind, Section, listeners, number, text};

pub(super) const SECTION: Section = Section {
    name: "xmpp",
    many: false,
    comment: "XMPP: chat.",
    keys: &[
        listeners("client", "Listeners for clients that ask for STARTTLS.", "[\":5222\"]"),
        listeners("client-tls", "Listeners for clients that speak TLS at once.", "[\":5223\"]"),
        listeners(
            "web",
            "Listeners for browsers (WebSocket at /xmpp-websocket): inside TLS or, from this host alone, without.",
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
            name: "limits",
            kind: Kind::Fields(LIMITS),
            comment: "What one account and one connection may have, and how long they may take.",
            absent: Absent::Same("{}"),
            example: "{ sessions = 64, idle = \"5m\", pong = \"1m\", resume = \"5m\", unacknowledged = 1000 }",
        },
    ],
};

const LIMITS: &[Key] = &[
    number("sessions", "Sessions of one account at the same time, with those that wait to be resumed.", "64"),
    text("idle", "After this silence a client is asked whether it is still there.", "\"5m\""),
    text("pong", "How long it may take to answer.", "\"1m\""),
    text(
        "resume",
        "How long a session waits for its client whose connection was lost (XEP-0198); \"0s\" is not at all.",
        "\"5m\"",
    ),
    number(
        "unacknowledged",
        "Stanzas that a client may leave unacknowledged before it is given up; they find another way then.",
        "1000",
    ),
];
