//! Breaking everything that can break, and looking whether what was promised holds: nothing finished is lost, nothing
//! that has a record runs again, what is merged is valid, and in the end all is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Dir, Run};

mod everywhere;
mod random;

/// Notes which attempt it is, works for a while that depends on its input, and gives twice the number in its file.
const TASK: &str = "echo \"$CANFAR_TASK_ID\" >> began
read -r number < \"$1\" || :
sleep 0.0$((number % 3))
echo \"{\\\"twice\\\": $((2 * number))}\"";

/// One attempt as its task noted it: `CANFAR_TASK_ID` is run, index, replica, launch and attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Began {
    replica: usize,
    index: u64,
    launch: usize,
}

/// What a run of `replicas` left so far, read without any help of the program under test.
struct Witness<'d> {
    dir: &'d Dir,
    replicas: usize,
}

impl Witness<'_> {
    /// All attempts that were begun.
    fn began(&self) -> Vec<Began> {
        let parse = |line: String| {
            let words: Vec<&str> = line.split('.').collect();
            let number = |place: usize| words[place].parse().unwrap();
            Began { index: number(1) as u64, replica: number(2), launch: number(3) }
        };
        self.dir.lines("began").into_iter().map(parse).collect()
    }

    /// The ok records that can be read: by replica and index, the launch and the record.
    fn records(&self) -> BTreeMap<(usize, u64), (usize, Value)> {
        let mut records = BTreeMap::new();
        for replica in 1..=self.replicas {
            let launches =
                (1..).take_while(|launch| self.dir.exists(format!("out/journal/{replica}.{launch}.jsonl")));
            for launch in launches {
                let ends = self.dir.events_of(replica, launch, "end").into_iter();
                for mut end in ends.filter(|end| end["status"] == "ok") {
                    let place = (replica, end["index"].as_u64().unwrap());
                    let before = records.insert(place, (launch, end["record"].take()));
                    assert_eq!(before, None, "{place:?} has two ok records");
                }
            }
        }
        records
    }

    /// Attempts that were begun although an earlier launch had left an ok record of the task.
    fn repeated(&self) -> Vec<Began> {
        let records = self.records();
        let had = |began: &Began| {
            records.get(&(began.replica, began.index)).is_some_and(|(launch, _)| *launch < began.launch)
        };
        self.began().into_iter().filter(had).collect()
    }

    /// Tasks that one launch began more than once.
    fn doubled(&self) -> Vec<Began> {
        let mut seen = BTreeSet::new();
        self.began().into_iter().filter(|began| !seen.insert(*began)).collect()
    }

    /// Records that could be read and are not, as they were, among what was merged.
    #[track_caller]
    fn lost(&self) -> Vec<(usize, u64)> {
        let merged = merged(self.dir);
        let is_lost = |(_, index): &(usize, u64), record: &Value| merged.get(index) != Some(record);
        let records = self.records().into_iter();
        records.filter(|(place, (_, record))| is_lost(place, record)).map(|(place, _)| place).collect()
    }
}

/// The records of `final_results.json` by index.
#[track_caller]
fn merged(dir: &Dir) -> BTreeMap<u64, Value> {
    let Value::Array(records) = dir.json("out/final_results.json") else { panic!("no array") };
    let place = |record: Value| (record["canfar_run"]["index"].as_u64().unwrap(), record);
    records.into_iter().map(place).collect()
}

/// Whether every one of `count` files has its right result.
#[track_caller]
fn assert_all_right(dir: &Dir, count: u64) {
    let merged = merged(dir);
    assert_eq!(merged.len() as u64, count);
    for (index, record) in merged {
        assert_eq!(record["twice"], 2 * index, "{record}");
    }
}

/// A merge at this moment: whatever it finds, it says it in order and leaves valid files. `None` before there is a run.
#[track_caller]
fn merge(dir: &Dir) -> Option<i32> {
    if !dir.exists("out/inputs.jsonl") {
        return None;
    }
    let ended = dir.canfar_run().args(["merge", "out"]).run();
    assert!(matches!(ended.code, Some(0 | 1 | 3)), "{ended}");
    for name in
        ["final_results.json", "final_results.partial.json", "final_failed.json", "final_summary.json"]
    {
        let path = format!("out/{name}");
        if dir.exists(&path) {
            dir.json(path);
        }
    }
    ended.code
}

/// One replica's launch, the same line every time. A task that was alone with its killer is not given up.
fn launch(dir: &Dir, replica: usize, replicas: usize) -> Run<'_> {
    dir.launch()
        .args(["-j", "4", "--rerun", "all", "--strategy", "stripe"])
        .replica(replica, replicas)
        .sh(TASK)
}
