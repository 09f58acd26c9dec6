//! A scene is given: each sentence in its turn, and a failure says which one.

use super::actor::{Actor, DOMAIN, PATIENCE, shown};
use super::pattern::{self, Memory};
use super::scram::{self, Scram};
use super::script::{self, Scene};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::House;
use xmpp::{Element, ns};

/// How long nothing must come where nothing may.
const SILENCE: Duration = Duration::from_millis(200);

type Done = Result<(), String>;

struct Play {
    house: House,
    cast: BTreeMap<String, Actor>,
    memory: Memory,
    /// What the last administrative command said.
    said: String,
    /// A port that the scene's configuration may name.
    port: u16,
}

/// Gives all scenes of a file, each in a house of its own.
pub(crate) fn give(file: &Path) {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for scene in script::read(file) {
        let mut play = Play::new(&scene);
        for line in &scene.lines {
            let sentence = pattern::recall(&line.text, &play.memory);
            if let Err(fault) = play.sentence(&sentence) {
                panic!("{name}:{} ({})\n  {sentence}\n{fault}", line.number, scene.title);
            }
        }
    }
}

impl Play {
    fn new(scene: &Scene) -> Self {
        let port = testkit::house::free_port();
        let mut builder = House::of(env!("CARGO_BIN_EXE_parlour")).domain(DOMAIN);
        for name in script::cast(scene) {
            builder = builder.account(&format!("{name}@{DOMAIN}"), &format!("secret-{name}"));
        }
        if !scene.lines.iter().any(|line| line.text.starts_with("set xmpp.archive = ")) {
            // Plays that are about something else have no ids of it in their messages.
            builder = builder.set("xmpp", "archive", "false");
        }
        for line in scene.lines.iter().filter_map(|line| line.text.strip_prefix("set ")) {
            let (place, value) = line.split_once(" = ").expect("set table.key = value");
            let (table, key) = place.rsplit_once('.').expect("set table.key = value");
            builder = builder.set(table, key, &value.replace("{port}", &port.to_string()));
        }
        Self {
            house: builder.start(),
            cast: BTreeMap::new(),
            memory: Memory::new(),
            said: String::new(),
            port,
        }
    }

    fn sentence(&mut self, sentence: &str) -> Done {
        let (subject, rest) = sentence.split_once(' ').unwrap_or((sentence, ""));
        match subject {
            "set" => Ok(()),
            "server" => self.server(rest),
            "time" => time(rest),
            "parlour" => self.parlour(rest),
            "it" => self.said(rest),
            who => self.somebody(who, rest),
        }
    }

    fn server(&mut self, rest: &str) -> Done {
        match rest {
            "is killed and comes back" => self.house.kill_and_restart(),
            "ends and comes back" => {
                self.house.server().terminate();
                // Everybody listens, and closes as the server does.
                let end = Instant::now() + PATIENCE;
                while self.cast.values().any(|actor| !actor.gone) && Instant::now() < end {
                    self.cast.values_mut().try_for_each(Actor::listen)?;
                }
                if self.house.server().wait(PATIENCE) != Some(0) {
                    return Err("it does not end".into());
                }
                self.house.start();
            }
            _ => return Err("a server is killed and comes back, or ends and comes back".into()),
        }
        Ok(())
    }

    /// An administrative command, its arguments parted by spaces.
    fn parlour(&mut self, rest: &str) -> Done {
        let (words, input) = rest.split_once(" < ").unwrap_or((rest, ""));
        let words: Vec<&str> = words.split(' ').collect();
        let output = self.house.cli(&words, &format!("{input}\n"));
        self.said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("  it failed: {wrong}")) }
    }

    fn said(&mut self, rest: &str) -> Done {
        let (wanted, text) = match (rest.strip_prefix("says "), rest.strip_prefix("does not say ")) {
            (Some(text), _) => (true, text),
            (_, Some(text)) => (false, text),
            _ => return Err("it says …, or does not say …".into()),
        };
        if self.said.contains(text) == wanted { Ok(()) } else { Err(format!("  it said:\n{}", self.said)) }
    }

    fn somebody(&mut self, who: &str, rest: &str) -> Done {
        match rest {
            "connects" => self.enter(who, Actor::connect),
            "connects with that certificate" => {
                let shown = self.said.clone();
                self.enter(who, |house| Actor::connect_with(house, &shown))
            }
            "connects without TLS" => self.enter(who, Actor::connect_plain),
            "signs on" => self.sign_on(who),
            "signs in" => self.sign_in(who),
            "is there" => self.be_there(who),
            _ => self.act(who, rest),
        }
    }

    fn enter(&mut self, who: &str, how: impl FnOnce(&House) -> Actor) -> Done {
        self.cast.insert(who.to_owned(), how(&self.house));
        Ok(())
    }

    /// As far as the features of a stream that is signed in.
    fn sign_on(&mut self, who: &str) -> Done {
        let mut actor = Actor::connect(&self.house);
        actor.sign_in(parts(who).0)?;
        self.cast.insert(who.to_owned(), actor);
        Ok(())
    }

    fn sign_in(&mut self, who: &str) -> Done {
        self.sign_on(who)?;
        self.actor(who)?.bind(parts(who).1)
    }

    /// Signs in, has the roster and is available; what comes with that is ignored.
    fn be_there(&mut self, who: &str) -> Done {
        self.sign_in(who)?;
        let actor = self.actor(who)?;
        actor.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
        actor.wait_for("iq", ns::CLIENT)?;
        actor.send("<presence/>");
        actor.wait_for("presence", ns::CLIENT)?;
        self.settle(who)?;
        self.actor(who)?.inbox.clear();
        Ok(())
    }

    fn actor(&mut self, who: &str) -> Result<&mut Actor, String> {
        self.cast.get_mut(who).ok_or_else(|| format!("  nobody is {who}: who signs in?"))
    }

    fn act(&mut self, who: &str, rest: &str) -> Done {
        let (verb, object) = rest.split_once(' ').unwrap_or((rest, ""));
        match (verb, object) {
            ("opens", "a stream") => self.actor(who)?.open(),
            ("attaches", how) => {
                let (host, secret) =
                    how.trim_start_matches("as ").split_once(" with ").ok_or("  as HOST with SECRET")?;
                let actor = Actor::attach(self.port, host, secret).map_err(|fault| format!("  {fault}"))?;
                self.cast.insert(who.to_owned(), actor);
            }
            ("starts", "TLS") => {
                let actor = self.cast.get_mut(who).ok_or("nobody is connected")?;
                return actor.start_tls(&self.house);
            }
            ("sends", text) => self.sends(who, text)?,
            ("authenticates", how) => return self.authenticates(who, how.trim_start_matches("by ")),
            ("shows", how) => return self.shows(who, how),
            ("tries", how) => return self.tries(who, how),
            ("binds", resource) => return self.actor(who)?.bind(Some(resource)),
            ("receives", "nothing") => return self.receives_nothing(who),
            ("receives", wanted) => return self.receives(who, wanted),
            ("hears", wanted) => return self.hears(who, wanted),
            ("ignores", "what came") => {
                self.settle(who)?;
                self.actor(who)?.inbox.clear();
            }
            ("hangs", "up") => self.actor(who)?.hang_up(),
            ("closes", "the stream") => self.actor(who)?.send("</stream:stream>"),
            ("is", state) => return self.is(who, state),
            _ => return Err("  not understood".into()),
        }
        Ok(())
    }

    /// Lets everything come that is on its way.
    fn settle(&mut self, who: &str) -> Done {
        let end = Instant::now() + SILENCE;
        let actor = self.actor(who)?;
        while Instant::now() < end && !actor.gone {
            actor.listen()?;
        }
        Ok(())
    }

    /// `<…/>`, or `N times <…/>` in which `#` is the number.
    fn sends(&mut self, who: &str, text: &str) -> Done {
        let actor = self.actor(who)?;
        let Some((count, text)) = text.split_once(" times ").filter(|(count, _)| !count.contains('<')) else {
            actor.send(text);
            return Ok(());
        };
        let count: usize = count.parse().map_err(|_| "  N times <…/>")?;
        actor.send(&(1..=count).map(|n| text.replace('#', &n.to_string())).collect::<String>());
        Ok(())
    }

    /// `SCRAM-SHA-256-PLUS with tls-exporter`, on a stream whose features come now; how it ends comes next.
    fn tries(&mut self, who: &str, how: &str) -> Done {
        let (mechanism, binding) = match how.split_once(" with ") {
            Some((mechanism, binding)) => (mechanism, Some(binding)),
            None => (how, None),
        };
        let actor = self.actor(who)?;
        let features = actor.wait_for("features", ns::STREAM)?;
        let offered = scram::offered(&features, ns::SASL);
        let scram = Scram { user: parts(who).0, mechanism, binding, offered: &offered };
        let end = scram.sign_in(actor).map_err(|fault| format!("  {fault}"))?;
        actor.inbox.push_front(end);
        Ok(())
    }

    /// `PLAIN`, or `SCRAM-SHA-256-PLUS binding tls-exporter`, then perhaps ` and <wishes/>`; how it ends comes next.
    fn authenticates(&mut self, who: &str, how: &str) -> Done {
        let (how, wishes) = how.split_once(" and ").unwrap_or((how, ""));
        let (mechanism, binding) = match how.split_once(" binding ") {
            Some((mechanism, binding)) => (mechanism, Some(binding)),
            None => (how, None),
        };
        let actor = self.actor(who)?;
        let features = actor.wait_for("features", ns::STREAM)?;
        let offered = scram::offered(&features, ns::SASL2);
        let scram = Scram { user: parts(who).0, mechanism, binding, offered: &offered };
        let end = scram::in_one_go(actor, &scram, wishes).map_err(|fault| format!("  {fault}"))?;
        actor.inbox.push_front(end);
        Ok(())
    }

    /// `TOKEN by HT-SHA-256-NONE and <wishes/>`; how it ends comes next.
    fn shows(&mut self, who: &str, how: &str) -> Done {
        let (how, wishes) = how.split_once(" and ").ok_or("  TOKEN by MECHANISM and <wishes/>")?;
        let (token, mechanism) = how.split_once(" by ").ok_or("  TOKEN by MECHANISM and <wishes/>")?;
        let actor = self.actor(who)?;
        actor.wait_for("features", ns::STREAM)?;
        let end = scram::by_token(actor, parts(who).0, mechanism, token, wishes);
        actor.inbox.push_front(end.map_err(|fault| format!("  {fault}"))?);
        Ok(())
    }

    fn receives_nothing(&mut self, who: &str) -> Done {
        self.settle(who)?;
        let inbox = &self.actor(who)?.inbox;
        if inbox.is_empty() { Ok(()) } else { Err(listed("received", inbox)) }
    }

    /// The next element is this one: `<x/>`, or `something with <x/>`, or `something without <x/>`.
    fn receives(&mut self, who: &str, wanted: &str) -> Done {
        let got = self.actor(who)?.next().map_err(|fault| format!("  {fault}"))?;
        if fits(wanted, &got, &mut self.memory)? {
            return Ok(());
        }
        Err(format!("  expected {wanted}\n  received {}", shown(&got)))
    }

    /// One of those that have come or come in time.
    fn hears(&mut self, who: &str, wanted: &str) -> Done {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut memory = std::mem::take(&mut self.memory);
            let actor = self.actor(who)?;
            let fits = |got: &Element| fits(wanted, got, &mut memory);
            let found = actor.inbox.iter().map(fits).collect::<Result<Vec<_>, _>>()?;
            let found = found.iter().position(|fits| *fits);
            let over = Instant::now() >= end || actor.gone;
            match found {
                Some(at) => drop(actor.inbox.remove(at)),
                None if over => return Err(listed(&format!("expected {wanted}\n  among"), &actor.inbox)),
                None => actor.listen()?,
            }
            self.memory = memory;
            if found.is_some() {
                return Ok(());
            }
        }
    }

    fn is(&mut self, who: &str, state: &str) -> Done {
        let actor = self.actor(who)?;
        let end = Instant::now() + PATIENCE;
        if state == "still there" {
            let id = format!("alive-{}", end.elapsed().as_nanos());
            actor.send(&format!("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"));
            return self.hears(who, &format!("something with id {id}"));
        }
        while !actor.gone && Instant::now() < end {
            actor.listen()?;
        }
        let last = actor.inbox.back().map(shown).unwrap_or_default();
        let error = actor.inbox.back().filter(|last| last.is("error", ns::STREAM));
        let fate = match (actor.gone, error.and_then(|error| error.children().next()), actor.finished) {
            (false, _, _) => "still connected".to_owned(),
            (true, Some(condition), _) => format!("thrown out: {}", condition.name()),
            (true, None, true) => "gone".to_owned(),
            (true, None, false) => "cut off".to_owned(),
        };
        if fate == state { Ok(()) } else { Err(format!("  {who} is {fate} {last}")) }
    }
}

/// Whether an element is what a sentence says of it.
fn fits(wanted: &str, got: &Element, memory: &mut Memory) -> Result<bool, String> {
    if let Some(id) = wanted.strip_prefix("something with id ") {
        return Ok(got.get("id") == Some(id));
    }
    let (holds, inner) = match wanted.split_once(" with <") {
        Some((name, inner)) => (Some((name, true)), inner),
        None => match wanted.split_once(" without <") {
            Some((name, inner)) => (Some((name, false)), inner),
            None => (None, wanted),
        },
    };
    let Some((name, with)) = holds else {
        return Ok(pattern::matches(&pattern::parse(wanted)?, got, memory));
    };
    let inner = pattern::parse(&format!("<{inner}"))?;
    let named = name == "something" || name.trim_start_matches("a ").trim_start_matches("an ") == got.name();
    Ok(named && pattern::has(got, &inner, memory) == with)
}

fn listed<'a>(what: &str, inbox: impl IntoIterator<Item = &'a Element>) -> String {
    let all: Vec<String> = inbox.into_iter().map(|element| format!("\n    {}", shown(element))).collect();
    format!("  {what}{}", if all.is_empty() { " nothing".to_owned() } else { all.concat() })
}

/// `romeo/garden` is romeo with this resource; what stands behind a colon only tells two connections apart.
fn parts(who: &str) -> (&str, Option<&str>) {
    let who = who.split_once(':').map_or(who, |(who, _)| who);
    match who.split_once('/') {
        Some((user, resource)) => (user, Some(resource)),
        None => (who, None),
    }
}

fn time(rest: &str) -> Done {
    let seconds = rest.strip_prefix("passes: ").and_then(|rest| rest.strip_suffix(" s"));
    let seconds: f64 = seconds.and_then(|s| s.parse().ok()).ok_or("time passes: N s")?;
    std::thread::sleep(Duration::from_secs_f64(seconds.min(30.0)));
    Ok(())
}
