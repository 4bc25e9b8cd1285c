//! One bit a task.

/// A set of indices below a length.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn insert(&mut self, index: u64) -> bool {
        let (word, bit) = place(index);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(super) fn contains(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

fn place(index: u64) -> (usize, u64) {
    (usize::try_from(index / 64).unwrap_or(usize::MAX), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn a_set_counts_what_was_put_in_once() {
        let mut bits = Bits::default();
        assert!(bits.insert(1000) && bits.insert(0) && !bits.insert(1000));
        assert!(bits.contains(1000) && !bits.contains(999) && !bits.contains(1 << 40));
        bits.remove(0);
        assert_eq!(bits.count(), 1);
    }
}
