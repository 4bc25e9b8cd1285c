//! The destinations of a merge.

use crate::merge::output::partial_name;
use crate::merge::proof::Proof;
use crate::record::destination::Destination;
use crate::store::layout::Layout;

/// The files that a merge writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// The merged results, when they are complete.
    pub results: Destination,
    /// Records of failures.
    pub failed: Destination,
    /// The proof and the figures.
    pub summary: Destination,
    /// Whether results are called final although files are missing.
    pub allow_missing: bool,
}

impl Targets {
    /// The destinations in a results directory.
    pub fn within(layout: &Layout) -> Self {
        let file = |name| Destination::Path(layout.merged(name));
        Self {
            results: file("final_results.json"),
            failed: file("final_failed.json"),
            summary: file("final_summary.json"),
            allow_missing: false,
        }
    }

    /// Where the results go, by what was found. What is only written to can't say by its name that they are incomplete.
    pub fn results_of(&self, proof: &Proof) -> Destination {
        match self.partial() {
            Some(partial) if !self.is_final(proof) => partial,
            _ => self.results.clone(),
        }
    }

    /// Where incomplete results go instead, if there is another place for them.
    pub fn partial(&self) -> Option<Destination> {
        // If it can't be examined, it can't be written either, and that error comes then.
        let is_replaced = self.results.replaced().is_ok_and(|path| path.is_some());
        self.results.path().filter(|_| is_replaced).map(|path| Destination::Path(partial_name(path)))
    }

    /// Whether the results are final.
    pub fn is_final(&self, proof: &Proof) -> bool {
        proof.broken.is_empty() && (proof.missing == 0 || self.allow_missing)
    }
}
