//! Passwords come in by the terminal, the standard input or a file: never among a process's arguments, which
//! every user of the host can read.

use crate::admin::Failure;
use std::io::{BufRead, IsTerminal, Read};

/// More than the longest password in octets, however it is encoded.
const LONGEST: u64 = 16 * 1024;

/// Asks at the terminal, twice and without showing it; without a terminal reads a line of the standard input.
pub(crate) fn ask(whose: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return line(&mut std::io::stdin().lock(), "the standard input");
    }
    let prompt = |text: String| {
        rpassword::prompt_password(text).map_err(|error| Failure::failed(format!("the terminal: {error}")))
    };
    let first = prompt(format!("Password for {whose}: "))?;
    if prompt("Once more: ".into())? == first {
        Ok(first)
    } else {
        Err(Failure::usage("these were two different passwords"))
    }
}

/// Asks at the terminal once, for a password that there is already; without a terminal reads a line of the standard input.
pub(crate) fn ask_once(whose: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return line(&mut std::io::stdin().lock(), "the standard input");
    }
    rpassword::prompt_password(format!("Password for {whose}: "))
        .map_err(|error| Failure::failed(format!("the terminal: {error}")))
}

/// Reads the first line of a file; `-` is the standard input.
pub(crate) fn read(file: &str) -> Result<String, Failure> {
    if file == "-" {
        return line(&mut std::io::stdin().lock(), "the standard input");
    }
    let opened = std::fs::File::open(file).map_err(|error| Failure::failed(format!("{file}: {error}")))?;
    line(&mut std::io::BufReader::new(opened), file)
}

fn line(input: &mut impl BufRead, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    input.take(LONGEST).read_line(&mut text).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage(format!("{name} has no password; --generate makes one")));
    }
    Ok(password.to_owned())
}
