//! The keys of `sip.bans`.

use super::{Absent, Key, Kind, text};

pub(super) const KEY: Key = Key {
    name: "bans",
    kind: Kind::Fields(KEYS),
    comment: "Who is shut out for failed sign-ins (of XMPP too): a source after `attempts` in `window`, for `time`, each\n\
              time twice as long, up to `longest`. An account that fails `account` times takes nobody new for `time`.\n\
              Networks in `trusted` are never banned; attempts = 0 bans nobody. A source that proves nothing may send `rate`\n\
              SIP requests a second; more are not answered.",
    absent: Absent::Same("{}"),
    example: "{ attempts = 20, window = \"1m\", time = \"10m\", longest = \"1d\", account = 100, rate = 100, burst = 1000, trusted = [] }",
};

const KEYS: &[Key] = &[
    Key {
        name: "attempts",
        kind: Kind::Number,
        comment: "Failures of one source (an IPv4 address, a /64 of IPv6) in the window for which it is banned; 0 is never.",
        absent: Absent::Same("20"),
        example: "20",
    },
    text("window", "How long failures are added up.", "\"1m\""),
    text("time", "How long a first ban lasts, and how long an account takes nobody new.", "\"10m\""),
    text("longest", "The longest ban. After as long without one, a source begins anew.", "\"1d\""),
    Key {
        name: "account",
        kind: Kind::Number,
        comment: "Failures of one account in the window, from anywhere, after which only sources that have signed in to\n\
                  it in the last week may; five times `attempts` unless set.",
        absent: Absent::Same("100"),
        example: "100",
    },
    Key {
        name: "rate",
        kind: Kind::Number,
        comment: "SIP requests a second that one source may send without good credentials, outside of its calls; more are not\n\
                  answered, and over streams `burst` of those ban. 0 is any number.",
        absent: Absent::Same("100"),
        example: "100",
    },
    Key {
        name: "burst",
        kind: Kind::Number,
        comment: "As many of them may come at once; ten times `rate` unless set.",
        absent: Absent::Same("1000"),
        example: "1000",
    },
    Key {
        name: "trusted",
        kind: Kind::Texts,
        comment: "Networks that are never banned, and may send any number of requests, as \"address\" or \"network/prefix\".",
        absent: Absent::Same("[]"),
        example: "[]",
    },
];
