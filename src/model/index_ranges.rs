//! Many indices in few numbers: ranges with a step, since shares are contiguous, or every n-th entry of a list.

use serde::{Deserialize, Serialize};

/// Ascending indices. Serialised as a list of `[first, last, step]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRanges(Vec<(u64, u64, u64)>);

impl IndexRanges {
    /// Of ascending indices, each once.
    pub fn of(indices: impl IntoIterator<Item = u64>) -> Self {
        let mut ranges: Vec<(u64, u64, u64)> = Vec::new();
        for index in indices {
            match ranges.last_mut() {
                Some((first, last, step)) if first == last => (*last, *step) = (index, index - *first),
                Some((_, last, step)) if index - *last == *step => *last = index,
                _ => ranges.push((index, index, 1)),
            }
        }
        Self(ranges)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        let length = |&(first, last, step): &(u64, u64, u64)| last.saturating_sub(first) / step.max(1) + 1;
        self.0.iter().map(length).fold(0, u64::saturating_add)
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|&(first, last, step)| {
            let step = step.max(1);
            (0..=last.saturating_sub(first) / step).map(move |place| first + place * step)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::IndexRanges;

    #[test]
    fn shares_of_every_kind_take_few_numbers() {
        let told =
            |indices: &[u64]| serde_json::to_string(&IndexRanges::of(indices.iter().copied())).unwrap();
        assert_eq!(told(&[]), "[]");
        assert_eq!(told(&[7]), "[[7,7,1]]");
        assert_eq!(told(&[0, 1, 2, 3]), "[[0,3,1]]");
        assert_eq!(told(&[1, 4, 7, 10]), "[[1,10,3]]");
        assert_eq!(told(&[0, 1, 2, 5, 6, 7]), "[[0,2,1],[5,7,1]]");
    }

    proptest! {
        #[test]
        fn no_index_is_lost_or_added(indices in proptest::collection::btree_set(0_u64..200, 0..60)) {
            let ranges = IndexRanges::of(indices.iter().copied());
            prop_assert!(ranges.iter().eq(indices.iter().copied()));
            prop_assert_eq!(ranges.count(), indices.len() as u64);
        }
    }
}
