//! The people and words of scenarios: alice calls, bob's phones ring.

use crate::house::{House, Sent};
use crate::{answer, call, request};

pub(crate) const ALICE: &str = "198.51.100.1:5060";
pub(crate) const BOB: &str = "198.51.100.2:5060";
pub(crate) const BOB2: &str = "198.51.100.3:5060";
pub(crate) const BOB3: &str = "198.51.100.4:5060";

/// A house where bob has these phones.
pub(crate) fn house(phones: &[&str]) -> House {
    let mut house = House::new(1);
    phones.iter().for_each(|phone| call::register(&mut house, "bob", phone));
    house
}

/// A request of alice's to bob.
pub(crate) fn of_alice(method: &str, branch: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let contact = "Contact: <sip:alice@198.51.100.1:5060>\r\n";
    request(method, "sip:bob@falcot.com", ALICE, branch, parties, contact)
}

/// A request of alice's in the dialog that `ok`, as she heard it, has made.
pub(crate) fn within(method: &str, branch: &str, cseq: u32, ok: &Sent) -> String {
    let routes = ok.header("Record-Route");
    let routes: String = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
    let target = ok.header("Contact")[0].trim_matches(['<', '>']);
    let more = format!("{routes}Contact: <sip:alice@198.51.100.1:5060>\r\n");
    request(method, target, ALICE, branch, (ok.header("From")[0], ok.header("To")[0]), &more)
        .replace(&format!("call-{branch}@{ALICE}"), ok.header("Call-ID")[0])
        .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
}

/// The CANCEL of such an INVITE.
pub(crate) fn cancel(branch: &str) -> String {
    of_alice("INVITE", branch).replace("INVITE", "CANCEL")
}

/// The ACK that alice owes for a refusal.
pub(crate) fn ack(branch: &str, refusal: &Sent) -> String {
    of_alice("INVITE", branch)
        .replace("INVITE", "ACK")
        .replace("To: <sip:bob@falcot.com>", &format!("To: {}", refusal.header("To")[0]))
}

/// What a phone answers; a 2xx names where it is.
pub(crate) fn says(house: &mut House, phone: &str, to: &str, status: &str) -> Vec<Sent> {
    let contact = format!("Contact: <sip:bob@{phone}>\r\n");
    let tag = format!("t{}", phone.replace(['.', ':'], ""));
    house.datagram(phone, &answer(to, status, &tag, &contact))
}

/// What was sent to whom.
pub(crate) fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    sent.iter().map(|sent| (sent.to.as_str(), sent.first_line())).collect()
}

/// The same in short: who, and the status code or the method.
pub(crate) fn words(sent: &[Sent]) -> Vec<(&str, &str)> {
    let word = |sent: &Sent| if sent.text.starts_with("SIP/2.0 ") { 1 } else { 0 };
    sent.iter()
        .map(|sent| (sent.to.as_str(), sent.first_line().split(' ').nth(word(sent)).unwrap()))
        .collect()
}

/// The copy of a request that went to a phone.
pub(crate) fn copy(sent: &[Sent], to: &str) -> String {
    sent.iter().find(|sent| sent.to == to).unwrap_or_else(|| panic!("nothing to {to}: {sent:?}")).text.clone()
}
