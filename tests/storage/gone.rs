//! A results directory that is removed, or moved away, while a launch is at work in it.

use super::{runs, work};
use crate::support::Dir;

/// Enough of them to take far longer than a test may.
const MANY: usize = 600;

#[test]
fn a_results_directory_that_is_gone_ends_the_launch_soon_and_does_not_come_back() {
    for (remove, options) in [
        ("rm -rf out", &[][..]),
        ("mv out moved", &[]),
        ("rm -rf out/journal", &[]),
        // The temporary folders are missed first.
        ("rm -rf out", &["--logs", "all", "--tmp-dir", "out"]),
    ] {
        let dir = Dir::with_inputs(MANY);
        std::fs::create_dir(dir.path("out")).unwrap();
        let task = format!(
            "echo \"${{1##*/}}\" >> ran; [ $CANFAR_TASK_INDEX != 3 ] || {remove}; sleep 0.1; echo said"
        );
        // Whose journal is gone stops as if a newer launch had taken over, and writes nothing.
        let ended = work(dir.canfar_run()).args(options).sh(&task).run().exits(3);
        let ended = ended.says("was moved away from").says(&dir.path("out").to_string_lossy());
        assert!(runs(&dir).len() < MANY, "{ended}");
        assert_eq!(dir.exists("out"), remove.ends_with("journal"), "{remove} {options:?}: {ended}");
    }
}

#[test]
fn a_run_that_was_moved_away_and_back_goes_on() {
    let dir = Dir::with_inputs(6);
    let task = "echo \"${1##*/}\" >> ran; [ $CANFAR_TASK_INDEX != 3 ] || [ -e back ] || mv out moved
echo \"{\\\"n\\\": $CANFAR_TASK_INDEX}\"";
    dir.launch().args(["-j", "1"]).sh(task).run().exits(3);
    std::fs::rename(dir.path("moved"), dir.path("out")).unwrap();
    dir.write("back", "");
    let before = runs(&dir);
    dir.launch().args(["-j", "1"]).sh(task).run().exits(0);
    assert_eq!(dir.results(1).len(), 6);
    assert_eq!(
        runs(&dir).values().max(),
        Some(&1),
        "{before:?}: their records were in the journal all along"
    );
}
