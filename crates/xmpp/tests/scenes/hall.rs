//! The part of the language that tells of rooms. `ball/Juliet` stands for `ball@rooms.verona.example/Juliet`, and
//! `xmlns='muc…'` for the namespaces that begin with `http://jabber.org/protocol/muc`.
//!
//! ```text
//! romeo/garden enters ball/Romeo                  presence with <x xmlns='muc'/>
//! romeo/garden enters ball/Romeo with <password>x</password>
//! romeo/garden leaves ball/Romeo
//! romeo/garden says in ball: But soft             groupchat
//! romeo/garden configures ball: persistentroom=1 moderatedroom=1
//! romeo/garden sets c1 in ball: <query …/>        a request of type set, or `asks`: get
//! romeo/garden gets ball/Juliet: owner moderator jid=* 110 201
//! juliet/balcony gets ball/Romeo says But soft
//! ```

use xmpp::Element;
use xmpp::ns;

const HOST: &str = "@rooms.verona.example";

/// The address that a short name stands for.
fn long(name: &str) -> String {
    match name.split_once('/') {
        Some((room, nick)) => format!("{room}{HOST}/{nick}"),
        None => format!("{name}{HOST}"),
    }
}

fn full(xml: &str) -> String {
    xml.replace("xmlns='muc", "xmlns='http://jabber.org/protocol/muc").replace("@rooms'", &format!("{HOST}'"))
}

/// What somebody sends; `None`: it is no sentence about rooms.
pub(crate) fn sent(verb: &str, object: &str) -> Option<String> {
    let in_room = |object: &str| {
        let (room, what) = object.split_once(": ").expect("a room, a colon, something");
        (long(room), full(what))
    };
    Some(match verb {
        "enters" => {
            let (name, inner) = object.split_once(" with ").unwrap_or((object, ""));
            let x = format!("<x xmlns='{}'>{inner}</x>", ns::MUC);
            format!("<presence to='{}'>{x}</presence>", long(name))
        }
        "leaves" => format!("<presence to='{}' type='unavailable'/>", long(object)),
        "says" => {
            let (room, text) = in_room(object.strip_prefix("in ").expect("in a room"));
            format!("<message to='{room}' type='groupchat'><body>{text}</body></message>")
        }
        "configures" => {
            let (room, fields) = in_room(object);
            let field = |field: &str| {
                let (var, value) = field.split_once('=').expect("var=value");
                let var = if var.contains('#') { var.to_owned() } else { format!("muc#roomconfig_{var}") };
                format!("<field var='{var}'><value>{value}</value></field>")
            };
            let fields: String = fields.split_whitespace().filter(|f| *f != "-").map(field).collect();
            let form = format!("<x xmlns='{}' type='submit'>{fields}</x>", ns::DATA_FORMS);
            format!("<iq to='{room}' type='set' id='c'><query xmlns='{}'>{form}</query></iq>", ns::MUC_OWNER)
        }
        "sets" | "asks" => {
            let (id, rest) = object.split_once(" in ").expect("an id in a room");
            let (room, payload) = in_room(rest);
            let kind = if verb == "sets" { "set" } else { "get" };
            format!("<iq to='{room}' type='{kind}' id='{id}'>{payload}</iq>")
        }
        "tells" => {
            let (room, payload) = in_room(object);
            format!("<message to='{room}'>{payload}</message>")
        }
        _ => return None,
    })
}

/// A stanza in few words.
pub(crate) fn described(xml: &str) -> String {
    let stanza = Element::parse(xml, ns::CLIENT).expect("a stanza");
    let from = stanza.get("from").unwrap_or("nobody").replace(HOST, "");
    if stanza.get("type") == Some("error") {
        let error = stanza.find("error", ns::CLIENT).expect("an error");
        let condition = error.children().next().map(Element::name).unwrap_or_default();
        let whose = if stanza.name() == "iq" { stanza.get("id").unwrap_or_default() } else { &from };
        return format!("{whose} error {} {condition}", error.get("type").unwrap_or_default());
    }
    match stanza.name() {
        "presence" => presence(&stanza, &from),
        "message" => message(&stanza, &from),
        _ => format!("{} {}", stanza.get("id").unwrap_or_default(), stanza.get("type").unwrap_or_default()),
    }
}

fn codes(x: &Element) -> Vec<String> {
    let statuses = x.children().filter(|child| child.name() == "status");
    statuses.map(|status| status.get("code").unwrap_or_default().to_owned()).collect()
}

fn presence(stanza: &Element, from: &str) -> String {
    let mut words = vec![format!("{from}:")];
    if stanza.get("type") == Some("unavailable") {
        words.push("gone".into());
    }
    for name in ["show", "status"] {
        words.extend(stanza.find(name, ns::CLIENT).map(|child| format!("{name}={}", child.content())));
    }
    if let Some(x) = stanza.find("x", ns::VCARD_UPDATE) {
        let photo = x.find("photo", ns::VCARD_UPDATE).map(Element::content).unwrap_or_default();
        words.push(format!("photo={photo}"));
    }
    let Some(x) = stanza.find("x", ns::MUC_USER) else { return words.join(" ") };
    if let Some(item) = x.find("item", ns::MUC_USER) {
        words.extend(["affiliation", "role"].map(|name| item.get(name).unwrap_or("-").to_owned()));
        for name in ["jid", "nick"] {
            words.extend(item.get(name).map(|value| format!("{name}={value}")));
        }
        let actor = item.find("actor", ns::MUC_USER).and_then(|actor| actor.get("nick"));
        words.extend(actor.map(|actor| format!("by={actor}")));
        words.extend(item.find("reason", ns::MUC_USER).map(|reason| format!("reason={}", reason.content())));
    }
    if let Some(destroy) = x.find("destroy", ns::MUC_USER) {
        words.push("destroyed".into());
        words.extend(destroy.get("jid").map(|jid| format!("venue={}", jid.replace(HOST, ""))));
        words.extend(destroy.find("reason", ns::MUC_USER).map(|reason| format!("why={}", reason.content())));
    }
    words.extend(codes(x));
    words.join(" ")
}

fn message(stanza: &Element, from: &str) -> String {
    let late = if stanza.find("delay", ns::DELAY).is_some() { " before" } else { "" };
    let x = stanza.find("x", ns::MUC_USER);
    if let Some(body) = stanza.find("body", ns::CLIENT) {
        let private = if x.is_some() { " in private" } else { "" };
        return format!("{from} says{late}{private} {}", body.content());
    }
    if let Some(subject) = stanza.find("subject", ns::CLIENT) {
        return format!("{from} subject{late} {}", subject.content()).trim_end().to_owned();
    }
    if let Some(retract) = stanza.find("retract", ns::RETRACT) {
        let reason = retract.find("reason", ns::RETRACT).map(Element::content).unwrap_or_default();
        let id = retract.get("id").unwrap_or_default();
        return format!("{from} takes back {id} {reason}").trim_end().to_owned();
    }
    if stanza.find("retracted", ns::RETRACT).is_some() {
        return format!("{from} said{late} what was taken back");
    }
    if let Some(form) = stanza.find("x", ns::DATA_FORMS) {
        let field = |var: &str| {
            let field = form.children().find(|field| field.get("var") == Some(var));
            field
                .and_then(|field| field.find("value", ns::DATA_FORMS))
                .map(Element::content)
                .unwrap_or_default()
        };
        return format!("{from} forwards {} wants {}", field("muc#roomnick"), field("muc#role"));
    }
    let Some(x) = x else { return format!("{from} something") };
    for name in ["invite", "decline"] {
        if let Some(child) = x.find(name, ns::MUC_USER) {
            let reason = child.find("reason", ns::MUC_USER).map(Element::content).unwrap_or_default();
            let password = x.find("password", ns::MUC_USER).map(Element::content).unwrap_or_default();
            let who = child.get("from").unwrap_or_default();
            return format!("{from} {name} by {who} {reason} {password}").trim_end().to_owned();
        }
    }
    if let Some(item) = x.find("item", ns::MUC_USER) {
        let word = |name| item.get(name).unwrap_or("-");
        return format!("{from} tells {} {} {}", word("affiliation"), word("role"), word("jid"));
    }
    format!("{from} statuses {}", codes(x).join(" "))
}
