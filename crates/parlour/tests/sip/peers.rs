//! Servers of other makers that this one connects to by TLS (OpenSSL here): what they see, and which certificates are believed.

use crate::PASSWORD;
use crate::agent::{Agent, Heard};
use crate::calls::message;
use crate::names::{A, SRV, Zone, serve, srv};
use openssl::pkey::PKey;
use openssl::ssl::{NameType, SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use testkit::House;
use time::OffsetDateTime;

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for these names, changed at will, and its key.
    fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (X509, PKey<openssl::pkey::Private>) {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.contains(':') {
                true => SanType::URI((*name).try_into().unwrap()),
                false => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PKey::private_key_from_pem(key.serialize_pem().as_bytes()).unwrap();
        (X509::from_der(certificate.der()).unwrap(), key)
    }
}

/// What a server saw of the client's hello and certificate.
type Seen = (Option<String>, Vec<String>);

/// A server that asks for a certificate, and answers requests with 200.
struct Server {
    port: u16,
    seen: Receiver<Seen>,
}

impl Server {
    fn start((certificate, key): &(X509, PKey<openssl::pkey::Private>), newest: SslVersion) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_min_proto_version(None).unwrap();
        acceptor.set_max_proto_version(Some(newest)).unwrap();
        acceptor.set_certificate(certificate).unwrap();
        acceptor.set_private_key(key).unwrap();
        acceptor.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
        let ((tell, seen), port) = (channel(), listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
                let Ok(mut stream) = acceptor.accept(stream) else { continue };
                let name = stream.ssl().servername(NameType::HOST_NAME).map(str::to_owned);
                let shown = stream.ssl().peer_certificate().unwrap();
                let names = shown.subject_alt_names().unwrap();
                let _ =
                    tell.send((name, names.iter().filter_map(|n| n.dnsname()).map(str::to_owned).collect()));
                let mut buffer = [0; 8192];
                let Ok(length) = stream.read(&mut buffer) else { continue };
                let _ = stream
                    .write_all(ok(&Heard(String::from_utf8_lossy(&buffer[..length]).into())).as_bytes());
            }
        });
        Self { port, seen }
    }
}

fn ok(request: &Heard) -> String {
    let mut text = "SIP/2.0 200 OK\r\n".to_owned();
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        request.all(name).iter().for_each(|value| text += &format!("{name}: {value}\r\n"));
    }
    text + "Content-Length: 0\r\n\r\n"
}

/// A house that finds the server at delta.test, and what a message to there is answered.
fn asked(authority: Option<&Authority>, server: &Server) -> Heard {
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("sip", "allow-targets", "[\"127.0.0.1\"]")
        .set("network", "resolver", &format!("[\"{}\"]", dns.local_addr().unwrap()))
        .account("roland@falcot.com", PASSWORD)
        .prepare();
    if let Some(authority) = authority {
        std::fs::write(house.dir().join("other.pem"), authority.0.as_ref().pem()).unwrap();
        house.set("tls", "roots", "[\"other.pem\"]");
    }
    let zone = [
        (("_sips._tcp.delta.test", SRV), vec![srv(1, server.port, "here.test")]),
        (("here.test", A), vec![vec![127, 0, 0, 1]]),
    ];
    serve(dns, Zone::from(zone));
    house.start();
    let mut roland = Agent::udp(&house, "roland");
    message(&mut roland, "sip:x@delta.test");
    roland.answer()
}

/// What becomes of a server with this certificate: the end of the Warning where it is refused.
fn check(names: &[&str], change: impl FnOnce(&mut CertificateParams), refused: Option<&str>) {
    let authority = Authority::new();
    let server = Server::start(&authority.issue(names, change), SslVersion::TLS1_3);
    let answer = asked(Some(&authority), &server);
    match refused {
        None => {
            assert_eq!(answer.line(), "SIP/2.0 200 OK", "{names:?}");
            let (asked_for, shown) = server.seen.recv_timeout(Duration::from_secs(5)).unwrap();
            assert_eq!(asked_for.as_deref(), Some("delta.test"), "the name that it was asked for");
            assert!(shown.contains(&"falcot.com".to_owned()), "who asks: {shown:?}");
        }
        Some(end) => {
            assert_eq!(answer.line(), "SIP/2.0 503 Destination Unreachable", "{names:?}");
            let why = answer.header("Warning");
            assert!(why.ends_with(&format!("): its certificate {end}\"")), "{why}");
        }
    }
}

#[test]
fn a_domain_is_proven_by_its_uri_or_its_name_and_both_sides_show_who_they_are() {
    check(&["sip:delta.test", "elsewhere.test"], |_| {}, None);
    check(
        &["delta.test"],
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        None,
    );
    let for_sip = || ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 20]);
    check(&["delta.test"], |params| params.extended_key_usages = vec![for_sip()], None);
}

#[test]
fn other_certificates_prove_nothing() {
    check(&["sip:elsewhere.test", "delta.test"], |_| {}, Some("is for elsewhere.test, not delta.test"));
    check(&["*.test"], |_| {}, Some("is for *.test, not delta.test"));
    let mail = vec![ExtendedKeyUsagePurpose::EmailProtection];
    check(&["delta.test"], |params| params.extended_key_usages = mail, Some("is for another purpose"));
    let ended = |params: &mut CertificateParams| {
        params.not_after = OffsetDateTime::now_utc() - time::Duration::days(1);
    };
    check(&["delta.test"], ended, Some("has ended, or does not hold yet"));
}

#[test]
fn strangers_authorities_and_old_versions_are_refused() {
    let authority = Authority::new();
    let server = Server::start(&authority.issue(&["delta.test"], |_| {}), SslVersion::TLS1_3);
    let why = asked(None, &server).header("Warning").to_owned();
    assert!(why.ends_with("): its certificate is not signed by anybody we trust\""), "{why}");
    let old = Server::start(&authority.issue(&["delta.test"], |_| {}), SslVersion::TLS1_1);
    let answer = asked(Some(&authority), &old);
    assert_eq!(answer.line(), "SIP/2.0 503 Destination Unreachable");
    let new = Server::start(&authority.issue(&["delta.test"], |_| {}), SslVersion::TLS1_2);
    assert_eq!(asked(Some(&authority), &new).line(), "SIP/2.0 200 OK");
}
