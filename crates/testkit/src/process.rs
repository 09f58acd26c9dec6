//! Programs that a test starts: ended with the test, by their own id, their output kept.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    lines: Receiver<String>,
    output: Arc<Mutex<String>>,
}

impl Program {
    /// Starts `command` with its output and errors read line by line. `package` is what to install when the
    /// program is not there.
    ///
    /// # Panics
    /// When it cannot be started: a test cannot go on without it.
    pub fn start(command: &mut Command, package: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start ({e}); install it: {package}"));
        let (sender, lines) = channel();
        let output = Arc::new(Mutex::new(String::new()));
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
            child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
        ];
        for stream in streams.into_iter().flatten() {
            let (sender, output) = (sender.clone(), output.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    if let Ok(mut all) = output.lock() {
                        all.push_str(&text);
                        all.push('\n');
                    }
                    let _ = sender.send(text);
                }
            });
        }
        Self { child, name, lines, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`; says whether one came.
    pub fn wait_for(&self, text: &str, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// [`Self::wait_for`], and its whole output as the reason when no such line comes.
    ///
    /// # Panics
    /// When no line with `text` comes within `limit`.
    pub fn expect(&self, text: &str, limit: Duration) {
        assert!(
            self.wait_for(text, limit),
            "{}: no “{text}” in {limit:?}; it said:\n{}",
            self.name,
            self.output()
        );
    }

    /// Everything it has said so far.
    pub fn output(&self) -> String {
        self.output.lock().map(|all| all.clone()).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; its exit code, or `None` when it runs on or was killed by a signal.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.hear_out();
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Waits until all that it has said is read: what it said last may be on its way through the pipe when it has ended.
    /// Programs that it has started may still hold the pipe, so there is an end to this.
    fn hear_out(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        // Each who still reads shares the output.
        while Arc::strong_count(&self.output) > 1 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal by name, `HUP` say.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
    }

    /// Ends it at once (SIGKILL) and waits for it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end within `limit` and gives its exit code and all that it said.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command, package: &str, limit: Duration) -> (Option<i32>, String) {
    let mut program = Program::start(command, package);
    let code = program.wait(limit);
    program.kill();
    (code, program.output())
}
