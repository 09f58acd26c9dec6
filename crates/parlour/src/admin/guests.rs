//! Accounts of the doctor: made for a visit, and gone after it, whatever becomes of the doctor.

use super::answers::PasswordSet;
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::accounts::{Put, derive};
use crate::clock::now;
use serde_json::Value;
use std::time::Duration;
use store::{Answer, Document, Query};
use wire::{Account, Address, Secret};

/// The document by which a guest is known: when its visit ends, in seconds since 1970.
const KIND: i64 = 40;
/// How long a visit may last.
const VISIT: Duration = Duration::from_secs(600);
/// More octets than such a document has.
const MOST: u64 = 64;

/// `parlour user guest`
pub(crate) fn make<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let directory = house.accounts().directory();
        let domain = arguments.domain("domain", &directory)?.or_else(|| directory.first_domain().cloned());
        let domain = domain.ok_or_else(|| Failure::failed("there is no domain"))?;
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
        let name: String = name.iter().map(|octet| format!("{octet:02x}")).collect();
        let address = Address::new(&format!("doctor-{name}"), domain.as_str())
            .map_err(|error| Failure::failed(error.to_string()))?;
        let password = derive::password();
        let secret = Secret::new(password.as_bytes());
        let work = {
            let address = address.clone();
            move || Account { keys: derive::keys(&address, &secret), address }
        };
        let account = tokio::task::spawn_blocking(work).await;
        let account = account.map_err(|error| Failure::failed(error.to_string()))?;
        house.accounts().put(vec![account], Put::New).await?;
        let ends = (now() + VISIT).as_secs().to_string().into_bytes();
        let document = Document { kind: KIND, title: String::new(), payload: Some(ends) };
        let query = Query::PutDocument { account: address.clone(), document, limit: MOST };
        if let Err(fault) = house.accounts().store().query(query).await {
            house.accounts().remove(&address).await?;
            return Err(Failure::new(Kind::Unavailable, format!("no guest is taken: {fault}")));
        }
        reply(&PasswordSet { address: address.to_string(), result: "added".into(), password: Some(password) })
    })
}

/// Removes those whose visit is over.
pub async fn farewell(house: &dyn Backend) {
    let query = Query::ListDocuments { account: None, kind: KIND };
    let guests = match house.accounts().store().query(query).await {
        Ok(Answer::Documents(guests)) => guests,
        Ok(_) => return,
        Err(fault) => return tracing::debug!(%fault, "guests of the doctor were not looked for"),
    };
    for (address, document) in guests {
        let ends = document.payload.and_then(|payload| String::from_utf8(payload).ok()?.parse::<u64>().ok());
        if ends.is_some_and(|ends| ends > now().as_secs()) {
            continue;
        }
        match house.accounts().remove(&address).await {
            Ok(()) => tracing::info!("a guest that the doctor has left behind is removed"),
            Err(error) => tracing::warn!(%error, "a guest that the doctor has left behind stays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Offline;

    #[tokio::test]
    async fn whose_visit_is_over_goes_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[[domains]]\nname = \"falcot.com\"\n[storage]\nurl = \"sqlite:parlour.db\"\n";
        let plan = crate::config::parse(&folder.path().join("parlour.toml"), text.into()).unwrap();
        let house = Offline::open(plan).await.unwrap();
        let address = |name: &str| -> Address { format!("{name}@falcot.com").parse().unwrap() };
        for (name, ends) in
            [("doctor-1", Some(now().as_secs() - 1)), ("doctor-2", None), ("guest", Some(u64::MAX))]
        {
            let account = Account { address: address(name), keys: wire::Keys::default() };
            house.accounts().put(vec![account], Put::New).await.unwrap();
            let Some(ends) = ends else { continue };
            let document =
                Document { kind: KIND, title: String::new(), payload: Some(ends.to_string().into_bytes()) };
            let query = Query::PutDocument { account: address(name), document, limit: MOST };
            house.accounts().store().query(query).await.unwrap();
        }
        farewell(&house).await;
        let directory = house.accounts().directory();
        let left = |name: &str| directory.get(&address(name)).is_some();
        assert_eq!(["doctor-1", "doctor-2", "guest"].map(left), [false, true, true]);
    }
}
