//! Every administrative command, declared once.

mod dns;
mod doctor;

use super::{init, pages, start};
use crate::admin::answers::certificates::{CaShown, CertIssued, CertRenewed, CertRevoked, Certificates};
use crate::admin::answers::sip::{SipBindings, SipCalls, SipRecent, SipStory};
use crate::admin::answers::turn::{
    TurnCredentials, TurnDisconnected, TurnDrain, TurnSessionDetails, TurnSessions, TurnTest,
};
use crate::admin::answers::xmpp::{XmppDisconnected, XmppSessions};
use crate::admin::answers::{
    Bans, Checked, Document, Done, Imported, Made, PasswordSet, Reloaded, Removed, Status, Text, UserDetails,
    Users, Written,
};
use crate::admin::command::{Argument, Caller, Command, Kind, Returned, Run};
use crate::admin::{authority, bans, certificates, house, sip, turn, users, xmpp};
use crate::relay_test;

/// The first words of commands with two, and what they have in common.
pub const GROUPS: &[(&str, &str)] = &[
    ("turn", "STUN and TURN: who is relayed for, and the end of it"),
    ("sip", "SIP: who is registered, who calls whom and why it failed, who is shut out"),
    ("xmpp", "XMPP: who is connected, and the end of it"),
    ("user", "Accounts: add, change, look at, import"),
    ("ca", "Our own certificate authority"),
    ("cert", "Certificates: those that the house shows, those by which users sign in"),
    ("dns", "What the DNS must say about the domains"),
];

const ADDRESS: Argument = Argument {
    name: "address",
    kind: Kind::Address,
    positional: true,
    required: true,
    help: "The account: user@domain",
};

const PASSWORD: Argument = Argument {
    name: "password",
    kind: Kind::Password,
    positional: false,
    required: false,
    help: "The password",
};

const GENERATE: Argument = Argument {
    name: "generate",
    kind: Kind::Flag,
    positional: false,
    required: false,
    help: "Make a password, and show it this once",
};

const SOURCE: Argument = Argument {
    name: "address",
    kind: Kind::Text,
    positional: true,
    required: true,
    help: "The address, as 192.0.2.1 or 2001:db8::1",
};

const CALL_ID: Argument = Argument {
    name: "call-id",
    kind: Kind::Text,
    positional: true,
    required: true,
    help: "The Call-ID, as `parlour sip calls` and `recent` list it, or telephones show it",
};

const LIMIT: Argument = Argument {
    name: "limit",
    kind: Kind::Number,
    positional: false,
    required: false,
    help: "At most so many; 1000 unless given, never more than 10000",
};

const AFTER: Argument = Argument {
    name: "after",
    kind: Kind::Text,
    positional: false,
    required: false,
    help: "Go on where an earlier list ended; it says where",
};

const ASKS: &str = "The password is asked for at the terminal, or read as one line from the standard input; \
                    --password-file reads the first line of a file, --generate makes one.";

/// A command that only looks, that any local administrator calls, and that help shows.
const LOOK: Command = Command {
    path: &[],
    summary: "",
    details: "",
    arguments: &[],
    caller: Caller::LocalAdministrator,
    reads: true,
    hidden: false,
    returns: Returned::of::<Text>(),
    run: Run::Plan(crate::dns::zone),
};

/// Every command, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        path: &["init"],
        summary: "Make a new house: configuration, data folder, certificate authority and certificate",
        details: "Makes DIR/parlour.toml with every key explained, DIR/data/ with an empty database, an own \
                  certificate authority and a certificate for the domain's names. Nothing is overwritten.",
        arguments: &[
            Argument {
                name: "domain",
                kind: Kind::Domain,
                positional: true,
                required: true,
                help: "The domain: accounts will be user@domain",
            },
            Argument {
                name: "dir",
                kind: Kind::Path,
                positional: false,
                required: true,
                help: "The folder to make it in",
            },
            Argument {
                name: "address",
                kind: Kind::Texts,
                positional: false,
                required: false,
                help: "An address at which the world reaches this host; may be given several times",
            },
        ],
        reads: false,
        returns: Returned::of::<Made>(),
        run: Run::CommandLine(init::run),
        ..LOOK
    },
    Command {
        path: &["serve"],
        summary: "Run the server in the foreground",
        details: "Logs go to the standard error (PARLOUR_LOG=debug for more). SIGTERM and SIGINT end it, SIGHUP \
                  reads the configuration again. Under systemd it says when it is ready.",
        reads: false,
        returns: Returned::of::<Done>(),
        run: Run::CommandLine(start::run),
        ..LOOK
    },
    Command {
        path: &["check"],
        summary: "Read the configuration and say what it means",
        details: "Every fault is named with its line, its key and the nearest right spelling; the exit code is 2 then.",
        returns: Returned::of::<Checked>(),
        run: Run::Plan(house::check),
        ..LOOK
    },
    Command {
        path: &["status"],
        summary: "Say how the running server is",
        details: "Where it listens (with the ports that were chosen for port 0), how long it runs, what it counts.",
        returns: Returned::of::<Status>(),
        run: Run::Server(house::status),
        ..LOOK
    },
    doctor::DOCTOR,
    Command {
        path: &["reload"],
        summary: "Let the running server read its configuration and certificate again",
        details: "A configuration that is refused changes nothing.",
        reads: false,
        returns: Returned::of::<Reloaded>(),
        run: Run::Server(house::reload),
        ..LOOK
    },
    Command {
        path: &["xmpp", "sessions"],
        summary: "List XMPP sessions, those too that wait to be resumed",
        details: "What a client calls itself and its device is shown where it says so.",
        arguments: &[
            Argument {
                name: "user",
                kind: Kind::Address,
                positional: false,
                required: false,
                help: "Only those of this account",
            },
            LIMIT,
        ],
        returns: Returned::of::<XmppSessions>(),
        run: Run::Server(xmpp::sessions),
        ..LOOK
    },
    Command {
        path: &["xmpp", "disconnect"],
        summary: "End an XMPP session, or all those of an account, and take away the tokens of their clients",
        details: "A client that knows the password may come back: change it for that (`parlour user passwd`).",
        arguments: &[Argument {
            name: "who",
            kind: Kind::Text,
            positional: true,
            required: true,
            help: "user@domain/resource, or user@domain",
        }],
        reads: false,
        returns: Returned::of::<XmppDisconnected>(),
        run: Run::Server(xmpp::disconnect),
        ..LOOK
    },
    Command {
        path: &["user", "add"],
        summary: "Add an account",
        details: ASKS,
        arguments: &[ADDRESS, PASSWORD, GENERATE],
        caller: Caller::DomainAdministrator,
        reads: false,
        returns: Returned::of::<PasswordSet>(),
        run: Run::House(users::add),
        ..LOOK
    },
    Command {
        path: &["user", "passwd"],
        summary: "Set the password of an account",
        details: ASKS,
        arguments: &[ADDRESS, PASSWORD, GENERATE],
        caller: Caller::DomainAdministrator,
        reads: false,
        returns: Returned::of::<PasswordSet>(),
        run: Run::House(users::passwd),
        ..LOOK
    },
    Command {
        path: &["user", "remove"],
        summary: "Remove an account with its bindings, contacts and kept messages",
        arguments: &[ADDRESS],
        caller: Caller::DomainAdministrator,
        reads: false,
        returns: Returned::of::<Removed>(),
        run: Run::House(users::remove),
        ..LOOK
    },
    Command {
        path: &["user", "list"],
        summary: "List accounts",
        arguments: &[Argument {
            name: "domain",
            kind: Kind::Domain,
            positional: true,
            required: false,
            help: "Only those of this domain",
        }],
        caller: Caller::DomainAdministrator,
        returns: Returned::of::<Users>(),
        run: Run::House(users::list),
        ..LOOK
    },
    Command {
        path: &["user", "show"],
        summary: "Show which keys an account has, and which protocols therefore work",
        arguments: &[ADDRESS],
        caller: Caller::DomainAdministrator,
        returns: Returned::of::<UserDetails>(),
        run: Run::House(users::show),
        ..LOOK
    },
    Command {
        path: &["user", "import"],
        summary: "Add many accounts from a CSV file",
        details: "The first line names the columns: address, password, or from other servers ha1-md5, ha1-sha256 and \
                  ha1-sha512-256 (hexadecimal, of user:domain:password) and scram-sha-1, scram-sha-256 and \
                  scram-sha-512 (iterations:salt:stored:server, in base64). A file is taken whole or not at all; each refused row \
                  is named.",
        arguments: &[
            Argument {
                name: "file",
                kind: Kind::Document,
                positional: true,
                required: true,
                help: "The CSV file; - is the standard input",
            },
            Argument {
                name: "replace",
                kind: Kind::Flag,
                positional: false,
                required: false,
                help: "Set the keys of accounts that are there already, instead of refusing the file",
            },
        ],
        reads: false,
        returns: Returned::of::<Imported>(),
        run: Run::House(users::import),
        ..LOOK
    },
    doctor::GUEST,
    Command {
        path: &["cert", "user"],
        summary: "Issue a certificate by which a user's XMPP client signs in (SASL EXTERNAL)",
        details: "From the house's own authority (data/certs/authority.key). Certificate and key are printed (PEM) this once; \
                  `openssl pkcs12 -export -in FILE` puts them into the form that many clients read.",
        arguments: &[
            ADDRESS,
            Argument {
                name: "days",
                kind: Kind::Number,
                positional: false,
                required: false,
                help: "For how many days it is good; 365 unless given, never more than 3650",
            },
        ],
        reads: false,
        returns: Returned::of::<CertIssued>(),
        run: Run::House(certificates::user),
        ..LOOK
    },
    Command {
        path: &["cert", "list"],
        summary: "List the certificates of the house, or those by which a user may sign in",
        details: "With who has issued them, for which names, and until when. Where an authority issues them by ACME: when the next is ordered, \
                  and what failed last.",
        arguments: &[Argument { required: false, ..ADDRESS }],
        returns: Returned::of::<Certificates>(),
        run: Run::House(certificates::list),
        ..LOOK
    },
    Command {
        path: &["cert", "renew"],
        summary: "Order new certificates now, whatever is due and whatever had failed",
        details: "Where tls.source is \"acme\". It waits until they are there, or says why they are not; authorities bound how often that \
                  may be done.",
        arguments: &[Argument {
            name: "domain",
            kind: Kind::Domain,
            positional: true,
            required: false,
            help: "Only for this domain",
        }],
        reads: false,
        returns: Returned::of::<CertRenewed>(),
        run: Run::Server(certificates::renew),
        ..LOOK
    },
    Command {
        path: &["cert", "revoke"],
        summary: "Take certificates of a user back: nobody signs in by them any more",
        details: "With them go the user's tokens for quick sign-in (FAST), by whatever they were got. Sessions go on: `parlour xmpp \
                  disconnect` ends them.",
        arguments: &[
            ADDRESS,
            Argument {
                name: "serial",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "Only the one with this serial number; all unless given",
            },
        ],
        reads: false,
        returns: Returned::of::<CertRevoked>(),
        run: Run::House(certificates::revoke),
        ..LOOK
    },
    Command {
        path: &["turn", "sessions"],
        summary: "List TURN sessions, with what goes through each now",
        details: "It takes a second, over which the current rates are measured.",
        arguments: &[
            Argument {
                name: "user",
                kind: Kind::Address,
                positional: false,
                required: false,
                help: "Only those of this account",
            },
            LIMIT,
            AFTER,
        ],
        returns: Returned::of::<TurnSessions>(),
        run: Run::Server(turn::sessions),
        ..LOOK
    },
    Command {
        path: &["turn", "show"],
        summary: "Show one TURN session with its permissions and channels",
        arguments: &[Argument {
            name: "id",
            kind: Kind::Text,
            positional: true,
            required: true,
            help: "Its name in the list, as 0.17",
        }],
        returns: Returned::of::<TurnSessionDetails>(),
        run: Run::Server(turn::show),
        ..LOOK
    },
    Command {
        path: &["turn", "disconnect"],
        summary: "End a TURN session, or all those of an account",
        details: "Nothing keeps the client from making a new one: change the account's password or remove it for that.",
        arguments: &[Argument {
            name: "who",
            kind: Kind::Text,
            positional: true,
            required: true,
            help: "A session's name in the list, or user@domain",
        }],
        reads: false,
        returns: Returned::of::<TurnDisconnected>(),
        run: Run::Server(turn::disconnect),
        ..LOOK
    },
    Command {
        path: &["turn", "drain"],
        summary: "Make no new TURN sessions; those that there are go on",
        details: "Clients are sent to turn.alternate-server, where there is one. It lasts until --off or the server's \
                  end; a reload does not change it.",
        arguments: &[Argument {
            name: "off",
            kind: Kind::Flag,
            positional: false,
            required: false,
            help: "Make new sessions again",
        }],
        reads: false,
        returns: Returned::of::<TurnDrain>(),
        run: Run::Server(turn::drain),
        ..LOOK
    },
    Command {
        path: &["turn", "credentials"],
        summary: "Print a time-limited credential as WebRTC takes it (RTCIceServer)",
        details: "Made with the first of turn.secrets, or with a secret that the server has of its own. It cannot be \
                  taken back before it ends. The account needs not be there.",
        arguments: &[
            ADDRESS,
            Argument {
                name: "ttl",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "How long it is good for, as 90s, 30m, 1h or 7d; 1h unless given",
            },
        ],
        caller: Caller::DomainAdministrator,
        returns: Returned::of::<TurnCredentials>(),
        run: Run::House(turn::credentials::run),
        ..LOOK
    },
    Command {
        path: &["turn", "test"],
        summary: "Relay packets to oneself through a server, and say what came back or what failed",
        details: "Takes two relays, sends packets from one to the other and back through the public address. Without \
                  --server it is this house's own; without --user it makes a credential for itself. Where a step fails \
                  it says which, and what is likely to be wrong, and the exit code is 1.",
        arguments: &[
            Argument {
                name: "server",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "Another server than this house's, as HOST or HOST:PORT",
            },
            Argument {
                name: "via",
                kind: Kind::Choice(&["udp", "tcp", "tls", "dtls"]),
                positional: false,
                required: false,
                help: "How to speak to it; udp unless given",
            },
            Argument {
                name: "count",
                kind: Kind::Number,
                positional: false,
                required: false,
                help: "How many packets; 100 unless given",
            },
            Argument {
                name: "user",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "The user name, where this house makes no credential for the server",
            },
            Argument {
                name: "password-file",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "Read the user's password from the first line of this file; - is the standard input",
            },
        ],
        returns: Returned::of::<TurnTest>(),
        run: Run::CommandLine(relay_test::run),
        ..LOOK
    },
    Command {
        path: &["sip", "bindings"],
        summary: "List who is registered: each phone with its contact and where it registered from",
        arguments: &[
            Argument {
                name: "user",
                positional: false,
                required: false,
                help: "Only those of this account",
                ..ADDRESS
            },
            LIMIT,
            AFTER,
        ],
        returns: Returned::of::<SipBindings>(),
        run: Run::Server(sip::bindings),
        ..LOOK
    },
    Command {
        path: &["sip", "calls"],
        summary: "List the calls that ring or stand",
        details: "A call that ends without a BYE is listed until its session timer runs out, or for a day.",
        arguments: &[
            Argument {
                name: "user",
                positional: false,
                required: false,
                help: "Only those from or to this account, of the part that is listed",
                ..ADDRESS
            },
            LIMIT,
            AFTER,
        ],
        returns: Returned::of::<SipCalls>(),
        run: Run::Server(sip::calls),
        ..LOOK
    },
    Command {
        path: &["sip", "hangup"],
        summary: "End a call: both sides are told (BYE), what rings is cancelled",
        details: "Nothing keeps them from calling again. Media that does not pass through this server ends when the \
                  telephones end it.",
        arguments: &[CALL_ID],
        reads: false,
        returns: Returned::of::<Done>(),
        run: Run::Server(sip::hangup),
        ..LOOK
    },
    Command {
        path: &["sip", "recent"],
        summary: "List the latest calls with how they went and why, the last one first",
        details: "Messages (MESSAGE) and registrations that were refused are listed too. From the same trace as `sip why`.",
        arguments: &[
            Argument {
                name: "user",
                positional: false,
                required: false,
                help: "Only those from or to this account, of the latest 500",
                ..ADDRESS
            },
            Argument { help: "At most so many; 20 unless given, never more than 500", ..LIMIT },
        ],
        returns: Returned::of::<SipRecent>(),
        run: Run::Server(sip::recent),
        ..LOOK
    },
    Command {
        path: &["sip", "why"],
        summary: "Say how a call went and why, with its ladder",
        details: "From a trace in memory of the latest calls; it holds first lines of messages and what the server found \
                  out, no credentials. It ends with the server. Messages (MESSAGE) are told of too, and registrations that \
                  were refused.",
        arguments: &[CALL_ID],
        returns: Returned::of::<SipStory>(),
        run: Run::Server(sip::why),
        ..LOOK
    },
    Command {
        path: &["sip", "bans"],
        summary: "List the sources and accounts that are shut out for failed sign-ins or floods",
        details: "Sign-ins of XMPP count too. `sip.bans` says after how many failures or requests, and for how long.",
        returns: Returned::of::<Bans>(),
        run: Run::Server(bans::list),
        ..LOOK
    },
    Command {
        path: &["sip", "ban"],
        summary: "Take nothing more from an address, neither SIP nor XMPP",
        details: "Datagrams are dropped without an answer, streams are closed; XMPP sessions that are signed in go on. \
                  A restart of the server ends every ban. Of IPv6 the whole /64 is banned.",
        arguments: &[
            SOURCE,
            Argument {
                name: "for",
                kind: Kind::Text,
                positional: false,
                required: false,
                help: "How long, as 90s, 30m, 1h or 7d; 1h unless given",
            },
        ],
        reads: false,
        returns: Returned::of::<Done>(),
        run: Run::Server(bans::ban),
        ..LOOK
    },
    Command {
        path: &["sip", "unban"],
        summary: "End a ban of an address, or the lock of an account",
        arguments: &[Argument { help: "The address as `sip bans` lists it, or user@domain", ..SOURCE }],
        reads: false,
        returns: Returned::of::<Done>(),
        run: Run::Server(bans::unban),
        ..LOOK
    },
    Command {
        path: &["ca", "show"],
        summary: "Show the root certificate of our own authority, which clients are to trust",
        details: "Clients and other servers install it where the house has no certificate of a public authority. Debian: into \
                  /usr/local/share/ca-certificates/parlour.crt, then update-ca-certificates. Compare the fingerprint.",
        returns: Returned::of::<CaShown>(),
        run: Run::Plan(authority::show),
        ..LOOK
    },
    dns::ZONE,
    dns::CHECK,
    dns::PUSH,
    Command {
        path: &["completions"],
        summary: "Print a shell's completion script",
        details: "For bash: parlour completions bash > /usr/share/bash-completion/completions/parlour",
        arguments: &[Argument {
            name: "shell",
            kind: Kind::Choice(&["bash", "zsh", "fish"]),
            positional: true,
            required: true,
            help: "The shell",
        }],
        returns: Returned::of::<Text>(),
        run: Run::CommandLine(pages::completions),
        ..LOOK
    },
    Command {
        path: &["man"],
        summary: "Write the man pages into a folder",
        arguments: &[DIRECTORY],
        returns: Returned::of::<Written>(),
        run: Run::CommandLine(pages::man),
        ..LOOK
    },
    Command {
        path: &["openapi"],
        summary: "Print the OpenAPI description of the admin socket's HTTP interface",
        returns: Returned::of::<Document>(),
        run: Run::CommandLine(pages::openapi),
        ..LOOK
    },
    Command {
        path: &["docs"],
        summary: "Write the administrator's reference pages into a folder",
        arguments: &[DIRECTORY],
        hidden: true,
        returns: Returned::of::<Written>(),
        run: Run::CommandLine(pages::docs),
        ..LOOK
    },
];

const DIRECTORY: Argument = Argument {
    name: "dir",
    kind: Kind::Path,
    positional: true,
    required: true,
    help: "The folder; it is made if it is not there",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::command::find;

    #[test]
    fn every_command_is_in_order() {
        for command in COMMANDS {
            assert!(matches!(command.path.len(), 1 | 2), "{:?}", command.path);
            assert!(!command.summary.is_empty() && !command.summary.ends_with('.'), "{:?}", command.path);
            if let [group, _] = command.path {
                assert!(GROUPS.iter().any(|(name, _)| name == group), "{group}");
            }
            let mut optional = false;
            for argument in command.arguments.iter().filter(|argument| argument.positional) {
                assert!(!(optional && argument.required), "{:?}", command.path);
                optional |= !argument.required;
            }
            let on_socket = command.route().is_some();
            assert!(!(on_socket && command.arguments.iter().any(|argument| argument.kind == Kind::Path)));
            assert_eq!(command.path.join("-"), command.id());
            assert_eq!(COMMANDS.iter().filter(|other| other.path == command.path).count(), 1);
        }
    }

    #[test]
    fn commands_are_found_by_their_words() {
        assert_eq!(find(COMMANDS, ["user", "add"]).map(Command::words).as_deref(), Some("user add"));
        assert!(find(COMMANDS, ["user"]).is_none());
    }
}
