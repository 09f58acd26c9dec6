//! Asking name servers, and reading what they say.

use domain::base::iana::Rtype;
use domain::base::{Message, Name};
use domain::rdata::AllRecordData;
use domain::resolv::StubResolver;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use wire::names::{Found, Naptr, Question, Srv};

/// What was found and how long it is good, where it says so; `None` where nobody has answered.
pub(super) async fn search(
    stub: &StubResolver,
    question: &Question,
    by_system: bool,
) -> Option<(Found, Option<Duration>)> {
    let mut records = Records::default();
    match question {
        Question::Naptr(name) => records.read(&ask(stub, name, Rtype::NAPTR).await?)?,
        Question::Srv(name) => records.read(&ask(stub, name, Rtype::SRV).await?)?,
        Question::Addresses(name) if by_system => records.ask_system(name).await,
        Question::Addresses(name) => {
            let both = tokio::join!(ask(stub, name, Rtype::A), ask(stub, name, Rtype::AAAA));
            let four = both.0.and_then(|answer| records.read(&answer));
            both.1.and_then(|answer| records.read(&answer)).or(four)?;
        }
    }
    let found = match question {
        Question::Naptr(_) => Found::Naptr(records.naptr),
        Question::Srv(_) => Found::Srv(records.srv),
        Question::Addresses(_) => Found::Addresses(records.addresses),
    };
    Some((found, records.ttl))
}

async fn ask(stub: &StubResolver, name: &str, kind: Rtype) -> Option<Message<impl AsRef<[u8]> + use<>>> {
    let name = Name::<Vec<u8>>::from_str(name).ok()?;
    Some(stub.query((name, kind)).await.ok()?.into_message())
}

#[derive(Default)]
struct Records {
    naptr: Vec<Naptr>,
    srv: Vec<Srv>,
    addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
}

impl Records {
    fn read(&mut self, message: &Message<impl AsRef<[u8]>>) -> Option<()> {
        let message = Message::from_slice(message.as_slice()).ok()?;
        for record in message.answer().ok()?.limit_to_in::<AllRecordData<_, _>>().flatten() {
            match record.data() {
                AllRecordData::A(a) => self.addresses.push(a.addr().into()),
                AllRecordData::Aaaa(aaaa) => self.addresses.push(aaaa.addr().into()),
                AllRecordData::Srv(srv) => self.srv.push(Srv {
                    priority: srv.priority(),
                    weight: srv.weight(),
                    port: srv.port(),
                    target: srv.target().to_string().into(),
                }),
                AllRecordData::Naptr(naptr) if naptr.flags().as_slice().eq_ignore_ascii_case(b"s") => {
                    self.naptr.push(Naptr {
                        order: naptr.order(),
                        preference: naptr.preference(),
                        service: String::from_utf8_lossy(naptr.services().as_slice()).into(),
                        replacement: naptr.replacement().to_string().into(),
                    });
                }
                _ => continue,
            }
            let ttl = Duration::from_secs(record.ttl().as_secs().into());
            self.ttl = Some(self.ttl.map_or(ttl, |before| before.min(ttl)));
        }
        Some(())
    }

    async fn ask_system(&mut self, name: &str) {
        // The port plays no part: whoever asks has its own.
        for found in tokio::net::lookup_host((name, 0)).await.into_iter().flatten() {
            if !self.addresses.contains(&found.ip()) {
                self.addresses.push(found.ip());
            }
        }
    }
}
