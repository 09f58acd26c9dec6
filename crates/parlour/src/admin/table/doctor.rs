//! The command that looks whether the installation works.

use super::LOOK;
use crate::admin::answers::doctor::Doctor;
use crate::admin::command::{Argument, Command, Kind, Returned, Run};
use crate::doctor;

const PARTS: Argument = Argument {
    name: "only",
    kind: Kind::Texts,
    positional: false,
    required: false,
    help: "Look only at these parts: configuration, server, host, files, certificates, accounts",
};

pub(super) const DOCTOR: Command = Command {
    path: &["doctor"],
    summary: "Look whether the installation works, and say what mends what does not",
    details: "Each finding says what is wrong, what was seen, and the line to paste or the command that mends it. No secret is \
              shown. The exit code is 1 where something does not work; warnings and notices alone end with 0.",
    arguments: &[PARTS, Argument { name: "without", help: "Leave these parts out", ..PARTS }],
    returns: Returned::of::<Doctor>(),
    run: Run::CommandLine(doctor::run),
    ..LOOK
};
