//! Questions to one name server, by UDP and where that does not do by TCP; what it says of many names.

use domains::check::Question;
use domains::message::{Answer, Manner, question};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long one try may take, and how many there are.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: u32 = 3;

/// How long a change, or a long answer, may take.
const LONG: Duration = Duration::from_secs(15);

/// Questions under way to one server at a time.
const AT_ONCE: usize = 16;

/// Asks one thing.
pub(crate) async fn ask(server: SocketAddr, asked: &Question, manner: Manner) -> Result<Answer, String> {
    let kind = domain::base::iana::Rtype::from_int(asked.1);
    let id = random();
    let message = question(id, &asked.0, kind, manner).map_err(|error| error.to_string())?;
    for _ in 0..TRIES {
        match tokio::time::timeout(PATIENCE, by_udp(server, &message, id)).await {
            Ok(Ok(answer)) if answer.truncated => return whole(server, &message, id).await,
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {}
        }
    }
    Err(format!("nothing came in {} s", (PATIENCE * TRIES).as_secs()))
}

async fn whole(server: SocketAddr, message: &[u8], id: u16) -> Result<Answer, String> {
    let octets = by_tcp(server, message).await?;
    Answer::read(&octets, id).ok_or_else(|| "what came by TCP is no answer".to_owned())
}

async fn by_udp(server: SocketAddr, message: &[u8], id: u16) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = Answer::read(&buffer[..length], id) {
            return Ok(answer);
        }
    }
}

/// Sends a message by TCP, and waits for what comes back.
pub(super) async fn by_tcp(server: SocketAddr, message: &[u8]) -> Result<Vec<u8>, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length =
            u16::try_from(message.len()).map_err(|_| io::Error::other("more than a message holds"))?;
        stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await?;
        let length = usize::from(stream.read_u16().await?);
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match tokio::time::timeout(LONG, exchange).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("nothing came in {} s", LONG.as_secs())),
    }
}

/// Asks many things, side by side; nothing more, once the first is not answered.
pub(super) async fn ask_all(
    server: SocketAddr,
    questions: &[Question],
    manner: Manner,
) -> BTreeMap<Question, Result<Answer, String>> {
    let Some((first, others)) = questions.split_first() else { return BTreeMap::new() };
    let answer = ask(server, first, manner).await;
    if let Err(error) = answer {
        return questions.iter().map(|question| (question.clone(), Err(error.clone()))).collect();
    }
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for question in others.iter().cloned() {
        let room = Arc::clone(&room);
        tasks.spawn(async move {
            let _place = room.acquire().await;
            let answer = ask(server, &question, manner).await;
            (question, answer)
        });
    }
    tasks.join_all().await.into_iter().chain([(first.clone(), answer)]).collect()
}

/// Whether this host has a way there at all: one without IPv6 asks nobody by it.
pub(crate) async fn has_way(server: SocketAddr) -> bool {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    match UdpSocket::bind((any, 0)).await {
        Ok(socket) => socket.connect(server).await.is_ok(),
        Err(_) => false,
    }
}

/// Something nobody guesses, so that nobody answers in a server's place.
pub(super) fn random() -> u16 {
    let [low, high, ..] = getrandom::u32().unwrap_or_default().to_ne_bytes();
    u16::from_ne_bytes([low, high])
}
