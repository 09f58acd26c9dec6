//! The binary on a configuration in a folder of its own, without a server.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What a command did.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Runs a command.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.stdin(std::process::Stdio::null()).output().expect("it is there");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("not by a signal");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// It was carried out.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// It was refused with this exit code, for this reason.
    pub(crate) fn refused(self, code: i32, reason: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(reason), "{reason}\n{}", self.err);
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }
}

/// A folder with a configuration.
pub(crate) struct House(TempDir);

impl House {
    pub(crate) fn new(config: &str) -> Self {
        let house = Self(tempfile::tempdir().expect("a folder"));
        house.write("parlour.toml", config);
        house
    }

    /// With everything that `init` makes, and this in the place of some of its lines.
    pub(crate) fn init(domain: &str) -> Self {
        let house = Self(tempfile::tempdir().expect("a folder"));
        house.run(&["init", domain, "--dir", ".", "--address", "127.0.0.1"]).done();
        house
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).expect("ours");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(&[], arguments)
    }

    /// With these variables in its environment.
    pub(crate) fn run_with(&self, environment: &[(&str, String)], arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
        command.args(arguments).current_dir(self.0.path());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Said::of(command)
    }
}
