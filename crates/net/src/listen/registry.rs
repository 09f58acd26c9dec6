//! What is listened on, for all workers: which listeners are in force, by which sockets each comes in, and how to get from
//! there to another list without touching what stays.

use super::retirement::Retirement;
use super::{Bound, ListenError, Row, Spec, choose, open_door};
use crate::datagram::Datagram;
use crate::web::{Admits, Prospects};
use crate::{Choice, Endpoint, Limits, Tag};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use wire::{SocketId, Transport};

/// What is in force, and what was and still has clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    live: Vec<Live>,
    places: Vec<Place>,
    /// How many numbers were given out: none is given twice.
    specs: u16,
    sockets: u16,
    doors: u32,
}

/// A listener in force.
#[derive(Clone, Debug)]
struct Live {
    number: u16,
    spec: Spec,
}

/// A bound address, of which every worker has a twin.
#[derive(Clone, Debug)]
struct Place {
    at: Endpoint,
    address: SocketAddr,
    socket: Twin,
    /// Plain streams, or datagrams.
    plain: Option<Row>,
    /// Streams inside TLS, or DTLS.
    sealed: Option<Row>,
    /// Whether plain ones ever came in here.
    was_plain: bool,
    retirement: Option<Arc<Retirement>>,
}

/// The number of a place's sockets, the same for all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twin {
    Datagram(SocketId),
    Stream(u32),
}

/// What one worker has to do.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) datagrams: Vec<(SocketId, Datagram)>,
    pub(crate) doors: Vec<(u32, Socket)>,
    pub(crate) rows: Arc<Rows>,
}

/// What comes in where from now on. Doors that are not named are closed.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) datagrams: Vec<DatagramRow>,
    pub(crate) doors: Vec<DoorRow>,
}

/// What comes in by a datagram socket.
#[derive(Clone, Debug)]
pub(crate) struct DatagramRow {
    pub(crate) socket: SocketId,
    pub(crate) plain: Option<Tag>,
    pub(crate) was_plain: bool,
    pub(crate) dtls: Option<Row>,
    /// Nothing new comes in here; the socket is closed once nobody holds it.
    pub(crate) retirement: Option<Arc<Retirement>>,
}

/// What comes in by a door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorRow {
    pub(crate) number: u32,
    pub(crate) plain: Option<Row>,
    pub(crate) tls: Option<Row>,
}

impl Spec {
    fn is_sealed(&self) -> bool {
        self.kind.transport().is_secure()
    }

    fn is_stream(&self) -> bool {
        self.kind.transport().is_stream()
    }

    fn row(&self, number: u16) -> Row {
        let web = match self.kind.transport() {
            Transport::Ws | Transport::Wss => Admits::Only,
            Transport::Tcp | Transport::Tls if self.web || self.choices.iter().any(Choice::takes_web) => {
                Admits::Also
            }
            _ => Admits::Never,
        };
        let prospects = match self.is_stream() {
            true => Prospects { web, requests: self.requests, shared: !self.choices.is_empty() },
            false => Prospects::default(),
        };
        Row { spec: number, tag: self.tag, prospects }
    }

    /// Whose it is, and what each of them has there.
    fn owners(&self) -> impl Iterator<Item = (Tag, Transport)> {
        let alone = self.choices.is_empty().then(|| (self.tag, self.kind.transport()));
        let all = self.choices.iter();
        let shared =
            all.flat_map(|choice| choice.transports.iter().map(|transport| (choice.tag, *transport)));
        alone.into_iter().chain(shared)
    }

    fn has_port(&self) -> bool {
        match self.at {
            Endpoint::Every(port) => port != 0,
            Endpoint::At(address) => address.port() != 0,
        }
    }
}

impl Place {
    fn admit(&mut self, spec: &Spec, number: u16) {
        self.was_plain |= !spec.is_sealed();
        let half = if spec.is_sealed() { &mut self.sealed } else { &mut self.plain };
        *half = Some(spec.row(number));
    }

    fn datagram(&self) -> Option<SocketId> {
        match self.socket {
            Twin::Datagram(socket) => Some(socket),
            Twin::Stream(_) => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_none() && self.sealed.is_none()
    }

    /// Whether datagrams to this address may come in by either.
    fn overlaps(&self, address: SocketAddr) -> bool {
        let (own, other) = (self.address.ip(), address.ip());
        let wide = own.is_unspecified() || other.is_unspecified();
        self.address.port() == address.port() && (own == other || (wide && own.is_ipv4() == other.is_ipv4()))
    }

    /// Whether sockets of a listener can be bound beside ours, which are to go: streams always. Datagrams only where ours
    /// have one address and theirs all: the other way round the kernel would give the clients that there are to other
    /// workers, as it spreads those of one address and those of all in different ways.
    fn lets_in(&self, spec: &Spec, address: SocketAddr) -> bool {
        let widens = !self.address.ip().is_unspecified() && address.ip().is_unspecified();
        let is_stream = self.datagram().is_none();
        is_stream == spec.is_stream() && self.overlaps(address) && (is_stream || widens)
    }

    /// Whether a listener may come in here too, told apart from what does already by what a client sends first: TLS from
    /// plain streams, DTLS from datagrams (RFC 7983 §7).
    fn takes(&self, spec: &Spec) -> bool {
        let is_stream = matches!(self.socket, Twin::Stream(_));
        spec.has_port()
            && self.at == spec.at
            && is_stream == spec.is_stream()
            && (if spec.is_sealed() { self.sealed } else { self.plain }).is_none()
    }
}

/// A registry in the making: what was taken out of retirement goes back if it comes to nothing.
struct Draft {
    next: Registry,
    changes: Vec<Change>,
    recalled: Vec<Arc<Retirement>>,
}

impl Registry {
    /// What has to be done for `specs` to be in force: new sockets are bound, all or none.
    pub(crate) fn change(
        &self,
        specs: &[Spec],
        workers: u16,
        limits: &Limits,
    ) -> Result<(Self, Vec<Change>), ListenError> {
        let mut draft = Draft {
            next: Self { live: Vec::new(), ..self.clone() },
            changes: (0..workers.max(1)).map(|_| Change::default()).collect(),
            recalled: Vec::new(),
        };
        for place in &mut draft.next.places {
            (place.plain, place.sealed) = (None, None);
        }
        let kept = self.keep(specs, &mut draft.next);
        for (index, spec) in specs.iter().enumerate().filter(|(index, _)| kept[*index].is_none()) {
            if let Err((address, source)) = draft.add(spec, limits) {
                draft.recalled.iter().for_each(|retirement| retirement.take_back());
                return Err(ListenError { spec: index, name: spec.name.clone(), address, source });
            }
        }
        Ok(draft.finish(specs, workers))
    }

    /// Carries over those that stay; which number each has.
    fn keep(&self, specs: &[Spec], next: &mut Self) -> Vec<Option<u16>> {
        let mut left = self.live.clone();
        let find = |spec: &Spec| {
            let at = left.iter().position(|live| live.spec == *spec)?;
            let number = left.swap_remove(at).number;
            next.live.push(Live { number, spec: spec.clone() });
            for (old, new) in self.places.iter().zip(&mut next.places) {
                if old.plain.iter().chain(&old.sealed).any(|row| row.spec == number) {
                    new.admit(spec, number);
                }
            }
            Some(number)
        };
        specs.iter().map(find).collect()
    }

    /// What is bound where, in the order of the specs in force.
    pub(crate) fn bound(&self) -> Vec<Bound> {
        let all = self.live.iter().enumerate().flat_map(|(index, live)| {
            let is_its = |row: &&Row| row.spec == live.number;
            let its = move |place: &&Place| place.plain.iter().chain(&place.sealed).any(|row| is_its(&row));
            self.places.iter().filter(its).flat_map(move |place| {
                live.spec.owners().map(move |(tag, transport)| Bound {
                    spec: index,
                    tag,
                    transport,
                    address: place.address,
                    socket: place.datagram(),
                })
            })
        });
        all.collect()
    }

    /// What was asked for of each listener in force, by its number.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (u16, &Spec)> {
        self.live.iter().map(|live| (live.number, &live.spec))
    }

    /// Whether a former listener is just leaving this one's place.
    pub(crate) fn is_leaving(&self, spec: &Spec) -> bool {
        self.places.iter().any(|place| place.at == spec.at && place.retirement.is_some())
    }

    /// Other places where what is sent to this one's address might come in.
    fn others<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a Place> {
        let other = move |other: &&Place| other.datagram() != place.datagram();
        self.places.iter().filter(other).filter(|other| {
            place.datagram().is_some() && other.datagram().is_some() && other.overlaps(place.address)
        })
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        for place in &self.places {
            // An address that was listed and is now among all: here it still comes in, as long as the socket is there.
            let wider =
                || self.others(place).find(|other| other.address.ip().is_unspecified() && !other.is_empty());
            let (plain, sealed) = match place.is_empty().then(wider).flatten() {
                Some(other) => (other.plain, other.sealed),
                None => (place.plain, place.sealed),
            };
            match place.socket {
                Twin::Datagram(socket) => rows.datagrams.push(DatagramRow {
                    socket,
                    plain: plain.map(|row| row.tag),
                    was_plain: place.was_plain,
                    dtls: sealed,
                    retirement: place.retirement.clone(),
                }),
                Twin::Stream(number) => rows.doors.push(DoorRow { number, plain, tls: sealed }),
            }
        }
        rows
    }
}

impl Draft {
    /// Lets a new listener come in, by sockets that are there or by new ones.
    fn add(&mut self, spec: &Spec, limits: &Limits) -> Result<(), (SocketAddr, io::Error)> {
        let number = self.next.specs;
        let nowhere = SocketAddr::from(([0; 4], 0));
        self.next.specs = number.checked_add(1).ok_or_else(|| (nowhere, used_up()))?;
        self.next.live.push(Live { number, spec: spec.clone() });
        if self.share(spec, number) {
            return Ok(());
        }
        let ours = |address| self.next.places.iter().any(|place| place.lets_in(spec, address));
        for address in choose(spec, &ours).map_err(|refusal| self.explain(spec, refusal))? {
            self.bind(spec, number, address, limits).map_err(|error| (address, error))?;
        }
        Ok(())
    }

    /// Says why a datagram listener cannot be bound beside one of ours that has every address.
    fn explain(&self, spec: &Spec, (address, error): (SocketAddr, io::Error)) -> (SocketAddr, io::Error) {
        let wide = |place: &&Place| place.datagram().is_some() && place.address.ip().is_unspecified();
        let is_ours = self.next.places.iter().filter(wide).any(|place| place.overlaps(address));
        if is_ours && !spec.is_stream() && error.kind() == io::ErrorKind::AddrInUse {
            return (
                address,
                io::Error::other("only a restart takes one of all addresses that are listened on"),
            );
        }
        (address, error)
    }

    fn share(&mut self, spec: &Spec, number: u16) -> bool {
        let mut shares = false;
        for place in self.next.places.iter_mut().filter(|place| place.takes(spec)) {
            if let Some(retirement) = &place.retirement {
                // It may be closing this very moment; then its address is free shortly.
                if !retirement.recall() {
                    continue;
                }
                self.recalled.push(Arc::clone(retirement));
                place.retirement = None;
            }
            place.admit(spec, number);
            shares = true;
        }
        shares
    }

    fn bind(&mut self, spec: &Spec, number: u16, address: SocketAddr, limits: &Limits) -> io::Result<()> {
        let next = &mut self.next;
        let socket = if spec.is_stream() {
            next.doors += 1;
            Twin::Stream(next.doors - 1)
        } else {
            next.sockets = next.sockets.checked_add(1).ok_or_else(used_up)?;
            Twin::Datagram(SocketId(u32::from(next.sockets - 1)))
        };
        for change in &mut self.changes {
            match socket {
                Twin::Datagram(id) => {
                    let datagram = Datagram::bind(address, true, limits.listener_buffer, spec.tag)?;
                    change.datagrams.push((id, datagram));
                }
                Twin::Stream(number) => change.doors.push((number, open_door(address, limits)?)),
            }
        }
        let (plain, sealed, was_plain, retirement) = (None, None, false, None);
        let mut place = Place { at: spec.at, address, socket, plain, sealed, was_plain, retirement };
        place.admit(spec, number);
        next.places.push(place);
        Ok(())
    }

    fn finish(self, specs: &[Spec], workers: u16) -> (Registry, Vec<Change>) {
        let Self { mut next, mut changes, .. } = self;
        let order = |live: &Live| specs.iter().position(|spec| *spec == live.spec);
        next.live.sort_by_key(order);
        // What nothing comes in by any more is closed: a door at once, a datagram socket when its clients are gone.
        next.places.retain(|place| {
            let is_stream = matches!(place.socket, Twin::Stream(_));
            let is_over = place.retirement.as_ref().is_some_and(|retirement| retirement.is_over());
            !place.is_empty() || !(is_stream || is_over)
        });
        for place in next.places.iter_mut().filter(|place| place.is_empty() && place.retirement.is_none()) {
            place.retirement = Some(Retirement::new(workers));
        }
        let rows = Arc::new(next.rows());
        changes.iter_mut().for_each(|change| change.rows = Arc::clone(&rows));
        (next, changes)
    }
}

fn used_up() -> io::Error {
    io::Error::other("too many listeners were added since the start")
}
