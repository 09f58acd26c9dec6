//! What becomes of a message for a local account: RFC 6121 §8.5, whose table 1 is this file's test.
//!
//! Where the RFC leaves a choice between silence and an error, a person's words (normal, chat, groupchat) are
//! answered with an error so that nothing is lost silently; headlines and errors are dropped.

use crate::stanza::MessageType;

/// To whom a message is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressed {
    /// To the account.
    Bare,
    /// To a resource that is connected.
    Connected,
    /// To a resource that is not.
    Gone,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver it to the resource it is addressed to.
    Resource,
    /// Deliver it to the resources with the highest priority.
    MostAvailable,
    /// Deliver it to every available resource whose priority is not negative.
    NonNegative,
    /// Keep it until a resource comes (RFC 6121 §8.5.2.2.1, XEP-0160), if it is worth keeping.
    Keep,
    /// Answer `service-unavailable`.
    Refuse,
    /// Forget it.
    Drop,
}

/// The verdict for a message to an account that exists. `reachable`: an available resource has a priority that
/// is not negative.
pub(crate) const fn verdict(kind: MessageType, addressed: Addressed, reachable: bool) -> Verdict {
    match (addressed, kind) {
        (Addressed::Connected, _) => Verdict::Resource,
        (_, MessageType::Error) => Verdict::Drop,
        (_, MessageType::Groupchat) => Verdict::Refuse,
        (Addressed::Gone, MessageType::Normal) => Verdict::Refuse,
        (Addressed::Gone, MessageType::Headline) => Verdict::Drop,
        (Addressed::Bare, MessageType::Headline) if reachable => Verdict::NonNegative,
        (Addressed::Bare, MessageType::Headline) => Verdict::Drop,
        (_, MessageType::Normal | MessageType::Chat) if reachable => Verdict::MostAvailable,
        (_, MessageType::Normal | MessageType::Chat) => Verdict::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6121 §8.5, table 1. S silently ignored, E error, O offline storage, D delivered to the resource,
    /// M most available, A all non-negative. Where the RFC says `S` for normal and groupchat messages to a
    /// resource that is gone, §8.5.3.2.1 allows an error as well: that is the choice made here.
    const TABLE: &str = "
        condition            | bare  N C G H E | full N C G H E | match
        none                 |       O O E S S |      E O E S S | no
        negative only        |       O O E S S |      D D D D D | yes
        negative only        |       O O E S S |      E O E S S | no
        one non-negative     |       M M E A S |      D D D D D | yes
        one non-negative     |       M M E A S |      E M E S S | no
        several non-negative |       M M E A S |      D D D D D | yes
        several non-negative |       M M E A S |      E M E S S | no";

    const KINDS: [MessageType; 5] = [
        MessageType::Normal,
        MessageType::Chat,
        MessageType::Groupchat,
        MessageType::Headline,
        MessageType::Error,
    ];

    fn check(addressed: Addressed, reachable: bool, cells: &str, row: &str) {
        for (kind, cell) in KINDS.into_iter().zip(cells.split_whitespace()) {
            let expected = match cell {
                "S" => Verdict::Drop,
                "E" => Verdict::Refuse,
                "O" => Verdict::Keep,
                "D" => Verdict::Resource,
                "M" => Verdict::MostAvailable,
                "A" => Verdict::NonNegative,
                other => panic!("unknown cell {other}"),
            };
            assert_eq!(verdict(kind, addressed, reachable), expected, "{kind:?} {addressed:?} in {row}");
        }
    }

    #[test]
    fn every_row_of_table_1() {
        let rows: Vec<&str> = TABLE.trim().lines().skip(1).map(str::trim).collect();
        assert_eq!(rows.len(), 7);
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let reachable = cells[0].contains("non-negative");
            check(Addressed::Bare, reachable, cells[1], row);
            let full = if cells[3] == "yes" { Addressed::Connected } else { Addressed::Gone };
            check(full, reachable, cells[2], row);
        }
    }
}
