//! In-band registration (XEP-0077), as far as somebody needs it who has an account: another password (§3.3). Accounts are made
//! and taken away by administrators.

use crate::jid::Jid;
use crate::ns;
use crate::router::stored::Then;
use crate::router::{Answer, Eviction, Fault, Output, Router};
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use std::time::Duration;
use wire::{Address, ConnectionId, Secret};

/// How long a session waits before it sets a password again: each costs every worker something.
const AGAIN: Duration = Duration::from_secs(10);

/// A change of an account's password that is not durable yet.
#[derive(Debug)]
pub(crate) struct Renewing {
    /// The session that wants it.
    pub(crate) connection: ConnectionId,
    /// Whether the account has had other keys since. They are its own, or the change comes to nothing.
    pub(crate) renewed: bool,
}

/// What a client wants its password to be.
fn wish(query: &Element, account: &Address) -> Result<Secret, Condition> {
    if query.find("remove", ns::REGISTER).is_some() {
        return Err(Condition::NotAllowed);
    }
    let content = |name| query.find(name, ns::REGISTER).map(Element::content);
    let (Some(name), Some(password)) = (content("username"), content("password")) else {
        return Err(Condition::BadRequest);
    };
    let named: Option<Address> = match name.contains('@') {
        true => name.parse().ok(),
        false => format!("{name}@{}", account.domain()).parse().ok(),
    };
    if named.as_ref() != Some(account) {
        return Err(Condition::NotAllowed);
    }
    if password.is_empty() {
        return Err(Condition::BadRequest);
    }
    wire::address::password(&password).map_err(|_| Condition::NotAcceptable)
}

/// Whom the account belongs to, for who asks what is to be filled in.
fn form(account: &Address) -> Element {
    let element = |name: &'static str| Element::new(name, ns::REGISTER);
    Element::new("query", ns::REGISTER)
        .child(element("registered"))
        .child(element("username").text(account.user().to_owned()))
        .child(element("password"))
}

impl Router {
    /// What somebody who has an account asks of its registration.
    pub(crate) fn register(&mut self, connection: ConnectionId, stanza: &Stanza, get: bool, query: &Element) {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return };
        let host = stanza.to().and_then(|to| self.directory.domain(to.domain()));
        if host.is_some_and(|host| host.as_str() != account.domain()) {
            return self.answer_error(connection, stanza, Condition::NotAllowed);
        }
        if get {
            return self.answer(connection, stanza.result(Some(&form(&account))));
        }
        match wish(query, &account) {
            Ok(_) if !self.may_renew(&account, connection) => {
                self.answer_error(connection, stanza, Condition::ResourceConstraint);
            }
            Ok(password) => self.renew(account, connection, stanza, password),
            Err(condition) => self.answer_error(connection, stanza, condition),
        }
    }

    /// Whether a session may set the password now: one change at a time, and not one after another.
    fn may_renew(&self, account: &Address, connection: ConnectionId) -> bool {
        let under_way = self.accounts.get(account).is_some_and(|account| account.renewing.is_some());
        let last = self.sessions.get(&connection).and_then(|session| session.renewed);
        !under_way && last.is_none_or(|last| self.now.saturating_duration_since(last) >= AGAIN)
    }

    fn renew(&mut self, account: Address, connection: ConnectionId, stanza: &Stanza, password: Secret) {
        let debt = self.owe(Some(connection));
        let entry = self.accounts.entry(&account);
        entry.asks += 1;
        entry.renewing = Some(Renewing { connection, renewed: false });
        // What was asked holds the password, and is not kept.
        let error =
            stanza.error(Condition::ResourceConstraint).expect("a request may be answered with an error");
        let answers = Box::new([stanza.result(None), error]);
        let then = Then::PasswordSet { account: account.clone(), connection, answers, debt };
        let token = self.asks.open(then);
        self.output(Output::SetPassword { token, account, password });
    }

    /// The password is another, or is not: whoever wanted it hears. Where the keys have changed and it was not this change, the
    /// session goes as all others did.
    pub(crate) fn password_set(
        &mut self,
        account: &Address,
        connection: ConnectionId,
        [done, failed]: [Stanza; 2],
        outcome: &Result<Answer, Fault>,
    ) {
        self.one_ask_less(account);
        let renewing = self.accounts.get_mut(account).and_then(|account| account.renewing.take());
        match outcome {
            Ok(_) => {
                let now = self.now;
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.renewed = Some(now);
                }
                self.answer(connection, done);
            }
            Err(_) if renewing.is_some_and(|renewing| renewing.renewed) => {
                self.evict(connection, Eviction::PasswordChanged);
            }
            Err(_) => self.answer(connection, failed),
        }
        self.accounts.rest(account, self.limits.cached);
    }
}
