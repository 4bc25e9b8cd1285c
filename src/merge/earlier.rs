//! What earlier merges joined, according to the summary that the last one left: a later merge does not drop a directory's records from the
//! results unless asked to.

use std::io::BufReader;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::merge::input::MergeDirectory;
use crate::merge::targets::Targets;
use crate::store::regular;
use crate::units;

/// A directory that was merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedDirectory {
    /// Where it is.
    pub results_dir: String,
    /// Its run, if it has a list.
    pub run: Option<String>,
}

/// Results, and the directories that their records come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedResults {
    /// Where they are.
    pub results: String,
    /// In the order in which they were merged.
    pub directories: Vec<MergedDirectory>,
}

/// The part of a summary about earlier merges.
#[derive(Debug, Default, Deserialize)]
struct EarlierSummary {
    results: String,
    #[serde(default)]
    directories: Vec<MergedDirectory>,
    #[serde(default)]
    other_joined_results: Vec<JoinedResults>,
}

impl MergedDirectory {
    /// The current state.
    pub fn of(directory: &MergeDirectory) -> Self {
        Self { results_dir: units::path(directory.layout.root()), run: directory.run().map(str::to_owned) }
    }

    /// Whether both are one run, or in one place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.results_dir == other.results_dir || (self.run.is_some() && self.run == other.run)
    }
}

/// The directories that were joined to what `targets` are about to replace; none where nothing was.
pub fn joined_before(targets: &Targets) -> Vec<MergedDirectory> {
    let (replaced, _) = joined_results(targets);
    let mut joined: Vec<MergedDirectory> = Vec::new();
    for directory in replaced.into_iter().flat_map(|results| results.directories) {
        if !joined.iter().any(|known| known.is_same(&directory)) {
            joined.push(directory);
        }
    }
    joined
}

/// Joined results that `targets` do not replace.
pub(super) fn joined_elsewhere(targets: &Targets) -> Vec<JoinedResults> {
    joined_results(targets).1
}

/// All results that still exist and were joined from several directories, according to the last summary: those that
/// `targets` replace, and others.
fn joined_results(targets: &Targets) -> (Vec<JoinedResults>, Vec<JoinedResults>) {
    let read = || {
        let file = regular::open(targets.summary.path()?).ok()?;
        serde_json::from_reader::<_, EarlierSummary>(BufReader::new(file)).ok()
    };
    let EarlierSummary { results, directories, mut other_joined_results } = read().unwrap_or_default();
    other_joined_results.push(JoinedResults { results, directories });
    let is_there =
        |joined: &JoinedResults| joined.directories.len() > 1 && Path::new(&joined.results).is_file();
    let replaced: Vec<String> = [Some(&targets.results), targets.partial().as_ref()]
        .into_iter()
        .filter_map(|destination| destination?.path().map(units::path))
        .collect();
    other_joined_results.into_iter().filter(is_there).partition(|joined| replaced.contains(&joined.results))
}

/// Directories that were joined before and are not among `directories`.
pub fn left_out<'b>(
    before: &'b [MergedDirectory],
    directories: &[MergeDirectory],
) -> Vec<&'b MergedDirectory> {
    let now: Vec<MergedDirectory> = directories.iter().map(MergedDirectory::of).collect();
    before.iter().filter(|known| !now.iter().any(|directory| directory.is_same(known))).collect()
}
