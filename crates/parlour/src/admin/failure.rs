//! Why a command was not carried out: as an exit code, an HTTP status, words and JSON.

use crate::accounts::ChangeError;
use crate::config::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The command was written wrongly.
    Usage,
    /// The configuration is refused.
    Configuration,
    /// What it is about is not there.
    NotFound,
    /// What it would make is there already.
    Conflict,
    /// The input's content is refused.
    Input,
    /// The server does not run, or not now.
    Unavailable,
    /// Something did not work.
    Failed,
}

impl Kind {
    /// The process's exit code: 2 for what must be written otherwise, 1 for the rest.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Configuration => 2,
            _ => 1,
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Usage => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Configuration | Self::Input => 422,
            Self::Failed => 500,
            Self::Unavailable => 503,
        }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: Kind,
    /// One sentence, or a few lines.
    pub message: String,
    /// Each single fault, where there are several: of a configuration, of a list of accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Value>,
}

impl Failure {
    /// A failure in words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), faults: vec![] }
    }

    /// The command was written wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// As `{"error": …}`.
    pub fn to_json(&self) -> Value {
        json!({ "error": self })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let faults = refusal.findings().iter().map(|finding| json!(finding)).collect();
        let message = refusal.to_string();
        let message = message.strip_prefix("error: ").unwrap_or(&message).trim_end().to_owned();
        Self { kind: Kind::Configuration, message, faults }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let kind = match &error {
            ChangeError::Exists(_) => Kind::Conflict,
            ChangeError::Unknown(_) => Kind::NotFound,
            ChangeError::Partly { .. } | ChangeError::Store(_) => Kind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<store::Fault> for Failure {
    fn from(fault: store::Fault) -> Self {
        Self::failed(fault.to_string())
    }
}

impl From<store::OpenError> for Failure {
    fn from(error: store::OpenError) -> Self {
        Self::failed(error.to_string())
    }
}
