//! Real file systems that are full, or read-only in the middle, and mended again.

use serde_json::Value;

use super::TASK;
use crate::support::{Component, Dir, Ended, Run, require};

/// A script with mounts that nobody else sees; `$1` is canfar-run, and what is to be looked at it copies to `kept`.
fn with_mounts(dir: &Dir, script: &str) -> Ended {
    let script = format!("set -u; mkdir -p out kept; run=$1; {script}");
    let unshare = Run::of(dir, "unshare").args(["-m", "--propagation", "private", "/bin/sh", "-c", &script]);
    unshare.args(["sh", env!("CARGO_BIN_EXE_canfar-run")]).env("TASK", TASK).run()
}

/// The line, and what becomes of it: its exit code as a line of `codes`, what it said in `said`.
const LAUNCH: &str = "launch() { \"$run\" -i 'data/*.fits' -o out -j 1 \"$@\" 2>> said; echo $? >> codes; }";

/// What a replica's results file holds, kept by the script under a name.
fn kept(dir: &Dir, name: &str) -> Vec<u64> {
    let records = dir.json(format!("kept/{name}"));
    records.as_array().unwrap().iter().map(|record| record["canfar_run"]["index"].as_u64().unwrap()).collect()
}

#[test]
fn on_a_disk_that_is_full_from_the_start_no_task_begins() {
    if !require(Component::PrivateMounts) {
        return;
    }
    for fill in ["head -c 9999999 /dev/zero > out/theirs", "mount -o remount,ro out"] {
        let dir = Dir::with_inputs(3);
        let script = format!(
            "{LAUNCH}
mount -t tmpfs -o size=64k none out; {fill} 2> /dev/null
launch -- sh -c \"$TASK\" sh '{{}}'
ls -A out > kept/left
[ ! -e ran ] || cp ran kept/ran
mount -o remount,rw,size=9m out
launch -- sh -c \"$TASK\" sh '{{}}'
cp out/container_1_results.json kept/"
        );
        let ended = with_mounts(&dir, &script);
        assert_eq!(dir.lines("codes"), ["4", "0"], "{ended}\n{}", dir.text("said"));
        assert!(!dir.exists("kept/ran"), "a task began");
        assert!(dir.lines("kept/left").iter().all(|name| name == "theirs"), "{:?}", dir.lines("kept/left"));
        assert!(dir.text("said").contains(&format!("{}", dir.path("out").display())), "{}", dir.text("said"));
        assert_eq!(kept(&dir, "container_1_results.json"), [0, 1, 2]);
    }
}

#[test]
fn on_a_disk_that_gets_full_earlier_results_stay_and_with_room_the_same_line_finishes() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let dir = Dir::with_inputs(8);
    // Long results; all but the first two files fail at first.
    dir.write(
        "task",
        format!(
            "{}
[ -e mended ] || [ $CANFAR_TASK_INDEX -lt 2 ] || exit 1
printf '{{\"n\": %s, \"long\": \"%s\"}}' $CANFAR_TASK_INDEX \"$(head -c 30000 /dev/zero | tr '\\0' x)\"",
            "echo \"${1##*/}\" >> ran"
        ),
    );
    let script = format!(
        "{LAUNCH}
fill() {{ head -c 9999999 /dev/zero > out/theirs 2> /dev/null; }}
mount -t tmpfs -o size=1m none out
launch -- sh ./task '{{}}'
cp out/container_1_results.json kept/first; touch mended
fill; truncate -s -72k out/theirs
launch -- sh ./task '{{}}'
cp out/container_1_results.json kept/second; cp -r out/journal kept/; ls -A out > kept/left
rm out/theirs
launch -- sh ./task '{{}}'
cp out/container_1_results.json kept/third
\"$run\" merge out 2>> said; echo $? >> codes; cp out/final_results.json kept/merged
fill
\"$run\" merge out 2>> said; echo $? >> codes; cmp out/final_results.json kept/merged; echo $? >> codes
ls -A out > kept/left-by-merge"
    );
    let ended = with_mounts(&dir, &script);
    assert_eq!(dir.lines("codes"), ["1", "4", "0", "0", "4", "0"], "{ended}\n{}", dir.text("said"));
    assert_eq!((kept(&dir, "first"), kept(&dir, "second")), (vec![0, 1], vec![0, 1]));
    assert_eq!(kept(&dir, "third"), (0..8).collect::<Vec<_>>());
    assert_eq!(kept(&dir, "merged"), (0..8).collect::<Vec<_>>());
    for list in ["left", "left-by-merge"] {
        let left = dir.lines(format!("kept/{list}"));
        assert!(left.iter().all(|name| !name.starts_with('.')), "half written: {left:?}");
    }
    let records = dir
        .lines("kept/journal/1.2.jsonl")
        .into_iter()
        .filter(|line| serde_json::from_str::<Value>(line).is_ok_and(|event| event["event"] == "end"));
    assert_eq!(records.count(), 2, "as many as there was room for");
    let times: Vec<usize> = super::runs(&dir).into_values().collect();
    assert_eq!(times, [1, 1, 2, 2, 3, 2, 2, 2], "only what has no record runs again");
}

#[test]
fn with_no_room_for_logs_the_result_counts_and_the_launch_says_what_it_lacks() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let dir = Dir::with_inputs(4);
    let script = format!(
        "{LAUNCH}
mkdir out/logs; mount -t tmpfs -o size=16k none out/logs
launch --logs all -- sh -c \"$TASK; head -c 40000 /dev/zero >&2\" sh '{{}}'
umount out/logs; cp out/container_1_results.json kept/first
launch --logs all -- sh -c \"$TASK; head -c 40000 /dev/zero >&2\" sh '{{}}'"
    );
    let ended = with_mounts(&dir, &script);
    let said = dir.text("said");
    assert_eq!(dir.lines("codes"), ["4", "0"], "{ended}\n{said}");
    assert!(said.contains("can't keep the output of tasks: No space left on device"), "{said}");
    assert_eq!(kept(&dir, "first"), [0]);
    assert_eq!(super::runs(&dir).into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn a_task_that_fills_the_temporary_folder_leaves_it_empty_for_the_next() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let dir = Dir::with_inputs(4);
    let script = format!(
        "{LAUNCH}
mkdir scratch; mount -t tmpfs -o nr_inodes=30 none scratch
fill='i=0; while (: > \"$TMPDIR/$i\") 2> /dev/null; do i=$((i+1)); done'
launch --tmp-dir scratch -- sh -c \"$TASK; $fill\" sh '{{}}'
ls -A scratch > kept/left; cp out/container_1_results.json kept/results"
    );
    let ended = with_mounts(&dir, &script);
    assert_eq!(dir.lines("codes"), ["0"], "{ended}\n{}", dir.text("said"));
    assert_eq!(kept(&dir, "results"), [0, 1, 2, 3]);
    assert_eq!(dir.lines("kept/left"), Vec::<String>::new());
}

#[test]
fn a_disk_that_becomes_read_only_half_way_leaves_the_earlier_results() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let dir = Dir::with_inputs(3);
    let script = format!(
        "{LAUNCH}
task=\"$TASK; [ \\$CANFAR_TASK_INDEX != 1 ] || [ -e mended ] || {{ mount --bind out out; mount -o remount,bind,ro out; }}\"
launch -- sh -c \"$task\" sh '{{}}'
umount out; touch mended
launch -- sh -c \"$task\" sh '{{}}'
cp out/container_1_results.json kept/results"
    );
    let ended = with_mounts(&dir, &script);
    assert_eq!(dir.lines("codes"), ["4", "0"], "{ended}\n{}", dir.text("said"));
    assert!(dir.text("said").contains("Read-only file system"), "{}", dir.text("said"));
    assert_eq!(kept(&dir, "results"), [0, 1, 2]);
    // The journal was open before, so that every record got through.
    assert_eq!(super::runs(&dir).into_values().collect::<Vec<_>>(), [1, 1, 1]);
}
