//! Blocks: the pieces of shares that are handed out as a whole while a run goes on, and how a share is cut into them.
//!
//! A pure function of the list's header and its sizes, in integers, so that all replicas agree.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A block: the piece that a share has in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// From 0: blocks of lower rounds are handed out first.
    pub round: u32,
    /// Of which replica's share it is, from 1.
    pub share: u32,
}

impl fmt::Display for BlockId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.round, self.share)
    }
}

/// The name of a claim to a block. The claim of the highest generation stands.
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
#[error("no name of a claim, which is ROUND/SHARE.GENERATION")]
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
