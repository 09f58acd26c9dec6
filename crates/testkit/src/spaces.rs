//! Network namespaces by plan: routers, NATs and hosts that a test describes in words of `ip` and `nft`, taken down when it
//! ends. Programs run in them by [`Spaces::command`].

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Some namespaces, by the words that the test calls them.
#[derive(Debug)]
pub struct Spaces {
    prefix: String,
    words: Vec<String>,
}

impl Spaces {
    /// Makes a namespace for each word, then runs lines of `ip`, in which `@word` stands for a namespace's name. `None`,
    /// and a word why, where namespaces cannot be made.
    ///
    /// # Panics
    /// When a line fails once there are namespaces.
    #[expect(clippy::print_stdout, reason = "a test that does nothing says so")]
    pub fn make(words: &[&str], lines: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("pm{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut spaces = Self { prefix, words: Vec::new() };
        for word in words {
            spaces.words.push((*word).to_owned());
            if let Err(fault) = run("ip", &["netns", "add", &spaces.name(word)], "") {
                println!("skipped: no network namespaces here (root is needed): {fault}");
                return None;
            }
            spaces.ip(&format!("-n @{word} link set lo up"));
        }
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| spaces.ip(line));
        Some(spaces)
    }

    /// The name of a namespace, for [`crate::house::Builder::within`].
    pub fn name(&self, word: &str) -> String {
        format!("{}-{word}", self.prefix)
    }

    /// A program to be run in a namespace.
    pub fn command(&self, word: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(word), program]);
        command
    }

    /// Makes a namespace a router that hides what comes in by other interfaces behind its address on `outside`, each flow
    /// at a port of its own by chance.
    ///
    /// # Panics
    /// When that fails.
    pub fn nat(&self, word: &str, outside: &str) {
        let rules = format!(
            "table ip nat {{ chain out {{ type nat hook postrouting priority 100; oifname \"{outside}\" masquerade random; }}; }}\n"
        );
        let (exec, name) = (["netns", "exec"], self.name(word));
        let forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
        for (words, input) in [(&forward[..], ""), (&["nft", "-f", "-"][..], &rules)] {
            let all: Vec<&str> = exec.into_iter().chain([&*name]).chain(words.iter().copied()).collect();
            run("ip", &all, input).unwrap_or_else(|fault| panic!("{words:?}: {fault}; install it: nftables"));
        }
    }

    fn ip(&self, line: &str) {
        let line = line.replace('@', &format!("{}-", self.prefix));
        let words: Vec<&str> = line.split_whitespace().collect();
        run("ip", &words, "").unwrap_or_else(|fault| panic!("ip {line}: {fault}"));
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for word in &self.words {
            // What was not made cannot be taken down.
            let _ = run("ip", &["netns", "del", &self.name(word)], "");
        }
    }
}

fn run(program: &str, words: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let fault = |error: std::io::Error| error.to_string();
    child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())).map_err(fault)?;
    let output = child.wait_with_output().map_err(fault)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.trim().to_owned()) }
}
