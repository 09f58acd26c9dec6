//! How a client reads and changes its roster (RFC 6121 §2.1, §2.3, §2.5): the IQ's payload in both directions.
//! Roster versions (§2.6) are in `version`.

use super::{Item, Roster};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::presence::subscription::Side;
use crate::stanza::Condition;
use crate::xml::Element;
use wire::Directory;

/// The longest name of a contact or group, in octets: as long as a part of a JID.
const MAX_NAME: usize = 1023;

/// What a roster set asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Add the contact or change what is said of it.
    Set {
        /// Who.
        contact: Bare,
        /// The name given to it.
        name: Option<Box<str>>,
        /// The groups it is in.
        groups: Box<[Box<str>]>,
    },
    /// Take the contact out.
    Remove(Bare),
}

/// Reads the `<query/>` of a roster set (RFC 6121 §2.3.3).
pub(crate) fn read(query: &Element, groups: usize, directory: &Directory) -> Result<Change, Condition> {
    let mut items = query.children();
    let item = items.next().filter(|item| item.is("item", ns::ROSTER)).ok_or(Condition::BadRequest)?;
    if items.next().is_some() {
        return Err(Condition::BadRequest);
    }
    let contact = contact(item.get("jid").ok_or(Condition::BadRequest)?, directory)?;
    if item.get("subscription") == Some("remove") {
        return Ok(Change::Remove(contact));
    }
    let name = item.get("name").filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > MAX_NAME) {
        return Err(Condition::NotAcceptable);
    }
    Ok(Change::Set { contact, name: name.map(Box::from), groups: read_groups(item, groups)? })
}

/// Whose item it is: without resource, at a main name where the domain is ours.
fn contact(text: &str, directory: &Directory) -> Result<Bare, Condition> {
    let jid: Jid = text.parse().map_err(|_| Condition::BadRequest)?;
    if !jid.is_bare() {
        return Err(Condition::BadRequest);
    }
    Ok(jid.canonical(directory).unwrap_or(jid).bare().clone())
}

fn read_groups(item: &Element, most: usize) -> Result<Box<[Box<str>]>, Condition> {
    let mut groups: Vec<Box<str>> = Vec::new();
    for group in item.children().filter(|child| child.is("group", ns::ROSTER)) {
        let group: Box<str> = group.content().into();
        if group.is_empty() || group.len() > MAX_NAME || groups.len() == most {
            return Err(Condition::NotAcceptable);
        }
        if groups.contains(&group) {
            return Err(Condition::BadRequest);
        }
        groups.push(group);
    }
    Ok(groups.into())
}

/// A contact as clients see it.
pub(crate) fn item(contact: &Bare, item: &Item) -> Element {
    Element::new("item", ns::ROSTER)
        .attr("jid", contact.as_str())
        .attr_opt("name", item.name.as_deref())
        .attr("subscription", item.state.name())
        .attr_opt("ask", (item.state.to == Side::Pending).then_some("subscribe"))
        .attr_opt("approved", item.state.approved.then_some("true"))
        .children_from(item.groups.iter().map(|name| Element::new("group", ns::ROSTER).text(&**name)))
}

/// A contact that was taken out.
pub(crate) fn removed(contact: &Bare) -> Element {
    Element::new("item", ns::ROSTER).attr("jid", contact.as_str()).attr("subscription", "remove")
}

/// The answer to a roster get.
pub(crate) fn whole(roster: &Roster) -> Element {
    Element::new("query", ns::ROSTER)
        .children_from(roster.listed().map(|(contact, about)| item(contact, about)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Domain;

    fn check(query: &str, expected: Result<Change, Condition>) {
        let main = Domain::new("falcot.com").unwrap();
        let alias = [Domain::new("xmpp.falcot.com").unwrap()];
        let directory = Directory::new([(&main, &alias[..])]);
        let query = Element::parse(&format!("<query xmlns='jabber:iq:roster'>{query}</query>"), ns::CLIENT);
        assert_eq!(read(&query.unwrap(), 3, &directory), expected);
    }

    fn set(contact: &str, name: Option<&str>, groups: &[&str]) -> Result<Change, Condition> {
        let groups = groups.iter().map(|g| Box::from(*g)).collect();
        Ok(Change::Set { contact: contact.parse().unwrap(), name: name.map(Box::from), groups })
    }

    #[test]
    fn reads_a_change() {
        check("<item jid='Juliet@Falcot.com'/>", set("juliet@falcot.com", None, &[]));
        check(
            "<item jid='joe@xmpp.falcot.com' name='Joe' ask='x'><group>A</group><group>B</group></item>",
            set("joe@falcot.com", Some("Joe"), &["A", "B"]),
        );
        check("<item jid='icq.example.org' subscription='both'/>", set("icq.example.org", None, &[]));
        check(
            "<item jid='joe@example.org' subscription='remove'/>",
            Ok(Change::Remove("joe@example.org".parse().unwrap())),
        );
    }

    #[test]
    fn refuses_what_rfc_6121_2_3_3_refuses() {
        check("", Err(Condition::BadRequest));
        check("<item/>", Err(Condition::BadRequest));
        check("<item jid='a@b'/><item jid='c@d'/>", Err(Condition::BadRequest));
        check("<item jid='a b@c'/>", Err(Condition::BadRequest));
        check("<item jid='a@b/c'/>", Err(Condition::BadRequest));
        check("<item jid='a@b'><group>A</group><group>A</group></item>", Err(Condition::BadRequest));
        check("<item jid='a@b'><group/></item>", Err(Condition::NotAcceptable));
        check(&format!("<item jid='a@b' name='{}'/>", "n".repeat(1024)), Err(Condition::NotAcceptable));
        let groups = "<group>1</group><group>2</group><group>3</group><group>4</group>";
        check(&format!("<item jid='a@b'>{groups}</item>"), Err(Condition::NotAcceptable));
    }

    #[test]
    fn a_roster_is_told_in_order() {
        let names = (0..100).map(|n| format!("friend{:02}@falcot.com", n * 37 % 100));
        let items = names.map(|name| (name.parse().unwrap(), Item { listed: true, ..Item::default() }));
        let told = whole(&items.collect::<Roster>());
        let told: Vec<&str> = told.children().filter_map(|item| item.get("jid")).collect();
        assert!(told.len() == 100 && told.is_sorted(), "{told:?}");
    }
}
