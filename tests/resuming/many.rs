//! A run of 100 replicas of which some died, some never started and some are alive, and any number of containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{at_work, died, let_go, replica, resume, runs};
use crate::support::{Dir, Run, at_once};

const REPLICAS: usize = 100;
/// Two a share: replica r has the tasks 2r - 2 and 2r - 1.
const FILES: usize = 2 * REPLICAS;
const DEAD: [usize; 12] = [1, 3, 9, 17, 18, 19, 20, 40, 55, 70, 71, 100];
const NEVER_STARTED: [usize; 5] = [2, 41, 42, 77, 99];
const ALIVE: [usize; 2] = [5, 60];

/// Runs whole shares, several side by side.
fn run_shares(dir: &Dir, ids: impl Iterator<Item = usize>) {
    let ids: Vec<usize> = ids.collect();
    for some in ids.chunks(5) {
        let running: Vec<_> = some.iter().map(|id| replica(dir, *id, REPLICAS).start()).collect();
        running.into_iter().for_each(|running| _ = running.wait().exits(0));
    }
}

/// The merged records without what differs between any two runs.
fn merged(dir: &Dir) -> Vec<Value> {
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says("200 files: 200 ok, none missing");
    records(dir, dir.json("out/final_results.json"))
}

fn records(dir: &Dir, array: Value) -> Vec<Value> {
    let Value::Array(mut records) = array else { panic!("no array") };
    for record in &mut records {
        let ours = record["canfar_run"].as_object_mut().unwrap();
        for key in ["run", "attempts", "started_at", "duration_s", "cpu_s", "max_rss_bytes", "launch"] {
            assert!(ours.remove(key).is_some(), "{key}");
        }
        let path = ours["path"].as_str().unwrap().replace(dir.root().to_str().unwrap(), "");
        ours["path"] = path.into();
    }
    records
}

#[test]
fn one_three_and_seven_containers_finish_what_a_hundred_replicas_left() {
    let undisturbed = Dir::with_inputs(FILES);
    run_shares(&undisturbed, 1..=REPLICAS);
    let expected = merged(&undisturbed);
    for containers in [1, 3, 7] {
        let dir = Dir::with_inputs(FILES);
        // Its second task each: the first one is done.
        DEAD.iter().for_each(|id| died(&dir, *id, REPLICAS, 2 * id - 1));
        let alive = ALIVE.map(|id| at_work(&dir, id, REPLICAS, 2 * id - 2));
        let odd: BTreeSet<usize> = DEAD.into_iter().chain(NEVER_STARTED).chain(ALIVE).collect();
        run_shares(&dir, (1..=REPLICAS).filter(|id| !odd.contains(id)));
        let journals = ALIVE.map(|id| dir.text(format!("out/journal/{id}.1.jsonl")));

        let resumed = at_once(&dir, (1..=containers).map(|id| container(id, containers))).into_iter();
        let resumed: Vec<_> = resumed.map(|running| running.wait().exits(0)).collect();
        for id in ALIVE {
            let said = format!("replica {id} of 100 is at work");
            assert!(resumed.iter().any(|ended| ended.stderr.contains(&said)), "{said}");
            assert!(!dir.exists(format!("out/journal/{id}.2.jsonl")));
        }
        for (id, before) in ALIVE.into_iter().zip(journals) {
            assert!(dir.text(format!("out/journal/{id}.1.jsonl")).starts_with(&before));
            let_go(&dir, 2 * id - 2);
        }
        alive.into_iter().for_each(|running| _ = running.wait().exits(0));
        // Only what was running when its container was killed began twice.
        let twice = DEAD.map(|id| 2 * id - 1);
        let times = |number: usize| (number, 1 + usize::from(twice.contains(&number)));
        assert_eq!(runs(&dir), (0..FILES).map(times).collect(), "{containers} containers");
        assert_eq!(merged(&dir), expected, "{containers} containers");
        for id in 1..=REPLICAS {
            let file = format!("out/container_{id}_results.json");
            assert_eq!(records(&dir, dir.json(&file)), records(&undisturbed, undisturbed.json(&file)));
        }
        let before = dir.tree();
        resume(&dir).run().exits(0).says("nothing to do");
        assert_eq!(before.difference(&dir.tree()), None);
    }
}

fn container<'d>(id: usize, count: usize) -> impl FnOnce(Run<'d>) -> Run<'d> {
    move |run| run.args(["resume", "out", "-j", "2"]).replica(id, count)
}
