//! How the peers are configured: as Debian packages them, with one worker, the benchmark's accounts and ports.

use crate::bench::case::{Service, Setting, users};
use crate::bench::server::{DOMAIN, Place, accounts};
use crate::shell;
use anyhow::{Context, Result, ensure};

/// The script that the package of Kamailio brings.
const KAMAILIO_SCRIPT: &str = "/etc/kamailio/kamailio.cfg";
/// The SQL that the package of its SQLite driver brings.
const KAMAILIO_TABLES: &str = "/usr/share/kamailio/db_sqlite";
const PROSODY_CONFIG: &str = "/etc/prosody/prosody.cfg.lua";

/// A certificate with an elliptic key, as Parlour makes them.
pub(super) fn certificate(place: &Place) -> Result<()> {
    let (key, chain) = (place.text("key.pem"), place.text("chain.pem"));
    let (subject, name) = (format!("/CN={DOMAIN}"), format!("subjectAltName=DNS:{DOMAIN}"));
    let log = place.text("openssl.log");
    let script = "exec openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
                  -keyout \"$1\" -out \"$2\" -subj \"$3\" -addext \"$4\" 2>\"$0\"";
    shell::output("sh", &["-c", script, &log, &key, &chain, &subject, &name]).map(drop)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

pub(super) fn coturn(place: &Place) -> Result<Vec<String>> {
    certificate(place)?;
    let mut line = words(&format!(
        "turnserver -n -L 127.0.0.1 -E 127.0.0.1 -p {} --tls-listening-port {} --no-dtls --no-cli -m 1 -a -r {DOMAIN} \
         --allow-loopback-peers --min-port 21000 --max-port 31999 -l stdout --no-stdout-log",
        place.plain, place.tls
    ));
    line.extend(["--cert".into(), place.text("chain.pem"), "--pkey".into(), place.text("key.pem")]);
    line.extend(["-b".into(), place.text("turndb"), "--pidfile".into(), place.text("turnserver.pid")]);
    for i in 0..users(Service::Turn) {
        line.extend(["-u".into(), format!("load{i}:load")]);
    }
    Ok(line)
}

/// In user space, as its kernel module is not everywhere; one thread, which serves its protocol too.
pub(super) fn rtpengine(place: &Place) -> Vec<String> {
    words(&format!(
        "rtpengine --foreground --table=-1 --interface=127.0.0.1 --listen-ng=127.0.0.1:{} --num-threads=1 --port-min=30000 \
         --port-max=39999 --log-stderr --log-level=3 --no-log-timestamps",
        place.plain
    ))
}

/// It logs into a file: without a system log it would write to the console, which costs more than the calls.
/// `db_mode` 2 writes contacts back once a minute, as packaged; 1 before the answer.
pub(super) fn kamailio(place: &Place, allocator: &str, db_mode: u8) -> Result<Vec<String>> {
    let script = std::fs::read_to_string(KAMAILIO_SCRIPT).context(KAMAILIO_SCRIPT)?;
    let database = place.text("kamailio.db");
    let start = "#!define FLT_ACC 1";
    ensure!(script.contains(start), "{KAMAILIO_SCRIPT} is not the script of the package");
    let own = format!(
        "#!define DBURL \"sqlite:///{database}\"\nloadmodule \"db_sqlite.so\"\nalias=\"{DOMAIN}\"\n{start}"
    );
    let script = script
        .replacen(start, &own, 1)
        .replace("children=8", &format!("children={}", place.workers()))
        .replace("/etc/kamailio/tls.cfg", &place.text("tls.cfg"))
        .replace("\"db_mode\", 2", &format!("\"db_mode\", {db_mode}"));
    let config = place.text("kamailio.cfg");
    std::fs::write(&config, script)?;
    let list = place.text("accounts.sql");
    accounts(Service::Sip, "kamailio", list.as_ref())?;
    for table in ["standard", "auth_db", "usrloc", "acc"] {
        sqlite(&database, &format!("{KAMAILIO_TABLES}/{table}-create.sql"))?;
    }
    sqlite(&database, &list)?;
    let mut line = words(&format!(
        "kamailio -DD -E -A WITH_USRLOCDB -m 512 -M 32 -x {allocator} -l udp:127.0.0.1:{}",
        place.plain
    ));
    if place.setting != Setting::Open {
        line.extend(words("-A WITH_AUTH"));
    }
    if place.setting == Setting::Tls {
        certificate(place)?;
        std::fs::write(
            place.file("tls.cfg"),
            format!(
                "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n\
                 private_key = {}\ncertificate = {}\n",
                place.text("key.pem"),
                place.text("chain.pem")
            ),
        )?;
        line.extend(words(&format!("-A WITH_TLS -N 1 -l tls:127.0.0.1:{}", place.tls)));
    }
    let (run, pid) = (place.text(""), place.text("kamailio.pid"));
    line.extend(["-f".into(), config, "-Y".into(), run, "-P".into(), pid]);
    Ok(line)
}

fn sqlite(database: &str, script: &str) -> Result<()> {
    shell::output("sh", &["-c", "exec sqlite3 \"$0\" < \"$1\"", database, script]).map(drop)
}

/// Lua's generational garbage collector.
pub(super) const GENERATIONAL: &str = "gc = { mode = \"generational\" }\n";
/// Archives in SQLite.
pub(super) const SQL: &str =
    "storage = { archive = \"sql\" }\nsql = { driver = \"SQLite3\", database = \"prosody.sqlite\" }\n";

/// The modules of the package's configuration, without `limits`: that one would measure its 10 kB/s; where messages are
/// archived, also `mam`. `extra` is more of it.
pub(super) fn prosody(place: &Place, extra: &str) -> Result<Vec<String>> {
    certificate(place)?;
    let packaged = std::fs::read_to_string(PROSODY_CONFIG).context(PROSODY_CONFIG)?;
    let mut modules: Vec<&str> = packaged
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\";").map(|(name, _)| name))
        .filter(|name| !matches!(*name, "limits" | "mam"))
        .collect();
    if place.setting == Setting::Archived {
        modules.push("mam");
    }
    ensure!(modules.contains(&"saslauth"), "{PROSODY_CONFIG} is not the configuration of the package");
    accounts(Service::Xmpp, "prosody", &place.file("data/bench%2eexample/accounts"))?;
    let (key, chain) = (place.text("key.pem"), place.text("chain.pem"));
    let config = place.text("prosody.cfg.lua");
    std::fs::write(
        &config,
        format!(
            "modules_enabled = {{ \"{}\" }}\nmodules_disabled = {{ \"s2s\" }}\n\
             {extra}\ndaemonize = false\nrun_as_root = true\n\
             pidfile = \"{}\"\ndata_path = \"{}\"\nadmin_socket = \"{}\"\nlog = {{ info = \"{}\" }}\n\
             interfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {} }}\nc2s_direct_tls_ports = {{ {} }}\n\
             s2s_ports = {{ }}\nhttp_ports = {{ }}\nhttps_ports = {{ }}\nauthentication = \"internal_hashed\"\n\
             ssl = {{ certificate = \"{chain}\"; key = \"{key}\" }}\n\
             c2s_direct_tls_ssl = {{ certificate = \"{chain}\"; key = \"{key}\" }}\nVirtualHost \"{DOMAIN}\"\n\
             Component \"conference.{DOMAIN}\" \"muc\"\n",
            modules.join("\"; \""),
            place.text("prosody.pid"),
            place.text("data"),
            place.text("prosody.sock"),
            place.text("prosody.log"),
            place.plain,
            place.tls,
        ),
    )?;
    Ok(["prosody", "--config", &config, "-F"].map(str::to_owned).to_vec())
}

/// Where Debian puts ejabberd's code.
const EJABBERD_CODE: &str = "/usr/lib/x86_64-linux-gnu";
/// The modules of the package's configuration that clients meet.
const EJABBERD_MODULES: &[&str] = &[
    "mod_adhoc",
    "mod_announce",
    "mod_avatar",
    "mod_blocking",
    "mod_caps",
    "mod_carboncopy",
    "mod_client_state",
    "mod_disco",
    "mod_last",
    "mod_muc",
    "mod_offline",
    "mod_ping",
    "mod_privacy",
    "mod_private",
    "mod_roster",
    "mod_stream_mgmt",
    "mod_time",
    "mod_vcard",
    "mod_vcard_xupdate",
    "mod_version",
];

/// Without shapers, which would be what is measured; with one scheduler for each worker, as it is one for each core.
pub(super) fn ejabberd(place: &Place) -> Result<Vec<String>> {
    certificate(place)?;
    let pem = [std::fs::read(place.file("key.pem"))?, std::fs::read(place.file("chain.pem"))?].concat();
    std::fs::write(place.file("both.pem"), pem)?;
    let list = place.text("accounts.erl");
    accounts(Service::Xmpp, "ejabberd", list.as_ref())?;
    let mut modules: String = EJABBERD_MODULES.iter().map(|name| format!("  {name}: {{}}\n")).collect();
    modules.push_str("  mod_pubsub:\n    plugins:\n      - flat\n      - pep\n");
    if place.setting == Setting::Archived {
        modules.push_str("  mod_mam:\n    default: always\n    assume_mam_usage: true\n");
    }
    let listener = |port, more: &str| {
        format!(
            "  -\n    port: {port}\n    ip: \"127.0.0.1\"\n    module: ejabberd_c2s\n    max_stanza_size: 262144\n    {more}\n"
        )
    };
    let config = place.text("ejabberd.yml");
    std::fs::write(
        &config,
        format!(
            "hosts:\n  - {DOMAIN}\nloglevel: error\ncertfiles:\n  - \"{}\"\nlisten:\n{}{}auth_method: internal\n\
             auth_password_format: scram\nmodules:\n{modules}",
            place.text("both.pem"),
            listener(place.plain, "starttls: true"),
            listener(place.tls, "tls: true"),
        ),
    )?;
    let code = std::fs::read_dir(EJABBERD_CODE).context(EJABBERD_CODE)?;
    let mut folders: Vec<String> = code
        .filter_map(|entry| Some(entry.ok()?.path().join("ebin")))
        .filter(|path| path.is_dir())
        .map(|path| path.display().to_string())
        .collect();
    folders.sort();
    let schedulers = format!("{0}:{0}", place.workers());
    let mut line = ["erl", "-noinput", "+K", "true", "+S", &schedulers, "-pa"].map(str::to_owned).to_vec();
    line.extend(folders);
    line.extend(["-mnesia".into(), "dir".into(), format!("\"{}\"", place.text("mnesia"))]);
    line.extend(["-ejabberd".into(), "config".into(), format!("\"{config}\"")]);
    line.extend(["log_path".into(), format!("\"{}\"", place.text("ejabberd.log"))]);
    line.extend(["-s", "ejabberd", "-eval"].map(str::to_owned));
    line.push(format!("ok = file:eval(\"{list}\")."));
    Ok(line)
}
