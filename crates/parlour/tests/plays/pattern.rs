//! What is expected of an element: its name, its attributes, what stands in it; gaps that take anything, and names
//! for what is to be said again later.

use std::collections::BTreeMap;
use xmpp::{Element, ns};

/// What was given a name in this scene.
pub(crate) type Memory = BTreeMap<String, String>;

/// Reads an element as it stands in a play: `jabber:client` around it, `stream:` declared.
pub(crate) fn parse(text: &str) -> Result<Element, String> {
    let wrapped = format!("<play xmlns:stream='{}'>{text}</play>", ns::STREAM);
    let play = Element::parse(&wrapped, ns::CLIENT).map_err(|fault| format!("{fault}: {text}"))?;
    let mut children = play.children();
    match (children.next(), children.next()) {
        (Some(one), None) => Ok(one.clone()),
        _ => Err(format!("not one element: {text}")),
    }
}

/// The text with what is remembered put in place of its names.
pub(crate) fn recall(text: &str, memory: &Memory) -> String {
    memory.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Whether an element is what is expected; what is named is remembered.
pub(crate) fn matches(wanted: &Element, got: &Element, memory: &mut Memory) -> bool {
    let mut learnt = memory.clone();
    let same = element(wanted, got, &mut learnt);
    if same {
        *memory = learnt;
    }
    same
}

/// Whether something inside `got`, at any depth, is what is expected.
pub(crate) fn has(got: &Element, wanted: &Element, memory: &mut Memory) -> bool {
    got.children().any(|child| matches(wanted, child, memory) || has(child, wanted, memory))
}

fn element(wanted: &Element, got: &Element, memory: &mut Memory) -> bool {
    if !got.is(wanted.name(), wanted.namespace()) || wanted.attributes().count() != got.attributes().count() {
        return false;
    }
    let attributes = wanted
        .attributes()
        .all(|(name, value)| got.get(name).is_some_and(|got| self::text(value, got, memory)));
    if !attributes {
        return false;
    }
    let content = wanted.content();
    let (open, content) = match content.trim_end().strip_suffix("...") {
        Some(before) => (true, before.to_owned()),
        None => (false, content),
    };
    let anything = open && content.is_empty();
    if !anything && !text(&content, &got.content(), memory) {
        return false;
    }
    let (wanted, got): (Vec<_>, Vec<_>) = (wanted.children().collect(), got.children().collect());
    if open {
        return wanted.iter().all(|wanted| got.iter().any(|got| element(wanted, got, memory)));
    }
    wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| element(wanted, got, memory))
}

/// `*` stands for anything, `{name}` too, and is remembered.
fn text(wanted: &str, got: &str, memory: &mut Memory) -> bool {
    if let Some(at) = wanted.find(['*', '{']) {
        let (before, rest) = wanted.split_at(at);
        let Some(got) = got.strip_prefix(before) else { return false };
        let (name, after) = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, after)) => (Some(name), after),
            None => (None, &rest[1..]),
        };
        let known = name.and_then(|name| memory.get(name)).cloned();
        if let Some(known) = known {
            return got.strip_prefix(known.as_str()).is_some_and(|got| text(after, got, memory));
        }
        let ends = (0..=got.len()).rev().filter(|at| got.is_char_boundary(*at));
        for end in ends {
            let mut learnt = memory.clone();
            learnt.extend(name.map(|name| (name.to_owned(), got[..end].to_owned())));
            if text(after, &got[end..], &mut learnt) {
                *memory = learnt;
                return true;
            }
        }
        return false;
    }
    wanted == got
}

#[test]
fn gaps_names_and_order() {
    let check = |wanted: &str, got: &str, expected: bool| {
        let mut memory = Memory::new();
        let same = matches(&parse(wanted).unwrap(), &parse(got).unwrap(), &mut memory);
        assert_eq!(same, expected, "{wanted} of {got}");
        memory
    };
    check("<a b='1' c='2'/>", "<a c='2' b='1'/>", true);
    check("<a b='1'/>", "<a c='2' b='1'/>", false);
    check("<a b='1'/>", "<a/>", false);
    check("<a b='x*z'><c>*</c></a>", "<a b='xyz'><c>text</c></a>", true);
    check("<a><b/></a>", "<a><b/><c/></a>", false);
    check("<a><c/>...</a>", "<a><b/><c/>text</a>", true);
    check("<a><d/>...</a>", "<a><b/><c/></a>", false);
    check("<a xmlns='u:v'/>", "<a/>", false);
    let memory = check("<a b='{n}:{m}'>{n}</a>", "<a b='1:2'>1</a>", true);
    assert_eq!(recall("<c d='{n}{m}{o}'/>", &memory), "<c d='12{o}'/>");
    check("<a b='{n}'>{n}</a>", "<a b='1'>2</a>", false);
}
