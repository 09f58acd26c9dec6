//! What this installation calls itself in its marks in the DNS: two of them in one zone know what is whose.

use crate::config::Plan;
use crate::config::plan::is_installation;
use crate::replace::replace;
use std::path::Path;

/// Where the name is kept, beside the database.
const FILE: &str = "installation";

/// Letters of a name that nobody chose: none that look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The name that was configured, or the one that is kept; if there is none yet, a new one, kept if `keep`.
pub(super) fn name(plan: &Plan, keep: bool) -> Result<String, String> {
    if let Some(name) = &plan.dns.installation {
        return Ok(name.clone());
    }
    let path = plan.data.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) if is_installation(text.trim()) => Ok(text.trim().to_owned()),
        Ok(_) => Err(format!("{} is no name of an installation", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = fresh();
            if keep {
                write(&path, &name).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            Ok(name)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn write(path: &Path, name: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    replace(path, 0o644, format!("{name}\n").as_bytes())
}

fn fresh() -> String {
    let octets = getrandom::u64().unwrap_or_default().to_le_bytes();
    octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(is_installation(&fresh()) && fresh() != fresh());
        assert!(is_installation("berlin-2"));
        for wrong in ["", "-", "two words", "Berlin", "ü", &"a".repeat(33)] {
            assert!(!is_installation(wrong), "{wrong}");
        }
    }
}
