//! What a command is: its name, its arguments, who may call it, what it returns, and what carries it out.

use super::answer::Answer;
use super::arguments::Arguments;
use super::backend::Backend;
use super::failure::Failure;
use crate::config::Plan;
use serde_json::Value;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use utoipa::openapi::{RefOr, Schema};

/// A command.
#[derive(Debug)]
pub struct Command {
    /// Its name in words: `["user", "add"]` is `parlour user add` and `/v1/user/add`.
    pub path: &'static [&'static str],
    /// What it does, in one line.
    pub summary: &'static str,
    /// What else there is to know.
    pub details: &'static str,
    /// What it takes.
    pub arguments: &'static [Argument],
    /// Who may call it.
    pub caller: Caller,
    /// Whether it only looks.
    pub reads: bool,
    /// Whether help and pages leave it out.
    pub hidden: bool,
    /// What it returns.
    pub returns: Returned,
    /// Where and how it is carried out.
    pub run: Run,
}

impl Command {
    /// Its name in one word: `user-add`.
    pub fn id(&self) -> String {
        self.path.join("-")
    }

    /// Its name on the command line: `user add`.
    pub fn words(&self) -> String {
        self.path.join(" ")
    }

    /// Its place in the HTTP interface, if it has one: `/v1/user/add`.
    pub fn route(&self) -> Option<String> {
        match self.run {
            Run::CommandLine(_) => None,
            _ => Some(format!("/v1/{}", self.path.join("/"))),
        }
    }
}

/// The command of this name, if it is one of these.
pub fn find<'a>(
    commands: &'static [Command],
    path: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'static Command> {
    commands.iter().find(|command| command.path.iter().copied().eq(path.clone()))
}

/// Something that a command takes.
#[derive(Debug)]
pub struct Argument {
    /// Its name: `--name`, or the name of a property in JSON.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether the command line takes it by place instead of by name.
    pub positional: bool,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for.
    pub help: &'static str,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `user@domain`.
    Address,
    /// A domain name.
    Domain,
    /// Any text.
    Text,
    /// A whole number from 0 on.
    Number,
    /// Any number of texts.
    Texts,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// There or not.
    Flag,
    /// A folder or file of the caller; on the command line only.
    Path,
    /// A file's content: the command line takes the file's name, or `-` for the standard input.
    Document,
    /// A secret: the command line asks at the terminal, reads a line of the standard input or the file of
    /// `--password-file`; it never stands among a process's arguments.
    Password,
}

/// Who may call a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever may open the admin socket or the database: root, or the server's own user.
    LocalAdministrator,
    /// Also the `admins` of a domain, for that domain.
    DomainAdministrator,
}

impl Caller {
    /// As it is written in the pages.
    pub const fn text(self) -> &'static str {
        match self {
            Self::LocalAdministrator => "the local administrator",
            Self::DomainAdministrator => "the local administrator, and a domain's admins for that domain",
        }
    }
}

/// A kind of [`Answer`].
#[derive(Clone, Copy)]
pub struct Returned {
    /// The name of its schema.
    pub name: fn() -> String,
    /// Its schema, and those that it names.
    pub schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// From JSON to words, and whether the command ends well.
    pub human: fn(Value) -> Result<(String, bool), serde_json::Error>,
}

impl Returned {
    /// That of `T`.
    pub const fn of<T: Answer>() -> Self {
        Self { name: name::<T>, schemas: schemas::<T>, human: human::<T> }
    }
}

impl std::fmt::Debug for Returned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Returned({})", (self.name)())
    }
}

fn name<T: Answer>() -> String {
    T::name().into_owned()
}

fn schemas<T: Answer>(all: &mut Vec<(String, RefOr<Schema>)>) {
    all.push((name::<T>(), T::schema()));
    T::schemas(all);
}

fn human<T: Answer>(value: Value) -> Result<(String, bool), serde_json::Error> {
    serde_json::from_value::<T>(value).map(|answer| (answer.human(), answer.is_good()))
}

/// An answer as JSON.
pub fn reply(answer: &impl Answer) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| Failure::failed(format!("the answer: {error}")))
}

/// What comes of a command that waits for the store or the workers.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Where and how a command is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// In the caller's process, which alone can do it.
    CommandLine(fn(&Invocation, &Arguments) -> Result<Value, Failure>),
    /// From the configuration: on the command line from the file as it is now, in the server from the plan in force.
    Plan(fn(&Plan, &Arguments) -> Result<Value, Failure>),
    /// By the server if one runs, else by the caller's process on the database.
    House(for<'a> fn(&'a dyn Backend, &'a Arguments) -> Reply<'a, Value>),
    /// By the server.
    Server(for<'a> fn(&'a dyn Backend, &'a Arguments) -> Reply<'a, Value>),
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CommandLine(_) => "CommandLine",
            Self::Plan(_) => "Plan",
            Self::House(_) => "House",
            Self::Server(_) => "Server",
        })
    }
}

/// How the process was called, beside the command's own arguments.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// `--config`, or `None` to look where it usually is.
    pub config: Option<PathBuf>,
    /// `--json`.
    pub json: bool,
}
