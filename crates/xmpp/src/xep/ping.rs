//! Ping (XEP-0199): an empty result is all there is to it.

use super::Answer;

pub(super) fn answer() -> Answer {
    Ok(None)
}
