//! The attempts that a replica's journals tell of: how each ended and where its output is kept.

use crate::journal::event::{AttemptEnded, Event};
use crate::journal::launches::launches_of;
use crate::journal::reader;
use crate::store::layout::Layout;

/// An attempt that ended, with the launch that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct PastAttempt {
    /// From 1.
    pub launch: u32,
    /// How it ended.
    pub ended: AttemptEnded,
}

/// Those attempts of a replica, oldest first, whose tasks `wanted` asks for.
///
/// # Errors
/// When a journal can't be read or is of another version.
pub fn attempts_of(
    layout: &Layout,
    run: &str,
    replica_id: u32,
    wanted: impl Fn(u64) -> bool,
) -> anyhow::Result<Vec<PastAttempt>> {
    let mut attempts = Vec::new();
    for launch in launches_of(layout, replica_id)? {
        reader::read(&layout.journal(replica_id, launch), |line| {
            if let Event::Attempt(ended) = &line.event
                && line.run == run
                && ended.status.is_some()
                && wanted(ended.index)
            {
                attempts.push(PastAttempt { launch, ended: ended.clone() });
            }
        })?;
    }
    Ok(attempts)
}
