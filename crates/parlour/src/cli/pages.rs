//! What is written from the table of commands and the table of keys: completions, man pages, OpenAPI, reference.

use super::parser;
use super::table::COMMANDS;
use crate::admin::answers::{Document, Text, Written};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Argument, Command, Invocation, Kind, reply};
use crate::admin::failure::Failure;
use crate::admin::openapi as openapi_document;
use crate::config::keys::{self, Key, SECTIONS, Section};
use crate::config::plan::limits::{
    AdminLimits, MediaLimits, NetworkLimits, Row, SipLimits, TurnLimits, WebLimits, XmppLimits,
};
use crate::config::template;
use clap_complete::Shell;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `parlour completions`
pub fn completions(_: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let shell: Shell = arguments.required("shell").parse().map_err(Failure::usage)?;
    let mut script = vec![];
    clap_complete::generate(shell, &mut parser::parser(), "parlour", &mut script);
    reply(&Text { text: String::from_utf8_lossy(&script).trim_end().to_owned() })
}

/// `parlour openapi`
pub fn openapi(_: &Invocation, _: &Arguments) -> Result<Value, Failure> {
    reply(&Document(openapi_document::document(COMMANDS)))
}

/// `parlour man`
pub fn man(_: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let dir = folder(arguments)?;
    let mut parser = parser::parser().disable_help_flag(true);
    parser.build();
    let mut files = vec![];
    write_page(&dir, parser, &mut files)
        .map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
    reply(&Written { files })
}

fn write_page(dir: &Path, parser: clap::Command, files: &mut Vec<String>) -> std::io::Result<()> {
    for inner in parser.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write_page(dir, inner.clone(), files)?;
    }
    files.push(clap_mangen::Man::new(parser).manual("Parlour").generate_to(dir)?.display().to_string());
    Ok(())
}

/// `parlour docs`
pub fn docs(_: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let dir = folder(arguments)?;
    let mut files = vec![];
    for (name, text) in [("configuration.md", configuration()), ("commands.md", commands())] {
        let path = dir.join(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        files.push(path.display().to_string());
    }
    reply(&Written { files })
}

fn folder(arguments: &Arguments) -> Result<PathBuf, Failure> {
    let dir = PathBuf::from(arguments.required("dir"));
    std::fs::create_dir_all(&dir).map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
    Ok(dir)
}

const WRITTEN: &str = "<!-- Written by `cargo xtask docs` from the code; do not edit. -->";

fn configuration() -> String {
    let mut page = format!("# Configuration\n\n{WRITTEN}\n\n");
    page.push_str(
        "One file, `parlour.toml`. `parlour init` writes it with every key; `parlour check` says what it means and \
         names every fault with its place. The server only reads it. Paths in it start at the file's own folder.\n\n",
    );
    let _ = writeln!(page, "How listeners are written: {}\n", keys::LISTENER_SYNTAX);
    for section in SECTIONS {
        let _ = writeln!(page, "## `{}`\n\n{}\n", section.header(), section.comment);
        page.push_str("| key | meaning | absent | example |\n|---|---|---|---|\n");
        for key in section.keys {
            page.push_str(&key_rows("", key));
        }
        page.push('\n');
    }
    page.push_str(&example());
    page.push_str(&limits());
    page
}

/// What no key sets yet, but an administrator should know.
fn limits() -> String {
    let groups = [
        ("Connections", NetworkLimits::default().rows()),
        ("STUN and TURN", TurnLimits::default().rows()),
        ("SIP", SipLimits::default().rows()),
        ("Media of calls", MediaLimits::default().rows()),
        ("XMPP", XmppLimits::default().rows()),
        ("HTTP", WebLimits::default().rows()),
        ("Administration", AdminLimits::default().rows()),
    ];
    let mut text = String::from(
        "\n## Limits\n\nWhat a stranger or a client may make the server spend. They are fixed in this version, but \
         for those that name their key. Sizes are in octets.\n",
    );
    for (title, rows) in groups {
        let _ = write!(text, "\n### {title}\n\n| limit | value | bounds |\n|---|---|---|\n");
        for Row { name, value, meaning } in rows {
            let _ = writeln!(text, "| {} | {value} | {meaning} |", name.replace('_', "-"));
        }
    }
    text
}

/// The row of a key, and those of the keys under it.
fn key_rows(above: &str, key: &Key) -> String {
    let (name, meaning) = (format!("{above}{}", key.name), key.comment.replace('\n', " "));
    let row = format!("| `{name}` | {meaning} | {} | `{}` |\n", template::absence(key), key.example);
    let (keys::Kind::Fields(inner) | keys::Kind::Rows(inner)) = key.kind else { return row };
    inner.iter().fold(row, |rows, key| rows + &key_rows(&format!("{name}."), key))
}

fn example() -> String {
    let mut text = String::from("## The whole file\n\n```toml\n");
    for (n, Section { keys, .. }) in SECTIONS.iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}{}", SECTIONS[n].header());
        for key in *keys {
            let _ = writeln!(text, "{} = {}", key.name, key.example);
        }
    }
    text + "```\n"
}

fn commands() -> String {
    let mut page = format!("# Commands\n\n{WRITTEN}\n\n");
    page.push_str(
        "`parlour [--config FILE] [--json] COMMAND`. Without `--config`: `./parlour.toml`, then \
         `/etc/parlour/parlour.toml`. With `--json` every answer is one JSON document on the standard output, a \
         failure too: `{\"error\": {\"kind\": …, \"message\": …, \"faults\": […]}}`. Exit codes: 0 it was done, 1 it \
         could not be done, 2 the command or the configuration must be written otherwise.\n\n\
         Commands with a route are also served by a running server on `admin.sock` in the data folder, which only \
         its own user may open: `curl --unix-socket data/admin.sock http://localhost/v1/status`. The whole \
         interface in OpenAPI: `parlour openapi`, or `/openapi.json` on the socket.\n",
    );
    for command in COMMANDS.iter().filter(|command| !command.hidden) {
        page.push_str(&command_section(command));
    }
    page
}

fn command_section(command: &Command) -> String {
    let usage = command.arguments.iter().map(usage).collect::<Vec<_>>().concat();
    let mut text = format!("\n## `parlour {}{usage}`\n\n{}.", command.words(), command.summary);
    if !command.details.is_empty() {
        let _ = write!(text, " {}", command.details);
    }
    text.push('\n');
    if let Some(route) = command.route() {
        let _ = write!(text, "\nRoute: `POST {route}`");
        if openapi_document::may_be_fetched(command) {
            let _ = write!(text, " or `GET {route}`");
        }
        let _ = writeln!(text, ". Returns `{}`. For {}.", (command.returns.name)(), command.caller.text());
    }
    if !command.arguments.is_empty() {
        text.push_str("\n| argument | meaning |\n|---|---|\n");
    }
    for argument in command.arguments {
        let help = match argument.kind {
            Kind::Password => parser::PASSWORD_FILE,
            _ => argument.help,
        };
        let _ = writeln!(text, "| `{}` | {help} |", usage_of(argument));
    }
    text
}

fn usage(argument: &Argument) -> String {
    let word = usage_of(argument);
    if argument.required { format!(" {word}") } else { format!(" [{word}]") }
}

fn usage_of(argument: &Argument) -> String {
    let name = argument.name;
    match (argument.kind, argument.positional) {
        (Kind::Password, _) => "--password-file FILE".into(),
        (Kind::Flag, _) => format!("--{name}"),
        (Kind::Choice(words), true) => words.join("|"),
        (_, true) => name.to_uppercase(),
        (Kind::Texts, false) => format!("--{name} {} …", name.to_uppercase()),
        (_, false) => format!("--{name} {}", name.to_uppercase()),
    }
}
