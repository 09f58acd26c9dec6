//! What was typed: the values of `parlour.toml` with their places, and a fault for everything that no key takes.
//!
//! Nothing is understood here beyond text, lists and numbers; what the values mean is `meaning`'s business.

use super::fault::{Fault, nearest};
use super::keys::{self, Key, Kind, Section};
use super::secret::Source;
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
        self.sections.get(name).unwrap_or(&EMPTY)
    }
}

static EMPTY: Table = Table::empty();

/// Where a table stands: its path in keys, its header, the keys that it takes.
struct Scope {
    path: String,
    header: String,
    keys: &'static [Key],
}

impl Scope {
    fn of(section: &Section) -> Self {
        Self { path: section.name.to_owned(), header: section.header(), keys: section.keys }
    }

    /// That of the table, or tables, under a key.
    fn under(&self, key: &Key, keys: &'static [Key]) -> Self {
        let path = format!("{}.{}", self.path, key.name);
        let header = if let Kind::Rows(_) = key.kind { format!("[[{path}]]") } else { format!("[{path}]") };
        Self { path, header, keys }
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
    Flag(Typed<bool>),
    Secret(Typed<Source>),
    Secrets(Vec<Typed<Source>>),
    Fields(Table),
    Rows(Vec<Table>),
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

    /// The texts of a key, if it is there at all.
    pub fn list(&self, key: &str) -> Option<&[Typed<String>]> {
        self.values.contains_key(key).then(|| self.texts(key))
    }

    /// The number of a key.
    pub fn number(&self, key: &str) -> Option<&Typed<i64>> {
        match self.values.get(key) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// Whether a key is true; `absent` where it does not stand.
    pub fn flag(&self, key: &str, absent: bool) -> bool {
        match self.values.get(key) {
            Some(Value::Flag(flag)) => flag.value,
            _ => absent,
        }
    }

    /// The secret of a key.
    pub fn secret(&self, key: &str) -> Option<&Typed<Source>> {
        match self.values.get(key) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// The secrets of a key; empty when it is absent.
    pub fn secrets(&self, key: &str) -> &[Typed<Source>] {
        match self.values.get(key) {
            Some(Value::Secrets(secrets)) => secrets,
            _ => &[],
        }
    }

    /// The table under a key; empty when it is absent.
    pub fn fields(&self, key: &str) -> &Self {
        match self.values.get(key) {
            Some(Value::Fields(table)) => table,
            _ => &EMPTY,
        }
    }

    /// The tables under a key; none when it is absent.
    pub fn rows(&self, key: &str) -> &[Self] {
        match self.values.get(key) {
            Some(Value::Rows(rows)) => rows,
            _ => &[],
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
                let table = self.table(&Scope::of(section), header, table);
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
                let table = self.table(&Scope::of(section), span, table);
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

    fn table(&mut self, scope: &Scope, span: Range<usize>, table: &DeTable<'_>) -> Table {
        let mut values = BTreeMap::new();
        for (name, value) in table {
            let Some(key) = scope.keys.iter().find(|key| key.name == name.get_ref()) else {
                self.unknown_key(scope, name);
                continue;
            };
            if let Some(value) = self.value(scope, key, value) {
                values.insert(key.name, value);
            }
        }
        Table { span, values }
    }

    fn unknown_key(&mut self, scope: &Scope, name: &Spanned<std::borrow::Cow<'_, str>>) {
        let typed = name.get_ref();
        let message = format!("there is no key `{typed}` under `{}`", scope.header);
        let help = match (nearest(typed, scope.keys.iter().map(|key| key.name)), owner_of(typed)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(owner)) => format!("`{typed}` belongs under `{}`", owner.header()),
            (None, None) => {
                format!("there are {}", list(scope.keys.iter().map(|k| format!("`{}`", k.name))))
            }
        };
        let key = format!("{}.{typed}", scope.path);
        self.faults.push(Fault::new(name.span(), key, message).help(help));
    }

    fn value(&mut self, scope: &Scope, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let path = format!("{}.{}", scope.path, key.name);
        match (key.kind, value.get_ref()) {
            (Kind::Text | Kind::Rate, DeValue::String(text)) => {
                Some(Value::Text(typed(text.to_string(), value, &path)))
            }
            (Kind::Rate, DeValue::Integer(_)) => {
                let number = self.number(key, &path, value)?;
                Some(Value::Text(Typed { value: number.value.to_string(), span: number.span, key: path }))
            }
            (Kind::Number, DeValue::Integer(_)) => Some(Value::Number(self.number(key, &path, value)?)),
            (Kind::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(typed(*flag, value, &path))),
            (Kind::OneOrMore, DeValue::String(_)) => {
                Some(Value::Texts(self.item(key, &path, value).into_iter().collect()))
            }
            (Kind::Texts | Kind::OneOrMore, DeValue::Array(list)) => {
                Some(Value::Texts(list.iter().filter_map(|item| self.item(key, &path, item)).collect()))
            }
            (Kind::Secret, _) => Some(Value::Secret(self.secret(key, &path, value)?)),
            (Kind::Secrets, DeValue::Array(list)) => {
                Some(Value::Secrets(list.iter().filter_map(|item| self.secret(key, &path, item)).collect()))
            }
            (Kind::Fields(keys), DeValue::Table(table)) => {
                Some(Value::Fields(self.table(&scope.under(key, keys), value.span(), table)))
            }
            (Kind::Rows(keys), DeValue::Array(list)) => {
                let scope = scope.under(key, keys);
                Some(Value::Rows(list.iter().filter_map(|item| self.row(key, &scope, item)).collect()))
            }
            _ => self.wrong_kind(key, &path, value),
        }
    }

    /// Notes that a value is not what its key takes.
    fn wrong_kind<T>(&mut self, key: &Key, path: &str, value: &Spanned<DeValue<'_>>) -> Option<T> {
        self.faults.push(wrong_kind(key, path, value.span()));
        None
    }

    fn number(&mut self, key: &Key, path: &str, value: &Spanned<DeValue<'_>>) -> Option<Typed<i64>> {
        let number = value.get_ref().as_integer();
        let parsed = number.and_then(|n| i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok());
        parsed.map(|n| typed(n, value, path)).or_else(|| self.wrong_kind(key, path, value))
    }

    fn item(&mut self, key: &Key, path: &str, item: &Spanned<DeValue<'_>>) -> Option<Typed<String>> {
        match item.get_ref() {
            DeValue::String(text) => Some(typed(text.to_string(), item, path)),
            _ => self.wrong_kind(key, path, item),
        }
    }

    /// A secret, or where it is found.
    fn secret(&mut self, key: &Key, path: &str, item: &Spanned<DeValue<'_>>) -> Option<Typed<Source>> {
        let source = match item.get_ref() {
            DeValue::String(text) => Some(Source::inline(text)),
            DeValue::Table(table) if table.len() == 1 => {
                let entry = table.iter().next();
                entry.and_then(|(name, place)| Source::found(name.get_ref(), place.get_ref().as_str()?))
            }
            _ => None,
        };
        source.map(|source| typed(source, item, path)).or_else(|| self.wrong_kind(key, path, item))
    }

    fn row(&mut self, key: &Key, scope: &Scope, item: &Spanned<DeValue<'_>>) -> Option<Table> {
        match item.get_ref() {
            DeValue::Table(table) => Some(self.table(scope, item.span(), table)),
            _ => self.wrong_kind(key, &scope.path, item),
        }
    }
}

fn typed<T>(value: T, place: &Spanned<DeValue<'_>>, key: &str) -> Typed<T> {
    Typed { value, span: place.span(), key: key.to_owned() }
}

fn wrong_kind(key: &Key, path: &str, span: Range<usize>) -> Fault {
    let wanted = match key.kind {
        Kind::Text => "a text in quotes",
        Kind::Texts => "a list of texts",
        Kind::OneOrMore => "a text in quotes, or a list of texts",
        Kind::Number => "a whole number",
        Kind::Flag => "true or false",
        Kind::Rate => "a whole number, or a text with a unit",
        Kind::Secret => "a text, `{ file = \"…\" }` or `{ credential = \"…\" }`",
        Kind::Secrets => "a list of secrets, each a text, `{ file = \"…\" }` or `{ credential = \"…\" }`",
        Kind::Fields(_) => "a table",
        Kind::Rows(_) => "a list of tables",
    };
    Fault::new(span, path, format!("`{}` takes {wanted}", key.name)).help(format!("as in `{}`", sample(key)))
}

/// The key as it may be written.
fn sample(key: &Key) -> String {
    let value = match (key.kind, key.example) {
        (Kind::Texts, "[]") => "[\"…\"]",
        (Kind::Secrets, "[]") => "[{ file = \"…\" }]",
        (Kind::Rows(_), "[]") => "[{ kid = \"…\", key = \"…\" }]",
        (Kind::Rate, _) => "\"8 Mbit/s\"",
        (_, example) => example,
    };
    format!("{} = {value}", key.name)
}

/// The table that has a key of this name, if exactly one does.
fn owner_of(key: &str) -> Option<&'static Section> {
    let mut owners = keys::SECTIONS.iter().filter(|section| section.key(key).is_some());
    owners.next().filter(|_| owners.next().is_none())
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
