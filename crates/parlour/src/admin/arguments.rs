//! What a command was called with, judged by its declaration: the same for the command line and for JSON.

use super::command::{Argument, Command, Kind};
use super::failure::Failure;
use crate::config::fault::nearest;
use serde_json::{Map, Value};
use wire::{Address, Directory, Domain, Secret};

/// A command's arguments: every name declared, every value of its kind, everything required there.
#[derive(Clone, Default)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Judges what somebody sent.
    pub fn new(command: &Command, given: Map<String, Value>) -> Result<Self, Failure> {
        for (name, value) in &given {
            let argument = command.arguments.iter().find(|argument| argument.name == name);
            let argument = argument.ok_or_else(|| unknown(command, name))?;
            if !fits(argument.kind, value) {
                return Err(Failure::usage(format!("`{name}` must be {}", wanted(argument.kind))));
            }
        }
        let missing = |argument: &&Argument| argument.required && !given.contains_key(argument.name);
        match command.arguments.iter().find(missing) {
            Some(argument) => Err(Failure::usage(format!("`{}` is missing", argument.name))),
            None => Ok(Self(given)),
        }
    }

    /// As JSON. It may hold a password: for the admin socket alone.
    pub fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    /// A text that may be absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A number that may be absent.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// A text that is required.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).expect("`new` refuses calls without what is required")
    }

    /// Every text of a list.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
    }

    /// Whether a flag is there.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An address of the house, at its domain's main name.
    pub fn address(&self, name: &str, directory: &Directory) -> Result<Address, Failure> {
        crate::accounts::import::address(self.required(name), directory).map_err(Failure::usage)
    }

    /// A domain of the house by any of its names, at its main name.
    pub fn domain(&self, name: &str, directory: &Directory) -> Result<Option<Domain>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let ours = directory.domain(text).cloned();
        ours.map(Some).ok_or_else(|| Failure::usage(format!("{text} is not a domain of this house")))
    }

    /// A password, in the form that keys are derived from.
    pub fn password(&self, name: &str) -> Option<Result<Secret, Failure>> {
        let normal = |text| wire::address::password(text).map_err(|error| Failure::usage(error.to_string()));
        self.text(name).map(normal)
    }
}

/// Names only: a value may be a secret.
impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

fn unknown(command: &Command, name: &str) -> Failure {
    let near = nearest(name, command.arguments.iter().map(|argument| argument.name));
    let help = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!("`{}` takes no `{name}`{help}", command.words()))
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Address | Kind::Domain | Kind::Text | Kind::Path | Kind::Document | Kind::Password => {
            value.is_string()
        }
        Kind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Flag => value.is_boolean(),
        Kind::Number => value.is_u64(),
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
    }
}

fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::Flag => "true or false".into(),
        Kind::Number => "a whole number".into(),
        Kind::Texts => "a list of texts".into(),
        _ => "a text".into(),
    }
}
