//! The commands on the DNS.

use super::LOOK;
use crate::admin::answers::Text;
use crate::admin::answers::dns::{DnsCheck, DnsPush};
use crate::admin::command::{Argument, Caller, Command, Kind, Returned, Run};
use crate::dns;

const DOMAIN: Argument = Argument {
    name: "domain",
    kind: Kind::Domain,
    positional: true,
    required: false,
    help: "Only this domain, by its main name",
};

pub(super) const ZONE: Command = Command {
    path: &["dns", "zone"],
    summary: "Print the zone text for the domains",
    details: "Addresses, SRV, NAPTR and HTTPS records for what is offered, SRV records that deny what is not, and where `[dns]` says \
              so TLSA and CAA records.",
    arguments: &[
        DOMAIN,
        Argument {
            name: "name-server",
            kind: Kind::Texts,
            positional: false,
            required: false,
            help: "A name server of the zone; may be given several times (default: ns in the zone, here)",
        },
        Argument {
            name: "records",
            kind: Kind::Flag,
            positional: false,
            required: false,
            help: "Only the records, to paste into a zone that you have: no SOA, no NS",
        },
    ],
    caller: Caller::DomainAdministrator,
    returns: Returned::of::<Text>(),
    run: Run::Plan(dns::zone),
    ..LOOK
};

pub(super) const CHECK: Command = Command {
    path: &["dns", "check"],
    summary: "Compare what the DNS says with what it should say",
    details: "Asks the domain's own name servers, a resolver and this host, record by record. Each finding comes with what \
              was seen and what mends it. The exit code is 1 where something does not work.",
    arguments: &[
        DOMAIN,
        Argument {
            name: "server",
            kind: Kind::Text,
            positional: false,
            required: false,
            help: "The resolver to ask, as ADDRESS or ADDRESS:PORT; network.resolver or the system's unless given",
        },
        Argument {
            name: "authority",
            kind: Kind::Texts,
            positional: false,
            required: false,
            help: "Ask this name server in the place of those that the zone names; may be given several times",
        },
    ],
    returns: Returned::of::<DnsCheck>(),
    run: Run::CommandLine(dns::check::run),
    ..LOOK
};

pub(super) const PUSH: Command = Command {
    path: &["dns", "push"],
    summary: "Put the records into the zone, by dynamic update (RFC 2136) or a provider's interface",
    details: "Shows what changes, line by line. It takes out only what it has put in itself: it marks that by TXT records at \
              _parlour in front of the domain. `dns.push` names the server and the key (TSIG), or `dns.provider` the provider and its token. The exit code is 1 where \
              a zone could not be changed, or where somebody else's record is in the way.",
    arguments: &[
        DOMAIN,
        Argument {
            name: "dry-run",
            kind: Kind::Flag,
            positional: false,
            required: false,
            help: "Only show what would change",
        },
        Argument { name: "apply", kind: Kind::Flag, positional: false, required: false, help: "Change it" },
        Argument {
            name: "withdraw",
            kind: Kind::Text,
            positional: false,
            required: false,
            help: "Take out all that was put in for this domain, which the configuration does not have any more",
        },
    ],
    reads: false,
    returns: Returned::of::<DnsPush>(),
    run: Run::CommandLine(dns::push::run),
    ..LOOK
};
