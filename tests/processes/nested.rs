//! A canfar-run as the task of another one.

use super::{exists, in_own_session, noted};
use crate::support::Dir;

/// Runs another one over `inner/*` in the task, with its own results.
fn inner(options: &str, script: &str) -> String {
    let script = script.replace('\'', "'\\''");
    format!(
        "{} -q -j 2 {options} -i 'inner/*' -o \"out_${{1##*/}}\" -- /bin/sh -c '{script}' sh {{}}",
        env!("CARGO_BIN_EXE_canfar-run")
    )
}

fn dir() -> Dir {
    let dir = Dir::with_inputs(2);
    (0..4).for_each(|number| _ = dir.write(format!("inner/{number}"), ""));
    dir
}

#[test]
fn each_clears_up_after_its_own_tasks() {
    let dir = dir();
    let script = inner("", "setsid sleep 1000 & (setsid sleep 1000 &) ; echo '{\"n\": 1}'");
    dir.launch().args(["-j", "2"]).sh(&script).run().exits(0);
    // The inner ones had nothing left for the outer one.
    assert!(dir.events_of(1, 1, "attempt").iter().all(|attempt| attempt.get("left_processes").is_none()));
    for name in ["000.fits", "001.fits"] {
        let records = dir.json(format!("out_{name}/container_1_results.json"));
        assert_eq!(records.as_array().unwrap().len(), 4);
        let journal = dir.text(format!("out_{name}/journal/1.1.jsonl"));
        assert_eq!(journal.matches("\"left_processes\":2").count(), 4, "{journal}");
    }
}

#[test]
fn one_that_is_killed_leaves_its_tasks_to_the_outer_one() {
    let dir = dir();
    let script = inner("", &(in_own_session() + " & " + super::STAYS));
    let killed = format!(
        "if [ $CANFAR_TASK_INDEX = 0 ]; then {script} &
until [ \"$(wc -l < pids)\" -ge 4 ]; do sleep 0.01; done; kill -9 $!; exit 0; fi
for pid in $(cat pids); do [ ! -e /proc/$pid ] || echo $pid >> survivors; done; : > asked"
    );
    dir.launch().args(["-j", "1"]).sh(&killed).run().exits(0);
    assert!(dir.exists("asked"));
    assert_eq!(dir.lines("survivors"), Vec::<String>::new());
    assert!(!noted(&dir, "pids", 4).iter().any(|pid| exists(pid)));
}
