//! What a run really came to, read without any help of the program: which tasks were run, by whom and how often, what
//! stands in the results files, and whether all of it can be explained by what was done to the replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::Value;

use super::cluster::{Cluster, Fate};
use crate::crash::assert_all_right;
use crate::support::{Dir, Ended};

/// One execution of a task, as the task itself noted it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Execution {
    pub(crate) index: u64,
    pub(crate) began: SystemTime,
    pub(crate) replica: usize,
    pub(crate) launch: usize,
    pub(crate) attempt: usize,
}

/// The claims to one block by generation, and the replicas that made them; `None` where the claim says nothing.
pub(crate) type Claims = BTreeMap<(u32, u32), BTreeMap<u32, Option<usize>>>;

/// A look at a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth<'d> {
    dir: &'d Dir,
}

impl<'d> Truth<'d> {
    pub(crate) fn of(dir: &'d Dir) -> Self {
        Self { dir }
    }

    /// All executions so far, by task and then by time.
    pub(crate) fn executions(self) -> Vec<Execution> {
        let ran = self.dir.scratch().join("ran");
        let execution = |name: &String| {
            // `CANFAR_TASK_ID` is run, index, replica, launch and attempt.
            let numbers: Vec<usize> = name.split('.').skip(1).map(|word| word.parse().unwrap()).collect();
            let [index, replica, launch, attempt] = numbers[..] else { panic!("{name}") };
            let noted = std::fs::metadata(ran.join(name)).unwrap();
            Execution { index: index as u64, began: noted.modified().unwrap(), replica, launch, attempt }
        };
        let mut executions: Vec<_> = self.dir.names(&ran).iter().map(execution).collect();
        executions.sort();
        executions
    }

    /// Which tasks a replica has begun.
    pub(crate) fn begun_by(self, replica: usize) -> BTreeSet<u64> {
        let executions = self.executions().into_iter();
        executions.filter(|one| one.replica == replica).map(|one| one.index).collect()
    }

    /// The tasks that have an ok record in a journal, sorted, as often as they have one.
    pub(crate) fn records(self) -> Vec<u64> {
        let journals = self.dir.names("out/journal").into_iter();
        let lines = journals.flat_map(|name| self.dir.lines(format!("out/journal/{name}")));
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let ok = events.filter(|event| event["event"] == "end" && event["status"] == "ok");
        let mut indices: Vec<u64> = ok.map(|end| end["index"].as_u64().unwrap()).collect();
        indices.sort_unstable();
        indices
    }

    /// How many tasks have one.
    pub(crate) fn recorded(self) -> usize {
        let mut indices = self.records();
        indices.dedup();
        indices.len()
    }

    pub(crate) fn claims(self) -> Claims {
        let mut claims = Claims::new();
        for run in self.dir.names("out/claims") {
            for round in self.dir.names(format!("out/claims/{run}")) {
                let folder = format!("out/claims/{run}/{round}");
                for name in self.dir.names(&folder) {
                    let block = name.split_once('.').and_then(|(share, generation)| {
                        Some(((round.parse().ok()?, share.parse().ok()?), generation.parse().ok()?))
                    });
                    let Some((block, generation)) = block else { continue };
                    let said = std::fs::read(self.dir.path(&folder).join(&name)).unwrap_or_default();
                    let claim: Value = serde_json::from_slice(&said).unwrap_or_default();
                    let by = claim["replica"].as_u64().map(|replica| usize::try_from(replica).unwrap());
                    claims.entry(block).or_default().insert(generation, by);
                }
            }
        }
        claims
    }

    /// How many claims were taken over from others.
    pub(crate) fn takeovers(self) -> usize {
        self.claims().values().flat_map(BTreeMap::keys).filter(|generation| **generation > 0).count()
    }

    /// The claims that a replica has said it is about to make.
    pub(crate) fn announced_by(self, replica: usize) -> Vec<String> {
        let events = self.dir.events_of(replica, 1, "claim").into_iter();
        events.map(|event| event["claim"].as_str().unwrap().to_owned()).collect()
    }

    /// Executions that were followed by another one of the same task, and that one.
    pub(crate) fn repeated(self) -> Vec<[Execution; 2]> {
        let executions = self.executions();
        let followed = executions.windows(2).filter(|pair| pair[0].index == pair[1].index);
        followed.map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
    }

    /// Those of them for which nothing that was done to the first one's replica is a reason: it is unhurt, or was killed when
    /// the task had its record.
    pub(crate) fn unexplained(self, cluster: &Cluster<'_>) -> Vec<[Execution; 2]> {
        let has_record = |one: &Execution| {
            let ends = self.dir.events_of(one.replica, one.launch, "end").into_iter();
            ends.filter(|end| end["status"] == "ok").any(|end| end["index"] == one.index)
        };
        let is_explained = |one: &Execution| match cluster.fate(one.replica) {
            Some(Fate::Frozen) => true,
            Some(Fate::Killed) => !has_record(one),
            Some(Fate::Unhurt) | None => false,
        };
        self.repeated().into_iter().filter(|[first, _]| !is_explained(first)).collect()
    }

    /// Merges: each of `count` tasks has its record, the right one, and so says the documented loop over the results files.
    #[track_caller]
    pub(crate) fn is_whole(self, count: usize) -> Ended {
        let merged = self.dir.canfar_run().args(["merge", "out", "--json"]).run().exits(0);
        let summary = merged.json();
        assert_eq!((&summary["complete"], &summary["proven"]), (&true.into(), &true.into()), "{merged}");
        assert_eq!(summary["ok"], count, "{merged}");
        assert_all_right(self.dir, count as u64);
        let (looped, all) = (self.looped(), (0..count as u64).collect::<Vec<_>>());
        assert!(looped == all, "results files have {looped:?}\n{}{merged}", self.story(&looped));
        merged
    }

    /// Who ran what is not there once, and what the replicas said.
    pub(crate) fn story(self, looped: &[u64]) -> String {
        let is_once = |one: &Execution| looped.iter().filter(|index| **index == one.index).count() == 1;
        let others: Vec<_> = self.executions().into_iter().filter(|one| !is_once(one)).collect();
        let journals = self.dir.names("out/journal").into_iter();
        let logs = journals.filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned()));
        let said = logs.map(|launch| format!("{launch}: {}\n", self.said_by(&launch)));
        format!("not there once: {others:?}\n{}\n", said.collect::<String>())
    }

    /// What a launch said; one that only wrote a results file for a dead replica says nothing.
    fn said_by(self, launch: &str) -> String {
        std::fs::read_to_string(self.dir.path(format!("out/logs/{launch}.err"))).unwrap_or_default()
    }

    /// Indices in all results files, sorted, as often as they are there.
    pub(crate) fn looped(self) -> Vec<u64> {
        let names = self.dir.names("out").into_iter();
        let files = names.filter(|name| name.starts_with("container_") && name.ends_with("_results.json"));
        let records = files.flat_map(|name| match self.dir.json(format!("out/{name}")) {
            Value::Array(records) => records,
            other => panic!("{name}: no array: {other}"),
        });
        let mut indices: Vec<u64> =
            records.map(|record| record["canfar_run"]["index"].as_u64().unwrap()).collect();
        indices.sort_unstable();
        indices
    }
}
