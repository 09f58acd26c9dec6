//! What the checkers of BIND, NSD and Knot say of zone text.

use crate::house::scratch;
use std::path::Path;
use std::process::Command;

/// Every one of them loads the zone, and none has a word to say against it.
///
/// # Panics
/// When one has, or is not installed.
pub fn check(apex: &str, text: &str) {
    let file = scratch();
    std::fs::write(&file, text).expect("a file for temporary use");
    // SRV records must not point at an alias or at nothing (BIND alone looks).
    let bind = "-S fail -M fail -n fail -k fail -r fail -T warn -W warn -i local";
    run("named-checkzone", "bind9-utils", bind.split(' ').chain([apex]), &file, text);
    run("nsd-checkzone", "nsd", [apex].into_iter(), &file, text);
    run("kzonecheck", "knot-dnssecutils", ["-o", apex].into_iter(), &file, text);
    let _ = std::fs::remove_file(&file);
}

fn run<'a>(program: &str, package: &str, arguments: impl Iterator<Item = &'a str>, file: &Path, text: &str) {
    let missing = |error| panic!("{program} ({error}): cargo xtask test installs it; Debian: {package}");
    let output = Command::new(program).args(arguments).arg(file).output().unwrap_or_else(missing);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let complains = ["warning", "Warning", "error", "has no"].iter().any(|word| said.contains(word));
    assert!(output.status.success() && !complains, "{program}: {said}\n{text}");
}
