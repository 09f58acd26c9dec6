//! Clients change their passwords (XEP-0077 §3.3).

use crate::raw::{self, Raw};
use crate::{HEADER, end_well, house, start_script};

fn change(user: &str, password: &str) -> String {
    format!(
        "<iq type='set' id='new' to='falcot.com'><query xmlns='jabber:iq:register'><username>{user}</username>\
         <password>{password}</password></query></iq>"
    )
}

/// The session that did it goes on, others end; what was answered survives a power failure.
#[test]
fn a_client_changes_its_password() {
    let mut house = house();
    let mut desk = Raw::session(&house, "joe", "desk");
    let mut phone = Raw::session(&house, "joe", "phone");
    desk.send(&change("joe", "brand-new"));
    desk.expect("id='new' type='result'/>");
    house.kill_and_restart();
    phone.closes_within(crate::LIMIT);
    assert!(!phone.heard().contains("<not-authorized"));
    let mut again = Raw::tls(&house);
    again.send(HEADER);
    again.expect("</stream:features>");
    again.send(&raw::plain_auth("joe", "secret-joe"));
    again.expect("<not-authorized/>");
    again.send(&raw::plain_auth("joe", "brand-new"));
    again.expect("<success");
}

#[test]
fn other_sessions_of_the_account_sign_in_again_and_nobody_elses() {
    let house = house();
    let mut desk = Raw::session(&house, "joe", "desk");
    let mut phone = Raw::session(&house, "joe", "phone");
    let mut nina = Raw::session(&house, "nina", "desk");
    desk.send(&change("nina", "stolen"));
    desk.expect("<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>");
    desk.send(&change("joe", "brand-new"));
    desk.expect("id='new' type='result'/>");
    phone.ends_with_error("reset");
    for session in [&mut desk, &mut nina] {
        session.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
        session.expect("id='p' type='result'/>");
    }
}

#[test]
fn slixmpp_changes_its_password() {
    let house = house();
    end_well(start_script(&house, "clients/xmpp_im.py", "password", &[]), "password");
}
