//! Results files of replicas that can no longer write them, and tasks that no live replica has.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::journal::event::{ResultsWritten, StopReason, Stopped};
use crate::journal::launches::last_launches;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::journal::writer::SharedJournalWriter;
use crate::launch::Launcher;
use crate::launch::balance::feeder::Feeder;
use crate::launch::balance::idle::pause_after;
use crate::launch::balance::{Leaving, Reach};
use crate::launch::begin::cannot_start;
use crate::launch::end::end_journal;
use crate::liveness::fence::Fence;
use crate::liveness::probe::Prober;
use crate::liveness::takeover::{AlreadyRunning, GivenUp, TakeoverObserver, begin};
use crate::model::blocks::{BlockId, Blocks};
use crate::model::counts::TaskCounts;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::run::recorder::RecorderParts;
use crate::sharing::ledger::{BlockLedger, BlockStanding};
use crate::sharing::peers::{PeerState, PeerWatch};
use crate::terminal::console::{Tone, Verbosity};

/// How many launches stay until all others have ended.
const ENOUGH_THAT_STAY: u32 = 2;

/// Pauses between checks whether others have ended, which only have to write their results.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(500);

/// What is left to do for a run when a launch has ended.
pub(in crate::launch) struct Aftermath {
    pub(super) me: LaunchId,
    pub(super) process: Process,
    pub(super) peers: PeerWatch,
    /// Replicas that this launch took blocks over from.
    pub(super) taken_over_from: BTreeSet<u32>,
    /// Whether every task of the run has a record.
    pub(super) is_complete: bool,
    /// Tasks without a record that no living launch has, or will take.
    pub(in crate::launch) left_behind: u64,
    /// When the launch had nothing more to take.
    pub(super) since: Instant,
    /// The longest wait for others.
    pub(super) patience: Duration,
}

impl Aftermath {
    /// Writes missing or outdated results files of replicas that can no longer do so: of all of them
    /// if the run is complete, else of those that this launch took over from.
    pub(in crate::launch) fn write_missing_results(mut self, launcher: &Launcher<'_>, blocks: &Blocks) {
        if self.is_complete {
            self.wait_for_others(launcher);
        }
        let Ok(newest) = last_launches(launcher.layout) else { return };
        let is_concerned = |replica: &u32| self.is_complete || self.taken_over_from.contains(replica);
        let concerned = newest.into_iter().filter(|(replica, _)| *replica != self.me.replica);
        let concerned: Vec<_> = concerned.filter(|(replica, _)| is_concerned(replica)).collect();
        let mut ledger = BlockLedger::new(launcher.layout, launcher.run_id(), blocks, self.process.clone());
        if concerned.is_empty() || ledger.refresh_claims().is_err() {
            return;
        }
        for (replica, launch) in concerned {
            if launcher.stop.signal().is_some() {
                return;
            }
            let claims = ledger.by_launch().into_iter().filter(|(by, _)| by.replica == replica);
            let held = claims.flat_map(|(_, claims)| claims).map(|claim| claim.block).collect();
            if let Err(error) = self.write_if_missing(launcher, blocks, LaunchId { replica, launch }, &held) {
                let text =
                    format!("the results file of replica {replica} can't be written for it: {error:#}");
                launcher.console.say(Verbosity::Normal, Tone::Warning, &text);
            }
        }
    }

    /// Stays until others have ended, if it is this launch's turn; it has already written its own results. So if a launch
    /// dies while writing its own, another one is left to write them for it.
    fn wait_for_others(&mut self, launcher: &Launcher<'_>) {
        let begun = Instant::now();
        // Storage that gives an error may recover in a moment.
        while begun.elapsed() < self.patience && self.must_wait_for_others(launcher).unwrap_or(true) {
            if launcher.stop.begins_within(pause_after(begun, PAUSES)) {
                return;
            }
        }
    }

    /// The two with the lowest ids stay, of those that have not ended and have sent a heartbeat since: one without may
    /// be dead.
    fn must_wait_for_others(&mut self, launcher: &Launcher<'_>) -> anyhow::Result<bool> {
        let (mut unended, mut lower) = (0, 0);
        for (replica, launch) in last_launches(launcher.layout)? {
            let peer = LaunchId { replica, launch };
            let is_me = replica == self.me.replica;
            if is_me || matches!(self.peers.look(peer).state, PeerState::Stopped | PeerState::Dead) {
                continue;
            }
            unended += 1;
            lower += u32::from(replica < self.me.replica && self.peers.grew_since(peer, self.since));
            if lower == ENOUGH_THAT_STAY {
                return Ok(false);
            }
        }
        Ok(unended > 0)
    }

    fn write_if_missing(
        &mut self,
        launcher: &Launcher<'_>,
        blocks: &Blocks,
        last: LaunchId,
        held: &BTreeSet<BlockId>,
    ) -> anyhow::Result<()> {
        let is_over = matches!(self.peers.look(last).state, PeerState::Stopped | PeerState::Dead);
        if !is_over || has_right_results(launcher, blocks, last, held)? {
            return Ok(());
        }
        let config = launcher.config;
        let replica = Replica::of_run(last.replica, config.identity.replica.count());
        let config = config.on_behalf_of(replica, Duration::ZERO);
        let launcher = Launcher { config: &config, ..*launcher };
        match launcher.write_results_only(blocks, &self.process, last) {
            // Another launch is doing it, or the replica has been launched again.
            Err(error) if error.is::<GivenUp>() || error.is::<AlreadyRunning>() => Ok(()),
            written => written,
        }
    }
}

/// Whether the results file of a replica that has ended is correct: its stop record confirms it, and no record in it
/// belongs to a block that another replica has.
fn has_right_results(
    launcher: &Launcher<'_>,
    blocks: &Blocks,
    last: LaunchId,
    held: &BTreeSet<BlockId>,
) -> anyhow::Result<bool> {
    let layout = launcher.layout;
    let length = std::fs::metadata(layout.results(last.replica)).map(|results| results.len()).ok();
    let words = tail::last_words(&layout.journal(last.replica, last.launch))?;
    let Some(written) = words.and_then(|words| words.results) else {
        return Ok(held.is_empty() && length.is_none());
    };
    let is_of_its_own = |index| blocks.block_of(index).is_some_and(|block| held.contains(&block));
    let has_no_other = written.tasks.as_ref().is_some_and(|tasks| tasks.iter().all(is_of_its_own));
    Ok(has_no_other && length == Some(written.bytes))
}

impl Feeder<'_> {
    /// Tasks without a record that no living launch has, or will take.
    pub(super) fn left_behind(&mut self) -> u64 {
        let is_left_to_others = matches!(self.leaving, Some(Leaving::AllRecorded | Leaving::OthersWork(_)));
        let is_stopped = self.launcher.stop.signal().is_some();
        if is_stopped || (is_left_to_others && self.abandoned.is_empty()) {
            return 0;
        }
        if !self.reach.has_others() {
            return self.left_of_own();
        }
        let others_take_it = is_left_to_others || self.others_live();
        if self.ledger.refresh().is_err() {
            return 0;
        }
        let all: Vec<(BlockId, BlockStanding)> = self.ledger.standings().collect();
        all.into_iter().map(|(block, standing)| self.left_of(block, &standing, others_take_it)).sum()
    }

    /// Tasks of its own share that this launch has not begun.
    fn left_of_own(&self) -> u64 {
        let own = self.blocks.of_share(self.me.replica).filter(|block| self.ledger.is_free(*block));
        let own = own.filter(|_| self.reach == Reach::Own);
        own.map(|block| self.launcher.wanted_of(self.blocks, block)).sum()
    }

    /// How many tasks of a block no live launch has or will take.
    fn left_of(&self, block: BlockId, standing: &BlockStanding, others_take_it: bool) -> u64 {
        let is_abandoned = self.abandoned.contains(&block);
        let files = self.blocks.indices(block).map_or(0, |indices| indices.len());
        match standing {
            BlockStanding::Ended { .. } => 0,
            _ if others_take_it && !is_abandoned => 0,
            BlockStanding::Held { by, claim, .. } | BlockStanding::Unclear { by, claim }
                if *by == self.me || self.settled.contains(claim) =>
            {
                0
            }
            BlockStanding::Held { progress: Some(progress), .. } => progress.left,
            _ => files,
        }
    }

    /// Whether any other launch runs, by how lately its journal was written.
    fn others_live(&self) -> bool {
        let layout = self.launcher.layout;
        let prober = Prober::new(layout, self.launcher.config.heartbeat);
        let newest = last_launches(layout).unwrap_or_default();
        let mut others = newest.into_iter().filter(|(replica, _)| *replica != self.me.replica);
        others.any(|(replica, launch)| prober.is_running(&layout.journal(replica, launch)))
    }
}

impl Launcher<'_> {
    /// Writes the results file of a replica that is dead or has ended, as its next launch with nothing to run.
    fn write_results_only(&self, blocks: &Blocks, me: &Process, last: LaunchId) -> anyhow::Result<()> {
        self.refuse_to_replace()?;
        let (layout, replica) = (self.layout, self.config.identity.replica);
        let path = layout.journal(last.replica, last.launch);
        let length = std::fs::metadata(&path)?.len();
        let known = KnownToHaveEnded { journal: path, length };
        let (journal, locked) = begin(layout, self.run_id(), replica, me, self.config.heartbeat, &known)?;
        let begun = self.introduction(me, locked, Vec::new(), &blocks.share(replica.id()));
        let (journal, fence, heartbeat) = self.begin_journal(journal, &begun)?;
        let written = self.write_held(&journal, &fence, blocks, me);
        let (written, counts) = written.map_err(|error| cannot_start(&journal, error))?;
        let figures = Some(Box::default());
        let (reason, blocks) = (StopReason::Done, Vec::new());
        let stopped = Stopped { reason, signal: None, exit: 0, why: None, figures, blocks };
        end_journal(&journal, stopped, Some(written), 0, counts)?;
        drop(heartbeat);
        Ok(())
    }

    /// Writes the results file of all that this replica has.
    fn write_held(
        &self,
        journal: &SharedJournalWriter,
        fence: &Arc<Fence>,
        blocks: &Blocks,
        me: &Process,
    ) -> anyhow::Result<(ResultsWritten, TaskCounts)> {
        let run = self.list.header().run_ref();
        let history = JournalState::of_replica_without_tasks(self.layout, &run, self.id(), false, &|| {
            self.stop.signal().is_none()
        })?;
        let recorder = self.recorder(journal, fence, history);
        recorder.expect(0);
        self.resume_blocks(blocks, &recorder, me, Reach::Results, None)?;
        let RecorderParts { mut state, claims, .. } = recorder.into_parts();
        let prepared = self.prepare_results(&mut state, &claims)?;
        fence.look_patiently()?;
        Ok((prepared.put()?, state.counts()))
    }
}

/// Knows that the launch before has ended. Where another one has begun since, it is left alone.
struct KnownToHaveEnded {
    journal: PathBuf,
    length: u64,
}

impl TakeoverObserver for KnownToHaveEnded {
    fn keep_going(&self) -> bool {
        false
    }

    fn waiting_for(&self, _launch: u32, _who: &str) {}

    fn was_quiet(&self, journal: &Path) -> bool {
        journal == self.journal && std::fs::metadata(journal).is_ok_and(|now| now.len() == self.length)
    }
}
