//! Whose credentials are taken beside the passwords of the house's accounts, and who may be meant by a request.

pub mod temporary;
pub mod token;

use crate::allocation::Slot;
use crate::server::Server;
use std::time::Duration;
use stun::Key;
use stun::attribute::PasswordAlgorithm;
use stun::credential::{Claim, Who};
use token::Tokens;
use wire::{Account, Address, NameForm, Secret};

/// What else than an account's password lets somebody in.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// What makes and checks time-limited credentials; any of them will do.
    pub secrets: Vec<Secret>,
    /// Whose access tokens are taken.
    pub tokens: Option<Tokens>,
}

/// To whom a valid credential belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Whom allocations count for.
    pub(crate) user: Address,
    /// Where the key came in an access token: when that ends, since 1970.
    pub(crate) until: Option<Duration>,
}

impl Owner {
    fn of(user: Address) -> Self {
        Self { user, until: None }
    }
}

/// What a credential is shown for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// The time since 1970.
    pub(crate) unix: Duration,
    /// Whether an allocation is to begin. Everything else is about one that the same account must have already.
    pub(crate) begins: bool,
    /// Which one, where it is here.
    pub(crate) place: Option<Slot>,
}

impl Server {
    /// Who may have sent a request with this claim, each with the key that would prove it.
    pub(crate) fn candidates<'s, 'r>(
        &'s self,
        purpose: Purpose,
        claim: Claim<'r>,
    ) -> impl Iterator<Item = (Owner, Key)> + use<'s, 'r> {
        let by_password = claim.token.is_none();
        let token = self.by_token(purpose, &claim).into_iter();
        let token =
            token.flat_map(|(owner, keys)| keys.into_iter().flatten().map(move |key| (owner.clone(), key)));
        let passwords = by_password.then(move || {
            let account = self.account(&claim).into_iter();
            account.chain(self.temporary(purpose, claim))
        });
        token.chain(passwords.into_iter().flatten())
    }

    /// An account of the house: `user` in the realm, or `user@domain`, or the hash of either.
    fn account(&self, claim: &Claim<'_>) -> Option<(Owner, Key)> {
        let (account, form) = match claim.who {
            Who::Name(name) => self.named(name, claim.realm)?,
            Who::Hash(hash) => self.directory.hashed(&hash.0).map(|(account, form)| (&**account, form))?,
        };
        Some((Owner::of(account.address.clone()), key_of(account, form, claim.password)?))
    }

    fn named(&self, name: &str, realm: &str) -> Option<(&Account, NameForm)> {
        let form = if name.contains('@') { NameForm::Whole } else { NameForm::User };
        let address = match form {
            NameForm::Whole => name.parse().ok()?,
            NameForm::User => Address::new(name, realm).ok()?,
        };
        Some((&**self.directory.get(&self.directory.canonical(&address)?)?, form))
    }

    /// Whom a time-limited credential of this name would be for, under each of the secrets. One that has run out still
    /// serves the allocation that was made with it: a call does not end in the middle.
    fn temporary<'s, 'r>(
        &'s self,
        purpose: Purpose,
        claim: Claim<'r>,
    ) -> impl Iterator<Item = (Owner, Key)> + use<'s, 'r> {
        let name = match claim.who {
            Who::Name(name) => temporary::Name::read(name),
            Who::Hash(_) => None,
        };
        let named = name.and_then(|name| {
            let user = name.user(claim.realm, &self.directory)?;
            let serves = !purpose.begins || purpose.unix.as_secs() < name.expires;
            serves.then_some((name, user))
        });
        named.into_iter().flat_map(move |(name, user)| {
            self.config.credentials.secrets.iter().map(move |secret| {
                (Owner::of(user.clone()), name.key(secret.expose(), claim.realm, claim.password))
            })
        })
    }

    /// The owner of an access token, or of the allocation that an earlier one was for (RFC 7635 §4.2).
    fn by_token(&self, purpose: Purpose, claim: &Claim<'_>) -> Option<(Owner, [Option<Key>; 2])> {
        let Who::Name(kid) = claim.who else { return None };
        let Some(sealed) = claim.token else {
            let allocation = self.allocations.peek(purpose.place?)?;
            let session = allocation.session.as_deref()?;
            let owner = Owner { user: allocation.user.clone(), until: Some(session.until) };
            return Some((owner, [Some(session.key), None]));
        };
        let tokens = self.config.credentials.tokens.as_ref()?;
        let token = tokens.open(kid, sealed).filter(|token| purpose.unix < token.until)?;
        // A token names nobody, and each may be sealed with another key: they all count for one.
        let user = temporary::address(tokens.server(), claim.realm)?;
        Some((Owner { user, until: Some(token.until) }, [Some(token.key), token.short]))
    }
}

/// The key that an account's password left behind.
fn key_of(account: &Account, form: NameForm, password: PasswordAlgorithm) -> Option<Key> {
    let keys = &account.keys;
    match (password, form) {
        (PasswordAlgorithm::Md5, NameForm::User) => keys.md5.as_ref().map(Key::long_term),
        (PasswordAlgorithm::Md5, NameForm::Whole) => keys.md5_whole.as_ref().map(Key::long_term),
        (PasswordAlgorithm::Sha256, NameForm::User) => keys.sha256.as_ref().map(Key::long_term),
        (PasswordAlgorithm::Sha256, NameForm::Whole) => keys.sha256_whole.as_ref().map(Key::long_term),
        (PasswordAlgorithm::Other, _) => None,
    }
}
