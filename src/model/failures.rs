//! Failures grouped by cause and by the last line of their output, ignoring the parts that differ from file to file.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::model::outcome::{Cause, reason_line};
use crate::model::reason_key::reason_key;

/// Beyond this many groups, all other messages of a cause are one group.
const MOST_GROUPS: usize = 1000;

/// What that group says.
const MANY_MESSAGES: &str = "(many different messages)";

/// Failures with the same cause and the same last line.
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

impl FailureGroup {
    /// The order in which groups are shown.
    pub fn more_frequent_first(&self, other: &Self) -> Ordering {
        let rank = |group: &Self| (Reverse(group.count), group.cause);
        rank(self).cmp(&rank(other)).then_with(|| self.last_line.cmp(&other.last_line))
    }
}

/// All groups so far, each at a place that it keeps; memory is bounded.
#[derive(Debug, Default)]
pub struct FailureGroups {
    groups: Vec<FailureGroup>,
    places: HashMap<(Cause, String), usize>,
}

/// What all that ran out of memory say: the sizes differ from file to file, and what they printed last is not why.
const OUT_OF_MEMORY: &str = "needs more memory than the container has";

impl FailureGroups {
    /// Counts the failure of the file at `path`, of which `last_words` were the last; gives the place of its group.
    pub fn count(&mut self, cause: Cause, last_words: &str, path: &str, index: Option<u64>) -> usize {
        let last_words = if cause == Cause::Oom { OUT_OF_MEMORY } else { last_words };
        let telling = match last_words.split_once('`').filter(|_| cause == Cause::Result) {
            // What they printed is behind this mark, and differs from file to file.
            Some((before, _)) => before,
            None => last_words,
        };
        let line = reason_key(telling, path);
        let last_line = reason_line(last_words, path);
        let example = crate::units::printable(path);
        self.add(line, FailureGroup { cause, last_line, count: 1, example, example_index: index })
    }

    /// Adds the counts of another one; returns the position that each of its groups has here.
    pub fn absorb(&mut self, others: Self) -> Vec<usize> {
        let mut lines: Vec<(usize, String)> =
            others.places.into_iter().map(|((_, line), place)| (place, line)).collect();
        lines.sort_unstable();
        lines.into_iter().zip(others.groups).map(|((_, line), group)| self.add(line, group)).collect()
    }

    fn add(&mut self, line: String, mut group: FailureGroup) -> usize {
        let mut key = (group.cause, line);
        if self.groups.len() >= MOST_GROUPS && !self.places.contains_key(&key) {
            MANY_MESSAGES.clone_into(&mut key.1);
            MANY_MESSAGES.clone_into(&mut group.last_line);
        }
        match self.places.entry(key) {
            Entry::Occupied(place) => {
                self.groups[*place.get()].count += group.count;
                *place.get()
            }
            Entry::Vacant(free) => {
                self.groups.push(group);
                *free.insert(self.groups.len() - 1)
            }
        }
    }

    /// The group at a place.
    pub fn group(&self, place: usize) -> Option<&FailureGroup> {
        self.groups.get(place)
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All groups, the most frequent first.
    pub fn sorted(&self) -> Vec<FailureGroup> {
        let mut groups = self.groups.clone();
        groups.sort_by(FailureGroup::more_frequent_first);
        groups
    }

    /// All groups, each at its place.
    pub fn into_groups(self) -> Vec<FailureGroup> {
        self.groups
    }
}

/// A group as JSON, with a name for what is counted.
struct NamedGroup<'a>(&'static str, &'a FailureGroup);

impl Serialize for NamedGroup<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self(counted, group) = self;
        let mut members = out.serialize_struct("FailureGroup", 5)?;
        members.serialize_field("cause", &group.cause)?;
        members.serialize_field("last_line", &group.last_line)?;
        members.serialize_field(counted, &group.count)?;
        members.serialize_field("example", &group.example)?;
        members.serialize_field("example_index", &group.example_index)?;
        members.end()
    }
}

/// Groups of a launch's failures as JSON, which counts tasks.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_tasks<S: Serializer>(groups: &[FailureGroup], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(groups.iter().map(|group| NamedGroup("tasks", group)))
}

/// Groups of a merge's failures as JSON, which counts files.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_files<S: Serializer>(groups: &[FailureGroup], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(groups.iter().map(|group| NamedGroup("files", group)))
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
    fn what_is_only_of_one_file_makes_no_group() {
        let mut groups = FailureGroups::default();
        for number in 0..40 {
            let path = format!("/data/obs_{number}.fits");
            for words in [
                format!("{path}: no WCS"),
                format!("12:00:{number},1 ERROR no WCS"),
                format!("index {number} is out of bounds"),
            ] {
                groups.count(Cause::Exit, &words, &path, None);
            }
        }
        let sorted = groups.sorted();
        assert_eq!(sorted.iter().map(|group| group.count).collect::<Vec<_>>(), [40; 3]);
        assert_eq!(sorted[2].last_line, "index 0 is out of bounds");
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
    fn groups_of_several_replicas_are_counted_together_under_the_first_ones_text() {
        let count = |number: u64, last_words: &[&str]| {
            let mut groups = FailureGroups::default();
            let path = format!("/data/{number}.fits");
            last_words.iter().for_each(|words| _ = groups.count(Cause::Result, words, &path, Some(number)));
            groups
        };
        let mut groups = count(1, &["no JSON: `a`", "too large"]);
        assert_eq!(groups.absorb(count(2, &["missing", "no JSON: `b`", "no JSON: `c`"])), [2, 0]);
        let first = &groups.sorted()[0];
        assert_eq!(
            (first.count, first.last_line.as_str(), first.example_index),
            (3, "no JSON: `a`", Some(1))
        );
    }

    #[test]
    fn json_names_what_is_counted() {
        let mut groups = FailureGroups::default();
        groups.count(Cause::Exit, "bad", "a", Some(7));
        let json = super::serialize_tasks(&groups.sorted(), serde_json::value::Serializer).unwrap();
        let group = r#"{"cause":"exit","last_line":"bad","tasks":1,"example":"a","example_index":7}"#;
        assert_eq!(json[0], serde_json::from_str::<serde_json::Value>(group).unwrap());
    }

    #[test]
    fn kinds_are_counted_most_frequent_first_and_their_number_is_bounded() {
        let mut groups = FailureGroups::default();
        for number in 0..2000 {
            // What differs has to be more than a number.
            let word: String =
                format!("{number}").bytes().map(|digit| char::from(digit + b'A' - b'0')).collect();
            groups.count(Cause::Exit, &format!("message {word}"), "/data/a.fits", None);
        }
        groups.count(Cause::Signal, "one more", "/data/a.fits", None);
        let sorted = groups.sorted();
        assert_eq!((sorted.len(), sorted[0].count), (1002, 1000));
        assert_eq!(sorted[0].last_line, "(many different messages)");
        assert_eq!(sorted.iter().map(|group| group.count).sum::<u64>(), 2001);
    }
}
