//! Journals that were cut anywhere, as by a kill: the status is that of the records that are whole, never a panic, and never
//! more than what `merge` counts.

use std::collections::BTreeMap;

use canfar_run::testing::{
    AttemptBegun, AttemptEnded, Cause, Event, HeartbeatTimes, JournalState, JournalWriter, LaunchBegun,
    LaunchProgress, Limits, MonitoredRun, Process, ReplicaState, ResultsWritten, Status, StopReason, Stopped,
    TaskCounts, TaskEnded,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::merge::written::WrittenRun;

const TASKS: u64 = 5;

#[derive(Debug, Clone)]
enum Step {
    /// A task begins, alone or not, and ends if it is told how.
    Task(u64, bool, Option<Status>),
    Alive,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        3 => Just(Some(Status::Ok)),
        2 => Just(Some(Status::Failed)),
        1 => Just(None)
    ];
    prop_oneof![
        5 => (0..TASKS, prop::bool::weighted(0.3), end).prop_map(|(index, alone, end)| Step::Task(index, alone, end)),
        1 => Just(Step::Alive),
    ]
}

/// Writes a launch that goes on from what the tasks came to; the last step may be its stop.
fn write(run: &WrittenRun, number: u32, steps: &[Step], stops: bool) {
    let before = history(run);
    let mut known: BTreeMap<u64, Status> =
        before.tasks.all().filter_map(|(index, note)| Some((index, note.state.status()?))).collect();
    let mut journal = JournalWriter::create(&run.layout.journal(1, number), run.id(), number).unwrap();
    let begun = LaunchBegun {
        replica_id: 1,
        replica_count: 1,
        process: Process::current(None),
        locked: true,
        options: BTreeMap::new(),
        limits: Limits { cpus: 1.0, memory_bytes: None, cpu_set: None },
        jobs: 1,
        command_files: Vec::new(),
        share: TASKS,
        takeover_after_s: None,
        command: None,
        by_another: false,
    };
    journal.add(&Event::Run(Box::new(begun)));
    for (index, note) in before.tasks.all() {
        if note.state.status() == Some(Status::Failed) && !note.has_record() {
            let ended = TaskEnded {
                index,
                status: Some(Status::Failed),
                cause: Some(Cause::Lost),
                replaces: true,
                ..TaskEnded::default()
            };
            journal.add_end(ended, b"{}");
        }
    }
    let sign = |known: &BTreeMap<u64, Status>, running| {
        let count = |status| known.values().filter(|known| **known == status).count() as u64;
        Event::Alive(LaunchProgress {
            counts: TaskCounts {
                files: TASKS,
                ok: count(Status::Ok),
                failed: count(Status::Failed),
                ..TaskCounts::default()
            },
            left: 0,
            running,
            ..LaunchProgress::default()
        })
    };
    journal.add(&sign(&known, 0));
    let mut running = 0;
    for step in steps {
        match *step {
            Step::Alive => journal.add(&sign(&known, running)),
            Step::Task(index, _, _) if known.get(&index) == Some(&Status::Ok) => {}
            Step::Task(index, alone, end) => {
                // What has the container to itself begins when nothing else runs, and nothing begins beside it.
                let alone = alone && running == 0;
                journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone }));
                let Some(status) = end else {
                    if alone {
                        journal.commit().unwrap();
                        return;
                    }
                    running += 1;
                    continue;
                };
                let cause = (status == Status::Failed).then_some(Cause::Exit);
                journal.add(&Event::Attempt(AttemptEnded {
                    index,
                    attempt: 1,
                    status: Some(status),
                    cause,
                    ..AttemptEnded::default()
                }));
                let replaces = known.insert(index, status) == Some(Status::Failed);
                let status = Some(status);
                let ended = TaskEnded { index, status, cause, replaces, ..TaskEnded::default() };
                journal.add_end(ended, b"{\"event\":\"alive\"}");
            }
        }
    }
    if stops {
        journal.add(&sign(&known, 0));
        journal.add(&Event::ResultsWritten(Box::new(ResultsWritten {
            records: 0,
            without_result: 0,
            bytes: 0,
            blake3: String::new(),
            tasks: None,
        })));
        journal.add(&Event::Stop(Box::new(Stopped {
            reason: StopReason::Deadline,
            signal: None,
            exit: 3,
            why: None,
            figures: None,
            blocks: Vec::new(),
        })));
    }
    journal.commit().unwrap();
}

fn history(run: &WrittenRun) -> JournalState {
    JournalState::read(&run.layout, &run.header().run_ref(), 1, run.share(1), false).unwrap()
}

type Case = (Vec<(Vec<Step>, bool)>, Index);

fn check((launches, cut): Case) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let paths = (0..TASKS).map(|number| format!("/data/{number}").into()).collect();
    let run = WrittenRun::new(dir.path(), paths, canfar_run::testing::Strategy::Even, 1);
    (1..).zip(&launches).for_each(|(number, (steps, stops))| write(&run, number, steps, *stops));
    let path = run.layout.journal(1, u32::try_from(launches.len()).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let length = cut.index(whole.len() + 1);
    std::fs::write(&path, &whole[..length]).unwrap();

    let looked_at = MonitoredRun::open(dir.path()).unwrap();
    let mut watcher = looked_at.monitor(HeartbeatTimes::default());
    let figures = watcher.look().unwrap();
    let standing = history(&run).counts();
    let replica = &figures.replicas[0];
    prop_assert_eq!(
        (replica.counts.ok, replica.counts.failed),
        (standing.ok, standing.failed),
        "{:?}",
        replica
    );
    prop_assert!(replica.state != ReplicaState::Running || replica.started_at.is_none(), "{:?}", replica);
    // Who watched it grow knows the same.
    std::fs::write(&path, &whole).unwrap();
    let standing = history(&run).counts();
    let later = &watcher.look().unwrap().replicas[0];
    prop_assert_eq!((later.counts.ok, later.counts.failed), (standing.ok, standing.failed), "{:?}", later);
    Ok(())
}

#[test]
fn the_end_of_a_journal_that_was_cut_anywhere_tells_what_all_of_it_does() {
    let launch = (vec(step(), 0..12), any::<bool>());
    let case = (vec(launch, 1..4), any::<Index>());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&case, check).unwrap_or_else(|failure| panic!("{failure}"));
}
