//! Session descriptions: any bytes are read or left alone, and what is written in place of one is understood and says what it
//! was told to say. The same bytes as a message's body are found where they stand.

use media::sdp::{Carrier, Description};
use std::net::SocketAddr;

/// Reads `data` as a description.
///
/// # Panics
/// When the reader or the writer breaks its promise.
pub fn sdp(data: &[u8]) {
    let Ok(description) = Description::read(data) else { return };
    let media = description.media();
    for here in ["192.0.2.1:30000", "[2001:db8::1]:30000"] {
        let here: SocketAddr = here.parse().expect("valid");
        let at: Vec<Option<SocketAddr>> = media
            .iter()
            .zip(0..)
            .map(|(medium, place)| {
                let relayed = medium.rtp.port() != 0 && medium.carrier != Carrier::Other;
                relayed.then(|| SocketAddr::new(here.ip(), here.port() + 2 * place))
            })
            .collect();
        let written = description.rewrite(&at);
        if at.iter().all(Option::is_none) {
            assert_eq!(written, data, "what is not relayed does not change");
            continue;
        }
        // What stays keeps its address: then there may be two families.
        let Ok(again) = Description::read(&written) else {
            assert!(media.iter().zip(&at).any(|(medium, at)| at.is_none() && medium.rtp.port() != 0));
            continue;
        };
        for ((new, old), at) in again.media().iter().zip(&media).zip(at) {
            let expected = at.map_or(old.rtp.port(), |at| at.port());
            assert_eq!(new.rtp.port(), expected);
            if let Some(at) = at.filter(|_| !old.rtp.ip().is_unspecified()) {
                assert_eq!(new.rtp, at);
            }
        }
        assert_eq!(again.is_held(), description.is_held());
    }
}
