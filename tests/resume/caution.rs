//! How a launch goes about tasks around which a container died, or that ran out of memory. What only a container with a
//! limit would write is put into the journals.

use serde_json::{Value, json};

use super::death::{kill_it_at, starts};
use super::{TASK, done, launch};
use crate::support::Dir;

/// The most tasks that ran at once in a launch.
fn most_at_once(dir: &Dir, number: usize) -> usize {
    let (mut running, mut most) = (0, 0);
    for event in dir.events(1, number) {
        match event["event"].as_str() {
            Some("start") => running += 1,
            Some("attempt") => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    most
}

/// A line of a journal, with the checksum that one with a record has.
fn line(mut event: Value) -> String {
    let members = event.as_object_mut().unwrap();
    members.remove("check");
    let Some(record) = members.remove("record") else { return format!("{event}\n") };
    let (head, record) = (event.to_string(), record.to_string());
    let head = head.strip_suffix('}').unwrap();
    let check = &blake3::hash(format!("{head}{record}").as_bytes()).to_hex()[..16];
    format!("{head},\"check\":\"{check}\",\"record\":{record}}}\n")
}

/// Rewrites a launch's journal.
fn rewrite(dir: &Dir, number: usize, change: impl Fn(&mut Value)) {
    let mut text = String::new();
    for mut event in dir.events(1, number) {
        change(&mut event);
        text.push_str(&line(event));
    }
    dir.write(format!("out/journal/1.{number}.jsonl"), text);
}

#[test]
fn half_as_many_run_after_each_death_until_a_launch_ends_in_order() {
    let dir = Dir::with_inputs(24);
    kill_it_at(&dir, 4, &[0, 1, 2, 3], 1);
    // Of the others two at a time are begun, which are held again.
    kill_it_at(&dir, 4, &[4, 5], 1);
    launch(&dir, 4).sh(TASK).run().exits(0).says("1 at a time: the container died with 2 running");
    assert_eq!(most_at_once(&dir, 1), 4);
    assert_eq!(most_at_once(&dir, 2), 2);
    assert_eq!(most_at_once(&dir, 3), 1);
    assert_eq!(done(&dir), (0..24).collect::<Vec<_>>());
}

#[test]
fn suspects_of_a_first_death_with_room_in_memory_run_last_and_together() {
    let dir = Dir::with_inputs(8);
    kill_it_at(&dir, 2, &[0, 1], 1);
    let path = dir.path("out/journal/1.1.jsonl");
    rewrite(&dir, 1, |event| {
        if event["event"] == "run" {
            event["limits"]["memory_bytes"] = json!(1000);
        }
    });
    let run = &dir.events(1, 1)[0]["run"].clone();
    let alive = json!({"v": 1, "run": run, "launch": 1, "seq": 99, "t": "", "event": "alive", "ok": 0, "failed": 0,
        "left": 8, "running": 2, "memory_bytes": 700});
    let text = format!("{}{alive}\n", dir.text(&path));
    std::fs::write(&path, text).unwrap();

    let ended = launch(&dir, 2)
        .sh(TASK)
        .run()
        .exits(0)
        .says("2 tasks were running when the container died; run last\n");
    assert!(!ended.stderr.contains("at a time: the container died"), "{ended}");
    let mut order: Vec<(u64, bool)> = starts(&dir, 2);
    // Of two that start together, either may be written first.
    order[6..].sort_unstable();
    assert_eq!(order[6..], [(0, false), (1, false)]);
    assert_eq!(done(&dir), (0..8).collect::<Vec<_>>());
}

#[test]
fn what_ran_out_of_memory_runs_last_and_alone_in_the_next_launch() {
    let dir = Dir::with_inputs(6);
    let fails_once = "[ -e again ] || [ $CANFAR_TASK_INDEX != 1 ]";
    launch(&dir, 2).sh(fails_once).run().exits(1);
    rewrite(&dir, 1, |event| {
        if event["cause"] == "exit" {
            event["cause"] = json!("oom");
        }
    });
    // The results, too, are made anew.
    dir.write("again", "");
    launch(&dir, 2)
        .sh(fails_once)
        .run()
        .exits(0)
        .says("1 task ran out of memory before; run last, each alone");
    assert_eq!(starts(&dir, 2), [(1, true)]);
    assert_eq!(done(&dir), (0..6).collect::<Vec<_>>());
}
