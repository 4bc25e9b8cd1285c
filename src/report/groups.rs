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
        "Why: canfar-run logs {} --failed (for one file: its task number in place of --failed)",
        quoted(results_dir)
    )
}

/// What to do about tasks that ran out of memory.
pub(super) const MORE_MEMORY: &str =
    "Files that ran out of memory need a larger container; keep the same --results-dir.";

/// How tasks are tried again that killed their container.
pub(super) fn lost_again(lost: u64, dirs: &[String]) -> String {
    let lines: Vec<String> =
        dirs.iter().map(|dir| format!("canfar-run resume {} --rerun all", quoted(dir))).collect();
    format!(
        "{} (lost); to try {} again, with more memory: {}",
        units::plural(lost, "file killed its container", "files killed their container"),
        if lost == 1 { "it" } else { "them" },
        lines.join("; ")
    )
}

/// What to do where max-failures ended a launch of a run of which nothing is ok.
pub(super) const CORRECT_COMMAND: &str = "Nothing is ok yet. If the command is wrong: `canfar-run reset` moves this run aside, and the corrected command can use the same -o";

/// A path as a shell takes it.
pub(crate) fn quoted(path: &str) -> String {
    template::quoted(&[path.into()])
}
