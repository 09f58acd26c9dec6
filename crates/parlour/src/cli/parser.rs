//! The command line's grammar, from the table of commands.

use super::table::{COMMANDS, GROUPS};
use crate::admin::command::{Argument, Command, Invocation, Kind, find};
use crate::admin::failure::{self, Failure};
use crate::admin::here::password;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What the command line has for a password.
pub(super) const PASSWORD_FILE: &str =
    "Read the password from the first line of this file; - is the standard input";

/// The whole grammar.
pub(super) fn parser() -> clap::Command {
    let mut parser = clap::Command::new("parlour")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Real-time communication for an organisation: STUN/TURN, SIP and XMPP from one account list")
        .arg(config_argument())
        .arg(json_argument())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true);
    for command in COMMANDS.iter().filter(|command| command.path.len() == 1) {
        parser = parser.subcommand(subcommand(command));
    }
    for (name, about) in GROUPS {
        let mut group =
            clap::Command::new(*name).about(*about).subcommand_required(true).arg_required_else_help(true);
        for command in COMMANDS.iter().filter(|command| command.path.len() == 2 && command.path[0] == *name) {
            group = group.subcommand(subcommand(command));
        }
        parser = parser.subcommand(group.disable_help_subcommand(true));
    }
    parser
}

fn config_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .short('c')
        .global(true)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("The configuration file [default: ./parlour.toml, then /etc/parlour/parlour.toml]")
}

fn json_argument() -> Arg {
    Arg::new("json").long("json").global(true).action(ArgAction::SetTrue).help("Answer in JSON, failures too")
}

fn subcommand(command: &'static Command) -> clap::Command {
    let name = command.path[command.path.len() - 1];
    let mut parser = clap::Command::new(name).about(command.summary).hide(command.hidden);
    if !command.details.is_empty() {
        parser = parser.after_help(command.details);
    }
    // `--address A B` as well as `--address A --address B`; not where an optional word could follow the list.
    let greedy = command.arguments.iter().all(|argument| argument.required || !argument.positional);
    for declared in command.arguments {
        let arg = argument(declared);
        parser = parser.arg(if greedy && declared.kind == Kind::Texts { arg.num_args(1..) } else { arg });
    }
    if command.arguments.iter().any(|argument| argument.kind == Kind::Password) {
        parser = parser.group(clap::ArgGroup::new("one password").args(["password", "generate"]));
    }
    parser
}

fn argument(declared: &'static Argument) -> Arg {
    let mut arg = Arg::new(declared.name).help(declared.help).required(declared.required);
    if !declared.positional {
        arg = arg.long(declared.name);
    }
    match declared.kind {
        Kind::Flag => arg.action(ArgAction::SetTrue),
        Kind::Texts => arg.action(ArgAction::Append).value_name(declared.name.to_uppercase()),
        Kind::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        Kind::Password => {
            arg.long("password-file").value_name("FILE").value_hint(ValueHint::FilePath).help(PASSWORD_FILE)
        }
        Kind::Path => arg.value_name("DIR").value_hint(ValueHint::DirPath),
        Kind::Document => arg.value_name("FILE").value_hint(ValueHint::FilePath),
        Kind::Address => arg.value_name("USER@DOMAIN"),
        Kind::Number => arg.value_name(declared.name.to_uppercase()).value_parser(clap::value_parser!(u64)),
        Kind::Domain | Kind::Text => arg.value_name(declared.name.to_uppercase()),
    }
}

/// What stands beside the command.
pub(super) fn invocation(matches: &ArgMatches) -> Invocation {
    Invocation { config: matches.get_one::<PathBuf>("config").cloned(), json: matches.get_flag("json") }
}

/// Which command was typed, and with what.
pub(super) fn command(matches: &ArgMatches) -> (&'static Command, &ArgMatches) {
    let mut path = vec![];
    let mut inner = matches;
    while let Some((name, next)) = inner.subcommand() {
        path.push(name);
        inner = next;
    }
    let command =
        find(COMMANDS, path.iter().copied()).expect("the grammar has no other commands than the table");
    (command, inner)
}

/// What was typed, as the table declares it. Files are read and passwords asked for here.
pub(super) fn arguments(command: &Command, matches: &ArgMatches) -> Result<Map<String, Value>, Failure> {
    let mut given = Map::new();
    for declared in command.arguments {
        if let Some(value) = value(declared, matches)? {
            given.insert(declared.name.into(), value);
        }
    }
    let wants = command.arguments.iter().any(|argument| argument.kind == Kind::Password);
    if wants && !given.contains_key("password") && !given.contains_key("generate") {
        let whose = given.get("address").and_then(Value::as_str).unwrap_or("");
        given.insert("password".into(), password::ask(whose)?.into());
    }
    Ok(given)
}

fn value(declared: &Argument, matches: &ArgMatches) -> Result<Option<Value>, Failure> {
    let text = || matches.get_one::<String>(declared.name);
    Ok(match declared.kind {
        Kind::Flag => matches.get_flag(declared.name).then_some(Value::Bool(true)),
        Kind::Texts => matches
            .get_many::<String>(declared.name)
            .map(|texts| texts.cloned().map(Value::String).collect::<Vec<_>>().into()),
        Kind::Number => matches.get_one::<u64>(declared.name).copied().map(Value::from),
        Kind::Password => text().map(|file| password::read(file)).transpose()?.map(Value::String),
        Kind::Document => text().map(|file| document(file)).transpose()?.map(Value::String),
        _ => text().cloned().map(Value::String),
    })
}

/// The content of a file, or of the standard input for `-`.
fn document(file: &str) -> Result<String, Failure> {
    let text =
        if file == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Failure::new(failure::Kind::Input, format!("{file} is not UTF-8")),
        _ => Failure::failed(format!("{file}: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        parser().debug_assert();
    }
}
