//! The thread that feeds a launch's queue: the rest of the current block, then the next block.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::exit_code::{CannotWrite, ExitCode};
use crate::host::storage::{StorageError, StorageTrouble};
use crate::journal::writer::JournalWriter;
use crate::launch::Launcher;
use crate::launch::balance::begin::ResumedBlocks;
use crate::launch::balance::block_feed::BlockFeed;
use crate::launch::balance::block_history::QuarantinedTasks;
use crate::launch::balance::idle::{IdleTime, LEAST_WAIT};
use crate::launch::balance::missing_results::Aftermath;
use crate::launch::balance::neighbour::Neighbour;
use crate::launch::balance::ownership::Ownership;
use crate::launch::balance::{Leaving, Reach};
use crate::liveness::answered_time::AnsweredTime;
use crate::liveness::heartbeat::Heartbeat;
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::report::launch::LaunchReport;
use crate::run::early_stop::EarlyStop;
use crate::run::queue::{Demand, Supply, TaskQueue};
use crate::run::recorder::{BlockDue, HeldBy, Recorder};
use crate::run::schedule::Feed;
use crate::sharing::claims::{Claimant, Claimed, RunMovedAway};
use crate::sharing::ledger::BlockLedger;
use crate::terminal::console::{Tone, Verbosity};
use crate::threads::locked;

/// After this many failures in a row a launch takes no more blocks of other shares: a bad node must not fail the whole run.
const SICK_AFTER: u64 = 10;

/// How often a warning about storage errors is repeated.
const BETWEEN_TROUBLES: Duration = Duration::from_mins(1);

/// The shortest and longest pause after a claim that gave an error.
const PAUSES_OF_CLAIMS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What feeds a launch of a run that shares its work.
pub(in crate::launch) struct Balancer<'a> {
    ownership: Ownership<'a>,
    feeder: Mutex<Feeder<'a>>,
}

impl<'a> Balancer<'a> {
    /// For the launch of `launcher`, which begins with what it inherited.
    pub(in crate::launch) fn new(
        launcher: &'a Launcher<'a>,
        resumed: ResumedBlocks<'a>,
        recorder: &'a Recorder,
        queue: &'a TaskQueue,
        report: &'a LaunchReport<'a>,
        heartbeat: &'a Heartbeat<JournalWriter>,
    ) -> Self {
        let ResumedBlocks { process, reach, blocks, claimant, ledger, feeds, quarantined, made, .. } =
            resumed;
        let looked_at = Mutex::new(Instant::now());
        let claims = claimant.folder().clone();
        let ownership = Ownership { launcher, claims, recorder, queue, report, heartbeat, looked_at };
        let me = LaunchId { replica: launcher.id(), launch: recorder.launch() };
        let feeder = Feeder {
            launcher,
            me,
            process,
            reach,
            blocks,
            recorder,
            queue,
            report,
            claimant,
            ledger,
            feeds,
            quarantined,
            begun: Instant::now(),
            is_filled: false,
            is_sickness_told: false,
            goes_on: false,
            idle: None,
            neighbour: Neighbour::default(),
            settled: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            broken_since: BTreeMap::new(),
            taken_over_from: BTreeSet::new(),
            told_trouble: None,
            no_claim_before: None,
            claims_pause: Duration::ZERO,
            doubtful: Vec::new(),
            made,
            leaving: None,
        };
        Self { ownership, feeder: Mutex::new(feeder) }
    }

    /// After the last task: what is left to do for the run.
    pub(in crate::launch) fn finish(self) -> Aftermath {
        let mut feeder = self.feeder.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left_behind = feeder.left_behind();
        let Feeder { me, process, ledger, taken_over_from, leaving, .. } = feeder;
        Aftermath {
            me,
            process,
            peers: ledger.into_peers(),
            taken_over_from,
            is_complete: leaving == Some(Leaving::AllRecorded),
            left_behind,
            since: Instant::now(),
            patience: feeder.begun.elapsed().max(LEAST_WAIT),
        }
    }
}

impl Feed for Balancer<'_> {
    fn run(&self) {
        let mut feeder = locked(&self.feeder);
        // With each heartbeat.
        let pause = feeder.launcher.config.heartbeat.interval;
        let mut next_look = Instant::now() + pause;
        loop {
            let demand = feeder.queue.wait_for_demand(next_look.saturating_duration_since(Instant::now()));
            if next_look <= Instant::now() {
                next_look = Instant::now() + pause;
                // If storage gives an error, the next check may succeed; nothing begins meanwhile if that takes long.
                let _ = self.ownership.look();
                feeder.look_at_neighbour();
            }
            match demand {
                Demand::Over => return,
                Demand::Enough => feeder.is_filled = true,
                Demand::More | Demand::All => match feeder.supply() {
                    Ok(FeedStep::Fed) => {}
                    Ok(FeedStep::Wait(time)) => {
                        let time = time.min(next_look.saturating_duration_since(Instant::now()));
                        if feeder.queue.wait_until_empty_or_over(time) {
                            return;
                        }
                    }
                    Ok(FeedStep::Leave(leaving)) => return feeder.leave(leaving),
                    Err(error) => return feeder.give_up(&error),
                },
            }
        }
    }

    fn may_begin(&self, block: BlockId) -> bool {
        self.ownership.may_begin(block)
    }

    fn is_owner(&self, block: BlockId) -> io::Result<bool> {
        self.ownership.is_owner(block)
    }
}

/// What comes of a demand.
pub(super) enum FeedStep {
    /// The queue has more.
    Fed,
    /// There is nothing now.
    Wait(Duration),
    /// There will be nothing.
    Leave(Leaving),
}

/// The state of the feeding thread.
pub(super) struct Feeder<'a> {
    pub(super) launcher: &'a Launcher<'a>,
    pub(super) me: LaunchId,
    pub(super) process: Process,
    pub(super) reach: Reach,
    pub(super) blocks: &'a Blocks,
    pub(super) recorder: &'a Recorder,
    pub(super) queue: &'a TaskQueue,
    pub(super) report: &'a LaunchReport<'a>,
    pub(super) claimant: Claimant,
    pub(super) ledger: BlockLedger<'a>,
    /// The tasks of blocks that must go into the queue.
    pub(super) feeds: VecDeque<BlockFeed>,
    /// Tasks that launches died with, for the very end.
    pub(super) quarantined: Vec<QuarantinedTasks>,
    pub(super) begun: Instant,
    /// Whether the slots were filled once.
    is_filled: bool,
    is_sickness_told: bool,
    /// Whether the message about continuing with other shares was printed.
    goes_on: bool,
    pub(super) idle: Option<IdleTime>,
    pub(super) neighbour: Neighbour,
    /// Claims of dead launches with nothing left to run.
    pub(super) settled: BTreeSet<ClaimName>,
    /// Blocks that five launches died with.
    pub(super) abandoned: BTreeSet<BlockId>,
    /// How long unreadable claims have been known.
    pub(super) broken_since: BTreeMap<ClaimName, AnsweredTime>,
    /// Replicas that this launch took blocks over from.
    pub(super) taken_over_from: BTreeSet<u32>,
    told_trouble: Option<Instant>,
    /// Storage that gives errors is left alone until then.
    no_claim_before: Option<Instant>,
    /// The last pause for that.
    claims_pause: Duration,
    /// Claims that may be this launch's: storage gave an error.
    pub(super) doubtful: Vec<ClaimName>,
    /// The claims that this launch made.
    pub(super) made: BTreeSet<ClaimName>,
    pub(super) leaving: Option<Leaving>,
}

impl Feeder<'_> {
    /// Puts more into the queue.
    fn supply(&mut self) -> anyhow::Result<FeedStep> {
        // What was lost to another launch is that one's to run.
        self.feeds.retain(|feed| self.recorder.has_claim(feed.claim()));
        while let Some(feed) = self.feeds.front_mut() {
            if let Some((piece, tasks)) = feed.next(self.launcher.list)? {
                self.queue.set_supply(Supply::Expected);
                self.queue.add(piece, tasks);
                return Ok(FeedStep::Fed);
            }
            self.feeds.pop_front();
        }
        if self.reach == Reach::Results || self.launcher.stop.drain_signal().is_some() {
            return Ok(FeedStep::Leave(Leaving::OutOfReach));
        }
        if self.settle_doubts()? || self.take_from_neighbour()? || self.take()? {
            self.idle = None;
            return Ok(FeedStep::Fed);
        }
        self.queue.set_supply(Supply::Idle);
        self.wait_or_leave()
    }

    /// Takes the next free block: any free block of earlier rounds first, then one of its own share.
    pub(super) fn take(&mut self) -> anyhow::Result<bool> {
        if self.waits_for_storage() {
            return Ok(false);
        }
        let own: Vec<BlockId> = self.own_free();
        if own.is_empty() {
            self.report.share_is_used_up();
        }
        let next = own.first().map_or_else(|| self.blocks.depth(), |block| block.round);
        if self.may_take_of_others(own.is_empty()) {
            for round in 0..next {
                if self.take_in(round)? {
                    return Ok(true);
                }
                if self.waits_for_storage() {
                    return Ok(false);
                }
            }
        }
        self.take_own(own)
    }

    fn take_own(&mut self, own: Vec<BlockId>) -> anyhow::Result<bool> {
        for block in own {
            if self.ledger.is_free(block) {
                let is_ours = self.claim_first(block)?;
                // Either it is this launch's, or storage gave an error.
                if is_ours || self.ledger.is_free(block) {
                    return Ok(is_ours);
                }
            }
            // The launch that took this one may have taken others: trying each would cost more than listing them.
            if let Err(error) = self.ledger.refresh_round(block.round + 1) {
                return Ok(self.note_trouble(&error));
            }
        }
        Ok(false)
    }

    pub(super) fn own_free(&self) -> Vec<BlockId> {
        let share = self.launcher.id();
        let free = self.blocks.of_share(share).filter(|block| self.ledger.is_free(*block));
        let is_wanted = |block: &BlockId| {
            self.launcher.selection.is_none() || self.launcher.wanted_of(self.blocks, *block) > 0
        };
        free.filter(is_wanted).collect()
    }

    /// Whether other shares are looked at now: not before its own share has filled its slots.
    pub(super) fn may_take_of_others(&mut self, has_no_own: bool) -> bool {
        let is_sick = self.is_sick();
        if is_sick && !std::mem::replace(&mut self.is_sickness_told, true) {
            self.say(Tone::Warning, &format!("the last {SICK_AFTER} tasks all failed: this replica takes no more files of other shares, in case something is wrong with this node"));
        }
        self.reach.has_others() && !is_sick && (self.is_filled || has_no_own)
    }

    /// Whether something seems to be wrong with this node.
    pub(super) fn is_sick(&self) -> bool {
        self.recorder.tally().failed_in_a_row >= SICK_AFTER
    }

    fn take_in(&mut self, round: u32) -> anyhow::Result<bool> {
        while !self.ledger.is_full(round) {
            if let Err(error) = self.ledger.refresh_round(round) {
                return Ok(self.note_trouble(&error));
            }
            let Some(block) = fastrand::choice(self.ledger.free_in(round)) else { return Ok(false) };
            if self.claim_first(block)? {
                self.say_that_it_goes_on();
                return Ok(true);
            }
            // Either another launch was faster, or storage gave an error.
            if self.ledger.is_free(block) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Claims a block that no launch has begun. `false` if another launch has it by now.
    fn claim_first(&mut self, block: BlockId) -> anyhow::Result<bool> {
        let claim = ClaimName::first(block);
        let Some(indices) = self.blocks.indices(block) else { return Ok(false) };
        if !self.claim(claim)? {
            return Ok(false);
        }
        let rule = self.launcher.due_rule();
        let all = u32::try_from(indices.len()).context("a block has more tasks than can be counted")?;
        let is_wanted =
            |place: &u32| indices.index_at((*place).into()).is_some_and(|index| rule.may_begin(index));
        let ordinary: Vec<u32> = (0..all).filter(is_wanted).collect();
        let tasks = ordinary.len() as u64;
        let due = BlockDue { here: tasks, left_out: indices.len() - tasks };
        self.recorder.hold(claim, indices.clone(), None, due, HeldBy::NewClaim).context(CannotWrite)?;
        self.report.add_tasks(tasks);
        let tasks = crate::run::queue::TasksByStage { ordinary, ..Default::default() };
        self.feeds.push_back(BlockFeed::new(self.launcher.list, claim, indices, tasks, None)?);
        Ok(true)
    }

    /// Says in the journal what is about to be claimed, and claims it.
    pub(super) fn claim(&mut self, claim: ClaimName) -> anyhow::Result<bool> {
        if self.waits_for_storage() {
            return Ok(false);
        }
        self.doubtful.retain(|doubtful| *doubtful != claim);
        self.recorder.announce_claim(claim).context(CannotWrite)?;
        match self.claimant.try_claim(claim) {
            Ok(Claimed::Ours) => {
                self.ledger.note(claim);
                self.made.insert(claim);
                self.claims_pause = Duration::ZERO;
                return Ok(true);
            }
            Ok(Claimed::Others(_)) => {
                self.ledger.note(claim);
                self.recorder.not_claimed(claim);
            }
            Err(error) if error.is::<RunMovedAway>() => return Err(error),
            // It stays announced until it is known which launch has it.
            Err(error) => {
                self.doubtful.push(claim);
                if is_lasting(&error) {
                    return Err(error.context(CannotWrite));
                }
                self.note_trouble(&error);
            }
        }
        Ok(false)
    }

    /// Whether storage that gave an error is left alone for now.
    pub(super) fn waits_for_storage(&self) -> bool {
        self.no_claim_before.is_some_and(|until| Instant::now() < until)
    }

    /// Storage that gave an error may recover in a moment: nothing is taken now. Returns `false`.
    pub(super) fn note_trouble(&mut self, error: &dyn std::fmt::Display) -> bool {
        self.claims_pause = (self.claims_pause * 2).clamp(PAUSES_OF_CLAIMS.0, PAUSES_OF_CLAIMS.1);
        self.no_claim_before = Some(Instant::now() + self.claims_pause);
        if self.told_trouble.is_none_or(|told| told.elapsed() >= BETWEEN_TROUBLES) {
            self.told_trouble = Some(Instant::now());
            self.say(Tone::Warning, &format!("can't take more work for now: {error:#}"));
        }
        false
    }

    fn say_that_it_goes_on(&mut self) {
        if !std::mem::replace(&mut self.goes_on, true) {
            self.say(
                Tone::Plain,
                "continues with files of other shares that no replica has begun (--balance=false keeps it to its own)",
            );
        }
    }

    pub(super) fn say(&self, tone: Tone, text: &str) {
        self.launcher.console.say(Verbosity::Normal, tone, text);
    }

    fn leave(&mut self, leaving: Leaving) {
        if let Some(text) = leaving.in_words() {
            self.say(Tone::Plain, &text);
        }
        self.leaving = Some(leaving);
        self.queue.set_supply(Supply::Ended);
    }

    /// Ends the launch: nothing more can be taken.
    fn give_up(&mut self, error: &anyhow::Error) {
        let stop = if error.is::<RunMovedAway>() {
            self.launcher.stop.yield_to_successor();
            EarlyStop::Superseded
        } else if error.is::<CannotWrite>() {
            EarlyStop::CannotWrite(StorageError::from(error))
        } else {
            EarlyStop::CannotStart(format!("{error:#}"), ExitCode::of_error(error))
        };
        self.queue.stop_early(stop);
    }
}

/// Whether a storage error persists until a person does something about it.
pub(super) fn is_lasting(error: &anyhow::Error) -> bool {
    use StorageTrouble::{Denied, FileTooLarge, Full, Quota, ReadOnly};
    matches!(StorageTrouble::in_error(error), Denied | FileTooLarge | Full | Quota | ReadOnly)
}
