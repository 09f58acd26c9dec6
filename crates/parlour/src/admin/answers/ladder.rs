//! A call as a ladder: one column for each party, one line for each message.

use super::sip::SipStep;
use std::fmt::Write;

/// From one column to the next.
const SPAN: usize = 38;
/// Where the first column stands, after the time.
const FIRST: usize = 18;
/// So many columns at most; what goes to further parties is told in words.
const MOST: usize = 6;
/// The name of this server's column, which is the second.
const OURS: &str = "parlour";

/// The ladder of these steps.
pub(super) fn draw(steps: &[SipStep]) -> String {
    let parties = parties(steps);
    let columns = &parties[..parties.len().min(MOST)];
    let mut text = header(columns);
    for step in steps {
        let column = |name: String| columns.iter().position(|known| *known == name);
        let time = format!("{:9.3}", step.after);
        let line = match (step.way.as_str(), party(step).and_then(column)) {
            ("in", Some(from)) => arrow(columns.len(), from, 1, &step.text),
            ("out", Some(to)) => arrow(columns.len(), 1, to, &step.text),
            ("in", None) => format!("     from {}: {}", party(step).unwrap_or_default(), step.text),
            ("out", None) => format!("     to {}: {}", party(step).unwrap_or_default(), step.text),
            _ => format!("     * {}", step.text),
        };
        let _ = writeln!(text, "{time}{}", line.trim_end());
    }
    text
}

fn party(step: &SipStep) -> Option<String> {
    let peer = step.peer.as_ref()?;
    Some(step.transport.as_ref().map_or_else(|| peer.clone(), |transport| format!("{peer} {transport}")))
}

/// Everybody in the order of their first message; this server is the second.
fn parties(steps: &[SipStep]) -> Vec<String> {
    let mut parties: Vec<String> = Vec::new();
    for name in steps.iter().filter(|step| step.way != "here").filter_map(party) {
        if !parties.contains(&name) {
            parties.push(name);
        }
    }
    parties.insert(parties.len().min(1), OURS.into());
    parties
}

fn header(columns: &[String]) -> String {
    let mut line = " ".repeat(9);
    for (place, name) in columns.iter().enumerate() {
        let begin = at(place).saturating_sub(name.chars().count() / 2);
        let now = line.chars().count();
        line.push_str(&" ".repeat(begin.saturating_sub(now).max(usize::from(place > 0))));
        line.push_str(name);
    }
    line + "\n"
}

/// Where a column stands in a line, the time included.
fn at(column: usize) -> usize {
    FIRST + column * SPAN
}

/// A message from one column to another; the time, nine wide, is left out.
fn arrow(columns: usize, from: usize, to: usize, label: &str) -> String {
    let mut line = vec![' '; at(columns - 1) + 1];
    (0..columns).for_each(|column| line[at(column)] = '|');
    let (left, right) = (at(from.min(to)) + 1, at(from.max(to)) - 1);
    line[left..=right].fill('-');
    if from < to {
        line[right] = '>'
    } else {
        line[left] = '<'
    }
    let room = right - left - 5;
    let whole = label.chars().count() <= room;
    let label: Vec<char> = if whole {
        format!(" {label} ").chars().collect()
    } else {
        let cut: String = label.chars().take(room - 1).collect();
        format!(" {cut}… ").chars().collect()
    };
    let begin = left + (right - left + 1 - label.len()) / 2;
    line[begin..begin + label.len()].copy_from_slice(&label);
    line[9..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(after: f64, way: &str, peer: Option<&str>, text: &str) -> SipStep {
        SipStep {
            after,
            way: way.into(),
            peer: peer.map(Into::into),
            transport: peer.map(|_| "udp".into()),
            text: text.into(),
        }
    }

    #[test]
    fn a_call_with_two_parties() {
        let (alice, bob) = (Some("10.0.0.1:5060"), Some("10.0.0.2:5060"));
        let steps = [
            step(0.0, "in", alice, "INVITE sip:bob@falcot.com"),
            step(0.001, "here", None, "bob@falcot.com is registered: 1 phone to be called"),
            step(0.001, "out", bob, "INVITE sip:bob@10.0.0.2:5060;transport=udp"),
            step(12.5, "in", bob, "486 Busy Here"),
            step(12.5, "out", alice, "486 Busy Here"),
        ];
        let expected = "          10.0.0.1:5060 udp                          parlour                          10.0.0.2:5060 udp
    0.000         |----- INVITE sip:bob@falcot.com ---->|                                     |
    0.001     * bob@falcot.com is registered: 1 phone to be called
    0.001         |                                     |-- INVITE sip:bob@10.0.0.2:5060;t… ->|
   12.500         |                                     |<---------- 486 Busy Here -----------|
   12.500         |<---------- 486 Busy Here -----------|                                     |
";
        assert_eq!(draw(&steps), expected, "\n{}", draw(&steps));
        assert_eq!(draw(&[]).trim(), "parlour");
    }

    #[test]
    fn more_parties_than_columns() {
        let peers: Vec<String> = (1..9).map(|n| format!("10.0.0.{n}:5060")).collect();
        let steps: Vec<SipStep> =
            peers.iter().map(|peer| step(0.0, "out", Some(peer), "INVITE sip:x")).collect();
        let text = draw(&steps);
        assert!(text.contains("to 10.0.0.8:5060 udp: INVITE sip:x"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= at(MOST - 1) + 30));
    }
}
