//! Who may see whose presence: the nine states of RFC 6121 appendix A and what a stanza makes of them.
//!
//! The nine are two sides of three values each, so every row of the appendix follows from one side alone. A request may
//! be approved before it comes (RFC 6121 §3.4); it is granted then, and the next one has to be approved anew.

use crate::stanza::PresenceType;

/// One direction of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// No subscription.
    #[default]
    No,
    /// Asked for, not answered yet.
    Pending,
    /// Granted.
    Yes,
}

/// What a user and a contact are to one another, from the user's end (RFC 6121 §A.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Whether the user sees the contact's presence. `Pending` is the appendix' "Pending Out".
    pub to: Side,
    /// Whether the contact sees the user's presence. `Pending` is the appendix' "Pending In".
    pub from: Side,
    /// Whether the user has approved a request that has not come yet; only where `from` is `No`.
    pub approved: bool,
}

/// The presence stanzas that change subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request.
    Subscribe,
    /// Its approval.
    Subscribed,
    /// The end of one's own subscription.
    Unsubscribe,
    /// A refusal, or the end of the other's subscription.
    Unsubscribed,
}

impl Kind {
    /// The kind of a stanza, `None` for presence that is about something else.
    pub const fn of(presence: PresenceType) -> Option<Self> {
        match presence {
            PresenceType::Subscribe => Some(Self::Subscribe),
            PresenceType::Subscribed => Some(Self::Subscribed),
            PresenceType::Unsubscribe => Some(Self::Unsubscribe),
            PresenceType::Unsubscribed => Some(Self::Unsubscribed),
            _ => None,
        }
    }

    /// The `type` attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// What to do with a subscription stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub state: State,
    /// Whether the stanza goes on its way: outbound to the contact's server, inbound to the user's resources.
    pub pass: bool,
    /// Whether the server answers `subscribed` in the user's place.
    pub approve: bool,
}

impl State {
    /// The value of the roster item's `subscription` (RFC 6121 §2.1.2.5).
    pub const fn name(self) -> &'static str {
        match (self.to, self.from) {
            (Side::Yes, Side::Yes) => "both",
            (Side::Yes, _) => "to",
            (_, Side::Yes) => "from",
            _ => "none",
        }
    }

    /// A stanza that the user sends to the contact (RFC 6121 §A.2).
    pub fn outbound(self, kind: Kind) -> Step {
        let (state, pass) = match kind {
            Kind::Subscribe if self.to == Side::No => (Self { to: Side::Pending, ..self }, true),
            Kind::Subscribe => (self, true),
            Kind::Unsubscribe => (Self { to: Side::No, ..self }, true),
            Kind::Subscribed if self.from == Side::Pending => (Self { from: Side::Yes, ..self }, true),
            Kind::Subscribed if self.from == Side::No => (Self { approved: true, ..self }, false),
            Kind::Subscribed => (self, false),
            Kind::Unsubscribed => (Self { from: Side::No, approved: false, ..self }, self.from != Side::No),
        };
        Step { state, pass, approve: false }
    }

    /// A stanza that the contact sent to the user (RFC 6121 §A.3).
    pub fn inbound(self, kind: Kind) -> Step {
        let (state, pass) = match kind {
            Kind::Subscribe if self.approved => (Self { from: Side::Yes, approved: false, ..self }, false),
            Kind::Subscribe if self.from == Side::No => (Self { from: Side::Pending, ..self }, true),
            Kind::Subscribe => (self, false),
            Kind::Unsubscribe => (Self { from: Side::No, ..self }, self.from != Side::No),
            Kind::Subscribed if self.to == Side::Pending => (Self { to: Side::Yes, ..self }, true),
            Kind::Subscribed => (self, false),
            Kind::Unsubscribed => (Self { to: Side::No, ..self }, self.to != Side::No),
        };
        let approve = kind == Kind::Subscribe && (self.from == Side::Yes || self.approved);
        Step { state, pass, approve }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6121 §A.1, in its own words; with `+ Approved` behind them, what §3.4 adds.
    fn state(name: &str) -> State {
        let (name, approved) = match name.strip_suffix(" + Approved") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (to, from) = match name {
            "None" => (Side::No, Side::No),
            "None + Pending Out" => (Side::Pending, Side::No),
            "None + Pending In" => (Side::No, Side::Pending),
            "None + Pending Out+In" => (Side::Pending, Side::Pending),
            "To" => (Side::Yes, Side::No),
            "To + Pending In" => (Side::Yes, Side::Pending),
            "From" => (Side::No, Side::Yes),
            "From + Pending Out" => (Side::Pending, Side::Yes),
            "Both" => (Side::Yes, Side::Yes),
            other => panic!("no such state: {other}"),
        };
        State { to, from, approved }
    }

    /// `table`: old state, whether the stanza passes (`*`: and is answered with `subscribed`), new state or `-`.
    fn check(step: fn(State, Kind) -> Step, kind: Kind, table: &str) {
        let rows: Vec<&str> = table.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(rows.len(), 12, "one row per state");
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let old = state(cells[0]);
            let new = if cells[2] == "-" { old } else { state(cells[2]) };
            let expected = Step { state: new, pass: cells[1] == "yes", approve: cells[1] == "no*" };
            assert_eq!(step(old, kind), expected, "{kind:?} in {row}");
        }
    }

    #[test]
    fn outbound_subscribe() {
        check(
            State::outbound,
            Kind::Subscribe,
            "None                  | yes | None + Pending Out
             None + Pending Out    | yes | -
             None + Pending In     | yes | None + Pending Out+In
             None + Pending Out+In | yes | -
             To                    | yes | -
             To + Pending In       | yes | -
             From                  | yes | From + Pending Out
             From + Pending Out    | yes | -
             Both                  | yes | -
             None + Approved       | yes | None + Pending Out + Approved
             None + Pending Out + Approved | yes | -
             To + Approved         | yes | -",
        );
    }

    #[test]
    fn outbound_unsubscribe() {
        check(
            State::outbound,
            Kind::Unsubscribe,
            "None                  | yes | -
             None + Pending Out    | yes | None
             None + Pending In     | yes | -
             None + Pending Out+In | yes | None + Pending In
             To                    | yes | None
             To + Pending In       | yes | None + Pending In
             From                  | yes | -
             From + Pending Out    | yes | From
             Both                  | yes | From
             None + Approved       | yes | -
             None + Pending Out + Approved | yes | None + Approved
             To + Approved         | yes | None + Approved",
        );
    }

    #[test]
    fn outbound_subscribed() {
        check(
            State::outbound,
            Kind::Subscribed,
            "None                  | no  | None + Approved
             None + Pending Out    | no  | None + Pending Out + Approved
             None + Pending In     | yes | From
             None + Pending Out+In | yes | From + Pending Out
             To                    | no  | To + Approved
             To + Pending In       | yes | Both
             From                  | no  | -
             From + Pending Out    | no  | -
             Both                  | no  | -
             None + Approved       | no  | -
             None + Pending Out + Approved | no  | -
             To + Approved         | no  | -",
        );
    }

    #[test]
    fn outbound_unsubscribed() {
        check(
            State::outbound,
            Kind::Unsubscribed,
            "None                  | no  | -
             None + Pending Out    | no  | -
             None + Pending In     | yes | None
             None + Pending Out+In | yes | None + Pending Out
             To                    | no  | -
             To + Pending In       | yes | To
             From                  | yes | None
             From + Pending Out    | yes | None + Pending Out
             Both                  | yes | To
             None + Approved       | no  | None
             None + Pending Out + Approved | no  | None + Pending Out
             To + Approved         | no  | To",
        );
    }

    #[test]
    fn inbound_subscribe() {
        check(
            State::inbound,
            Kind::Subscribe,
            "None                  | yes | None + Pending In
             None + Pending Out    | yes | None + Pending Out+In
             None + Pending In     | no  | -
             None + Pending Out+In | no  | -
             To                    | yes | To + Pending In
             To + Pending In       | no  | -
             From                  | no* | -
             From + Pending Out    | no* | -
             Both                  | no* | -
             None + Approved       | no* | From
             None + Pending Out + Approved | no* | From + Pending Out
             To + Approved         | no* | Both",
        );
    }

    #[test]
    fn inbound_unsubscribe() {
        check(
            State::inbound,
            Kind::Unsubscribe,
            "None                  | no  | -
             None + Pending Out    | no  | -
             None + Pending In     | yes | None
             None + Pending Out+In | yes | None + Pending Out
             To                    | no  | -
             To + Pending In       | yes | To
             From                  | yes | None
             From + Pending Out    | yes | None + Pending Out
             Both                  | yes | To
             None + Approved       | no  | -
             None + Pending Out + Approved | no  | -
             To + Approved         | no  | -",
        );
    }

    #[test]
    fn inbound_subscribed() {
        check(
            State::inbound,
            Kind::Subscribed,
            "None                  | no  | -
             None + Pending Out    | yes | To
             None + Pending In     | no  | -
             None + Pending Out+In | yes | To + Pending In
             To                    | no  | -
             To + Pending In       | no  | -
             From                  | no  | -
             From + Pending Out    | yes | Both
             Both                  | no  | -
             None + Approved       | no  | -
             None + Pending Out + Approved | yes | To + Approved
             To + Approved         | no  | -",
        );
    }

    #[test]
    fn inbound_unsubscribed() {
        check(
            State::inbound,
            Kind::Unsubscribed,
            "None                  | no  | -
             None + Pending Out    | yes | None
             None + Pending In     | no  | -
             None + Pending Out+In | yes | None + Pending In
             To                    | yes | None
             To + Pending In       | yes | None + Pending In
             From                  | no  | -
             From + Pending Out    | yes | From
             Both                  | yes | From
             None + Approved       | no  | -
             None + Pending Out + Approved | yes | None + Approved
             To + Approved         | yes | None + Approved",
        );
    }

    #[test]
    fn roster_names() {
        for (name, expected) in [
            ("None", "none"),
            ("None + Pending Out", "none"),
            ("None + Pending Out+In", "none"),
            ("To", "to"),
            ("To + Pending In", "to"),
            ("From + Pending Out", "from"),
            ("Both", "both"),
        ] {
            assert_eq!(state(name).name(), expected);
        }
    }
}
