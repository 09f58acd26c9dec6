//! `parlour dns check` as an administrator types it: nothing named, in a namespace whose resolver is its own.

use crate::check::{CONFIG, findings};
use crate::command::{House, Said};
use testkit::nameserver::{NameServer, zone};
use testkit::spaces::Spaces;

/// The command in the namespace, where these lines are the hosts file.
fn look(spaces: &Spaces, house: &House, hosts: &str) -> Said {
    house.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:3\n");
    house.write("hosts", &format!("127.0.0.1 localhost\n{hosts}\n"));
    house.write("nsswitch.conf", "hosts: files dns\n");
    // `ip netns exec` gives it mounts of its own.
    let script = "for file in resolv.conf hosts nsswitch.conf; do mount --bind $file /etc/$file || exit 9; done; exec \"$0\" \"$@\"";
    let mut command = spaces.command("house", "sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_parlour"), "dns", "check", "--json"])
        .current_dir(house.path());
    Said::of(command)
}

#[test]
fn the_domains_own_servers_and_this_host_are_found() {
    let Some(spaces) = Spaces::make(&["house"], "") else { return };
    let house = House::new(CONFIG);
    let lines = house.run(&["dns", "zone", "--records"]).done();
    let second = "falcot.com. IN NS gone.example.net.";
    let _server = NameServer::bind_within(
        &spaces,
        "house",
        &[("falcot.com", &zone("falcot.com", 1, &format!("{lines}\n{second}")))],
    );
    let said = look(&spaces, &house, "");
    let json = said.json();
    assert_eq!(findings(&json), ["error lame falcot.com"], "{json:#}");
    assert!(
        json["findings"][0]["message"] == "the name server gone.example.net of falcot.com has no address",
        "{json:#}"
    );
    assert_eq!(
        json["zones"][0]["asked"],
        serde_json::json!(["ns.falcot.com (127.0.0.1)", "resolver 127.0.0.1:53"])
    );
    let said = look(&spaces, &house, "10.9.9.9 sip.falcot.com");
    let json = said.json();
    assert_eq!(findings(&json), ["error lame falcot.com", "warning host sip.falcot.com"], "{json:#}");
    assert_eq!(json["findings"][1]["evidence"], "10.9.9.9");
}
