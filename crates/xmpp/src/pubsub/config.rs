//! How a node is configured (XEP-0060 §16.4.4): each field under its name, and forms of them.

use super::form;
use crate::ns;
use crate::xml::Element;
use std::collections::BTreeSet;

/// Who may see items (§4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    #[default]
    Presence,
    Roster,
    Whitelist,
    Authorize,
}

/// Who may publish (§4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Publishers {
    #[default]
    Affiliated,
    Subscribers,
    Open,
}

/// When somebody is sent the last item unasked (§16.4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SendLast {
    Never,
    OnSubscription,
    #[default]
    OnPresence,
}

macro_rules! names {
    ($kind:ident: $($name:literal = $value:ident),*) => {
        impl $kind {
            const NAMES: &[&str] = &[$($name),*];

            const fn name(self) -> &'static str {
                match self { $(Self::$value => $name),* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$value),)* _ => None }
            }
        }
    };
}

names!(Access: "open" = Open, "presence" = Presence, "roster" = Roster, "whitelist" = Whitelist, "authorize" = Authorize);
names!(Publishers: "publishers" = Affiliated, "subscribers" = Subscribers, "open" = Open);
names!(SendLast: "never" = Never, "on_sub" = OnSubscription, "on_sub_and_presence" = OnPresence);

/// The most items that a node may be said to keep: `max`, as many as the server allows.
pub(crate) const MAX: u32 = u32::MAX;

/// The longest title, description or type, in octets.
const MAX_TEXT: usize = 1024;
/// The most groups that are named.
const MAX_GROUPS: usize = 64;

/// A node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the form, by its name")]
pub(crate) struct Config {
    pub(crate) title: Option<Box<str>>,
    pub(crate) description: Option<Box<str>>,
    /// The namespace of what is published.
    pub(crate) kind: Option<Box<str>>,
    pub(crate) access: Access,
    /// The groups of the roster that may see items where access is by roster.
    pub(crate) groups: BTreeSet<Box<str>>,
    pub(crate) publishers: Publishers,
    /// How many items are kept.
    pub(crate) max_items: u32,
    pub(crate) persist: bool,
    pub(crate) send_last: SendLast,
    /// Whether anybody is told at all.
    pub(crate) deliver: bool,
    /// Whether what was published is in what they are told.
    pub(crate) payloads: bool,
    pub(crate) notify_config: bool,
    pub(crate) notify_delete: bool,
    pub(crate) notify_retract: bool,
    /// Whether they are told by headlines, which nobody keeps.
    pub(crate) headline: bool,
    /// Whether items are given with the name of who published them.
    pub(crate) name_publisher: bool,
}

impl Default for Config {
    /// What XEP-0163 §5 and §4.3.4 want of a node that somebody has published to.
    fn default() -> Self {
        Self {
            title: None,
            description: None,
            kind: None,
            access: Access::Presence,
            groups: BTreeSet::new(),
            publishers: Publishers::Affiliated,
            max_items: 1,
            persist: true,
            send_last: SendLast::OnPresence,
            deliver: true,
            payloads: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            headline: true,
            name_publisher: false,
        }
    }
}

/// Why a field cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nobody knows it.
    Unknown,
    /// Its value is none that it may have.
    Value,
}

/// Every field: its name behind `pubsub#`, its type in a form.
const FIELDS: &[(&str, &str)] = &[
    ("title", "text-single"),
    ("description", "text-single"),
    ("type", "text-single"),
    ("access_model", "list-single"),
    ("roster_groups_allowed", "list-multi"),
    ("publish_model", "list-single"),
    ("max_items", "text-single"),
    ("persist_items", "boolean"),
    ("send_last_published_item", "list-single"),
    ("deliver_notifications", "boolean"),
    ("deliver_payloads", "boolean"),
    ("notify_config", "boolean"),
    ("notify_delete", "boolean"),
    ("notify_retract", "boolean"),
    ("notification_type", "list-single"),
    ("itemreply", "list-single"),
];

fn text(values: &[String]) -> Result<Option<Box<str>>, Wrong> {
    match values {
        [] => Ok(None),
        [text] if text.is_empty() => Ok(None),
        [text] if text.len() <= MAX_TEXT => Ok(Some(text.as_str().into())),
        _ => Err(Wrong::Value),
    }
}

fn one(values: &[String]) -> Result<&str, Wrong> {
    match values {
        [value] => Ok(value.trim()),
        _ => Err(Wrong::Value),
    }
}

fn boolean(values: &[String]) -> Result<bool, Wrong> {
    match one(values)? {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Wrong::Value),
    }
}

fn number(values: &[String]) -> Result<u32, Wrong> {
    match one(values)? {
        "max" => Ok(MAX),
        number => number.parse().ok().filter(|number| *number > 0).ok_or(Wrong::Value),
    }
}

fn groups(values: &[String]) -> Result<BTreeSet<Box<str>>, Wrong> {
    let long = values.iter().any(|group| group.len() > MAX_TEXT);
    if long || values.len() > MAX_GROUPS {
        return Err(Wrong::Value);
    }
    Ok(values.iter().map(|group| group.as_str().into()).collect())
}

fn either(values: &[String], yes: &str, no: &str) -> Result<bool, Wrong> {
    match one(values)? {
        value if value == yes => Ok(true),
        value if value == no => Ok(false),
        _ => Err(Wrong::Value),
    }
}

impl Config {
    /// Sets a field.
    pub(crate) fn set(&mut self, var: &str, values: &[String]) -> Result<(), Wrong> {
        match var.strip_prefix("pubsub#").ok_or(Wrong::Unknown)? {
            "title" => self.title = text(values)?,
            "description" => self.description = text(values)?,
            "type" => self.kind = text(values)?,
            "access_model" => self.access = Access::from_name(one(values)?).ok_or(Wrong::Value)?,
            "roster_groups_allowed" => self.groups = groups(values)?,
            "publish_model" => self.publishers = Publishers::from_name(one(values)?).ok_or(Wrong::Value)?,
            "max_items" => self.max_items = number(values)?,
            "persist_items" => self.persist = boolean(values)?,
            "send_last_published_item" => {
                self.send_last = SendLast::from_name(one(values)?).ok_or(Wrong::Value)?;
            }
            "deliver_notifications" => self.deliver = boolean(values)?,
            "deliver_payloads" => self.payloads = boolean(values)?,
            "notify_config" => self.notify_config = boolean(values)?,
            "notify_delete" => self.notify_delete = boolean(values)?,
            "notify_retract" => self.notify_retract = boolean(values)?,
            "notification_type" => self.headline = either(values, "headline", "normal")?,
            "itemreply" => self.name_publisher = either(values, "publisher", "owner")?,
            _ => return Err(Wrong::Unknown),
        }
        Ok(())
    }

    /// The values of a field, by its name behind `pubsub#`.
    fn get(&self, name: &str) -> Vec<String> {
        let text = |text: &Option<Box<str>>| text.iter().map(|text| text.to_string()).collect();
        let boolean = |value: bool| vec![if value { "1" } else { "0" }.to_owned()];
        let word = |word: &str| vec![word.to_owned()];
        match name {
            "title" => text(&self.title),
            "description" => text(&self.description),
            "type" => text(&self.kind),
            "access_model" => word(self.access.name()),
            "roster_groups_allowed" => self.groups.iter().map(|group| group.to_string()).collect(),
            "publish_model" => word(self.publishers.name()),
            "max_items" if self.max_items == MAX => word("max"),
            "max_items" => word(&self.max_items.to_string()),
            "persist_items" => boolean(self.persist),
            "send_last_published_item" => word(self.send_last.name()),
            "deliver_notifications" => boolean(self.deliver),
            "deliver_payloads" => boolean(self.payloads),
            "notify_config" => boolean(self.notify_config),
            "notify_delete" => boolean(self.notify_delete),
            "notify_retract" => boolean(self.notify_retract),
            "notification_type" => word(if self.headline { "headline" } else { "normal" }),
            "itemreply" => word(if self.name_publisher { "publisher" } else { "owner" }),
            _ => Vec::new(),
        }
    }

    /// Whether what a publisher demands of the node holds (§7.1.5).
    pub(crate) fn meets(&self, var: &str, values: &[String]) -> bool {
        let mut wanted = self.clone();
        wanted.set(var, values).is_ok() && wanted == *self
    }

    /// The form for the owner (§8.2.1).
    pub(crate) fn form(&self) -> Element {
        let field = |(name, kind): &(&str, &'static str)| {
            let choices = match *name {
                "access_model" => Access::NAMES,
                "publish_model" => Publishers::NAMES,
                "send_last_published_item" => SendLast::NAMES,
                "notification_type" => &["normal", "headline"],
                "itemreply" => &["owner", "publisher"],
                _ => &[],
            };
            let choice = |choice: &&str| {
                let value = Element::new("value", ns::DATA_FORMS).text(*choice);
                Element::new("option", ns::DATA_FORMS).child(value)
            };
            form::field(format!("pubsub#{name}"), kind, self.get(name))
                .children_from(choices.iter().map(choice))
        };
        form::begin("form", ns::PUBSUB_CONFIG).children_from(FIELDS.iter().map(field))
    }

    /// The fields that are not as usual, as they are kept.
    pub(crate) fn changed(&self) -> impl Iterator<Item = Element> {
        let usual = Self::default();
        let changed = FIELDS.iter().filter(move |(name, _)| self.get(name) != usual.get(name));
        changed.map(|(name, kind)| form::field(format!("pubsub#{name}"), kind, self.get(name)))
    }

    /// What anybody may know who may see the node (§5.4).
    pub(crate) fn metadata(&self) -> Element {
        let told = ["title", "description", "type", "access_model", "publish_model", "max_items"];
        let told = FIELDS.iter().filter(|(name, _)| told.contains(name));
        let field =
            |(name, kind): &(&str, &'static str)| form::field(format!("pubsub#{name}"), kind, self.get(name));
        let told = told.filter(|(name, _)| !self.get(name).is_empty()).map(field);
        form::begin("result", ns::PUBSUB_METADATA).children_from(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn every_field_is_set_as_it_is_told() {
        let mut config = Config::default();
        for (name, told) in [
            ("title", &["Songs"][..]),
            ("type", &["urn:example"]),
            ("access_model", &["roster"]),
            ("roster_groups_allowed", &["Friends", "Nurses"]),
            ("publish_model", &["open"]),
            ("max_items", &["max"]),
            ("persist_items", &["0"]),
            ("send_last_published_item", &["never"]),
            ("notify_retract", &["0"]),
            ("notification_type", &["normal"]),
            ("itemreply", &["publisher"]),
        ] {
            config.set(&format!("pubsub#{name}"), &values(told)).unwrap();
            assert_eq!(config.get(name), told, "{name}");
        }
        let mut read = Config::default();
        for (var, values) in
            config.changed().flat_map(|field| form::fields(&Element::new("x", "").child(field)))
        {
            read.set(&var, &values).unwrap();
        }
        assert_eq!(read, config);
        for (name, _) in FIELDS {
            let mut again = Config::default();
            again.set(&format!("pubsub#{name}"), &Config::default().get(name)).unwrap();
            assert_eq!(again, Config::default(), "{name}");
        }
    }

    #[test]
    fn what_nobody_knows_or_what_is_no_value_is_refused() {
        let check = |var: &str, told: &[&str], expected| {
            assert_eq!(Config::default().set(var, &values(told)), Err(expected), "{var} {told:?}");
        };
        check("pubsub#colour", &["red"], Wrong::Unknown);
        check("max_items", &["1"], Wrong::Unknown);
        check("pubsub#max_items", &["0"], Wrong::Value);
        check("pubsub#max_items", &["-1"], Wrong::Value);
        check("pubsub#max_items", &[], Wrong::Value);
        check("pubsub#persist_items", &["yes"], Wrong::Value);
        check("pubsub#access_model", &["closed"], Wrong::Value);
        check("pubsub#title", &[&"t".repeat(2000)], Wrong::Value);
    }

    #[test]
    fn a_precondition_is_met_by_its_meaning() {
        let config = Config::default();
        assert!(config.meets("pubsub#persist_items", &values(&["true"])));
        assert!(config.meets("pubsub#max_items", &values(&["1"])));
        assert!(!config.meets("pubsub#max_items", &values(&["max"])));
        assert!(!config.meets("pubsub#access_model", &values(&["open"])));
        assert!(!config.meets("pubsub#colour", &values(&["red"])));
    }
}
