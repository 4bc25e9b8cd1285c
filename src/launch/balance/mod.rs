//! Sharing the work of a run while it runs: a launch takes blocks of its own share first, then blocks that no replica has begun, then
//! those of dead replicas; it leaves when others are running the rest.

mod begin;
mod block_feed;
mod block_history;
mod feeder;
mod idle;
mod missing_results;
mod neighbour;
mod ownership;
mod standing;
mod takeover;

use std::collections::BTreeSet;

use crate::launch::{DueRule, Launcher};
use crate::model::blocks::{BlockId, Blocks};
use crate::model::launch_id::LaunchId;

pub(super) use self::begin::ResumedBlocks;
pub(super) use self::feeder::Balancer;
pub(super) use self::standing::history_of_claims;

/// How a run shares its work while it is running.
#[derive(Debug, Clone, Copy)]
pub struct Sharing<'a> {
    /// How its shares are cut.
    pub blocks: &'a Blocks,
    /// What this launch may take.
    pub reach: Reach,
}

/// What a launch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: it only writes the results file of a replica.
    Results,
    /// What its replica has, and what no replica has begun of its share.
    Own,
    /// Then any free block, and blocks that dead launches left.
    All,
    /// Also blocks that five launches died with.
    Leftovers,
}

impl Launcher<'_> {
    /// How many tasks of a block that nobody has begun this launch may run.
    fn wanted_of(&self, blocks: &Blocks, block: BlockId) -> u64 {
        let Some(indices) = blocks.indices(block) else { return 0 };
        match self.due_rule() {
            DueRule::Rerun(_) => indices.len(),
            rule @ DueRule::Only(_) => indices.iter().filter(|index| rule.may_begin(*index)).count() as u64,
        }
    }
}

impl Reach {
    /// Whether other shares are in reach.
    pub(in crate::launch) fn has_others(self) -> bool {
        matches!(self, Self::All | Self::Leftovers)
    }
}

/// Why a launch has nothing more to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Every task of the run has a record.
    AllRecorded,
    /// These are alive and have unfinished blocks.
    OthersWork(BTreeSet<LaunchId>),
    /// Others hold the rest; it has been waiting for them for long.
    WaitedLong,
    /// The rest is out of its reach.
    OutOfReach,
}

fn replicas(launches: &BTreeSet<LaunchId>) -> String {
    let replicas: Vec<String> = launches.iter().map(|launch| launch.replica.to_string()).collect();
    format!("replicas {}", replicas.join(" and "))
}

impl Leaving {
    /// A message, if others are still running.
    fn in_words(&self) -> Option<String> {
        match self {
            Self::OthersWork(others) => {
                Some(format!("no work is left to take: {} are running the rest", replicas(others)))
            }
            Self::WaitedLong => {
                Some("no work was left to take for some time: other replicas are running the rest".to_owned())
            }
            Self::AllRecorded | Self::OutOfReach => None,
        }
    }
}
