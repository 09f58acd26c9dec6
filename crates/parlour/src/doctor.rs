//! `parlour doctor`: looks whether the installation works, from its files to a login in each protocol, and says of each fault
//! what it is, what was seen and what mends it. [`quick`] is the part that asks nobody, for `status` and the health page.

mod accounts;
mod certificates;
mod configuration;
mod disk;
mod dns;
mod federation;
mod files;
mod host;
mod network;
mod notes;
mod outside;
mod places;
mod server;
mod sip;
mod sockets;
mod turn;
mod visitors;
pub mod watch;
mod way;
mod web;
mod xmpp;

use crate::admin::Failure;
use crate::admin::answers::Status;
use crate::admin::answers::doctor::{Doctor, DoctorFinding};
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::here;
use crate::config::Plan;
use crate::config::fault::nearest;
use crate::dns::check;
use crate::standing::Standing;
use notes::Notes;
use places::Place;
use serde_json::Value;
use store::Health;
use visitors::Visitor;
use wire::{Address, Domain};

/// Somebody who looks at one part.
type Look = fn(&mut Patient, &mut Notes) -> Result<(), Skipped>;

/// Why a part was not looked at.
struct Skipped(String);

/// Every part, in the order in which they are looked at: the first ones explain faults of the later ones.
const AREAS: &[(&str, Look)] = &[
    ("configuration", configuration::look),
    ("server", server::look),
    ("host", host::look),
    ("files", files::look),
    ("certificates", certificates::look),
    ("accounts", accounts::look),
    ("network", network::look),
    ("dns", dns::look),
    ("turn", turn::look),
    ("sip", sip::look),
    ("xmpp", xmpp::look),
    ("web", web::look),
    ("federation", federation::look),
];

/// Who is looked at.
struct Patient {
    plan: Plan,
    /// The process of the server, where one has its door open.
    pid: Option<u32>,
    /// What the running server says of itself.
    server: Option<Status>,
    /// What the caller wants to have asked, and of whom.
    asked: Asked,
    /// Where the services are to be reached; those that are not are taken out once that is known.
    places: Vec<Place>,
    /// By whom to sign in.
    visitors: Vec<Visitor>,
}

/// What the caller wants to have asked, and of whom.
struct Asked {
    /// The resolver.
    resolver: Option<String>,
    /// Name servers in the place of the domains' own.
    authorities: Vec<String>,
    /// STUN servers that see this host from outside.
    stun: Vec<String>,
    /// Other domains.
    federation: Vec<String>,
}

impl Asked {
    fn of(arguments: &Arguments) -> Self {
        let texts = |name: &str| arguments.texts(name).into_iter().map(str::to_owned).collect();
        let resolver = arguments.text("server").map(str::to_owned);
        Self {
            resolver,
            authorities: texts("authority"),
            stun: texts("stun"),
            federation: texts("federation"),
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        visitors::dismiss(&self.plan, &self.visitors);
    }
}

impl Patient {
    /// What the running server says of itself.
    fn server(&self) -> Result<&Status, Skipped> {
        self.server.as_ref().ok_or_else(|| Skipped("no server answers".into()))
    }
}

/// `parlour doctor`
pub fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Value, Failure> {
    let wanted = wanted(arguments)?;
    let mut notes = Notes::default();
    if let Some(name) = arguments.text("outside") {
        return from_outside(name, arguments, notes);
    }
    match here::settled(invocation) {
        Ok(plan) => {
            let (asked, places) = (Asked::of(arguments), places::all(&plan));
            let visitors = named_visitor(arguments)?;
            let mut patient = Patient { plan, pid: None, server: None, asked, places, visitors };
            for (name, look) in AREAS {
                // Whether a server runs is needed by others.
                let needed = *name == "server";
                if wanted.contains(name) || needed {
                    notes.begin(name);
                    let looked = look(&mut patient, &mut notes);
                    notes.end(looked.err().map(|Skipped(why)| why));
                }
                if needed && !wanted.contains(name) {
                    notes.forget(name);
                }
            }
        }
        Err(failure) if failure.faults.is_empty() => return Err(failure),
        Err(failure) => {
            notes.begin("configuration");
            configuration::refused(&failure, &mut notes);
            notes.end(None);
        }
    }
    reply(&notes.answer())
}

/// `parlour doctor --outside DOMAIN`
fn from_outside(name: &str, arguments: &Arguments, mut notes: Notes) -> Result<Value, Failure> {
    let domain = Domain::new(name).map_err(|_| Failure::usage(format!("`{name}` is not a domain name")))?;
    let resolver = check::resolver_of_host(arguments.text("server"))?;
    notes.begin("outside");
    outside::look(&domain, resolver, &mut notes)?;
    notes.end(None);
    reply(&notes.answer())
}

/// The account to sign in by, with its password.
fn named_visitor(arguments: &Arguments) -> Result<Vec<Visitor>, Failure> {
    let Some(name) = arguments.text("account") else { return Ok(vec![]) };
    let address: Address = name.parse().map_err(|error| Failure::usage(format!("`{name}`: {error}")))?;
    let password = match arguments.text("password-file") {
        Some(file) => here::password::read(file)?,
        None => here::password::ask_once(name)?,
    };
    Ok(vec![Visitor::named(address, password)])
}

/// The parts that the caller wants.
fn wanted(arguments: &Arguments) -> Result<Vec<&'static str>, Failure> {
    let names = || AREAS.iter().map(|(name, _)| *name);
    let listed = |argument: &str| -> Result<Vec<&'static str>, Failure> {
        let texts = arguments.texts(argument);
        let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
        let known = |word: &str| names().find(|name| *name == word).ok_or_else(|| unknown(word, names()));
        words.map(known).collect()
    };
    let (only, without) = (listed("only")?, listed("without")?);
    let chosen = names().filter(|name| only.is_empty() || only.contains(name));
    // Where nobody was named, there is nobody to be asked.
    let named = !arguments.texts("federation").is_empty();
    Ok(chosen.filter(|name| !without.contains(name) && (named || *name != "federation")).collect())
}

fn unknown(word: &str, names: impl Iterator<Item = &'static str> + Clone) -> Failure {
    let help = match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    };
    Failure::usage(format!("the doctor does not look at `{word}`; {help}"))
}

/// What can be told at once and without asking anybody, by the server of itself: certificates that end or do not come, files that
/// others may read, a full disk, too few open files, changes that cannot be written. It reads a few files.
pub fn quick(plan: &Plan, storage: Health, orders: &[Standing]) -> Vec<DoctorFinding> {
    let mut notes = Notes::default();
    notes.begin("host");
    host::quick(plan, &mut notes);
    notes.begin("files");
    files::quick(plan, &mut notes);
    files::storage(plan, storage, &mut notes);
    notes.begin("certificates");
    certificates::quick(plan, &mut notes);
    certificates::orders(plan, orders, &mut notes);
    let Doctor { findings, .. } = notes.answer();
    findings
}
