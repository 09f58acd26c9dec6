//! Index of the namespaces that the server itself reads or writes, each with its source.
//!
//! A namespace that only passes through is not listed: the router never needs to know it.

macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $uri;)*

        /// The listed namespace that equals `uri`, so that nobody has to keep a copy of it.
        pub fn known(uri: &str) -> Option<&'static str> {
            match uri {
                $($uri => Some($name),)*
                _ => None,
            }
        }
    };
}

namespaces! {
    /// Stanzas between a client and its server (RFC 6120 §4.8.2).
    CLIENT = "jabber:client";
    /// Stanzas between servers (RFC 6120 §4.8.2).
    SERVER = "jabber:server";
    /// Stanzas between a component and its server (XEP-0114).
    COMPONENT = "jabber:component:accept";
    /// The stream's own elements (RFC 6120 §4.8.1).
    STREAM = "http://etherx.jabber.org/streams";
    /// Stream error conditions (RFC 6120 §4.9.2).
    STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Stanza error conditions (RFC 6120 §8.3.2).
    STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// Application-specific error conditions (XEP-0182).
    XMPP_ERRORS = "urn:xmpp:errors";
    /// Streams in WebSockets (RFC 7395 §3.3.2).
    FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
    /// Streams in HTTP requests (XEP-0124 §6).
    HTTP_BIND = "http://jabber.org/protocol/httpbind";
    /// What XMPP says beside them (XEP-0206 §3).
    XBOSH = "urn:xmpp:xbosh";
    /// STARTTLS (RFC 6120 §5).
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL (RFC 6120 §6).
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// SASL in one go (XEP-0388).
    SASL2 = "urn:xmpp:sasl:2";
    /// Quick sign-in by tokens (XEP-0484).
    FAST = "urn:xmpp:fast:0";
    /// Resource binding together with sign-in (XEP-0386).
    BIND2 = "urn:xmpp:bind:0";
    /// Resource binding (RFC 6120 §7).
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// Session establishment, a no-op kept for old clients (RFC 3921 §3).
    SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    /// Roster management (RFC 6121 §2).
    ROSTER = "jabber:iq:roster";
    /// The stream feature of roster versions (RFC 6121 §2.6).
    ROSTER_VERSIONS = "urn:xmpp:features:rosterver";
    /// The stream feature of subscription pre-approval (RFC 6121 §3.4).
    PRE_APPROVAL = "urn:xmpp:features:pre-approval";
    /// Service discovery, who (XEP-0030 §3).
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// Service discovery, what is there (XEP-0030 §4).
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// Ping (XEP-0199).
    PING = "urn:xmpp:ping";
    /// Delayed delivery (XEP-0203).
    DELAY = "urn:xmpp:delay";
    /// Entity time (XEP-0202).
    TIME = "urn:xmpp:time";
    /// Software version (XEP-0092).
    VERSION = "jabber:iq:version";
    /// Last activity (XEP-0012).
    LAST = "jabber:iq:last";
    /// Services beside XMPP (XEP-0215).
    EXTERNAL = "urn:xmpp:extdisco:2";
    /// Who runs a server (XEP-0157).
    SERVER_INFO = "http://jabber.org/network/serverinfo";
    /// vCards in an IQ (XEP-0054).
    VCARD = "vcard-temp";
    /// vCard4 as XML (RFC 6351).
    VCARD4 = "urn:ietf:params:xml:ns:vcard-4.0";
    /// The node of vCard4 (XEP-0292 §3).
    VCARD4_NODE = "urn:xmpp:vcard4";
    /// Pictures of accounts (XEP-0084).
    AVATAR_DATA = "urn:xmpp:avatar:data";
    /// What pictures of accounts are (XEP-0084).
    AVATAR_METADATA = "urn:xmpp:avatar:metadata";
    /// Says that pictures are the same in both forms (XEP-0398 §2).
    AVATAR_CONVERSION = "urn:xmpp:pep-vcard-conversion:0";
    /// Private XML storage (XEP-0049).
    PRIVATE = "jabber:iq:private";
    /// Bookmarks of rooms, each an item (XEP-0402).
    BOOKMARKS = "urn:xmpp:bookmarks:1";
    /// Says that bookmarks of both forms are the same here (XEP-0402 §5).
    BOOKMARKS_COMPAT = "urn:xmpp:bookmarks:1#compat";
    /// Bookmarks of rooms, all in one element (XEP-0048).
    BOOKMARKS_OLD = "storage:bookmarks";
    /// Blocking command (XEP-0191).
    BLOCKING = "urn:xmpp:blocking";
    /// What blocking says of an error (XEP-0191 §3.3).
    BLOCKING_ERRORS = "urn:xmpp:blocking:errors";
    /// Message archives (XEP-0313).
    MAM = "urn:xmpp:mam:2";
    /// Message archives with ids in filters, flipped pages, metadata (XEP-0313 §8).
    MAM_EXTENDED = "urn:xmpp:mam:2#extended";
    /// Pages of a long answer (XEP-0059).
    RSM = "http://jabber.org/protocol/rsm";
    /// Which encryption a message uses (XEP-0380).
    ENCRYPTION = "urn:xmpp:eme:0";
    /// Message carbons (XEP-0280).
    CARBONS = "urn:xmpp:carbons:2";
    /// A forwarded stanza (XEP-0297).
    FORWARD = "urn:xmpp:forward:0";
    /// Processing hints (XEP-0334).
    HINTS = "urn:xmpp:hints";
    /// Chat states (XEP-0085).
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    /// Delivery receipts (XEP-0184).
    RECEIPTS = "urn:xmpp:receipts";
    /// Chat markers (XEP-0333).
    MARKERS = "urn:xmpp:chat-markers:0";
    /// Reactions to messages (XEP-0444).
    REACTIONS = "urn:xmpp:reactions:0";
    /// Unique stanza identifiers (XEP-0359).
    STANZA_ID = "urn:xmpp:sid:0";
    /// Entity capabilities (XEP-0115).
    CAPS = "http://jabber.org/protocol/caps";
    /// Entity capabilities by several hashes (XEP-0390).
    CAPS2 = "urn:xmpp:caps";
    /// Hashes and their algorithms (XEP-0300).
    HASHES = "urn:xmpp:hashes:2";
    /// Rooms, as an occupant asks for them (XEP-0045 §7.2).
    MUC = "http://jabber.org/protocol/muc";
    /// Rooms, what an occupant is told (XEP-0045 §7.2.2).
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// Rooms, what admins and moderators ask for (XEP-0045 §8, §9).
    MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    /// Rooms, what owners ask for (XEP-0045 §10).
    MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    /// Registration (XEP-0077), in rooms of a nick (XEP-0045 §7.10).
    REGISTER = "jabber:iq:register";
    /// Occupant ids (XEP-0421).
    OCCUPANT_ID = "urn:xmpp:occupant-id:0";
    /// Moderated messages (XEP-0425).
    MODERATE = "urn:xmpp:message-moderate:1";
    /// Messages taken back (XEP-0424).
    RETRACT = "urn:xmpp:message-retract:1";
    /// The hash of a picture in presence (XEP-0153).
    VCARD_UPDATE = "vcard-temp:x:update";
    /// Direct invitations to rooms (XEP-0249).
    CONFERENCE = "jabber:x:conference";
    /// Publish and subscribe (XEP-0060).
    PUBSUB = "http://jabber.org/protocol/pubsub";
    /// What owners ask of their nodes (XEP-0060 §8).
    PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner";
    /// What subscribers are told (XEP-0060 §7.1.2).
    PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
    /// What XEP-0060 says of an error.
    PUBSUB_ERRORS = "http://jabber.org/protocol/pubsub#errors";
    /// The form of a node's configuration (XEP-0060 §16.4.4).
    PUBSUB_CONFIG = "http://jabber.org/protocol/pubsub#node_config";
    /// The form of what a publisher demands of a node (XEP-0060 §7.1.5).
    PUBSUB_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";
    /// The form that says what a node is (XEP-0060 §5.4).
    PUBSUB_METADATA = "http://jabber.org/protocol/pubsub#meta-data";
    /// The form of a request for a subscription, for the owner (XEP-0060 §8.6).
    PUBSUB_AUTHORIZATION = "http://jabber.org/protocol/pubsub#subscribe_authorization";
    /// Stream management (XEP-0198).
    STREAM_MANAGEMENT = "urn:xmpp:sm:3";
    /// Client state indication (XEP-0352).
    CLIENT_STATE = "urn:xmpp:csi:0";
    /// Data forms (XEP-0004).
    DATA_FORMS = "jabber:x:data";
    /// Offline messages, flexible retrieval: named where the server says that it stores them (XEP-0160 §5).
    OFFLINE = "msgoffline";
    /// The `xml:` prefix (Namespaces in XML §3).
    XML = "http://www.w3.org/XML/1998/namespace";
    /// The `xmlns:` prefix (Namespaces in XML §3).
    XMLNS = "http://www.w3.org/2000/xmlns/";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_namespace_is_found_by_its_text() {
        assert_eq!(known("jabber:client"), Some(CLIENT));
        assert_eq!(known("urn:xmpp:ping"), Some(PING));
        assert_eq!(known("urn:example:other"), None);
    }
}
