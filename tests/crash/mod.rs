//! Breaking everything that can break, and looking whether what was promised holds: nothing finished is lost, nothing
//! that has a record runs again, what is merged is valid, and in the end all is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::{Dir, Run};

mod chosen;
mod everywhere;
mod random;

/// Notes which attempt it is, works for a while that depends on its input, and gives twice the number in its file.
pub(crate) const TASK: &str = "echo \"$CANFAR_TASK_ID\" >> began
read -r number < \"$1\" || :
sleep 0.0$((number % 3))
echo \"{\\\"twice\\\": $((2 * number))}\"";

/// One attempt as its task noted it: `CANFAR_TASK_ID` is run, index, replica, launch and attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Began {
    pub(crate) replica: usize,
    pub(crate) index: u64,
    pub(crate) launch: usize,
}

/// What a run of `replicas` left so far, read without any help of the program under test.
pub(crate) struct Witness<'d> {
    pub(crate) dir: &'d Dir,
    pub(crate) replicas: usize,
}

impl Witness<'_> {
    /// All attempts that were begun.
    pub(crate) fn began(&self) -> Vec<Began> {
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
    pub(crate) fn repeated(&self) -> Vec<Began> {
        let records = self.records();
        let had = |began: &Began| {
            records.get(&(began.replica, began.index)).is_some_and(|(launch, _)| *launch < began.launch)
        };
        self.began().into_iter().filter(had).collect()
    }

    /// Tasks that one launch began more than once.
    pub(crate) fn doubled(&self) -> Vec<Began> {
        let mut seen = BTreeSet::new();
        self.began().into_iter().filter(|began| !seen.insert(*began)).collect()
    }

    /// Records that could be read and are not, as they were, among what was merged.
    #[track_caller]
    pub(crate) fn lost(&self) -> Vec<(usize, u64)> {
        missing_of(self.records(), &merged(self.dir, "out/final_results.json"))
    }

    /// A merge at this moment: whatever it finds, it says it in order, leaves valid files, and has all that could be read
    /// before it. `None` before there is a run.
    #[track_caller]
    pub(crate) fn merge(&self) -> Option<i32> {
        if !self.dir.exists("out/inputs.jsonl") {
            return None;
        }
        let before = self.records();
        let ended = self.dir.canfar_run().args(["merge", "out"]).run();
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{ended}");
        let name = if ended.code == Some(3) { "final_results.partial.json" } else { "final_results.json" };
        let merged = merged(self.dir, format!("out/{name}"));
        assert_eq!(missing_of(before, &merged), [], "{ended}");
        for name in
            self.dir.names("out").iter().filter(|name| Path::new(name).extension() == Some("json".as_ref()))
        {
            // Names with a dot in front are those of files in the making.
            if !name.starts_with('.') {
                self.dir.json(format!("out/{name}"));
            }
        }
        ended.code
    }
}

/// Records that are not, as they are, among what was merged.
fn missing_of(
    records: BTreeMap<(usize, u64), (usize, Value)>,
    merged: &BTreeMap<u64, Value>,
) -> Vec<(usize, u64)> {
    let is_missing = |(_, index): &(usize, u64), record: &Value| merged.get(index) != Some(record);
    let missing = records.into_iter().filter(|(place, (_, record))| is_missing(place, record));
    missing.map(|(place, _)| place).collect()
}

/// The records of a merged file by index, of which each has one and the right result.
#[track_caller]
fn merged(dir: &Dir, name: impl AsRef<Path>) -> BTreeMap<u64, Value> {
    let Value::Array(records) = dir.json(name) else { panic!("no array") };
    let count = records.len();
    let place = |record: Value| (record["canfar_run"]["index"].as_u64().unwrap(), record);
    let merged: BTreeMap<_, _> = records.into_iter().map(place).collect();
    assert_eq!(merged.len(), count, "a task is there twice");
    for (index, record) in &merged {
        assert_eq!(record["twice"], 2 * index, "{record}");
    }
    merged
}

/// Whether every one of `count` files has its right result.
#[track_caller]
pub(crate) fn assert_all_right(dir: &Dir, count: u64) {
    assert_eq!(merged(dir, "out/final_results.json").len() as u64, count);
}

/// One replica's launch, the same line every time. A task that was alone with its killer is not given up.
fn launch(dir: &Dir, replica: usize, replicas: usize) -> Run<'_> {
    dir.launch()
        .args(["-j", "4", "--rerun", "all", "--strategy", "stripe"])
        .replica(replica, replicas)
        .sh(TASK)
}
