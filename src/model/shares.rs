//! The share of a list that each replica gets, as pure functions of numbers.
//!
//! `chunk` and `stripe` equal `canfar.helpers.distributed` (canfar 1.5.2) index for index; `even` and `size` are ours.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::replica::Replica;

/// How a list is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Contiguous, sizes differ by at most one.
    Even,
    /// Contiguous as Python's `distributed.chunk`: `n // count` each, the rest to the last replica.
    Chunk,
    /// Every count-th entry, as Python's `distributed.stripe`.
    Stripe,
    /// By bytes: largest first to the least loaded replica.
    Size,
}

impl Strategy {
    /// All of them, in the order they are documented.
    pub const ALL: [Self; 4] = [Self::Even, Self::Chunk, Self::Stripe, Self::Size];

    /// Whether sharing needs the size of every entry.
    pub fn needs_sizes(self) -> bool {
        self == Self::Size
    }
}

/// Its name in files.
impl std::fmt::Display for Strategy {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(out)
    }
}

/// One replica's part of a list: 0-based indices, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// A contiguous part.
    Range(Range<u64>),
    /// `start`, `start + step`, ... below `end`.
    Stripe {
        /// First index.
        start: u64,
        /// Distance of two indices.
        step: u64,
        /// The index after the list's last one.
        end: u64,
    },
    /// Named one by one, ascending.
    Listed(Vec<u64>),
}

impl Share {
    /// How many entries it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Range(range) => range.end - range.start,
            Self::Stripe { start, step, end } => end.saturating_sub(*start).div_ceil(*step),
            Self::Listed(indices) => indices.len() as u64,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index at `position` (0-based) of the share.
    pub fn index_at(&self, position: u64) -> Option<u64> {
        if position >= self.len() {
            return None;
        }
        match self {
            Self::Range(range) => Some(range.start + position),
            Self::Stripe { start, step, .. } => Some(start + position * step),
            Self::Listed(indices) => usize::try_from(position).ok().and_then(|at| indices.get(at).copied()),
        }
    }

    /// The position of `index` in the share, if it belongs to it.
    pub fn position_of(&self, index: u64) -> Option<u64> {
        match self {
            Self::Range(range) => range.contains(&index).then(|| index - range.start),
            Self::Stripe { start, step, end } => {
                (index >= *start && index < *end && (index - start).is_multiple_of(*step))
                    .then(|| (index - start) / step)
            }
            Self::Listed(indices) => indices.binary_search(&index).ok().map(|at| at as u64),
        }
    }

    /// What stands at `positions` (0-based) of it, as far as it goes.
    #[must_use]
    pub fn part(&self, positions: Range<u64>) -> Self {
        let end = positions.end.min(self.len());
        let first = positions.start.min(end);
        match self {
            Self::Range(range) => Self::Range(range.start + first..range.start + end),
            Self::Stripe { start, step, end: whole } => {
                let at = |position: u64| start + position * step;
                Self::Stripe { start: at(first), step: *step, end: at(end).min(*whole).max(at(first)) }
            }
            Self::Listed(indices) => {
                let place =
                    |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(indices.len());
                Self::Listed(indices[place(first)..place(end)].to_vec())
            }
        }
    }

    /// The same part of a list whose first index is `first` and not 0.
    #[must_use]
    pub fn starting_at(self, first: u64) -> Self {
        match self {
            Self::Range(range) => Self::Range(first + range.start..first + range.end),
            Self::Stripe { start, step, end } => {
                Self::Stripe { start: first + start, step, end: first + end }
            }
            Self::Listed(mut indices) => {
                indices.iter_mut().for_each(|index| *index += first);
                Self::Listed(indices)
            }
        }
    }

    /// Its indices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        (0..self.len()).filter_map(|position| self.index_at(position))
    }
}

/// The share of `replica` in a list of `count` entries under a strategy that needs no sizes.
fn by_count(strategy: Strategy, count: u64, replica: Replica) -> Share {
    let (replicas, before) = (u64::from(replica.count()), u64::from(replica.id()) - 1);
    match strategy {
        Strategy::Stripe => Share::Stripe { start: before.min(count), step: replicas, end: count },
        Strategy::Chunk if count >= replicas => {
            let size = count / replicas;
            let end = if before + 1 == replicas { count } else { (before + 1) * size };
            Share::Range(before * size..end)
        }
        // Fewer entries than replicas: chunk and even both give one to each of the first.
        Strategy::Chunk | Strategy::Even | Strategy::Size => {
            let (size, larger) = (count / replicas, count % replicas);
            let start = before * size + before.min(larger);
            Share::Range(start..start + size + u64::from(before < larger))
        }
    }
}

/// Every entry's place and the 0-based replica that gets it, in the order in which they are dealt: largest first, ties by
/// order, each to the least loaded.
pub(super) fn dealt_by_size(sizes: &[u64], replicas: u32) -> impl Iterator<Item = (usize, u32)> {
    // With their places, so that equal sizes keep the list's order, and sorting looks nothing up elsewhere.
    let mut largest_first: Vec<(Reverse<u64>, usize)> =
        sizes.iter().enumerate().map(|(index, size)| (Reverse(*size), index)).collect();
    largest_first.sort_unstable();
    let mut loads: BinaryHeap<Reverse<(u64, u64, u32)>> =
        (0..replicas).map(|replica| Reverse((0, 0, replica))).collect();
    largest_first.into_iter().map_while(move |(Reverse(size), index)| {
        let mut least = loads.peek_mut()?;
        let Reverse((bytes, files, replica)) = *least;
        *least = Reverse((bytes.saturating_add(size), files + 1, replica));
        Some((index, replica))
    })
}

/// For each entry the 0-based replica that gets it: largest first to the least loaded, ties by order.
fn owners_by_size(sizes: &[u64], replicas: u32) -> Vec<u32> {
    let mut owners = vec![0; sizes.len()];
    dealt_by_size(sizes, replicas).for_each(|(index, owner)| owners[index] = owner);
    owners
}

/// The share of `replica` in a list of `count` entries; `sizes` (bytes, one an entry) is used by [`Strategy::Size`] alone.
pub fn share(strategy: Strategy, count: u64, sizes: &[u64], replica: Replica) -> Share {
    if strategy.needs_sizes() {
        let owners = owners_by_size(sizes, replica.count());
        let mine = (0..).zip(&owners).filter(|(_, owner)| **owner == replica.id() - 1);
        return Share::Listed(mine.map(|(index, _)| index).collect());
    }
    by_count(strategy, count, replica)
}

/// The shares of all replicas of a run, in the order of their ids.
pub fn shares(strategy: Strategy, count: u64, sizes: &[u64], replicas: std::num::NonZeroU32) -> Vec<Share> {
    if !strategy.needs_sizes() {
        return Replica::all(replicas).map(|replica| by_count(strategy, count, replica)).collect();
    }
    let mut listed = vec![Vec::new(); replicas.get() as usize];
    for (index, owner) in (0..).zip(owners_by_size(sizes, replicas.get())) {
        listed[owner as usize].push(index);
    }
    listed.into_iter().map(Share::Listed).collect()
}

/// How much each share is: bytes where sizes are known, else entries.
pub fn loads(shares: &[Share], sizes: &[u64]) -> Vec<u64> {
    let bytes =
        |index: u64| usize::try_from(index).ok().and_then(|index| sizes.get(index)).copied().unwrap_or(0);
    let load = |share: &Share| if sizes.is_empty() { share.len() } else { share.iter().map(bytes).sum() };
    shares.iter().map(load).collect()
}

/// How uneven shares of these loads are: the largest over the mean of all, empty ones included; at least 1. `None` where there
/// is nothing to share.
pub fn imbalance(loads: &[u64]) -> Option<f64> {
    let total: u64 = loads.iter().sum();
    let largest = loads.iter().copied().max().filter(|_| total > 0)?;
    Some(largest as f64 * loads.len() as f64 / total as f64)
}
