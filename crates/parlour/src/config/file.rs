//! What was typed: the values of `parlour.toml` with their places, and a fault for everything that no key takes.
//!
//! Nothing is understood here beyond text, lists and numbers; what the values mean is `meaning`'s business.

use super::fault::{Fault, nearest};
use super::keys::{self, Key, Kind, Section};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed<T> {
    /// What was typed.
    pub value: T,
    /// Where.
    pub span: Range<usize>,
    /// Under which key: `turn.udp`.
    pub key: String,
}

impl<T> Typed<T> {
    /// A fault of this value.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.span.clone(), self.key.clone(), message)
    }
}

/// The tables of the file, each with what was typed in it.
#[derive(Debug, Default)]
pub struct File {
    /// `[[domains]]`, in the order of the file.
    pub domains: Vec<Table>,
    sections: BTreeMap<&'static str, Table>,
}

impl File {
    /// One of the tables that stand once; an absent one is empty.
    pub fn section(&self, name: &str) -> &Table {
        static EMPTY: Table = Table::empty();
        self.sections.get(name).unwrap_or(&EMPTY)
    }
}

/// What was typed in one table.
#[derive(Debug)]
pub struct Table {
    /// Where its header stands.
    pub span: Range<usize>,
    values: BTreeMap<&'static str, Value>,
}

#[derive(Debug)]
enum Value {
    Text(Typed<String>),
    Texts(Vec<Typed<String>>),
    Number(Typed<i64>),
}

impl Table {
    const fn empty() -> Self {
        Self { span: 0..0, values: BTreeMap::new() }
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&Typed<String>> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The list of a key; empty when it is absent.
    pub fn texts(&self, key: &str) -> &[Typed<String>] {
        match self.values.get(key) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// The number of a key.
    pub fn number(&self, key: &str) -> Option<&Typed<i64>> {
        match self.values.get(key) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }
}

/// Reads the text of a file: what it says and what is wrong with it so far, or why it is not TOML.
pub fn read(text: &str) -> Result<(File, Vec<Fault>), Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(syntax_fault).collect());
    }
    let mut reader = Reader::default();
    for (name, value) in table.get_ref() {
        reader.section(name, value);
    }
    Ok((reader.file, reader.faults))
}

fn syntax_fault(error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    Fault::new(span, "", format!("this is not TOML: {}", error.message()))
}

#[derive(Default)]
struct Reader {
    file: File,
    faults: Vec<Fault>,
}

impl Reader {
    fn section(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let Some(section) = keys::section(name.get_ref()) else {
            return self.unknown_section(name);
        };
        let header = name.span();
        match (value.get_ref(), section.many) {
            (DeValue::Table(table), false) => {
                let table = self.table(section, header, table);
                self.file.sections.insert(section.name, table);
            }
            (DeValue::Array(tables), true) => {
                for entry in tables {
                    self.entry(section, &header, entry);
                }
            }
            _ => {
                let message = format!("{} is written as {}", section.name, section.header());
                self.faults.push(Fault::new(header, section.name, message));
            }
        }
    }

    fn entry(&mut self, section: &'static Section, header: &Range<usize>, entry: &Spanned<DeValue<'_>>) {
        match entry.get_ref() {
            DeValue::Table(table) => {
                let span = entry.span();
                let span = if span.is_empty() { header.clone() } else { span };
                let table = self.table(section, span, table);
                self.file.domains.push(table);
            }
            _ => {
                let message = format!("{} is written as {}", section.name, section.header());
                self.faults.push(Fault::new(entry.span(), section.name, message));
            }
        }
    }

    fn unknown_section(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>) {
        let typed = name.get_ref();
        let message = format!("there is no table or key `{typed}` here");
        let near = nearest(typed, keys::SECTIONS.iter().map(|section| section.name));
        let help = match (near.and_then(keys::section), owner_of(typed)) {
            (Some(section), _) => format!("did you mean `{}`?", section.header()),
            (None, Some(section)) => format!("`{typed}` belongs under `{}`", section.header()),
            (None, None) => format!("there are {}", list(keys::SECTIONS.iter().map(Section::header))),
        };
        self.faults.push(Fault::new(name.span(), typed.to_string(), message).help(help));
    }

    fn table(&mut self, section: &'static Section, span: Range<usize>, table: &DeTable<'_>) -> Table {
        let mut values = BTreeMap::new();
        for (name, value) in table {
            let Some(key) = section.key(name.get_ref()) else {
                self.unknown_key(section, name);
                continue;
            };
            if let Some(value) = self.value(section, key, value) {
                values.insert(key.name, value);
            }
        }
        Table { span, values }
    }

    fn unknown_key(&mut self, section: &Section, name: &Spanned<std::borrow::Cow<'_, str>>) {
        let typed = name.get_ref();
        let message = format!("there is no key `{typed}` under `{}`", section.header());
        let help = match (nearest(typed, section.keys.iter().map(|key| key.name)), owner_of(typed)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(owner)) => format!("`{typed}` belongs under `{}`", owner.header()),
            (None, None) => {
                format!("there are {}", list(section.keys.iter().map(|k| format!("`{}`", k.name))))
            }
        };
        let key = format!("{}.{typed}", section.name);
        self.faults.push(Fault::new(name.span(), key, message).help(help));
    }

    fn value(&mut self, section: &Section, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let path = format!("{}.{}", section.name, key.name);
        let span = value.span();
        match (key.kind, value.get_ref()) {
            (Kind::Text, DeValue::String(text)) => {
                Some(Value::Text(Typed { value: text.to_string(), span, key: path }))
            }
            (Kind::Texts, DeValue::Array(list)) => {
                let texts = list.iter().filter_map(|item| self.item(key, &path, item)).collect();
                Some(Value::Texts(texts))
            }
            (Kind::Number, DeValue::Integer(number)) => {
                let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                let Ok(value) = parsed else {
                    self.faults.push(wrong_kind(key, &path, span));
                    return None;
                };
                Some(Value::Number(Typed { value, span, key: path }))
            }
            _ => {
                self.faults.push(wrong_kind(key, &path, span));
                None
            }
        }
    }

    fn item(&mut self, key: &Key, path: &str, item: &Spanned<DeValue<'_>>) -> Option<Typed<String>> {
        match item.get_ref() {
            DeValue::String(text) => {
                Some(Typed { value: text.to_string(), span: item.span(), key: path.to_owned() })
            }
            _ => {
                self.faults.push(wrong_kind(key, path, item.span()));
                None
            }
        }
    }
}

fn wrong_kind(key: &Key, path: &str, span: Range<usize>) -> Fault {
    let wanted = match key.kind {
        Kind::Text => "a text in quotes",
        Kind::Texts => "a list of texts",
        Kind::Number => "a whole number",
    };
    let example = if key.example == "[]" { "[\"…\"]" } else { key.example };
    Fault::new(span, path, format!("`{}` takes {wanted}", key.name))
        .help(format!("as in `{} = {example}`", key.name))
}

/// The table that has a key of this name, if exactly one does.
fn owner_of(key: &str) -> Option<&'static Section> {
    let mut owners = keys::SECTIONS.iter().filter(|section| section.key(key).is_some());
    owners.next().filter(|_| owners.next().is_none())
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
