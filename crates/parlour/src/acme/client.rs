//! Requests to an authority in the name of an account (RFC 8555 §6, §7.2, §7.3): signed, each with a nonce, and made again where the
//! authority does not take the nonce.

use super::fault::Error;
use super::http::{Http, Reply};
use super::jws::AccountKey;
use super::words::{Directory, Problem};
use crate::config::plan::AcmePlan;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How often a request is made where its nonce is not taken (RFC 8555 §6.5).
const TRIES: usize = 12;

/// The most nonces that are kept.
const NONCES: usize = 8;

/// An account with an authority, and the way there.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    directory: Directory,
    key: AccountKey,
    /// The account's URL; empty before there is one.
    account: String,
    nonces: Vec<String>,
}

/// An account as it is kept.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) url: String,
    pub(super) key: AccountKey,
}

impl Client {
    /// Goes on with an account.
    pub(super) async fn resume(http: Http, plan: &AcmePlan, account: Account) -> Result<Self, Error> {
        let mut client = Self::begin(http, plan, account.key).await?;
        client.account = account.url;
        Ok(client)
    }

    /// Makes an account for this key, or finds the one that it has (RFC 8555 §7.3, §7.3.1).
    pub(super) async fn register(http: Http, plan: &AcmePlan, key: AccountKey) -> Result<Self, Error> {
        let mut client = Self::begin(http, plan, key).await?;
        let url = client.directory.new_account.clone();
        let mut wish = json!({ "termsOfServiceAgreed": true, "contact": plan.contact });
        match &plan.external {
            Some(customer) => {
                let binding = client.key.bound_to(&customer.kid, &customer.key, &url);
                wish["externalAccountBinding"] = binding;
            }
            None if client.directory.meta.external_account_required => {
                let text = "the authority has customers alone: set acme.external-account as it has told you";
                return Err(Error::Account(text.into()));
            }
            None => {}
        }
        let made = client.post(&url, Some(&wish)).await?;
        client.account = location(&made)?;
        Ok(client)
    }

    async fn begin(mut http: Http, plan: &AcmePlan, key: AccountKey) -> Result<Self, Error> {
        let directory = open_directory(&mut http, plan).await?;
        Ok(Self { http, directory, key, account: String::new(), nonces: vec![] })
    }

    /// The account's URL.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The account's key.
    pub(super) fn key(&self) -> &AccountKey {
        &self.key
    }

    /// Where the authority takes what.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Tells the authority whom it may write to (RFC 8555 §7.3.2).
    pub(super) async fn change_contact(&mut self, contact: &[String]) -> Result<(), Error> {
        let account = self.account.clone();
        self.post(&account, Some(&json!({ "contact": contact }))).await.map(drop)
    }

    /// What is there ("POST as GET", RFC 8555 §6.3).
    pub(super) async fn get<T: DeserializeOwned>(&mut self, url: &str) -> Result<(T, Reply), Error> {
        let reply = self.post(url, None).await?;
        Ok((read(&reply)?, reply))
    }

    /// Sends a signed request, again with another nonce where that one is not taken (RFC 8555 §6.5).
    pub(super) async fn post(&mut self, url: &str, payload: Option<&Value>) -> Result<Reply, Error> {
        let mut last = None;
        for _ in 0..TRIES {
            let nonce = self.nonce().await?;
            let account = Some(self.account.as_str()).filter(|account| !account.is_empty());
            let request = self.key.sign(url, &nonce, account, payload).map_err(Error::Own)?;
            let reply = self.http.ask(Method::POST, url, Some(request.to_string())).await;
            if let Ok(reply) = &reply {
                self.keep_nonce(reply);
            }
            match good(reply) {
                Err(error) if error.kind() == "badNonce" => last = Some(error),
                other => return other,
            }
        }
        Err(last.expect("a loop that goes on has had an error"))
    }

    async fn nonce(&mut self) -> Result<String, Error> {
        if let Some(nonce) = self.nonces.pop() {
            return Ok(nonce);
        }
        let url = self.directory.new_nonce.clone();
        let reply = good(self.http.ask(Method::HEAD, &url, None).await)?;
        self.keep_nonce(&reply);
        self.nonces.pop().ok_or_else(|| Error::Strange("the authority gives no nonces".into()))
    }

    fn keep_nonce(&mut self, reply: &Reply) {
        let nonce = reply.header("replay-nonce").filter(|nonce| nonce.len() <= 512);
        if let Some(nonce) = nonce.filter(|_| self.nonces.len() < NONCES) {
            self.nonces.push(nonce.to_owned());
        }
    }
}

/// What is there, for whoever asks.
pub(super) async fn get_openly<T: DeserializeOwned>(http: &mut Http, url: &str) -> Result<(T, Reply), Error> {
    let reply = good(http.ask(Method::GET, url, None).await)?;
    Ok((read(&reply)?, reply))
}

/// Where the authority takes what (RFC 8555 §7.1.1).
pub(super) async fn open_directory(http: &mut Http, plan: &AcmePlan) -> Result<Directory, Error> {
    get_openly(http, &plan.directory).await.map(|(directory, _)| directory)
}

/// Where something was made.
pub(super) fn location(reply: &Reply) -> Result<String, Error> {
    let location = reply.header("location").filter(|url| url.starts_with("https://"));
    location.map(str::to_owned).ok_or_else(|| Error::Strange("the authority does not say where it is".into()))
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Error> {
    serde_json::from_slice(&reply.body)
        .map_err(|error| Error::Strange(format!("what the authority says cannot be read: {error}")))
}

/// An answer that is no refusal.
fn good(reply: Result<Reply, String>) -> Result<Reply, Error> {
    let reply = reply.map_err(|text| Error::Unreachable { text, retry_after: None })?;
    if reply.is_good() {
        return Ok(reply);
    }
    let (status, retry_after) = (reply.status, reply.retry_after());
    match serde_json::from_slice::<Problem>(&reply.body) {
        Ok(problem) if !problem.kind.is_empty() => Err(Error::Refused { status, problem, retry_after }),
        _ => Err(Error::Unreachable { text: format!("the authority answers {status}"), retry_after }),
    }
}
