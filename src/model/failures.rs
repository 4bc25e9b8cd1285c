//! Failures told together: by cause and by the last line of what they said.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::outcome::{Cause, reason_line};

/// Failures that all say something else are not told apart beyond so many.
const MOST_GROUPS: usize = 1000;

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// Why.
    pub cause: Cause,
    /// The last line of their standard error, or what is known otherwise; where these differ, the first one's.
    pub last_line: String,
    /// How many.
    pub count: u64,
    /// The path of one of them.
    pub example: String,
    /// The index of that in its list, where it has one.
    pub example_index: Option<u64>,
}

/// The line that failures of one kind share: how that of the file at `path` ended, of which `last_words` were the last.
pub fn kind(cause: Cause, last_words: &str, path: &str) -> String {
    match cause {
        // Each of them says other sizes, and what they were last busy with is not why.
        Cause::Oom => "needs more memory than the container has".to_owned(),
        // What they printed stands behind this mark, and is of each its own.
        Cause::Result => match last_words.split_once('`') {
            Some((before, _)) => format!("{}`…`", reason_line(before, path)),
            None => reason_line(last_words, path),
        },
        _ => reason_line(last_words, path),
    }
}

/// All kinds so far; memory is bounded.
#[derive(Debug, Default)]
pub struct FailureGroups(BTreeMap<(Cause, String), FailureGroup>);

impl FailureGroups {
    /// Counts the failure of the file at `path`, of which `last_words` were the last.
    pub fn count(&mut self, cause: Cause, last_words: &str, path: &str, index: Option<u64>) {
        let (mut kind, mut last_line) = (kind(cause, last_words, path), None);
        if self.0.len() >= MOST_GROUPS && !self.0.contains_key(&(cause, kind.clone())) {
            "(many different messages)".clone_into(&mut kind);
        } else if cause == Cause::Result {
            last_line = Some(reason_line(last_words, path));
        }
        let last_line = || last_line.unwrap_or_else(|| kind.clone());
        let example = || crate::units::printable(path);
        self.0
            .entry((cause, kind.clone()))
            .or_insert_with(|| FailureGroup {
                cause,
                last_line: last_line(),
                count: 0,
                example: example(),
                example_index: index,
            })
            .count += 1;
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the most frequent first.
    pub fn sorted(&self) -> Vec<FailureGroup> {
        let mut groups: Vec<FailureGroup> = self.0.values().cloned().collect();
        groups.sort_by_key(|group| Reverse(group.count));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::FailureGroups;
    use crate::model::outcome::Cause;

    #[test]
    fn all_that_ran_out_of_memory_is_one_kind() {
        let mut groups = FailureGroups::default();
        for size in 0..9 {
            groups.count(Cause::Oom, &format!("stopped at {size} MiB"), "/data/a.fits", None);
        }
        assert_eq!(groups.sorted().len(), 1);
    }

    #[test]
    fn bad_results_of_one_kind_are_told_with_the_first_ones_text() {
        let mut groups = FailureGroups::default();
        for number in 0..9 {
            groups.count(Cause::Result, &format!("is no JSON: `{{'n': {number}}}` (at byte 1)"), "a", None);
        }
        let sorted = groups.sorted();
        assert_eq!((sorted.len(), sorted[0].count), (1, 9));
        assert_eq!(sorted[0].last_line, "is no JSON: `{'n': 0}` (at byte 1)");
    }

    #[test]
    fn kinds_are_counted_most_frequent_first_and_their_number_is_bounded() {
        let mut groups = FailureGroups::default();
        for number in 0..2000 {
            groups.count(Cause::Exit, &format!("message {number}"), "/data/a.fits", None);
        }
        groups.count(Cause::Signal, "one more", "/data/a.fits", None);
        let sorted = groups.sorted();
        assert_eq!((sorted.len(), sorted[0].count), (1002, 1000));
        assert_eq!(sorted[0].last_line, "(many different messages)");
        assert_eq!(sorted.iter().map(|group| group.count).sum::<u64>(), 2001);
    }
}
