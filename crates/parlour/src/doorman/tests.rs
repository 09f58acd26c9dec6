//! Several workers' doormen with virtual time.

use super::*;
use crate::config::plan::Network;

const MINUTE: Duration = Duration::from_secs(60);

fn rules() -> BansPlan {
    let trusted = vec![Network { address: "192.0.2.128".parse().expect("valid"), prefix: 25 }];
    let (time, longest) = (10 * MINUTE, 30 * MINUTE);
    BansPlan { attempts: 5, window: MINUTE, time, longest, account: 12, rate: 0, burst: 1, trusted }
}

struct House {
    doormen: Vec<Doorman>,
    locks: Vec<Arc<Locks>>,
    now: Instant,
}

impl House {
    fn new(workers: u16) -> Self {
        let doormen = (0..workers).map(|me| Doorman::new(WorkerId(me), workers, rules())).collect();
        Self { doormen, locks: vec![Arc::default(); workers.into()], now: Instant::now() }
    }

    /// Carries the mail until there is none.
    fn settle(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for place in 0..self.doormen.len() {
                while let Some(output) = self.doormen[place].poll() {
                    quiet = false;
                    match output {
                        Output::Post(to, letter) => {
                            self.doormen[usize::from(to.0)].letter(self.now, letter);
                        }
                        Output::Locks(locks) => self.locks[place] = locks,
                        Output::Banned(..) | Output::Locked(..) => {}
                    }
                }
            }
        }
    }

    /// Failures at one worker after the other.
    fn fail(&mut self, from: &str, account: Option<&Address>, times: usize) {
        for turn in 0..times {
            let place = turn % self.doormen.len();
            self.doormen[place].failed(self.now, ip(from), account.cloned());
            self.settle();
        }
    }

    /// Whether all workers ban it; they never disagree.
    fn bans(&self, from: &str) -> bool {
        let first = self.doormen[0].bans(self.now, ip(from));
        assert!(self.doormen.iter().all(|doorman| doorman.bans(self.now, ip(from)) == first));
        first
    }

    fn bar(&self, from: &str) -> bool {
        let first = self.locks[0].bar(self.now, &joe(), ip(from));
        assert!(self.locks.iter().all(|locks| locks.bar(self.now, &joe(), ip(from)) == first));
        first
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("valid")
}

fn joe() -> Address {
    Address::new("joe", "falcot.com").expect("valid")
}

#[test]
fn a_source_is_banned_everywhere_at_its_limit_and_only_it() {
    for workers in [1, 3] {
        let mut house = House::new(workers);
        house.fail("192.0.2.1", None, 4);
        assert!(!house.bans("192.0.2.1"));
        house.fail("192.0.2.1", None, 1);
        assert!(house.bans("192.0.2.1"));
        assert!(!house.bans("192.0.2.2"));
        house.now += 10 * MINUTE;
        assert!(!house.bans("192.0.2.1"));
    }
}

#[test]
fn failures_in_different_windows_do_not_add_up() {
    let mut house = House::new(2);
    for _ in 0..5 {
        house.fail("192.0.2.1", None, 4);
        house.now += MINUTE;
    }
    assert!(!house.bans("192.0.2.1"));
}

#[test]
fn bans_grow_with_repeats_up_to_a_bound() {
    let mut house = House::new(2);
    for minutes in [10, 20, 30, 30] {
        house.fail("192.0.2.1", None, 5);
        house.now += minutes * MINUTE - Duration::from_secs(1);
        assert!(house.bans("192.0.2.1"), "{minutes}");
        house.now += Duration::from_secs(1);
        assert!(!house.bans("192.0.2.1"), "{minutes}");
    }
    // Whoever keeps quiet for as long as the longest ban begins anew.
    house.now += 31 * MINUTE;
    house.fail("192.0.2.1", None, 5);
    house.now += 10 * MINUTE;
    assert!(!house.bans("192.0.2.1"));
}

#[test]
fn the_hosts_of_one_network_of_ipv6_are_one_source() {
    let mut house = House::new(2);
    for host in 1..=5 {
        house.fail(&format!("2001:db8::{host}"), None, 1);
    }
    assert!(house.bans("2001:db8::ffff"));
    assert!(!house.bans("2001:db8:0:1::1"));
}

#[test]
fn trusted_sources_are_never_banned() {
    let mut house = House::new(2);
    house.fail("192.0.2.200", None, 50);
    let ban = Ban { until: house.now + MINUTE, reason: Reason::Administrator };
    for doorman in &mut house.doormen {
        doorman.letter(house.now, Letter::Ban(Source::of(ip("192.0.2.200")), ban));
    }
    assert!(!house.bans("192.0.2.200"));
    house.fail("192.0.2.1", None, 5);
    let trusted = vec![Network { address: ip("192.0.2.0"), prefix: 24 }];
    house.doormen.iter_mut().for_each(|doorman| {
        doorman.set_rules(BansPlan { trusted: trusted.clone(), ..rules() });
    });
    assert!(!house.bans("192.0.2.1"));
}

#[test]
fn without_a_limit_only_administrators_ban() {
    let mut house = House::new(1);
    house.fail("192.0.2.1", None, 5);
    let ban = Ban { until: house.now + MINUTE, reason: Reason::Administrator };
    house.doormen[0].letter(house.now, Letter::Ban(Source::of(ip("192.0.2.2")), ban));
    house.doormen[0].set_rules(BansPlan { attempts: 0, ..rules() });
    house.fail("192.0.2.3", None, 50);
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|from| house.bans(from)), [false, true, false]);
}

#[test]
fn a_lifted_ban_is_forgotten_with_its_count() {
    let mut house = House::new(2);
    house.fail("192.0.2.1", None, 5);
    for doorman in &mut house.doormen {
        doorman.letter(house.now, Letter::Lift(Source::of(ip("192.0.2.1"))));
    }
    assert!(!house.bans("192.0.2.1"));
    house.fail("192.0.2.1", None, 4);
    assert!(!house.bans("192.0.2.1"));
}

#[test]
fn an_account_tried_from_everywhere_is_locked_for_unknown_sources_only() {
    let mut house = House::new(3);
    house.doormen[1].right(house.now, ip("192.0.2.77"), &joe());
    house.settle();
    for host in 1..=11 {
        house.fail(&format!("192.0.2.{host}"), Some(&joe()), 1);
    }
    assert!(!house.bar("192.0.2.99"));
    house.fail("192.0.2.12", Some(&joe()), 1);
    assert!(house.bar("192.0.2.99"));
    assert!(!house.bar("192.0.2.77"));
    assert!(!house.bans("192.0.2.12"));
    house.now += 10 * MINUTE;
    assert!(!house.bar("192.0.2.99"));
}

#[test]
fn a_locked_account_can_be_unlocked() {
    let mut house = House::new(2);
    for host in 1..=12 {
        house.fail(&format!("192.0.2.{host}"), Some(&joe()), 1);
    }
    assert!(house.bar("192.0.2.99"));
    let now = house.now;
    house.doormen.iter_mut().for_each(|doorman| doorman.letter(now, Letter::Unlock(joe())));
    house.settle();
    assert!(!house.bar("192.0.2.99"));
}

#[test]
fn tables_have_a_bound() {
    let now = Instant::now();
    let mut table: Table<u32, ()> = Table::new(3);
    for key in 0..10 {
        table.put(now, key, (), now + MINUTE * (key + 1));
    }
    assert_eq!(table.iter().count(), 3);
    assert!(table.get(now, &9).is_some() && table.get(now, &6).is_none());
    table.expire(now + 9 * MINUTE);
    assert_eq!(table.iter().count(), 1);
}

#[test]
fn right_sign_ins_are_told_once_in_a_while() {
    let mut house = House::new(2);
    let away = WorkerId(1 - joe().home(2).0);
    let doorman = &mut house.doormen[usize::from(away.0)];
    let mut told = |after: Duration| {
        doorman.right(house.now + after, ip("192.0.2.7"), &joe());
        doorman.poll().is_some()
    };
    assert_eq!([told(Duration::ZERO), told(MINUTE), told(AGAIN)], [true, false, true]);
}

/// There is one for each account.
#[test]
fn what_is_known_of_an_account_is_small() {
    assert!(size_of::<Places>() <= 16, "{}", size_of::<Places>());
}

#[test]
fn an_account_knows_the_last_of_its_places() {
    let mut house = House::new(1);
    let hosts: Vec<String> = (1..=9).map(|host| format!("198.51.100.{host}")).collect();
    for (minute, host) in (0..).zip(&hosts) {
        house.doormen[0].right(house.now + minute * MINUTE, ip(host), &joe());
    }
    // Those that come again are not others.
    house.doormen[0].right(house.now + 40 * MINUTE, ip(&hosts[1]), &joe());
    house.doormen[0].right(house.now + 41 * MINUTE, ip("198.51.100.10"), &joe());
    house.now += 41 * MINUTE;
    for host in 1..=12 {
        house.fail(&format!("192.0.2.{host}"), Some(&joe()), 1);
    }
    let known: Vec<bool> = hosts.iter().map(|host| !house.bar(host)).collect();
    assert_eq!(known, [false, true, false, true, true, true, true, true, true]);
    assert!(!house.bar("198.51.100.10") && house.bar("198.51.100.11"));
}

#[test]
fn a_flood_bans_when_it_is_as_long_again_and_says_so() {
    let mut house = House::new(2);
    house.doormen.iter_mut().for_each(|doorman| doorman.set_rules(BansPlan { burst: 30, ..rules() }));
    for turn in 0..30 {
        assert!(!house.bans("198.51.100.1"));
        house.doormen[turn % 2].flooded(house.now, ip("198.51.100.1"));
        house.doormen[turn % 2].flooded(house.now, ip("192.0.2.200"));
        house.settle();
    }
    assert!(house.bans("198.51.100.1") && !house.bans("192.0.2.200"), "whoever is trusted may");
    let reason = house.doormen[0].listed(house.now).bans[0].1.reason;
    assert_eq!(reason, Reason::Flood(30, 0));
    assert_eq!(reason.to_string(), "30 requests more than strangers may send");
    // Wrong passwords are few, and do not add up with it.
    for _ in 0..29 {
        house.doormen[0].flooded(house.now, ip("198.51.100.2"));
        house.settle();
    }
    house.fail("198.51.100.2", None, 4);
    assert!(!house.bans("198.51.100.2"));
    house.fail("198.51.100.2", None, 1);
    assert!(house.bans("198.51.100.2"));
}
