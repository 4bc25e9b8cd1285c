//! `final_summary.json`: what was merged, the proof, and what the launches used.

use serde::Serialize;

use crate::merge::earlier::{JoinedResults, MergedDirectory};
use crate::merge::index::MergeIndex;
use crate::merge::proof::Proof;
use crate::merge::resource_usage::ResourceUsageJson;
use crate::record::destination::Destination;

/// What `final_summary.json` holds, and `merge --json` prints.
#[derive(Debug, Serialize)]
pub struct MergeSummary<'a> {
    /// What the file is.
    format: &'static str,
    /// Its major version.
    v: u32,
    /// When it was made.
    created_at: String,
    /// The merged results; `-` is standard output.
    results: String,
    /// The directories that were merged, in order.
    directories: Vec<MergedDirectory>,
    /// Other results that were joined from several directories and are still there, so that no later merge forgets it.
    other_joined_results: &'a [JoinedResults],
    /// What was found.
    #[serde(flatten)]
    proof: &'a Proof,
    /// What the launches used.
    figures: ResourceUsageJson,
}

impl<'a> MergeSummary<'a> {
    /// Of a merge that wrote its results to `results`.
    pub fn of(survey: &'a MergeIndex, results: &Destination) -> Self {
        Self {
            format: "canfar-run summary",
            v: 1,
            created_at: crate::clock::now(),
            results: results.path().map_or_else(|| "-".to_owned(), crate::units::path),
            directories: survey.directories.iter().map(MergedDirectory::of).collect(),
            other_joined_results: &survey.other_joined_results,
            proof: &survey.proof,
            figures: survey.effort.told(),
        }
    }
}
