//! Results files of replicas that can't write them any more, and what nobody living has.

use std::collections::BTreeSet;
use std::path::Path;

use crate::journal::launches::last_launches;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::launch::Launcher;
use crate::launch::balance::feeder::Feeder;
use crate::launch::balance::{Leaving, Reach};
use crate::launch::end::end_journal;
use crate::liveness::takeover::{TakeoverObserver, begin};
use crate::model::blocks::{BlockId, Blocks};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::model::usage::UsageFigures;
use crate::record::results;
use crate::run::recorder::RecorderParts;
use crate::sharing::ledger::BlockStanding;
use crate::sharing::peers::PeerState;
use crate::terminal::console::Tone;

impl Feeder<'_> {
    /// Writes the results files of replicas that are dead and whose files are not as they should be: of all of them where
    /// the run is complete, else of those that this launch took over from.
    pub(super) fn see_to_the_dead(&mut self) {
        let Ok(newest) = last_launches(self.launcher.layout) else { return };
        let is_complete = self.leaving == Some(Leaving::AllRecorded);
        for (replica, launch) in newest {
            let last = LaunchId { replica, launch };
            let is_concerned = is_complete || self.heirs_of.contains(&replica);
            if replica == self.me.replica || !is_concerned || self.launcher.stop.signal().is_some() {
                continue;
            }
            if let Err(error) = self.see_to_results_of(last) {
                let text =
                    format!("the results file of replica {replica} can't be written for it: {error:#}");
                self.say(Tone::Warning, &text);
            }
        }
    }

    fn see_to_results_of(&mut self, last: LaunchId) -> anyhow::Result<()> {
        let is_over = matches!(self.ledger.peers().look(last).state, PeerState::Stopped | PeerState::Dead);
        if !is_over || self.has_right_results(last)? {
            return Ok(());
        }
        let config = self.launcher.config;
        let replica = Replica::of_run(last.replica, config.identity.replica.count());
        let config = config.on_behalf_of(replica, std::time::Duration::ZERO);
        let launcher = Launcher { config: &config, ..*self.launcher };
        launcher.write_results_only(self.blocks, &self.process)
    }

    /// Whether the results file of a replica that has ended has what it should: its last words vouch for it, and no record in
    /// it is of a block that another replica has.
    fn has_right_results(&mut self, last: LaunchId) -> anyhow::Result<bool> {
        let layout = self.launcher.layout;
        let blocks: BTreeSet<BlockId> = self.blocks_of(last.replica)?;
        let words = tail::last_words(&layout.journal(last.replica, last.launch))?;
        let Some(written) = words.and_then(|words| words.results) else {
            return Ok(blocks.is_empty() && !layout.results(last.replica).exists());
        };
        let is_of_its_own = |index| self.blocks.block_of(index).is_some_and(|block| blocks.contains(&block));
        let has_no_other = written.tasks.as_ref().is_some_and(|tasks| tasks.iter().all(is_of_its_own));
        Ok(has_no_other && results::matches_digest(layout, last.replica, &written)?)
    }

    fn blocks_of(&mut self, replica: u32) -> anyhow::Result<BTreeSet<BlockId>> {
        self.ledger.refresh_claims()?;
        let of_replica = self.ledger.by_launch().into_iter().filter(|(by, _)| by.replica == replica);
        Ok(of_replica.flat_map(|(_, claims)| claims).map(|claim| claim.block).collect())
    }

    /// Tasks without a record that no living launch has, or will take.
    pub(super) fn left_behind(&mut self) -> u64 {
        let sees_to_the_run = self.reach.has_others();
        let is_left_to_others =
            matches!(self.leaving, Some(Leaving::AllRecorded | Leaving::OthersWork(_) | Leaving::WaitedLong));
        if !sees_to_the_run || is_left_to_others || self.others_live() || self.ledger.refresh().is_err() {
            return 0;
        }
        let is_left = |block: &BlockId| match self.ledger.standing(*block) {
            BlockStanding::Free | BlockStanding::Broken { .. } => true,
            BlockStanding::Held { by, claim, .. } | BlockStanding::Unclear { by, claim } => {
                by != self.me && !self.settled.contains(&claim)
            }
            BlockStanding::Ended { .. } => false,
        };
        let left = self.blocks.all().filter(is_left);
        left.filter_map(|block| self.blocks.indices(block)).map(|indices| indices.len()).sum()
    }

    fn others_live(&mut self) -> bool {
        let newest = last_launches(self.launcher.layout).unwrap_or_default();
        let others = newest.into_iter().filter(|(replica, _)| *replica != self.me.replica);
        let mut looked =
            others.map(|(replica, launch)| self.ledger.peers().look(LaunchId { replica, launch }).state);
        looked.any(|state| matches!(state, PeerState::Alive | PeerState::Unknown))
    }
}

impl Launcher<'_> {
    /// Writes the results file of a replica that is dead or has ended, as its next launch with nothing to run.
    fn write_results_only(&self, blocks: &Blocks, me: &Process) -> anyhow::Result<()> {
        self.refuse_to_replace()?;
        let (layout, replica) = (self.layout, self.config.identity.replica);
        let (journal, locked) = begin(layout, self.run_id(), replica, me, self.config.heartbeat, &KnownDead)?;
        let begun = self.introduction(me, locked, Vec::new(), &blocks.share(replica.id()));
        let (journal, fence, heartbeat) = self.begin_journal(journal, &begun)?;
        let run = self.list.header().run_ref();
        let history = JournalState::of_replica_without_tasks(layout, &run, replica.id(), false)?;
        let recorder = self.recorder(&journal, &fence, history);
        recorder.expect(0);
        self.inherit(blocks, &recorder, me, Reach::Results)?;
        let RecorderParts { mut state, claims, .. } = recorder.into_parts();
        let prepared = self.prepare_results(&mut state, &claims)?;
        fence.look_patiently()?;
        let written = prepared.put()?;
        end_journal(&journal, None, 0, &UsageFigures::default(), Some(written), 0, state.counts())?;
        drop(heartbeat);
        Ok(())
    }
}

/// Hears nothing: that the launch before is dead is known.
struct KnownDead;

impl TakeoverObserver for KnownDead {
    fn keep_going(&self) -> bool {
        true
    }

    fn waiting_for(&self, _launch: u32, _who: &str) {}

    fn was_quiet(&self, _journal: &Path) -> bool {
        true
    }
}
