//! What a registered contact takes of the heap once its transaction is over, counted by an allocator that counts.

use crate::house::{config, directory};
use sip::stack::{Input, Limits, Output, Stack};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Account, Address, Keys, Machine, SocketId};

/// A number that fills the tables by three fifths, as is usual.
const CONTACTS: usize = 5_000;
/// Octets, of the 500 that a contact may take in the whole server; the nonce and what is known of its source are the rest.
const MOST: i64 = 300;

#[test]
fn a_registered_contact_takes_little_memory() {
    let start = testkit::start();
    let accounts = (0..CONTACTS).map(|i| {
        let address = Address::new(&format!("phone{i}"), "falcot.com").unwrap();
        (address.clone(), Some(Arc::new(Account { address, keys: Keys::default() })))
    });
    let directory = Arc::new(directory().with(accounts));
    let mut config = config(0, 1);
    config.limits = Limits { transactions: CONTACTS, per_source: CONTACTS, ..config.limits };
    let mut stack = Stack::new(config, directory, testkit::epoch(start));
    let counted = allocation_counter::measure(|| {
        let now = register_all(&mut stack, start);
        assert_eq!(stack.registrar().count(), CONTACTS);
        stack.tick(now + Duration::from_secs(33));
        assert_eq!(stack.transactions(), 0);
    });
    let each = counted.bytes_current / i64::try_from(CONTACTS).unwrap();
    assert!(each < MOST, "{each} octets a contact");
}

/// A thousand a second; the disk answers at once.
fn register_all(stack: &mut Stack, start: Instant) -> Instant {
    let (local, peer) = ("192.0.2.1".parse().unwrap(), "198.51.100.7:5060".parse().unwrap());
    let mut now = start;
    for i in 0..CONTACTS {
        now += Duration::from_millis(1);
        let more = format!("Contact: <sip:phone{i}@198.51.100.7:5060>\r\nExpires: 3600\r\n");
        let to = format!("<sip:phone{i}@falcot.com>");
        let parties = (&*format!("{to};tag=1"), &*to);
        let text =
            crate::request("REGISTER", "sip:falcot.com", "198.51.100.7", &i.to_string(), parties, &more);
        stack.handle(now, Input::Datagram { socket: SocketId(1), local, peer, bytes: text.as_bytes() });
        while let Some(output) = stack.poll() {
            if let Output::Store { token, .. } = output {
                stack.handle(now, Input::Stored { token, durable: true });
            }
        }
    }
    now
}
