//! Sign-in (RFC 6120 §6, RFC 4422): which mechanisms there are, and one exchange of one client.
//!
//! No mechanism here needs the password of an account, and none tells whether an account exists.

pub mod external;
pub mod offer;
pub mod plain;
pub mod scram;
pub mod token;

pub use offer::{Channel, Offer};

use wire::{Address, Directory, Domain, Entropy, Secret};

/// The mechanisms, strongest first: those with channel binding before those without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4422 app. A, by a client's certificate.
    External,
    /// As RFC 5802, with SHA-512, bound to the TLS session.
    ScramSha512Plus,
    /// RFC 7677, bound to the TLS session.
    ScramSha256Plus,
    /// RFC 5802, bound to the TLS session.
    ScramSha1Plus,
    /// As RFC 5802, with SHA-512.
    ScramSha512,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 4616; only inside TLS.
    Plain,
}

impl Mechanism {
    /// All of them, strongest first.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::ScramSha512Plus,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha512,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Plain,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
        }
    }

    /// Whether it binds the sign-in to the TLS session.
    pub const fn binds(self) -> bool {
        matches!(self, Self::ScramSha512Plus | Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// The mechanism of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// Why a sign-in fails (RFC 6120 §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client gave up.
    Aborted,
    /// A token that is good no more, or was taken away.
    CredentialsExpired,
    /// TLS first.
    EncryptionRequired,
    /// Not base64.
    IncorrectEncoding,
    /// The client wants to be somebody else than whose password it has.
    InvalidAuthzid,
    /// Not one that was offered.
    InvalidMechanism,
    /// What came is not what the mechanism says.
    MalformedRequest,
    /// No such account or not its password: nobody is told which.
    NotAuthorized,
    /// Our own fault; later it may work.
    TemporaryAuthFailure,
}

impl Failure {
    /// The condition's element name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

/// What an exchange needs to know of the house.
pub struct House<'a> {
    /// The accounts.
    pub directory: &'a Directory,
    /// The main name of the domain that the client wants to sign in to.
    pub domain: &'a Domain,
    /// For nonces.
    pub entropy: &'a mut dyn Entropy,
    /// Known to this server alone: makes the salts of accounts that do not exist.
    pub secret: &'a Secret,
    /// What the client was offered.
    pub offer: &'a Offer,
}

impl House<'_> {
    /// The address that a user name stands for: a user part, or a whole address of this very domain.
    fn address(&self, name: &str) -> Option<Address> {
        match name.parse::<Address>() {
            Ok(whole) => self.directory.canonical(&whole).filter(|a| a.domain() == self.domain.as_str()),
            Err(_) => Address::new(name, self.domain.as_str()).ok(),
        }
    }

    /// Nobody acts for somebody else: the identity to act as is nobody in particular or the one signing in.
    fn check_authzid(&self, authzid: &str, address: Option<&Address>) -> Result<(), Failure> {
        let same = || self.address(authzid).as_ref() == address && authzid.contains('@');
        if authzid.is_empty() || same() { Ok(()) } else { Err(Failure::InvalidAuthzid) }
    }
}

/// How an exchange goes on.
#[derive(Debug)]
pub enum Step {
    /// The client is asked something; its response goes to the exchange.
    Challenge(Exchange, String),
    /// Keys must be derived away from the worker; what comes of it goes to `Pending::derived`.
    Derive(plain::Pending),
    /// Whether a certificate is still good must be looked up; then it is who it says it is.
    Look(external::Pending),
    /// It is who it says it is. The data goes along with the news.
    Success(Address, Option<String>),
    /// It is not, or nobody knows.
    Failure(Failure),
}

/// An exchange that waits for the client.
#[derive(Debug)]
pub enum Exchange {
    /// The client has named a mechanism and not said anything yet.
    Named(Mechanism),
    /// SCRAM-SHA-512, the proof is due.
    Sha512(scram::Challenge<scram::Sha512, 64>),
    /// SCRAM-SHA-256, the proof is due.
    Sha256(scram::Challenge<scram::Sha256, 32>),
    /// SCRAM-SHA-1, the proof is due.
    Sha1(scram::Challenge<scram::Sha1, 20>),
}

impl Exchange {
    /// Takes in what the client says, base64 already undone.
    pub fn step(self, data: &[u8], house: &mut House<'_>) -> Step {
        let step = match self {
            Self::Named(Mechanism::Plain) => plain::begin(data, house),
            Self::Named(Mechanism::External) => external::begin(data, house),
            Self::Named(mechanism) => return Self::begin(mechanism, data, house),
            Self::Sha512(challenge) => {
                challenge.finish(data).map(|(who, said)| Step::Success(who, Some(said)))
            }
            Self::Sha256(challenge) => {
                challenge.finish(data).map(|(who, said)| Step::Success(who, Some(said)))
            }
            Self::Sha1(challenge) => challenge.finish(data).map(|(who, said)| Step::Success(who, Some(said))),
        };
        step.unwrap_or_else(Step::Failure)
    }

    /// SCRAM's first message.
    fn begin(mechanism: Mechanism, data: &[u8], house: &mut House<'_>) -> Step {
        let bound = mechanism.binds();
        let begun = match mechanism {
            Mechanism::ScramSha512Plus | Mechanism::ScramSha512 => {
                scram::begin(data, bound, house).map(|(next, said)| (Self::Sha512(next), said))
            }
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => {
                scram::begin(data, bound, house).map(|(next, said)| (Self::Sha256(next), said))
            }
            _ => scram::begin(data, bound, house).map(|(next, said)| (Self::Sha1(next), said)),
        };
        begun.map_or_else(Step::Failure, |(next, said)| Step::Challenge(next, said))
    }
}

#[cfg(test)]
pub(crate) mod tests;
