//! The room service itself: what it is and which rooms it lists (XEP-0045 §6.2, §6.3).

use crate::ns;
use crate::router::{Parcel, Router, request};
use crate::stanza::{Condition, Kind};
use crate::xml::Element;
use wire::Address;

/// The most rooms of one answer; behind them, whoever asks asks on (XEP-0059).
const PAGE: usize = 200;

impl Router {
    /// Something for the service.
    pub(super) fn asked_service(&mut self, parcel: Parcel) {
        let Some(get) = request(&parcel.stanza) else {
            return match parcel.stanza.kind() {
                Kind::Message => self.bounce(parcel, Condition::ServiceUnavailable),
                Kind::Presence | Kind::Iq => {}
            };
        };
        let Some(payload) = parcel.stanza.payload_element() else {
            return self.bounce(parcel, Condition::BadRequest);
        };
        let host = parcel.to().domain();
        let answer = match (payload.name(), payload.namespace()) {
            _ if !get || !parcel.to().is_bare() => Err(Condition::ServiceUnavailable),
            (_, ns::DISCO_INFO | ns::DISCO_ITEMS)
                if payload.get("node").is_some_and(|node| !node.is_empty()) =>
            {
                Err(Condition::ItemNotFound)
            }
            ("query", ns::DISCO_INFO) => Ok(Some(info())),
            ("query", ns::DISCO_ITEMS) => self.list_rooms(host, &payload).map(Some),
            ("ping", ns::PING) => Ok(None),
            _ => Err(Condition::ServiceUnavailable),
        };
        match answer {
            Ok(answer) => {
                let stanza = parcel.stanza.result(answer.as_ref());
                self.route(Parcel { answer: true, ..Parcel::own(stanza) });
            }
            Err(condition) => self.bounce(parcel, condition),
        }
    }

    fn list_rooms(&self, host: &str, query: &Element) -> Result<Element, Condition> {
        let set = query.find("set", ns::RSM);
        let text = |name| set.and_then(|set| set.find(name, ns::RSM)).map(Element::content);
        let most = match text("max") {
            Some(max) => max.trim().parse::<usize>().map_err(|_| Condition::BadRequest)?.min(PAGE),
            None => PAGE,
        };
        let after = text("after").filter(|after| !after.is_empty());
        let after = after.map(|after| after.parse::<Address>().map_err(|_| Condition::ItemNotFound));
        let after = after.transpose()?;
        let page: Vec<_> = self.rooms.listed(host, after.as_ref()).take(most + 1).collect();
        let more = page.len() > most;
        let page = &page[..page.len().min(most)];
        let item = |(room, name): &(&Address, &str)| {
            Element::new("item", ns::DISCO_ITEMS).attr("jid", room.as_str()).attr("name", *name)
        };
        let mut answer = Element::new("query", ns::DISCO_ITEMS).children_from(page.iter().map(item));
        if set.is_some() || more {
            let end = |name: &'static str, row: Option<&(&Address, &str)>| {
                row.map(|(room, _)| Element::new(name, ns::RSM).text(room.as_str()))
            };
            let count = self.rooms.listed(host, None).count().to_string();
            let set = Element::new("set", ns::RSM).children_from(end("first", page.first()));
            let set = set.children_from(end("last", page.last()));
            answer.push(set.child(Element::new("count", ns::RSM).text(count)));
        }
        Ok(answer)
    }
}

fn info() -> Element {
    let identity = Element::new("identity", ns::DISCO_INFO).attr("category", "conference");
    let identity = identity.attr("type", "text").attr("name", "Rooms");
    let features = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::MUC, ns::RSM, ns::PING, ns::OCCUPANT_ID];
    let feature = |var: &str| Element::new("feature", ns::DISCO_INFO).attr("var", var);
    Element::new("query", ns::DISCO_INFO).child(identity).children_from(features.map(feature))
}
