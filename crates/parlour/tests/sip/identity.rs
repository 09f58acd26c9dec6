//! Telephones that show a certificate of the house's own authority need no password, until it is taken back.

use crate::agent::Agent;
use crate::phones::{Place, config};
use crate::{configured, house};
use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::house::scratch;
use testkit::process::Program;

/// A certificate for a user, with its key.
fn issued(house: &House, user: &str) -> Vec<u8> {
    let issued = house.cli(&["cert", "user", &format!("{user}@falcot.com"), "--days", "2"], "");
    assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
    issued.stdout
}

/// What a registration is answered that says no password.
fn registers(phone: &mut Agent, user: &str) -> String {
    let request = phone.request(
        "REGISTER",
        "sip:falcot.com",
        &format!("sip:{user}@falcot.com"),
        "Expires: 300\r\n",
        "",
    );
    phone.send(&request);
    phone.answer().line().to_owned()
}

#[test]
fn a_certificate_registers_and_speaks_without_a_password_until_it_is_taken_back() {
    let house = configured(|house| house.set("network", "workers", "2"));
    let pem = issued(&house, "roland");
    let mut joe = Agent::udp(&house, "joe");
    joe.register();
    // Several, so that both workers have some.
    let mut phones: Vec<_> = (0..4).map(|_| Agent::tls_as(&house, "roland", &pem)).collect();
    for phone in &mut phones {
        assert_eq!(registers(phone, "roland"), "SIP/2.0 200 OK");
        let text = phone.request("MESSAGE", "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
        phone.send(text);
        let heard = joe.expect("MESSAGE ");
        joe.reply(&heard, "200 OK", "");
        assert_eq!(phone.answer().line(), "SIP/2.0 200 OK");
        assert_eq!(registers(phone, "joe"), "SIP/2.0 401 Unauthorized", "it is roland's");
    }
    let mut without = Agent::tls(&house, "roland");
    assert_eq!(registers(&mut without, "roland"), "SIP/2.0 401 Unauthorized");
    assert!(house.cli(&["cert", "revoke", "roland@falcot.com"], "").status.success());
    phones.push(Agent::tls_as(&house, "roland", &pem));
    for phone in &mut phones {
        assert_eq!(registers(phone, "roland"), "SIP/2.0 401 Unauthorized", "it was taken back");
    }
    let mut renewed = Agent::tls_as(&house, "roland", &issued(&house, "roland"));
    assert_eq!(registers(&mut renewed, "roland"), "SIP/2.0 200 OK");
}

/// Whoever has shown one is asked for by each connection, while they are taken back: what was true when it was asked
/// does not count when it is answered.
#[test]
fn a_certificate_that_is_taken_back_while_it_is_looked_at_proves_nobody() {
    let house = configured(|house| house.set("network", "workers", "2"));
    let mut revoke = Command::new(env!("CARGO_BIN_EXE_parlour"));
    revoke.args(["cert", "revoke", "roland@falcot.com", "--config"]).arg(house.config());
    for _ in 0..4 {
        let pem = issued(&house, "roland");
        let mut phones = std::thread::scope(|scope| {
            let revoking = scope.spawn(|| revoke.status());
            let mut phones = Vec::new();
            while !revoking.is_finished() && phones.len() < 40 {
                phones.push(Agent::tls_as(&house, "roland", &pem));
            }
            assert!(revoking.join().unwrap().unwrap().success());
            phones
        });
        for phone in &mut phones {
            assert_eq!(registers(phone, "roland"), "SIP/2.0 401 Unauthorized", "it was taken back");
        }
    }
}

/// Another house's authority issues certificates in our names as well as ours does.
#[test]
fn a_certificate_of_another_authority_proves_nobody() {
    let (house, other) = (house(), self::house());
    let mut phone = Agent::tls_as(&house, "roland", &issued(&other, "roland"));
    assert_eq!(registers(&mut phone, "roland"), "SIP/2.0 401 Unauthorized");
    phone.register();
}

#[test]
fn baresip_registers_by_its_certificate_with_a_wrong_password() {
    let house = house();
    let (place, dir) = (Place::here(&house, "tls"), scratch());
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("joe.pem");
    std::fs::write(&file, issued(&house, "joe")).unwrap();
    let config = format!("{}sip_certificate {}\n", config(&place, &dir.to_string_lossy()), file.display());
    std::fs::write(dir.join("config"), config).unwrap();
    std::fs::write(dir.join("contacts"), "").unwrap();
    let account = format!("<sip:joe@falcot.com>;auth_pass=wrong;regint=60;outbound=\"{}\"\n", place.server);
    std::fs::write(dir.join("accounts"), account).unwrap();
    let mut command = place.command();
    command.arg("-f").arg(&dir).args(["-t", "60"]);
    let phone = Program::start(&mut command, "baresip");
    phone.expect("200 OK", Duration::from_secs(30));
    assert!(!phone.output().contains("401"), "{}", phone.output());
    drop(phone);
    drop(std::fs::remove_dir_all(&dir));
}
