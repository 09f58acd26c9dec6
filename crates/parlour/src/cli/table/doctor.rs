//! The command that looks whether the installation works.

use super::LOOK;
use crate::admin::answers::PasswordSet;
use crate::admin::answers::doctor::Doctor;
use crate::admin::command::{Argument, Command, Kind, Returned, Run};
use crate::admin::guests;
use crate::doctor;

const PARTS: Argument = Argument {
    name: "only",
    kind: Kind::Texts,
    positional: false,
    required: false,
    help: "Look only at these parts: configuration, server, host, files, certificates, accounts, network, dns, turn, sip, xmpp, web, federation",
};

const OPTION: Argument = Argument { kind: Kind::Text, ..PARTS };

pub(super) const DOCTOR: Command = Command {
    path: &["doctor"],
    summary: "Look whether the installation works, and say what mends what does not",
    details: "Each finding says what is wrong, what was seen, and the line to paste or the command that mends it. It signs in as a \
              client does, by guest accounts that the server makes for it and that are removed afterwards. No secret is shown. The exit \
              code is 1 where something does not work; warnings and notices alone end with 0.",
    arguments: &[
        PARTS,
        Argument { name: "without", help: "Leave these parts out", ..PARTS },
        Argument {
            name: "outside",
            kind: Kind::Domain,
            help: "From another host, without a configuration: follow the DNS to this domain's servers and see what each says to a stranger",
            ..PARTS
        },
        Argument {
            name: "stun",
            help: "Ask this STUN server elsewhere, as HOST or HOST:PORT, which address this host has from outside",
            ..PARTS
        },
        Argument {
            name: "federation",
            help: "Ask this other domain by way of the server, as its users do (SIP); may be given several times",
            ..PARTS
        },
        Argument {
            name: "account",
            help: "Sign in by this account, USER@DOMAIN, instead of by guests",
            ..OPTION
        },
        Argument {
            name: "password-file",
            help: "Read its password from the first line of this file; - is the standard input",
            ..OPTION
        },
        Argument {
            name: "server",
            help: "The resolver to ask for the DNS, as ADDRESS or ADDRESS:PORT; network.resolver or the system's unless given",
            ..OPTION
        },
        Argument {
            name: "authority",
            help: "Ask this name server in the place of those that the zones name; may be given several times",
            ..PARTS
        },
    ],
    returns: Returned::of::<Doctor>(),
    run: Run::CommandLine(doctor::run),
    ..LOOK
};

pub(super) const GUEST: Command = Command {
    path: &["user", "guest"],
    summary: "Make an account for the doctor: it is removed by itself",
    arguments: &[Argument {
        name: "domain",
        kind: Kind::Domain,
        positional: true,
        required: false,
        help: "Of this domain; of the first unless given",
    }],
    reads: false,
    hidden: true,
    returns: Returned::of::<PasswordSet>(),
    run: Run::Server(guests::make),
    ..LOOK
};
