//! A bit set with one bit per task.

use std::collections::BTreeMap;

/// Words of a page: lists fill theirs, and a stray index costs only little.
const WORDS: usize = 8;
const PAGE: u64 = 64 * WORDS as u64;

/// A set of indices. Its memory depends on its content: an index in a foreign file can be any number.
#[derive(Debug, Clone, Default)]
pub(super) struct SparseBitSet {
    pages: BTreeMap<u64, [u64; WORDS]>,
    count: u64,
}

impl SparseBitSet {
    /// Puts an index in; `false` if it was there.
    pub(super) fn insert(&mut self, index: u64) -> bool {
        let (word, bit) = place(index);
        let word = &mut self.pages.entry(index / PAGE).or_default()[word];
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    pub(super) fn contains(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        self.pages.get(&(index / PAGE)).is_some_and(|page| page[word] & bit != 0)
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let within = |word: u64| (0..64).filter(move |bit| word & (1 << bit) != 0);
        self.pages.iter().flat_map(move |(page, words)| {
            let first = page * PAGE;
            (0_u64..)
                .zip(words)
                .flat_map(move |(at, word)| within(*word).map(move |bit| first + at * 64 + bit))
        })
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many of its indices are in none of `others`.
    pub(super) fn count_without(&self, others: &[&Self]) -> u64 {
        let left = |(number, page): (&u64, &[u64; WORDS])| {
            let mut page = *page;
            for other in others.iter().filter_map(|other| other.pages.get(number)) {
                page.iter_mut().zip(other).for_each(|(word, other)| *word &= !other);
            }
            page.iter().map(|word| u64::from(word.count_ones())).sum::<u64>()
        };
        self.pages.iter().map(left).sum()
    }
}

/// The word in its page, and the bit in the word.
fn place(index: u64) -> (usize, u64) {
    let within = index % PAGE;
    (usize::try_from(within / 64).unwrap_or_default(), 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::SparseBitSet;

    #[test]
    fn a_set_counts_what_was_put_in_once() {
        let mut bits = SparseBitSet::default();
        assert!(bits.insert(1000) && bits.insert(0) && !bits.insert(1000));
        assert!(bits.contains(1000) && !bits.contains(999) && !bits.contains(1 << 40));
        assert_eq!(bits.count(), 2);
    }

    #[test]
    fn what_was_put_in_comes_out_in_order() {
        let mut bits = SparseBitSet::default();
        let all = [0, 1, 63, 64, 511, 512, 700, u64::MAX];
        all.iter().rev().for_each(|index| _ = bits.insert(*index));
        assert_eq!(bits.iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn what_is_in_other_sets_can_be_left_out() {
        let set = |indices: &[u64]| {
            let mut bits = SparseBitSet::default();
            indices.iter().for_each(|index| _ = bits.insert(*index));
            bits
        };
        let bits = set(&[0, 63, 64, 511, 512, 5000]);
        assert_eq!(bits.count_without(&[]), 6);
        assert_eq!(bits.count_without(&[&set(&[63, 512, 7000]), &set(&[63, 65, 5000])]), 3);
    }

    #[test]
    fn an_index_beyond_all_lists_costs_no_memory() {
        let mut bits = SparseBitSet::default();
        assert!(bits.insert(u64::MAX) && bits.contains(u64::MAX));
        assert_eq!(bits.count(), 1);
    }
}
