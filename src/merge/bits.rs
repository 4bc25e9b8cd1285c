//! One bit a task.

use std::collections::BTreeMap;

/// A set of indices. Its memory is by what is in it: an index in a file that somebody else made can be any number.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(BTreeMap<u64, u64>);

impl Bits {
    /// Puts an index in; `false` if it was there.
    pub(super) fn insert(&mut self, index: u64) -> bool {
        let (place, bit) = place(index);
        let word = self.0.entry(place).or_default();
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn contains(&self, index: u64) -> bool {
        let (place, bit) = place(index);
        self.0.get(&place).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().map(|word| u64::from(word.count_ones())).sum()
    }
}

fn place(index: u64) -> (u64, u64) {
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn a_set_counts_what_was_put_in_once() {
        let mut bits = Bits::default();
        assert!(bits.insert(1000) && bits.insert(0) && !bits.insert(1000));
        assert!(bits.contains(1000) && !bits.contains(999) && !bits.contains(1 << 40));
        assert_eq!(bits.count(), 2);
    }

    #[test]
    fn an_index_beyond_all_lists_costs_no_memory() {
        let mut bits = Bits::default();
        assert!(bits.insert(u64::MAX) && bits.contains(u64::MAX));
        assert_eq!(bits.count(), 1);
    }
}
