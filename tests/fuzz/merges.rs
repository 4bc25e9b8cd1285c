//! Damaged results directories, merged: what comes out is valid, was written by a task, and is counted right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use canfar_run::testing::{
    Destination, Format, HeartbeatTimes, MergeDirectory, Proof, Status, Strategy as Sharing, Targets, survey,
    write,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;

use super::damage::{Damage, damage};
use super::hunt;
use crate::merge::written::{Made, WrittenRun};

/// Tasks by their place in the share, whether they are ok, and whether it was killed.
type Launch = (Vec<(Index, bool)>, bool);

#[derive(Debug, Clone)]
struct Case {
    files: u64,
    strategy: Sharing,
    replicas: Vec<Vec<Launch>>,
    /// Which of all files it befalls.
    damages: Vec<(Index, Damage)>,
}

fn case() -> impl Strategy<Value = Case> {
    let launch = (vec((any::<Index>(), prop::bool::weighted(0.8)), 0..8), prop::bool::weighted(0.3));
    let strategy = prop::sample::select(Sharing::ALL.to_vec());
    let damages = vec((any::<Index>(), damage()), 0..4);
    (1..9_u64, strategy, vec(vec(launch, 1..3), 1..4), damages)
        .prop_map(|(files, strategy, replicas, damages)| Case { files, strategy, replicas, damages })
}

/// Records by their text: the task and whether it is ok.
type Written = BTreeMap<Vec<u8>, (u64, Status)>;

fn write_run(root: &Path, case: &Case) -> Written {
    let paths = (0..case.files).map(|file| PathBuf::from(format!("/data/{file}"))).collect();
    let count = u32::try_from(case.replicas.len()).unwrap();
    let run = WrittenRun::new(root, paths, case.strategy, count);
    let (mut written, mut number) = (Written::new(), 0);
    for (replica_id, launches) in (1..).zip(&case.replicas) {
        let share: Vec<u64> = run.share(replica_id).iter().collect();
        for (launch, (tasks, is_killed)) in (1..).zip(launches) {
            let mut journal = run.launch(replica_id, launch);
            for (place, is_ok) in tasks.iter().filter(|_| !share.is_empty()) {
                number += 1;
                let (index, result) = (*place.get(&share), format!("{{\"n\": {number}}}"));
                let status = if *is_ok { Status::Ok } else { Status::Failed };
                journal.end(index, status, &result);
                let record = run.record(run.id(), Made { index, replica_id, launch }, status, &result);
                written.insert(record, (index, status));
            }
            if *is_killed { journal.commit() } else { journal.stop() }
        }
    }
    written
}

fn merged(root: &Path, results: &Path) -> anyhow::Result<(PathBuf, Proof)> {
    let file = |name| Destination::Path(results.join(name));
    let targets = Targets {
        results: file("results.json"),
        failed: file("failed.json"),
        summary: file("summary.json"),
        allow_missing: false,
    };
    let mut survey = survey(vec![MergeDirectory::open(root, HeartbeatTimes::default())?], Format::Json)?;
    let results = write(&mut survey, &targets, &mut std::io::sink())?;
    Ok((results.path().unwrap().to_owned(), survey.proof))
}

/// The tasks of which there are records in a merged file, each one that was written and of this status.
fn tasks(path: &Path, status: Status, written: &Written) -> Result<BTreeSet<u64>, TestCaseError> {
    let Ok(text) = std::fs::read(path) else { return Ok(BTreeSet::new()) };
    let records: Vec<Box<RawValue>> =
        serde_json::from_slice(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mut tasks = BTreeSet::new();
    for record in &records {
        let found = written.get(record.get().as_bytes());
        // Of what is lost there is no record but the one that the merge makes.
        let lost = || {
            let record: serde_json::Value = serde_json::from_str(record.get()).ok()?;
            let index = record["canfar_run"]["index"].as_u64()?;
            (record["canfar_run"]["cause"] == "lost").then_some((index, Status::Failed))
        };
        let Some((index, of)) = found.copied().or_else(lost) else {
            return Err(TestCaseError::fail(format!("nobody wrote {record}")));
        };
        prop_assert_eq!(of, status);
        prop_assert!(tasks.insert(index), "task {} is there twice", index);
    }
    Ok(tasks)
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("out");
    let written = write_run(&root, case);
    let journals = std::fs::read_dir(root.join("journal")).unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&root).unwrap().chain(journals).map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    for (which, damage) in &case.damages {
        let path = which.get(&files);
        let mut text = std::fs::read(path).unwrap();
        damage.apply(&mut text);
        std::fs::write(path, text).unwrap();
    }
    let (results, proof) = match merged(&root, dir.path()) {
        Ok(merged) => merged,
        Err(error) => {
            let told = format!("{error:#}");
            prop_assert!(!case.damages.is_empty() && told.contains("inputs.jsonl can't be used"), "{}", told);
            return Ok(());
        }
    };
    let ok = tasks(&results, Status::Ok, &written)?;
    let failed = tasks(&dir.path().join("failed.json"), Status::Failed, &written)?;
    prop_assert!(ok.is_disjoint(&failed));
    let counted = (proof.counts.files, proof.counts.ok, proof.counts.failed, proof.missing);
    let (ok, failed) = (ok.len() as u64, failed.len() as u64);
    prop_assert_eq!(counted, (case.files, ok, failed, case.files - ok - failed));
    prop_assert_eq!(proof.complete, proof.missing == 0 && proof.broken.is_empty());
    if case.damages.is_empty() {
        let of =
            |wanted| written.values().filter(move |(_, status)| *status == wanted).map(|(index, _)| *index);
        let all_ok: BTreeSet<u64> = of(Status::Ok).collect();
        let all_failed: BTreeSet<u64> = of(Status::Failed).filter(|index| !all_ok.contains(index)).collect();
        prop_assert_eq!((ok, failed), (all_ok.len() as u64, all_failed.len() as u64));
    }
    Ok(())
}

#[test]
fn a_damaged_results_directory_is_merged_without_a_wrong_record_or_count() {
    hunt("merge", 150, &case(), |case| check(&case));
}
