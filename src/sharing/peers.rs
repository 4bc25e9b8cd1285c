//! Whether other launches are still running: by the ends of their journals, by their locks on this host, and by how long their
//! journals have not grown, by this process's own clock.

#[cfg(test)]
mod tests;
mod watched;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::host::storage::StorageError;
use crate::journal::event::BlockProgress;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::sharing::peers::watched::WatchedJournal;
use crate::store::layout::Layout;

/// The `--takeover-after` of a launch with a journal that lacks it.
pub const TAKEOVER_AFTER: Duration = Duration::from_mins(2);

/// What is known of a launch's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// It ended in order.
    Stopped,
    /// Its lock on this host is free, or its journal did not grow for its `--takeover-after`.
    Dead,
    /// Its journal has grown since the first look, or its process and lock are on this host.
    Alive,
    /// Not watched for long enough.
    Unknown,
    /// Its journal was not there for as long as a launch takes to seem dead. Until then it is unknown: another host may not
    /// see a new file yet.
    Missing,
}

/// The result of checking a launch.
#[derive(Debug, Clone)]
pub struct PeerLook {
    /// Whether it is alive.
    pub state: PeerState,
    /// The unfinished blocks that it has, according to its last heartbeat or its stop record, and those that it may have
    /// claimed since.
    pub blocks: Vec<BlockProgress>,
    /// How many claims it had made at its last heartbeat; `None` before its first.
    pub claims: Option<u64>,
    /// Why this look was not answered; the rest is what was known before.
    pub trouble: Option<StorageError>,
}

impl PeerLook {
    /// The blocks that it certainly has and has not ended.
    pub fn held(&self) -> impl Iterator<Item = &BlockProgress> {
        self.blocks.iter().filter(|block| block.is_held())
    }
}

/// Watches the journals of other launches. A look is one call, and where the journal has grown a reading of its end.
#[derive(Debug)]
pub struct PeerWatch {
    layout: Layout,
    run: String,
    me: Process,
    watched: BTreeMap<LaunchId, WatchedJournal>,
}

impl PeerWatch {
    /// For the launches of `run` in a results directory, as seen by the process `me`.
    pub fn new(layout: &Layout, run: &str, me: Process) -> Self {
        Self { layout: layout.clone(), run: run.to_owned(), me, watched: BTreeMap::new() }
    }

    /// Checks a launch.
    pub fn look(&mut self, peer: LaunchId) -> PeerLook {
        self.look_at(peer, Instant::now)
    }

    /// The same; the clock is read when the storage has answered.
    fn look_at(&mut self, peer: LaunchId, clock: impl Fn() -> Instant) -> PeerLook {
        let path = || self.layout.journal(peer.replica, peer.launch);
        let watched = self.watched.entry(peer).or_insert_with(|| WatchedJournal::new(path(), peer, clock()));
        let answered = watched.look(&self.run, &self.me, clock);
        PeerLook { trouble: answered.err().map(|error| StorageError::from(&error)), ..watched.known() }
    }

    /// What is known about a launch without another check; `None` if it was never checked.
    pub fn known(&self, peer: LaunchId) -> Option<PeerLook> {
        self.watched.get(&peer).map(WatchedJournal::known)
    }

    /// Whether any launch was running when it was last checked.
    pub fn has_seen_alive(&self) -> bool {
        self.watched.values().any(|watched| watched.known().state == PeerState::Alive)
    }

    /// Whether the last look showed that a launch has stopped in order, or that its lock on this host is free: it does not
    /// wake up.
    pub fn is_certainly_over(&self, peer: LaunchId) -> bool {
        self.watched.get(&peer).is_some_and(WatchedJournal::is_certainly_over)
    }

    /// Whether a launch certainly sent a heartbeat after a moment: its journal grew between two checks after it, or a check
    /// after it found its process and lock on this host.
    pub fn grew_since(&self, peer: LaunchId, since: Instant) -> bool {
        self.watched.get(&peer).is_some_and(|watched| watched.has_lived_since(since))
    }
}
