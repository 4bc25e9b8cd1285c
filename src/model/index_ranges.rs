//! Many indices in few numbers: ranges with a step, since a share is contiguous or every n-th entry of a list.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Ascending indices, each once. Serialised as a list of `[first, last, step]`; what is not that is refused, since it may
/// come from a file that was edited. Indices without any order take a range for every two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64, u64)>")]
pub struct IndexRanges(Vec<(u64, u64, u64)>);

impl TryFrom<Vec<(u64, u64, u64)>> for IndexRanges {
    type Error = &'static str;

    fn try_from(ranges: Vec<(u64, u64, u64)>) -> Result<Self, Self::Error> {
        let is_range = |(first, last, step): &(u64, u64, u64)| {
            *step > 0 && first <= last && *last < u64::MAX && (last - first).is_multiple_of(*step)
        };
        let are_ranges = ranges.iter().all(is_range) && ranges.is_sorted_by(|one, other| one.1 < other.0);
        are_ranges.then_some(Self(ranges)).ok_or("the ranges are not in ascending order")
    }
}

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

    /// The same, split into parts of at most this many ranges each.
    pub fn in_parts(self, most: usize) -> impl Iterator<Item = Self> {
        let mut rest = self.0.into_iter();
        std::iter::from_fn(move || {
            let part: Vec<_> = rest.by_ref().take(most).collect();
            (!part.is_empty()).then_some(Self(part))
        })
    }

    /// The last one.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last, _)| *last)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last, step)| (last - first) / step + 1).sum()
    }

    /// The ones that are among `indices`, ascending.
    pub fn within(&self, indices: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let of_range = move |&(first, last, step): &(u64, u64, u64)| {
            let begin = indices.start.saturating_sub(first).div_ceil(step);
            let end = indices.end.saturating_sub(first).div_ceil(step).min((last - first) / step + 1);
            (begin..end).map(move |place| first + place * step)
        };
        self.0.iter().flat_map(of_range)
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let of_range = |&(first, last, step): &(u64, u64, u64)| {
            (0..=(last - first) / step).map(move |place| first + place * step)
        };
        self.0.iter().flat_map(of_range)
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

    #[test]
    fn what_is_no_ascending_ranges_is_refused() {
        for text in [
            "[[1,0,1]]",
            "[[0,1,0]]",
            "[[0,5,2]]",
            "[[0,9,1],[0,9,1]]",
            "[[0,18446744073709551615,1]]",
            "[[2,3,1],[1,1,1]]",
        ] {
            assert!(serde_json::from_str::<IndexRanges>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_index_is_lost_or_added(indices in proptest::collection::btree_set(0_u64..200, 0..60)) {
            let ranges = IndexRanges::of(indices.iter().copied());
            prop_assert!(ranges.iter().eq(indices.iter().copied()));
            prop_assert_eq!(ranges.count(), indices.len() as u64);
            prop_assert_eq!(ranges.last(), indices.last().copied());
            for within in [0..200, 0..0, 7..8, 50..120, 150..u64::MAX] {
                let expected = indices.iter().copied().filter(|index| within.contains(index));
                prop_assert!(ranges.within(within.clone()).eq(expected));
            }
            let text = serde_json::to_string(&ranges).unwrap();
            prop_assert_eq!(serde_json::from_str::<IndexRanges>(&text).unwrap(), ranges);
        }
    }
}
