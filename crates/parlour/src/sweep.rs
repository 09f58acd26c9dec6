//! What is kept for a time and no longer: forgotten by the hour.

use crate::clock;
use crate::config::Plan;
use std::time::Duration;
use store::{Query, StoreHandle};

/// How often it is looked for.
pub(crate) const OFTEN: Duration = Duration::from_secs(3600);

/// Forgets what archives have kept for long enough.
pub(crate) async fn archives(store: &StoreHandle, plan: &Plan) {
    if plan.xmpp.archive_for.is_zero() {
        return;
    }
    let now = clock::now();
    let before = xmpp::archive::id_at(now.saturating_sub(plan.xmpp.archive_for));
    if let Err(fault) = store.query(Query::PurgeArchives { before }).await {
        tracing::warn!(%fault, "messages that are older than xmpp.archive-for stay in the archives");
    }
}
