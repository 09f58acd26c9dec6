//! What clients hear, and what they do about it at once: sign in, acknowledge, answer. What they may hear is checked here.

use super::device::Managed;
use super::house;
use super::world::World;
use std::collections::VecDeque;
use wire::ConnectionId;
use xmpp::xml::{Event, Limits, Reader};
use xmpp::{Element, ns};

/// Something that a client has heard.
#[derive(Debug)]
pub(super) enum Heard {
    Element(Element),
    Close,
}

/// The client's end of a connection.
#[derive(Debug)]
pub(super) struct Ear {
    reader: Reader,
    heard: VecDeque<Heard>,
    /// It reads nothing for now.
    pub(super) is_deaf: bool,
    /// What is written to it never arrives: the network is gone, and nobody knows yet.
    pub(super) is_numb: bool,
}

const LIMITS: Limits = Limits { size: 1 << 22, depth: 600, attributes: 6000, name: 2000 };

impl Default for Ear {
    fn default() -> Self {
        Self { reader: Reader::new(LIMITS), heard: VecDeque::new(), is_deaf: false, is_numb: false }
    }
}

impl Ear {
    /// Bytes of the server arrive.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_numb {
            let read = self.reader.next(bytes);
            let (used, event) = read.unwrap_or_else(|fault| panic!("the server writes no XML: {fault}"));
            let heard = match event {
                Some(Event::Element(fragment)) => {
                    Some(Heard::Element(fragment.element().expect("it was read before")))
                }
                Some(Event::Close) => Some(Heard::Close),
                Some(Event::Open(_)) | None => None,
            };
            self.heard.extend(heard);
            bytes = &bytes[used..];
        }
    }
}

fn header(device: usize) -> String {
    let lang = ["", " xml:lang='de'"][device & 1];
    format!(
        "<?xml version='1.0'?><stream:stream to='{}'{lang} version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
        house::DOMAIN
    )
}

impl World {
    /// A client says hello.
    pub(super) fn greet(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.ear.reader.restart();
        let header = header(client.device);
        self.write(conn, header.as_bytes());
    }

    /// The next thing that a client hears; whether there was any.
    pub(super) fn listen(&mut self) -> bool {
        let mut all = self.clients.iter_mut();
        let found = all.find(|(_, client)| !client.ear.heard.is_empty() || client.over);
        let Some((&conn, client)) = found else { return false };
        let device = client.device;
        match client.ear.heard.pop_front() {
            None | Some(Heard::Close) => self.leave(conn),
            // It has given this connection up.
            Some(_) if self.devices[device].conn != Some(conn) => {}
            Some(Heard::Element(element)) => {
                self.tell(&format!("{conn}, device {device} hears"), &element);
                self.hears(conn, device, &element);
            }
        }
        true
    }

    /// The stream is over for the client, too.
    fn leave(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get(&conn) else { return };
        let device = &mut self.devices[client.device];
        if device.conn == Some(conn) {
            device.conn = None;
            device.disconnected();
        }
        self.break_off(conn);
    }

    fn hears(&mut self, conn: ConnectionId, device: usize, element: &Element) {
        match (element.namespace(), element.name()) {
            (ns::CLIENT, "message" | "presence" | "iq") => {
                if let Some(managed) = &mut self.devices[device].managed {
                    managed.handled = managed.handled.wrapping_add(1);
                }
                self.hears_stanza(conn, device, element);
            }
            (ns::STREAM, "features") => self.sign_in(conn, device, element),
            (ns::TLS, "proceed") => self.greet(conn),
            (ns::SASL, "success") => self.greet(conn),
            (ns::SASL | ns::SASL2, "failure") => self.tries_again(conn, device),
            (ns::SASL2, "success") => self.is_welcome(device, element),
            (ns::STREAM_MANAGEMENT, name) => self.manages(conn, device, name, element),
            _ => {}
        }
    }

    fn sign_in(&mut self, conn: ConnectionId, device: usize, features: &Element) {
        let plan = self.devices[device].plan;
        if plan.plain && features.find("starttls", ns::TLS).is_some() {
            self.write(conn, format!("<starttls xmlns='{}'/>", ns::TLS).as_bytes());
        } else if plan.at_once && features.find("authentication", ns::SASL2).is_some() {
            self.authenticates(conn, device, plan.wrong);
        } else if features.find("mechanisms", ns::SASL).is_some() {
            self.says_password(conn, device, plan.wrong);
        } else if features.find("bind", ns::BIND).is_some() {
            match self.devices[device].wish().filter(|_| plan.resumes) {
                Some(resume) => {
                    self.devices[device].resuming = true;
                    self.write(conn, resume.as_bytes());
                }
                None => self.binds(conn, device),
            }
        }
    }

    fn password(&self, device: usize, wrong: bool) -> String {
        let person = self.devices[device].person;
        let right = usize::from(self.changed >> person & 1);
        house::plain(person, if wrong { 1 - right } else { right })
    }

    fn says_password(&mut self, conn: ConnectionId, device: usize, wrong: bool) {
        let said = self.password(device, wrong);
        self.write(conn, format!("<auth xmlns='{}' mechanism='PLAIN'>{said}</auth>", ns::SASL).as_bytes());
    }

    fn authenticates(&mut self, conn: ConnectionId, device: usize, wrong: bool) {
        let said = self.password(device, wrong);
        let this = &mut self.devices[device];
        let plan = this.plan;
        let resume = this.wish().filter(|_| plan.resumes).unwrap_or_default();
        this.resuming = !resume.is_empty();
        let when = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
        let resumable = if plan.resumable { " resume='true'" } else { "" };
        let more = [
            format!("<tag>{}</tag>", this.resource),
            when(plan.manages, &format!("<enable xmlns='urn:xmpp:sm:3'{resumable}/>")),
            when(plan.carbons, "<enable xmlns='urn:xmpp:carbons:2'/>"),
            when(plan.inactive, "<inactive xmlns='urn:xmpp:csi:0'/>"),
        ];
        let id = format!("d4565fa7-4d72-4749-b3d3-740edbf8777{device}");
        let agent = when(plan.installation, &format!("<user-agent id='{id}'/>"));
        let authenticate = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{said}</initial-response>\
             {agent}{resume}<bind xmlns='urn:xmpp:bind:0'>{}</bind></authenticate>",
            more.concat()
        );
        self.write(conn, authenticate.as_bytes());
    }

    fn tries_again(&mut self, conn: ConnectionId, device: usize) {
        let plan = &mut self.devices[device].plan;
        if !std::mem::take(&mut plan.wrong) {
            return;
        }
        match plan.at_once {
            true => self.authenticates(conn, device, false),
            false => self.says_password(conn, device, false),
        }
    }

    fn binds(&mut self, conn: ConnectionId, device: usize) {
        let resource = self.devices[device].resource;
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            ns::BIND
        );
        self.write(conn, bind.as_bytes());
    }

    /// What came of a sign-in in one go.
    fn is_welcome(&mut self, device: usize, success: &Element) {
        if let Some(resumed) = success.find("resumed", ns::STREAM_MANAGEMENT) {
            return self.is_back(device, resumed);
        }
        let identifier = success.find("authorization-identifier", ns::SASL2).map(Element::content);
        let Some(bound) = success.find("bound", ns::BIND2) else { return };
        self.has_begun(device, &identifier.unwrap_or_default());
        if let Some(enabled) = bound.find("enabled", ns::STREAM_MANAGEMENT) {
            let name = enabled.get("id").map(str::to_owned);
            self.devices[device].managed = Some(Managed { name, ..Managed::default() });
        }
        self.comes_in(device);
    }

    fn has_begun(&mut self, device: usize, jid: &str) {
        assert_eq!(house::person(jid), Some(self.devices[device].person), "{jid} is somebody else");
        self.devices[device].begin(jid);
        self.books.sum.sessions += 1;
    }

    /// A session has begun: its client enables what was not, and says that it is there.
    pub(super) fn comes_in(&mut self, device: usize) {
        let Plan { manages, resumable, present, carbons, at_once, .. } = self.devices[device].plan;
        if manages && self.devices[device].managed.is_none() {
            let resumable = if resumable { " resume='true'" } else { "" };
            let Some(conn) = self.devices[device].conn else { return };
            self.write(conn, format!("<enable xmlns='urn:xmpp:sm:3'{resumable}/>").as_bytes());
            self.devices[device].enabling = true;
        }
        if carbons && !at_once {
            self.asks(device, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>");
        }
        if present {
            self.says(device, "<presence/>");
        }
    }

    fn manages(&mut self, conn: ConnectionId, device: usize, name: &str, element: &Element) {
        let this = &mut self.devices[device];
        match name {
            "r" => {
                let lazy = this.plan.lazy;
                if let Some(managed) = this.managed.as_ref().filter(|_| !lazy) {
                    let acknowledged = format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", managed.handled);
                    self.write(conn, acknowledged.as_bytes());
                }
            }
            "enabled" if this.enabling => {
                this.enabling = false;
                // What was said behind `<enable/>` is counted, and was noted from there.
                let before = this.managed.take().unwrap_or_default();
                let name = element.get("id").map(str::to_owned);
                this.managed = Some(Managed { name, handled: 0, ..before });
            }
            "a" => self.is_handled(device, element),
            "resumed" => self.is_back(device, element),
            "failed" if std::mem::take(&mut this.resuming) => self.binds(conn, device),
            _ => {}
        }
    }

    /// The server says how much it has handled: all of that is safe.
    fn is_handled(&mut self, device: usize, element: &Element) {
        let handled = element.get("h").and_then(|h| h.parse::<u32>().ok()).expect("a number");
        let Some(managed) = &mut self.devices[device].managed else { return };
        assert!(handled <= managed.said, "{handled} of {} are handled", managed.said);
        while managed.outgoing.front().is_some_and(|(number, _)| *number <= handled) {
            let Some((_, said)) = managed.outgoing.pop_front() else { break };
            self.books.is_safe(&said, &self.store, &self.routers);
        }
    }

    /// The earlier session goes on: what the server has not handled is said again.
    fn is_back(&mut self, device: usize, element: &Element) {
        let this = &mut self.devices[device];
        // Who babbles may say anything, and has lost count.
        assert!(this.resuming && this.managed.is_some() || this.lossy, "nobody asked for it");
        this.resuming = false;
        this.jid = this.asleep.take();
        self.books.sum.resumed += 1;
        if self.devices[device].managed.is_some() {
            self.is_handled(device, element);
        }
        let Some(managed) = &mut self.devices[device].managed else { return };
        let again = std::mem::take(&mut managed.outgoing);
        managed.said = managed.said.wrapping_sub(again.len() as u32);
        for (_, said) in again {
            self.says(device, &said);
        }
    }
}

use super::device::Plan;
