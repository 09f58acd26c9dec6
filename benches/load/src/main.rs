//! The load generator: clients of STUN, TURN, SIP and XMPP in one thread, far cheaper than the servers they drive.
//!
//! `load COMMAND --name value …`. It prepares, prints `{"ready":true}` and waits for a line on its standard input; then
//! it measures, prints what was done as one line of JSON, and waits for another line before it lets go of what it
//! holds. Who started it reads the server's processor time and memory in these pauses.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod accounts;
mod digest;
mod floor;
mod options;
mod report;
mod rtp;
mod sip;
mod stun;
mod tls;
mod turn;
mod xmpp;

use anyhow::{Result, bail};
use options::Options;
use std::process::ExitCode;

const USAGE: &str = "\
usage: load COMMAND --server ADDRESS:PORT [--name value …]

  stun           binding requests               --units N --window N
  turn-relay     ChannelData to an echo peer    --units N --clients N --size OCTETS --window N [--tls yes]
                                                 [--rate PACKETS/S [--burst N]] [--peer ADDRESS:PORT]
  turn-setup     allocations made and released  --units N --window N
  turn-idle      allocations that stay          --clients N
  turn-strangers Allocates without credential   --units N --window N
  rtp-relay      RTP to an end that echoes it   --units N --clients N --size OCTETS --window N [--rate PACKETS/S]
                                                 [--how sip|ng|bare]
  sip-options    OPTIONS to the server itself   --units N --window N
  sip-register   registrations with digest      --units N --window N [--users N] [--first N] [--rate N]
                                                 [--before yes] [--tls yes [--clients N]]
  sip-call       INVITE … BYE through the proxy --units N --window N [--users N] [--first N] [--rate N]
                                                 [--closed yes: the preferred contact is a closed port]
  sip-idle       TLS connections that stand     --clients N --tls yes
  xmpp-login     TLS, SCRAM-SHA-1, binding, presence  --units N --window N [--starttls yes]
  xmpp-chat      messages between pairs         --units N --clients N --window N --size OCTETS [--how bare: nobody signs in]
  xmpp-room      what is said in a room         --units N --clients N --window N --size OCTETS --rooms HOST
  xmpp-idle      logged-in connections          --clients N

  floor          serves as the least that a server could do, at --server --how plain|gso|rtp|sip|sip-open|tls [--gather MICROSECONDS]
                 [--chain FILE --key FILE]
  accounts       the accounts for a server      --users N --for parlour|kamailio|prosody|ejabberd --to FILE

Accounts are load0@DOMAIN, load1@DOMAIN …, all with --password; --domain is bench.example unless given.
";

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let options = Options::read(arguments)?;
    match command.as_str() {
        "accounts" => accounts::run(&options),
        "floor" => floor::run(&options),
        "stun" => stun::load::run(&options),
        "turn-relay" => turn::relay::run(&options),
        "turn-setup" => turn::setup::run(&options),
        "turn-strangers" => turn::setup::strangers(&options),
        "turn-idle" => turn::setup::idle(&options),
        "rtp-relay" => rtp::run(&options),
        "sip-options" => sip::options(&options),
        "sip-register" => sip::register(&options),
        "sip-call" => sip::call::run(&options),
        "sip-idle" => sip::idle(&options),
        "xmpp-login" => xmpp::login(&options),
        "xmpp-chat" => xmpp::chat(&options),
        "xmpp-room" => xmpp::room::run(&options),
        "xmpp-idle" => xmpp::idle(&options),
        _ => bail!("{USAGE}"),
    }
}
