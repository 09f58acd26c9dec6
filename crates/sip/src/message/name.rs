//! Names of header fields that this server reads, with their compact forms; any other name is `Other`.

/// A header field this server knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the header field of that name")]
pub enum HeaderName {
    Via,
    From,
    To,
    CallId,
    CSeq,
    MaxForwards,
    Contact,
    ContentLength,
    ContentType,
    Route,
    RecordRoute,
    Expires,
    Require,
    ProxyRequire,
    Supported,
    Unsupported,
    Allow,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    Path,
    ServiceRoute,
    MinExpires,
    RetryAfter,
    Reason,
    UserAgent,
    Server,
    Date,
    Warning,
    RSeq,
    RAck,
    Event,
    SubscriptionState,
    SessionExpires,
    MinSe,
    ReferTo,
    ReferredBy,
    MaxBreadth,
    PAssertedIdentity,
    PPreferredIdentity,
    RemotePartyId,
    Privacy,
    Subject,
    Timestamp,
    AcceptContact,
    RejectContact,
    RequestDisposition,
    ContentEncoding,
    AllowEvents,
    Identity,
    /// A header field that this server does not know.
    Other,
}

impl HeaderName {
    /// How many names there are, `Other` included.
    pub(crate) const COUNT: usize = Self::Other as usize + 1;

    /// Reads a name, in its long or compact form, without regard to case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match name {
            [letter] => compact(letter | 0x20),
            _ => long(name),
        }
    }

    /// The same of a name that a line begins with.
    #[inline]
    pub(super) fn at(line: &[u8], length: usize) -> Self {
        match line.first_chunk::<8>() {
            // All of it is in the first eight bytes.
            Some(eight) if matches!(length, 2..8) => {
                find_short(u64::from_le_bytes(*eight) & ((1 << (8 * length)) - 1), length)
            }
            _ => Self::of(&line[..length]),
        }
    }

    /// The name as this server writes it.
    pub fn as_str(self) -> &'static str {
        TABLE.iter().find(|(name, _)| *name == self).map_or("", |(_, text)| text)
    }
}

/// RFC 3261 §7.3.3 and the registry at IANA.
fn compact(letter: u8) -> HeaderName {
    match letter {
        b'v' => HeaderName::Via,
        b'f' => HeaderName::From,
        b't' => HeaderName::To,
        b'i' => HeaderName::CallId,
        b'm' => HeaderName::Contact,
        b'l' => HeaderName::ContentLength,
        b'c' => HeaderName::ContentType,
        b'k' => HeaderName::Supported,
        b's' => HeaderName::Subject,
        b'e' => HeaderName::ContentEncoding,
        b'u' => HeaderName::AllowEvents,
        b'o' => HeaderName::Event,
        b'r' => HeaderName::ReferTo,
        b'b' => HeaderName::ReferredBy,
        b'x' => HeaderName::SessionExpires,
        b'a' => HeaderName::AcceptContact,
        b'j' => HeaderName::RejectContact,
        b'd' => HeaderName::RequestDisposition,
        b'y' => HeaderName::Identity,
        _ => HeaderName::Other,
    }
}

/// Every name in its long form.
static TABLE: [(HeaderName, &str); HeaderName::COUNT - 1] = [
    (HeaderName::Via, "Via"),
    (HeaderName::From, "From"),
    (HeaderName::To, "To"),
    (HeaderName::CallId, "Call-ID"),
    (HeaderName::CSeq, "CSeq"),
    (HeaderName::MaxForwards, "Max-Forwards"),
    (HeaderName::Contact, "Contact"),
    (HeaderName::ContentLength, "Content-Length"),
    (HeaderName::ContentType, "Content-Type"),
    (HeaderName::Route, "Route"),
    (HeaderName::RecordRoute, "Record-Route"),
    (HeaderName::Expires, "Expires"),
    (HeaderName::Require, "Require"),
    (HeaderName::ProxyRequire, "Proxy-Require"),
    (HeaderName::Supported, "Supported"),
    (HeaderName::Unsupported, "Unsupported"),
    (HeaderName::Allow, "Allow"),
    (HeaderName::Authorization, "Authorization"),
    (HeaderName::ProxyAuthorization, "Proxy-Authorization"),
    (HeaderName::WwwAuthenticate, "WWW-Authenticate"),
    (HeaderName::ProxyAuthenticate, "Proxy-Authenticate"),
    (HeaderName::Path, "Path"),
    (HeaderName::ServiceRoute, "Service-Route"),
    (HeaderName::MinExpires, "Min-Expires"),
    (HeaderName::RetryAfter, "Retry-After"),
    (HeaderName::Reason, "Reason"),
    (HeaderName::UserAgent, "User-Agent"),
    (HeaderName::Server, "Server"),
    (HeaderName::Date, "Date"),
    (HeaderName::Warning, "Warning"),
    (HeaderName::RSeq, "RSeq"),
    (HeaderName::RAck, "RAck"),
    (HeaderName::Event, "Event"),
    (HeaderName::SubscriptionState, "Subscription-State"),
    (HeaderName::SessionExpires, "Session-Expires"),
    (HeaderName::MinSe, "Min-SE"),
    (HeaderName::ReferTo, "Refer-To"),
    (HeaderName::ReferredBy, "Referred-By"),
    (HeaderName::MaxBreadth, "Max-Breadth"),
    (HeaderName::PAssertedIdentity, "P-Asserted-Identity"),
    (HeaderName::PPreferredIdentity, "P-Preferred-Identity"),
    (HeaderName::RemotePartyId, "Remote-Party-ID"),
    (HeaderName::Privacy, "Privacy"),
    (HeaderName::Subject, "Subject"),
    (HeaderName::Timestamp, "Timestamp"),
    (HeaderName::AcceptContact, "Accept-Contact"),
    (HeaderName::RejectContact, "Reject-Contact"),
    (HeaderName::RequestDisposition, "Request-Disposition"),
    (HeaderName::ContentEncoding, "Content-Encoding"),
    (HeaderName::AllowEvents, "Allow-Events"),
    (HeaderName::Identity, "Identity"),
];

/// A name of 2 to [`LONGEST`] bytes as numbers that compare at once.
#[derive(Clone, Copy)]
struct Words {
    length: usize,
    first: u64,
    middle: u64,
    last: u64,
}

const LONGEST: usize = 24;

/// Makes capital letters small, and spoils what is no letter.
const SMALL: u64 = 0x2020_2020_2020_2020;

impl Words {
    #[inline]
    const fn of(name: &[u8]) -> Self {
        let length = name.len();
        let (first, middle, last) = if length >= 8 {
            let middle = if length > 16 { load(name, 8) } else { 0 };
            (load(name, 0), middle, load(name, length - 8))
        } else {
            (load_short(name), 0, 0)
        };
        Self { length, first, middle, last }
    }

    /// Spreads the names in [`TABLE`] over [`SLOTS`], without regard to case.
    #[inline]
    const fn slot(self) -> usize {
        let mixed =
            ((self.first | SMALL) ^ (self.last | SMALL).rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as usize
    }

    /// For each letter the bit that its case does not count for; all bits of what is no letter count.
    const fn case(self) -> Self {
        let Self { length, first, middle, last } = self;
        Self { length, first: letters(first), middle: letters(middle), last: letters(last) }
    }

    /// Whether both are the same but for the bits in `case`.
    #[inline]
    const fn is(self, other: Self, case: Self) -> bool {
        let differ = ((self.first ^ other.first) & !case.first)
            | ((self.middle ^ other.middle) & !case.middle)
            | ((self.last ^ other.last) & !case.last);
        differ == 0 && self.length == other.length
    }
}

/// `0x20` for each byte that is a letter.
const fn letters(word: u64) -> u64 {
    let mut bytes = word.to_le_bytes();
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = if bytes[at].is_ascii_alphabetic() { 0x20 } else { 0 };
        at += 1;
    }
    u64::from_le_bytes(bytes)
}

/// Eight bytes as a number.
const fn load(name: &[u8], at: usize) -> u64 {
    let (_, from) = name.split_at(at);
    match from.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => 0,
    }
}

/// Fewer than eight bytes as a number.
const fn load_short(name: &[u8]) -> u64 {
    let mut number = 0;
    let mut at = 0;
    while at < name.len() {
        number |= (name[at] as u64) << (8 * at);
        at += 1;
    }
    number
}

const SLOTS: usize = 256;

/// Every name in [`TABLE`], ready to compare, and where its case does not count.
static WORDS: [(Words, Words); TABLE.len()] = words();

const fn words() -> [(Words, Words); TABLE.len()] {
    let none = Words::of(b"");
    let mut all = [(none, none); TABLE.len()];
    let mut row = 0;
    while row < TABLE.len() {
        let words = Words::of(TABLE[row].1.as_bytes());
        all[row] = (words, words.case());
        row += 1;
    }
    all
}

/// Which row of [`TABLE`] each slot holds, counted from 1; up to two fall into one.
static BY_SLOT: [[u8; 2]; SLOTS] = by_slot();

const fn by_slot() -> [[u8; 2]; SLOTS] {
    let mut slots = [[0; 2]; SLOTS];
    let mut row = 0;
    while row < TABLE.len() {
        assert!(matches!(TABLE[row].1.len(), 2..=LONGEST));
        let at = WORDS[row].0.slot();
        let second = if slots[at][0] == 0 { 0 } else { 1 };
        assert!(slots[at][second] == 0, "three names fall into one slot: choose another factor");
        slots[at][second] = row as u8 + 1;
        row += 1;
    }
    slots
}

#[inline]
fn long(name: &[u8]) -> HeaderName {
    if !matches!(name.len(), 2..=LONGEST) {
        return HeaderName::Other;
    }
    find(Words::of(name))
}

/// The name of fewer than eight bytes that this is.
#[inline]
fn find_short(first: u64, length: usize) -> HeaderName {
    for row in BY_SLOT[(Words { length, first, middle: 0, last: 0 }).slot()] {
        let Some(row) = usize::from(row).checked_sub(1) else { break };
        let (words, case) = &WORDS[row];
        if (words.first ^ first) & !case.first == 0 && words.length == length {
            return TABLE[row].0;
        }
    }
    HeaderName::Other
}

#[inline]
fn find(name: Words) -> HeaderName {
    for row in BY_SLOT[name.slot()] {
        let Some(row) = usize::from(row).checked_sub(1) else { break };
        let (words, case) = WORDS[row];
        if name.is(words, case) {
            return TABLE[row].0;
        }
    }
    HeaderName::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (place, (name, text)) in TABLE.into_iter().enumerate() {
            assert_eq!(place, name as usize, "the table is in the enum's order");
            for form in [text.to_owned(), text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(HeaderName::of(form.as_bytes()), name);
                for behind in ["", ":", ": a value", "x-long-name: x"] {
                    assert_eq!(HeaderName::at(format!("{form}{behind}").as_bytes(), form.len()), name);
                }
            }
            assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn compact_forms_and_strangers() {
        for (compact, long) in [("v", "Via"), ("F", "From"), ("t", "To"), ("I", "Call-ID"), ("m", "Contact")]
        {
            assert_eq!(HeaderName::of(compact.as_bytes()), HeaderName::of(long.as_bytes()));
        }
        for other in [
            "",
            "z",
            "X-Foo",
            "Viaa",
            "Vi",
            "Call_ID",
            "Call\rID",
            "Max\rForwards",
            "Max-Forwardz",
            "Proxy-Xuthorization",
        ] {
            assert_eq!(HeaderName::of(other.as_bytes()), HeaderName::Other);
            assert_eq!(HeaderName::at(format!("{other}: via").as_bytes(), other.len()), HeaderName::Other);
        }
    }
}
