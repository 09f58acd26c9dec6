//! What clients say: most of it right, some of it odd.

use super::house;
use crate::tape::Tape;

/// Addresses that are nobody's here.
pub(super) const ELSEWHERE: [&str; 6] = [
    "nurse@verona.example",
    "romeo@mantua.example",
    "mantua.example",
    "@",
    "a b@c",
    "nurse@verona.example/x",
];

/// What is no stanza.
pub(super) const NONSENSE: [&str; 12] = [
    "<message",
    "<message to='juliet@verona.example'><body>half",
    "</message>",
    "<!-- -->",
    "<?x?>",
    "<!DOCTYPE x>",
    "<a>&x;</a>",
    "text",
    "<iq/>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
    "<message from='juliet@verona.example/a'/>",
];

const BODY: &str = "<body>Art thou not Romeo?</body>";

/// Type, content, and whether it must not be lost.
pub(super) fn message(tape: &mut Tape<'_>) -> (&'static str, String, bool) {
    let kind = [
        " type='chat'",
        " type='chat'",
        " type='chat'",
        "",
        " type='headline'",
        " type='groupchat'",
        " type='error'",
    ];
    let which = tape.below(kind.len());
    let more = [
        "",
        "<x xmlns='urn:x'/>",
        "<request xmlns='urn:xmpp:receipts'/>",
        "<no-store xmlns='urn:xmpp:hints'/>",
        "<no-copy xmlns='urn:xmpp:hints'/>",
        "<private xmlns='urn:xmpp:carbons:2'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@verona.example' id='7'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@verona.example' id='7'><x/></stanza-id>",
        "<delay xmlns='urn:xmpp:delay' from='verona.example' stamp='2002-09-10T23:08:25Z'/>",
        "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='juliet@verona.example'/></x>",
        "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message id='m1'/></forwarded></received>",
        "<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><message id='m1'/></forwarded></result>",
        "<p:x xmlns:p='urn:xmpp:hints'/>",
        "<subject>x</subject>",
    ];
    let byte = tape.byte();
    let content = match byte {
        0..=0x8F => BODY.to_owned(),
        0x90..=0xCF => format!("{BODY}{}", more[tape.below(more.len())]),
        0xD0..=0xDF => "<active xmlns='http://jabber.org/protocol/chatstates'/>".to_owned(),
        0xE0..=0xEF => more[tape.below(more.len())].to_owned(),
        _ => format!("<body>{}</body>", "alas ".repeat(tape.below(256) * 4)),
    };
    let counts = which < 4 && byte < 0x90;
    (kind[which], content, counts)
}

/// A broadcast.
pub(super) fn presence(tape: &mut Tape<'_>) -> String {
    match tape.below(8) {
        0 => "<presence type='unavailable'/>".to_owned(),
        1 => "<presence><priority>-1</priority></presence>".to_owned(),
        2 => "<presence><priority>200</priority></presence>".to_owned(),
        3 => "<presence type='what'/>".to_owned(),
        4 => "<presence><show>away</show><priority>5</priority></presence>".to_owned(),
        5 => "<presence type='probe'/>".to_owned(),
        _ => "<presence/>".to_owned(),
    }
}

/// Presence for somebody; subscriptions above 0x90.
pub(super) fn directed(tape: &mut Tape<'_>, to: &str, byte: u8) -> String {
    let kinds = [
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "subscribe",
        "subscribed",
        "probe",
        "error",
    ];
    match byte {
        0..=0x8F => match tape.below(4) {
            0 => format!("<presence to='{to}' type='unavailable'/>"),
            1 => format!("<presence to='{to}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"),
            _ => format!("<presence to='{to}'/>"),
        },
        _ => format!("<presence to='{to}' type='{}'/>", kinds[tape.below(kinds.len())]),
    }
}

/// What a set of a result page may say.
fn page(tape: &mut Tape<'_>) -> String {
    let rsm = |inner: String| format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>");
    match tape.below(8) {
        0 => rsm("<max>0</max>".into()),
        1 => rsm("<max>2</max>".into()),
        2 => rsm("<max>2</max><before/>".into()),
        3 => rsm(format!(
            "<max>5</max><after>{}</after>",
            1_809_639_000_000_000_000_u64 + u64::from(tape.number())
        )),
        4 => rsm("<after>' OR 1=1; --</after>".into()),
        5 => rsm("<max>99999999999999999999</max>".into()),
        6 => format!("{}<flip-page/>", rsm("<max>2</max>".into())),
        _ => String::new(),
    }
}

fn item(tape: &mut Tape<'_>) -> String {
    let who = house::PEOPLE[tape.below(4)];
    let more = ["", " subscription='remove'", " name='x'", " name='&lt;'", " ask='subscribe'"][tape.below(5)];
    let inner = ["", "<group>a</group>", "<group>a</group><group>b</group><group>c</group>"][tape.below(3)];
    format!("<item jid='{who}@{}'{more}>{inner}</item>", house::DOMAIN)
}

/// Type and payload of a request.
pub(super) fn request(tape: &mut Tape<'_>, person: usize) -> (&'static str, String) {
    let who = format!("{}@{}", house::PEOPLE[tape.below(4)], house::DOMAIN);
    match tape.below(24) {
        0 => ("get", "<query xmlns='jabber:iq:roster'/>".into()),
        1 => ("get", "<query xmlns='jabber:iq:roster' ver=''/>".into()),
        2..=4 => ("set", format!("<query xmlns='jabber:iq:roster'>{}</query>", item(tape))),
        5 => ("get", "<ping xmlns='urn:xmpp:ping'/>".into()),
        6 => ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>".into()),
        7 => ("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>".into()),
        8..=10 => {
            let fields = [
                "",
                "<x xmlns='jabber:x:data' type='submit'><field var='with'><value>romeo@verona.example</value></field></x>",
            ];
            let field = fields[tape.below(2)];
            ("set", format!("<query xmlns='urn:xmpp:mam:2' queryid='f'>{field}{}</query>", page(tape)))
        }
        11 => ("get", "<metadata xmlns='urn:xmpp:mam:2'/>".into()),
        12 => {
            let default = ["always", "never", "roster", "x"][tape.below(4)];
            (
                "set",
                format!(
                    "<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always/><never><jid>{who}</jid></never></prefs>"
                ),
            )
        }
        13 | 14 => {
            let name = ["block", "unblock"][tape.below(2)];
            ("set", format!("<{name} xmlns='urn:xmpp:blocking'><item jid='{who}'/></{name}>"))
        }
        15 => ("get", "<blocklist xmlns='urn:xmpp:blocking'/>".into()),
        16 => {
            let size = tape.below(200);
            (
                "set",
                format!(
                    "<query xmlns='jabber:iq:private'><x xmlns='urn:x{}'>{}</x></query>",
                    person,
                    "y".repeat(size * 4)
                ),
            )
        }
        17 => ("get", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>".into()),
        18 => ("set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>".into()),
        19 => ("get", "<vCard xmlns='vcard-temp'/>".into()),
        20 => {
            let name = ["enable", "disable"][tape.below(2)];
            ("set", format!("<{name} xmlns='urn:xmpp:carbons:2'/>"))
        }
        21 => ("get", "<x xmlns='urn:nobody-knows'/>".into()),
        22 => ("what", "<ping xmlns='urn:xmpp:ping'/>".into()),
        _ => ("get", String::new()),
    }
}
