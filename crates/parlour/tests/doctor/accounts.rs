//! Faults of the accounts.

use crate::visit::{BINARY, house, visit};
use testkit::House;

#[test]
fn nobody_can_sign_in() {
    let house = House::of(BINARY).start();
    let said = visit(&house, "accounts");
    said.found(&["warning no-accounts"]);
    said.says("no-accounts", "fix", "parlour user add NAME@falcot.com");
}

#[test]
fn administrators_and_users_who_cannot() {
    let house = house().start();
    let text = std::fs::read_to_string(house.config()).expect("there");
    std::fs::write(house.config(), text.replace("admins = []", "admins = [\"zoe@falcot.com\"]"))
        .expect("ours");
    let rows = "address,ha1-md5\njoe@falcot.com,00112233445566778899aabbccddeeff\n";
    assert!(house.cli(&["user", "import", "-"], rows).status.success());
    let said = visit(&house, "accounts");
    said.found(&["warning admin-unknown", "notice no-keys"]);
    said.says("no-keys", "message", "xmpp");
    said.says("no-keys", "evidence", "joe@falcot.com");
    said.says("admin-unknown", "fix", "parlour user add zoe@falcot.com");
}

#[test]
fn who_is_shut_out() {
    let house = house().start();
    assert!(house.cli(&["sip", "ban", "127.0.0.1"], "").status.success());
    let said = visit(&house, "accounts");
    said.found(&["error banned"]);
    said.says("banned", "fix", "parlour sip unban 127.0.0.1");
}

#[test]
fn an_account_that_is_locked() {
    let bans =
        "{ attempts = 1000, window = \"10m\", time = \"10m\", longest = \"1d\", account = 2, trusted = [] }";
    let house = house().set("sip", "bans", bans).start();
    let password = house.dir().join("password");
    std::fs::write(&password, "another one").expect("ours");
    let file = password.display().to_string();
    let words = ["doctor", "--only", "sip,xmpp", "--account", "roland@falcot.com", "--password-file", &file];
    assert!(!house.cli(&words, "").status.success());
    let said = visit(&house, "accounts");
    said.found(&["notice locked"]);
    said.says("locked", "fix", "parlour sip unban roland@falcot.com");
}
