//! Runs whose replicas share their work: what one left and another one ran, twice or not at all.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{counts, merge, numbers, summary};
use crate::support::{DEADLINE, Dir, Run, Running, wait_until};

/// Stays as long as `hold/NAME` is there; fails if `bad/NAME` is there.
const HELD: &str = "name=${1##*/}; : > began-$name
while [ -e hold/$name ]; do sleep 0.01; done
[ ! -e bad/$name ] || { echo $name is bad >&2; exit 1; }
echo \"{\\\"n\\\": $(cat \"$1\")}\"";

/// One of two replicas.
pub(crate) fn replica(dir: &Dir, id: usize) -> Run<'_> {
    dir.launch().sharing_replica(id, 2).args(["-j", "1"]).sh(HELD)
}

/// Replica 2, which stays with the second task of its share.
fn held(dir: &Dir) -> Running<'_> {
    dir.write("hold/009.fits", "");
    let running = replica(dir, 2).start();
    wait_until(DEADLINE, "the task begins", || dir.exists("began-009.fits"));
    running
}

/// A run of 16 files in which replica 2 died with the second task of its share; nobody has taken over yet.
pub(crate) fn begun() -> Dir {
    let dir = Dir::with_inputs(16);
    let running = held(&dir);
    running.signal(Signal::KILL);
    running.wait();
    fs::remove_dir_all(dir.path("hold")).unwrap();
    dir
}

/// The same, and replica 1 has run the rest.
pub(crate) fn taken_over() -> Dir {
    let dir = begun();
    replica(&dir, 1).run().exits(0).says("took over");
    dir
}

#[track_caller]
fn is_whole(dir: &Dir) {
    let mut found = numbers(dir);
    found.sort_unstable();
    assert_eq!(found, (0..16).collect::<Vec<_>>());
}

#[test]
fn what_was_taken_over_is_merged_once_whatever_is_left_beside_the_journals() {
    let dir = taken_over();
    let told = ["ok", "missing", "repeated", "run_twice"];
    for lost in ["", "out/container_1_results.json", "out/claims"] {
        match lost {
            "" => {}
            "out/claims" => fs::remove_dir_all(dir.path(lost)).unwrap(),
            file => fs::remove_file(dir.path(file)).unwrap(),
        }
        let ended = merge(&dir).exits(0).says("16 files: 16 ok, none missing");
        is_whole(&dir);
        assert_eq!(counts(&dir, told), [16, 0, 0, 0], "{lost}: {ended}");
    }
}

#[test]
fn what_is_missing_is_told_by_share_with_who_has_it() {
    let dir = begun();
    merge(&dir)
        .exits(3)
        .says("16 files: 1 ok, 15 missing")
        .says("  share of replica 1: 8 files missing (not taken by any replica): ")
        .says("  share of replica 2: 7 files missing (")
        .says("not taken by any replica, ")
        .says("taken by replica 2, which stopped): ")
        .says("canfar-run resume");
    let missing = &summary(&dir)["missing_replicas"];
    let free = |missing: u64| json!({"replica_id": null, "state": null, "missing": missing});
    assert_eq!(missing[0]["held_by"], json!([free(8)]));
    // It may have claimed more by then.
    let of_dead = missing[1]["held_by"][1]["missing"].as_u64().unwrap();
    let stopped = json!({"replica_id": 2, "state": "stopped", "missing": of_dead});
    assert_eq!(missing[1]["held_by"], json!([free(7 - of_dead), stopped]));
    assert_eq!((&missing[0]["state"], &missing[1]["state"]), (&json!("never_started"), &json!("stopped")));
}

#[test]
fn what_is_missing_while_a_replica_works_is_waited_for() {
    let dir = Dir::with_inputs(16);
    let running = held(&dir);
    let ended = merge(&dir)
        .exits(3)
        .says("(not taken by any replica)")
        .says("taken by replica 2, which is running")
        .says("Wait for those that are running: they run what is left.");
    ended.says_not("canfar-run resume");
    running.kill();
    fs::remove_dir_all(dir.path("hold")).unwrap();
}

/// The line of a journal with the record of a task.
fn record_of(dir: &Dir, journal: &str, index: u64) -> String {
    let is_it = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["event"] == "end" && line["index"] == index
    };
    dir.lines(journal).into_iter().find(is_it).unwrap()
}

/// The same with other words in its record.
fn edited(line: &str, before: &str, after: &str) -> String {
    let (head, rest) = line.split_once(",\"check\":").unwrap();
    let record = rest.split_once(",\"record\":").unwrap().1.strip_suffix('}').unwrap();
    let edited = record.replace(before, after);
    assert_ne!(record, edited);
    let check = &blake3::hash(format!("{head}{edited}").as_bytes()).to_hex()[..16];
    format!("{head},\"check\":\"{check}\",\"record\":{edited}}}")
}

#[test]
fn of_records_of_two_replicas_that_of_the_higher_claim_counts_and_the_task_is_told() {
    let dir = taken_over();
    let of_other = record_of(&dir, "out/journal/1.1.jsonl", 9);
    let journal = dir.text("out/journal/2.1.jsonl");
    dir.write("out/journal/2.1.jsonl", format!("{journal}{}\n", edited(&of_other, "\"n\": 9", "\"n\": 99")));
    merge(&dir).exits(0).says("16 ok, none missing").says("1 file was run by two replicas");
    is_whole(&dir);
    assert_eq!(counts(&dir, ["ok", "repeated", "run_twice"]), [16, 1, 1]);
}

#[test]
fn a_record_that_a_later_holder_of_its_block_took_back_counts_no_more() {
    let dir = taken_over();
    let path = "out/journal/1.1.jsonl";
    let before = dir.text(path);
    // As if replica 2 had recorded file 9 before it died, too.
    let of_other = record_of(&dir, path, 9);
    let journal = dir.text("out/journal/2.1.jsonl");
    dir.write("out/journal/2.1.jsonl", format!("{journal}{of_other}\n"));
    let line: Value = serde_json::from_str(before.lines().next().unwrap()).unwrap();
    let (run, t) = (&line["run"], &line["t"]);
    let again = json!({
        "v": 1, "run": run, "launch": 1, "seq": 9999, "t": t, "event": "due_again", "gone": [[9, 9, 1]], "changed": [],
    });
    // What this holder made of it is taken back as well.
    dir.write(path, format!("{before}{again}\n"));
    merge(&dir).exits(3).says("16 files: 15 ok, 1 missing");
    // And the next attempt fails.
    let failed = edited(
        &of_other.replacen("\"status\":\"ok\"", "\"status\":\"failed\"", 1),
        "\"status\":\"ok\"",
        "\"status\":\"failed\"",
    );
    dir.write(path, format!("{before}{again}\n{failed}\n"));
    merge(&dir).exits(1).says("16 files: 15 ok, 1 failed");
    assert_eq!(counts(&dir, ["ok", "failed", "missing"]), [15, 1, 0]);
}

#[test]
fn what_an_added_container_ran_is_merged_too() {
    let dir = begun();
    replica(&dir, 1).run().exits(0);
    // As if it had been added: all that it claimed and wrote.
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    for launch in 1.. {
        let journal = dir.path(format!("out/journal/1.{launch}.jsonl"));
        if !journal.exists() {
            break;
        }
        fs::rename(journal, dir.path(format!("out/journal/7.{launch}.jsonl"))).unwrap();
    }
    merge(&dir).exits(0).says("16 files: 16 ok, none missing");
    is_whole(&dir);
}
