//! The beginning of a launch of a run that shares its work: what its replica has from earlier launches.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::Context;

use crate::exit_code::CannotWrite;
use crate::journal::state::JournalState;
use crate::launch::Launcher;
use crate::launch::balance::Reach;
use crate::launch::balance::block_feed::BlockFeed;
use crate::launch::balance::block_history::{Chain, QuarantinedTasks, RemainingTasks, by_chain, history};
use crate::launch::pending::{Pending, PreviousHolder};
use crate::model::blocks::{Blocks, ClaimName};
use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::products::look::ProductChanges;
use crate::run::recorder::{BlockDue, HeldBy, Recorder};
use crate::sharing::claims::{Claimant, Claimed, ClaimsFolder, RunMovedAway};
use crate::sharing::ledger::BlockLedger;

/// Between attempts to read or claim what a replica has.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

/// What a launch begins with.
pub(in crate::launch) struct ResumedBlocks<'a> {
    pub(super) process: Process,
    pub(super) reach: Reach,
    pub(super) blocks: &'a Blocks,
    pub(super) claimant: Claimant,
    pub(super) ledger: BlockLedger<'a>,
    pub(super) feeds: VecDeque<BlockFeed>,
    pub(super) quarantined: Vec<QuarantinedTasks>,
    /// The claims that were made.
    pub(super) made: BTreeSet<ClaimName>,
    /// Tasks of the current blocks that must be run.
    pub(in crate::launch) due: u64,
    /// Of these, those that were running when a container died, or ran out of memory: they run last.
    pub(in crate::launch) last: u64,
}

/// Blocks that the replica has, and what is known of them.
struct LeftBlocks {
    /// The launches that had them, the last one last.
    chain: Chain,
    claims: Vec<ClaimName>,
    history: JournalState,
}

impl Launcher<'_> {
    /// Continues with what the replica has: claims blocks with tasks to run again, and holds the rest unchanged. `products` is the
    /// state of the products of finished tasks, if known.
    ///
    /// # Errors
    /// When journals or claims can't be read, or can't be written, also after some attempts.
    pub(in crate::launch) fn resume_blocks<'b>(
        &self,
        blocks: &'b Blocks,
        recorder: &Recorder,
        me: &Process,
        reach: Reach,
        products: Option<ProductChanges>,
    ) -> anyhow::Result<ResumedBlocks<'b>> {
        let folder = ClaimsFolder::new(self.layout, self.run_id());
        let by = LaunchId { replica: self.id(), launch: recorder.launch() };
        let claimant = Claimant::new(folder.clone(), by, me).context(CannotWrite)?;
        let mut ledger = BlockLedger::new(self.layout, self.run_id(), blocks, me.clone());
        if by.launch > 1 {
            ledger.refresh_claims()?;
        }
        let standing = self.own_claims(&ledger);
        let mut resumed = ResumedBlocks {
            process: me.clone(),
            reach,
            blocks,
            claimant,
            ledger,
            feeds: VecDeque::new(),
            quarantined: Vec::new(),
            made: BTreeSet::new(),
            due: 0,
            last: 0,
        };
        // Without what it had, this launch would write a results file that lacks it.
        let chains = self.patiently(|| by_chain(&folder, standing.iter().copied()))?;
        let mut left = Vec::with_capacity(chains.len());
        for (chain, claims) in chains {
            let history = self.patiently(|| history(self, blocks, &chain, &claims))?;
            history.problems.iter().for_each(|problem| self.console.warn(&problem.to_string()));
            left.push(LeftBlocks { chain, claims, history });
        }
        if reach != Reach::Results {
            self.take_back_what_is_gone(&mut left, products, recorder)?;
            self.check_own_places(&left, &resumed)?;
        }
        for LeftBlocks { chain, claims, mut history } in left {
            for claim in claims {
                self.resume_block(claim, &chain, &mut history, recorder, &mut resumed)?;
            }
        }
        Ok(resumed)
    }

    /// Checks the products of these blocks' tasks, unless that was done: tasks with a missing product must be run again.
    fn take_back_what_is_gone(
        &self,
        left: &mut [LeftBlocks],
        products: Option<ProductChanges>,
        recorder: &Recorder,
    ) -> anyhow::Result<()> {
        let changes = match products {
            // Other launches may now have some of the blocks that it had then.
            Some(products) => products.of_tasks(|index| {
                left.iter().any(|blocks| blocks.history.tasks.get(index).state == TaskState::Ok)
            }),
            None => self.look_at_products(left.iter().map(|blocks| &blocks.history))?,
        };
        self.say_changes(&changes);
        self.note_due_again(recorder, &changes)?;
        let indices = self.list.header().run_ref().indices;
        for index in self.due_again(&changes).within(&indices) {
            left.iter_mut().for_each(|blocks| blocks.history.tasks.make_due_again(index));
        }
        Ok(())
    }

    /// Checks where products go: those of tasks to be run in these blocks, and in unclaimed blocks
    /// of the replica's own share.
    fn check_own_places(&self, left: &[LeftBlocks], resumed: &ResumedBlocks<'_>) -> anyhow::Result<()> {
        if self.list.header().products.is_empty() {
            return Ok(());
        }
        let free = resumed.blocks.of_share(self.id()).filter(|block| resumed.ledger.is_free(*block));
        let mut due: Vec<u64> = free
            .filter_map(|block| resumed.blocks.indices(block))
            .flat_map(|share| {
                share.iter().filter(|index| self.due_rule().may_begin(*index)).collect::<Vec<_>>()
            })
            .collect();
        for LeftBlocks { claims, history, .. } in left {
            for claim in claims {
                let Some(indices) = resumed.blocks.indices(claim.block) else { continue };
                let own = PreviousHolder::OwnReplica;
                let pending = Pending::of_block(history, claim.block, self.due_rule(), own);
                due.extend(pending.in_share(&indices));
            }
        }
        due.sort_unstable();
        let is_new =
            |index| left.iter().all(|LeftBlocks { history, .. }| history.tasks.get(index).attempts == 0);
        self.check_places(due.into_iter(), is_new)
    }

    fn resume_block(
        &self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
        recorder: &Recorder,
        resumed: &mut ResumedBlocks<'_>,
    ) -> anyhow::Result<()> {
        let Some(indices) = resumed.blocks.indices(claim.block) else { return Ok(()) };
        let rest =
            RemainingTasks::of(self, history, claim.block, self.due_rule(), PreviousHolder::OwnReplica);
        let due = rest.len();
        if due == 0 || resumed.reach == Reach::Results {
            return recorder
                .hold(claim, indices, Some(history), BlockDue::default(), HeldBy::OldClaim)
                .context(CannotWrite);
        }
        let claim = claim.next();
        if !self.patiently(|| resumed.claim(claim, recorder))? {
            return Ok(());
        }
        let block_due = BlockDue { here: due, left_out: rest.left_out };
        recorder
            .hold(claim, indices.clone(), Some(history), block_due, HeldBy::NewClaim)
            .context(CannotWrite)?;
        resumed.due += due;
        resumed.last += (rest.tasks.suspects.len() + rest.tasks.alone.len()) as u64;
        if !rest.lost.is_empty() {
            let (chain, suspects) = (chain.to_vec(), Vec::new());
            resumed.quarantined.push(QuarantinedTasks { claim, chain, suspects, lost: rest.lost });
        }
        resumed.feeds.push_back(BlockFeed::new(self.list, claim, indices, rest.tasks, None)?);
        Ok(())
    }

    /// Tries several times, since storage that gives an error may be right in a moment.
    fn patiently<T>(&self, mut attempt: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        for pause in PAUSES {
            match attempt() {
                Err(error) if !error.is::<RunMovedAway>() && !self.stop.begins_within(pause) => {}
                tried => return tried,
            }
        }
        attempt()
    }
}

impl ResumedBlocks<'_> {
    /// Claims a block again.
    fn claim(&mut self, claim: ClaimName, recorder: &Recorder) -> anyhow::Result<bool> {
        recorder.announce_claim(claim).context(CannotWrite)?;
        match self.claimant.try_claim(claim) {
            Ok(Claimed::Ours) => {
                self.ledger.note(claim);
                self.made.insert(claim);
                return Ok(true);
            }
            Ok(Claimed::Others(_)) => {
                self.ledger.note(claim);
                recorder.not_claimed(claim);
            }
            // It stays announced until it is known which launch has it.
            Err(error) => return Err(error.context(CannotWrite)),
        }
        Ok(false)
    }
}
