//! What may stand in a file: sizes, first lines, names that a room may not use, words that say "unfinished".

use anyhow::{Context, Result};

/// The longest source file.
const LONGEST: usize = 800;

/// Machines: time, randomness and lookups come in, effects go out.
const MACHINES: &[&str] = &["stun", "turn", "sip", "xmpp", "bridge", "media", "domains", "wire"];

/// What a machine never names.
const NOT_IN_MACHINES: &[&str] = &[
    "tokio::",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::env",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Mutex",
    "RwLock",
    "AtomicU",
    "thread_local!",
    "store::",
    "cluster::",
    "net::Net",
];

/// Words that say that something is not finished.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("TO", "DO:"),
];

/// Rooms without a subject.
const NO_ROOM: &[&str] = &["common", "utils", "util", "helpers", "prelude", "misc", "mod"];

/// Everything that is wrong with one file.
pub(super) fn check(path: &str) -> Result<Vec<String>> {
    let Some(stem) = path.strip_suffix(".rs") else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}:1: no `//!` that says what this file is"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        found.push(format!("{path}: {lines} lines, more than {LONGEST}: what two things live there?"));
    }
    let name = stem.rsplit('/').next().unwrap_or(stem);
    if NO_ROOM.contains(&name) {
        found.push(format!("{path}: `{name}` says nothing about what lives there"));
    }
    found.extend(check_lines(path, &text));
    Ok(found)
}

fn check_lines(path: &str, text: &str) -> Vec<String> {
    let room = path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("");
    let is_machine = MACHINES.contains(&room) && path.contains("/src/");
    let service =
        path.split_once("/src/services/").map(|(_, rest)| rest.split(['/', '.']).next().unwrap_or(rest));
    let mut found = Vec::new();
    let mut in_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    for (number, line) in text.lines().enumerate() {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let code = line.split("//").next().unwrap_or("");
        let mut say = |what: String| found.push(format!("{path}:{}: {what}", number + 1));
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            say(format!("`{word}` says unfinished"));
        }
        if is_machine && !in_tests {
            for word in NOT_IN_MACHINES.iter().filter(|word| code.contains(**word)) {
                say(format!("a machine never names `{word}`"));
            }
        }
        if code.contains("unsafe ") && !path.starts_with("crates/net/src/sys") && !code.contains('"') {
            say("`unsafe` lives in net's module `sys` alone".into());
        }
        if let Some(service) = service
            && let Some(other) = other_service(code, service)
        {
            say(format!(
                "services never know one another ({service} names {other}): they meet in the switchboard"
            ));
        }
        if path.starts_with("crates/parlour/src/") && !in_tests && names_environment(path, code) {
            say("only config, cli and main read the environment".into());
        }
    }
    found
}

/// Another service that a line of `service` names.
fn other_service<'a>(code: &'a str, service: &str) -> Option<&'a str> {
    let (_, rest) = code.split_once("services::")?;
    let named = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
    (["turn", "sip", "xmpp", "media", "domains"].contains(&named) && named != service).then_some(named)
}

fn names_environment(path: &str, code: &str) -> bool {
    let may = ["/cli", "/config", "/main.rs"]
        .iter()
        .any(|place| path["crates/parlour/src".len()..].starts_with(place));
    !may && code.contains("env::var")
}
