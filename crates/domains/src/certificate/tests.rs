//! Years of certificates in virtual time, beside an authority that fails as it is told to.

use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn held(list: &[&str], begins: u64, ends: u64) -> Held {
    Held { names: names(list), begins: at(begins), ends: at(ends) }
}

/// An authority, the driver beside it, and what has happened.
struct World {
    course: Course,
    now: u64,
    life: u64,
    /// Names that cannot be proven, from when until when.
    unproven: Vec<(&'static str, u64, u64)>,
    /// When nothing is reached.
    outage: (u64, u64),
    /// What it says of renewal: so long after the beginning.
    window: Option<(u64, u64)>,
    orders: Vec<(u64, Order)>,
    asked: usize,
    issued: usize,
    /// When there was no certificate in force.
    bare: u64,
}

impl World {
    fn new(wanted: &[&str], life: u64) -> Self {
        Self {
            course: Course::new(names(wanted), None, &Memory::default(), u32::MAX / 3),
            now: 1_000_000,
            life,
            unproven: vec![],
            outage: (0, 0),
            window: None,
            orders: vec![],
            asked: 0,
            issued: 0,
            bare: 0,
        }
    }

    fn run(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            let next = match self.course.step(at(self.now)) {
                Step::Wait(until) => until.as_secs().max(self.now + 1).min(end),
                Step::Ask => self.ask(),
                Step::Order(order) => self.order(order),
            };
            let covered = self.course.held().map_or(self.now, |held| held.ends.as_secs());
            self.bare += next.saturating_sub(covered.max(self.now));
            self.now = next;
        }
    }

    fn is_out(&self) -> bool {
        (self.outage.0..self.outage.1).contains(&self.now)
    }

    fn ask(&mut self) -> u64 {
        self.asked += 1;
        let begins = self.course.held().expect("one is asked about").begins;
        match self.window {
            _ if self.is_out() => self.course.not_suggested(at(self.now), false),
            None => self.course.not_suggested(at(self.now), true),
            Some((first, last)) => {
                let window = Window { begins: begins + at(first), ends: begins + at(last) };
                self.course.suggested(at(self.now), window, Some(at(6 * HOUR)));
            }
        }
        self.now
    }

    fn order(&mut self, order: Order) -> u64 {
        let blamed = |(name, from, until): &(&str, u64, u64)| {
            ((*from..*until).contains(&self.now) && order.names.iter().any(|own| own == name))
                .then(|| (*name).to_owned())
        };
        let blamed: Vec<String> = self.unproven.iter().filter_map(blamed).collect();
        self.orders.push((self.now, order.clone()));
        let now = at(self.now);
        if self.is_out() {
            self.course.failed(now, &Failure { fault: Fault::Unreachable, names: vec![], retry_after: None });
        } else if !blamed.is_empty() {
            self.course.failed(now, &Failure { fault: Fault::Names, names: blamed, retry_after: None });
        } else {
            self.issued += 1;
            let held = Held { names: order.names, begins: now - at(HOUR), ends: now + at(self.life) };
            self.course.issued(held, u32::MAX / 3);
        }
        self.now + 10
    }

    fn why(&self) -> Vec<Why> {
        self.orders.iter().map(|(_, order)| order.why).collect()
    }
}

#[test]
fn a_year_of_each_length_is_covered_with_few_orders() {
    for (days, most) in [(90, 7), (47, 13), (6, 100)] {
        let mut world = World::new(&["falcot.com", "xmpp.falcot.com"], days * DAY);
        world.run(365 * DAY);
        assert_eq!((world.bare, world.orders.len()), (0, world.issued), "never without");
        assert!(world.issued <= most, "{} in a year of {days} days each", world.issued);
        assert!(world.why()[1..].iter().all(|why| *why == Why::Time));
    }
}

#[test]
fn houses_do_not_come_all_at_once() {
    let due =
        |luck| Course::new(names(&["a"]), Some(held(&["a"], 0, 90 * DAY)), &Memory::default(), luck).due();
    assert_eq!(due(0), at(60 * DAY - 36 * HOUR), "nobody has begun to warn");
    assert_eq!(due(u32::MAX), at(57 * DAY - 36 * HOUR));
}

#[test]
fn the_authority_says_when() {
    let mut world = World::new(&["falcot.com"], 90 * DAY);
    world.window = Some((30 * DAY, 33 * DAY));
    world.run(32 * DAY);
    assert_eq!(world.issued, 2);
    let (first, second) = (world.orders[0].0, world.orders[1].0);
    let moment = first - HOUR + 31 * DAY;
    assert!((moment..moment + MINUTE).contains(&second), "a third of the way into the window");
    assert!((31 * 4..=32 * 4 + 2).contains(&(world.asked as u64)), "every six hours: {}", world.asked);
    // A revocation to come: the window lies in the past all at once.
    world.window = Some((0, 1));
    world.run(7 * HOUR);
    assert_eq!(world.issued, 3);
    // One that always lies in the past is no reason to order all the time.
    world.run(10 * DAY);
    assert!(world.issued <= 3 + 11, "{}", world.issued);
}

#[test]
fn a_window_is_neither_believed_blindly_nor_forgotten() {
    let mut course = Course::new(names(&["a"]), Some(held(&["a"], 0, 90 * DAY)), &Memory::default(), 0);
    let usual = course.due();
    course.suggested(at(10), Window { begins: at(5 * DAY), ends: at(5 * DAY) }, Some(at(1)));
    assert_eq!(course.due(), usual, "it ends where it begins");
    assert_eq!(course.step(at(11)), Step::Wait(at(10 + MINUTE)), "not more often than once a minute");
    course.suggested(at(100), Window { begins: at(300 * DAY), ends: at(301 * DAY) }, Some(at(30 * DAY)));
    assert_eq!(course.due(), at(81 * DAY), "before it ends");
    assert_eq!(course.step(at(200)), Step::Wait(at(100 + DAY)), "not less often than once a day");
    course.suggested(at(200), Window { begins: at(7 * DAY), ends: at(8 * DAY) }, None);
    course.not_suggested(at(300), false);
    assert_eq!((course.due(), course.step(at(301))), (at(7 * DAY), Step::Wait(at(300 + MINUTE))));
    course.not_suggested(at(400), false);
    assert_eq!(course.step(at(401)), Step::Wait(at(400 + 2 * MINUTE)));
}

#[test]
fn an_outage_of_weeks_is_outlived_and_nobody_is_pestered() {
    let mut world = World::new(&["falcot.com"], 90 * DAY);
    world.outage = (1_000_000 + 50 * DAY, 1_000_000 + 80 * DAY);
    world.run(100 * DAY);
    assert_eq!((world.bare, world.issued), (0, 2));
    assert!(world.orders.len() < 24 * 25, "at most once an hour: {}", world.orders.len());
    let renewed = world.orders.last().expect("there were some").0;
    assert!(renewed < 1_000_000 + 80 * DAY + 2 * HOUR, "soon after the end of it");
}

#[test]
fn one_name_that_fails_does_not_hold_up_the_others() {
    let mut world = World::new(&["falcot.com", "xmpp.falcot.com", "turn.falcot.com"], 90 * DAY);
    world.unproven.push(("falcot.com", 0, 1_000_000 + 3 * DAY));
    world.run(MINUTE);
    let first = &world.orders[1].1;
    assert_eq!((world.issued, &first.names), (1, &names(&["xmpp.falcot.com", "turn.falcot.com"])));
    assert_eq!(world.course.missing(), ["falcot.com"]);
    world.run(HOUR);
    assert_eq!(world.orders.len(), 4, "authorities count five failures an hour: {:?}", world.orders);
    world.run(5 * DAY);
    assert_eq!(world.course.missing(), [""; 0]);
    assert_eq!(world.why().last(), Some(&Why::Names));
    assert!(world.orders.len() < 15, "{}", world.orders.len());
    assert_eq!(world.course.memory(), Memory::default(), "everything is forgotten");
}

#[test]
fn a_name_that_the_certificate_has_is_not_given_up_in_haste() {
    let mut world = World::new(&["falcot.com", "xmpp.falcot.com"], 90 * DAY);
    world.unproven.push(("falcot.com", 1_000_000 + 40 * DAY, 1_000_000 + 70 * DAY));
    world.run(89 * DAY);
    assert_eq!((world.issued, world.course.missing().len(), world.bare), (2, 0, 0), "it came back in time");
    let mut world = World::new(&["falcot.com", "xmpp.falcot.com"], 90 * DAY);
    world.unproven.push(("falcot.com", 1_000_000 + 40 * DAY, 1_000_000 + 900 * DAY));
    world.run(120 * DAY);
    assert_eq!((world.issued, world.bare), (2, 0));
    assert_eq!(world.course.missing(), ["falcot.com"], "the other one is kept alive");
}

#[test]
fn a_restart_does_not_begin_anew() {
    let mut course = Course::new(names(&["a", "b"]), None, &Memory::default(), 0);
    let failure = Failure { fault: Fault::Rate, names: vec![], retry_after: Some(at(3 * HOUR)) };
    course.failed(at(0), &failure);
    assert_eq!(course.due(), at(3 * HOUR), "as long as it says");
    course.failed(at(0), &Failure { retry_after: Some(at(900 * DAY)), ..failure.clone() });
    assert_eq!(course.due(), at(7 * DAY), "but not for ever");
    course.failed(at(0), &Failure { fault: Fault::Names, names: names(&["b"]), retry_after: None });
    let mut again = Course::new(names(&["a", "b"]), None, &course.memory(), 0);
    assert_eq!((again.memory(), again.due()), (course.memory(), course.due()));
    assert_eq!(again.step(at(10)), Step::Order(Order { names: names(&["a"]), why: Why::First }));
    again.force();
    assert_eq!(again.step(at(0)), Step::Order(Order { names: names(&["a", "b"]), why: Why::Wanted }));
    again.failed(at(0), &failure);
    assert_eq!(again.step(at(0)), Step::Wait(again.due()), "once");
    again.forgive();
    assert_eq!(again.step(at(0)), Step::Order(Order { names: names(&["a", "b"]), why: Why::First }));
}

#[test]
fn names_come_and_go_with_the_configuration() {
    let mut course = Course::new(names(&["a"]), Some(held(&["a"], 0, 90 * DAY)), &Memory::default(), 0);
    course.not_suggested(at(0), true);
    assert_eq!(course.step(at(1)), Step::Wait(at(DAY)));
    course.want(names(&["a", "b"]));
    assert_eq!(course.step(at(1)), Step::Order(Order { names: names(&["a", "b"]), why: Why::Names }));
    course.want(names(&["c"]));
    assert_eq!(course.step(at(1)), Step::Order(Order { names: names(&["c"]), why: Why::Names }));
    course.want(vec![]);
    assert_eq!(course.step(at(1)), Step::Wait(Duration::MAX));
}
