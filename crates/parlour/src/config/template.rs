//! The file that `init` writes: every key, with a comment.

use super::keys::{Absent, Key, LISTENER_SYNTAX, SECTIONS};
use std::fmt::Write;

/// The text, with `value(section, key)` where that knows better than the table's example.
pub fn text(value: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut text = String::from("# Parlour's configuration. `parlour check` says what it means.\n");
    let _ = writeln!(text, "# Listeners: {LISTENER_SYNTAX}");
    for section in SECTIONS {
        let _ = write!(text, "\n# {}\n{}\n", section.comment, section.header());
        for key in section.keys {
            write_key(&mut text, key, value(section.name, key.name));
        }
    }
    text
}

fn write_key(text: &mut String, key: &Key, value: Option<String>) {
    for line in key.comment.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "{} = {}", key.name, value.unwrap_or_else(|| key.example.into()));
}

/// A text as TOML.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// A list of texts as TOML.
pub fn list<T: ToString>(texts: &[T]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(&text.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

/// What the absence of a key means, in words.
pub fn absence(key: &Key) -> String {
    match key.absent {
        Absent::Refused => "required".into(),
        Absent::Off => "off".into(),
        Absent::Same(value) => format!("`{value}`"),
    }
}
