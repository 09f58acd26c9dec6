//! How the server finds itself: told by the back office, read by every worker for the health page.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether clients feel that something is wrong.
#[derive(Debug, Default)]
pub struct Vitals(AtomicBool);

impl Vitals {
    /// What was found by now.
    pub fn tell(&self, ill: bool) {
        self.0.store(ill, Ordering::Relaxed);
    }

    /// Whether clients feel it.
    pub fn is_ill(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
