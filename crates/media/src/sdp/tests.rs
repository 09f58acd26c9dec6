//! Descriptions of phones and browsers, read and edited; sdp-types as the second opinion.

use super::*;
use proptest::prelude::*;

const PHONE: &str = "v=0\r\no=joe 2890844526 2890844526 IN IP4 192.168.1.5\r\ns=-\r\nc=IN IP4 192.168.1.5\r\nt=0 0\r\n\
                     m=audio 49170 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtcp:49171\r\na=sendrecv\r\n";

fn at(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("valid"))
}

fn rewritten(text: &str, to: &[Option<SocketAddr>]) -> String {
    let description = Description::read(text.as_bytes()).expect("understood");
    String::from_utf8(description.rewrite(to)).expect("as it was")
}

fn refused(text: &str, why: Untouched) {
    assert_eq!(Description::read(text.as_bytes()).err(), Some(why), "{text}");
}

#[test]
fn a_phone_s_offer_gets_the_relay_s_address_and_ports_and_no_other_change() {
    let expected = PHONE
        .replace("c=IN IP4 192.168.1.5", "c=IN IP4 203.0.113.1")
        .replace("m=audio 49170", "m=audio 30000")
        .replace("a=rtcp:49171", "a=rtcp:30001");
    assert_eq!(rewritten(PHONE, &[at("203.0.113.1:30000")]), expected);
}

#[test]
fn the_other_family() {
    let text = rewritten(PHONE, &[at("[2001:db8::1]:30000")]);
    assert!(text.contains("c=IN IP6 2001:db8::1\r\n"), "{text}");
    assert!(text.contains("o=joe 2890844526 2890844526 IN IP6 2001:db8::1\r\n"), "{text}");
    let six = PHONE
        .replace("c=IN IP4 192.168.1.5", "c=IN IP6 2001:db8::5")
        .replace(":49171", ":49171 IN IP6 2001:db8::5");
    let text = rewritten(&six, &[at("203.0.113.1:30000")]);
    assert!(
        text.contains("c=IN IP4 203.0.113.1\r\n") && text.contains("a=rtcp:30001 IN IP4 203.0.113.1\r\n"),
        "{text}"
    );
}

#[test]
fn what_a_medium_says() {
    let description = Description::read(PHONE.as_bytes()).expect("understood");
    let medium = Medium {
        carrier: Carrier::Rtp,
        rtp: "192.168.1.5:49170".parse().expect("valid"),
        rtcp: "192.168.1.5:49171".parse().expect("valid"),
        bundled: None,
    };
    assert_eq!((description.media(), description.is_held()), (vec![medium], false));
}

#[test]
fn audio_video_fax_and_a_stream_beside_them() {
    let text = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n\
                m=video 4002 RTP/AVPF 96\nc=IN IP4 10.0.0.2\na=rtcp:4010 IN IP4 10.0.0.3\nm=image 4004 udptl t38\n\
                m=message 7654 TCP/MSRP *\ni=chat\na=path:msrp://10.0.0.1:7654/x;tcp\nm=audio 0 RTP/AVP 8\n";
    let description = Description::read(text.as_bytes()).expect("understood");
    let carriers: Vec<_> = description.media().iter().map(|medium| medium.carrier).collect();
    use Carrier::{Datagrams, Other, Rtp};
    assert_eq!(carriers, [Rtp, Rtp, Datagrams, Other, Rtp]);
    assert_eq!(description.media()[1].rtcp, "10.0.0.3:4010".parse().expect("valid"));
    let to = [at("192.0.2.1:30000"), at("192.0.2.1:30002"), at("192.0.2.1:30004"), None, None];
    let expected = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 30000 RTP/AVP 0\n\
                    m=video 30002 RTP/AVPF 96\nc=IN IP4 192.0.2.1\na=rtcp:30003 IN IP4 192.0.2.1\nm=image 30004 udptl t38\n\
                    m=message 7654 TCP/MSRP *\ni=chat\nc=IN IP4 10.0.0.1\r\na=path:msrp://10.0.0.1:7654/x;tcp\n\
                    m=audio 0 RTP/AVP 8\n";
    assert_eq!(rewritten(text, &to), expected);
}

#[test]
fn hold_stays_hold() {
    let old = PHONE.replace("c=IN IP4 192.168.1.5", "c=IN IP4 0.0.0.0");
    let held = |text: &str| Description::read(text.as_bytes()).expect("understood").is_held();
    assert!(held(&old) && held(&PHONE.replace("sendrecv", "sendonly")));
    assert!(held(&PHONE.replace("t=0 0", "t=0 0\r\na=inactive").replace("a=sendrecv\r\n", "")));
    assert!(rewritten(&old, &[at("192.0.2.1:30000")]).contains("c=IN IP4 0.0.0.0\r\n"));
    assert!(rewritten(&old, &[at("[2001:db8::1]:30000")]).contains("c=IN IP6 ::\r\n"));
}

#[test]
fn one_port_for_rtp_and_rtcp_stays_one() {
    let text = PHONE.replace("a=rtcp:49171", "a=rtcp:49170\r\na=rtcp-mux");
    assert!(rewritten(&text, &[at("192.0.2.1:30000")]).contains("a=rtcp:30000\r\na=rtcp-mux\r\n"));
}

#[test]
fn bundled_media_are_known_by_their_common_address() {
    let text = format!("{PHONE}m=video 49170 RTP/AVP 96\r\nm=video 49172 RTP/AVP 96\r\n");
    let media = Description::read(text.as_bytes()).expect("understood").media();
    assert_eq!(media.iter().map(|m| m.bundled).collect::<Vec<_>>(), [None, Some(0), None]);
}

#[test]
fn what_is_left_alone() {
    use Untouched::{Ice, NotUnderstood};
    refused(&format!("{PHONE}a=ice-ufrag:8hhY\r\na=ice-pwd:x\r\n"), Ice);
    refused(&format!("{PHONE}a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\n"), Ice);
    for bad in [
        "",
        "hello",
        "v=1\r\n",
        &PHONE.replace("v=0\r\n", ""),
        &PHONE.replace("192.168.1.5\r\nt=", "phone.example.org\r\nt="),
        &PHONE.replace("192.168.1.5\r\nt=", "224.2.1.1/127/3\r\nt="),
        &PHONE.replace("192.168.1.5\r\nt=", "224.2.1.1\r\nt="),
        &PHONE.replace("49170", "49170/2"),
        &PHONE.replace("49170", "70000"),
        &PHONE.replace("RTP/AVP 0 101", "RTP/AVP"),
        &PHONE.replace("c=IN IP4 192.168.1.5\r\n", ""),
        &PHONE.replace("t=0 0", "t=0 0\r\nnonsense"),
        &PHONE.replace("a=rtcp:49171", "a=rtcp:x"),
        &format!("{PHONE}m=video 4000 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\n"),
        &format!("{PHONE}c=IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.2\r\n"),
        &format!("{PHONE}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(MAX_MEDIA)),
    ] {
        refused(bad, NotUnderstood);
    }
}

/// What sdp-types reads of a description, with all that a relay changes taken from what we were told to write.
#[test]
fn sdp_types_reads_the_same() {
    for text in [
        PHONE,
        include_str!("samples/cisco.sdp"),
        include_str!("samples/t38.sdp"),
        include_str!("samples/sdes.sdp"),
    ] {
        let description = Description::read(text.as_bytes()).expect("understood");
        let to: Vec<_> =
            (0..description.media().len()).map(|n| at(&format!("192.0.2.1:{}", 30_000 + 2 * n))).collect();
        let ours = description.rewrite(&to);
        let before = sdp_types::Session::parse(text.as_bytes()).expect("the oracle reads it");
        let after = sdp_types::Session::parse(&ours).expect("the oracle reads what was written");
        assert_eq!(before.medias.len(), after.medias.len());
        assert_eq!(before.session_name, after.session_name);
        assert_eq!(
            (before.origin.sess_id, before.origin.sess_version),
            (after.origin.sess_id, after.origin.sess_version)
        );
        let rewritten = after.connection;
        for (n, (before, after)) in before.medias.iter().zip(&after.medias).enumerate() {
            let connection = after.connections.first().or(rewritten.as_ref());
            assert!(connection.is_some_and(|c| c.connection_address == "192.0.2.1"));
            assert_eq!(after.port, 30_000 + 2 * u16::try_from(n).expect("few"));
            assert_eq!((&before.media, &before.proto, &before.fmt), (&after.media, &after.proto, &after.fmt));
            let others = |media: &sdp_types::Media| {
                media.attributes.iter().filter(|a| a.attribute != "rtcp").cloned().collect::<Vec<_>>()
            };
            assert_eq!(others(before), others(after));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Description::read(&bytes);
    }

    #[test]
    fn any_lines_are_rewritten_to_what_is_understood_again(
        lines in proptest::collection::vec("(m=audio [0-9]{1,5} RTP/AVP 0|c=IN IP4 10.0.0.[0-9]|a=rtcp:[0-9]{1,4}|a=x|i=y)", 0..12)
    ) {
        let text = format!("v=0\r\nc=IN IP4 10.1.1.1\r\n{}", lines.join("\r\n"));
        if let Ok(description) = Description::read(text.as_bytes()) {
            let to: Vec<_> = description.media().iter().enumerate().map(|(n, medium)| {
                (medium.rtp.port() != 0).then(|| SocketAddr::from(([192, 0, 2, 1], 30_000 + 2 * n as u16)))
            }).collect();
            let out = description.rewrite(&to);
            let again = Description::read(&out).expect("still understood").media();
            for (medium, to) in again.iter().zip(to) {
                if let Some(to) = to {
                    prop_assert_eq!(medium.rtp, to);
                }
            }
        }
    }
}
