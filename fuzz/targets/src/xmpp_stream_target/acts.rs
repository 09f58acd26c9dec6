//! What people, administrators and the network do.

use super::device::Plan;
use super::world::World;
use super::{grammar, house};
use crate::tape::Tape;
use std::sync::Arc;
use std::time::Duration;
use wire::{ConnectionId, WorkerId};
use xmpp::router::{self, Limits};

impl World {
    pub(super) fn act(&mut self, tape: &mut Tape<'_>) {
        match tape.below(32) {
            0..=2 => self.somebody_comes(tape),
            3..=9 => self.somebody_writes(tape),
            10..=14 => self.somebody_asks(tape),
            15..=17 => self.somebody_is_there(tape),
            18 => self.somebody_acknowledges(tape),
            19 => self.line_breaks(tape),
            20 => self.line_is_bad(tape),
            21 => self.somebody_babbles(tape),
            22 => self.somebody_goes(tape),
            23 => self.store.stopped = tape.byte() & 1 == 0,
            24 => self.store_fails(tape),
            25 => self.let_through(),
            26 => self.mail_is_slow(tape),
            27 => self.time_passes(tape),
            28 => self.administrator_acts(tape),
            29 => self.everybody_comes(tape),
            30 => self.somebody_returns(tape),
            _ => {
                let byte = tape.byte();
                let mut many = |world: &mut Self| {
                    for _ in 0..1 + byte % 6 {
                        world.somebody_writes(tape);
                    }
                };
                // One behind the other, or all in one packet.
                if byte & 0x80 == 0 { many(self) } else { self.at_once(many) }
            }
        }
    }

    /// Mostly the same as before, so that plays get somewhere.
    fn who(&mut self, tape: &mut Tape<'_>) -> usize {
        let byte = tape.byte();
        if byte >= 0x40 {
            self.actor = usize::from(byte) % self.devices.len();
        }
        self.actor
    }

    /// Somebody who has a session, if anybody has.
    fn speaker(&mut self, tape: &mut Tape<'_>) -> Option<usize> {
        let who = self.who(tape);
        let all = (0..self.devices.len()).map(|more| (who + more) % self.devices.len());
        let mut there = all.filter(|device| self.devices[*device].jid.is_some());
        there.next()
    }

    fn comes(&mut self, device: usize, plan: Plan) {
        if let Some(old) = self.devices[device].conn.take() {
            self.devices[device].disconnected();
            // The server may not know yet that the old connection is gone.
            if let Some(client) = self.clients.get_mut(&old) {
                client.ear.is_numb = true;
            }
            if !plan.resumes {
                self.break_off(old);
            }
        }
        self.serial += 1;
        self.devices[device].plan = plan;
        let conn = self.accept(device, !plan.plain);
        self.devices[device].conn = Some(conn);
        self.greet(conn);
    }

    fn somebody_comes(&mut self, tape: &mut Tape<'_>) {
        let device = self.who(tape);
        let plan = Plan::read(tape.number());
        self.comes(device, plan);
    }

    /// All who are not there come, as good clients do.
    fn everybody_comes(&mut self, tape: &mut Tape<'_>) {
        let bits = tape.number() & !0b11_1110;
        for device in 0..self.devices.len() {
            if self.devices[device].conn.is_none() {
                self.comes(device, Plan::read(bits.rotate_left(device as u32) & !0b11_1110));
                self.settle();
            }
        }
    }

    /// A connection is lost, and its client comes back for its session.
    fn somebody_returns(&mut self, tape: &mut Tape<'_>) {
        let Some(device) = self.speaker(tape) else { return };
        let bits = tape.byte();
        let plan = Plan { resumes: true, at_once: bits & 1 == 1, ..self.devices[device].plan };
        if bits & 2 == 2
            && let Some(conn) = self.devices[device].conn
        {
            self.lose(conn);
        }
        self.comes(device, plan);
    }

    /// A stanza goes out, counted where its client counts.
    pub(super) fn says(&mut self, device: usize, stanza: &str) {
        let Some(conn) = self.devices[device].conn else { return };
        self.devices[device].note(stanza);
        self.write(conn, stanza.as_bytes());
    }

    /// A request goes out.
    pub(super) fn asks(&mut self, device: usize, kind: &str, to: &str, payload: &str) {
        self.serial += 1;
        let number = self.serial;
        self.books.asks(number, device, self.devices[device].life, to);
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.says(device, &format!("<iq type='{kind}' id='q{number}'{to}>{payload}</iq>"));
    }

    /// Everywhere that something may be sent to.
    fn addressee(&self, tape: &mut Tape<'_>) -> String {
        let byte = tape.byte();
        let person = house::PEOPLE[usize::from(byte) % 4];
        match byte >> 2 & 15 {
            0..=7 => format!("{person}@{}", house::DOMAIN),
            8 | 9 => format!("{person}@{}/a", house::DOMAIN),
            10 => format!("{person}@{}/b", house::DOMAIN),
            11 => format!("{person}@xmpp.verona.example"),
            12 => grammar::ELSEWHERE[usize::from(byte) % grammar::ELSEWHERE.len()].to_owned(),
            13 => house::DOMAIN.to_owned(),
            14 => format!("tomb@{}", house::ROOMS),
            _ => format!("tomb@{}/{person}", house::ROOMS),
        }
    }

    fn somebody_writes(&mut self, tape: &mut Tape<'_>) {
        let Some(device) = self.speaker(tape) else { return };
        let to = self.addressee(tape);
        let (kind, content, counts) = grammar::message(tape);
        self.serial += 1;
        let number = self.serial;
        self.books.says(number, self.devices[device].person, &to, counts && !to.contains('/'));
        self.says(device, &format!("<message to='{to}' id='m{number}'{kind}>{content}</message>"));
    }

    fn somebody_asks(&mut self, tape: &mut Tape<'_>) {
        let Some(device) = self.speaker(tape) else { return };
        let (kind, payload) = grammar::request(tape, self.devices[device].person);
        let to = if tape.byte() & 3 == 3 { self.addressee(tape) } else { String::new() };
        self.asks(device, kind, &to, &payload);
    }

    fn somebody_is_there(&mut self, tape: &mut Tape<'_>) {
        let Some(device) = self.speaker(tape) else { return };
        let presence = match tape.byte() {
            0..=0x5F => grammar::presence(tape),
            byte => {
                let to = self.addressee(tape);
                let bare = to.split('/').next().unwrap_or_default().to_owned();
                if byte < 0x90 {
                    let main = bare.replace("@xmpp.", "@");
                    self.books.directed.insert((self.devices[device].person, main));
                }
                grammar::directed(tape, &to, byte)
            }
        };
        self.says(device, &presence);
    }

    fn somebody_acknowledges(&mut self, tape: &mut Tape<'_>) {
        let Some(device) = self.speaker(tape) else { return };
        let Some(conn) = self.devices[device].conn else { return };
        let this = &mut self.devices[device];
        let handled = this.managed.as_ref().map_or(0, |managed| managed.handled);
        let said = match tape.below(12) {
            0..=3 => format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>"),
            4..=8 => "<r xmlns='urn:xmpp:sm:3'/>".to_owned(),
            9 => "<inactive xmlns='urn:xmpp:csi:0'/>".to_owned(),
            10 => "<active xmlns='urn:xmpp:csi:0'/>".to_owned(),
            // A lie ends the stream.
            _ => format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", handled.wrapping_add(1 + tape.below(3) as u32)),
        };
        self.write(conn, said.as_bytes());
    }

    /// A connection breaks, and both ends know it.
    fn lose(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.ear.is_numb = true;
        let device = client.device;
        if self.devices[device].conn == Some(conn) {
            self.devices[device].conn = None;
            self.devices[device].disconnected();
        }
        self.break_off(conn);
    }

    fn line_breaks(&mut self, tape: &mut Tape<'_>) {
        let device = self.who(tape);
        if let Some(conn) = self.devices[device].conn {
            self.lose(conn);
        }
    }

    /// A client does not read, or what is written to it is lost, or it reads again.
    fn line_is_bad(&mut self, tape: &mut Tape<'_>) {
        let device = self.who(tape);
        let Some(conn) = self.devices[device].conn else { return };
        let Some(client) = self.clients.get_mut(&conn) else { return };
        match tape.below(4) {
            0 => client.ear.is_deaf = true,
            1 => {
                client.ear.is_numb = true;
                self.devices[device].lossy = true;
            }
            _ => self.hear_again(conn),
        }
    }

    /// Something that is no stanza, or half of one.
    fn somebody_babbles(&mut self, tape: &mut Tape<'_>) {
        let device = self.who(tape);
        let Some(conn) = self.devices[device].conn else { return };
        let bytes = match tape.below(4) {
            0 => b" \n ".to_vec(),
            1 => grammar::NONSENSE[tape.below(grammar::NONSENSE.len())].as_bytes().to_vec(),
            _ => {
                let length = tape.below(80);
                tape.take(length).to_vec()
            }
        };
        // What comes of it nobody knows: the session is not counted on.
        self.devices[device].lossy = true;
        self.devices[device].managed = None;
        self.write(conn, &bytes);
    }

    fn somebody_goes(&mut self, tape: &mut Tape<'_>) {
        let device = self.who(tape);
        let Some(conn) = self.devices[device].conn.take() else { return };
        self.devices[device].forget();
        match tape.below(3) {
            0 => self.write(conn, b"<presence type='unavailable'/></stream:stream>"),
            _ => self.write(conn, b"</stream:stream>"),
        }
    }

    fn store_fails(&mut self, tape: &mut Tape<'_>) {
        self.store.failing = tape.byte() & 3 == 0;
        self.books.is_lossy |= self.store.failing;
    }

    fn mail_is_slow(&mut self, tape: &mut Tape<'_>) {
        match tape.below(4) {
            0 => self.is_slow = true,
            1 => self.full[tape.below(2)] = true,
            _ => {
                self.is_slow = false;
                self.full = Default::default();
            }
        }
    }

    fn time_passes(&mut self, tape: &mut Tape<'_>) {
        let millis = [1, 100, 1_001, 61_000, 299_000, 301_000, 365_000][tape.below(7)];
        self.pass(Duration::from_millis(millis));
    }

    fn administrator_acts(&mut self, tape: &mut Tape<'_>) {
        let person = tape.below(house::PEOPLE.len());
        match tape.below(5) {
            0 | 1 => {
                let address = house::address(person);
                let resource = [None, Some("a")][tape.below(2)];
                let home = address.home(house::WORKERS);
                self.route(home, router::Input::Kick { account: &address, resource });
            }
            2 => {
                self.gone ^= 1 << person;
                self.books.is_lossy = true;
                self.accounts_change();
            }
            3 => {
                self.changed ^= 1 << person;
                self.accounts_change();
            }
            _ => {
                let limits = Limits { pending: 1 + tape.below(8), ..house::limits(self.variant) };
                for me in 0..house::WORKERS {
                    let (limits, rooms) = (limits.clone(), house::rooms());
                    self.route(WorkerId(me), router::Input::Plan { limits, rooms, components: Vec::new() });
                }
            }
        }
    }

    fn accounts_change(&mut self) {
        self.directory = house::accounts(self.gone, self.changed);
        for me in 0..house::WORKERS {
            self.route(WorkerId(me), router::Input::Directory(Arc::clone(&self.directory)));
            self.pump();
        }
    }
}
