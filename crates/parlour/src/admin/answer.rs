//! What every answer of a command is, whoever reads it: JSON with a schema, and words for people.

use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// What a command returns, as its caller reads it.
pub trait Answer: Serialize + DeserializeOwned + ToSchema {
    /// In words, for people.
    fn human(&self) -> String;

    /// Whether the command ends well; if not, it ends with 1, though it has answered.
    fn is_good(&self) -> bool {
        true
    }
}
