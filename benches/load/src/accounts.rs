//! The accounts of a benchmark, as each server reads them. One salt for all: the clients compute its slow part once.

use crate::digest::{hex, md5};
use crate::options::Options;
use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use std::io::{BufWriter, Write};
use std::path::Path;

const SALT: &str = "c2FsdHNhbHRzYWx0";
const ITERATIONS: u32 = 10_000;

/// Writes `--users` accounts for the server `--for` into the file (Prosody: folder) `--to`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (users, to) = (options.get("users", 1000usize)?, options.get("to", String::new())?);
    let (domain, password) = (options.domain()?, options.password()?);
    let keys = Keys::derive(&password);
    match options.get("for", String::new())?.as_str() {
        "parlour" => parlour(users, &domain, &password, &keys, Path::new(&to)),
        "kamailio" => kamailio(users, &domain, &password, Path::new(&to)),
        "prosody" => prosody(users, &keys, Path::new(&to)),
        "ejabberd" => ejabberd(users, &domain, &keys, Path::new(&to)),
        other => bail!("--for parlour, kamailio, prosody or ejabberd, not `{other}`"),
    }
}

/// What a SCRAM-SHA-1 server keeps (RFC 5802 §3).
struct Keys {
    stored: [u8; 20],
    server: [u8; 20],
}

impl Keys {
    fn derive(password: &str) -> Self {
        let mut salted = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), SALT.as_bytes(), ITERATIONS, &mut salted);
        let mac = |text: &[u8]| -> [u8; 20] {
            let mut mac = Hmac::<Sha1>::new_from_slice(&salted).expect("any length is a key");
            mac.update(text);
            mac.finalize().into_bytes().into()
        };
        Self { stored: Sha1::digest(mac(b"Client Key")).into(), server: mac(b"Server Key") }
    }
}

fn parlour(users: usize, domain: &str, password: &str, keys: &Keys, to: &Path) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(to)?);
    writeln!(file, "address,ha1-md5,scram-sha-1")?;
    let [salt, stored, server] =
        [SALT.as_bytes(), &keys.stored, &keys.server].map(|key| STANDARD.encode(key));
    for i in 0..users {
        let digest = hex(&md5(&[&format!("load{i}"), domain, password]));
        writeln!(file, "load{i}@{domain},{digest},{ITERATIONS}:{salt}:{stored}:{server}")?;
    }
    Ok(file.flush()?)
}

fn kamailio(users: usize, domain: &str, password: &str, to: &Path) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(to)?);
    writeln!(file, "BEGIN;")?;
    for i in 0..users {
        writeln!(
            file,
            "INSERT INTO subscriber (username, domain, password, ha1, ha1b) \
             VALUES ('load{i}', '{domain}', '{password}', '', '');"
        )?;
    }
    writeln!(file, "COMMIT;")?;
    Ok(file.flush()?)
}

fn prosody(users: usize, keys: &Keys, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let (stored, server) = (hex(&keys.stored), hex(&keys.server));
    let text = format!(
        "return {{\n\t[\"iteration_count\"] = {ITERATIONS};\n\t[\"salt\"] = \"{SALT}\";\n\t\
         [\"server_key\"] = \"{server}\";\n\t[\"stored_key\"] = \"{stored}\";\n}};\n"
    );
    (0..users).try_for_each(|i| Ok(std::fs::write(to.join(format!("load{i}.dat")), &text)?))
}

/// What ejabberd evaluates when it has started: its own records of accounts.
fn ejabberd(users: usize, domain: &str, keys: &Keys, to: &Path) -> Result<()> {
    let [stored, server] = [&keys.stored, &keys.server].map(|key| STANDARD.encode(key));
    let salt = STANDARD.encode(SALT);
    let text = format!(
        "Put = fun(I) -> U = <<\"load\", (integer_to_binary(I))/binary>>, \
         mnesia:dirty_write(passwd, {{passwd, {{U, <<\"{domain}\">>}}, \
         {{scram, <<\"{stored}\">>, <<\"{server}\">>, <<\"{salt}\">>, sha, {ITERATIONS}}}}}) end.\n\
         lists:foreach(Put, lists:seq(0, {})).\n",
        users - 1
    );
    Ok(std::fs::write(to, text)?)
}
