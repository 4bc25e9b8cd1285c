//! In which order tasks start, and how many at a time.

use serde_json::Value;

use crate::support::{DEADLINE, Dir, wait_until};

fn index(event: &Value) -> u64 {
    event["index"].as_u64().unwrap()
}

#[test]
fn tasks_start_in_the_order_of_the_list() {
    let dir = Dir::with_inputs(12);
    dir.launch().args(["-j", "3"]).sh("true").run().exits(0);
    let starts: Vec<u64> = dir.events_of(1, 1, "start").iter().map(index).collect();
    // Two others may have been taken before it and be written after it, however late.
    for (place, start) in starts.iter().enumerate() {
        let overtaken = (0..*start).filter(|earlier| !starts[..place].contains(earlier));
        assert!(overtaken.count() < 3, "{starts:?}");
    }
    let single = Dir::with_inputs(6);
    single.launch().args(["-j", "1"]).sh("true").run().exits(0);
    assert_eq!(
        single.events_of(1, 1, "start").iter().map(index).collect::<Vec<_>>(),
        (0..6).collect::<Vec<_>>()
    );
}

#[test]
fn under_size_the_largest_start_first() {
    let dir = Dir::new();
    for (name, bytes) in [("a", 10), ("b", 3000), ("c", 10), ("d", 500), ("e", 0)] {
        dir.write(format!("data/{name}.fits"), "x".repeat(bytes));
    }
    dir.launch().args(["-j", "1", "--strategy", "size"]).sh("true").run().exits(0);
    assert_eq!(dir.events_of(1, 1, "start").iter().map(index).collect::<Vec<_>>(), [1, 3, 0, 2, 4]);
    // Records stand in the order of the list all the same.
    let files: Vec<Value> = dir.results(1).into_iter().map(|mut record| record["file"].take()).collect();
    assert_eq!(files, ["a.fits", "b.fits", "c.fits", "d.fits", "e.fits"]);
}

#[test]
fn as_many_run_at_a_time_as_asked_for_and_no_more() {
    for jobs in [1, 3] {
        let dir = Dir::with_inputs(9);
        let script = format!(
            "echo >> running; while [ -d data ] && [ $(wc -l < running) -lt {jobs} ]; do sleep 0.01; done"
        );
        dir.launch().args(["-j", &jobs.to_string()]).sh(&script).run().exits(0);
        let mut slots: Vec<Value> = Vec::new();
        let mut most = 0;
        for event in dir.events(1, 1) {
            match event["event"].as_str() {
                Some("start") => {
                    assert!(!slots.contains(&event["slot"]), "a slot holds one task at a time");
                    slots.push(event["slot"].clone());
                    most = most.max(slots.len());
                }
                Some("attempt") => {
                    let started = dir.events_of(1, 1, "start");
                    let slot =
                        &started.iter().find(|start| start["index"] == event["index"]).unwrap()["slot"];
                    slots.retain(|busy| busy != slot);
                }
                _ => {}
            }
        }
        assert_eq!(most, jobs);
    }
}

#[test]
fn more_jobs_than_tasks_are_no_harm() {
    let dir = Dir::with_inputs(2);
    dir.launch().args(["-j", "64"]).sh("true").run().exits(0);
    assert_eq!(dir.results(1).len(), 2);
}

#[test]
fn where_descriptors_are_few_fewer_tasks_run_at_a_time_and_a_line_says_so() {
    let dir = Dir::with_inputs(12);
    let script = "ulimit -n 90; exec \"$@\"";
    let args = ["-i", "data/*.fits", "-o", "out", "-j", "12", "--", "sh", "-c", "echo 1", "{}"];
    let run =
        crate::support::Run::of(&dir, "/bin/sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_canfar-run")]);
    run.args(args).run().exits(0).says("(ulimit -n) allows 2 tasks at a time, not 12");
    assert_eq!(dir.results(1).len(), 12);
    assert_eq!(dir.events_of(1, 1, "start").len(), 12);
}

#[test]
fn progress_and_totals_are_in_the_summary() {
    let dir = Dir::with_inputs(4);
    let running = dir.launch().args(["--json", "-j", "2"]).sh("exit $((CANFAR_TASK_INDEX == 3))").start();
    wait_until(DEADLINE, "the end", || dir.exists("out/container_1_results.json"));
    let summary = running.wait().exits(1).json();
    let expected = [
        ("files", 4),
        ("ok", 3),
        ("failed", 1),
        ("not_run", 0),
        ("done_before", 0),
        ("exit", 1),
        ("launch", 1),
    ];
    for (name, number) in expected {
        assert_eq!(summary[name], number, "{name} in {summary}");
    }
    assert_eq!(summary["failures"][0]["cause"], "exit");
    assert_eq!(summary["failures"][0]["tasks"], 1);
}
