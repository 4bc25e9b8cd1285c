//! The checked pair (id, count) that says which of a run's replicas this is. 1-based, as CANFAR counts.

use std::fmt;
use std::num::NonZeroU32;

/// Far beyond what platforms start (CANFAR: 512); a mistyped count should not exhaust the memory.
pub const MOST: u32 = 100_000;

/// One of `count` replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    id: NonZeroU32,
    count: NonZeroU32,
}

/// Why two numbers are not a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// The id or the count is 0.
    #[error("neither may be 0")]
    Zero,
    /// More replicas than any platform starts.
    #[error("more than {MOST} replicas are not supported")]
    TooMany,
    /// The id is above the count.
    #[error("replica id {id} is above the replica count {count}")]
    AboveCount {
        /// The id.
        id: u32,
        /// The count.
        count: u32,
    },
}

impl Replica {
    /// The only replica of a run that has one.
    pub const ALONE: Self = Self { id: NonZeroU32::MIN, count: NonZeroU32::MIN };

    /// Replica `id` of `count`, both from 1.
    ///
    /// # Errors
    /// When either is 0 or the id is above the count.
    pub fn new(id: u32, count: u32) -> Result<Self, ReplicaError> {
        let (Some(nonzero_id), Some(nonzero_count)) = (NonZeroU32::new(id), NonZeroU32::new(count)) else {
            return Err(ReplicaError::Zero);
        };
        if count > MOST {
            return Err(ReplicaError::TooMany);
        }
        if id > count {
            return Err(ReplicaError::AboveCount { id, count });
        }
        Ok(Self { id: nonzero_id, count: nonzero_count })
    }

    /// One that has journals in a run of `count`: an id above the count is a container that was added to the run. Ids from 0
    /// on that can't be are as the first.
    pub fn of_run(id: u32, count: u32) -> Self {
        let or_first = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { id: or_first(id), count: or_first(count) }
    }

    /// Whether it was added to the run: it has no share.
    pub fn is_added(self) -> bool {
        self.id > self.count
    }

    /// From 1; above the count where it was added to the run.
    pub fn id(self) -> u32 {
        self.id.get()
    }

    /// How many replicas the run has.
    pub fn count(self) -> u32 {
        self.count.get()
    }

    /// Every replica of a run of `count`, in order.
    pub fn all(count: NonZeroU32) -> impl Iterator<Item = Self> {
        (1..=count.get()).filter_map(move |id| Some(Self { id: NonZeroU32::new(id)?, count }))
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_added() {
            return write!(out, "replica {} (added to {})", self.id, self.count);
        }
        write!(out, "replica {} of {}", self.id, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::{Replica, ReplicaError};

    #[test]
    fn ids_run_from_one_to_the_count() {
        assert_eq!(Replica::new(0, 5), Err(ReplicaError::Zero));
        assert_eq!(Replica::new(1, 0), Err(ReplicaError::Zero));
        assert_eq!(Replica::new(6, 5), Err(ReplicaError::AboveCount { id: 6, count: 5 }));
        let last = Replica::new(5, 5).unwrap();
        assert_eq!((last.id(), last.count()), (5, 5));
    }
}
