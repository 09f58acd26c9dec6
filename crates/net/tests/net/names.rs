//! Which certificate is shown to whom: by the name asked for, by the listener, to an authority that looks whether a name is ours.

use crate::dtls::{LOCAL, Wire};
use crate::support::*;
use net::tls::{CHALLENGE, Identities, Identity};
use net::{Limits, Net};
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::ConnectionId;

/// One identity for a name.
fn of(name: &str) -> (Vec<String>, Identity) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let identity =
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    (vec![name.to_owned()], identity.unwrap())
}

fn der(identity: &Identity) -> Vec<u8> {
    identity.chain().next().unwrap().to_vec()
}

fn context(method: SslMethod, shape: impl FnOnce(&mut SslContextBuilder)) -> SslContext {
    let mut builder = SslContext::builder(method).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    shape(&mut builder);
    builder.build()
}

fn ssl(context: &SslContext, name: Option<&str>) -> Ssl {
    let mut ssl = Ssl::new(context).unwrap();
    name.into_iter().for_each(|name| ssl.set_hostname(name).unwrap());
    ssl
}

/// What a client is shown by TLS.
fn shown(
    house: &House,
    door: usize,
    name: Option<&str>,
    shape: impl FnOnce(&mut SslContextBuilder),
) -> Vec<u8> {
    let stream = ssl(&context(SslMethod::tls_client(), shape), name).connect(house.dial(door)).unwrap();
    stream.ssl().peer_certificate().unwrap().to_der().unwrap()
}

/// What a client is shown by DTLS.
fn shown_by_dtls(server: SocketAddr, name: Option<&str>) -> Vec<u8> {
    let mut ssl = ssl(&context(SslMethod::dtls_client(), |_| {}), name);
    ssl.set_connect_state();
    let mut stream = SslStream::new(ssl, Wire::to(server)).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = stream.connect() {
        assert!(error.code() == ErrorCode::WANT_READ && Instant::now() < until, "{error}");
    }
    stream.ssl().peer_certificate().unwrap().to_der().unwrap()
}

#[test]
fn each_client_is_shown_what_is_for_the_name_that_it_asks_for() {
    let mut second = spec(ECHO, tls(&[]), LOCAL);
    second.usual = Some("talk.example.org".into());
    let mut dtls = spec(ECHO, dtls(&[]), LOCAL);
    dtls.usual = second.usual.clone();
    let house = House::new(1, &[spec(ECHO, tls(&[]), LOCAL), second, dtls]);
    let all = [of("falcot.com"), of("chat.example.org"), of("*.example.org")];
    let [falcot, chat, wild] = all.each_ref().map(|(_, identity)| der(identity));
    house.identities.set(all.into());
    for (door, name, expected) in [
        (0, Some("falcot.com"), &falcot),
        (0, Some("CHAT.example.org"), &chat),
        (0, Some("talk.example.org"), &wild),
        (0, Some("a.talk.example.org"), &falcot),
        (0, None, &falcot),
        (1, Some("chat.example.org"), &chat),
        (1, Some("falcot.com"), &falcot),
        (1, Some("unknown.example"), &wild),
        (1, None, &wild),
    ] {
        assert!(shown(&house, door, name, |_| {}) == *expected, "{name:?} at {door}");
    }
    for (name, expected) in [(Some("falcot.com"), &falcot), (Some("chat.example.org"), &chat), (None, &wild)]
    {
        assert!(shown_by_dtls(house.address(2), name) == *expected, "{name:?} by DTLS");
    }
    // Two are replaced: one by a new one, one by nothing.
    let again = [of("falcot.com"), of("chat.example.org")];
    let [falcot, chat] = again.each_ref().map(|(_, identity)| der(identity));
    house.identities.set(again.into());
    assert!(shown(&house, 1, Some("chat.example.org"), |_| {}) == chat);
    assert!(shown(&house, 1, Some("talk.example.org"), |_| {}) == falcot);
    assert!(shown_by_dtls(house.address(2), Some("chat.example.org")) == chat);
    assert!(shown_by_dtls(house.address(2), None) == falcot);
}

/// What a client says in plain that it means, on a stream that goes on inside TLS.
fn meaning(probe: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    probe.tell(Seen::Received { conn, data: data.to_vec() });
    if net.info(conn).is_some_and(|info| !info.transport.is_secure()) {
        net.write(conn, b"go").unwrap();
        net.accept_tls(conn, std::str::from_utf8(data).ok());
    } else {
        let shown = net.shown(conn).map(|identity| der(&identity)).unwrap_or_default();
        net.write(conn, &shown).unwrap();
    }
    data.len()
}

#[test]
fn who_asks_for_no_name_of_ours_in_mid_stream_is_shown_what_is_for_the_one_that_it_has_meant_before() {
    let mut plain = spec(SCRIPT, tcp(), LOCAL);
    plain.usual = Some("chat.example.org".into());
    let house = House::with(1, &[plain], Limits::default(), meaning);
    let all = [of("falcot.com"), of("chat.example.org"), of("example.net")];
    let [falcot, chat, net] = all.each_ref().map(|(_, identity)| der(identity));
    house.identities.set(all.into());
    let context = context(SslMethod::tls_client(), |_| {});
    for (meant, asked, expected) in [
        ("falcot.com", None, &falcot),
        ("example.net", None, &net),
        ("chat.example.org", None, &chat),
        ("unknown.example", None, &chat),
        ("falcot.com", Some("example.net"), &net),
        ("falcot.com", Some("unknown.example"), &falcot),
    ] {
        let mut stream = house.dial(0);
        stream.write_all(meant.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        let mut stream = ssl(&context, asked).connect(stream).unwrap();
        let shown = stream.ssl().peer_certificate().unwrap().to_der().unwrap();
        assert!(shown == *expected, "{meant}, {asked:?}");
        stream.write_all(b"who?").unwrap();
        let mut said = vec![0; expected.len()];
        stream.read_exact(&mut said).unwrap();
        assert!(said == *expected, "we know what was shown: {meant}, {asked:?}");
    }
}

#[test]
fn of_two_keys_for_a_name_each_client_is_shown_the_one_that_it_can_check() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), LOCAL)]);
    let names = vec!["falcot.com".to_owned()];
    let (ecdsa, rsa) = (of("falcot.com").1, crate::dtls::rsa());
    house.identities.set(vec![(names.clone(), ecdsa.clone()), (names, rsa.clone())]);
    let only =
        |list: &'static str| move |builder: &mut SslContextBuilder| builder.set_sigalgs_list(list).unwrap();
    assert!(shown(&house, 0, Some("falcot.com"), |_| {}) == der(&ecdsa));
    assert!(shown(&house, 0, Some("falcot.com"), only("RSA-PSS+SHA256:RSA+SHA256")) == der(&rsa));
    assert!(shown(&house, 0, Some("falcot.com"), only("ECDSA+SHA256")) == der(&ecdsa));
    assert!(house.identities.shown_for(&[Some("falcot.com")]).is_none(), "that depends on the client");
}

#[test]
fn an_authority_that_looks_for_a_name_is_shown_its_challenge_and_nothing_follows() {
    let mut asking = spec(ECHO, tls(&["sip/2"]), LOCAL);
    asking.asks = true;
    let house = House::new(1, &[spec(ECHO, tls(&["sip/2"]), LOCAL), asking]);
    let (challenge, usual) = (of("falcot.com").1, der(&house.identities.current()));
    let alpn =
        |list: &'static [u8]| move |builder: &mut SslContextBuilder| builder.set_alpn_protos(list).unwrap();
    assert!(house.identities.challenge("Falcot.com", Some(challenge.clone())));
    for door in [0, 1] {
        let context = context(SslMethod::tls_client(), alpn(b"\x0aacme-tls/1"));
        let mut stream = ssl(&context, Some("falcot.com")).connect(house.dial(door)).unwrap();
        assert_eq!(stream.ssl().selected_alpn_protocol(), Some(CHALLENGE));
        assert!(stream.ssl().peer_certificate().unwrap().to_der().unwrap() == der(&challenge));
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0, "it is closed");
        // Others go on as before meanwhile.
        assert!(shown(&house, door, Some("falcot.com"), alpn(b"\x05sip/2")) == usual);
        assert!(shown(&house, door, Some("falcot.com"), alpn(b"\x05sip/2\x0aacme-tls/1")) == usual);
        assert!(shown(&house, door, None, |_| {}) == usual);
        let other = ssl(&context, Some("example.org")).connect(house.dial(door));
        assert!(other.is_err(), "nobody is to look for that");
    }
    house.identities.challenge("falcot.com", None);
    let late = ssl(&context(SslMethod::tls_client(), alpn(b"\x0aacme-tls/1")), Some("falcot.com"));
    assert!(late.connect(house.dial(0)).is_err(), "it is over");
    // No handler has seen any of them but the six others: nothing but those could have been written to.
    let mut last = ssl(&context(SslMethod::tls_client(), |_| {}), None).connect(house.dial(0)).unwrap();
    last.write_all(b"echo").unwrap();
    last.read_exact(&mut [0; 4]).unwrap();
    for _ in 0..7 {
        assert_ne!(house.opened().1.alpn.as_deref(), Some(CHALLENGE));
    }
}

#[test]
fn what_is_shared_is_replaced_by_whoever_holds_it() {
    let (first, second) = (of("falcot.com"), of("example.org"));
    let identities: Arc<Identities> = Identities::of(vec![first.clone()]).unwrap();
    assert!(der(&identities.current()) == der(&first.1));
    identities.set(vec![second.clone(), first]);
    assert!(der(&identities.current()) == der(&second.1));
}
