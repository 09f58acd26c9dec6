//! The language of plays, one sentence a line; a line that begins with white space goes on with the one before.
//!
//! ```text
//! == The title of a scene
//! limits pending=4 offline=2
//! romeo/garden connects
//! romeo/garden sends <message to='juliet@verona.example'><body>x</body></message>
//! juliet/balcony receives <message …/>        the next stanza; * stands for anything inside a value, ** for elements
//! juliet/balcony hears <presence …/>          any of those that have come, in whatever order
//! juliet/balcony receives nothing
//! store has of old for juliet: <storage …/>    what private storage kept before
//! juliet/balcony answers what it can do: <query …/>   the question about its capabilities that it heard last
//! juliet/balcony ignores what came            for what a scene is not about
//! ```
//!
//! At the end everybody must have been asked for all that came.

use crate::hall;
use crate::world::World;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Address, ConnectionId};
use xmpp::router::{Eviction, Limits};
use xmpp::{Condition, Element, ns};

/// A scene: its title, and its sentences with their line numbers.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    title: String,
    lines: Vec<(usize, String)>,
}

/// The scenes of a file.
pub(crate) fn scenes(text: &str) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (number, trimmed) = (number + 1, line.trim());
        if let Some(title) = line.strip_prefix("== ") {
            scenes.push(Scene { title: title.to_owned(), lines: Vec::new() });
        } else if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let scene = scenes.last_mut().expect("a file begins with a title");
            match scene.lines.last_mut() {
                Some((_, last)) if line.starts_with(' ') => last.push_str(trimmed),
                _ => scene.lines.push((number, trimmed.to_owned())),
            }
        }
    }
    scenes
}

struct Play {
    world: World,
    cast: BTreeMap<String, ConnectionId>,
    place: String,
    /// The id of what was heard last.
    asked: String,
    /// What `{name}` stands for, once something that has it was received.
    names: BTreeMap<String, String>,
}

/// Gives a scene with so many workers.
pub(crate) fn play(file: &str, scene: &Scene, workers: u16) {
    let mut play = Play {
        world: World::new(workers, limits(scene)),
        cast: BTreeMap::new(),
        place: String::new(),
        asked: String::new(),
        names: BTreeMap::new(),
    };
    for (number, line) in &scene.lines {
        play.place = format!("{file}:{number} ({}, {workers} workers): {line}", scene.title);
        let line = play.names.iter().fold(line.clone(), |line, (name, is)| line.replace(name, is));
        play.sentence(&line);
    }
    play.place = format!("{file} ({}, {workers} workers): at the end", scene.title);
    for who in play.cast.keys().cloned().collect::<Vec<_>>() {
        play.receives_nothing(&who);
    }
}

fn limits(scene: &Scene) -> Limits {
    let mut limits = Limits { archive: false, ..Limits::default() };
    for line in scene.lines.iter().filter_map(|(_, line)| line.strip_prefix("limits ")) {
        for (name, value) in line.split_whitespace().map(|word| word.split_once('=').expect("name=value")) {
            let value: u32 = value.parse().expect("a number");
            let place = match name {
                "sessions" => &mut limits.sessions,
                "roster" => &mut limits.roster,
                "roster-octets" => &mut limits.roster_octets,
                "groups" => &mut limits.groups,
                "page" => &mut limits.page,
                "directed" => &mut limits.directed,
                "pending" => &mut limits.pending,
                "waiting" => &mut limits.waiting,
                "waiting-octets" => &mut limits.waiting_octets,
                "backlog" => &mut limits.backlog,
                "cached" => &mut limits.cached,
                "nodes" => &mut limits.nodes,
                "item" => &mut limits.item,
                "subscribers" => &mut limits.subscribers,
                "node-items" => {
                    limits.node_items = value;
                    continue;
                }
                "items-octets" => {
                    limits.items_octets = value.into();
                    continue;
                }
                "offline" => {
                    limits.offline = value;
                    continue;
                }
                "rooms" => &mut limits.rooms.rooms,
                "rooms-of-account" => &mut limits.rooms.of_account,
                "occupants" => &mut limits.rooms.occupants,
                "affiliations" => &mut limits.rooms.affiliations,
                "creators" => {
                    limits.rooms.creators = Some([address("juliet")].into());
                    continue;
                }
                "archive" => {
                    limits.archive = value > 0;
                    continue;
                }
                "archive-page" => {
                    limits.archive_page = value;
                    continue;
                }
                "archive-messages" => {
                    limits.archive_messages = value.into();
                    continue;
                }
                "documents" => {
                    limits.documents = value.into();
                    continue;
                }
                other => panic!("no such limit: {other}"),
            };
            *place = value as usize;
        }
    }
    limits
}

fn address(name: &str) -> Address {
    format!("{name}@verona.example").parse().expect("an address")
}

/// XML in one form: names resolved, quotes and empty tags alike.
fn normal(xml: &str) -> String {
    Element::parse(xml, ns::CLIENT).unwrap_or_else(|fault| panic!("{fault}: {xml}")).to_xml(ns::CLIENT)
}

/// Whether `text` is `pattern`, in which `*` stands for anything up to the next quote or tag, and `**`, where it stands once,
/// for any elements.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some((before, after)) = pattern.split_once("**") {
        let tags: Vec<usize> = text.match_indices('<').map(|(at, _)| at).collect();
        let ends =
            |from: usize| tags.iter().filter(move |to| **to >= from).any(|to| matches(after, &text[*to..]));
        return tags.iter().any(|from| matches(before, &text[..*from]) && ends(*from));
    }
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            let Some(rest) = text.strip_prefix(before) else { return false };
            let end = rest.find(['\'', '<']).unwrap_or(rest.len());
            matches(after, &rest[end..])
        }
    }
}

impl Play {
    fn sentence(&mut self, line: &str) {
        let (subject, rest) = line.split_once(' ').unwrap_or((line, ""));
        match subject {
            "limits" => {}
            "store" => self.store(rest),
            "queues" => self.world.fill_queues(rest == "are full"),
            "server" => {
                assert_eq!(rest, "crashes");
                self.world.crash();
                self.cast.clear();
            }
            "connections" => self.world.silent = rest == "are silent",
            "passwords" => self.world.set_passwords(rest == "are set"),
            "time" => self.time(rest),
            "sessions" => {
                let sessions: Vec<String> = self.world.sessions().into_iter().collect();
                assert_eq!(sessions.join(", "), rest, "{}", self.place);
            }
            who => self.somebody(who, rest),
        }
    }

    fn store(&mut self, what: &str) {
        match what {
            "stops" => self.world.store.stopped = true,
            "fails" => self.world.store.failing = true,
            "lets one through" => self.world.let_through(),
            "goes on" => {
                self.world.store.stopped = false;
                self.world.store.failing = false;
                self.world.settle();
            }
            other => {
                // What an earlier version of the server kept.
                let kept = other.strip_prefix("has of old for ").and_then(|rest| rest.split_once(": "));
                let Some((who, xml)) = kept else { panic!("{}: a store does not {other}", self.place) };
                let element = Element::parse(xml, ns::PRIVATE).expect("XML");
                let title = format!("{} {}", element.namespace(), element.name());
                self.world.store.keep_private(address(who), &title, xml);
            }
        }
    }

    fn time(&mut self, rest: &str) {
        let seconds = rest.strip_prefix("passes: ").and_then(|rest| rest.strip_suffix(" s"));
        self.world.pass(Duration::from_secs(seconds.and_then(|s| s.parse().ok()).expect("passes: N s")));
    }

    fn somebody(&mut self, who: &str, rest: &str) {
        let (verb, object) = rest.split_once(' ').unwrap_or((rest, ""));
        match (verb, object) {
            ("connects", "") => self.connect(who),
            ("disconnects", "") => {
                let connection = self.cast.remove(who).expect("somebody who is connected");
                self.world.disconnect(connection);
            }
            ("sends", xml) => {
                let connection = self.connection(who);
                self.world.send(connection, xml);
            }
            ("answers", object) => self.answer_question(who, object),
            ("sends,", times) => self.send_many(who, times),
            ("gets", words) => self.gets(who, words),
            ("acknowledges", "what it is given") => {
                let connection = self.connection(who);
                self.world.acknowledges(connection);
            }
            ("returns", xml) => {
                // What it was given so many seconds ago and has never acknowledged.
                let (age, xml) = xml.split_once(" s old: ").expect("N s old: a stanza");
                let connection = self.connection(who);
                self.world.give_back(connection, xml, Duration::from_secs(age.parse().expect("a number")));
            }
            ("receives", "nothing") => self.receives_nothing(who),
            ("receives", xml) => self.receives(who, xml),
            ("hears", xml) => self.hears(who, xml),
            ("ignores", "what came") => self.inbox(who).clear(),
            ("is", state) => self.is(who, state),
            ("has", count) => self.has(who, count),
            ("joins", "the house") => self.world.set_account(address(who).as_str(), true),
            (verb, object) => {
                let xml =
                    hall::sent(verb, object).unwrap_or_else(|| panic!("{}: not understood", self.place));
                let connection = self.connection(who);
                self.world.send(connection, &xml);
            }
        }
    }

    /// The next stanza, in the words of rooms.
    fn gets(&mut self, who: &str, words: &str) {
        let place = self.place.clone();
        let got = self.inbox(who).pop_front().unwrap_or_else(|| panic!("{place}: nothing came"));
        let told = hall::described(&got);
        assert!(matches(words, &told), "{place}\n  got {told}\n  in {got}");
    }

    fn connect(&mut self, who: &str) {
        let (name, resource) = match who.split_once('/') {
            Some((name, resource)) => (name, Some(resource)),
            None => (who, None),
        };
        let connection = self.world.connect(&address(name), resource);
        if let Some(old) = self.cast.insert(who.to_owned(), connection) {
            self.cast.insert(format!("{who}(old)"), old);
        }
    }

    fn connection(&self, who: &str) -> ConnectionId {
        *self.cast.get(who).unwrap_or_else(|| panic!("{}: nobody is {who}", self.place))
    }

    fn inbox(&mut self, who: &str) -> &mut std::collections::VecDeque<String> {
        let connection = self.connection(who);
        &mut self.world.client(connection).inbox
    }

    /// What the server asked about a client's capabilities last is answered.
    fn answer_question(&mut self, who: &str, rest: &str) {
        let info = rest.strip_prefix("what it can do: ").expect("what it can do: <query…/>");
        let (connection, (bare, _)) = (self.connection(who), who.split_once('/').expect("a resource"));
        let id = self.asked.clone();
        let xml = format!("<iq type='result' id='{id}' to='{bare}@verona.example'>{info}</iq>");
        self.world.send(connection, &xml);
    }

    /// `N times <xml>`: `#` stands for the number of the repetition. All are read in one go.
    fn send_many(&mut self, who: &str, rest: &str) {
        let (count, xml) = rest.split_once(" times ").expect("N times");
        let connection = self.connection(who);
        for number in 1..=count.parse::<usize>().expect("a number") {
            self.world.send(connection, &xml.replace('#', &number.to_string()));
        }
    }

    fn receives(&mut self, who: &str, xml: &str) {
        if let Some((count, xml)) = xml.split_once(" times ").filter(|(count, _)| !count.contains('<')) {
            for number in 1..=count.parse::<usize>().expect("a number") {
                self.receives(who, &xml.replace('#', &number.to_string()));
            }
            return;
        }
        let place = self.place.clone();
        let got = self.inbox(who).pop_front().unwrap_or_else(|| panic!("{place}: nothing came"));
        let xml = &self.learn(&normal(xml), &normal(&got));
        assert!(
            matches(&normal(xml), &normal(&got)),
            "{place}\n  expected {}\n  received {}",
            normal(xml),
            normal(&got)
        );
    }

    /// What is expected, with `*` for a `{name}` that is not known yet: it is what stands there.
    fn learn(&mut self, wanted: &str, got: &str) -> String {
        let Some((before, rest)) = wanted.split_once("='{") else { return wanted.to_owned() };
        let (name, after) = rest.split_once('}').expect("a name ends");
        let mark = &before[before.rfind('<').unwrap_or_default()..];
        let value = got.split_once(mark).and_then(|(_, rest)| rest.strip_prefix("='")?.split_once('\''));
        if let Some((value, _)) = value {
            self.names.insert(format!("{{{name}}}"), value.to_owned());
        }
        format!("{before}='*{after}")
    }

    fn hears(&mut self, who: &str, xml: &str) {
        let (wanted, place) = (normal(xml), self.place.clone());
        let inbox = self.inbox(who);
        let found = inbox.iter().position(|got| matches(&wanted, &normal(got)));
        let Some(found) = found else { panic!("{place}\n  expected {wanted}\n  among {inbox:#?}") };
        let heard = inbox.remove(found).expect("it was found");
        let id = Element::parse(&heard, ns::CLIENT).ok().and_then(|heard| heard.get("id").map(str::to_owned));
        self.asked = id.unwrap_or_default();
    }

    fn receives_nothing(&mut self, who: &str) {
        let place = self.place.clone();
        let inbox = self.inbox(who);
        assert!(inbox.is_empty(), "{place}\n  {who} received {inbox:#?}");
    }

    fn is(&mut self, who: &str, state: &str) {
        match state {
            "removed" => return self.world.set_account(address(who).as_str(), false),
            "kicked" => {
                let (name, resource) = who.split_once('/').map_or((who, None), |(n, r)| (n, Some(r)));
                return self.world.kick(&address(name), resource);
            }
            "given another password" => return self.world.renew(&address(who)),
            "deaf" => {
                let connection = self.connection(who);
                self.world.client(connection).deaf = true;
                return;
            }
            "read no further" | "read on" => {
                let connection = self.connection(who);
                let paused = self.world.client(connection).is_paused();
                return assert_eq!(paused, state == "read no further", "{}", self.place);
            }
            _ => {}
        }
        let connection = self.connection(who);
        let place = self.place.clone();
        let client = self.world.client(connection);
        if let Some(jid) = state.strip_prefix("bound as ") {
            let bound = client.jid.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(matches(jid, &bound), "{place}: {bound}");
        } else if let Some(condition) = state.strip_prefix("refused: ") {
            assert_eq!(client.refused.map(Condition::name), Some(condition), "{place}");
        } else {
            let expected = match state {
                "thrown out: replaced" => Some(Eviction::Replaced),
                "thrown out: account removed" => Some(Eviction::AccountRemoved),
                "thrown out: kicked" => Some(Eviction::Kicked),
                "thrown out: password changed" => Some(Eviction::PasswordChanged),
                "thrown out: unacknowledged" => Some(Eviction::Unacknowledged),
                "still there" => None,
                other => panic!("{place}: nobody can be {other}"),
            };
            assert_eq!(client.evicted, expected, "{place}");
        }
    }

    /// What the store has of somebody.
    fn has(&mut self, who: &str, what: &str) {
        let (count, thing) = what.split_once(' ').expect("a number and a thing");
        let store = &self.world.store;
        let there = match thing {
            "kept" => store.kept(&address(who)),
            "contacts" => store.contacts(&address(who)),
            other => panic!("{}: what is {other}?", self.place),
        };
        assert_eq!(there.to_string(), count, "{}", self.place);
    }
}

/// The scene of one cell of the delivery table (RFC 6121 §8.5).
pub(crate) fn table_scene(present: &str, to: &str, kind: &str, outcome: &str) -> String {
    use std::fmt::Write;
    let mut text = format!("== {present} {to} {kind}\nromeo/garden connects\n");
    let come: &[(&str, i8)] = match present {
        "negative" => &[("balcony", -1), ("chamber", -5)],
        "one" => &[("balcony", 3), ("chamber", -5)],
        "several" => &[("balcony", 3), ("chamber", 3), ("church", 0)],
        _ => &[],
    };
    for (resource, priority) in come {
        let presence = format!("<presence><priority>{priority}</priority></presence>");
        writeln!(text, "juliet/{resource} connects\njuliet/{resource} sends {presence}").unwrap();
    }
    for (resource, _) in come {
        writeln!(text, "juliet/{resource} ignores what came").unwrap();
    }
    let (user, resource) = to.split_once('/').map_or((to, ""), |(user, resource)| (user, resource));
    let slash = if resource.is_empty() { "" } else { "/" };
    let jid = format!("{user}@verona.example{slash}{resource}");
    let inner = "<body>Wilt thou leave me so unsatisfied?</body>";
    writeln!(text, "romeo/garden sends <message to='{jid}' id='m' type='{kind}'>{inner}</message>").unwrap();
    let message = format!(
        "<message from='romeo@verona.example/garden' to='{jid}' id='m' type='{kind}'>{inner}</message>"
    );
    let wanted = |priority: &i8| match outcome {
        "a" => *priority >= 0,
        "b" => *priority == 3,
        _ => false,
    };
    for (at, priority) in come {
        if wanted(priority) || (outcome == "r" && *at == resource) {
            writeln!(text, "juliet/{at} receives {message}").unwrap();
        }
    }
    if outcome == "e" {
        let error =
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        writeln!(text, "romeo/garden receives <message from='{jid}' to='romeo@verona.example/garden' id='m' type='error'>{error}</message>").unwrap();
    }
    if present != "nobody" {
        writeln!(text, "juliet has {} kept", u8::from(outcome == "k")).unwrap();
    }
    text
}
