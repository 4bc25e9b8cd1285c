//! What a task leaves behind ends with it, however it hides, and nobody else does.

use rustix::process::Signal;

use super::{STAYS, exists, in_own_session, noted, wait_for_file};
use crate::support::{DEADLINE, Dir, Run, wait_until};

/// Leaves five: one in a session of its own, two that forked twice, and two in line, one of which was stopped.
fn leaves_five() -> String {
    let one = in_own_session();
    format!(
        "{one} &
({one} & ) ; ( ( {one} > /dev/null 2>&1 & ) & )
setsid sh -c 'echo $$ >> pids; setsid sh -c \"echo \\$\\$ >> pids; kill -STOP \\$\\$\" & wait; while :; do wait; done' &
until [ \"$(wc -l < pids)\" -ge 5 ]; do sleep 0.01; done"
    )
}

#[test]
fn what_a_task_left_behind_is_gone_when_the_next_one_begins() {
    for (end, code) in [("exit 0", 0), ("exit 3", 1), ("kill -9 $$", 1)] {
        let dir = Dir::with_inputs(2);
        let script = format!(
            "if [ $CANFAR_TASK_INDEX = 0 ]; then {}; {end}; fi
for pid in $(cat pids); do [ ! -e /proc/$pid ] || echo $pid >> survivors; done; echo asked > asked",
            leaves_five()
        );
        dir.launch().args(["-j", "1", "--timeout", "3s"]).sh(&script).run().exits(code);
        assert!(dir.exists("asked"), "{end}");
        assert_eq!(dir.lines("survivors"), Vec::<String>::new(), "{end}: of {:?}", dir.lines("pids"));
        let left = &dir.events_of(1, 1, "attempt")[0]["left_processes"];
        assert!(left.as_u64() >= Some(5), "{end}: {left}");
    }
}

#[test]
fn how_many_were_left_behind_is_said_when_asked_for_and_only_where_there_were_any() {
    let dir = Dir::with_inputs(2);
    let script = "[ $CANFAR_TASK_INDEX = 1 ] || { setsid sleep 1000 & }";
    dir.launch()
        .args(["-v", "-j", "1"])
        .sh(script)
        .run()
        .exits(0)
        .says("000.fits: 1 process that it left behind was killed")
        .says_not("001.fits: ");
    assert!(dir.events_of(1, 1, "attempt")[1].get("left_processes").is_none());
}

#[test]
fn the_end_of_a_task_spares_what_another_one_still_needs() {
    let dir = Dir::with_inputs(8);
    let one = in_own_session();
    // The first task's helper forks twice, so that it is adopted, while the others leave theirs behind.
    let script = format!(
        "if [ $CANFAR_TASK_INDEX = 0 ]; then ( ( {} > /dev/null 2>&1 & ) & ); while [ ! -e go ]; do sleep 0.01; done
else until [ -e helper ]; do sleep 0.01; done; {one} & ( ( {one} & ) & ); fi",
        one.replace("pids", "helper")
    );
    let running = dir.launch().args(["-j", "2"]).sh(&script).start();
    wait_until(DEADLINE, "the others end", || dir.events_of(1, 1, "end").len() == 7);
    let helper = noted(&dir, "helper", 1).remove(0);
    assert!(exists(&helper));
    let left: Vec<String> = dir.lines("pids").into_iter().filter(|pid| exists(pid)).collect();
    assert_eq!(left, Vec::<String>::new());
    dir.write("go", "");
    running.wait().exits(0);
    assert!(!exists(&helper));
}

#[test]
fn whoever_cleared_its_environment_is_gone_when_canfar_run_is() {
    let hidden = "env -i \"PATH=$PATH\" ".to_owned() + &in_own_session() + " > /dev/null 2>&1 & ";
    let wait = "until [ -s pids ]; do sleep 0.01; done; ";
    for (options, end, signal, code) in [
        (&[][..], "true", None, 0),
        (&[], "false", None, 1),
        (&["--max-failures", "0"], "false", None, 3),
        (&["--tmp-dir", "."], ": > ready; while [ -d data ]; do sleep 0.01; done", Some(Signal::TERM), 143),
    ] {
        let dir = Dir::with_inputs(2);
        let script = format!("{hidden}{wait}{end}");
        let running = dir.launch().args(["-j", "1"]).args(options).sh(&script).start();
        if let Some(signal) = signal {
            wait_for_file(&dir, "ready");
            running.signal(signal);
        }
        running.wait().exits(code);
        let pids = dir.lines("pids");
        assert!(!pids.is_empty());
        assert!(!pids.iter().any(|pid| exists(pid)), "{end}: {pids:?}");
    }
}

#[test]
fn a_command_that_can_no_longer_be_started_leaves_nobody_either() {
    let dir = Dir::with_inputs(2);
    dir.write(
        "data/000.fits",
        format!(
            "rm tool; env -i \"PATH=$PATH\" {} & until [ -s pids ]; do sleep 0.01; done",
            in_own_session()
        ),
    );
    std::os::unix::fs::symlink("/bin/sh", dir.path("tool")).unwrap();
    dir.launch().args(["-j", "1", "--", "./tool", "{}"]).run().exits(2);
    assert!(!exists(&noted(&dir, "pids", 1)[0]));
}

#[test]
fn who_was_there_before_the_launch_survives_it() {
    let dir = Dir::with_inputs(3);
    // A shell that executes canfar-run is the parent of what it started before.
    let shell = "sh -c 'echo $$ > helper; while [ -d data ]; do sleep 0.02; done' &
until [ -s helper ]; do sleep 0.01; done; exec \"$@\"";
    Run::of(&dir, "/bin/sh")
        .args(["-c", shell, "sh", env!("CARGO_BIN_EXE_canfar-run")])
        .args(["-i", "data/*.fits", "-o", "out"])
        .sh("setsid sleep 1000 &")
        .run()
        .exits(0);
    let helper = noted(&dir, "helper", 1).remove(0);
    assert!(exists(&helper));
    assert!(dir.events_of(1, 1, "attempt").iter().all(|attempt| attempt["left_processes"] == 1));
    std::fs::remove_dir_all(dir.path("data")).unwrap();
    wait_until(DEADLINE, "the helper ends", || super::state(&helper).is_none_or(|state| state == 'Z'));
}

#[test]
fn a_long_line_of_descendants_is_gone_to_its_last() {
    let dir = Dir::with_inputs(1);
    // Each waits for the next, in a session of its own; the last one waits for nobody.
    dir.write("pids", "");
    dir.write(
        "beget",
        format!("[ $(wc -l < pids) -ge 50 ] || {{ echo $$ >> pids; setsid sh beget; }}; {STAYS}"),
    );
    let script =
        "setsid sh beget > /dev/null 2>&1 & until [ \"$(wc -l < pids)\" -gt 50 ]; do sleep 0.01; done";
    dir.launch().sh(script).run().exits(0);
    assert!(!dir.lines("pids").iter().any(|pid| exists(pid)));
}

#[test]
fn who_begets_without_end_does_not_hold_the_launch_up() {
    let dir = Dir::with_inputs(2);
    // Each begins the next one, in a session of its own, and ends. Nobody promises to be faster.
    dir.write("beget", "echo $$ >> pids; [ ! -d data ] || setsid sh beget &");
    let script = "[ $CANFAR_TASK_INDEX = 1 ] || { setsid sh beget > /dev/null 2>&1 & }
until [ -s pids ]; do sleep 0.01; done";
    dir.launch().args(["-j", "1"]).sh(script).run().exits(0);
    std::fs::remove_dir_all(dir.path("data")).unwrap();
    wait_until(DEADLINE, "the last one ends", || !dir.lines("pids").iter().any(|pid| exists(pid)));
}

#[test]
fn children_are_the_kernels_first_choice() {
    let dir = Dir::with_inputs(1);
    let script = "until [ \"$(cat /proc/self/oom_score_adj)\" = 1000 ]; do sleep 0.01; done";
    dir.launch().args(["--timeout", "30s"]).sh(script).run().exits(0);
}
