//! A visit of the doctor, and what he said.

use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use testkit::House;
use testkit::house::Builder;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_parlour");

/// A house as `init` makes it, with an account.
pub(crate) fn house() -> Builder {
    House::of(BINARY).account("roland@falcot.com", "never shown").set("network", "workers", "1")
}

/// What the doctor said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) json: Value,
}

/// Lets the doctor look at some parts of a house (`"files"`, `"files,host"`).
pub(crate) fn visit(house: &House, parts: &str) -> Said {
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(house.config()).args(["doctor", "--json", "--only", parts]);
    visit_by(house, command, "yes")
}

/// The same with a command that has been made otherwise; `clock` is what `timedatectl` says.
pub(crate) fn visit_by(house: &House, mut command: Command, clock: &str) -> Said {
    let programs = house.dir().join("programs");
    std::fs::create_dir_all(&programs).expect("the folder is ours");
    let script = programs.join("timedatectl");
    std::fs::write(&script, format!("#!/bin/sh\necho {clock}\n")).expect("the folder is ours");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).output().expect("the binary is built");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!(text.clone() + &errors).contains("never shown"), "a secret is shown:\n{text}");
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}\n{errors}"));
    Said { code: output.status.code().expect("not by a signal"), json }
}

impl Said {
    fn findings(&self) -> &[Value] {
        self.json["findings"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Findings as `severity what`, each kind once. That the disk of whoever runs the tests is nearly full is none of theirs.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        let word = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
        let kinds = self.findings().iter().map(|f| format!("{} {}", word(f, "severity"), word(f, "what")));
        kinds.filter(|kind| kind != "warning space").collect()
    }

    /// Exactly these were found, each with what was seen and what mends it; the exit code fits.
    pub(crate) fn found(&self, expected: &[&str]) {
        let wanted: BTreeSet<String> = expected.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(self.kinds(), wanted, "{:#}", self.json);
        let bad = expected.iter().any(|kind| kind.starts_with("error"));
        assert_eq!(self.code, i32::from(bad), "{:#}", self.json);
        assert_eq!(self.json["good"], Value::Bool(!bad));
        for finding in self.findings() {
            for key in ["message", "evidence", "fix"] {
                assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {finding:#}");
            }
        }
    }

    /// Among what was found is this, and its `key` says that.
    pub(crate) fn says(&self, what: &str, key: &str, words: &str) {
        let found = self.findings().iter().filter(|finding| finding["what"] == what);
        let texts: Vec<_> = found.map(|finding| finding[key].as_str().unwrap_or_default()).collect();
        assert!(texts.iter().any(|text| text.contains(words)), "no {words} in {texts:?}\n{:#}", self.json);
    }
}

/// Runs a program that has to do its work.
pub(crate) fn done(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Changes who may do what with a file.
pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}
