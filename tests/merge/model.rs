//! Random runs, merged, against a naive model of what counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use canfar_run::testing::{
    Destination, Format, HeartbeatTimes, MergeDirectory, MissingReplica, Proof, Status, Strategy as Sharing,
    Targets, TaskCounts, survey, write,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::written::{Made, WrittenRun};

/// What became of a task in a launch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    NotBegun,
    Ok,
    Failed,
    /// It was running at the end.
    Running,
    /// And nothing else was.
    RunningAlone,
}

#[derive(Debug, Clone)]
struct LaunchCase {
    /// For the first tasks of the share; the others are not begun.
    outcomes: Vec<Outcome>,
    is_killed: bool,
}

/// What befell a replica's files after its last launch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Afterwards {
    Nothing,
    ResultsDeleted,
    ResultsCut,
    ResultsOfPython,
    ResultsCopied,
    JournalsDeleted,
}

#[derive(Debug, Clone)]
struct ReplicaCase {
    launches: Vec<LaunchCase>,
    afterwards: Afterwards,
}

#[derive(Debug, Clone)]
struct RunCase {
    /// Numbers of the files it is about.
    files: BTreeSet<u8>,
    strategy: Sharing,
    replicas: Vec<ReplicaCase>,
    /// Records in a file of Python's.
    foreign: u8,
    /// Records of another run.
    strangers: u8,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    use Outcome::{Failed, NotBegun, Ok, Running, RunningAlone};
    prop_oneof![2 => Just(NotBegun), 8 => Just(Ok), 3 => Just(Failed), 1 => Just(Running), 1 => Just(RunningAlone)]
}

fn launch() -> impl Strategy<Value = LaunchCase> {
    (vec(outcome(), 0..12), prop::bool::weighted(0.3))
        .prop_map(|(outcomes, is_killed)| LaunchCase { outcomes, is_killed })
}

fn replica() -> impl Strategy<Value = ReplicaCase> {
    use Afterwards::{JournalsDeleted, Nothing, ResultsCopied, ResultsCut, ResultsDeleted, ResultsOfPython};
    let afterwards = prop_oneof![
        4 => Just(Nothing),
        1 => Just(ResultsDeleted),
        1 => Just(ResultsCut),
        1 => Just(ResultsOfPython),
        2 => Just(ResultsCopied),
        1 => Just(JournalsDeleted),
    ];
    (vec(launch(), 0..4), afterwards).prop_map(|(launches, afterwards)| ReplicaCase { launches, afterwards })
}

fn run() -> impl Strategy<Value = RunCase> {
    let strategy = prop::sample::select(Sharing::ALL.to_vec());
    (btree_set(0_u8..30, 1..20), strategy, vec(replica(), 1..5), 0_u8..3, 0_u8..3).prop_map(
        |(files, strategy, replicas, foreign, strangers)| RunCase {
            files,
            strategy,
            replicas,
            foreign,
            strangers,
        },
    )
}

/// What is known of a file: which record counts.
#[derive(Debug, Clone, PartialEq)]
enum Counts {
    Nothing,
    /// With the number in its result.
    Failed(u64),
    Lost,
    Ok(u64),
}

impl Counts {
    fn rank(&self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Failed(_) | Self::Lost => 1,
            Self::Ok(_) => 2,
        }
    }
}

/// What a merge has to find.
#[derive(Debug, Default)]
struct Model {
    /// For each file what counts, and where it is listed: directory and replica.
    files: BTreeMap<u8, (Counts, (usize, u32))>,
    /// Records there are, but for those of other runs.
    records: u64,
    foreign: u64,
    strangers: u64,
    broken: usize,
}

/// The path of a file; of various lengths, for sizes.
fn path_of(file: u8) -> PathBuf {
    format!("/data/{}{file}.fits", "x".repeat(usize::from(file) % 7)).into()
}

/// Writes one run and tells the model. `tokens` gives every record a number of its own.
fn write_run(root: &Path, number: usize, case: &RunCase, tokens: &mut u64, model: &mut Model) {
    let mut paths: Vec<(PathBuf, u8)> = case.files.iter().map(|file| (path_of(*file), *file)).collect();
    paths.sort();
    let files: Vec<u8> = paths.iter().map(|(_, file)| *file).collect();
    let count = u32::try_from(case.replicas.len()).unwrap();
    let run = WrittenRun::new(root, paths.into_iter().map(|(path, _)| path).collect(), case.strategy, count);
    for (id, replica) in (1..).zip(&case.replicas) {
        let known = write_replica(&run, id, replica, tokens, model);
        for (index, counts) in run.share(id).iter().zip(known) {
            let file = files[usize::try_from(index).unwrap()];
            let best = model.files.entry(file).or_insert((Counts::Nothing, (number, id)));
            model.records += u64::from(counts.rank() > 0);
            if counts.rank() >= best.0.rank() {
                *best = (counts, (number, id));
            }
        }
    }
    let foreign: Vec<Value> =
        (0..case.foreign).map(|_| json!({"n": next(tokens), "foreign": true})).collect();
    fs::write(root.join("container_None_results.json"), json!(foreign).to_string()).unwrap();
    model.foreign += u64::from(case.foreign);
    let made = |index| Made { index, replica_id: 1, launch: 1 };
    let strangers = (0..case.strangers.min(u8::try_from(files.len()).unwrap()))
        .map(|index| run.record("another", made(u64::from(index)), Status::Ok, "{\"n\": 0}"));
    let strangers: Vec<Vec<u8>> = strangers.collect();
    model.strangers += strangers.len() as u64;
    fs::write(root.join("container_99_results.json"), [b"[", &*strangers.join(&b','), b"]"].concat())
        .unwrap();
}

fn next(tokens: &mut u64) -> u64 {
    *tokens += 1;
    *tokens
}

/// Writes a replica's files; what is known of its tasks from them, in the order of its share.
fn write_replica(
    run: &WrittenRun,
    id: u32,
    case: &ReplicaCase,
    tokens: &mut u64,
    model: &mut Model,
) -> Vec<Counts> {
    let share: Vec<u64> = run.share(id).iter().collect();
    let mut known = vec![Counts::Nothing; share.len()];
    // What the results file holds.
    let mut written: Option<Vec<Counts>> = None;
    for (number, launch) in (1..).zip(&case.launches) {
        let mut journal = run.launch(id, number);
        for ((index, outcome), known) in share.iter().zip(&launch.outcomes).zip(&mut known) {
            let token = next(tokens);
            let result = format!("{{\"n\": {token}}}");
            match outcome {
                Outcome::NotBegun => {}
                Outcome::Ok => journal.end(*index, Status::Ok, &result),
                Outcome::Failed => journal.end(*index, Status::Failed, &result),
                Outcome::Running => journal.start(*index, false),
                Outcome::RunningAlone => journal.start(*index, true),
            }
            *known = match (outcome, &known) {
                (Outcome::Ok, _) => Counts::Ok(token),
                (Outcome::Failed, Counts::Nothing | Counts::Failed(_) | Counts::Lost) => {
                    Counts::Failed(token)
                }
                (Outcome::RunningAlone, Counts::Nothing | Counts::Failed(_) | Counts::Lost)
                    if launch.is_killed =>
                {
                    Counts::Lost
                }
                _ => known.clone(),
            };
        }
        if launch.is_killed {
            journal.commit();
        } else {
            journal.stop();
            let ok = |counts: &Counts| if counts.rank() == 2 { counts.clone() } else { Counts::Nothing };
            written = Some(known.iter().map(ok).collect());
        }
    }
    befall(run, id, case.afterwards, !case.launches.is_empty(), known, written, model)
}

/// Does to a replica's files what is to befall them; gives what is known then.
fn befall(
    run: &WrittenRun,
    id: u32,
    what: Afterwards,
    has_journals: bool,
    known: Vec<Counts>,
    written: Option<Vec<Counts>>,
    model: &mut Model,
) -> Vec<Counts> {
    let results = run.layout.results(id);
    match what {
        Afterwards::ResultsDeleted => _ = fs::remove_file(results),
        Afterwards::ResultsCut if written.is_some() => {
            let bytes = fs::read(&results).unwrap();
            fs::write(results, &bytes[..bytes.len() - 2]).unwrap();
        }
        Afterwards::ResultsOfPython => {
            fs::write(results, "[{\"n\": 0}]").unwrap();
            // Without journals it is a file like any other.
            model.foreign += u64::from(!has_journals);
        }
        Afterwards::ResultsCopied => {
            if let Some(written) = &written {
                fs::copy(results, run.layout.root().join(format!("container_0{id}_results.json"))).unwrap();
                model.records += written.iter().filter(|counts| counts.rank() == 2).count() as u64;
            }
        }
        Afterwards::JournalsDeleted => {
            (1..4).for_each(|launch| _ = fs::remove_file(run.layout.journal(id, launch)));
            return written.unwrap_or_else(|| vec![Counts::Nothing; known.len()]);
        }
        Afterwards::Nothing | Afterwards::ResultsCut => {}
    }
    known
}

/// Numbers in the records of a merged file; 0 where there is none.
fn tokens_in(path: &Path) -> Vec<u64> {
    let Ok(text) = fs::read(path) else { return Vec::new() };
    let records: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut tokens: Vec<u64> = records.iter().map(|record| record["n"].as_u64().unwrap_or(0)).collect();
    tokens.sort_unstable();
    tokens
}

fn check(cases: &[RunCase]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut tokens) = (Model::default(), 0);
    let roots: Vec<PathBuf> = (0..cases.len()).map(|number| dir.path().join(number.to_string())).collect();
    for (number, case) in cases.iter().enumerate() {
        write_run(&roots[number], number, case, &mut tokens, &mut model);
    }
    let directories =
        roots.iter().map(|root| MergeDirectory::open(root, HeartbeatTimes::default()).unwrap()).collect();
    let file = |name| Destination::Path(dir.path().join(name));
    let targets = Targets {
        results: file("all.json"),
        failed: file("failed.json"),
        summary: file("summary.json"),
        allow_missing: false,
    };
    let mut survey = survey(directories, Format::Json).unwrap();
    let results = write(&mut survey, &targets, &mut std::io::sink()).unwrap();
    let proof = &survey.proof;

    let count = |rank| model.files.values().filter(|(counts, _)| counts.rank() == rank).count() as u64;
    let (ok, failed, missing) = (count(2), count(1), count(0));
    prop_assert_eq!(
        (proof.counts.files, proof.counts.ok, proof.counts.failed, proof.missing),
        (ok + failed + missing, ok, failed, missing)
    );
    prop_assert_eq!(proof.repeated, model.records - ok - failed);
    prop_assert_eq!((proof.foreign, proof.of_other_runs), (model.foreign, model.strangers));
    prop_assert_eq!(proof.broken.len(), model.broken);
    prop_assert_eq!((proof.proven, proof.complete), (true, missing == 0));
    prop_assert_eq!(results == targets.results, missing == 0);
    prop_assert_eq!(proof.failures.iter().map(|group| group.count).sum::<u64>(), failed);

    let mut of_replicas: BTreeMap<(usize, u32), u64> = BTreeMap::new();
    let without = model.files.values().filter(|(counts, _)| counts.rank() == 0);
    without.for_each(|(_, place)| *of_replicas.entry(*place).or_default() += 1);
    let place = |replica: &MissingReplica| {
        let number = roots.iter().position(|root| root.to_str() == Some(&replica.results_dir)).unwrap();
        ((number, replica.replica_id), replica.missing)
    };
    prop_assert_eq!(proof.missing_replicas.iter().map(place).collect::<BTreeMap<_, _>>(), of_replicas);

    let merged = tokens_in(results.path().unwrap());
    prop_assert_eq!(merged.len() as u64, ok + model.foreign);
    let with = |wanted: fn(&Counts) -> Option<u64>| {
        let mut tokens: Vec<u64> = model.files.values().filter_map(|(counts, _)| wanted(counts)).collect();
        tokens.sort_unstable();
        tokens
    };
    let ours = with(|counts| if let Counts::Ok(token) = counts { Some(*token) } else { None });
    let known: BTreeSet<u64> = ours.iter().copied().collect();
    prop_assert_eq!(merged.into_iter().filter(|token| known.contains(token)).collect::<Vec<_>>(), ours);
    let of_failed = with(|counts| match counts {
        Counts::Failed(token) => Some(*token),
        Counts::Lost => Some(0),
        _ => None,
    });
    prop_assert_eq!(tokens_in(targets.failed.path().unwrap()), of_failed);
    Ok(())
}

/// Copies what results files there are whose every record is one of that run, and nothing else.
fn copy_of(root: &Path, to: &Path) {
    let run = run_of(root);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(root).unwrap().flatten() {
        let Ok(text) = fs::read(entry.path()) else { continue };
        let Ok(Value::Array(records)) = serde_json::from_slice(&text) else { continue };
        if records.iter().all(|record| record["canfar_run"]["run"] == run) {
            fs::write(to.join(entry.file_name()), text).unwrap();
        }
    }
    // So that there is one in any case.
    fs::write(to.join("container_100_results.json"), "[]").unwrap();
}

fn run_of(root: &Path) -> Value {
    let list = fs::read_to_string(root.join("inputs.jsonl")).unwrap();
    serde_json::from_str::<Value>(list.lines().next().unwrap()).unwrap()["run"].clone()
}

/// What a merge of directories finds, and the numbers that it writes.
fn merged(dir: &Path, roots: &[PathBuf]) -> ([u64; 5], Vec<u64>) {
    let open = |root: &PathBuf| MergeDirectory::open(root, HeartbeatTimes::default()).unwrap();
    let file = |name| Destination::Path(dir.join(name));
    let targets = Targets {
        results: file("all.json"),
        failed: file("failed.json"),
        summary: file("summary.json"),
        allow_missing: false,
    };
    let mut survey = survey(roots.iter().map(open).collect(), Format::Json).unwrap();
    let results = write(&mut survey, &targets, &mut std::io::sink()).unwrap();
    let Proof { counts: TaskCounts { files, ok, failed, .. }, missing, foreign, .. } = survey.proof;
    ([files, ok, failed, missing, foreign], tokens_in(results.path().unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_became_of_a_run_its_merge_is_what_a_naive_count_says(case in run()) {
        check(&[case])?;
    }

    #[test]
    fn whatever_became_of_runs_that_overlap_each_file_counts_once(cases in vec(run(), 2..4)) {
        check(&cases)?;
    }

    #[test]
    fn a_copy_of_results_files_changes_nothing(cases in vec(run(), 1..3), place in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut model, mut tokens) = (Model::default(), 0);
        let mut roots: Vec<PathBuf> = (0..cases.len()).map(|number| dir.path().join(number.to_string())).collect();
        for (number, case) in cases.iter().enumerate() {
            write_run(&roots[number], number, case, &mut tokens, &mut model);
        }
        let without = merged(dir.path(), &roots);
        let copy = dir.path().join("copy");
        copy_of(&roots[0], &copy);
        roots.insert(place.index(roots.len() + 1), copy);
        prop_assert_eq!(without, merged(dir.path(), &roots));
    }
}
