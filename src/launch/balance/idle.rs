//! What a launch does when nothing is left to take: it checks whether other launches are alive, takes over from dead ones, and
//! leaves when others are running the rest, or nothing is left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::exit_code::CannotWrite;
use crate::journal::launches::last_launches;
use crate::launch::balance::Leaving;
use crate::launch::balance::feeder::{FeedStep, Feeder};
use crate::liveness::answered_time::AnsweredTime;
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::sharing::ledger::BlockStanding;
use crate::sharing::peers::{PeerLook, PeerState};

/// How many journals are checked in parallel.
const PEERS_AT_A_TIME: usize = 8;

/// A launch leaves when it has seen this many others running. Idle ones do not count: they may be
/// about to leave because this one was running.
const ENOUGH_AT_WORK: usize = 2;

/// A launch waits for others at least this long, and as long as it has worked.
pub(super) const LEAST_WAIT: Duration = Duration::from_mins(10);

/// Pauses between looks.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5);

/// A time without anything to take.
#[derive(Debug)]
pub(super) struct IdleTime {
    since: Instant,
    /// Launches that must still be checked.
    pool: Vec<LaunchId>,
    /// When they were listed.
    pool_filled: Instant,
    /// Launches that are being watched.
    group: Vec<LaunchId>,
    /// Launches seen alive since then, with unfinished blocks.
    at_work: BTreeSet<LaunchId>,
    /// When all was ended that this launch had.
    through_since: Option<Instant>,
}

/// The result of checking the whole run.
struct Account {
    /// Claims of dead launches, and unreadable claims, with tasks left as far as is known.
    left: Vec<(Option<LaunchId>, ClaimName)>,
    /// Claims of this launch that it does not know of: the storage gave an error, and made them all the same.
    unknown: Vec<ClaimName>,
    /// Launches that hold blocks and may or may not be alive.
    uncertain: BTreeSet<LaunchId>,
    /// Whether every block is ended.
    is_complete: bool,
    /// Whether what is left is out of this launch's reach.
    is_out_of_reach: bool,
}

impl Feeder<'_> {
    /// Checks other launches, once.
    pub(super) fn wait_or_leave(&mut self) -> anyhow::Result<FeedStep> {
        let mut idle = match self.idle.take() {
            Some(idle) => idle,
            None => self.begin_idle_time(),
        };
        let step = self.look_around(&mut idle);
        // What was taken ends the idle time.
        if matches!(step, Ok(FeedStep::Wait(_))) {
            self.idle = Some(idle);
        }
        step
    }

    fn begin_idle_time(&mut self) -> IdleTime {
        let mut idle = IdleTime {
            since: Instant::now(),
            pool: Vec::new(),
            pool_filled: Instant::now(),
            group: Vec::new(),
            at_work: BTreeSet::new(),
            through_since: None,
        };
        self.fill_pool(&mut idle);
        idle
    }

    /// The newest launches of all other replicas, in random order.
    fn fill_pool(&mut self, idle: &mut IdleTime) {
        let Ok(newest) = last_launches(self.launcher.layout) else { return };
        let others = newest.into_iter().filter(|(replica, _)| *replica != self.me.replica);
        idle.pool = others.map(|(replica, launch)| LaunchId { replica, launch }).collect();
        idle.pool_filled = Instant::now();
        fastrand::shuffle(&mut idle.pool);
    }

    fn look_around(&mut self, idle: &mut IdleTime) -> anyhow::Result<FeedStep> {
        if self.is_turn_of_quarantined() && self.see_to_quarantined()? {
            return Ok(FeedStep::Fed);
        }
        let sees_to_others = self.reach.has_others() && !self.is_sick();
        if sees_to_others && self.look_at_group(idle)? {
            return Ok(FeedStep::Fed);
        }
        if self.queue.left() > 0 {
            // Other launches may still die while something runs here.
            if idle.has_looked_at_all() && idle.pool_filled.elapsed() >= self.longest_pause() {
                self.fill_pool(idle);
            }
            // If enough are running, nothing more has to be known until this launch has finished its own.
            let is_urgent = idle.at_work.len() < ENOUGH_AT_WORK;
            let pause = if is_urgent {
                idle.pause(self.longest_pause())
            } else {
                FeedStep::Wait(self.longest_pause())
            };
            return Ok(pause);
        }
        if idle.through_since.is_none() {
            idle.through_since = Some(Instant::now());
            // Other idle launches would have to wait for the next heartbeat to see it.
            self.recorder.give_sign().context(CannotWrite)?;
        }
        if self.see_to_quarantined()? {
            return Ok(FeedStep::Fed);
        }
        let is_unsettled =
            !self.quarantined.is_empty() || !self.doubtful.is_empty() || self.waits_for_storage();
        if is_unsettled && !self.has_waited_long(idle) {
            return Ok(idle.pause(self.longest_pause()));
        }
        if !sees_to_others {
            return Ok(FeedStep::Leave(Leaving::OutOfReach));
        }
        if let Some(others) = self.enough_at_work(idle) {
            return Ok(FeedStep::Leave(Leaving::OthersWork(others)));
        }
        if idle.group.len() < PEERS_AT_A_TIME {
            if idle.pool.is_empty() {
                return self.account_for_all(idle);
            }
            // Don't wait as long as there are launches that have not been checked yet.
            return Ok(FeedStep::Wait(Duration::ZERO));
        }
        Ok(idle.pause(self.longest_pause()))
    }

    /// Whether what launches died with is run before more is taken over. Where one task runs at a time, all others wait for it
    /// either way; so this launch holds none of them meanwhile, and those that live may take them.
    fn is_turn_of_quarantined(&mut self) -> bool {
        self.launcher.config.jobs == 1
            && !self.quarantined.is_empty()
            && self.queue.left() == 0
            && self.ledger.peers().has_seen_alive()
    }

    /// Enough other launches with unfinished blocks, from a recent check: a launch that left because of an old one
    /// might leave the rest to one that leaves it to this launch.
    fn enough_at_work(&mut self, idle: &mut IdleTime) -> Option<BTreeSet<LaunchId>> {
        let peers = self.ledger.peers();
        let mut still = BTreeSet::new();
        while still.len() < ENOUGH_AT_WORK
            && let Some(peer) = idle.at_work.pop_first()
        {
            let look = peers.look(peer);
            if look.state == PeerState::Alive && look.held().next().is_some() {
                still.insert(peer);
            } else {
                // It may have died.
                idle.group.push(peer);
            }
        }
        if still.len() == ENOUGH_AT_WORK {
            return Some(still);
        }
        idle.at_work.append(&mut still);
        None
    }

    /// Looks at the launches at hand, and at others in place of those that are settled. Gives whether something was taken
    /// over.
    fn look_at_group(&mut self, idle: &mut IdleTime) -> anyhow::Result<bool> {
        // Leave tasks that would only wait for a slot here to launches with a free one.
        let may_take = !self.queue.is_busy();
        let mut looked_at = 0;
        let mut watched = std::mem::take(&mut idle.group);
        while looked_at < PEERS_AT_A_TIME {
            let Some(peer) = watched.pop().or_else(|| idle.pool.pop()) else { break };
            looked_at += 1;
            let look = self.ledger.peers().look(peer);
            if let Some(trouble) = &look.trouble {
                self.note_trouble(trouble);
            }
            match look.state {
                PeerState::Stopped if look.blocks.is_empty() => looked_at -= 1,
                PeerState::Stopped | PeerState::Dead if !may_take => idle.group.push(peer),
                PeerState::Stopped | PeerState::Dead => {
                    if self.take_over(peer, &claims_of(&look))? {
                        return Ok(true);
                    }
                }
                PeerState::Missing => {}
                PeerState::Unknown => idle.group.push(peer),
                PeerState::Alive if look.held().next().is_none() => {}
                PeerState::Alive if !self.ledger.peers().grew_since(peer, idle.since) => {
                    idle.group.push(peer);
                }
                PeerState::Alive => _ = idle.at_work.insert(peer),
            }
        }
        idle.group.append(&mut watched);
        Ok(false)
    }

    /// Accounts for every block by its name.
    fn account_for_all(&mut self, idle: &mut IdleTime) -> anyhow::Result<FeedStep> {
        let account = match self.account() {
            Ok(account) => account,
            Err(error) => {
                self.note_trouble(&error);
                let is_enough = self.has_waited_long(idle);
                let pause = idle.pause(self.longest_pause());
                return Ok(if is_enough { FeedStep::Leave(Leaving::WaitedLong) } else { pause });
            }
        };
        if account.is_complete {
            return Ok(FeedStep::Leave(Leaving::AllRecorded));
        }
        for claim in account.unknown {
            if self.adopt(claim)? {
                return Ok(FeedStep::Fed);
            }
        }
        for (by, claim) in account.left {
            let taken = match by {
                Some(by) => self.take_over(by, &[claim])?,
                None => self.take_over_broken(claim)?,
            };
            if taken {
                return Ok(FeedStep::Fed);
            }
        }
        if self.ledger.has_free() && self.take()? {
            return Ok(FeedStep::Fed);
        }
        if account.is_out_of_reach {
            return Ok(FeedStep::Leave(Leaving::OutOfReach));
        }
        if self.has_waited_long(idle) {
            return Ok(FeedStep::Leave(Leaving::WaitedLong));
        }
        self.fill_pool(idle);
        // Including launches that are not the newest of their replica.
        let known: BTreeSet<LaunchId> = idle.pool.iter().chain(&idle.group).copied().collect();
        idle.group.extend(account.uncertain.difference(&known));
        Ok(idle.pause(self.longest_pause()))
    }

    fn account(&mut self) -> anyhow::Result<Account> {
        self.ledger.refresh()?;
        let all: Vec<(BlockId, BlockStanding)> = self.ledger.standings().collect();
        let mut account = Account {
            left: Vec::new(),
            unknown: Vec::new(),
            uncertain: BTreeSet::new(),
            is_complete: true,
            is_out_of_reach: true,
        };
        for (block, standing) in all {
            let (claim, by) = match standing {
                BlockStanding::Ended { .. } => continue,
                BlockStanding::Free => {
                    account.is_complete = false;
                    account.is_out_of_reach = false;
                    continue;
                }
                BlockStanding::Broken { claim } => (claim, None),
                BlockStanding::Held { claim, by, .. } | BlockStanding::Unclear { claim, by } => {
                    (claim, Some(by))
                }
            };
            if self.settled.contains(&claim) {
                continue;
            }
            account.is_complete = false;
            if self.abandoned.contains(&block) {
                continue;
            }
            account.is_out_of_reach = false;
            self.account_for(claim, by, &mut account);
        }
        Ok(account)
    }

    /// Accounts for a claim to a block that may not be finished.
    fn account_for(&mut self, claim: ClaimName, by: Option<LaunchId>, account: &mut Account) {
        match by {
            None if self.is_broken_for_long(claim) => account.left.push((None, claim)),
            None => {}
            Some(by) if by == self.me => {
                account.unknown.extend((!self.made.contains(&claim)).then_some(claim));
            }
            Some(by) if self.has_ended(by) => account.left.push((Some(by), claim)),
            Some(by) => {
                let state = self.ledger.peers().look(by).state;
                account.uncertain.extend((state == PeerState::Unknown).then_some(by));
            }
        }
    }

    /// Whether a claim has been unreadable for so long that its writer must be dead.
    fn is_broken_for_long(&mut self, claim: ClaimName) -> bool {
        let (patience, now) = (self.launcher.config.takeover_after, Instant::now());
        let known = self.broken_since.entry(claim).or_insert_with(|| AnsweredTime::new(patience, now));
        known.note_answer(now);
        known.passed() >= patience
    }

    fn has_waited_long(&self, idle: &IdleTime) -> bool {
        let worked = idle.since.duration_since(self.begun);
        idle.since.elapsed() >= worked.max(LEAST_WAIT)
    }

    /// A hundredth of the time so far: so the last check hardly makes the run longer.
    fn longest_pause(&self) -> Duration {
        let longest = (self.launcher.config.takeover_after / 8).min(*PAUSES.end());
        longest.min(self.begun.elapsed() / 100).max(*PAUSES.start())
    }
}

impl IdleTime {
    fn has_looked_at_all(&self) -> bool {
        self.pool.is_empty() && self.group.is_empty()
    }

    /// Polls less often the longer there is nothing to take, so that many idle launches cost the storage little. What still runs when
    /// there is nothing more to take may take long, and the end of the run come right after it.
    fn pause(&self, longest: Duration) -> FeedStep {
        let since = self.through_since.unwrap_or(self.since);
        FeedStep::Wait(pause_after(since, *PAUSES.start()..=longest))
    }
}

/// A tenth of the time so far, with jitter.
pub(super) fn pause_after(since: Instant, pauses: std::ops::RangeInclusive<Duration>) -> Duration {
    let pause = (since.elapsed() / 10).clamp(*pauses.start(), *pauses.end());
    pause.mul_f64(1.0 - 0.25 * fastrand::f64())
}

pub(super) fn claims_of(look: &PeerLook) -> Vec<ClaimName> {
    look.blocks.iter().map(|progress| progress.claim).collect()
}
