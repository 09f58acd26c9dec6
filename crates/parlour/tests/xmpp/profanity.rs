//! profanity, a client for terminals, under tmux: what a person types, and what is to be seen then.

use crate::{LIMIT, house};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::scratch;
use testkit::process::Program;

/// A terminal with profanity in it, which ends with it.
struct Terminal {
    /// The server of tmux that has no other terminal.
    _tmux: Program,
    dir: PathBuf,
}

impl Terminal {
    /// profanity signs in as `name`: by STARTTLS, with a certificate that it believes.
    fn of(house: &House, name: &str) -> Self {
        let dir = scratch();
        std::fs::create_dir_all(dir.join("profanity")).expect("the folder is ours");
        let socket = dir.join("tmux");
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&socket).args(["-f", "/dev/null", "-D"]).env_remove("TMUX");
        let tmux = Program::start(&mut command, "tmux");
        let end = Instant::now() + LIMIT;
        while !socket.exists() {
            assert!(Instant::now() < end, "tmux does not listen: {}", tmux.output());
            std::thread::sleep(Duration::from_millis(10));
        }
        let account = format!(
            "[{name}]\nenabled=true\njid={name}@falcot.com\nresource=terminal\npassword=secret-{name}\nserver=127.0.0.1\nport={}\n\
             muc.service=rooms.falcot.com\nmuc.nick={name}\ntls.policy=force\n",
            house.port("xmpp.client")
        );
        std::fs::write(dir.join("profanity/accounts"), account).expect("the folder is ours");
        std::fs::write(dir.join("profanity/profrc"), "[ui]\nsplash=false\nwrap=false\nstatuses.muc=all\n")
            .expect("the folder is ours");
        let terminal = Self { _tmux: tmux, dir };
        let authority = house.dir().join("data/certs/authority.pem");
        let place = terminal.dir.display();
        let line = format!(
            "LC_ALL=C.UTF-8 TERM=screen HOME={place} XDG_CONFIG_HOME={place} XDG_DATA_HOME={place} SSL_CERT_FILE={} profanity -a {name}",
            authority.display()
        );
        terminal.tmux(&["new-session", "-d", "-x", "160", "-y", "50", &line]);
        terminal.shows("logged in successfully");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.dir.join("tmux"))
            .args(arguments)
            .output()
            .expect("it is installed");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a line.
    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Waits until a line of the screen says so.
    fn shows(&self, text: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.lines().any(|line| line.contains(text)) {
                return;
            }
            assert!(Instant::now() < end, "no “{text}” on the screen:\n{screen}\n{}", log(&self.dir));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What profanity has written down of its troubles.
fn log(dir: &Path) -> String {
    let files = std::fs::read_dir(dir.join("profanity/logs")).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn two_people_talk_in_a_room_and_in_private() {
    let house = house();
    let (roland, joe) = (Terminal::of(&house, "roland"), Terminal::of(&house, "joe"));
    roland.types("/join ball@rooms.falcot.com");
    roland.shows("Room locked, requires configuration");
    roland.types("/room accept");
    roland.shows("Room unlocked");
    joe.types("/join ball@rooms.falcot.com");
    roland.shows("-> joe has joined the room");
    joe.shows("You have joined the room as joe, role: participant");

    joe.types("wherefore art thou?");
    for terminal in [&joe, &roland] {
        terminal.shows("joe: wherefore art thou?");
    }
    roland.types("/subject set \"A ball\"");
    joe.shows("roland has set the room subject: A ball");
    roland.types("call me but love");
    joe.shows("roland: call me but love");

    // In private, by way of the room; and to the person, whatever room he is in.
    roland.types("/msg joe by the side door");
    joe.types("/msg roland I come");
    joe.shows("by the side door");
    roland.shows("I come");
    for terminal in [&joe, &roland] {
        terminal.types("/win 1");
    }
    roland.types("/msg joe@falcot.com bring a torch");
    joe.types("/msg roland@falcot.com so I will");
    joe.shows("bring a torch");
    roland.shows("so I will");

    joe.types("/win 2");
    joe.types("/close");
    roland.types("/win 2");
    roland.shows("<- joe has left the room");
}
