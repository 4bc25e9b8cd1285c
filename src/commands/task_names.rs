//! Which tasks of a run words mean: by index, by path, or by base name.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::record::inputs::InputList;
use crate::text::base_name;

/// So many entries of one name are shown.
const EXAMPLES: usize = 5;

/// An entry of the list: its index and path.
pub(super) type NamedEntry = (u64, OsString);

/// The task that a word means.
#[derive(Debug)]
pub(super) enum NamedTask {
    /// This one.
    One(u64, OsString),
    /// Several have this base name: some of them, and how many more there are.
    Several(Vec<NamedEntry>, u64),
    /// None.
    None,
}

/// What was found for a word so far.
#[derive(Debug, Default)]
struct NameMatches {
    /// The entry of this index or path.
    exact: Option<NamedEntry>,
    /// Some of those of this base name.
    namesakes: Vec<NamedEntry>,
    /// How many more there are.
    others: u64,
}

impl NameMatches {
    fn add_namesake(&mut self, index: u64, path: &OsStr) {
        if self.namesakes.len() < EXAMPLES {
            self.namesakes.push((index, path.to_owned()));
        } else {
            self.others += 1;
        }
    }

    fn into_task(mut self) -> NamedTask {
        match (self.exact, self.namesakes.len()) {
            (Some((index, path)), _) => NamedTask::One(index, path),
            (None, 0) => NamedTask::None,
            (None, 1) => {
                let (index, path) = self.namesakes.remove(0);
                NamedTask::One(index, path)
            }
            (None, _) => NamedTask::Several(self.namesakes, self.others),
        }
    }
}

/// The tasks that words mean, in the order of the words, by one reading of the list.
///
/// # Errors
/// When the list can't be read.
pub(super) fn find_tasks(
    words: &[OsString],
    list: &InputList,
    environment: &Environment,
) -> anyhow::Result<Vec<NamedTask>> {
    let header = list.header();
    let index_of =
        |word: &OsString| word.to_str()?.parse::<u64>().ok().filter(|index| header.indices().contains(index));
    let mut found: Vec<NameMatches> = words.iter().map(|_| NameMatches::default()).collect();
    let mut by_path: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    let mut by_name: HashMap<&OsStr, Vec<usize>> = HashMap::new();
    for (place, word) in words.iter().enumerate() {
        if let Some(index) = index_of(word) {
            list.read(std::iter::once(index), |index, entry| {
                found[place].exact = Some((index, entry.path.to_owned()));
                Ok(())
            })?;
            continue;
        }
        let absolute = environment.absolute(Path::new(word));
        // A relative entry means the folder where the run was begun.
        let relative = header.begun_in().and_then(|folder| absolute.strip_prefix(folder).ok());
        let relative = relative.map(Path::to_owned);
        for path in [Some(PathBuf::from(word)), Some(absolute), relative].into_iter().flatten() {
            by_path.entry(path).or_default().push(place);
        }
        by_name.entry(word).or_default().push(place);
    }
    if !by_name.is_empty() {
        list.read(header.indices(), |index, entry| {
            for place in by_path.get(Path::new(entry.path)).into_iter().flatten() {
                found[*place].exact.get_or_insert_with(|| (index, entry.path.to_owned()));
            }
            for place in by_name.get(base_name(entry.path)).into_iter().flatten() {
                found[*place].add_namesake(index, entry.path);
            }
            Ok(())
        })?;
    }
    Ok(found.into_iter().map(NameMatches::into_task).collect())
}

/// Some entries with base names that begin with a word, as where its extension was left out, or else are nearest to it.
///
/// # Errors
/// When the list can't be read.
pub(super) fn similar_entries(word: &OsStr, list: &InputList) -> anyhow::Result<Vec<NamedEntry>> {
    let wanted = base_name(word).to_string_lossy();
    let far = wanted.chars().count() / 3;
    let mut nearest: Vec<(usize, NamedEntry)> = Vec::new();
    list.read(list.header().indices(), |index, entry| {
        let name = base_name(entry.path).to_string_lossy();
        let begins_so = !wanted.is_empty() && name.starts_with(&*wanted);
        let worst = nearest.last().filter(|_| nearest.len() == EXAMPLES).map(|(distance, _)| *distance);
        // Names of very different lengths are never near, and the distance takes long.
        if worst == Some(0) || (!begins_so && name.len().abs_diff(wanted.len()) > far) {
            return Ok(());
        }
        let distance = if begins_so { 0 } else { strsim::damerau_levenshtein(&wanted, &name) };
        if distance <= far && worst.is_none_or(|worst| distance < worst) {
            nearest.truncate(EXAMPLES - 1);
            let place = nearest.partition_point(|(other, _)| *other <= distance);
            nearest.insert(place, (distance, (index, entry.path.to_owned())));
        }
        Ok(())
    })?;
    Ok(nearest.into_iter().map(|(_, entry)| entry).collect())
}
