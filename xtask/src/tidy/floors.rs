//! The floors of the product (`crates/parlour/src`): a room names those below it and on its own floor's line, never one above.

use anyhow::{Context, Result, bail};

/// From the ground up; rooms of one line may know one another.
const FLOORS: &[&[&str]] = &[
    &["clock"],
    &["replace", "seldom", "standing", "challenges", "vitals", "users", "providers"],
    &["authority"],
    &["config"],
    &["marks", "secret", "site"],
    &["reach", "report", "trust", "doorman", "accounts"],
    &["services", "desk", "mail", "switchboard", "resolver"],
    &["sweep", "renewal", "listen", "external"],
    &["certificates"],
    &["admin"],
    &["front", "dns", "relay_test"],
    &["office", "doctor", "acme"],
    &["back_office"],
    &["serve"],
    &["cli"],
    &["lib", "main"],
];

/// What the line of a circle is allowed for: its rooms have words for one another.
const TOGETHER: &[&str] = &["services", "desk", "mail", "switchboard", "resolver"];

const SOURCES: &str = "crates/parlour/src/";

/// Everything that one file names and should not.
pub(super) fn check(path: &str) -> Result<Vec<String>> {
    let Some(inside) = path.strip_prefix(SOURCES).and_then(|path| path.strip_suffix(".rs")) else {
        return Ok(Vec::new());
    };
    let room = inside.split('/').next().unwrap_or(inside);
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let Some(floor) = floor(room) else { bail!("{path}: `{room}` is on no floor of {}", file!()) };
    // Tests stand at the end, and may use the whole house.
    let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
    let mut found = Vec::new();
    if inside.ends_with("tests") || inside.contains("/tests/") {
        return Ok(found);
    }
    for (number, line) in own.lines().enumerate() {
        for other in line.split("crate::").skip(1).map(word) {
            if !may(room, floor, other) {
                let number = number + 1;
                found.push(format!("{path}:{number}: `{room}` is below `{other}`, and must not know it"));
            }
        }
    }
    Ok(found)
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Whether a room may name another; what is no room is none of this.
fn may(room: &str, own: usize, other: &str) -> bool {
    room == other
        || match floor(other) {
            Some(its) if its == own => TOGETHER.contains(&room),
            Some(its) => its < own,
            None => true,
        }
}

/// The first name of a path.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_who_is_above() {
        let allowed = |room: &str, other| may(room, floor(room).unwrap(), other);
        assert!(allowed("cli", "config") && allowed("mail", "services") && allowed("services", "mail"));
        assert!(!allowed("config", "cli") && !allowed("admin", "back_office"));
        assert!(!allowed("front", "dns"), "beside one another");
        assert!(allowed("config", "Plan"), "not a room");
    }
}
