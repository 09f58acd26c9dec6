//! The keys of `[web]`.

use super::{Absent, Key, Kind, Section, listeners, number, text};

pub(super) const SECTION: Section = Section {
    name: "web",
    many: false,
    comment: "HTTP: what browsers and other clients look for, one port for everything, other web servers.",
    keys: KEYS,
};

const KEYS: &[Key] = &[
    listeners("https", "Listeners inside TLS (HTTP/1.1 and HTTP/2).", "[\":443\"]"),
    listeners(
        "http",
        "Plain listeners: they answer the challenges of certificate authorities, and send everybody else to `https`.",
        "[\":80\"]",
    ),
    Key {
        name: "share",
        kind: Kind::Flag,
        comment: "Whether all services that are on are reached by the listeners of `https` too.",
        absent: Absent::Same("true"),
        example: "true",
    },
    Key {
        name: "upstream",
        kind: Kind::Text,
        comment: "The web server that gets the requests which are not for us, for other host names or other paths: \"address:port\",\n\
                  spoken to in plain HTTP/1.1. \"\" is none.",
        absent: Absent::Same("\"\""),
        example: "\"\"",
    },
    Key {
        name: "proxy-protocol",
        kind: Kind::Texts,
        comment: "The proxies in front of us that say whom a connection is from (PROXY protocol, version 1 or 2), on any\n\
                  listener for streams: \"address\" or \"network/prefix\". Nobody else is believed.",
        absent: Absent::Same("[]"),
        example: "[]",
    },
    Key {
        name: "limits",
        kind: Kind::Fields(LIMITS),
        comment: "What requests may cost.",
        absent: Absent::Same("{}"),
        example: "{ idle = \"1m\", requests = 1000, streams = 64 }",
    },
];

const LIMITS: &[Key] = &[
    text(
        "begin",
        "How long the head of a request may take; its body may take three times as long.",
        "\"10s\"",
    ),
    text("idle", "How long a connection may be without a request.", "\"1m\""),
    number("requests", "Requests of one connection; then the client opens another.", "1000"),
    number("streams", "Requests of one HTTP/2 connection at the same time.", "64"),
    number("body", "Octets of the body of a request that we answer ourselves.", "524288"),
    text("answer", "How long the answer to a request, or the next part of it, may take.", "\"2m\""),
    number("upstream", "Connections of one worker to `upstream` at the same time.", "512"),
];
