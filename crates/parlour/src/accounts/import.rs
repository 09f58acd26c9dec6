//! Many accounts from a CSV file, with a password each or with the keys that another server kept.
//!
//! Every row is judged before the first account is written: a file with a bad row changes nothing.

use super::derive;
use base64::Engine;
use std::collections::HashMap;
use wire::{Account, Address, Directory, Keys, Scram, Secret};

/// The names of the columns. `address` must be there; of the others, at least one must have a value in each row.
pub const COLUMNS: [&str; 8] = [
    "address",
    "password",
    "ha1-md5",
    "ha1-sha256",
    "scram-sha-1",
    "scram-sha-256",
    "ha1-sha512-256",
    "scram-sha-512",
];

/// The cost of a login that a peer may ask us to accept from elsewhere.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A row that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a file: the accounts in its order, or every row that is refused.
pub fn read(text: &[u8], directory: &Directory) -> Result<Vec<Account>, Vec<RowFault>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text);
    let header = reader.headers().map_err(|error| vec![fault(&error)])?;
    let columns = columns(header).map_err(|message| vec![RowFault { line: 1, message }])?;
    let mut seen = HashMap::new();
    let (mut rows, mut faults) = (vec![], vec![]);
    for record in reader.records() {
        let row = match record {
            Ok(record) => (line_of(&record), row(&record, &columns, directory)),
            Err(error) => {
                faults.push(fault(&error));
                continue;
            }
        };
        match row {
            (line, Ok(row)) => match seen.insert(row.address.clone(), line) {
                None => rows.push(row),
                Some(first) => {
                    let message = format!("{} stands in line {first} already", row.address);
                    faults.push(RowFault { line, message });
                }
            },
            (line, Err(message)) => faults.push(RowFault { line, message }),
        }
    }
    if faults.is_empty() { Ok(derive_all(rows)) } else { Err(faults) }
}

fn fault(error: &csv::Error) -> RowFault {
    let line = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the header {expected_len}")
        }
        other => format!("{other:?}"),
    };
    RowFault { line, message }
}

fn line_of(record: &csv::StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// Where each of [`COLUMNS`] stands.
fn columns(header: &csv::StringRecord) -> Result<[Option<usize>; COLUMNS.len()], String> {
    let mut places = [None; COLUMNS.len()];
    for (place, name) in header.iter().enumerate() {
        let name = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let Some(column) = COLUMNS.iter().position(|column| *column == name) else {
            let near = crate::config::fault::nearest(&name, COLUMNS);
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(format!("there is no column `{name}`{near} (columns: {})", COLUMNS.join(",")));
        };
        if places[column].replace(place).is_some() {
            return Err(format!("the column `{name}` is there twice"));
        }
    }
    match places {
        [None, ..] => Err("the first line names the columns, and `address` is not among them".into()),
        [_, None, None, None, None, None, None, None] => {
            Err(format!("no column has a password or keys (columns: {})", COLUMNS.join(",")))
        }
        _ => Ok(places),
    }
}

/// A row that is in order.
struct Row {
    address: Address,
    password: Option<Secret>,
    keys: Keys,
}

fn row(
    record: &csv::StringRecord,
    columns: &[Option<usize>; COLUMNS.len()],
    directory: &Directory,
) -> Result<Row, String> {
    let whole = |column: usize| columns[column].and_then(|place| record.get(place)).unwrap_or("");
    let field = |column| Some(whole(column).trim()).filter(|text: &&str| !text.is_empty());
    // Spaces around a password are its own.
    let password = Some(whole(1)).filter(|text| !text.is_empty());
    let keys = Keys {
        md5: field(2).map(|text| hex(text, "ha1-md5")).transpose()?,
        sha256: field(3).map(|text| hex(text, "ha1-sha256")).transpose()?,
        scram_sha1: field(4).map(|text| scram(text, "scram-sha-1")).transpose()?,
        scram_sha256: field(5).map(|text| scram(text, "scram-sha-256")).transpose()?,
        sha512_256: field(6).map(|text| hex(text, "ha1-sha512-256")).transpose()?,
        scram_sha512: field(7).map(|text| scram(text, "scram-sha-512")).transpose()?,
        ..Keys::default()
    };
    let password = password.map(wire::address::password).transpose().map_err(|error| error.to_string())?;
    let address = address(field(0).ok_or("the address is missing")?, directory)?;
    match (&password, keys == Keys::default()) {
        (None, true) => Err(format!("{address} has neither a password nor keys")),
        (Some(_), false) => Err(format!("{address} has a password and keys; only one of them can be meant")),
        _ => Ok(Row { address, password, keys }),
    }
}

/// An address of ours, at its domain's main name.
pub fn address(text: &str, directory: &Directory) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
    directory.canonical(&address).ok_or_else(|| format!("{} is not a domain of this house", address.domain()))
}

fn hex<const N: usize>(text: &str, column: &str) -> Result<[u8; N], String> {
    let wrong = || format!("{column} must be {} hexadecimal digits", 2 * N);
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// `iterations:salt:stored:server`, the last three in base64.
fn scram<const N: usize>(text: &str, column: &str) -> Result<Scram<N>, String> {
    let fields: Vec<_> = text.split(':').collect();
    let [iterations, salt, stored, server] = fields[..] else {
        return Err(format!("{column} must be iterations:salt:stored:server"));
    };
    let iterations = match iterations.parse() {
        Ok(number @ 1..=ITERATIONS_MAX) => number,
        _ => return Err(format!("{column}: `{iterations}` is not a number of iterations")),
    };
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text);
    let key = |text: &str, name: &str| -> Result<[u8; N], String> {
        let bytes = decode(text).map_err(|_| format!("{column}: the {name} is not base64"))?;
        let found = bytes.len();
        bytes.try_into().map_err(|_| format!("{column}: the {name} has {found} octets, not {N}"))
    };
    let salt = decode(salt).map_err(|_| format!("{column}: the salt is not base64"))?;
    if !(1..=1024).contains(&salt.len()) {
        return Err(format!("{column}: the salt has {} octets", salt.len()));
    }
    let (stored_key, server_key) = (key(stored, "stored key")?, key(server, "server key")?);
    Ok(Scram { iterations, salt: salt.into(), stored_key, server_key })
}

/// The accounts of the rows; keys of passwords are derived on every core, as each costs milliseconds.
fn derive_all(rows: Vec<Row>) -> Vec<Account> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let piece = rows.len().div_ceil(cores).max(64);
    std::thread::scope(|scope| {
        let threads: Vec<_> = rows
            .chunks(piece)
            .map(|rows| scope.spawn(move || rows.iter().map(account).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("deriving does not panic")).collect()
    })
}

fn account(row: &Row) -> Account {
    let keys = match &row.password {
        Some(password) => derive::keys(&row.address, password),
        None => row.keys.clone(),
    };
    Account { address: row.address.clone(), keys }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Domain;

    fn directory() -> Directory {
        let main = Domain::new("falcot.com").unwrap();
        let alias = [Domain::new("sip.falcot.com").unwrap()];
        Directory::new([(&main, &alias[..])])
    }

    fn check(text: &str, expected: Result<&[&str], &[(u64, &str)]>) {
        let got = read(text.as_bytes(), &directory());
        let got = got.map(|accounts| accounts.iter().map(|a| a.address.to_string()).collect::<Vec<_>>());
        let got = got.map_err(|faults| faults.into_iter().map(|f| (f.line, f.message)).collect::<Vec<_>>());
        let expected = expected.map(|list| list.iter().map(|s| (*s).to_owned()).collect());
        let expected = expected.map_err(|list| list.iter().map(|(n, s)| (*n, (*s).to_owned())).collect());
        assert_eq!(got, expected, "{text}");
    }

    const MD5: &str = "8493fbc53ba582fb4c044c456bdc40eb";

    #[test]
    fn rows_with_passwords_and_keys() {
        check(
            &format!("address,password,ha1-md5\njoe@falcot.com,secret,\n\nAnn@SIP.falcot.com,,{MD5}\n"),
            Ok(&["joe@falcot.com", "ann@falcot.com"]),
        );
        check("\u{feff}Address , PASSWORD\n joe@falcot.com , x \n", Ok(&["joe@falcot.com"]));
        let text = format!("ha1-md5,address\n{MD5},joe@falcot.com\n");
        let accounts = read(text.as_bytes(), &directory()).unwrap();
        assert_eq!(accounts[0].keys.md5.unwrap()[..2], [0x84, 0x93]);
        assert_eq!(accounts[0].keys, Keys { md5: accounts[0].keys.md5, ..Keys::default() });
    }

    #[test]
    fn spaces_around_a_password_are_its_own() {
        let accounts = read(b"address,password\njoe@falcot.com, x \n", &directory()).unwrap();
        let spaced = derive::keys(&accounts[0].address, &wire::address::password(" x ").unwrap());
        assert_eq!(accounts[0].keys.md5, spaced.md5);
    }

    #[test]
    fn scram_keys_are_read_as_other_servers_write_them() {
        let text = "address,scram-sha-1\njoe@falcot.com,4096:QSXCR+Q6sek8bf92:6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=\n";
        let accounts = read(text.as_bytes(), &directory()).unwrap();
        let kept = accounts[0].keys.scram_sha1.as_ref().unwrap();
        assert_eq!((kept.iterations, kept.salt.len(), kept.stored_key[0]), (4096, 12, 0xe9));
    }

    #[test]
    fn every_bad_row_is_named() {
        check(
            "address,password,ha1-md5,scram-sha-1\n\
             joe@falcot.com,,,\n\
             joe,x,,\n\
             joe@example.org,x,,\n\
             ann@falcot.com,x,,\n\
             Ann@sip.falcot.com,x,,\n\
             bob@falcot.com,,84,\n\
             bob@falcot.com,x\n\
             cat@falcot.com,,,4096:QQ==:QQ==:QQ==\n\
             dan@falcot.com,,,0:QQ==:QQ==:QQ==\n",
            Err(&[
                (2, "joe@falcot.com has neither a password nor keys"),
                (3, "`joe`: no user part: an address is written user@domain"),
                (4, "example.org is not a domain of this house"),
                (6, "ann@falcot.com stands in line 5 already"),
                (7, "ha1-md5 must be 32 hexadecimal digits"),
                (8, "it has 2 fields, the header 4"),
                (9, "scram-sha-1: the stored key has 1 octets, not 20"),
                (10, "scram-sha-1: `0` is not a number of iterations"),
            ]),
        );
    }

    #[test]
    fn headers() {
        let columns = "(columns: address,password,ha1-md5,ha1-sha256,scram-sha-1,scram-sha-256,ha1-sha512-256,scram-sha-512)";
        check(
            "adress,password\n",
            Err(&[(1, &format!("there is no column `adress`; did you mean `address`? {columns}"))]),
        );
        check("address\n", Err(&[(1, &format!("no column has a password or keys {columns}"))]));
        check("password\n", Err(&[(1, "the first line names the columns, and `address` is not among them")]));
        check("address,password,address\n", Err(&[(1, "the column `address` is there twice")]));
        check("address,password\n", Ok(&[]));
    }
}
