//! What is recorded about blocks that are added and removed.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{BlockDue, HeldBy, KeepLogs, Recorder};
use crate::journal::event::{BlockProgress, LaunchProgress, TaskEnded};
use crate::journal::launch_state::LaunchState;
use crate::journal::reader;
use crate::journal::state::{JournalState, RunRef};
use crate::journal::writer::JournalWriter;
use crate::liveness::fence::Fence;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::TaskCounts;
use crate::model::entries::Entry;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::{Cause, Failure, ProcessEnd, Status, Usage};
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::model::shares::Share;
use crate::process::capture::Capture;
use crate::record::logs::PackedLog;
use crate::record::results;
use crate::run::execute::{Attempt, Executed};
use crate::store::layout::Layout;

const RUN: RunRef<'_> = RunRef { id: "run", indices: 0..100 };

const OTHER: LaunchId = LaunchId { replica: 2, launch: 1 };

fn claim(name: &str) -> ClaimName {
    name.parse().unwrap()
}

/// A launch that begins without tasks.
fn recorder(layout: &Layout) -> Recorder {
    std::fs::create_dir_all(layout.journals()).unwrap();
    let journal = JournalWriter::create(&layout.journal(1, 1), RUN.id, 1).unwrap();
    let state = JournalState::of_replica_without_tasks(layout, &RUN, 1, true, &|| true).unwrap();
    let (successor, me) = (layout.successor(1, 1), Process::current(None));
    let recorder = Recorder::new(
        Arc::new(Fence::new(&journal, &me, successor, HeartbeatTimes::default()).unwrap()),
        Arc::new(Mutex::new(journal)),
        state,
        PackedLog::new(layout, 1, 1),
        KeepLogs::None,
        RUN.id,
        Replica::new(1, 2).unwrap(),
    );
    recorder.expect(0);
    recorder
}

/// What another launch left of a block.
fn history(layout: &Layout, block: BlockId, indices: Share, ended: &[(u64, &str)]) -> JournalState {
    std::fs::create_dir_all(layout.journals()).unwrap();
    let mut journal = JournalWriter::create(&layout.journal(2, 1), RUN.id, 1).unwrap();
    for (index, record) in ended {
        let status = Some(Status::Ok);
        let ended = TaskEnded { index: *index, status, cause: None, ..TaskEnded::default() };
        journal.add_end(ended, record.as_bytes());
    }
    journal.commit().unwrap();
    JournalState::of_blocks(layout, &RUN, &[(block, indices)], &[OTHER], &|_| false, &|| true).unwrap()
}

/// An attempt is made, and its task ends with a record.
fn run(recorder: &Recorder, folder: &Path, index: u64, status: Status) -> u32 {
    let number = recorder.begin(index, 1, false).unwrap();
    finish(recorder, folder, index, number, status);
    number
}

fn finish(recorder: &Recorder, folder: &Path, index: u64, number: u32, status: Status) {
    let failure = Failure { cause: Cause::Exit, message: String::new() };
    let executed = Executed {
        failure: (status == Status::Failed).then_some(failure),
        end: ProcessEnd::default(),
        usage: Usage::default(),
        tree_bytes: None,
        result: None,
        products: Vec::new(),
        doubt: None,
        stdout: Capture::new(folder),
        stderr: Capture::new(folder),
        left_processes: 0,
    };
    let attempt = Attempt::of(Entry::of("f"), index, number, false);
    let record = format!("\"{index} here\"").into_bytes();
    recorder.write_end(&attempt, &executed, None, Some(record)).unwrap();
}

/// What others read of the launch.
fn told(layout: &Layout) -> LaunchState {
    let mut launch = LaunchState::new(1, 1);
    let bad = reader::read(&layout.journal(1, 1), &|| true, |line| _ = launch.take(line)).unwrap();
    assert_eq!(bad, []);
    launch
}

fn named(layout: &Layout) -> Vec<BlockProgress> {
    told(layout).heartbeat.unwrap_or_default().blocks
}

#[test]
fn signs_of_life_name_a_block_from_its_announcement_until_its_last_task_ended() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let recorder = recorder(&layout);
    let [first, others] = ["0/1.0", "0/2.0"].map(claim);
    recorder.announce_claim(first).unwrap();
    recorder.announce_claim(others).unwrap();
    assert_eq!(told(&layout).claims_announced, [first, others]);
    recorder.give_sign().unwrap();
    assert_eq!(named(&layout), [first, others].map(BlockProgress::announced));
    recorder.not_claimed(others);
    recorder.hold(first, Share::Range(0..3), None, BlockDue::here(3), HeldBy::NewClaim).unwrap();
    let block = BlockProgress { claim: first, files: 3, ok: 0, failed: 0, left: 3 };
    assert_eq!((named(&layout), told(&layout).claims), (vec![block], 1));
    recorder.not_claimed(first);
    run(&recorder, folder.path(), 0, Status::Ok);
    run(&recorder, folder.path(), 1, Status::Failed);
    assert_eq!(recorder.unended(), [BlockProgress { ok: 1, failed: 1, left: 1, ..block }]);
    assert_eq!(named(&layout), [block]);
    run(&recorder, folder.path(), 2, Status::Ok);
    // Nobody gave a sign of life but the recorder.
    let heartbeat = told(&layout).heartbeat.unwrap();
    let counts = TaskCounts { files: 3, ok: 2, failed: 1, ..TaskCounts::default() };
    assert_eq!(heartbeat, LaunchProgress { counts, claims: 1, ..LaunchProgress::default() });
    assert_eq!(recorder.unended(), []);
    // One that was claimed before and has nothing left to run was ended by that.
    recorder.hold(others, Share::Range(5..6), None, BlockDue::here(0), HeldBy::OldClaim).unwrap();
    assert_eq!((named(&layout), told(&layout).claims, told(&layout).counts.files), (vec![], 1, 4));
}

#[test]
fn what_is_taken_over_goes_on_and_what_is_lost_counts_no_more_and_is_still_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let recorder = recorder(&layout);
    let [own, taken] = ["0/1.0", "1/2.1"].map(claim);
    let mut before = history(&layout, taken.block, Share::Range(10..13), &[(11, "\"11 there\"")]);
    before.tasks.begin_attempt(10);
    recorder.hold(own, Share::Listed(vec![3, 11_000]), None, BlockDue::here(2), HeldBy::NewClaim).unwrap();
    recorder
        .hold(taken, Share::Range(10..13), Some(&mut before), BlockDue::here(2), HeldBy::NewClaim)
        .unwrap();
    assert!(before.tasks.block(taken.block).is_none());
    let of_taken = BlockProgress { claim: taken, files: 3, ok: 1, failed: 0, left: 2 };
    assert_eq!(recorder.unended()[1], of_taken);
    assert_eq!(told(&layout).left, Some(4));
    assert_eq!(run(&recorder, folder.path(), 10, Status::Ok), 2);
    let number = recorder.begin(3, 1, false).unwrap();
    recorder.lose(own.block);
    recorder.give_sign().unwrap();
    let standing = || (told(&layout).counts, told(&layout).left, named(&layout));
    let counts = TaskCounts { files: 3, ok: 2, ..TaskCounts::default() };
    let expected = (counts, Some(1), vec![BlockProgress { ok: 2, left: 1, ..of_taken }]);
    assert_eq!(standing(), expected);
    finish(&recorder, folder.path(), 3, number, Status::Ok);
    assert_eq!(standing(), expected);
    assert!(told(&layout).running().is_empty());
    let text = std::fs::read_to_string(layout.journal(1, 1)).unwrap();
    assert!(text.contains("\"3 here\""), "{text}");
    let state = recorder.into_parts().state;
    let written = results::prepare(&layout, 1, &state).unwrap().put().unwrap();
    let results = std::fs::read_to_string(layout.results(1)).unwrap();
    assert_eq!(results, "[\n\"10 here\",\n\"11 there\"\n]\n");
    assert!(written.tasks.unwrap().iter().eq(10..12));
}

#[test]
fn results_of_blocks_that_lie_within_each_other_are_in_list_order_whoever_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let recorder = recorder(&layout);
    let [own, taken] = ["0/1.0", "0/2.1"].map(claim);
    let there: Vec<(u64, String)> = [1, 4, 5].map(|index| (index, format!("\"{index} there\""))).into();
    let there: Vec<(u64, &str)> = there.iter().map(|(index, record)| (*index, &**record)).collect();
    let mut before = history(&layout, taken.block, Share::Listed(vec![1, 4, 5]), &there);
    recorder
        .hold(taken, Share::Listed(vec![1, 4, 5]), Some(&mut before), BlockDue::here(0), HeldBy::NewClaim)
        .unwrap();
    recorder.hold(own, Share::Listed(vec![0, 2, 3, 9]), None, BlockDue::here(4), HeldBy::NewClaim).unwrap();
    for index in [9, 0, 3, 2] {
        run(&recorder, folder.path(), index, Status::Ok);
    }
    let state = recorder.into_parts().state;
    results::prepare(&layout, 1, &state).unwrap().put().unwrap();
    let results = std::fs::read_to_string(layout.results(1)).unwrap();
    let indices: Vec<&str> = results.matches(|letter: char| letter.is_ascii_digit()).collect();
    assert_eq!(indices.concat(), "0123459", "{results}");
}
