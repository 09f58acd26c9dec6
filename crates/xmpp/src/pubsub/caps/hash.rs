//! The hash of what a client can do: how it is shown, and what it is made of (XEP-0115 §5, XEP-0390 §4).

use crate::ns;
use crate::pubsub::form;
use crate::stanza::Stanza;
use crate::xml::Element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;
use std::collections::BTreeSet;

/// By which rule a hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// XEP-0115.
    First,
    /// XEP-0390.
    Second,
}

/// What presence shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    rule: Rule,
    algorithm: Box<str>,
    hash: Box<str>,
    /// What kind of client it is: a part of the question only.
    node: Box<str>,
}

/// The longest of each part.
const MAX: usize = 512;

/// What a presence shows, if it shows anything.
pub(super) fn shown(presence: &Stanza) -> Option<Shown> {
    let text = presence.as_str();
    if !text.contains(ns::CAPS) && !text.contains(ns::CAPS2) {
        return None;
    }
    let presence = presence.element().ok()?;
    let first = presence.find("c", ns::CAPS).and_then(first);
    let shown = first.or_else(|| presence.find("c", ns::CAPS2).and_then(second))?;
    let fits = shown.algorithm.len().max(shown.hash.len()).max(shown.node.len()) <= MAX;
    (fits && !shown.hash.is_empty()).then_some(shown)
}

/// Without `hash` it is what XEP-0115 was before version 1.4: nobody can verify it.
fn first(c: &Element) -> Option<Shown> {
    let (algorithm, hash) = (c.get("hash").unwrap_or_default(), c.get("ver")?);
    let node = c.get("node").unwrap_or_default();
    Some(Shown { rule: Rule::First, algorithm: algorithm.into(), hash: hash.into(), node: node.into() })
}

fn second(c: &Element) -> Option<Shown> {
    let hashes: Vec<&Element> = c.children().filter(|child| child.is("hash", ns::HASHES)).collect();
    let known = |child: &&&Element| child.get("algo").is_some_and(|algo| digest(algo, b"").is_some());
    let hash = hashes.iter().find(known).or(hashes.first())?;
    let algorithm = hash.get("algo")?.into();
    Some(Shown { rule: Rule::Second, algorithm, hash: hash.content().trim().into(), node: ns::CAPS2.into() })
}

impl Shown {
    /// The node that the client is asked about.
    pub(super) fn question(&self) -> String {
        match self.rule {
            Rule::First => format!("{}#{}", self.node, self.hash),
            Rule::Second => format!("{}#{}.{}", self.node, self.algorithm, self.hash),
        }
    }

    /// What it stands for does not depend on who shows it.
    pub(super) fn key(&self) -> Self {
        Self { node: Box::default(), ..self.clone() }
    }

    /// How long it is.
    pub(super) fn octets(&self) -> usize {
        size_of::<Self>() + self.algorithm.len() + self.hash.len() + self.node.len()
    }

    /// Whether the hash is that of an answer.
    pub(super) fn stands_for(&self, info: &Element) -> bool {
        let text = match self.rule {
            Rule::First => text_of_first(info),
            Rule::Second => text_of_second(info),
        };
        let digest = text.and_then(|text| digest(&self.algorithm, text.as_bytes()));
        digest.is_some_and(|digest| STANDARD.encode(digest) == *self.hash)
    }

    #[cfg(test)]
    pub(super) fn sha1(hash: &str) -> Self {
        Self { rule: Rule::First, algorithm: "sha-1".into(), hash: hash.into(), node: Box::default() }
    }
}

fn digest(algorithm: &str, text: &[u8]) -> Option<Vec<u8>> {
    Some(match algorithm {
        "sha-1" => sha1::Sha1::digest(text).to_vec(),
        "sha-224" => sha2::Sha224::digest(text).to_vec(),
        "sha-256" => sha2::Sha256::digest(text).to_vec(),
        "sha-384" => sha2::Sha384::digest(text).to_vec(),
        "sha-512" => sha2::Sha512::digest(text).to_vec(),
        _ => return None,
    })
}

fn named<'a>(info: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    info.children().filter(move |child| child.is(name, ns::DISCO_INFO))
}

/// XEP-0115 §5.1; `None` where the answer is ill-formed (§5.4), or where a `<` in it could make it look like another.
fn text_of_first(info: &Element) -> Option<String> {
    let mut text = String::new();
    let mut push = |parts: BTreeSet<String>| {
        for part in parts {
            text.push_str(&part);
            text.push('<');
        }
    };
    push(unique(named(info, "identity").map(|identity| {
        let part = |name| identity.get(name).unwrap_or_default();
        let parts = [part("category"), part("type"), part("xml:lang"), part("name")];
        parts.iter().all(|part| !part.contains('<')).then(|| parts.join("/"))
    }))?);
    push(unique(
        named(info, "feature")
            .map(|feature| feature.get("var").filter(|var| !var.contains('<')).map(str::to_owned)),
    )?);
    let mut forms = BTreeSet::new();
    for form in info.children().filter(|child| child.is("x", ns::DATA_FORMS)) {
        if let Some(form) = text_of_form(form)?
            && !forms.insert(form)
        {
            return None;
        }
    }
    let mut types: Vec<&str> = forms.iter().map(|(form_type, _)| form_type.as_str()).collect();
    types.dedup();
    if types.len() != forms.len() {
        return None;
    }
    for (form_type, fields) in &forms {
        text.extend([form_type, "<", fields]);
    }
    Some(text)
}

/// All of them in order, none of which may be there twice.
fn unique(parts: impl Iterator<Item = Option<String>>) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for part in parts {
        if !all.insert(part?) {
            return None;
        }
    }
    Some(all)
}

/// The type of a form, and its fields; `Some(None)`: a form without a type, which is passed over.
fn text_of_form(form: &Element) -> Option<Option<(String, String)>> {
    let hidden = |field: &&Element| {
        field.is("field", ns::DATA_FORMS)
            && field.get("var") == Some("FORM_TYPE")
            && field.get("type") == Some("hidden")
    };
    if form.children().find(hidden).is_none() {
        return Some(None);
    }
    let (mut form_type, mut fields) = (None, Vec::new());
    for (var, mut values) in form::fields(form) {
        if var.contains('<') || values.iter().any(|value| value.contains('<')) {
            return None;
        }
        if var == "FORM_TYPE" {
            values.dedup();
            match (&values[..], &form_type) {
                ([value], None) => form_type = Some(value.clone()),
                _ => return None,
            }
        } else {
            values.sort_unstable();
            fields.push((var, values));
        }
    }
    fields.sort_unstable();
    let mut text = String::new();
    for (var, values) in fields {
        text.extend([&var, "<"]);
        values.iter().for_each(|value| text.extend([value, "<"]));
    }
    Some(form_type.map(|form_type| (form_type, text)))
}

/// XEP-0390 §4.1: features, identities, forms; nothing in them may look like what separates them.
fn text_of_second(info: &Element) -> Option<String> {
    let clean = |text: &str| text.bytes().all(|byte| byte >= 0x20 || b"\t\r\n".contains(&byte));
    let mut text = String::new();
    let mut push = |mut parts: Vec<String>| {
        parts.sort_unstable();
        parts.iter().for_each(|part| text.push_str(part));
        text.push('\u{1c}');
    };
    let mut good = true;
    let mut end = |value: &str| {
        good &= clean(value);
        format!("{value}\u{1f}")
    };
    push(named(info, "feature").map(|feature| end(feature.get("var").unwrap_or_default())).collect());
    let identity = |identity: &Element, end: &mut dyn FnMut(&str) -> String| {
        let parts = ["category", "type", "xml:lang", "name"];
        let parts: String = parts.iter().map(|name| end(identity.get(name).unwrap_or_default())).collect();
        format!("{parts}\u{1e}")
    };
    push(named(info, "identity").map(|element| identity(element, &mut end)).collect());
    let forms = info.children().filter(|child| child.is("x", ns::DATA_FORMS));
    let mut form = |form: &Element| {
        let mut fields: Vec<String> = Vec::new();
        for (var, values) in form::fields(form) {
            let mut values: Vec<String> = values.iter().map(|value| end(value)).collect();
            values.sort_unstable();
            fields.push(format!("{}{}\u{1e}", end(&var), values.concat()));
        }
        fields.sort_unstable();
        format!("{}\u{1d}", fields.concat())
    };
    push(forms.map(&mut form).collect());
    good.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, algorithm: &str, hash: &str, info: &str, expected: bool) {
        let info = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{info}</query>");
        let shown =
            Shown { rule, algorithm: algorithm.into(), hash: hash.into(), node: "http://psi-im.org".into() };
        assert_eq!(shown.stands_for(&Element::parse(&info, "").unwrap()), expected, "{info}");
    }

    const EXODUS: &str = "<identity category='client' name='Exodus 0.9.1' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>";

    #[test]
    fn the_simple_example() {
        // XEP-0115 §5.2.
        check(Rule::First, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=", EXODUS, true);
        check(Rule::First, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu1=", EXODUS, false);
        check(Rule::First, "sha-256", "QgayPKawpkPSDYmwT/WM94uAlu0=", EXODUS, false);
        check(Rule::First, "", "QgayPKawpkPSDYmwT/WM94uAlu0=", EXODUS, false);
        let more = format!("{EXODUS}<feature var='urn:xmpp:avatar:metadata+notify'/>");
        check(Rule::First, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=", &more, false);
        let twice = format!("{EXODUS}<feature var='http://jabber.org/protocol/muc'/>");
        check(Rule::First, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=", &twice, false);
    }

    #[test]
    fn one_feature_that_looks_like_several_is_not_them() {
        let forged = "<identity category='client' name='Exodus 0.9.1' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps&lt;http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>";
        check(Rule::First, "sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=", forged, false);
    }

    #[test]
    fn the_complex_example() {
        // XEP-0115 §5.3.
        let field = |var: &str, values: &[&str]| {
            let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
            format!("<field var='{var}'>{values}</field>")
        };
        let form = [
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>\
             <value>urn:xmpp:dataforms:softwareinfo</value></field>",
            &field("ip_version", &["ipv4", "ipv6"]),
            &field("os", &["Mac"]),
            &field("os_version", &["10.5.1"]),
            &field("software", &["Psi"]),
            &field("software_version", &["0.11"]),
            "</x>",
        ]
        .concat();
        let psi = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>";
        let hash = "q07IKJEyjvHSyhy//CH0CxmKi8w=";
        check(Rule::First, "sha-1", hash, &format!("{psi}{form}"), true);
        check(Rule::First, "sha-1", hash, &format!("{psi}{form}{form}"), false);
        check(Rule::First, "sha-1", hash, psi, false);
    }

    #[test]
    fn the_simple_example_of_the_second_rule() {
        // XEP-0390 §4.3.1.
        let info = "<identity category='client' name='BombusMod' type='mobile'/>\
            <feature var='http://jabber.org/protocol/si'/><feature var='http://jabber.org/protocol/bytestreams'/>\
            <feature var='http://jabber.org/protocol/chatstates'/><feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:xmpp:ping'/>\
            <feature var='jabber:iq:time'/><feature var='jabber:iq:privacy'/><feature var='jabber:iq:version'/>\
            <feature var='http://jabber.org/protocol/rosterx'/><feature var='urn:xmpp:time'/>\
            <feature var='jabber:x:oob'/><feature var='http://jabber.org/protocol/ibb'/>\
            <feature var='http://jabber.org/protocol/si/profile/file-transfer'/><feature var='urn:xmpp:receipts'/>\
            <feature var='jabber:iq:roster'/><feature var='jabber:iq:last'/>";
        check(Rule::Second, "sha-256", "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=", info, true);
        check(Rule::Second, "sha-256", "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw9=", info, false);
    }

    #[test]
    fn what_presence_shows() {
        let shown = |inner: &str| {
            shown(&Stanza::parse(&format!("<presence from='a@b/c'>{inner}</presence>")).unwrap())
                .map(|shown| shown.question())
        };
        let c = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://a' ver='QQ=='/>";
        assert_eq!(shown(c).as_deref(), Some("http://a#QQ=="));
        let second = "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='blake'>QR==</hash>\
            <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>QQ==</hash></c>";
        assert_eq!(shown(second).as_deref(), Some("urn:xmpp:caps#sha-256.QQ=="));
        assert_eq!(shown("<c xmlns='http://jabber.org/protocol/caps' ver=''/>"), None);
        assert_eq!(shown("<show>away</show>"), None);
    }
}
