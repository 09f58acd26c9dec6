//! The attributes of later RFCs, as `stun-types` reads them.

use stun::attribute::{AlternateDomain, AlternateServer, PasswordAlgorithm, PasswordAlgorithms, UserHash};
use stun::{Class, Method, TransactionId, Writer};
use stun_types::attribute as theirs;
use stun_types::message::Message;

#[test]
fn another_reader_reads_the_same() {
    let address = "[2001:db8::7]:3478".parse().unwrap();
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Class::Error, Method::ALLOCATE, TransactionId(*b"twelve bytes"))
        .with(&PasswordAlgorithms::OURS)
        .with(&PasswordAlgorithm::Sha256)
        .with(&UserHash::of("roland", "falcot.com"))
        .with(&AlternateServer(address))
        .with(&AlternateDomain("falcot.org"))
        .finish();
    let message = Message::from_bytes(&bytes).unwrap();
    let several = message.attribute::<theirs::PasswordAlgorithms>().unwrap();
    let (md5, sha256) = (theirs::PasswordAlgorithmValue::MD5, theirs::PasswordAlgorithmValue::SHA256);
    assert_eq!(several.algorithms(), [sha256, md5]);
    assert_eq!(message.attribute::<theirs::PasswordAlgorithm>().unwrap().algorithm(), sha256);
    let hash = theirs::Userhash::compute("roland", "falcot.com");
    assert_eq!(message.attribute::<theirs::Userhash>().unwrap().hash(), &hash);
    assert_eq!(message.attribute::<theirs::AlternateServer>().unwrap().server(), address);
    assert_eq!(message.attribute::<theirs::AlternateDomain>().unwrap().domain(), "falcot.org");
}
