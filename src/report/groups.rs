//! The lines about failures: one for each kind, and how to learn more about them and run them again.

use crate::model::failures::FailureGroup;
use crate::template;
use crate::units;

/// Such as `  37 files: exit: KeyError: 'CRVAL1' (such as /data/a.fits, task 17)`.
pub(super) fn line(group: &FailureGroup, index: Option<u64>) -> String {
    let FailureGroup { cause, last_line, count, example, .. } = group;
    let task = index.map(|index| format!(", task {index}")).unwrap_or_default();
    format!("  {}: {}: {last_line} (such as {example}{task})", units::count(*count, "file"), cause)
}

/// How to see what failed tasks of a run printed.
pub(super) fn how_to_see(results_dir: &str) -> String {
    format!(
        "What they printed: canfar-run logs {} --failed (or a task's number in place of --failed)",
        quoted(results_dir)
    )
}

/// What to do about tasks that ran out of memory.
pub(super) const MORE_MEMORY: &str =
    "What ran out of memory needs a container with more of it; the same --results-dir is right.";

/// A path as a shell takes it.
pub(crate) fn quoted(path: &str) -> String {
    template::quoted(&[path.into()])
}
