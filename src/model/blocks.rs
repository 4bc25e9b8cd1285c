//! Blocks: the pieces of a share that replicas claim as a whole, and how a share is cut into them.
//!
//! A pure function of the list's header and its sizes, in integers, so that all replicas agree.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::shares::{Share, Strategy, dealt_by_size, shares};

/// A block is about so great a part of what is left of its share.
const PART_OF_REST: u128 = 4;

/// And at least so great a part of the whole share. With the quarter this gives at most 40 blocks a share.
const PART_OF_SHARE: u128 = 64;

/// A file weighs its size and so great a part of the mean size of all, since no task takes no time.
const PART_OF_MEAN: u64 = 16;

/// A block: the piece that a share has in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// From 0: blocks of lower rounds are handed out first.
    pub round: u32,
    /// The replica that the share belongs to, from 1.
    pub share: u32,
}

impl fmt::Display for BlockId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.round, self.share)
    }
}

/// The name of a claim to a block. The claim of the highest generation is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName {
    /// Which block.
    pub block: BlockId,
    /// From 0; one more with each takeover.
    pub generation: u32,
}

impl ClaimName {
    /// The first claim to a block.
    pub fn first(block: BlockId) -> Self {
        Self { block, generation: 0 }
    }

    /// The claim that takes the block over from this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { generation: self.generation.saturating_add(1), ..self }
    }
}

/// As below the run's folder of claims: `<round>/<share>.<generation>`.
impl fmt::Display for ClaimName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.block, self.generation)
    }
}

/// What is no claim's name.
#[derive(Debug, thiserror::Error)]
#[error("not the name of a claim, which is ROUND/SHARE.GENERATION")]
pub struct NoClaimName;

impl FromStr for ClaimName {
    type Err = NoClaimName;

    fn from_str(text: &str) -> Result<Self, NoClaimName> {
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|number| number.to_string() == digits);
        let (round, rest) = text.split_once('/').ok_or(NoClaimName)?;
        let (share, generation) = rest.split_once('.').ok_or(NoClaimName)?;
        match (number(round), number(share), number(generation)) {
            (Some(round), Some(share), Some(generation)) if share > 0 => {
                Ok(Self { block: BlockId { round, share }, generation })
            }
            _ => Err(NoClaimName),
        }
    }
}

impl Serialize for ClaimName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClaimName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How all shares of a run are cut into blocks.
///
/// A share is cut in the order in which it runs: largest first where shares go by size, else as listed.
#[derive(Debug)]
pub struct Blocks {
    /// The index of the list's first entry. All else counts from 0.
    first: u64,
    shares: BlockedShares,
    /// For each share where its blocks end, one after the other; `share_starts` says from where on.
    ends: Vec<u64>,
    /// Where in `ends` each share begins, and after the last share where it ends.
    share_starts: Vec<usize>,
}

/// What is cut.
#[derive(Debug)]
enum BlockedShares {
    /// Shares that are worked out; a block's ends are positions in its share.
    Regular(Vec<Share>),
    /// Shares that have to be kept; a block's ends are places in `indices`.
    Dealt {
        /// Of every share block by block, ascending within each.
        indices: Vec<u32>,
        /// For each index the place of its block in [`Blocks::ends`].
        blocks: Vec<u32>,
    },
}

impl Blocks {
    /// Cuts a list of `count` entries for `replicas`. `sizes` has one for each entry, bytes, or is empty where they are not known.
    ///
    /// With [`Strategy::Size`] a list has as many entries as it has sizes, fewer than 2^32.
    pub fn new(strategy: Strategy, count: u64, sizes: &[u64], replicas: NonZeroU32) -> Self {
        if strategy.needs_sizes() {
            return Self::dealt(sizes, replicas);
        }
        let shares = shares(strategy, count, &[], replicas);
        let weight = Some(Weight::of(sizes)).filter(|_| sizes.len() as u64 == count);
        let (mut ends, mut share_starts) = (Vec::new(), vec![0]);
        for share in &shares {
            match &weight {
                Some(weight) => {
                    cut_by_weight(share.iter().map(|index| weight.at(sizes, index)), 0, &mut ends);
                }
                None => cut_by_count(share.len(), &mut ends),
            }
            share_starts.push(ends.len());
        }
        Self { first: 0, shares: BlockedShares::Regular(shares), ends, share_starts }
    }

    /// Cuts shares that go by size.
    fn dealt(sizes: &[u64], replicas: NonZeroU32) -> Self {
        let (mut indices, bounds) = grouped_by_owner(sizes, replicas.get());
        let weight = Weight::of(sizes);
        let (mut ends, mut share_starts) = (Vec::new(), vec![0]);
        for bounds in bounds.windows(2) {
            let share = &indices[bounds[0]..bounds[1]];
            let weights = share.iter().map(|index| weight.at(sizes, (*index).into()));
            cut_by_weight(weights, bounds[0] as u64, &mut ends);
            share_starts.push(ends.len());
        }
        let mut blocks = vec![0; indices.len()];
        let mut start = 0;
        for (number, end) in (0..).zip(&ends) {
            let end = place(*end);
            indices[start..end].sort_unstable();
            indices[start..end].iter().for_each(|index| blocks[*index as usize] = number);
            start = end;
        }
        Self { first: 0, shares: BlockedShares::Dealt { indices, blocks }, ends, share_starts }
    }

    /// The same of a list whose first index is `first` and not 0.
    #[must_use]
    pub fn starting_at(self, first: u64) -> Self {
        Self { first, ..self }
    }

    /// How many rounds there are: the most blocks of a share.
    pub fn depth(&self) -> u32 {
        (1..=self.replicas()).map(|share| self.blocks_in(share)).max().unwrap_or(0)
    }

    /// The blocks of a round, by share.
    pub fn in_round(&self, round: u32) -> impl Iterator<Item = BlockId> {
        let has_one = move |share: &u32| round < self.blocks_in(*share);
        (1..=self.replicas()).filter(has_one).map(move |share| BlockId { round, share })
    }

    /// The blocks of a share, by round; none of ids above the count of replicas.
    pub fn of_share(&self, share: u32) -> impl Iterator<Item = BlockId> + use<> {
        (0..self.blocks_in(share)).map(move |round| BlockId { round, share })
    }

    /// All of them, round by round.
    pub fn all(&self) -> impl Iterator<Item = BlockId> {
        (0..self.depth()).flat_map(|round| self.in_round(round))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The list's indices that are in a block, never none; `None` where there is no such block.
    pub fn indices(&self, block: BlockId) -> Option<Share> {
        let number = self.numbers(block.share)?.nth(block.round as usize)?;
        let positions = self.positions(number, block.share);
        let part = match &self.shares {
            BlockedShares::Regular(shares) => shares.get(block.share as usize - 1)?.part(positions),
            BlockedShares::Dealt { indices, .. } => listed(&indices[places(positions)]),
        };
        Some(part.starting_at(self.first))
    }

    /// The block that an index of the list is in.
    pub fn block_of(&self, index: u64) -> Option<BlockId> {
        let index = index.checked_sub(self.first)?;
        match &self.shares {
            BlockedShares::Regular(shares) => {
                let (share, position) = find(shares, index)?;
                let numbers = self.numbers(share)?;
                let round = self.ends[numbers].partition_point(|end| *end <= position);
                Some(BlockId { round: u32::try_from(round).ok()?, share })
            }
            BlockedShares::Dealt { blocks, .. } => {
                let number = *blocks.get(usize::try_from(index).ok()?)? as usize;
                let share = self.share_starts.partition_point(|start| *start <= number);
                let round = number - self.share_starts.get(share - 1)?;
                Some(BlockId { round: u32::try_from(round).ok()?, share: u32::try_from(share).ok()? })
            }
        }
    }

    /// The share of a replica; empty for ids above the count of replicas.
    pub fn share(&self, id: u32) -> Share {
        let nothing = Share::Range(0..0);
        let Some(numbers) = self.numbers(id) else { return nothing };
        let share = match &self.shares {
            BlockedShares::Regular(shares) => shares.get(id as usize - 1).cloned().unwrap_or(nothing),
            BlockedShares::Dealt { indices, .. } => {
                let end_of = |number: usize| if number == 0 { 0 } else { place(self.ends[number - 1]) };
                listed(&indices[end_of(numbers.start)..end_of(numbers.end)])
            }
        };
        share.starting_at(self.first)
    }

    fn replicas(&self) -> u32 {
        u32::try_from(self.share_starts.len() - 1).unwrap_or(u32::MAX)
    }

    /// How many blocks a share has.
    fn blocks_in(&self, share: u32) -> u32 {
        self.numbers(share).map_or(0, |numbers| u32::try_from(numbers.len()).unwrap_or(u32::MAX))
    }

    /// The position of a share's blocks in `ends`.
    fn numbers(&self, share: u32) -> Option<Range<usize>> {
        let before = (share as usize).checked_sub(1)?;
        Some(*self.share_starts.get(before)?..*self.share_starts.get(before + 1)?)
    }

    /// From where to where the block of this number goes, in what its ends are counted in.
    fn positions(&self, number: usize, share: u32) -> Range<u64> {
        let is_first_of_share = self.share_starts.get(share as usize - 1) == Some(&number);
        let begins_anew = is_first_of_share && matches!(self.shares, BlockedShares::Regular(_));
        let start = if number == 0 || begins_anew { 0 } else { self.ends[number - 1] };
        start..self.ends[number]
    }
}

/// The share (from 1) that contains `index`, and its position in the share.
fn find(shares: &[Share], index: u64) -> Option<(u32, u64)> {
    let at = match shares.first()? {
        Share::Stripe { step, .. } => index % step,
        Share::Range(_) | Share::Listed(_) => {
            let begins_by = |share: &Share| share.index_at(0).is_some_and(|first| first <= index);
            shares.partition_point(begins_by).checked_sub(1)? as u64
        }
    };
    let position = shares.get(usize::try_from(at).ok()?)?.position_of(index)?;
    Some((u32::try_from(at + 1).ok()?, position))
}

/// The indices of each share, largest first, share after share; and where each share begins, and the last one ends.
fn grouped_by_owner(sizes: &[u64], replicas: u32) -> (Vec<u32>, Vec<usize>) {
    let dealt: Vec<(u32, u32)> = dealt_by_size(sizes, replicas)
        .map(|(index, owner)| (u32::try_from(index).unwrap_or(u32::MAX), owner))
        .collect();
    let mut bounds = vec![0; replicas as usize + 1];
    dealt.iter().for_each(|(_, owner)| bounds[*owner as usize + 1] += 1);
    let mut before = 0;
    for bound in &mut bounds {
        before += *bound;
        *bound = before;
    }
    let (mut next, mut indices) = (bounds.clone(), vec![0; dealt.len()]);
    for (index, owner) in dealt {
        let place = &mut next[owner as usize];
        indices[*place] = index;
        *place += 1;
    }
    (indices, bounds)
}

/// What entries weigh: their size and a part of the mean size, in the same fraction of a byte.
struct Weight {
    mean: u128,
}

impl Weight {
    fn of(sizes: &[u64]) -> Self {
        let total: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
        // Not nothing, so that empty files are cut by their number.
        Self { mean: (total / (sizes.len() as u128).max(1)).max(1) }
    }

    fn at(&self, sizes: &[u64], index: u64) -> u128 {
        u128::from(sizes[place(index)]) * u128::from(PART_OF_MEAN) + self.mean
    }
}

/// Cuts a share with these weights of entries, in the order in which it runs: a block continues while it stays within its
/// part of what is left. Appends where blocks end, the first one beginning at `start`.
fn cut_by_weight(weights: impl Iterator<Item = u128> + Clone, start: u64, ends: &mut Vec<u64>) {
    let whole: u128 = weights.clone().sum();
    let least = whole.div_ceil(PART_OF_SHARE);
    let (mut rest, mut block, mut end) = (whole, 0, start);
    for weight in weights {
        if block >= least && block + weight > rest / PART_OF_REST {
            ends.push(end);
            rest -= block;
            block = 0;
        }
        block += weight;
        end += 1;
    }
    if block > 0 {
        ends.push(end);
    }
}

/// The same if only the number of entries is known.
fn cut_by_count(count: u64, ends: &mut Vec<u64>) {
    let part = |count: u64, part: u128| u64::try_from(u128::from(count).div_ceil(part)).unwrap_or(count);
    let least = part(count, PART_OF_SHARE);
    let mut end = 0;
    while end < count {
        let rest = count - end;
        end += part(rest, PART_OF_REST).max(least).min(rest);
        ends.push(end);
    }
}

fn listed(indices: &[u32]) -> Share {
    let mut indices: Vec<u64> = indices.iter().copied().map(u64::from).collect();
    indices.sort_unstable();
    Share::Listed(indices)
}

fn place(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn places(positions: Range<u64>) -> Range<usize> {
    place(positions.start)..place(positions.end)
}

#[cfg(test)]
mod tests;
