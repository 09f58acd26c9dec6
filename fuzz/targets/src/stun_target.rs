//! The STUN reader: every attribute of whatever parses, and the writer on top of it.

use stun::{Message, attribute};

/// Reads `data` as a STUN message.
///
/// # Panics
/// When a reader breaks its promise.
pub fn stun(data: &[u8]) {
    let length = Message::length(data);
    let Ok(message) = Message::parse(data) else { return };
    assert!(Message::looks_like(data), "what parses looks like STUN");
    assert_eq!(length.ok().flatten(), Some(data.len()), "a whole message is as long as its header says");
    let count = message.attributes().count();
    assert!(count <= data.len() / 4, "an attribute takes at least four octets");
    let _ = (message.class(), message.method(), message.transaction(), message.fingerprint());
    let _ = message.unknown(|_| false).count();
    let _ = message.get::<attribute::Username<'_>>();
    let _ = message.get::<attribute::Realm<'_>>();
    let _ = message.get::<attribute::Nonce<'_>>();
    let _ = message.get::<attribute::XorPeerAddress>();
    let _ = message.get::<attribute::XorMappedAddress>();
    let _ = message.get::<attribute::ErrorCode<'_>>();
    let _ = message.get::<attribute::Lifetime>();
    let _ = message.get::<attribute::ChannelNumber>();
    let _ = message.get::<attribute::Data<'_>>();
    let _ = message.get::<attribute::RequestedTransport>();
    let _ = message.get::<attribute::RequestedAddressFamily>();
    later(&message);
    let _ = stun::credential::Claim::read(&message);
}

/// The attributes of the RFCs after 5389 and 5766.
fn later(message: &Message<'_>) {
    if let Ok(Some(algorithms)) = message.get::<attribute::PasswordAlgorithms<'_>>() {
        assert!(algorithms.iter().count() > 0, "a list has an entry");
    }
    let _ = message.get::<attribute::PasswordAlgorithm>();
    let _ = message.get::<attribute::UserHash>();
    let _ = message.get::<attribute::AlternateServer>();
    let _ = message.get::<attribute::AlternateDomain<'_>>();
    let _ = message.get::<attribute::AdditionalAddressFamily>();
    let _ = message.get::<attribute::AddressErrorCode<'_>>();
    let _ = message.get::<attribute::Icmp>();
    let _ = message.get::<attribute::PeerConnection>();
    let _ = message.get::<attribute::MobilityTicket<'_>>();
    let _ = message.get::<attribute::ChangeRequest>();
    let _ = message.get::<attribute::ResponsePort>();
    let _ = message.get::<attribute::Padding>();
    let _ = message.get::<attribute::OtherAddress>();
    let _ = message.get::<attribute::ResponseOrigin>();
    let _ = message.get::<attribute::AccessToken<'_>>();
    let _ = message.get::<attribute::ThirdPartyAuthorization<'_>>();
}
