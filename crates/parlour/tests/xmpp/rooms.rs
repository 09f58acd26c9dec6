//! Rooms (XEP-0045) with real clients: slixmpp's plugins.

use crate::{PACKAGE, end_well, house};
use testkit::process::Program;

#[test]
fn a_room_of_slixmpp_from_its_making_to_its_end() {
    let house = house();
    let mut command = testkit::house::python("clients/xmpp_rooms.py");
    command
        .arg("rooms")
        .args(["--port", &house.port("xmpp.client").to_string()])
        .args(["--tls-port", &house.port("xmpp.client-tls").to_string()])
        .arg("--ca")
        .arg(house.dir().join("data/certs/authority.pem"));
    let program = Program::start(&mut command, PACKAGE);
    end_well(program, "rooms");
}
