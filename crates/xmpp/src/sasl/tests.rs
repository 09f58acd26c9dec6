//! Vectors of the RFCs, exchanges with a client written here, and what is refused.

use super::plain::Derive;
use super::scram::{Algorithm, Challenge, Sha1, Sha256};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;
use wire::{Account, Keys};

/// Hands out what it was given, then zeros.
pub(crate) struct Fixed(pub(crate) Vec<u8>);

impl Entropy for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = if self.0.is_empty() { 0 } else { self.0.remove(0) };
        }
    }
}

pub(crate) fn domain() -> Domain {
    Domain::new("falcot.com").unwrap()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// Everybody's password is `pencil`.
pub(crate) fn directory() -> Directory {
    static DIRECTORY: std::sync::LazyLock<Directory> = std::sync::LazyLock::new(accounts);
    DIRECTORY.clone()
}

fn accounts() -> Directory {
    let password = secret("pencil");
    let digest = |name: &str| Sha256::hash(format!("{name}:falcot.com:pencil").as_bytes());
    let sha1 = Some(scram::derive_sha1(&password, &[1; 16], 100));
    let sha256 = Some(scram::derive_sha256(&password, &[2; 16], 200));
    let sha512 = Some(scram::derive_sha512(&password, &[3; 16], 200));
    let alias = [Domain::new("xmpp.falcot.com").unwrap()];
    let accounts = [
        (
            "roland",
            Keys {
                sha256: Some(digest("roland")),
                scram_sha1: sha1.clone(),
                scram_sha256: sha256.clone(),
                scram_sha512: sha512,
                ..Keys::default()
            },
        ),
        ("scram256", Keys { scram_sha256: sha256, ..Keys::default() }),
        ("scram1", Keys { scram_sha1: sha1, ..Keys::default() }),
        (
            "md5",
            Keys {
                md5: Some(<md5::Md5 as sha2::Digest>::digest("md5:falcot.com:pencil").into()),
                ..Keys::default()
            },
        ),
        ("empty", Keys::default()),
    ];
    Directory::new([(&domain(), &alias[..])]).with(accounts.map(|(name, keys)| {
        let address = Address::new(name, "falcot.com").unwrap();
        (address.clone(), Some(Arc::new(Account { address, keys })))
    }))
}

fn channel() -> Channel {
    Channel { exporter: Some([5; 32]), end_point: Some([6; 48].into()), certificate: None }
}

fn step(exchange: Exchange, data: &[u8]) -> Step {
    let (directory, domain, secret) = (directory(), domain(), secret("house"));
    let entropy = &mut Fixed(vec![7; 24]);
    let offer = Offer::new(&Mechanism::ALL, channel());
    let mut house = House { directory: &directory, domain: &domain, entropy, secret: &secret, offer: &offer };
    exchange.step(data, &mut house)
}

/// The client's side of SCRAM: its last message.
pub(crate) fn answer<A: Algorithm<N>, const N: usize>(
    gs2: &str,
    bare: &str,
    server_first: &str,
    password: &str,
) -> String {
    bound_answer::<A, N>(gs2, &[], bare, server_first, password)
}

/// The same, bound to a TLS session.
pub(crate) fn bound_answer<A: Algorithm<N>, const N: usize>(
    gs2: &str,
    binding: &[u8],
    bare: &str,
    server_first: &str,
    password: &str,
) -> String {
    let part = |key: &str| {
        server_first.split(',').find_map(|part| part.strip_prefix(key)).map(str::to_owned).unwrap()
    };
    let salt = BASE64.decode(part("s=")).unwrap();
    let salted = A::salted(password.as_bytes(), &salt, part("i=").parse().unwrap());
    let key = A::hmac(&salted, b"Client Key");
    let binding = BASE64.encode([gs2.as_bytes(), binding].concat());
    let without_proof = format!("c={binding},r={}", part("r="));
    let said = format!("{bare},{server_first},{without_proof}");
    let signature = A::hmac(&A::hash(&key), said.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

/// A whole exchange: how it ends.
fn exchange(mechanism: Mechanism, gs2: &str, name: &str, password: &str) -> String {
    bound_exchange(mechanism, gs2, &[], name, password)
}

/// The same, with this data of a binding.
fn bound_exchange(mechanism: Mechanism, gs2: &str, data: &[u8], name: &str, password: &str) -> String {
    let bare = format!("n={name},r=abc");
    let told = step(Exchange::Named(mechanism), format!("{gs2}{bare}").as_bytes());
    let (next, said) = match told {
        Step::Challenge(next, said) => (next, said),
        Step::Failure(failure) => return failure.name().to_owned(),
        other => panic!("{other:?}"),
    };
    let last = match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
            bound_answer::<Sha1, 20>(gs2, data, &bare, &said, password)
        }
        Mechanism::ScramSha512 | Mechanism::ScramSha512Plus => {
            bound_answer::<scram::Sha512, 64>(gs2, data, &bare, &said, password)
        }
        _ => bound_answer::<Sha256, 32>(gs2, data, &bare, &said, password),
    };
    match step(next, last.as_bytes()) {
        Step::Success(who, Some(_)) => who.to_string(),
        Step::Failure(failure) => failure.name().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The exchange of an RFC: server's first message, the proof accepted, the server's proof.
fn vector<A: Algorithm<N>, const N: usize>(nonce: &str, salt: &str, first: &str, last: &str, proof: &str) {
    let salt = BASE64.decode(salt).unwrap();
    let keys = scram::derive::<A, N>(&secret("pencil"), &salt, 4096);
    let (gs2, bare) = first.split_at(3);
    let server_first = format!("r={nonce},s={},i=4096", BASE64.encode(&salt));
    assert_eq!(answer::<A, N>(gs2, bare, &server_first, "pencil"), last);
    let address = Address::new("user", "falcot.com").unwrap();
    let challenge = Challenge::<A, N>::with(address.clone(), keys, bare, &server_first, nonce);
    assert_eq!(challenge.finish(last.as_bytes()), Ok((address, proof.to_owned())));
}

#[test]
fn rfc_5802_section_5() {
    vector::<Sha1, 20>(
        "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    );
}

#[test]
fn rfc_7677_section_3() {
    vector::<Sha256, 32>(
        "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    );
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    use Mechanism::{ScramSha1, ScramSha256, ScramSha512};
    for mechanism in [ScramSha1, ScramSha256, ScramSha512] {
        for gs2 in ["n,,", "n,a=roland@falcot.com,", "n,a=Roland@xmpp.falcot.com,"] {
            assert_eq!(exchange(mechanism, gs2, "roland", "pencil"), "roland@falcot.com", "{gs2}");
        }
        assert_eq!(exchange(mechanism, "n,,", "Roland", "pencil"), "roland@falcot.com");
        assert_eq!(exchange(mechanism, "n,,", "roland@xmpp.falcot.com", "pencil"), "roland@falcot.com");
    }
    assert_eq!(exchange(ScramSha256, "n,,", "scram256", "pencil"), "scram256@falcot.com");
}

#[test]
fn scram_binds_to_the_tls_session() {
    use Mechanism::{ScramSha1Plus, ScramSha256Plus, ScramSha512Plus};
    let (exporter, end_point) = ([5; 32], [6; 48]);
    for mechanism in [ScramSha1Plus, ScramSha256Plus, ScramSha512Plus] {
        let check = |gs2: &str, data: &[u8], expected: &str| {
            assert_eq!(
                bound_exchange(mechanism, gs2, data, "roland", "pencil"),
                expected,
                "{mechanism:?} {gs2}"
            );
        };
        check("p=tls-exporter,,", &exporter, "roland@falcot.com");
        check("p=tls-exporter,a=roland@falcot.com,", &exporter, "roland@falcot.com");
        check("p=tls-server-end-point,,", &end_point, "roland@falcot.com");
        check("p=tls-exporter,,", &end_point, "not-authorized");
        check("p=tls-exporter,,", &[0; 32], "not-authorized");
        check("p=tls-exporter,,", &[], "not-authorized");
        check("p=tls-unique,,", &exporter, "malformed-request");
        check("n,,", &[], "malformed-request");
        check("y,,", &[], "malformed-request");
    }
}

#[test]
fn scram_keeps_out_whom_it_should() {
    use Mechanism::{ScramSha1, ScramSha256};
    for mechanism in [ScramSha1, ScramSha256] {
        assert_eq!(exchange(mechanism, "n,,", "roland", "pen"), "not-authorized");
        assert_eq!(exchange(mechanism, "n,,", "nobody", "pencil"), "not-authorized");
        assert_eq!(exchange(mechanism, "n,,", "empty", "pencil"), "not-authorized");
        assert_eq!(exchange(mechanism, "n,,", "joe@example.org", "pencil"), "not-authorized");
        assert_eq!(exchange(mechanism, "n,a=joe@falcot.com,", "roland", "pencil"), "invalid-authzid");
        assert_eq!(exchange(mechanism, "n,a=roland,", "roland", "pencil"), "invalid-authzid");
        assert_eq!(exchange(mechanism, "p=tls-exporter,,", "roland", "pencil"), "malformed-request");
        // Who says that nothing was offered, where it was, was lied to.
        assert_eq!(exchange(mechanism, "y,,", "roland", "pencil"), "not-authorized");
    }
    assert_eq!(exchange(ScramSha1, "n,,", "scram256", "pencil"), "not-authorized");
}

#[test]
fn malformed_scram() {
    let bad = [
        "",
        "n",
        "n,,",
        "n,,n=,r=a",
        "n,,n=a",
        "n,,n=a,r=",
        "n,x,n=a,r=b",
        "n,,m=1,n=a,r=b",
        "x,,n=a,r=b",
        "n,,n=a=,r=b",
        "n,,n=a=2c,r=b",
        "n,,n=a,r=\u{e9}",
        "n,,n=a\0,r=b",
        "n,,r=b,n=a",
    ];
    for message in bad {
        let told = step(Exchange::Named(Mechanism::ScramSha1), message.as_bytes());
        assert!(matches!(told, Step::Failure(Failure::MalformedRequest)), "{message:?}: {told:?}");
    }
    let begun = || match step(Exchange::Named(Mechanism::ScramSha1), b"n,,n=roland,r=abc") {
        Step::Challenge(next, _) => next,
        other => panic!("{other:?}"),
    };
    let nonce = format!("abc{}", "h".repeat(24));
    for (message, expected) in [
        ("", Failure::MalformedRequest),
        ("c=biws", Failure::MalformedRequest),
        (&format!("c=biws,r={nonce},p=!"), Failure::MalformedRequest),
        (&format!("c=biws,r={nonce},p=AAAA"), Failure::MalformedRequest),
        ("c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", Failure::NotAuthorized),
        (&format!("c=eSws,r={nonce},p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="), Failure::NotAuthorized),
        (&format!("c=biws,r={nonce},p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="), Failure::NotAuthorized),
    ] {
        let told = step(begun(), message.as_bytes());
        assert!(matches!(told, Step::Failure(f) if f == expected), "{message:?}: {told:?}");
    }
}

#[test]
fn an_account_that_does_not_exist_looks_like_one() {
    let salt =
        |name: &str, mechanism| match step(Exchange::Named(mechanism), format!("n,,n={name},r=x").as_bytes())
        {
            Step::Challenge(_, said) => said,
            other => panic!("{other:?}"),
        };
    let nobody = salt("nobody", Mechanism::ScramSha1);
    assert_eq!(nobody, salt("Nobody", Mechanism::ScramSha1));
    assert_ne!(nobody, salt("nobody2", Mechanism::ScramSha1));
    assert_ne!(nobody, salt("nobody", Mechanism::ScramSha256));
    let part = |said: &str| said.split(',').nth(1).map(|s| BASE64.decode(&s[2..]).unwrap().len());
    assert_eq!(part(&nobody), Some(scram::SALT));
    assert!(nobody.contains(",i=10000,"));
}

/// PLAIN: how it ends, deriving where that is asked for.
fn plain(message: &str) -> String {
    match step(Exchange::Named(Mechanism::Plain), message.as_bytes()) {
        Step::Success(who, None) => who.to_string(),
        Step::Failure(failure) => failure.name().to_owned(),
        Step::Derive(pending) => {
            let derived = Derive::run(&pending.derive);
            match pending.derived(&derived) {
                Ok(who) => format!("derived {who}"),
                Err(failure) => format!("derived {}", failure.name()),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_compares_with_whatever_key_there_is() {
    assert_eq!(plain("\0roland\0pencil"), "roland@falcot.com");
    assert_eq!(plain("roland@falcot.com\0roland\0pencil"), "roland@falcot.com");
    assert_eq!(plain("\0md5\0pencil"), "md5@falcot.com");
    assert_eq!(plain("\0scram1\0pencil"), "derived scram1@falcot.com");
    assert_eq!(plain("\0scram256\0pencil"), "derived scram256@falcot.com");
    assert_eq!(plain("\0scram256\0pen"), "derived not-authorized");
    for wrong in ["\0roland\0pen", "\0md5\0pen", "\0empty\0pencil", "\0nobody\0pencil", "\0roland\0\u{7}"] {
        assert_eq!(plain(wrong), "not-authorized", "{wrong:?}");
    }
}

/// ejabberd 26.07 had to mend this: whoever knows one password was let in as anybody.
#[test]
fn plain_lets_nobody_in_as_somebody_else() {
    for authzid in ["joe@falcot.com", "joe", "roland", "falcot.com", "roland@example.org", "@"] {
        assert_eq!(plain(&format!("{authzid}\0roland\0pencil")), "invalid-authzid", "{authzid}");
    }
    for malformed in ["", "roland", "\0roland", "\0roland\0", "\0\0pencil", "\0roland\0pencil\0x"] {
        assert_eq!(plain(malformed), "malformed-request", "{malformed:?}");
    }
}
