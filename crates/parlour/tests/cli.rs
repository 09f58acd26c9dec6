//! Every command through the real binary, without a server: what it says, what it leaves behind, its exit code.

use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What a command did.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// It was carried out.
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// It was refused with this exit code, for this reason.
    fn refused(self, code: i32, reason: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(reason), "{reason}\n{}", self.err);
        assert_eq!(self.out, "");
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }
}

fn run(dir: &Path, arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlour"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("built");
    // A command that does not read its input may have ended already.
    drop(child.stdin.take().expect("piped").write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: status.code().expect("not by a signal"), out: text(stdout), err: text(stderr) }
}

/// A new house in a folder of its own.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().expect("a folder"));
        run(house.0.path(), &["init", "falcot.com", "--dir", ".", "--address", "127.0.0.1"], "").done();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("ours");
    }

    fn run(&self, arguments: &[&str], input: &str) -> Said {
        run(self.0.path(), arguments, input)
    }

    fn json(&self, arguments: &[&str], input: &str) -> Value {
        self.run(&[arguments, &["--json"]].concat(), input).json()
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).expect("there").permissions().mode() & 0o777
    }
}

#[test]
fn what_is_typed_wrongly() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run(dir.path(), arguments, "");
    run(&["usr", "list"]).refused(2, "'user'");
    run(&["user", "add"]).refused(2, "<USER@DOMAIN>");
    run(&["user", "add", "joe@falcot.com", "--password", "secret"]).refused(2, "--password-file");
    run(&["user", "add", "joe@falcot.com", "--generate", "--password-file", "x"])
        .refused(2, "cannot be used with");
    run(&["completions", "tcsh"]).refused(2, "bash");
    assert!(run(&["--help"]).done().contains("user "));
    assert!(run(&["--version"]).done().starts_with("parlour "));
    assert!(!run(&["--help"]).done().contains("reference pages"));
}

#[test]
fn no_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    if !Path::new("/etc/parlour/parlour.toml").exists() {
        run(dir.path(), &["check"], "").refused(2, "`parlour init DOMAIN --dir DIR` makes one");
    }
    run(dir.path(), &["--config", "none.toml", "user", "list"], "").refused(2, "none.toml");
    let error = run(dir.path(), &["--config", "none.toml", "serve", "--json"], "");
    assert_eq!(error.code, 2);
    assert_eq!(error.json()["error"]["kind"], "configuration");
}

#[test]
fn init_makes_a_house_that_stands() {
    let house = House::new();
    for (name, mode) in [
        ("data", 0o700),
        ("data/certs", 0o700),
        ("data/parlour.db", 0o600),
        ("data/certs/authority.key", 0o600),
        ("data/certs/falcot.com.key", 0o600),
    ] {
        assert_eq!(house.mode(name), mode, "{name}");
    }
    let checked = house.json(&["check"], "");
    assert_eq!(checked["warnings"], serde_json::json!([]));
    assert_eq!(checked["domains"][0]["name"], "falcot.com");
    assert_eq!(checked["addresses"], serde_json::json!(["127.0.0.1"]));
    let names = checked["certificates"][0]["names"].as_array().expect("a list");
    for name in ["falcot.com", "sip.falcot.com", "turn.falcot.com", "xmpp.falcot.com", "rooms.falcot.com"] {
        assert!(names.contains(&name.into()), "{name}: {names:?}");
    }
    assert!(names.contains(&"localhost".into()) && names.contains(&"127.0.0.1".into()), "{names:?}");
    let text = std::fs::read_to_string(house.path("parlour.toml")).expect("there");
    let keys = parlour::config::keys::SECTIONS.iter().flat_map(|section| section.keys);
    assert!(keys.clone().all(|key| text.contains(&format!("\n{} = ", key.name))), "{text}");
    let written = text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#'));
    assert_eq!(written.count(), keys.count());
    let verified = Command::new("openssl")
        .args(["verify", "-CAfile", "data/certs/authority.pem", "-verify_hostname", "sip.falcot.com"])
        .arg("data/certs/falcot.com.pem")
        .current_dir(house.0.path())
        .output()
        .expect("openssl is installed");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// The words of `init` in this folder.
fn init_at<'a>(folder: &'a str, addresses: &[&'a str]) -> Vec<&'a str> {
    [&["init", "falcot.com", "--dir", folder, "--address"], addresses].concat()
}

#[test]
fn init_takes_several_addresses_in_one_list_or_in_several() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = |name: &str, addresses: &[&str]| {
        run(dir.path(), &init_at(name, addresses), "").done();
        let text = std::fs::read_to_string(dir.path().join(name).join("parlour.toml")).expect("there");
        let lines = text.lines().filter(|line| line.starts_with("external") || line.starts_with("addresses"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let two = network("a", &["198.51.100.19", "2001:db8::19"]);
    assert!(two.contains("\"198.51.100.19") && two.contains("\"2001:db8::19"), "{two}");
    assert_eq!(network("b", &["198.51.100.19", "--address", "2001:db8::19"]), two);
    // Two of one family in front of a NAT: nobody has said where the second one leads.
    if parlour::config::host::addresses().iter().any(std::net::IpAddr::is_ipv4) {
        let done = run(dir.path(), &init_at("c", &["198.51.100.19", "198.51.100.20"]), "");
        done.refused(2, "198.51.100.20 and another one are not this host's own");
        assert!(!dir.path().join("c").exists());
    }
}

#[test]
fn init_overwrites_nothing() {
    let house = House::new();
    let before = std::fs::read(house.path("parlour.toml")).expect("there");
    house.run(&["init", "example.org", "--dir", "."], "").refused(1, "parlour.toml is there already");
    std::fs::remove_file(house.path("parlour.toml")).expect("ours");
    house.run(&["init", "example.org", "--dir", "."], "").refused(1, "data is there already");
    assert!(!house.path("parlour.toml").exists() && !before.is_empty());
    assert!(house.path("data/certs/falcot.com.pem").exists());
    house.run(&["init", "192.0.2.1", "--dir", "x"], "").refused(2, "give the house a name");
    house.run(&["init", "fal cot", "--dir", "x"], "").refused(2, "is not a domain name");
    house
        .run(&["init", "falcot.com", "--dir", "x", "--address", "here"], "")
        .refused(2, "`here` is not an address");
    assert!(!house.path("x").exists());
}

#[test]
fn check_says_what_is_meant_and_what_is_wrong() {
    let house = House::new();
    let said = house.run(&["check"], "").done();
    for part in ["falcot.com", "port 5060 of every address", "49152-65535", "parlour.db", "rooms.falcot.com"]
    {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let text = std::fs::read_to_string(house.path("parlour.toml")).expect("there");
    let text = text.replace("\nudp = [\":3478\"]", "\nupd = [\":3478\"]");
    let line = 1 + text.lines().position(|line| line.starts_with("upd")).expect("there");
    house.write("wrong.toml", &text);
    house.run(&["--config", "wrong.toml", "check"], "").refused(2, "did you mean `udp`?");
    house.run(&["check", "-c", "wrong.toml"], "").refused(2, &format!("wrong.toml:{line}:1"));
    house.run(&["serve", "-c", "wrong.toml"], "").refused(2, "did you mean `udp`?");
    let said = house.run(&["check", "-c", "wrong.toml", "--json"], "");
    assert_eq!((said.code, said.err.as_str()), (2, ""));
    let fault = &said.json()["error"]["faults"][0];
    assert_eq!((fault["line"].as_u64(), fault["column"].as_u64()), (Some(line as u64), Some(1)));
    assert_eq!((&fault["key"], &fault["file"]), (&"turn.upd".into(), &"wrong.toml".into()));
}

#[test]
fn accounts_come_and_go() {
    let house = House::new();
    assert_eq!(house.run(&["user", "list"], "").done(), "");
    assert_eq!(
        house.run(&["user", "add", "Roland@Falcot.com"], "wonder land\n").done(),
        "added roland@falcot.com\n"
    );
    house
        .run(&["user", "add", "roland@sip.falcot.com"], "x\n")
        .refused(1, "already there: roland@falcot.com");
    house.write("secret", "from a file\r\nnot this\n");
    house.run(&["user", "add", "joe@falcot.com", "--password-file", "secret"], "").done();
    let made = house.json(&["user", "add", "ann@sip.falcot.com", "--generate"], "");
    assert_eq!((&made["address"], &made["result"]), (&"ann@falcot.com".into(), &"added".into()));
    assert_eq!(made["password"].as_str().map(str::len), Some(20));
    assert_eq!(
        house.run(&["user", "list"], "").done(),
        "ann@falcot.com\njoe@falcot.com\nroland@falcot.com\n"
    );
    assert_eq!(house.run(&["user", "list", "sip.falcot.com"], "").done().lines().count(), 3);
    assert_eq!(house.run(&["user", "passwd", "joe@falcot.com"], "new\n").done(), "changed joe@falcot.com\n");
    assert!(
        house
            .run(&["user", "passwd", "joe@falcot.com", "--generate"], "")
            .done()
            .contains("shown this once: ")
    );
    assert_eq!(house.run(&["user", "remove", "joe@falcot.com"], "").done(), "removed joe@falcot.com\n");
    let list = house.json(&["user", "list"], "");
    assert_eq!(list["users"].as_array().map(Vec::len), Some(2));
    assert_eq!(list["users"][0]["works"], serde_json::json!(["sip", "turn", "xmpp"]));
    let shown = house.run(&["user", "show", "ann@falcot.com"], "").done();
    assert!(shown.contains("sip, turn, xmpp") && !shown.contains("missing"), "{shown}");
}

#[test]
fn accounts_that_are_refused() {
    let house = House::new();
    house
        .run(&["user", "add", "joe@example.org"], "x\n")
        .refused(2, "example.org is not a domain of this house");
    house.run(&["user", "add", "joe"], "x\n").refused(2, "an address is written user@domain");
    house.run(&["user", "add", "j:oe@falcot.com"], "x\n").refused(2, "a character that names may not have");
    house.run(&["user", "add", "joe@falcot.com"], "").refused(2, "has no password");
    house.run(&["user", "add", "joe@falcot.com"], "\n").refused(2, "has no password");
    house
        .run(&["user", "add", "joe@falcot.com"], "a\u{7}b\n")
        .refused(2, "a character that passwords may not have");
    house.run(&["user", "add", "joe@falcot.com", "--password-file", "none"], "").refused(1, "none: ");
    for command in ["passwd", "remove", "show"] {
        house
            .run(&["user", command, "joe@falcot.com"], "x\n")
            .refused(1, "there is no account joe@falcot.com");
    }
    house.run(&["user", "list", "example.org"], "").refused(2, "is not a domain of this house");
    let error = house.run(&["user", "show", "joe@falcot.com", "--json"], "");
    assert_eq!(error.code, 1);
    assert_eq!(error.json()["error"]["kind"], "not-found");
}

#[test]
fn a_password_is_kept_nowhere() {
    let house = House::new();
    house.run(&["user", "add", "joe@falcot.com"], "Sesam-oeffne-dich\n").done();
    for entry in std::fs::read_dir(house.path("data")).expect("there") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("ours");
            assert!(!bytes.windows(17).any(|window| window == b"Sesam-oeffne-dich"), "{}", path.display());
        }
    }
}

/// `script` (Debian: bsdutils, always installed) gives the command a terminal.
fn at_a_terminal(house: &House, typed: &str) -> (i32, String) {
    let command = format!("{} user add joe@falcot.com", env!("CARGO_BIN_EXE_parlour"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"])
        .current_dir(house.0.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed");
    let mut terminal = child.stdin.take().expect("piped");
    for line in typed.lines() {
        // The prompt throws away what was typed before it.
        std::thread::sleep(std::time::Duration::from_millis(700));
        writeln!(terminal, "{line}").expect("it reads");
    }
    drop(terminal);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code().expect("not by a signal"), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn at_a_terminal_the_password_is_asked_for_twice_and_not_shown() {
    let house = House::new();
    let (code, seen) = at_a_terminal(&house, "apple tree\npear tree\n");
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("Password for joe@falcot.com: ") && seen.contains("two different"), "{seen}");
    let (code, seen) = at_a_terminal(&house, "apple tree\napple tree\n");
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("added joe@falcot.com") && !seen.contains("apple"), "{seen}");
}

const SCRAM: &str = "4096:QSXCR+Q6sek8bf92:6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";

#[test]
fn accounts_from_other_servers() {
    let house = House::new();
    house.write(
        "in.csv",
        &format!(
            "address,password,ha1-md5,scram-sha-1\n\
             ann@falcot.com,secret,,\n\
             bob@falcot.com,,8493fbc53ba582fb4c044c456bdc40eb,\n\
             cat@sip.falcot.com,,,{SCRAM}\n"
        ),
    );
    assert_eq!(house.run(&["user", "import", "in.csv"], "").done(), "imported 3 accounts\n");
    let shown = house.json(&["user", "show", "bob@falcot.com"], "");
    assert_eq!(shown["works"], serde_json::json!(["sip", "turn"]));
    assert_eq!(shown["keys"], serde_json::json!(["ha1-md5"]));
    let shown = house.run(&["user", "show", "cat@falcot.com"], "").done();
    assert!(
        shown.contains("works    xmpp\n") && shown.contains("missing  scram-sha-256, ha1-md5"),
        "{shown}"
    );
    assert!(house.run(&["user", "list"], "").done().contains("bob@falcot.com  sip turn only\n"));

    house.run(&["user", "import", "in.csv"], "").refused(1, "already there: ann@falcot.com, bob@falcot.com");
    let again = "address,password\nann@falcot.com,x\ndan@falcot.com,y\n";
    house.run(&["user", "import", "-"], again).refused(1, "already there: ann@falcot.com");
    assert!(!house.run(&["user", "list"], "").done().contains("dan@"));
    assert_eq!(house.run(&["user", "import", "-", "--replace"], again).done(), "imported 2 accounts\n");
    assert_eq!(house.run(&["user", "list"], "").done().lines().count(), 4);
}

#[test]
fn a_file_with_a_bad_row_is_refused_whole() {
    let house = House::new();
    house.write("in.csv", "address,password\nann@falcot.com,x\njoe@example.org,x\nbob@falcot.com,\n");
    house
        .run(&["user", "import", "in.csv"], "")
        .refused(1, "line 3: example.org is not a domain of this house");
    let error = house.run(&["user", "import", "in.csv", "--json"], "").json();
    assert_eq!(error["error"]["kind"], "input");
    assert_eq!(error["error"]["faults"].as_array().map(Vec::len), Some(2));
    assert_eq!(error["error"]["faults"][1]["line"], 4);
    assert_eq!(house.run(&["user", "list"], "").done(), "");
    std::fs::write(house.path("bytes.csv"), b"address,password\n\xff,x\n").expect("ours");
    house.run(&["user", "import", "bytes.csv"], "").refused(1, "is not UTF-8");
    house.run(&["user", "import", "none.csv"], "").refused(1, "none.csv: ");
    house.run(&["user", "import", "-"], "name,secret\n").refused(1, "there is no column `name`");
}

#[test]
fn an_import_that_the_disk_cannot_take_says_how_far_it_came() {
    let house = House::new();
    let mut text = String::from("address,ha1-md5\n");
    (0..20_000).for_each(|n| text.push_str(&format!("user{n}@falcot.com,{n:032x}\n")));
    house.write("many.csv", &text);
    // No file may grow beyond half a mebibyte; the signal for it is ignored, so that the write fails as on a full disk.
    let limited = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" user import many.csv";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_parlour")])
        .current_dir(house.0.path())
        .output()
        .expect("a shell");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let written = said.split_once("the first ").and_then(|(_, rest)| rest.split(' ').next());
    let written: usize = written.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(output.status.code(), Some(1));
    let users = house.run(&["user", "list", "--json"], "").json()["users"].as_array().map(Vec::len);
    assert!(written > 0 && users == Some(written), "{said} {users:?}");
    house.run(&["user", "import", "--replace", "many.csv"], "").done();
}

#[test]
fn without_a_server() {
    let house = House::new();
    house.run(&["status"], "").refused(1, "the server does not run");
    house.run(&["reload"], "").refused(1, "the server does not run");
    assert_eq!(house.json(&["status"], "")["error"]["kind"], "unavailable");
    // A socket that a killed server left behind is no server.
    drop(std::os::unix::net::UnixListener::bind(house.path("data/admin.sock")).expect("a socket"));
    house.run(&["status"], "").refused(1, "the server does not run");
    house.run(&["user", "add", "joe@falcot.com", "--generate"], "").done();
}

#[test]
fn a_database_is_made_where_there_is_none_but_not_a_folder() {
    let house = House::new();
    std::fs::remove_file(house.path("data/parlour.db")).expect("ours");
    house.run(&["user", "add", "joe@falcot.com", "--generate"], "").done();
    assert_eq!(house.mode("data/parlour.db"), 0o600);
    let text = std::fs::read_to_string(house.path("parlour.toml")).expect("there");
    house.write("elsewhere.toml", &text.replace("sqlite:data/", "sqlite:nowhere/"));
    house.run(&["user", "list", "-c", "elsewhere.toml"], "").refused(1, "there is no folder");
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(dir.path(), &["completions", shell], "").done();
        assert!(script.contains("import") && script.contains("password-file"), "{shell}");
    }
    std::fs::write(dir.path().join("c"), run(dir.path(), &["completions", "bash"], "").done()).expect("ours");
    assert!(Command::new("bash").arg("-n").arg(dir.path().join("c")).status().expect("bash").success());
    let pages = run(dir.path(), &["man", "man"], "").done();
    for command in parlour::cli::table::COMMANDS {
        let page = dir.path().join(format!("man/parlour-{}.1", command.id()));
        assert_eq!(page.exists(), !command.hidden, "{pages}");
        if !command.hidden {
            let text = std::fs::read_to_string(page).expect("there");
            assert!(text.contains(".TH parlour-"), "{text}");
        }
    }
    assert!(dir.path().join("man/parlour.1").exists());
}

#[test]
fn openapi_lists_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    for document in
        [run(dir.path(), &["openapi"], "").json(), run(dir.path(), &["openapi", "--json"], "").json()]
    {
        assert_eq!(document["openapi"], "3.1.0");
        for route in parlour::cli::table::COMMANDS.iter().filter_map(parlour::admin::command::Command::route)
        {
            assert!(document["paths"][&route]["post"]["responses"]["200"].is_object(), "{route}");
        }
    }
}

#[test]
fn the_reference_pages_are_those_that_the_code_writes() {
    let dir = tempfile::tempdir().expect("a folder");
    run(dir.path(), &["docs", "."], "").done();
    for name in ["configuration.md", "commands.md"] {
        let written = std::fs::read_to_string(dir.path().join(name)).expect("written");
        let kept = std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR")));
        assert!(kept.is_ok_and(|kept| kept == written), "docs/{name} is not up to date: cargo xtask docs");
    }
}

/// A credential of systemd: read where the service manager has put it, and named with what the unit lacks where it is not.
#[test]
fn secrets_as_credentials_of_the_service_manager() {
    let house = House::new();
    let file = house.path("parlour.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, text.replace("secrets = []", "secrets = [{ credential = \"turn\" }]"))
        .expect("ours");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
        command.current_dir(house.0.path()).arg("check").env("CREDENTIALS_DIRECTORY", house.path("given"));
        let output = command.output().expect("built");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("UTF-8"))
    };
    let (code, said) = check();
    assert!(code == Some(2) && said.contains("the unit needs LoadCredential=turn:PATH"), "{said}");
    std::fs::create_dir(house.path("given")).expect("ours");
    std::fs::write(house.path("given/turn"), "north wind\n").expect("ours");
    let (code, said) = check();
    assert!(code == Some(0) && !said.contains("left out") && !said.contains("north wind"), "{said}");
}

#[test]
fn a_secret_in_a_file_that_others_may_read() {
    let house = House::new();
    let file = house.path("parlour.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, text.replace("secrets = []", "secrets = [\"north wind\"]")).expect("ours");
    let warnings = house.json(&["check"], "")["warnings"].to_string();
    assert!(warnings.contains("turn.secrets: others may read") && !warnings.contains("north"), "{warnings}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("ours");
    assert_eq!(house.json(&["check"], "")["warnings"], serde_json::json!([]));
}
