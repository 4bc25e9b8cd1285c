//! Storage that fails: full, read-only, gone, slow, without locks or links, or with an error at any one call. Nothing
//! finished is lost for it, nothing is half written under its name, and the same line finishes once it is mended.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Dir, Ended, Run};

mod calls;
mod gone;
mod leftovers;
mod order;
mod room;
mod short;
mod slow;

/// Notes its file's name in `ran`; its result is its place in the list.
const TASK: &str = "echo \"${1##*/}\" >> ran; echo \"{\\\"n\\\": $CANFAR_TASK_INDEX}\"";

fn work(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "2"])
}

/// canfar-run as strace starts it, with this fault put into its system calls; of what it did, only that is kept.
fn with_fault<'d>(dir: &'d Dir, options: &[&str]) -> Run<'d> {
    let strace = Run::of(dir, "strace").args(["-f", "-qq", "-o", "faults"]).args(options);
    // What can't be removed for a fault goes with the test's folder.
    strace.arg(env!("CARGO_BIN_EXE_canfar-run")).env("TMPDIR", dir.root())
}

/// Whether a fault happened.
fn was_hit(dir: &Dir) -> bool {
    dir.text("faults").contains("(INJECTED)")
}

/// How often each task ran.
fn runs(dir: &Dir) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    dir.lines("ran").into_iter().for_each(|name| *runs.entry(name).or_default() += 1);
    runs
}

/// Names of the files of which the journals hold an ok record.
fn recorded(dir: &Dir) -> Vec<String> {
    let ends = (1..4).flat_map(|launch| dir.events_of(1, launch, "end"));
    let ok = ends.filter(|end| end["status"] == "ok");
    ok.map(|end| end["record"]["file"].as_str().unwrap().to_owned()).collect()
}

/// Whether the results file, if it is there, is whole, and holds nothing wrong.
#[track_caller]
fn assert_right(dir: &Dir, records: &[Value], ended: &Ended) {
    for record in records {
        assert_eq!(record["n"], record["canfar_run"]["index"], "{record}\n{ended}\n{}", dir.tree());
    }
}

/// Launches the same line again, with all in order: it finishes, and runs nothing that had a record.
#[track_caller]
fn finishes(dir: &Dir, count: usize, before: &Ended) {
    assert!(!before.stderr.contains("panicked"), "{before}");
    if dir.exists("out/container_1_results.json") {
        assert_right(dir, &dir.results(1), before);
    }
    let (had, begun) = (recorded(dir), runs(dir));
    let ended = work(dir.canfar_run()).sh(TASK).run();
    assert_eq!(ended.code, Some(0), "after\n{before}\nit was\n{ended}");
    let results = dir.results(1);
    assert_eq!(results.len(), count, "after\n{before}\nit was\n{ended}");
    assert_right(dir, &results, &ended);
    let now = runs(dir);
    for name in had {
        assert_eq!(now.get(&name), begun.get(&name), "{name} has a record and ran again\n{before}\n{ended}");
    }
}
