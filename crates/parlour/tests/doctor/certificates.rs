//! Faults of certificates.

use crate::visit::{BINARY, house, visit};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::House;

const NAMES: [&str; 7] = [
    "falcot.com",
    "sip.falcot.com",
    "rooms.falcot.com",
    "turn.falcot.com",
    "xmpp.falcot.com",
    "conference.falcot.com",
    "localhost",
];

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("known");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

/// So many days from now.
fn day(days: i64) -> Asn1Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    Asn1Time::from_unix(now.cast_signed() + days * 86_400).expect("a time")
}

/// Puts another certificate into the house, good from and to these days, signed by this authority, or else by itself.
fn put(house: &House, names: &[&str], days: [i64; 2], by: Option<(&X509, &PKey<Private>)>) {
    let own = key();
    let mut name = X509NameBuilder::new().expect("memory");
    name.append_entry_by_text("CN", "a certificate").expect("short");
    let name = name.build();
    let mut made: X509Builder = X509::builder().expect("memory");
    made.set_version(2).expect("3");
    let serial = BigNum::from_u32(7).and_then(|n| Asn1Integer::from_bn(&n)).expect("a number");
    made.set_serial_number(&serial).expect("set");
    made.set_pubkey(&own).expect("set");
    made.set_subject_name(&name).expect("set");
    made.set_issuer_name(by.map_or(&name, |(authority, _)| authority.subject_name())).expect("set");
    made.set_not_before(&day(days[0])).expect("set");
    made.set_not_after(&day(days[1])).expect("set");
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        alternatives.dns(name);
    }
    let alternatives = alternatives.build(&made.x509v3_context(None, None)).expect("names");
    made.append_extension(alternatives).expect("set");
    made.sign(by.map_or(&own, |(_, key)| key), MessageDigest::sha256()).expect("signed");
    let (certs, pem) = (house.dir().join("data/certs"), made.build().to_pem().expect("PEM"));
    std::fs::write(certs.join("falcot.com.pem"), pem).expect("ours");
    let pem = own.private_key_to_pem_pkcs8().expect("PEM");
    std::fs::write(certs.join("falcot.com.key"), pem).expect("ours");
}

fn authority(house: &House) -> (X509, PKey<Private>) {
    let read = |name: &str| std::fs::read(house.dir().join("data/certs").join(name)).expect("init made it");
    (
        X509::from_pem(&read("authority.pem")).expect("PEM"),
        PKey::private_key_from_pem(&read("authority.key")).expect("PEM"),
    )
}

/// A certificate that has ended, and that our own authority does not renew, for it is not from it.
pub(crate) fn put_ended(house: &House) {
    put(house, &NAMES, [-70, -1], None);
}

/// The settings of a house whose certificate is a matter of files.
pub(crate) const FILES: [(&str, &str, &str); 3] = [
    ("tls", "source", "\"files\""),
    ("tls", "certificate", "\"data/certs/falcot.com.pem\""),
    ("tls", "key", "\"data/certs/falcot.com.key\""),
];

#[test]
fn when_they_end() {
    let house = house().prepare();
    let (root, key) = authority(&house);
    let by = Some((&root, &key));
    let check = |days, expected: &[&str]| {
        put(&house, &NAMES, days, by);
        visit(&house, "certificates").found(expected);
    };
    check([-10, 80], &[]);
    check([-70, 20], &["warning certificate-ends"]);
    check([-70, -1], &["error certificate-ended"]);
    check([2, 90], &["error certificate-early"]);
}

#[test]
fn for_whom_they_are() {
    let house = house().prepare();
    let (root, key) = authority(&house);
    put(&house, &NAMES[..2], [-10, 80], Some((&root, &key)));
    let said = visit(&house, "certificates");
    said.found(&["error certificate-names"]);
    said.says("certificate-names", "message", "rooms.falcot.com");
    said.says("certificate-names", "fix", "parlour reload");
    FILES.iter().for_each(|(table, key, value)| house.set(table, key, value));
    let said = visit(&house, "certificates");
    said.found(&["error certificate-names"]);
    said.says("certificate-names", "fix", "-d turn.falcot.com");
    put(&house, &["falcot.com", "*.falcot.com"], [-10, 80], Some((&root, &key)));
    visit(&house, "certificates").found(&[]);
}

#[test]
fn who_vouches_for_them() {
    let house = house().prepare();
    put(&house, &NAMES, [-10, 80], None);
    let said = visit(&house, "certificates");
    said.found(&["warning certificate-untrusted"]);
    said.says("certificate-untrusted", "message", "nobody but itself");
    // An authority that this host does not know: as a chain without its intermediate looks.
    let other = self::house().prepare();
    let (root, key) = authority(&other);
    let (stranger, by) = (root.to_pem().expect("PEM"), Some((&root, &key)));
    put(&house, &NAMES, [-10, 80], by);
    // The names of both authorities are the same, so it is the signature that does not fit.
    let said = visit(&house, "certificates");
    said.found(&["warning certificate-untrusted"]);
    said.says("certificate-untrusted", "fix", "INTERMEDIATE.pem");
    std::fs::write(house.dir().join("data/roots.pem"), stranger).expect("ours");
    house.set("tls", "roots", "[\"data/roots.pem\"]");
    std::fs::remove_file(house.dir().join("data/certs/authority.pem")).expect("there");
    visit(&house, "certificates").found(&[]);
}

/// The file of such a certificate has its key in it: what overwrote it would end TLS.
#[test]
fn an_authority_by_acme_that_nobody_knows_is_no_reason_to_touch_its_file() {
    let house = house().prepare();
    let other = House::of(BINARY).domain("falcot.org").prepare();
    let (root, key) = authority(&other);
    put(&house, &NAMES, [-10, 80], Some((&root, &key)));
    let certs = house.dir().join("data/certs");
    let read = |name: &str| std::fs::read_to_string(certs.join(name)).expect("put there");
    let both = read("falcot.com.key") + &read("falcot.com.pem");
    let file = certs.join("falcot.com.acme.pem");
    std::fs::write(&file, both).expect("ours");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    house.set("acme", "terms-accepted", "true");
    house.set("tls", "source", "\"acme\"");
    let said = visit(&house, "certificates");
    said.found(&["warning certificate-untrusted"]);
    said.says("certificate-untrusted", "evidence", "falcot.com.acme.pem");
    said.says("certificate-untrusted", "fix", "roots = [\"ROOT.pem\"]");
}

#[test]
fn an_authority_without_its_key() {
    let house = house().prepare();
    std::fs::remove_file(house.dir().join("data/certs/authority.key")).expect("there");
    let said = visit(&house, "certificates");
    said.found(&["warning authority-key"]);
    said.says("authority-key", "evidence", "authority.key");
}

#[test]
fn an_acme_authority_that_has_not_issued_it_yet() {
    let house = house().prepare();
    house.set("acme", "terms-accepted", "true");
    house.set("tls", "source", "\"acme\"");
    let said = visit(&house, "certificates");
    said.found(&["warning certificate-provisional"]);
    said.says("certificate-provisional", "fix", "parlour cert renew");
}

#[test]
fn an_authority_that_ends() {
    let house = house().prepare();
    let own = key();
    let mut name = X509NameBuilder::new().expect("memory");
    name.append_entry_by_text("CN", "an old authority").expect("short");
    let name = name.build();
    let mut made = X509::builder().expect("memory");
    made.set_version(2).expect("3");
    made.set_pubkey(&own).expect("set");
    made.set_subject_name(&name).and_then(|()| made.set_issuer_name(&name)).expect("set");
    made.set_not_before(&day(-3600)).and_then(|()| made.set_not_after(&day(50))).expect("set");
    let constraints = BasicConstraints::new().critical().ca().build().expect("constraints");
    made.append_extension(constraints).expect("set");
    made.sign(&own, MessageDigest::sha256()).expect("signed");
    let root = made.build();
    let certs = house.dir().join("data/certs");
    std::fs::write(certs.join("authority.pem"), root.to_pem().expect("PEM")).expect("ours");
    std::fs::write(certs.join("authority.key"), own.private_key_to_pem_pkcs8().expect("PEM")).expect("ours");
    put(&house, &NAMES, [-10, 45], Some((&root, &own)));
    let said = visit(&house, "certificates");
    said.found(&["warning authority-ends"]);
    said.says("authority-ends", "fix", "parlour ca show");
}
