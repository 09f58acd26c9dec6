//! Listeners that several services share: whose a stream is, by what its client names and by what it says first. Each
//! service declares what it begins with; nothing of that is known here.

use crate::Tag;
use wire::Transport;

/// One of those who share a listener.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its mark: the streams that are its carry it.
    pub tag: Tag,
    /// The application protocols that mean it (RFC 7301): whoever agrees on one of them is asked for nothing more.
    pub alpn: Vec<Vec<u8>>,
    /// The server names that speak for it (RFC 6066 §3), in lower case, where the first octets alone do not tell.
    pub names: Vec<String>,
    /// What it has there: streams of the listener's kind, WebSockets, or both. [`Bound`](crate::Bound) tells them.
    pub transports: Vec<Transport>,
    /// Whether what a client says first is for it.
    pub begins: fn(&[u8]) -> Begins,
}

/// Whether first octets are for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// They may be: more must come. Never said of 16 octets and more.
    More,
}

impl Begins {
    /// Whether `bytes` begin with `start`.
    pub fn with(bytes: &[u8], start: &[u8]) -> Self {
        let length = bytes.len().min(start.len());
        match bytes[..length] == start[..length] {
            false => Self::No,
            true if length < start.len() => Self::More,
            true => Self::Yes,
        }
    }

    /// What holds where either may be.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::More, _) | (_, Self::More) => Self::More,
            (Self::No, Self::No) => Self::No,
        }
    }
}

/// The mark says whose the pattern is, which is the same as long as the process runs.
impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        let key = |choice: &Self| (choice.tag, choice.alpn.clone(), choice.names.clone());
        self.transports == other.transports && key(self) == key(other)
    }
}

impl Eq for Choice {}

impl Choice {
    /// Whether it takes WebSockets.
    pub(crate) fn takes_web(&self) -> bool {
        self.transports.iter().any(|transport| transport.is_web())
    }

    fn takes_streams(&self) -> bool {
        self.transports.iter().any(|transport| !transport.is_web())
    }

    fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Whose a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    Of(Tag),
    /// More must come before that can be said.
    More,
    Nobody,
}

/// Chooses by the application protocol, where one was agreed on; else by the server's name and what comes first. A name
/// speaks for its owner unless the first octets are clearly another's: clients of all services may know one name.
pub(crate) fn choose(choices: &[Choice], alpn: Option<&[u8]>, name: Option<&str>, bytes: &[u8]) -> Chosen {
    let agrees = |choice: &&Choice| match alpn {
        Some(alpn) => choice.alpn.iter().any(|own| own == alpn),
        None => choice.takes_streams(),
    };
    let fit = || choices.iter().filter(agrees);
    let named = || fit().filter(|choice| name.is_some_and(|name| choice.has_name(name)));
    if let (Some(only), None, true) = (fit().next(), fit().nth(1), alpn.is_some()) {
        return Chosen::Of(only.tag);
    }
    match first(named(), bytes) {
        Chosen::Nobody => {}
        chosen => return chosen,
    }
    match (first(fit(), bytes), named().next(), named().nth(1)) {
        (Chosen::Nobody, Some(only), None) => Chosen::Of(only.tag),
        (chosen, ..) => chosen,
    }
}

/// The first that says so; failing that, whether any may.
fn first<'a>(choices: impl Iterator<Item = &'a Choice>, bytes: &[u8]) -> Chosen {
    let mut so_far = Chosen::Nobody;
    for choice in choices {
        match (choice.begins)(bytes) {
            Begins::Yes => return Chosen::Of(choice.tag),
            Begins::More => so_far = Chosen::More,
            Begins::No => {}
        }
    }
    so_far
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(tag: u32, alpn: &[&str], names: &[&str], begins: fn(&[u8]) -> Begins) -> Choice {
        Choice {
            tag: Tag(tag),
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            transports: vec![Transport::Tls],
            begins,
        }
    }

    fn all() -> Vec<Choice> {
        vec![
            choice(1, &["one", "both"], &["one.falcot.com"], |bytes| Begins::with(bytes, b"\0\x01")),
            choice(2, &["two", "both"], &["two.falcot.com"], |bytes| Begins::with(bytes, b"<st")),
            choice(3, &[], &[], |bytes| Begins::with(bytes, b"<?x").or(Begins::with(bytes, b"<!"))),
        ]
    }

    fn check(alpn: Option<&str>, name: Option<&str>, bytes: &str, expected: Chosen) {
        let got = choose(&all(), alpn.map(str::as_bytes), name, bytes.as_bytes());
        assert_eq!(got, expected, "{alpn:?} {name:?} {bytes:?}");
    }

    #[test]
    fn the_protocol_agreed_on_says_all() {
        check(Some("one"), None, "", Chosen::Of(Tag(1)));
        check(Some("two"), Some("one.falcot.com"), "\0\x01", Chosen::Of(Tag(2)));
        check(Some("acme-tls/1"), None, "<st", Chosen::Nobody);
    }

    #[test]
    fn where_two_have_it_the_name_or_the_first_octets_say_more() {
        check(Some("both"), None, "", Chosen::More);
        check(Some("both"), None, "<", Chosen::More);
        check(Some("both"), None, "<stream", Chosen::Of(Tag(2)));
        check(Some("both"), None, "<?x", Chosen::Nobody);
        check(Some("both"), Some("TWO.falcot.com"), "<?x", Chosen::Of(Tag(2)));
    }

    #[test]
    fn first_octets_decide_and_a_name_where_they_do_not() {
        check(None, None, "", Chosen::More);
        check(None, None, "<", Chosen::More);
        check(None, None, "<s", Chosen::More);
        check(None, None, "<stream:stream", Chosen::Of(Tag(2)));
        check(None, None, "<?xml", Chosen::Of(Tag(3)));
        check(None, None, "<!", Chosen::Of(Tag(3)));
        check(None, None, "\0\x01", Chosen::Of(Tag(1)));
        check(None, None, "\x05", Chosen::Nobody);
        check(None, Some("falcot.com"), "\x05", Chosen::Nobody);
        check(None, Some("one.falcot.com"), "\x05", Chosen::Of(Tag(1)));
        check(None, Some("one.falcot.com"), "<stream", Chosen::Of(Tag(2)));
    }

    #[test]
    fn who_takes_websockets_alone_has_no_streams() {
        let mut web = all();
        web[0].transports = vec![Transport::Wss];
        assert_eq!(choose(&web, None, None, b"\0\x01"), Chosen::Nobody);
        assert!(web[0].takes_web() && !web[1].takes_web());
    }
}
