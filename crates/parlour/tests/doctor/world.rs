//! A house in a network namespace of its own, where its addresses are as good as public ones, beside a name server.

use crate::visit::{BINARY, Said, visit_by};
use std::process::Command;
use testkit::House;
use testkit::nameserver::{NameServer, zone};
use testkit::spaces::Spaces;

/// Where the world reaches the house; another address of the same host; where nobody is.
pub(crate) const PUBLIC: &str = "11.0.0.1";
pub(crate) const OTHER: &str = "11.0.0.2";

/// The house, and the world around it.
pub(crate) struct World {
    pub(crate) house: House,
    /// By the words `house`.
    pub(crate) spaces: Spaces,
}

impl World {
    /// A good one. `None` where there are no namespaces.
    pub(crate) fn new() -> Option<Self> {
        Self::with(&[])
    }

    /// With these settings as well.
    pub(crate) fn with(settings: &[(&str, &str, &str)]) -> Option<Self> {
        let lines = format!("-n @house addr add {PUBLIC}/32 dev lo\n-n @house addr add {OTHER}/32 dev lo");
        let spaces = Spaces::make(&["house"], &lines)?;
        let mut builder =
            House::of(BINARY).within(&spaces.name("house")).account("roland@falcot.com", "never shown");
        let listeners = [
            ("turn", "udp", ":3478"),
            ("turn", "tcp", ":3478"),
            ("turn", "tls", ":5349"),
            ("turn", "dtls", ":5349"),
            ("sip", "udp", ":5060"),
            ("sip", "tcp", ":5060"),
            ("sip", "tls", ":5061"),
            ("sip", "ws", ":5080"),
            ("sip", "wss", ":5443"),
            ("xmpp", "client", ":5222"),
            ("xmpp", "client-tls", ":5223"),
            ("xmpp", "web", ":5280"),
            ("web", "https", ":443"),
            ("web", "http", ":80"),
        ];
        for (table, key, port) in listeners {
            builder = builder.set(table, key, &format!("[\"{PUBLIC}{port}\"]"));
        }
        builder =
            builder.set("network", "addresses", &format!("[\"{PUBLIC}\"]")).set("network", "workers", "1");
        for (table, key, value) in settings {
            builder = builder.set(table, key, value);
        }
        Some(Self { house: builder.start(), spaces })
    }

    /// A command of the binary, inside.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.spaces.command("house", BINARY);
        command.arg("--config").arg(self.house.config()).args(words);
        command
    }

    /// Lets the doctor look, with these words more.
    pub(crate) fn visit(&self, words: &[&str]) -> Said {
        visit_by(&self.house, self.command(&[&["doctor", "--json"], words].concat()), "yes")
    }

    /// The lines that the zone should have.
    pub(crate) fn lines(&self) -> String {
        let output = self.command(&["dns", "zone", "--records"]).output().expect("it runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Serves the zone with these lines, inside.
    pub(crate) fn serve(&self, lines: &str) -> NameServer {
        let text = zone("falcot.com", 1, lines);
        NameServer::bind_within(&self.spaces, "house", &[("falcot.com", &text)])
    }
}
