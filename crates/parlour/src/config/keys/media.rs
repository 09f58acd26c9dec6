//! The keys of `[media]`.

use super::{Absent, Key, Kind, Section};

pub(super) const SECTION: Section = Section {
    name: "media",
    many: false,
    comment: "The relay for the sound and pictures of calls whose ends cannot reach one another.",
    keys: KEYS,
};

const KEYS: &[Key] = &[
    Key {
        name: "relay",
        kind: Kind::Text,
        comment: "Which calls are relayed: \"needed\" is those whose ends are behind different NATs or of different address\n\
                  families, \"always\" is all but those that find a way by themselves (ICE), \"never\" is none.",
        absent: Absent::Same("\"needed\""),
        example: "\"needed\"",
    },
    Key {
        name: "addresses",
        kind: Kind::Texts,
        comment: "Addresses of this host on which calls are relayed; empty is network.addresses.",
        absent: Absent::Same("[]"),
        example: "[]",
    },
    Key {
        name: "rtp-ports",
        kind: Kind::Text,
        comment: "Its ports, first and last: a call with sound takes four of them. Open them in the firewall (UDP).",
        absent: Absent::Same("\"30000-39999\""),
        example: "\"30000-39999\"",
    },
    Key {
        name: "silence",
        kind: Kind::Text,
        comment: "How long a call may be silent before it counts as over; on hold an hour.",
        absent: Absent::Same("\"1m\""),
        example: "\"1m\"",
    },
    Key {
        name: "account",
        kind: Kind::Number,
        comment: "How many calls of one account are relayed at a time; 0 is none.",
        absent: Absent::Same("32"),
        example: "32",
    },
];
