//! External components (XEP-0114): slixmpp's, and one that does not read.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]

use super::raw::Raw;
use super::{builder, end_well, start_with};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::House;
use wire::Secret;

const LIMIT: Duration = Duration::from_secs(60);

/// A house with a component, and the port that it connects to.
fn house() -> (House, u16) {
    let port = testkit::house::free_port();
    let row =
        format!("[{{ name = \"echo.falcot.com\", secret = \"sesame\", listen = \"127.0.0.1:{port}\" }}]");
    (builder().set("xmpp", "components", &row).start(), port)
}

#[test]
fn a_component_of_slixmpp_answers_a_user() {
    let (house, port) = house();
    let program = start_with(&house, "component", &["--component-port", &port.to_string()]);
    end_well(program, "component");
}

/// A component's connection, signed in.
fn attach(port: u16) -> TcpStream {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    let header = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='echo.falcot.com'>";
    tcp.write_all(header.as_bytes()).unwrap();
    let said = read_until(&mut tcp, "from='echo.falcot.com'>");
    let id = said.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    let proof = xmpp::component::handshake(id, &Secret::new("sesame"));
    tcp.write_all(format!("<handshake>{proof}</handshake>").as_bytes()).unwrap();
    read_until(&mut tcp, "<handshake/>");
    tcp
}

fn read_until(tcp: &mut TcpStream, text: &str) -> String {
    let (mut said, mut octet) = (Vec::new(), [0]);
    while !said.ends_with(text.as_bytes()) {
        tcp.read_exact(&mut octet)
            .unwrap_or_else(|error| panic!("{error} behind {}", String::from_utf8_lossy(&said)));
        said.push(octet[0]);
    }
    String::from_utf8(said).unwrap()
}

/// How many messages a component reads until this one.
fn count_until(tcp: &mut TcpStream, last: &str) -> usize {
    let (mut count, mut kept, mut buffer) = (0, Vec::new(), vec![0; 1 << 16]);
    let end = Instant::now() + LIMIT;
    loop {
        match tcp.read(&mut buffer) {
            Ok(octets) if octets > 0 => kept.extend_from_slice(&buffer[..octets]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => continue,
            other => panic!("{other:?} behind {count} messages"),
        }
        let text = String::from_utf8_lossy(&kept).into_owned();
        count += text.matches("</message>").count();
        if text.contains(last) {
            return count;
        }
        let whole = text.rfind("</message>").map_or(0, |at| at + "</message>".len());
        kept.drain(..whole);
    }
}

/// What a component does not read is kept within bounds; what finds no room is refused, and nothing is lost.
#[test]
fn a_component_that_does_not_read_costs_its_senders_no_message_unseen() {
    let (house, port) = house();
    let mut component = attach(port);
    let mut nina = Raw::session(&house, "nina", "desk");
    let body = "x".repeat(240 * 1024);
    let mut sent = 0;
    let refused = |nina: &Raw| nina.heard().matches("<resource-constraint").count();
    while refused(&nina) == 0 {
        assert!(sent < 200, "nothing is refused");
        nina.send(&format!("<message to='echo.falcot.com' id='m{sent}'><body>{body}</body></message>"));
        sent += 1;
        nina.send(&format!("<iq type='get' id='p{sent}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        nina.expect(&format!("id='p{sent}' type='result'/>"));
    }
    let refused = refused(&nina);
    // Room comes with reading; until then the last word is refused as well.
    let reader = std::thread::spawn(move || count_until(&mut component, "<body>last</body>"));
    let end = Instant::now() + LIMIT;
    for n in 0.. {
        nina.send("<message to='echo.falcot.com' id='last'><body>last</body></message>");
        nina.send(&format!("<iq type='get' id='q{n}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        nina.expect(&format!("id='q{n}' type='result'/>"));
        if reader.is_finished() {
            break;
        }
        assert!(Instant::now() < end, "the component hears nothing more");
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = reader.join().unwrap();
    assert!(read > sent - refused, "{sent} were sent, {refused} refused, {read} read");
}
