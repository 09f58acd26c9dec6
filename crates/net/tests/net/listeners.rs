//! Binding: everything or nothing, chosen ports, errors that name the listener; starting, timers, stopping.

use crate::support::*;
use net::{CloseReason, Limits, Setup, listen};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};
use wire::{SocketId, Transport, WorkerId};

#[test]
fn chosen_ports_are_reported_and_shared_by_families_and_workers() {
    let specs = [spec(SHOW, udp(), ":0"), spec(ECHO, tcp(), ":0"), spec(ECHO, udp(), "127.0.0.1:0")];
    let listeners = listen(&specs, 3, &Limits::default()).unwrap();
    let bound = listeners.bound();
    let specs: Vec<_> = bound.iter().map(|bound| bound.spec).collect();
    assert_eq!(specs, [0, 0, 1, 1, 2]);
    assert!(bound.iter().all(|bound| bound.address.port() != 0));
    assert_eq!(bound[0].address.port(), bound[1].address.port());
    assert_eq!(bound[2].address.port(), bound[3].address.port());
    let sockets: Vec<_> = bound.iter().map(|bound| bound.socket).collect();
    assert_eq!(sockets, [Some(SocketId(0)), Some(SocketId(1)), None, None, Some(SocketId(2))]);
    assert_eq!((bound[2].transport, bound[2].tag, bound[4].tag), (Transport::Tcp, ECHO, ECHO));
}

#[test]
fn a_busy_port_is_named_and_nothing_stays_bound() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let busy = holder.local_addr().unwrap();
    let specs = [spec(SHOW, tcp(), &free.to_string()), spec(SHOW, udp(), &busy.to_string())];
    let error = listen(&specs, 2, &Limits::default()).unwrap_err();
    assert_eq!((error.spec, error.address), (1, busy));
    assert!(error.to_string().ends_with("address in use"), "{error}");
    assert!(error.to_string().contains("test At("), "{error}");
    TcpListener::bind(free).expect("the first listener was let go again");
}

#[test]
fn another_server_s_port_is_busy_even_if_it_would_share() {
    for kind in [udp(), tcp()] {
        let first = listen(&[spec(SHOW, kind.clone(), ":0")], 2, &Limits::default()).unwrap();
        let port = format!(":{}", first.bound()[0].address.port());
        let error = listen(&[spec(SHOW, kind.clone(), &port)], 2, &Limits::default()).unwrap_err();
        assert!(error.to_string().ends_with("address in use"), "{error}");
        drop(first);
        listen(&[spec(SHOW, kind, &port)], 2, &Limits::default()).expect("free again");
    }
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let error = listen(&[spec(SHOW, udp(), "192.0.2.1:0")], 1, &Limits::default()).unwrap_err();
    assert!(error.to_string().ends_with("not an address of this host"), "{error}");
}

#[test]
fn tls_without_a_certificate_does_not_start() {
    let listeners = listen(&[spec(ECHO, tls(&[]), "127.0.0.1:0")], 1, &Limits::default()).unwrap();
    let started = net::run::<Probe, _>(listeners, Setup::default(), |_| unreachable!("nothing starts"));
    assert_eq!(started.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_handler_that_cannot_be_made_stops_all_workers() {
    let listeners = listen(&[spec(ECHO, tcp(), "127.0.0.1:0")], 3, &Limits::default()).unwrap();
    let address = listeners.bound()[0].address;
    let started = net::run::<Probe, _>(listeners, Setup::default(), |start| {
        assert!(start.me.0 != 1, "on purpose");
        Probe::silent()
    });
    assert!(started.unwrap_err().to_string().contains("panicked"));
    TcpListener::bind(address).expect("everything is closed");
}

#[test]
fn a_tick_comes_at_the_deadline_and_not_before() {
    let house = House::new(1, &[]);
    let at = Instant::now() + Duration::from_millis(80);
    house.act(0, move |probe, _| probe.alarm = Some(Instant::now() + Duration::from_secs(60)));
    house.act(0, move |probe, _| probe.alarm = Some(at));
    let Seen::Tick { at: ticked } = house.next() else { panic!() };
    assert!(ticked >= at && ticked < at + Duration::from_secs(5));
    assert!(house.is_quiet());
}

#[test]
fn mail_goes_to_every_worker_and_comes_back_when_a_queue_is_full() {
    let house = House::with(2, &[], Limits { mail: 4, ..Limits::default() }, |_, _, _, data| data.len());
    house.act(0, |_, net| assert!(net.post(WorkerId(1), Mail::Text("hello".into())).is_ok()));
    let Seen::Text { worker, text } = house.next() else { panic!() };
    assert_eq!((worker, text.as_str()), (WorkerId(1), "hello"));
    let refused = house.ask(0, |_, net| {
        let posted = (0..6).map(|number| net.post(net.me(), Mail::Text(number.to_string())));
        posted.filter(Result::is_err).count()
    });
    assert_eq!(refused, 2);
    for number in 0..4 {
        let Seen::Text { text, .. } = house.next() else { panic!() };
        assert_eq!(text, number.to_string());
    }
    let postbox = house.running.postbox();
    assert!(postbox.post(WorkerId(2), Mail::Text("nobody".into())).is_err());
}

#[test]
fn a_panic_in_a_handler_is_told() {
    let mut house = House::new(2, &[]);
    house.act(1, |_, _| panic!("on purpose"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended = runtime.block_on(house.running.ended());
    assert_eq!((ended.worker, ended.panicked), (WorkerId(1), true));
    assert!(house.running.postbox().post(WorkerId(1), Mail::Text(String::new())).is_err());
    assert_eq!(house.ask(0, |_, net| net.me()), WorkerId(0), "the other goes on");
}

#[test]
fn stopping_accepts_nothing_more_waits_for_the_last_connection_and_ends() {
    let house = House::new(2, &[spec(ECHO, tcp(), &own())]);
    let mut last = house.dial(0);
    let (conn, _) = house.opened();
    let (address, postbox) = (house.address(0), house.running.postbox());
    let running = house.running;
    let stopper = std::thread::spawn(move || running.stop(Duration::from_secs(30)));
    let until = Instant::now() + Duration::from_secs(20);
    // One refusal is that of a worker which was faster than the other.
    let mut refusals = 0;
    while refusals < 50 {
        assert!(Instant::now() < until, "it still accepts");
        refusals = if std::net::TcpStream::connect(address).is_err() { refusals + 1 } else { 0 };
    }
    assert!(!stopper.is_finished());
    let act = move |_: &mut Probe, net: &mut net::Net<'_, Mail>| {
        net.write(conn, b"goodbye").unwrap();
        net.close(conn);
    };
    assert!(postbox.post(conn.worker, Mail::Do(Box::new(act))).is_ok());
    let mut rest = String::new();
    last.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "goodbye");
    drop(last);
    let ended = stopper.join().unwrap();
    assert_eq!(ended.iter().filter(|ended| !ended.panicked).count(), 2);
}

#[test]
fn what_is_still_open_when_the_time_is_up_is_closed() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut client = house.dial_tls(0);
    client.conn.complete_io(&mut client.sock).unwrap();
    house.opened();
    let started = Instant::now();
    let seen = house.stop(Duration::from_millis(50));
    assert!(started.elapsed() < Duration::from_secs(5));
    let reasons = seen.into_iter().filter_map(|seen| match seen {
        Seen::Closed { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [CloseReason::Shutdown]);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "close_notify, not a truncation");
}
